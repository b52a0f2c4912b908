"""Proximal steps end at the minimum, whatever the lengths of the steps; or they are refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize

import jaxopt_edu as jo
from jaxopt_edu.optim import regularizers, step_sizes

pytestmark = pytest.mark.usefixtures("compiled_quickly", "x64")
STEPS, PENALTY = 20_000, 0.05
HALVED = {"w": "fast", "b": "slow"}
LONG = {
    "sgd": lambda: jo.sgd(0.2),
    "adagrad": lambda: jo.adagrad(0.3),
    "rmsprop": lambda: jo.rmsprop(0.003),
}
CHAINED = {
    "schedule": lambda: jo.sgd(jo.exponential_decay(0.4, 1000, 0.9, end_value=0.1)),
    "by layer": lambda: jo.sgd({"w": 0.2, "b": 0.5}),
    "adagrad of introductions": lambda: jo.adagrad(0.3, 0.0, eps=1e-6, eps_in_sqrt=False),
    "rmsprop, corrected": lambda: jo.rmsprop(0.003, bias_correction=True, eps_in_sqrt=False),
    "global norm": lambda: jo.chain(jo.clip_by_global_norm(0.05), jo.sgd(0.2)),
    "block": lambda: jo.chain(jo.clip_by_block_rms(0.01), jo.adagrad(0.3)),
    "number": lambda: jo.chain(jo.clip(0.02), jo.sgd(0.2)),
    "norm": lambda: jo.chain(jo.normalize_by_update_norm(), jo.scale_by_learning_rate(0.01)),
    "scaled": lambda: jo.chain(jo.identity(), jo.sgd(0.4), jo.scale(0.5)),
    "scheduled": lambda: jo.chain(jo.scale_by_schedule(lambda t: 1 / (1 + t / 1e4)), jo.sgd(0.2)),
    "masked": lambda: jo.chain(jo.masked(jo.scale(0.5), {"w": True, "b": False}), jo.sgd(0.2)),
    "no NaN": lambda: jo.chain(jo.zero_nans(), jo.sgd(0.2)),
    "partition": lambda: jo.partition({"fast": jo.adagrad(0.3), "slow": jo.sgd(0.2)}, HALVED),
    "finite": lambda: jo.apply_if_finite(jo.chain(jo.clip(0.5), jo.sgd(0.2))),
    "accumulated": lambda: jo.multi_steps(jo.adagrad(0.3), 2),
    "nested": lambda: jo.chain(jo.chain(jo.clip(1.0)), jo.chain(jo.adagrad(0.3))),
}
FROZEN = {
    "freeze": lambda: jo.freeze({"w": True, "b": False}, jo.sgd(0.2)),
    "freeze last": lambda: jo.chain(jo.sgd(0.2), jo.freeze({"w": True, "b": False})),
    "set_to_zero": lambda: jo.partition({"fast": jo.set_to_zero(), "slow": jo.sgd(0.2)}, HALVED),
}
REFUSED = {
    "SGD": lambda: jo.sgd(0.1, momentum=0.9),
    "SGD ": lambda: jo.sgd(0.1, momentum=0.0, nesterov=True),
    "RMSProp": lambda: jo.rmsprop(0.1, momentum=0.9),
    "RMSProp ": lambda: jo.rmsprop(0.1, centered=True),
    "Trace": lambda: jo.chain(jo.trace(0.9), jo.scale_by_learning_rate(0.1)),
    "Ema": lambda: jo.chain(jo.sgd(0.1), jo.ema(0.9)),
    "Centralize": lambda: jo.chain(jo.centralize(), jo.sgd(0.1)),
    "KeepParamsNonnegative": lambda: jo.chain(jo.sgd(0.1), jo.keep_params_nonnegative()),
    "Masked": lambda: jo.masked(jo.sgd(0.1), {"w": True, "b": False}),
    "Freeze": lambda: jo.freeze({"w": True, "b": False}, jo.adam(0.1)),
    "Partition": lambda: jo.partition({"fast": jo.lion(0.1), "slow": jo.sgd(0.1)}, HALVED),
    "MultiSteps": lambda: jo.multi_steps(jo.adam(0.1), 2),
    "ApplyIfFinite": lambda: jo.apply_if_finite(jo.yogi(0.1)),
    "FromOptax": lambda: jo.from_optax(optax.sgd, 0.1),
    "Chain": lambda: jo.chain(jo.sgd(0.1), jo.sgd(0.1)),
    "Chain ": lambda: jo.chain(jo.sgd(0.1), jo.add_decayed_weights(0.1)),
    "Clip": lambda: jo.clip(0.1),
} | {
    type(recipe(0.1)).__name__: (lambda recipe=recipe: recipe(0.1))
    for recipe in (
        jo.adam, jo.adamw, jo.nadam, jo.nadamw, jo.amsgrad, jo.adamax, jo.adamaxw, jo.radam,
        jo.adabelief, jo.yogi, jo.lion, jo.sign_sgd, jo.signum, jo.adadelta,
    )
}  # fmt: skip


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def training(optimizer, regularizer=None):
    return jo.Training(
        model=jo.models.Linear(30), loss=jo.losses.sigmoid_binary_cross_entropy,
        data=jo.data.load("breast_cancer"), optimizer=optimizer,
        regularizer=jo.proximal(jo.L1(PENALTY)) if regularizer is None else regularizer,
    )  # fmt: skip


# ------------------------------------------------------------------------------- the minimum


def objective(v, l1, l2):
    """Mean logistic loss + l1 |w| + l2/2 w^2 of w = v[:30] - v[30:60], and its gradient."""
    train = jo.data.load("breast_cancer").train
    x, y = np.asarray(train.x, float), np.asarray(train.y)
    w, z = v[:30] - v[30:60], x @ (v[:30] - v[30:60]) + v[60]
    value = np.mean(np.logaddexp(0, z) - y * z) + l1 * v[:60].sum() + l2 / 2 * (w**2).sum()
    r = (1 / (1 + np.exp(-z)) - y) / len(y)
    slope = x.T @ r + l2 * w
    return value, np.concatenate([slope + l1, -slope + l1, [r.sum()]])


def gap(run, l1=PENALTY, l2=0.0):
    """How far a run is above SciPy's minimum."""
    bounds, options = [(0, None)] * 60 + [(None, None)], {"ftol": 1e-15, "gtol": 1e-9}
    options |= {"maxiter": 10_000, "maxfun": 10_000}
    best = minimize(
        objective, np.zeros(61), (l1, l2), "L-BFGS-B", jac=True, bounds=bounds, options=options
    ).fun
    w, b = np.asarray(run.params["w"], float).ravel(), float(run.params["b"])
    return objective(np.concatenate([np.maximum(w, 0), np.maximum(-w, 0), [b]]), l1, l2)[0] - best


@pytest.mark.parametrize(
    "name", ["adagrad", *(pytest.param(n, marks=pytest.mark.slow) for n in ("sgd", "rmsprop"))]
)
def test_the_end_is_the_minimum_that_scipy_finds(name):
    run = jo.fit(training(LONG[name]()), STEPS, tol=1e-6)
    assert gap(run) < 1e-6 and int((run.params["w"] != 0).sum()) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["schedule", "rmsprop, corrected", "global norm", "block", "number", "norm", "partition",
     "finite", "accumulated"],
)  # fmt: skip
def test_so_it_is_behind_and_before_other_links(name):
    run = jo.fit(training(CHAINED[name]()), 2 * STEPS, tol=1e-7)
    assert gap(run) < 1e-6 and int((run.params["w"] != 0).sum()) == 5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("regularizer", "l1", "l2"),
    [
        (jo.ElasticNet(0.05, 0.5), 0.025, 0.025),
        (jo.L2(0.05), 0, 0.05),
        (jo.prior(jo.L1(0.05 * 341)), 0.05, 0.0),
    ],
    ids=("elastic net", "l2", "prior"),
)
def test_so_it_is_under_other_penalties(regularizer, l1, l2):
    if isinstance(regularizer, jo.Prior):
        regularizer = jo.prior(jo.proximal(regularizer.regularizer))
    else:
        regularizer = jo.proximal(regularizer)
    assert gap(jo.fit(training(jo.adagrad(0.3), regularizer), STEPS, tol=1e-7), l1, l2) < 1e-6


@pytest.mark.slow
def test_a_decay_before_the_step_is_a_part_of_the_loss():
    optimizer = jo.chain(jo.add_decayed_weights(0.025, {"w": True, "b": False}), jo.adagrad(0.3))
    run = jo.fit(training(optimizer, jo.proximal(jo.L1(0.025))), STEPS)
    assert gap(run, 0.025, 0.025) < 1e-6


# ------------------------------------------------------------------------------- the lengths


def test_the_update_is_the_gradient_times_the_lengths():
    """Of a first, second and third update, also by gradients that are exactly 0."""
    p = {"w": jnp.array([1.0, -2.0, 0.5]), "b": jnp.array(0.3)}
    all_of_them = {k: make() for k, make in (LONG | CHAINED | FROZEN).items()}

    def walk(optimizer):
        state, rows = optimizer.init(p), []
        for t in range(3):
            g = {"w": jnp.array([0.5, 0.0, 3.0]) * (1 + t), "b": jnp.array(-0.2)}
            u, new = optimizer.update(g, state, p)
            rows.append((g, u, step_sizes.lengths(optimizer, g, state, new, p)))
            state = new
        return rows

    for name, rows in jax.jit(lambda all: {k: walk(o) for k, o in all.items()})(
        all_of_them
    ).items():
        for t, (g, u, d) in enumerate(rows):
            if name == "accumulated" and t == 1:
                g = {"w": g["w"] * 0.75, "b": g["b"]}  # the mean of two
            d = d if isinstance(d, dict) else {"w": d, "b": d}
            for leaf in ("w", "b"):
                np.testing.assert_allclose(-d[leaf] * g[leaf], u[leaf], 1e-12, err_msg=name)


@pytest.mark.parametrize("name", FROZEN)
def test_what_is_frozen_stays_where_it_is(name):
    start = training(FROZEN[name]())
    state = start.init(jax.random.key(0))
    new, _ = jax.jit(start.step)(state, 0, jax.random.key(0))
    assert (new.params["w"] == state.params["w"]).all() and new.params["b"] != state.params["b"]


# ---------------------------------------------------------------------------------- refused


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_rule_is_refused_before_anything_is_compiled(name):
    """A Decoupled of the same goes on as before."""
    experiment = training(REFUSED[name]())
    with pytest.raises(ValueError, match=rf"{name.strip()} does not step.*wanted sgd without"):
        experiment.check()
    dataclasses.replace(experiment, regularizer=jo.decoupled(jo.L1(0.1))).check()
    dataclasses.replace(experiment, regularizer=jo.L1(0.1)).check()


def test_every_driver_refuses_by_name():
    experiment = training(jo.adam(0.1))
    space = training(jo.one_of(jo.sgd(jo.uniform(0.1, 0.2)), jo.adam(jo.uniform(0.1, 0.2))))
    private = dataclasses.replace(experiment, estimator=jo.Private(1.0, 1.0))
    prior = dataclasses.replace(experiment, regularizer=jo.prior(jo.proximal(jo.L2(1.0))))
    for attempt in (
        lambda: jo.fit(experiment, 3),
        lambda: jo.fit(prior, 3),
        lambda: jo.fit(private, 3),
        lambda: jo.fit(experiment, 3, accumulate=2),
        lambda: jo.sweep(space, 8, steps=3),
        lambda: jo.cross_validate(experiment, folds=3, steps=3),
        lambda: jo.hypergradient(experiment, 3),
        lambda: jo.find_learning_rate(experiment, steps=3),
    ):
        with pytest.raises(ValueError, match="Adam does not step.*wanted sgd"):
            attempt()


@jo.pytree
class Group(regularizers.Regularizer):
    """The Euclidean norm of an array, which is no sum over its numbers."""

    weight: float = jo.number(0)
    mask: object = jo.static(default=None)

    def of(self, w):
        return self.weight * jnp.sqrt(jnp.sum(w**2))

    def shrink(self, w, step):
        size = jnp.sqrt(jnp.sum(w**2))
        return w * jnp.maximum(1 - step * self.weight / jnp.where(size > 0, size, 1), 0)


@jo.pytree
class Bounded:
    """A box: its prox needs no step, and any."""

    separable = True

    def prox(self, params, step):
        assert jax.tree.structure(step) == jax.tree.structure(params)
        return jax.tree.map(lambda p, s: jnp.clip(p, -0.1, 0.1) + 0 * s, params, step)


def test_ones_own_prox_takes_a_number_or_says_that_it_takes_arrays():
    with pytest.raises(ValueError, match="AdaGrad steps by other lengths.*Group does not say"):
        training(jo.adagrad(0.1), jo.proximal(Group(0.1))).check()
    norm = jo.fit(training(jo.sgd(0.2), jo.proximal(Group(5.0))), 50).params["w"]
    assert (norm == 0).all()
    boxed = jo.fit(training(jo.adagrad(0.3), jo.proximal(Bounded())), 50).params
    assert jnp.abs(boxed["w"]).max() == pytest.approx(0.1)


# --------------------------------------------------------------------------------------- tol


def test_tol_is_reached_at_the_minimum_and_watches_a_plain_proximal_step():
    experiment = training(jo.adagrad(0.3), jo.proximal(jo.ElasticNet(0.05, 0.5)))
    run = jo.fit(experiment, STEPS, tol=1e-4)
    assert run.status == "converged" and gap(run, 0.025, 0.025) < 1e-5
    x, y, _ = experiment.data.train.first()

    def loss(p):
        return jnp.mean(experiment.loss(experiment.model.apply(p, x), y))

    g, p = jax.grad(loss)(run.params), run.params
    moved = jo.ElasticNet(0.05, 0.5).prox(jax.tree.map(jnp.subtract, p, g), 1.0)
    expected = jo.tree.norm(jax.tree.map(jnp.subtract, p, moved))
    assert expected <= 1e-4
    for factor, done in ((0.999, False), (1.001, True)):  # tol is compared with this number
        told = jo.replace(experiment, tol=float(expected) * factor)
        assert bool(told.step(run.state, 0, jax.random.key(0))[1].done) == done


def test_tol_watches_the_gradient_where_nothing_is_proximal():
    experiment = training(jo.sgd(0.2), jo.decoupled(jo.L2(0.1)))
    state = experiment.init(jax.random.key(0))
    x, y, _ = experiment.data.train.first()

    def loss(p):
        return jnp.mean(experiment.loss(experiment.model.apply(p, x), y))

    norm = float(jo.tree.norm(jax.grad(loss)(state.params)))
    for factor, done in ((1 - 1e-9, False), (1 + 1e-9, True)):
        told = jo.replace(experiment, tol=norm * factor)
        assert bool(told.step(state, 0, jax.random.key(0))[1].done) == done


def test_parts_of_a_batch_go_the_same_way():
    one, parts = (jo.fit(training(jo.adagrad(0.3)), 20, accumulate=k) for k in (1, 2))
    np.testing.assert_allclose(one.params["w"], parts.params["w"], 1e-9, 1e-12)
