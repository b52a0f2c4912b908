"""Optimizers of optax that look at the objective, in a `Training`: alone and in a sweep."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

import jaxopt_edu as jo
from jaxopt_edu.train.objective import Objective

CONTRIB = optax.contrib
IRIS = jo.Training(
    model=jo.models.Linear(4, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(0.1), data=jo.data.load("iris"), regularizer=jo.L2(1e-3),
)  # fmt: skip


def plateau(learning_rate):
    return optax.chain(optax.sgd(learning_rate), CONTRIB.reduce_on_plateau(patience=2))


def sam(learning_rate):
    return CONTRIB.sam(optax.sgd(learning_rate), optax.sgd(0.05), opaque_mode=True)


MADE = {
    "lbfgs": lambda rate: jo.from_optax(optax.lbfgs),
    "sophia": lambda rate: jo.from_optax(CONTRIB.sophia, rate),
    "sam": lambda rate: jo.from_optax(sam, rate),
    "schedule_free_adamw": lambda rate: jo.from_optax(CONTRIB.schedule_free_adamw, rate),
    "polyak_sgd": lambda rate: jo.from_optax(optax.polyak_sgd, max_learning_rate=rate),
    "momo": lambda rate: jo.from_optax(CONTRIB.momo, rate),
    "prodigy": lambda rate: jo.from_optax(CONTRIB.prodigy, rate, estim_lr0=0.1),
    "plateau": lambda rate: jo.from_optax(plateau, rate),
}
DEAR = ("lbfgs", "sophia", "prodigy")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEAR else n for n in MADE]
)
def test_each_trains_alone_and_in_a_sweep(name):
    """In float64, as the signs of gradients that are nearly 0 decide on a first step of Adam's."""
    with jax.enable_x64(True):
        _trains_alone_and_in_a_sweep(name)


def _trains_alone_and_in_a_sweep(name):
    rates, iris = (0.05, 0.2), dataclasses.replace(IRIS, data=jo.data.load("iris"))
    each = [dataclasses.replace(iris, optimizer=MADE[name](rate)) for rate in rates]
    study = jo.sweep(each, steps=40, tile=2)
    untrained = float(iris.score(iris.init(jax.random.key(0)), "train")["loss"])
    for trial, experiment in enumerate(each):
        run = jo.fit(experiment, 40)
        assert run.status == "finished" and run.evaluate("train")["loss"] < 0.9 * untrained
        found = study.row(trial)["validation_loss"]
        assert found == pytest.approx(run.evaluate()["loss"], rel=1e-8)


def test_schedule_free_is_scored_where_optax_says():
    experiment = dataclasses.replace(IRIS, optimizer=MADE["schedule_free_adamw"](0.1))
    run = jo.fit(experiment, 40)
    [state] = [
        part
        for part in jax.tree.leaves(
            run.state.optimizer, is_leaf=lambda x: isinstance(x, CONTRIB.ScheduleFreeState)
        )
        if isinstance(part, CONTRIB.ScheduleFreeState)
    ]
    wanted = CONTRIB.schedule_free_eval_params(state, run.state.params)
    for x, y in zip(jax.tree.leaves(run.params), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
    scores = experiment.measure(wanted, (), "test")
    assert run.evaluate("test")["loss"] == pytest.approx(float(scores["loss"]), rel=1e-6)
    moved = experiment.measure(run.state.params, (), "test")
    assert abs(float(moved["loss"]) - float(scores["loss"])) > 1e-5


@pytest.mark.parametrize(
    ("name", "classes"), [("breast_cancer", 1), pytest.param("digits", 10, marks=pytest.mark.slow)]
)
def test_lbfgs_finds_the_optimum_that_scipy_finds(name, classes):
    with jax.enable_x64(True):
        data = jo.data.load(name)
        losses = jo.losses.sigmoid_binary_cross_entropy
        if classes > 1:
            losses = jo.losses.softmax_cross_entropy_with_integer_labels
        x, y = (jnp.asarray(a) for a in (data.train.x, data.train.y))
        x = x.astype(jnp.float64)
        data = jo.data.from_arrays(np.asarray(x), np.asarray(y), validation=0, test=0, prepare=None)
        inputs = x.shape[1]
        model = jo.models.Linear(inputs) if classes == 1 else jo.models.Linear(inputs, classes)
        training = jo.Training(
            model, losses, jo.from_optax(optax.lbfgs), data, regularizer=jo.L2(1e-2)
        )
        run = jo.fit(training, 80)

        def objective(params):
            mean = jnp.mean(losses(model.apply(params, x), y))
            return mean + training.penalty(params)

        flat, unravel = jax.flatten_util.ravel_pytree(run.params)
        slope = jax.jit(jax.value_and_grad(lambda p: objective(unravel(p))))
        best = minimize(
            lambda p: [np.asarray(z, float) for z in slope(p)], np.zeros(len(flat)), jac=True,
            method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-16, "gtol": 1e-10},
        )  # fmt: skip
        assert abs(float(objective(run.params)) - best.fun) < 1e-8


OBJECTIVES = {
    "plain": jo.Plain(),
    "one part": jo.InParts(1),
    "parts": jo.InParts(4),  # of 30 rows, so two are padding
    "uphill": jo.Sharpness(0.3),
    "parts uphill": jo.InParts(3, of=jo.Sharpness(0.3)),
    "uphill in parts": jo.Sharpness(0.3, of=jo.InParts(3)),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if "uphill" in n else n for n in OBJECTIVES]
)
def test_the_value_and_gradient_of_an_objective_are_those_that_are_estimated(name):
    with jax.enable_x64(True):
        model = jo.models.MLP((4, 6, 3), dropout=0.3)  # the objective has the masks of the step
        training = dataclasses.replace(
            IRIS, model=model, data=jo.data.load("iris"), batch_size=30, estimator=OBJECTIVES[name]
        )
        params, key = training.init(jax.random.key(0)).params, jax.random.key(1)
        estimator = training.estimator
        batch = estimator.prepared(training, estimator.draw(training, 0, key), 0, key)
        f = Objective(training, (), batch, 0, key, jax.random.key(2))
        found = jax.jit(lambda p: estimator.estimate(f, p))(params)
        value, slope = jax.jit(jax.value_and_grad(estimator.objective(f)))(params)
    assert value.dtype == jnp.float64
    np.testing.assert_allclose(value, found.value, rtol=1e-12)
    for x, y in zip(jax.tree.leaves(slope), jax.tree.leaves(found.gradient), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-14)


@pytest.mark.slow
def test_a_line_search_in_parts_is_that_of_the_whole_batch():
    with jax.enable_x64(True):
        one = dataclasses.replace(
            IRIS, optimizer=jo.from_optax(optax.lbfgs), data=jo.data.load("iris")
        )
        whole, parts = (jo.fit(one, 5, accumulate=k) for k in (1, 4))
    assert whole.evaluate("train")["loss"] < 0.2
    for x, y in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-8)
