"""Bad input is refused by the name of the argument, and the message says the way out."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pandas as pd
import pytest
from flax import nnx
from sklearn.metrics import accuracy_score

import jaxopt_edu as jo
from jaxopt_edu.train.ingredients import LOSSES, METRICS, OPTIMIZERS

IRIS = jo.data.load("iris")
TRAINING = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.adam(1e-2),
    data=IRIS,
    batch_size=8,
)
SPACE = jo.replace(TRAINING, optimizer=jo.adam(jo.log_uniform(1e-3, 1e-1)))
WRAP = r"wrap it: jo.from_optax\(optax.adam, learning_rate=1e-3\)"


@jo.pytree
class Linen:
    module: nn.Module = jo.static()

    def init(self, key):
        return self.module.init(key, jnp.zeros((1, 4)))

    def apply(self, params, x, key=None):
        return self.module.apply(params, x)


@jo.pytree
class Nnx:
    make: object = jo.static()

    def init(self, key):
        return nnx.state(self.make(nnx.Rngs(0)))

    def apply(self, params, x, key=None):
        return nnx.merge(nnx.graphdef(self.make(nnx.Rngs(0))), params)(x)


class Normed(nnx.Module):
    def __init__(self, rngs):
        self.norm, self.head = nnx.BatchNorm(4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)

    def __call__(self, x):
        return self.head(self.norm(x, use_running_average=True))


@jo.pytree
class Named(jo.Experiment):
    """An experiment with a name, which is no number."""

    name: str
    size: float = 0.1

    def init(self, key):
        return jnp.zeros(3)

    def step(self, state, t, key):
        return state + self.size, jo.Step()

    def score(self, state, split):
        return {"loss": jnp.sum(state)}


def watchful():
    """An optimizer that wants what nobody tells."""

    def update(updates, state, params=None, *, weather, **extra):
        return updates, state

    return optax.GradientTransformationExtraArgs(optax.identity().init, update)


def normed():
    return nn.Sequential([nn.Dense(8), nn.BatchNorm(use_running_average=True), nn.Dense(3)])


def fit(**changes):
    return jo.fit(dataclasses.replace(TRAINING, **changes), 2, progress=False)


# ---------------------------------------------------------------------------- parts by name


def test_parts_by_name_are_those_of_the_modules():
    named = dataclasses.replace(
        TRAINING, optimizer="adam", loss="softmax_cross_entropy_with_integer_labels",
        metrics=("accuracy", "f1_score"),
    )  # fmt: skip
    assert named.loss is TRAINING.loss
    assert named.metrics == (jo.metrics.accuracy, jo.metrics.f1_score)
    assert named.optimizer == jo.adam((1e-4 * 1e-1) ** 0.5)
    assert jo.replace(TRAINING, optimizer="sgd").optimizer == jo.sgd((1e-3 * 1.0) ** 0.5)
    assert jo.replace(TRAINING, metrics="accuracy") == jo.replace(
        TRAINING, metrics=jo.metrics.accuracy
    )
    run = jo.fit(dataclasses.replace(named, metrics="accuracy"), 2)
    assert set(run.evaluate()) == {"loss", "accuracy"}


def test_alternatives_private_and_federated_parts_have_names_too():
    several = jo.replace(TRAINING, optimizer=jo.choice("adam", "sgd"))
    study = jo.sweep(several, 2, steps=2, sampler="grid")
    assert sorted(study.columns["optimizer"]) == ["adam", "sgd"]
    private = jo.privacy.PrivateTraining(
        TRAINING.model, "softmax_cross_entropy_with_integer_labels", "lion", IRIS,
        metrics="accuracy", max_norm=1.0, noise_multiplier=1.0,
    )  # fmt: skip
    assert private.loss is TRAINING.loss and type(private.optimizer).__name__ == "Lion"
    federated = jo.federated.fed_avg(
        model=TRAINING.model, loss="l2_loss", data=IRIS, optimizer="sgd", server="adam",
        clients=jo.federated.dirichlet_split(IRIS.train.y, 3, alpha=1.0),
    )  # fmt: skip
    assert federated.loss is jo.losses.l2_loss and type(federated.optimizer).__name__ == "Adam"
    again = jax.tree.map(lambda x: x, federated)
    assert again == federated


def test_every_name_makes_what_it_names():
    for name in OPTIMIZERS:
        assert jo.replace(TRAINING, optimizer=name).optimizer.init(jnp.zeros(2)) is not None
    for name, loss in LOSSES.items():
        assert jo.replace(TRAINING, loss=name).loss is loss
    for name, metric in METRICS.items():
        assert jo.replace(TRAINING, metrics=(name,)).metrics == (metric,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'"),
        ({"loss": "cross_entropy"}, "unknown loss 'cross_entropy'; did you mean 'softmax_cross_e"),
        ({"metrics": ("acuracy",)}, "unknown metric 'acuracy'; did you mean 'accuracy'"),
        ({"loss": "accuracy"}, "loss = 'accuracy' is a metric: wanted a loss"),
        ({"loss": "with_numbers"}, "unknown loss 'with_numbers'"),
        ({"optimizer": jo.choice("adam", "sgdd")}, "unknown optimizer 'sgdd'; did you mean 'sgd'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(TRAINING, **changes)


# ---------------------------------------------------------------------- what is no such part


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": optax.adam(1e-2)}, f"optimizer is an optimizer of optax.*{WRAP}"),
        ({"optimizer": jo.chain(jo.clip(1.0), optax.adam(1e-2))}, f"optimizer.1 is .*{WRAP}"),
        ({"optimizer": jo.multi_steps(optax.sgd(1e-2), 2)}, f"optimizer.opt is .*{WRAP}"),
        ({"optimizer": jo.masked(optax.sgd(1e-2), jo.weights_only)}, f"optimizer.* is .*{WRAP}"),
        ({"optimizer": optax.GradientTransformationExtraArgs(*optax.sgd(0.1))}, WRAP),
        ({"optimizer": jo.adam}, r"optimizer = adam makes optimizers: wanted one, jo.adam\(1e-3\)"),
        ({"optimizer": optax.adam}, r"optimizer = adam makes optimizers|wanted an optimizer"),
        ({"optimizer": 1e-3}, r"optimizer = 0.001: wanted an optimizer, such as jo.adam\(1e-3\)"),
        ({"optimizer": None}, "optimizer = None: wanted an optimizer"),
        ({"optimizer": jo.from_optax(watchful)}, "watchful: .*'weather'; a `Training` tells value"),
        ({"loss": jo.metrics.accuracy}, "loss = accuracy is a metric: wanted a loss"),
        (
            {"loss": lambda p, y: p.mean()},
            r"loss = <lambda> gives the shape \(\): wanted one number",
        ),
        ({"loss": lambda p: p}, "loss = <lambda> does not run on .* takes 1 positional"),
        ({"loss": lambda p, y: p @ y @ p}, "loss = <lambda> does not run on float32"),
        ({"loss": optax.sigmoid_binary_cross_entropy}, "loss = sigmoid_bin.* is for two classes"),
        ({"loss": optax.losses.cosine_distance}, "loss = cosine_distance does not run on float32"),
        (
            {"metrics": (accuracy_score,)},
            "metric = accuracy_score .*sklearn.*in a compiled program",
        ),
        (
            {"metrics": (lambda p, y: p,)},
            r"metric = <lambda> gives the shape .*: wanted one number",
        ),
        (
            {"metrics": ("precision",)},
            "metric = precision does not run on .*'binary' with 3 classes",
        ),
        ({"augment": lambda x, y: (x, y)}, r"augment = <lambda> .*wanted \(key, x, y\) -> x, y"),
        (
            {"augment": lambda k, x, y: x},
            r"augment = <lambda> gives .*wanted \(key, x, y\) -> x, y",
        ),
        ({"augment": lambda k, x, y: (x[:3], y)}, "augment = .*: wanted as many targets as"),
        ({"augment": lambda k, x, y: (x[:, :3], y)}, "augment = .* examples of the same shape"),
        ({"loss": 3}, "loss = 3: wanted a function of predictions and labels"),
        ({"metrics": 3}, "metrics = 3: wanted a tuple of functions"),
        ({"metrics": (3,)}, "metrics: 3: wanted functions"),
        ({"data": (np.ones((9, 4)), np.ones(9))}, r"data = .*wanted a jo.data.Data, such as jo.da"),
        ({"data": "iris"}, r"data = 'iris': wanted a jo.data.Data, .*jo.data.load\('digits'\)"),
        ({"regularizer": 1e-4}, r"regularizer = 0.0001: wanted one, such as jo.L2\(1e-4\)"),
        ({"batch_size": "32"}, "batch_size = '32': wanted an integer, at least 1"),
        ({"batch_size": 8.0}, "batch_size = 8.0: wanted an integer, at least 1"),
        ({"model": nn.Dense(3)}, "model = .* is a module of flax.*docs/guides/experiments.md"),
        ({"model": jo.models.Linear}, "model = .*Linear.* is a class"),
        ({"model": lambda x: x}, "model = <lambda> has no init: wanted init"),
        ({"model": Linen(normed())}, "model: .* other collections than params: batch_stats"),
        ({"model": Nnx(Normed)}, "model: .* other collections than params: BatchStat"),
    ],
    ids=lambda x: None if isinstance(x, dict) else x[:30],
)
def test_parts_that_are_none_are_named(changes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(**changes)


def test_optax_is_named_wherever_it_stands():
    parts = {
        "model": TRAINING.model, "loss": TRAINING.loss, "data": IRIS, "optimizer": jo.sgd(0.1),
        "clients": jo.federated.dirichlet_split(IRIS.train.y, 3, alpha=1.0),
    }  # fmt: skip
    local = jo.Federated(parts["clients"], optax.sgd(0.1))
    private = jo.privacy.PrivateTraining(
        TRAINING.model, TRAINING.loss, optax.sgd(0.1), IRIS, max_norm=1.0, noise_multiplier=1.0
    )
    several = jo.replace(TRAINING, optimizer=jo.one_of(jo.adam(1e-2), optax.adam(1e-2)))
    for call, name in (
        (lambda: jo.federated.fed_avg(**parts, server=optax.adam(1e-2)), "server"),
        (lambda: jo.federated.fed_avg(**parts | {"optimizer": optax.adam(1e-2)}), "optimizer"),
        (lambda: jo.fit(dataclasses.replace(TRAINING, estimator=local), 2), "local"),
        (lambda: jo.fit(private, 2), "optimizer"),
        (lambda: jo.sweep(several, 2, steps=2), "optimizer"),
        (lambda: jo.sweep([TRAINING, dataclasses.replace(TRAINING, optimizer=optax.sgd(0.1))],
                          steps=2), "optimizer"),
        (lambda: jo.race("booth", {"mine": optax.sgd(0.1)}), "optimizers: one"),
        (lambda: jo.tune(SPACE, 2, optimizer=optax.sgd(0.1)), "optimizer"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"{name} is an optimizer of optax, .*{WRAP}"):
            call()


# -------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    "given",
    [{"steps": "10"}, {"steps": 1.5}, {"steps": 0}, {"steps": True}, {"tol": -1}, {"tol": "x"},
     {"tol": float("nan")}, {"patience": 0}, {"patience": 1.5}, {"mesh": 5}, {"batches": 3},
     {"store": 5}, {"eval_every": 0}, {"eval_every": "3"}, {"tile": 0}, {"diverge_above": -1},
     {"diverge_above": float("nan")}, {"metric": 3}, {"metric": "los"}, {"progress": "x"},
     {"train_curve": "yes"}, {"accumulate": 0}, {"prefetch": 0}],
    ids=str,
)  # fmt: skip
def test_arguments_of_fit_are_refused_by_name(given):
    [name] = given
    experiment = dataclasses.replace(TRAINING, batch_size=None) if name == "batches" else TRAINING
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b|'los'"):
        jo.fit(experiment, **{"steps": 2} | given)


@pytest.mark.parametrize(
    "given",
    [{"steps": "10"}, {"steps": 0}, {"trials": 0}, {"trials": "8"}, {"eval_every": 0}, {"tile": 0},
     {"folds": 1}, {"folds": 1.5}, {"folds": "3"}, {"seeds": 0}, {"sampler": "nonsense"},
     {"rungs": 3}, {"rungs": jo.halving}, {"diverge_above": 0}, {"metric": 3}, {"store": 3},
     {"progress": 1}],
    ids=str,
)  # fmt: skip
def test_arguments_of_sweep_are_refused_by_name(given):
    [name] = given
    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b"):
        jo.sweep(SPACE, **{"steps": 2, "trials": 2} | given)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jo.sweep(lambda trial: 0.0, 4, steps=5), "no jo.Experiment, which sweep wants"),
        (lambda: jo.fit(jo.models.Linear(4, 3), 5), "Linear is no jo.Experiment, which fit wants"),
        (lambda: jo.fit(jo.Training, 5), "the class Training .*: wanted a value of it"),
        (lambda: jo.fit(IRIS, 5), "Data is no jo.Experiment"),
        (lambda: jo.sweep([TRAINING, 3], steps=5), "int is no jo.Experiment"),
        (lambda: jo.fit(Named("mine"), 5), r"name = 'mine': wanted a number.*jo.static\(\)"),
        (lambda: jo.save_study(TRAINING, "d"), "study = Training.*: wanted a Study"),
        (lambda: jo.race(lambda p: p[0], ["sgd"]), "function = <lambda>: wanted a name"),
        (lambda: jo.race("booth", [3]), "optimizers: one = 3: wanted an optimizer"),
        (lambda: fit().evaluate((IRIS.test.x, IRIS.test.y)), "split = tuple: wanted the name"),
    ],
)  # fmt: skip
def test_other_calls_say_what_they_want(call, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TypeError, match=message):
        call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jo.data.load(3), "dataset = 3: wanted one of: digits, "),
        (lambda: jo.data.load(["iris"]), "dataset = .*iris.*: wanted one of"),
        (lambda: jo.data.impute(0), "strategy = 0: wanted one of: mean"),
        (lambda: jo.data.one_hot(True), "unknown = True: wanted one of: ignore"),
        (lambda: jo.data.k_fold(np.ones((9, 2)), 3), "data = ndarray: wanted a Data"),
        (lambda: jo.functions.find(3), "unknown function 3"),
        (lambda: jo.fit([TRAINING], 2), "list is no jo.Experiment.*fit takes one, sweep several"),
        (lambda: jo.hypergradient([TRAINING], 2), "list is no jo.Exp.* takes one, sweep several"),
        (lambda: jo.race("booth", 3), "optimizers = 3: wanted a list of names, or a dict"),
        (lambda: jo.load_study(3), "directory = 3: wanted the name of one"),
        (lambda: jo.rank_features(3), "run = int: wanted a Run"),
        (lambda: jo.data.on(3, "one_hot"), "on: columns = 3: wanted names or positions"),
        (lambda: jo.data.select(3), "select: columns = 3: wanted names or positions"),
        (lambda: fit().evaluate(IRIS.test.x, 3), "labels = 3: wanted one for each row"),
        (lambda: fit().save(3), "path = int 3: wanted the name of a file"),
        (lambda: jo.load_model(None), "path = NoneType None: wanted the name of a file"),
        (lambda: jo.load_model(3), "path = int 3: wanted the name of a file"),
        (lambda: jo.losses.huber_loss([1.0], [2.0], delta="a"), "delta = 'a': wanted a number"),
        (lambda: jo.losses.sigmoid_focal_loss([1.0], [1], alpha="a"), "alpha = 'a': wanted a num"),
        (
            lambda: jo.losses.softmax_cross_entropy_with_integer_labels(
                np.eye(2), [0, 1], label_smoothing="x"
            ),
            "label_smoothing = 'x': wanted a number",
        ),
        (lambda: jo.losses.with_numbers(jo.losses.huber_loss, delta="a"), "delta = 'a': wanted"),
        (lambda: jo.losses.class_weighted(TRAINING.loss, {"a": 1, "b": 2}), "weights = {'a': 1"),
        (lambda: jo.losses.class_weighted(TRAINING.loss, 3), "weights = 3: wanted one for each"),
        (
            lambda: fit(loss=jo.losses.class_weighted(TRAINING.loss, (1, 2, 3, 4))),
            "has 4 weights; the data have 3 classes",
        ),
        (lambda: jo.losses.with_numbers(3, delta=1.0), "loss = 3: wanted a function"),
        (lambda: jo.models.Linear("3"), "inputs = '3': wanted an integer, at least 1"),
        (lambda: jo.models.Linear(3, 2.0), "outputs = 2.0: wanted an integer, at least 1"),
        (lambda: jo.models.Linear(3, jo.choice(1, 0)), "outputs = 0: wanted an integer"),
        (lambda: jo.models.MLP(()), r"sizes = \(\): wanted \(inputs, hidden"),
        (lambda: jo.models.MLP((2, -1, 2)), r"sizes\[1\] = -1: wanted an integer, at least 1"),
        (lambda: jo.models.MLP((2, jo.choice(3, 2.5), 2)), r"sizes\[1\] = 2.5: wanted an integer"),
        (lambda: jo.models.MLP("ab"), "sizes = 'ab': wanted a tuple"),
        (lambda: jo.models.CNN((8, 8), filters=8), "filters = 8: wanted a tuple of sizes"),
        (lambda: jo.models.Transformer(4, tokens=2, heads=0), "heads = 0: wanted an integer"),
        (lambda: jo.plot.plot_run(3), "run = int: plot_run wants a Run"),
        (lambda: jo.plot.plot_history(TRAINING), "study = Training: plot_history wants a Study"),
        (lambda: jo.plot.plot_race(result=3), "result = int: plot_race wants a Race"),
    ],
)  # fmt: skip
def test_what_no_argument_can_be_is_refused_by_its_name(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


TABLE = pd.DataFrame({"city": ["a", "b"] * 10, "age": np.arange(20.0), "none": np.nan})
CLASSES = np.arange(20) % 2


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: jo.data.from_arrays(TABLE, CLASSES, prepare={"city": "one_hot"}),
            r"for some columns wanted jo.data.on\(\['city'\], 'one_hot'\)",
        ),
        (
            lambda: jo.data.from_arrays(TABLE[["age", "none"]], CLASSES, prepare="impute"),
            "impute: column 'none' has no value in the training part",
        ),
        (
            lambda: jo.data.impute().fit(TABLE[["age", "none"]]),
            "impute: column 'none' has no value in the training part",
        ),
        (
            lambda: jo.data.standardize().fit(np.array([[b"a"]], object)),
            r"holds bytes \(b'a' in row 0\); wanted a table of numbers$",
        ),
        (
            lambda: jo.metrics.precision([0, 1, 2], [0, 1, 2]),
            "class 2: wanted 0 to 1, as n_classes = 2: more want n_classes= and an average=",
        ),
        (
            lambda: jo.metrics.confusion_matrix([0, 1, 1], [0, 1, 2], n_classes=2),
            "class 2: wanted 0 to 1, as n_classes = 2",
        ),
        (
            lambda: fit(loss=jo.losses.softmax_cross_entropy),
            "wanted softmax_cross_entropy_with_integer_labels with 3 outputs",
        ),
        (lambda: fit(metrics=("f1",)), "unknown metric 'f1'; did you mean 'f1_score'"),
    ],
)
def test_messages_say_the_way_out(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
