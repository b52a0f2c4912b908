"""Scores: their directions and their names, wherever a metric is given."""

import dataclasses
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.nn.scores import mode_of, mode_of_name, name_of, named, resolve_mode

IRIS = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(0.1),
    data=jo.data.load("iris"),
)
RATES = jo.log_uniform(1e-4, 1.0)
SPACE = jo.replace(IRIS, learning_rate=RATES)
TILE = {"steps": 20, "tile": 4}
TOP = [functools.partial(jo.metrics.top_k_accuracy, k=k) for k in (1, 2)]


def odd(predictions, targets, weights=None):
    return jnp.mean(predictions)


# --------------------------------------------------------------------------------- directions


def test_every_public_metric_and_loss_knows_its_direction():
    undirected = {"confusion_matrix"}  # a table, not a score
    for name in set(jo.metrics.__all__) - undirected:
        metric = getattr(jo.metrics, name)
        assert mode_of(metric) == mode_of_name(name) == ("min" if "error" in name else "max")
    for name in jo.losses.__all__:
        if name.endswith(("loss", "entropy", "error", "log_cosh")):
            assert mode_of(getattr(jo.losses, name)) == "min"
    for name in undirected | {"reward", "height", "<lambda>", "my_loss"}:
        assert mode_of_name(name) is None


WRAPS = st.recursive(
    st.just(lambda f: f),
    lambda inner: st.builds(
        lambda wrap, inside: lambda f: wrap(inside(f)),
        st.sampled_from([lambda f: functools.partial(f), jax.jit]),
        inner,
    ),
    max_leaves=4,
)


@given(st.sampled_from(sorted(set(jo.metrics.__all__) - {"confusion_matrix"})), WRAPS)
def test_a_wrapped_metric_keeps_direction_and_name(name, wrap):
    metric = getattr(jo.metrics, name)
    assert mode_of(wrap(metric)) == mode_of(metric)
    assert name_of(wrap(metric)) == name
    assert mode_of(wrap(odd)) is None


def test_losses_with_numbers_and_weights_keep_their_direction():
    assert mode_of(jo.losses.with_numbers(jo.losses.huber_loss, delta=0.5)) == "min"
    assert mode_of(jo.losses.class_weighted(jo.losses.hinge_loss, (1, 2))) == "min"
    assert mode_of(lambda p, y: 0.0) is None


def test_a_function_of_a_known_name_is_not_that_metric():
    def accuracy(predictions, targets):
        return 1 - jo.metrics.accuracy(predictions, targets)

    experiment = dataclasses.replace(IRIS, metrics=(accuracy,))
    assert experiment.score_modes == {"loss": "min", "accuracy": None}


# -------------------------------------------------------------------------- wherever it is given


def test_the_best_by_accuracy_has_the_most_of_it():
    study = jo.sweep(SPACE, 8, metric="accuracy", **TILE)
    assert study.mode == "max"
    assert study.columns["rank_accuracy"][study.best_trial] == study.columns["rank_accuracy"].max()
    losses = jo.sweep(SPACE, 8, **TILE)
    assert losses.mode == "min" and losses.best_trial == np.argmin(losses.columns["rank_loss"])


@pytest.mark.slow
def test_partial_and_jitted_metrics_rank_upwards():
    space = dataclasses.replace(SPACE, metrics=(TOP[1], jax.jit(jo.metrics.accuracy)))
    assert space.score_modes == {"loss": "min", "top_k_accuracy": "max", "accuracy": "max"}
    assert jo.sweep(space, 4, metric="top_k_accuracy", **TILE).mode == "max"


def test_patience_waits_for_more_accuracy():
    run = jo.fit(jo.replace(IRIS, learning_rate=0.05), 100, metric="accuracy", patience=4)
    assert run.evaluate()["accuracy"] == np.float32(run.history["accuracy"].max())


def test_features_are_ranked_by_what_a_metric_loses():
    run = jo.fit(IRIS, 60)
    for metric in (None, jo.metrics.accuracy, jo.losses.softmax_cross_entropy_with_integer_labels):
        if metric is not None and metric is not jo.metrics.accuracy:
            metric = _mean_loss
            with pytest.raises(ValueError, match="mode = 'auto'.*metric _mean_loss"):
                jo.rank_features(run, metric=metric)
            ranking = jo.rank_features(run, metric=metric, mode="min")
        else:
            ranking = jo.rank_features(run, metric=metric)
        assert ranking.mean.max() > 0


def _mean_loss(predictions, targets):
    return jo.losses.softmax_cross_entropy_with_integer_labels(predictions, targets).mean()


def test_errors_are_importances_downwards_and_scores_upwards():
    x = jnp.arange(6.0)[:, None] * jnp.array([1.0, 0.0])
    for metric in (jo.metrics.mean_squared_error, jo.metrics.r2_score):
        found = jo.explain.permutation_importance(
            lambda x: x[:, 0], x, x[:, 0], metric, key=jax.random.key(0)
        )
        assert found.mean[0] > 0, metric


def test_finders_compare_accuracies_upwards():
    rates = jo.find_learning_rate(IRIS, 20, low=1e-4, high=1.0, rates=6, metric="accuracy")
    assert rates.study.mode == "max"
    assert rates.scores[rates.study.best_trial] == rates.scores.max()


@pytest.mark.slow
def test_folds_are_told_nothing_of_modes():
    found = jo.cross_validate(IRIS, 3, steps=10, metric="accuracy")
    assert found.study.mode == "max"
    own = dataclasses.replace(IRIS, metrics=(odd,))
    assert jo.cross_validate(own, 3, steps=10, metric="odd").study.mode == "min"


@jo.pytree
class Valley(jo.Experiment):
    """Scores that have no name of the library's, and one that says its direction."""

    rate: float = jo.number()

    def init(self, key):
        return jnp.float32(1.0)

    def step(self, state, t, key):
        return state * (1 - self.rate), jo.Step()

    def score(self, state, split):
        return {"height": state**2, "reward": -(state**2)}


class Told(Valley):
    score_modes = {"reward": "max"}


Told = jo.pytree(Told)


def test_an_experiment_may_say_itself():
    assert jo.sweep(Told(jo.uniform(0, 1)), 4, steps=3, metric="reward").mode == "max"
    with pytest.raises(ValueError, match="mode = 'auto'.*'height'"):
        jo.sweep(Told(jo.uniform(0, 1)), 4, steps=3, metric="height")


@pytest.mark.parametrize(
    "call",
    [
        lambda e: jo.sweep(jo.replace(e, learning_rate=RATES), 4, metric="odd", **TILE),
        lambda e: jo.fit(e, 20, metric="odd", patience=2),
        lambda e: jo.find_learning_rate(e, 20, rates=4, metric="odd"),
        lambda e: jo.find_batch_size(e, sizes=(8, 16), metric="odd"),
        lambda e: jo.tune(jo.replace(e, learning_rate=RATES), 5, metric="odd", starts=2),
        lambda e: jo.sweep(jo.replace(e, learning_rate=RATES), 4, metric=("loss", "odd"), **TILE),
    ],
    ids=["sweep", "fit", "rates", "sizes", "tune", "several"],
)
def test_an_unknown_direction_must_be_told(call):
    with pytest.raises(ValueError, match="not known whether less or more of 'odd' is better"):
        call(dataclasses.replace(IRIS, metrics=(odd,)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: jo.sweep(SPACE, 4, metric="accuracy", mode="min", **TILE),
        lambda: jo.fit(IRIS, 10, mode="max", patience=2),
        lambda: jo.find_learning_rate(IRIS, 20, rates=4, mode="max"),
        lambda: jo.rank_features(jo.fit(IRIS, 20), mode="max"),
        lambda: jo.rank_features(jo.fit(IRIS, 20), metric=jo.metrics.accuracy, mode="min"),
    ],
    ids=["sweep", "fit", "rates", "features", "features by accuracy"],
)
def test_a_mode_that_contradicts_is_obeyed_with_a_warning(call):
    with pytest.warns(UserWarning, match="the worst comes first"):
        try:
            call()
        except ValueError as error:  # the worst rate is no better than the untrained model
            assert "no training ends better" in str(error)


def test_a_mode_that_agrees_says_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert resolve_mode("max", "max", "x") == resolve_mode("max", None, "x") == "max"


def test_unknown_metrics_are_named_before_their_direction():
    with pytest.raises(ValueError, match="unknown metric 'acuracy'; did you mean 'accuracy'"):
        jo.sweep(SPACE, 4, metric="acuracy", **TILE)
    with pytest.raises(ValueError, match="metric = .* names 'loss' twice"):
        jo.sweep(SPACE, 4, metric=("loss", "loss"), **TILE)


# -------------------------------------------------------------------------------------- names


def test_metrics_of_one_name_are_told_apart_by_their_arguments():
    run = jo.fit(dataclasses.replace(IRIS, metrics=tuple(TOP)), 20)
    scores = run.evaluate("test")
    assert set(scores) == {"loss", "top_k_accuracy(k=1)", "top_k_accuracy(k=2)"}
    assert scores["top_k_accuracy(k=1)"] <= scores["top_k_accuracy(k=2)"]
    study = jo.sweep(
        dataclasses.replace(SPACE, metrics=tuple(TOP)), 4, metric="top_k_accuracy(k=2)", **TILE
    )
    assert study.mode == "max" and "validation_top_k_accuracy(k=1)" in study.columns


@given(st.lists(st.sampled_from(["micro", "macro", "weighted"]), min_size=1, unique=True))
def test_names_are_as_many_as_metrics(averages):
    given_ = [functools.partial(jo.metrics.f1_score, average=a, n_classes=3) for a in averages]
    names = list(named([*given_, jo.metrics.accuracy]))
    assert len(set(names)) == len(averages) + 1 and names[-1] == "accuracy"
    assert len(averages) > 1 or names[0] == "f1_score"


def called(name):
    def metric(predictions, targets, weights=None):
        return jnp.mean(predictions)

    metric.__name__ = name
    return metric


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ((lambda p, y: 0.0, lambda p, y: 1.0), "2 of them are named '<lambda>'"),
        ((jo.metrics.accuracy, jo.metrics.accuracy), "2 of them are named 'accuracy'"),
        ((TOP[0], functools.partial(jo.metrics.top_k_accuracy, k=1)), r"2 .*\(k=1\)'"),
        ((called("loss"),), "'loss' is the name of the loss itself"),
        ((called("training_loss"),), "'training_loss' is the name of the loss itself"),
        ((called("loss_low"),), "'loss_low' is the name of a bound of 'loss'"),
        ((jo.metrics.accuracy, called("accuracy_high")), "a bound of 'accuracy'"),
    ],
)
def test_names_that_collide_are_refused(metrics, message):
    experiment = dataclasses.replace(IRIS, metrics=metrics)
    with pytest.raises(ValueError, match=message):
        jo.fit(experiment, 5)
    with pytest.raises(ValueError, match=message):
        jo.sweep(jo.replace(experiment, learning_rate=RATES), 4, **TILE)


def test_an_experiment_of_ones_own_is_held_to_the_same():
    class Noted(jo.Training):
        def score(self, state, split):
            return super().score(state, split) | {"training_loss": state.loss}

    noted = jo.pytree(Noted)(**{f.name: getattr(IRIS, f.name) for f in dataclasses.fields(IRIS)})
    with pytest.raises(ValueError, match="'training_loss' has the name of the loss of the state"):
        jo.fit(noted, 5)


def test_losses_of_one_name_are_told_apart_by_their_numbers():
    focal, cross = jo.losses.sigmoid_focal_loss, jo.losses.softmax_cross_entropy
    weighted = [jo.losses.class_weighted(cross, weights) for weights in ((1, 2), (2, 1))]
    told = [*named(weighted)]
    assert told == [f"softmax_cross_entropy(weights={w})" for w in ("(1, 2)", "(2, 1)")]
    numbers = [jo.losses.with_numbers(focal, gamma=gamma) for gamma in (1.0, 2.0)]
    assert [*named(numbers)] == [f"sigmoid_focal_loss(gamma={g})" for g in (1.0, 2.0)]
    positional = [functools.partial(cross, 1), functools.partial(cross, axis=0), cross]
    assert [*named(positional)] == [
        "softmax_cross_entropy(0=1)", "softmax_cross_entropy(axis=0)", "softmax_cross_entropy",
    ]  # fmt: skip


def test_names_stand_for_metrics():
    assert (mode_of("accuracy"), mode_of("loss"), mode_of("unheard of")) == ("max", "min", None)
    assert name_of("accuracy") == name_of(jo.metrics.accuracy) == "accuracy"
