"""Losses and the targets they are for, and scores where there is little to score."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest

import jaxopt_edu as jo
from jaxopt_edu.storage.saved import trained

pytestmark = pytest.mark.usefixtures("compiled_quickly")
L, M = jo.losses, jo.metrics
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(40, 3))
SIGN = np.sign(X[:, 0])
INTEGER = L.softmax_cross_entropy_with_integer_labels


def of(y, **options):
    return jo.data.from_arrays(X, y, **options)


DATA = {
    "two": of(SIGN > 0), "three": of(np.arange(40) % 3), "signs": of(SIGN),
    "shares": of(np.eye(2)[np.arange(40) % 2]), "numbers": of(10 * X[:, 0]),
    "below": of(-np.ones((40, 2))),
}  # fmt: skip
FITTING = [
    (L.hinge_loss, "signs", 1), (L.sigmoid_binary_cross_entropy, "two", 1),
    (L.sigmoid_focal_loss, "two", 1), (L.sigmoid_binary_cross_entropy, "shares", 2),
    (INTEGER, "three", 3), (INTEGER, "two", 2), (L.multiclass_hinge_loss, "three", 3),
    (L.softmax_focal_loss_with_integer_labels, "three", 3), (L.softmax_cross_entropy, "shares", 2),
    (L.kl_divergence, "shares", 2), (L.kl_divergence_with_log_targets, "below", 2),
    (L.squared_error, "numbers", 1), (L.with_numbers(L.huber_loss, delta=1.0), "numbers", 1),
    (L.class_weighted(INTEGER, (1.0, 2.0, 3.0)), "three", 3), (optax.hinge_loss, "signs", 1),
    (lambda p, y: (p - y) ** 2, "two", 1),  # one's own
]  # fmt: skip
UNFIT = [
    (L.hinge_loss, "two", 1, "hinge_loss wants targets -1 and 1; the data have 2 classes"),
    (L.hinge_loss, "numbers", 1, "wants targets -1 and 1; the train part has"),
    (optax.losses.perceptron_loss, "two", 1, "perceptron_loss wants targets -1 and 1"),
    (L.sigmoid_binary_cross_entropy, "three", 1, "is for two classes; the data have 3 classes"),
    (optax.sigmoid_binary_cross_entropy, "three", 1, "is for two classes"),
    (L.with_numbers(L.sigmoid_focal_loss, gamma=1.0), "three", 1, "sigmoid_focal_loss is for two"),
    (functools.partial(L.sigmoid_focal_loss, gamma=1.0), "three", 1, "focal_loss is for two"),
    (L.sigmoid_binary_cross_entropy, "signs", 1, r"in \[0, 1\]; the train part has -1"),
    (L.sigmoid_binary_cross_entropy, "numbers", 1, r"wants targets in \[0, 1\]"),
    (L.softmax_cross_entropy, "three", 3, "wants a probability of each class.*with_integer_labels"),
    (L.softmax_cross_entropy, "below", 2, r"in \[0, 1\]; the train part has -1"),
    (optax.losses.poly_loss_cross_entropy, "three", 3, "wants a probability of each class"),
    (L.kl_divergence, "three", 3, "wants a probability of each class"),
    (L.kl_divergence_with_log_targets, "shares", 2, "wants targets <= 0; the train part has 1"),
    (INTEGER, "numbers", 1, "wants class numbers; the data are a regression"),
    (INTEGER, "two", 1, "wants an output for each class; .* the model gives one output"),
    (L.multiclass_hinge_loss, "two", 1, "wants an output for each class"),
    (L.squared_error, "three", 3, r"measures numbers; the data have 3 classes.*\(24, 3\)"),
    (L.l2_loss, "two", 1, "l2_loss measures numbers; the data have 2 classes"),
    (L.class_weighted(INTEGER, (1.0, 2.0)), "three", 3, "has 2 weights; the data have 3 classes"),
    (L.class_weighted(L.hinge_loss, (1.0, 2.0)), "two", 1, "goes by class numbers from 0"),
]  # fmt: skip


def training(loss, data, outputs, **more):
    model = jo.models.Linear(3) if outputs == 1 else jo.models.Linear(3, outputs)
    return jo.Training(model=model, loss=loss, optimizer=jo.sgd(0.1), data=DATA[data], **more)


@pytest.mark.parametrize(("loss", "data", "outputs"), FITTING)
def test_losses_take_the_targets_they_are_for(loss, data, outputs):
    training(loss, data, outputs).check()


@pytest.mark.parametrize(("loss", "data", "outputs", "message"), UNFIT)
def test_losses_refuse_targets_they_are_not_for(loss, data, outputs, message):
    with pytest.raises(ValueError, match=message):
        training(loss, data, outputs).check()


@pytest.mark.parametrize(
    ("loss", "data", "outputs", "scored"),
    [
        (L.hinge_loss, "signs", 1, {"loss"}), (optax.hinge_loss, "signs", 1, {"loss"}),
        (L.sigmoid_binary_cross_entropy, "shares", 2, {"loss"}),
        (L.with_numbers(L.sigmoid_focal_loss, gamma=1.0), "shares", 2, {"loss"}),
        (functools.partial(L.softmax_cross_entropy, axis=-1), "shares", 2, {"loss"}),
        (L.kl_divergence, "shares", 2, {"loss"}),
        (L.huber_loss, "numbers", 1, {"loss", "r2_score"}),
        (lambda p, y: (p - y) ** 2, "numbers", 1, {"loss", "r2_score"}),
        (L.sigmoid_binary_cross_entropy, "two", 1, {"loss", "accuracy"}),
    ],
)  # fmt: skip
def test_outputs_are_not_compared_with_numbers_that_they_are_not(loss, data, outputs, scored):
    assert set(training(loss, data, outputs).score_modes) == scored


@pytest.mark.parametrize("metric", ["accuracy", functools.partial(M.f1_score, average="macro")])
def test_classes_of_a_regression_are_refused_with_the_way_out(metric):
    wrong = training(L.hinge_loss, "signs", 1, metrics=(metric,))
    with pytest.raises(ValueError, match=r"metric = .* counts classes; .*y.astype\(int\)"):
        jo.fit(wrong, 2)


def test_every_way_to_train_asks_first():
    wrong = training(L.sigmoid_binary_cross_entropy, "three", 1)
    space = dataclasses.replace(wrong, optimizer=jo.sgd(jo.log_uniform(0.1, 1.0)))
    private = dataclasses.replace(wrong, estimator=jo.Private(1.0, 1.0))
    clients = jo.federated.Clients.of([[0, 1], [2]])
    federated = jo.federated.fed_avg(
        model=wrong.model, loss=wrong.loss, data=wrong.data, clients=clients, optimizer=jo.sgd(0.1)
    )
    for f in (
        lambda: jo.fit(wrong, 5), lambda: jo.sweep(space, 4, steps=5),
        lambda: jo.sweep(space, 4, steps=5, folds=3), lambda: jo.cross_validate(wrong, 3, steps=5),
        lambda: jo.tune(space, steps=5, updates=1), lambda: jo.hypergradient(wrong, 5),
        lambda: jo.find_learning_rate(wrong, 5), lambda: jo.fit(private, 5),
        lambda: jo.fit(federated, 5),
    ):  # fmt: skip
        with pytest.raises(ValueError, match="sigmoid_binary_cross_entropy is for two classes"):
            f()
    with pytest.raises(ValueError, match="metric = r2_score measures numbers"):
        training(L.sigmoid_binary_cross_entropy, "two", 1, metrics=(M.r2_score,)).check()


# ------------------------------------------------------------------------- logits without bounds


INF = np.inf
LOGITS = [
    [0.0, -INF, 1.0], [0.0, -INF, -INF], [-INF, 0.0, 1.0], [0.0, 1.0, 2.0], [-1e30, 0.0, 1.0]
]  # fmt: skip


@pytest.mark.parametrize("logits", LOGITS)
def test_infinite_logits_are_as_in_the_safe_forms_of_optax(logits):
    x = jnp.array(logits)
    finite = np.isfinite(logits)
    for k in range(3):
        y = jax.nn.one_hot(k, 3)
        for ours, theirs, labels in (
            (L.softmax_cross_entropy, optax.safe_softmax_cross_entropy, y),
            (INTEGER, optax.softmax_cross_entropy_with_integer_labels, k),
            (
                lambda x, y: L.softmax_cross_entropy(x, y, where=finite),
                lambda x, y: optax.softmax_cross_entropy(x, y, where=finite), y,
            ),
        ):  # fmt: skip
            for f, g in ((ours, theirs), (jax.grad(ours), jax.grad(theirs))):
                found, wanted = np.asarray(f(x, labels)), np.asarray(g(x, labels))
                known = np.isfinite(wanted)
                np.testing.assert_allclose(found[known], wanted[known], atol=1e-6)


@pytest.mark.parametrize("x", [INF, -INF, 1e30, -1e30])
def test_infinite_logits_of_yes_or_no(x):
    for y in (0.0, 1.0, 0.5):
        for name in ("sigmoid_binary_cross_entropy", "sigmoid_focal_loss"):
            ours, theirs = getattr(L, name), getattr(optax.losses, name)
            for f, g in ((ours, theirs), (jax.grad(ours), jax.grad(theirs))):
                found, wanted = (float(h(jnp.float32(x), jnp.float32(y))) for h in (f, g))
                assert found == pytest.approx(wanted, abs=1e-6) or not np.isfinite(wanted)


# --------------------------------------------------------------------------- scores on the edge


@pytest.mark.parametrize("value", [0.1, 1e4 / 3, -7.3, 1e-20])
@pytest.mark.parametrize("n", [7, 1000])
def test_r2_of_constant_targets_is_one_or_zero(value, n):
    y = np.full((n, 2), value, np.float32)
    weights = np.arange(n) % 3 + 1.0
    for w in (None, weights, np.where(np.arange(n) < 2, 1.0, 0.0)):
        assert M.r2_score(y, y, w) == 1.0
        assert M.r2_score(y + 1, y, w) == 0.0
    other = np.where(np.arange(n)[:, None] < 2, y, 5.0)  # constant where it counts
    first = np.where(np.arange(n) < 2, 1.0, 0.0)
    assert M.r2_score(other + 1, other, first) == 0.0


def test_scores_without_an_answer_are_none():
    nothing = np.zeros(0)
    for score in (
        M.r2_score(nothing, nothing),
        M.r2_score([1.0], [1.0]),
        M.r2_score([1.0, 2.0], [1.0, 2.0], [1.0, 0.0]),
        M.roc_auc([0.1, 0.2], [1, 1]),
        M.accuracy(np.zeros((0, 2)), np.zeros(0, int)),
    ):
        assert np.isnan(score)
    assert M.accuracy([[0.0, np.nan]], [0]) == M.accuracy([np.nan], [0]) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: M.top_k_accuracy([[1.0, 2.0]], [0], k=3), "k = 3: wanted 1 to 2, the number of"),
        (lambda: M.top_k_accuracy([[1.0, 2.0]], [0], k=0), "k = 0: wanted 1 to 2"),
        (lambda: M.confusion_matrix([0, 1], [0, 5], n_classes=2), "targets hold the class 5"),
        (lambda: M.f1_score([0, 1], [-1, 1]), "targets hold the class -1: wanted 0 to 1"),
        (lambda: M.roc_auc([0.1, 0.2], [1, 2]), "targets hold the class 2: wanted 0 to 1"),
        (lambda: M.accuracy([[1.0, np.nan]], [-1]), "targets hold the class -1"),
        (lambda: M.accuracy([0, 1], [0, 1], [-1.0, 2.0]), "weights hold -1.0: wanted none below 0"),
        (lambda: L.weighted_mean([1.0, 2.0], [1.0, -1.0]), "weights hold -1.0"),
    ],
)
def test_scores_of_what_cannot_be_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------- names and index of targets


TABLE = pd.DataFrame(X, columns=["p", "q", "r"])
TWO = pd.DataFrame({"a": X[:, 0], "b": X[:, 1] * 100})


def straight(d):
    """A run whose answers are x W: of two targets, or of one."""
    several = d.train.y.ndim > 1
    model = jo.models.Linear(3, 2) if several else jo.models.Linear(3)
    return jo.fit(
        jo.Training(model=model, loss=L.squared_error, optimizer=jo.sgd(0.01), data=d), steps=2
    )


def test_targets_keep_the_names_and_the_order_of_their_columns():
    parts = {"test": (TABLE[:9], TWO[["b", "a"]][:9])}
    d = jo.data.from_arrays(TABLE, TWO, **parts)
    assert d.targets == ("a", "b")
    np.testing.assert_allclose(d.test.y, TWO[:9].to_numpy(), rtol=1e-6)
    turned = jo.data.from_arrays(TABLE, TWO, targets=("b", "a"), **parts)
    np.testing.assert_allclose(turned.test.y, TWO[["b", "a"]][:9].to_numpy(), rtol=1e-6)
    assert jo.data.from_arrays(TABLE, TWO, targets=("u", "v")).targets == ("u", "v")
    assert jo.data.from_arrays(TABLE, TWO["b"]).targets == ("b",)
    assert jo.data.from_arrays(TABLE, TWO[["a"]]).targets == ("a",)
    assert jo.data.from_arrays(TABLE, TWO.to_numpy()).targets == ("y0", "y1")
    assert jo.data.from_arrays(TABLE, pd.Series(SIGN > 0, name="up")).targets == ("False", "True")
    run = straight(d)
    assert run.evaluate(TABLE, TWO[["b", "a"]]) == run.evaluate(TABLE, TWO)
    assert run.evaluate(TABLE, TWO.to_numpy()) == run.evaluate(TABLE, TWO)


def test_columns_of_targets_that_are_unknown_are_named():
    wrong = TWO.rename(columns={"b": "c"})
    for part in ("validation", "test"):
        with pytest.raises(ValueError, match=f"{part} y: columns missing: 'b'; unknown: 'c'"):
            jo.data.from_arrays(TABLE, TWO, **{part: (TABLE, wrong)})
    with pytest.raises(ValueError, match="test y: columns unknown: 'c'"):
        jo.data.from_arrays(TABLE, TWO, test=(TABLE, TWO.assign(c=0.0)))
    for d in (jo.data.from_arrays(TABLE, TWO), of(TWO.to_numpy(), targets=("a", "b"))):
        run = straight(d)
        with pytest.raises(ValueError, match="labels: columns missing: 'b'; unknown: 'c'"):
            run.evaluate(X if d.features[0] == "x0" else TABLE, wrong)


@pytest.mark.parametrize("y", [TWO["a"], pd.Series(SIGN > 0), TWO])
def test_an_index_in_another_order_is_refused(y):
    turned, words = y[::-1], "have the same index in another order.*y.loc"
    with pytest.raises(ValueError, match=f"x and y {words}"):
        jo.data.from_arrays(TABLE, turned)
    for part in ("validation", "test"):
        with pytest.raises(ValueError, match=f"{part} x and {part} y {words}"):
            jo.data.from_arrays(TABLE, y, **{part: (TABLE, turned)})
    d = jo.data.from_arrays(TABLE, y, test=(TABLE[::-1], turned))
    assert d == jo.data.from_arrays(TABLE, y, test=(TABLE[::-1], turned.to_numpy()))
    if y is TWO:
        run = straight(d)
        for model in (run, trained(run.experiment, run.state, "evaluate")):
            with pytest.raises(ValueError, match=f"rows and labels {words}"):
                model.evaluate(TABLE, turned)


@pytest.mark.parametrize("task", [None, "regression"])
def test_a_single_column_of_numbers_is_one_target(task):
    y = X[:, :1] * 3
    d = of(y, task=task, test=(X[:5], y[:5]))
    assert d.train.y.shape == (d.train.size,) and d.test.y.shape == (5,) and d.targets == ("y",)
    run = straight(d)
    assert run.evaluate(X, y) == run.evaluate(X, y[:, 0])
    whole = of(np.arange(40)[:, None], task="regression")
    assert whole.train.y.ndim == 1
    with pytest.raises(ValueError, match="wanted one label a row"):
        of(np.arange(40)[:, None] % 2)


def test_prices_that_are_taken_for_classes_are_told_of_regressions():
    prices = np.arange(40) ** 2 - 10_665
    with (
        pytest.warns(UserWarning, match="regression"),
        pytest.raises(ValueError, match="class '-10665' has 1 rows.*task='regression' is for"),
    ):
        of(prices)
    with pytest.raises(ValueError, match="one would have none$"):
        of(np.array(["one", *["other"] * 39]))
