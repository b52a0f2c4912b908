"""Structure in a space: sizes, activations, batch sizes, losses; and vectors that are no batch."""

import dataclasses
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import rankdata

import jaxopt_edu as jo
from jaxopt_edu.cli.presets import build
from jaxopt_edu.cli.program import parser
from jaxopt_edu.optim import optimizers
from jaxopt_edu.search.setup import settled
from jaxopt_edu.search.trials import plan
from jaxopt_edu.values.names import recipes
from jaxopt_edu.values.space import groups
from jaxopt_edu.view.plot.importance_bars import importance

CE = jo.losses.softmax_cross_entropy_with_integer_labels
MLP, RATE = jo.models.MLP, jo.log_uniform(1e-2, 1.0)
V = jnp.array([1.0, 2.0, 3.0])


def training(rate=RATE, **parts):
    given = {"model": jo.models.Linear(4, 3), "loss": CE, "optimizer": jo.sgd(rate)}
    return jo.Training(**(given | {"data": jo.data.load("iris")} | parts))


def structures(space):
    """The labels of all structures, in order."""
    return [tuple(group.labels().values()) for group in groups(space)]


# ---------------------------------------------------------------------- what may be alternatives


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ({"model": MLP(jo.one_of((4, 8, 3), (4, 16, 3)))}, ["4-8-3", "4-16-3"]),
        ({"model": MLP(jo.choice((4, 8, 3), (4, 16, 3)))}, ["4-8-3", "4-16-3"]),
        ({"model": MLP(jo.choice(np.array([[4, 8, 3], [4, 9, 3]])))}, ["4-8-3", "4-9-3"]),
        ({"model": MLP((4, jo.choice(16, 32), 3))}, [16, 32]),
        ({"model": MLP((4, jo.int_uniform(2, 4), 3))}, [2, 3, 4]),
        ({"model": MLP((4, 8, 3), activation=jo.one_of("relu", "tanh"))}, ["relu", "tanh"]),
        ({"model": MLP((4, 8, 3), jo.one_of(jax.nn.relu, jnp.tanh))}, ["relu", "tanh"]),
        ({"model": MLP((4, 8, 3), jo.one_of(jnp.sin, jnp.cos))}, ["sin", "cos"]),
        ({"model": jo.models.CNN((2, 2), 3, filters=(jo.choice(2, 4),))}, [2, 4]),
        ({"model": jo.models.CNN((2, 2), 3, (2,), hidden=jo.one_of((), (4,)))}, ["none", "4"]),
        ({"model": jo.models.Transformer(4, 3, tokens=2, width=jo.choice(4, 8))}, [4, 8]),
        ({"model": jo.models.SoftTree(4, 3, depth=jo.int_uniform(1, 2))}, [1, 2]),
        ({"batch_size": jo.choice(16, 64)}, [16, 64]),
        ({"batch_size": jo.choice(*np.array([8, 16]))}, [8, 16]),
        ({"batch_size": jo.one_of(np.int64(8), None)}, [8, None]),
        ({"balanced": jo.choice(np.array([True, False])), "batch_size": 9}, [True, False]),
        ({"optimizer": jo.sgd(RATE, 0.9, jo.one_of(True, False))}, [True, False]),
        ({"loss": jo.one_of(lambda p, y: CE(p, y), lambda p, y: 2 * CE(p, y))},
         ["lambda #0", "lambda #1"]),
        ({"data": jo.one_of(*(jo.data.load("iris", seed=i) for i in (0, 1)))},
         ["iris(seed=0)", "iris(seed=1)"]),
        ({"regularizer": jo.one_of(jo.L2(0.1), jo.L2(0.2), None)},
         ["L2(weight=0.1)", "L2(weight=0.2)", None]),
        ({"optimizer": jo.one_of(jo.one_of(jo.sgd(0.1), jo.adam(0.1)), jo.sgd(0.1))},
         ["sgd #0", "adam", "sgd #2"]),
    ],
    ids=lambda x: "-".join(map(str, x)),
)  # fmt: skip
def test_structure_is_chosen_and_each_structure_runs(parts, wanted):
    space = training(**parts)
    assert structures(space) == [(x,) for x in wanted]
    for template in (one.template for one in plan(space, 8, 0, "random").structures):
        template.check()
        state = jax.eval_shape(template.init, jax.random.key(0))
        jax.eval_shape(template.step, state, np.int32(0), jax.random.key(0))
    with pytest.raises(TypeError, match="fit runs one experiment; `sweep` a space"):
        jo.fit(dataclasses.replace(space, regularizer=parts.get("regularizer")), 2)


@pytest.mark.parametrize(
    "batch_size", [None, pytest.param(jo.one_of(16, 32), marks=pytest.mark.slow)]
)
def test_a_sweep_over_structure_is_a_table_of_it(batch_size):
    model = MLP((4, jo.choice(np.array([2, 4])), 3))
    study = jo.sweep(training(model=model, batch_size=batch_size), 8, steps=2)
    table = study.columns
    assert set(table["model.sizes.1"].tolist()) == {2, 4}
    for trial in range(len(study)) if batch_size is not None else (0,):
        experiment = study.experiment(trial)
        assert experiment.model.sizes == (4, table["model.sizes.1"][trial], 3)
        assert experiment.batch_size == (batch_size and table["batch_size"][trial])
        assert study.rerun(trial).evaluate()["loss"] == table["validation_loss"][trial]


def test_the_importance_of_a_choice_is_what_it_explains_of_the_ranks():
    rules = jo.one_of(jo.sgd(1e-5), jo.sgd(0.5, momentum=0.9))
    study = jo.sweep(
        training(optimizer=rules, regularizer=jo.L2(jo.uniform(0.0, 1e-4))), 24, steps=5
    )
    ranks, which = rankdata(study.columns["validation_loss"]), study.columns["optimizer"]
    assert set(which) == {"sgd(learning_rate=1e-05)", "sgd(learning_rate=0.5, momentum=0.9)"}
    between = sum((which == k).sum() * (ranks[which == k].mean() - ranks.mean()) ** 2
                  for k in set(which))  # fmt: skip
    assert importance(study)["optimizer"] == pytest.approx(between / (24 * ranks.var()), abs=0.1)
    assert study.hyperparameters()["optimizer"] == "sgd(learning_rate=0.5, momentum=0.9)"


def test_a_number_and_structure_may_share_a_name():
    rates = jo.one_of(jo.constant_schedule(0.1), jo.uniform(0.1, 0.2))
    study = jo.sweep(training(rates), 12, steps=2)
    column = study.columns["optimizer.learning_rate"].tolist()
    assert {x for x in column if not isinstance(x, float)} == {"constant_schedule"}
    assert any(isinstance(x, float) and 0.1 < x < 0.2 for x in column)


def test_lists_are_told_apart_by_what_differs():
    listed = [training(0.1), training(0.2), training(0.1, optimizer=jo.sgd(0.1, momentum=0.9)),
              training(0.1, loss=lambda p, y: CE(p, y))]  # fmt: skip
    batches = plan(listed, None, 0, "random").ask(0)
    told = [tuple(batch.labels.values()) for batch in batches]
    assert told == [
        (CE.__name__, "sgd(learning_rate=...)"),
        (CE.__name__, "sgd(learning_rate=0.1, momentum=0.9)"),
        ("lambda", "sgd(learning_rate=0.1)"),
    ]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: groups(training(batch_size=jo.uniform(8, 64))), ValueError,
         r"batch_size = uniform\(8, 64\): batch_size is structure"),
        (lambda: groups(training(batch_size=jo.int_uniform(8, 64))), ValueError,
         r"batch_size = int_uniform\(8, 64\): .* wanted choice"),
        (lambda: MLP((4, 8, 3), activation=3), TypeError, "activation = 3: wanted a function or"),
        (lambda: MLP((4, 8, 3), "rleu"), ValueError, "activation = 'rleu' .* did you mean 'relu'"),
        (lambda: MLP((4, 8, 3), jo.one_of("relu", "tahn")), ValueError, "activation = 'tahn'"),
        (lambda: jo.models.CNN((2, 2), activation=None), TypeError, "activation = None"),
        (lambda: MLP(16), TypeError, "sizes = 16: wanted a tuple of sizes"),
        (lambda: jo.choice(float("nan"), 1.0), ValueError, "choice: option nan: wanted finite"),
        (lambda: jo.choice([]), ValueError, "choice: no options"),
        (lambda: jo.choice({1, 2}), TypeError, "choice: {1, 2} has no order"),
        (lambda: jo.uniform(np.nan, 1), ValueError, "uniform: low = nan: wanted a finite number"),
        (lambda: jo.uniform(np.float32(2), jnp.float32(1)), ValueError, "low = 2.0 must be below"),
        (lambda: jo.int_uniform(np.int64(8), np.array(1)), ValueError, "low = 8 must be below"),
        (lambda: jo.replace(training(0.1), **{"optimizer.lr": 1}), ValueError,
         "'optimizer.lr'; did you mean 'optimizer.learning_rate'"),
    ],
)  # fmt: skip
def test_what_is_no_structure_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_activations_given_as_functions_are_those_of_that_name():
    for name, f in {"gelu": jax.nn.gelu, "relu": jax.nn.relu, "tanh": jnp.tanh}.items():
        assert MLP((4, 8, 3), activation=f) == MLP((4, 8, 3), activation=name)
    model = MLP((2, 2), activation=jnp.sin)
    deep = dataclasses.replace(model, sizes=(2, 2, 1))
    params, x = deep.init(jax.random.key(0)), jnp.ones((1, 2))
    hidden = jnp.sin(x @ params[0]["w"].T)
    np.testing.assert_allclose(deep.apply(params, x), (hidden @ params[1]["w"].T)[:, 0], rtol=1e-6)


def test_unknown_arguments_of_recipes_are_named_with_the_nearest():
    for name, make in recipes(optimizers).items():
        if "learning_rate" in make.__signature__.parameters:
            with pytest.raises(TypeError, match=f"{name}: .* 'lr'; did you mean 'learning_rate'"):
                make(lr=0.1)


@pytest.mark.parametrize("hidden", [[], ["--hidden", "8,4"]])
def test_the_command_line_has_the_same_structures(hidden):
    asked = ["model.sizes=choice((4,8,3),(4,16,3))", "batch_size=choice(16,64)"]
    words = ["sweep", "iris", *hidden, *(w for text in asked for w in ("--space", text))]
    space = build(parser().parse_args(words), sampled=True)
    sizes, batches, rules = ("4-8-3", "4-16-3"), (16, 64), ("adam", "sgd")
    wanted = {(s, o, b) for s in sizes for b in batches for o in rules}
    assert set(structures(space)) == wanted


# ------------------------------------------------------------------------------ vectors


@jo.pytree
class Weighted:
    """A loss with a weight for each class, in a field that is not declared a number."""

    weights: object

    def __call__(self, predictions, targets):
        return CE(predictions, targets) * self.weights[targets]


@jo.pytree
class Decay(jo.Experiment):
    """Params that are part of the experiment, under names as Flax has them."""

    params: object
    rate: object = jo.number(0)
    splits = ("train",)

    def init(self, key):
        return self.params

    def step(self, params, t, key):
        return jax.tree.map(lambda x: x * (1 - self.rate), params), jo.Step()

    def score(self, params, split):
        return {"loss": sum(jnp.sum(x**2) for x in jax.tree.leaves(params))}


def test_a_vector_is_a_constant_beside_a_distribution():
    noisy = jo.augment.noise(jnp.array([0.1, 0.2, 0.3, 0.4]))
    space = training(loss=Weighted(V), augment=noisy)
    study = jo.sweep(space, 3, steps=2)
    assert study.swept == ("optimizer.learning_rate",) and len(study) == 3
    assert study.rerun(1).evaluate()["loss"] == study.columns["validation_loss"][1]


@pytest.mark.slow
def test_a_vector_is_a_constant_in_all_that_sweeps():
    space = training(loss=Weighted(V))
    study = jo.sweep(space, 3, steps=2)
    alone = jo.fit(study.experiment(1), 2)
    assert alone.evaluate()["loss"] == pytest.approx(study.columns["validation_loss"][1], rel=1e-6)
    rates = jo.find_learning_rate(training(0.1, loss=Weighted(V)), 2, rates=3, high=1.0)
    assert rates.study.swept == ("optimizer.learning_rate",)
    assert jo.hypergradient(training(0.1, loss=Weighted(V)), 2)[1].loss.weights.shape == (3,)
    assert jo.cross_validate(training(0.1, loss=Weighted(V)), 3, steps=2).scores["loss"].shape == (
        3,
    )
    assert jo.tune(training(loss=Weighted(V)), 2, updates=1, starts=2).scores.shape == (2, 2)


def test_a_vector_is_a_batch_only_where_a_number_is_declared():
    decay = Decay({"Dense_0.kernel": V, "b": jnp.ones(2)}, jnp.array([0.1, 0.2]))
    study = jo.sweep(decay, steps=1)
    assert study.swept == ("rate",) and len(study) == 2
    kernels = jo.sweep(Decay({"Dense_0.kernel": jo.uniform(1.0, 2.0)}, 0.1), 3, steps=1)
    assert kernels.swept == ("params.Dense_0.kernel",)
    assert jo.replace(kernels.best, **{"Dense_0.kernel": 5.0}).params == {"Dense_0.kernel": 5.0}
    with pytest.raises(ValueError, match="nothing to sample: .* no vector in a field declared"):
        plan(training(0.1, loss=Weighted(V)), 4, 0, "random")
    mixed = training(jnp.array([0.1, 0.2]), regularizer=jo.L2(V))
    with pytest.raises(ValueError, match="'optimizer.learning_rate': 2, 'regularizer.weight': 3"):
        jo.sweep(mixed, steps=1)
    for rules in (jax.vmap(jo.adam)(jnp.array([0.1, 0.2])), jo.sgd(np.array([0.1, 0.2]))):
        with pytest.raises(TypeError, match="optimizer.learning_rate is a vector of 2 numbers"):
            jo.fit(training(0.1, optimizer=rules), 2)
    with pytest.raises(
        TypeError, match=r"regularizer.weight \(2 numbers\): a vector where a number"
    ):
        jo.fit(training(0.1, regularizer=jo.L2(V[:2])), 2)


# ------------------------------------------------------------------------------ first rungs

POLICIES = [jo.halving, jo.hyperband, jo.median_stopping, jo.population]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.__name__)
@pytest.mark.parametrize("batch_size", [1, 4, 30, None])
def test_the_first_rung_is_an_epoch_or_a_fortieth_of_the_steps(policy, batch_size):
    experiment = training(0.1, batch_size=batch_size)
    slower = dataclasses.replace(experiment, batch_size=2)
    for steps in (400, 4000):
        epoch = -(-steps // 40) if batch_size is None else 90 // batch_size
        first = settled(policy(), steps, [experiment]).stops(steps)[0]
        assert epoch <= first <= max(epoch * 4, steps // 8)  # hyperband's are steps / 4^i
        assert settled(policy(), steps, [experiment, slower]).stops(steps)[0] >= max(epoch, 45)
    assert settled(policy(), 400, [experiment.folded(3)]).stops(400)[0] >= 80 // (batch_size or 80)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: p.__name__)
def test_rungs_that_rank_noise_or_nothing_warn(policy):
    name = "every" if policy is jo.population else "first"
    experiment = training(0.1, batch_size=4)
    with pytest.warns(UserWarning, match=r"judges at step .*: wanted at least 22 steps"):
        settled(policy(**{name: 3}), 400, [experiment])
    with pytest.warns(UserWarning, match=r"no trial: .* not below steps = 20 .an epoch has 22"):
        settled(policy(), 20, [experiment])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        settled(policy(**{name: 25}), 400, [experiment])
    for wrong in (policy, "halving", 4):
        with pytest.raises(TypeError, match="rungs = .*: wanted a policy, such as jo.halving"):
            jo.sweep(training(), 2, steps=2, rungs=wrong)
