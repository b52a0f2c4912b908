"""Regularizers: proximal operators are what they say, and all three ways of acting are right."""

import dataclasses
import inspect
import pickle
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.optimize import minimize_scalar

import jaxopt_edu as jo
from jaxopt_edu.optim import regularizers
from jaxopt_edu.optim.optimizers import adam, sgd
from jaxopt_edu.optim.priors import prior
from jaxopt_edu.optim.regularizers import (
    L1,
    L2,
    Decoupled,
    ElasticNet,
    Proximal,
    Regularizer,
    decoupled,
    proximal,
    weights_only,
)
from jaxopt_edu.optim.step_sizes import learning_rate_of
from jaxopt_edu.optim.transform import apply_updates, chain
from jaxopt_edu.optim.transforms import (
    apply_if_finite,
    clip,
    freeze,
    masked,
    multi_steps,
    partition,
)
from jaxopt_edu.values.names import hyperparameters, replace

pytestmark = pytest.mark.usefixtures("compiled_quickly")
EVERYTHING = [getattr(regularizers, name) for name in regularizers.__all__]
PENALTIES = [
    c for c in EVERYTHING if inspect.isclass(c) and issubclass(c, Regularizer) and c != Regularizer
]
WAYS = [lambda r: r, decoupled, proximal]
over_penalties = pytest.mark.parametrize("cls", PENALTIES, ids=lambda c: c.__name__)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def made(cls, **fields):
    """An example of a penalty: 0.3 for every number that has no default."""
    needed = [f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING]
    return cls(**{name: 0.3 for name in needed} | fields)


def some_params(dtype=None):
    w, b = np.split(np.random.default_rng(0).normal(size=8), [6])
    w[0] = 0
    return {"layer": {"w": jnp.asarray(w.reshape(3, 2), dtype), "b": jnp.asarray(b, dtype)}}


def close(x, y, tolerance=1e-12):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, tolerance, tolerance), x, y)


# ------------------------------------------------------------------------- penalty and prox


@over_penalties
def test_prox_is_the_argmin_that_scipy_finds(cls, x64):
    r, step, points = made(cls), 0.7, jnp.linspace(-2, 2, 9)
    objective = jax.jit(lambda x, w: step * r(x) + (x - w) ** 2 / 2)
    found = [minimize_scalar(objective, bracket=(-3, 3), args=(w,), tol=1e-10).x for w in points]
    close(r.prox(points, step), jnp.array(found), 1e-6)


@over_penalties
def test_the_residual_of_prox_is_a_subgradient(cls, x64):
    r, step, rng = made(cls), 0.7, np.random.default_rng(1)
    x, y = (jnp.asarray(z) for z in rng.normal(size=(2, 50)))
    p = r.prox(x, step)
    assert r(y) >= r(p) + jnp.vdot((x - p) / step, y - p)


@over_penalties
def test_prox_is_firmly_nonexpansive(cls, x64):
    r, rng = made(cls), np.random.default_rng(2)
    x, y = (jnp.asarray(z) for z in rng.normal(size=(2, 50)))
    d = r.prox(x, 2.0) - r.prox(y, 2.0)
    assert jnp.vdot(d, d) <= jnp.vdot(d, x - y)


def test_moreau_splits_a_point_between_l1_and_its_dual_ball(x64):
    x = jnp.linspace(-2, 2, 41)
    close(x - L1(0.5).prox(x, 1.5), jnp.clip(x, -0.75, 0.75))


def test_the_scaling_is_as_stated(x64):
    w = jnp.array([3.0, -1.0])
    close(L1(0.5)(w), 0.5 * 4)
    close(L2(0.5)(w), 0.25 * 10)
    close(jax.grad(L2(0.5))(w), 0.5 * w)
    close(ElasticNet(0.5, 0.2)(w), 0.5 * (0.2 * 4 + 0.8 / 2 * 10))
    close(ElasticNet(0.5, 1.0).prox(w, 0.1), L1(0.5).prox(w, 0.1))
    close(ElasticNet(0.5, 0.0).prox(w, 0.1), L2(0.5).prox(w, 0.1))


def test_l1_makes_exact_zeros_and_has_derivative_zero_there():
    assert jax.grad(L1(1.0))(jnp.array(0.0)) == 0
    w = jnp.array([0.2, -0.1, 0.05, 0.0, 3.0])
    assert jnp.all((L1(1.0).prox(w, 0.2) == 0) == jnp.array([True, True, True, True, False]))


@over_penalties
def test_gradients_are_finite_even_at_zero(cls, x64):
    def total(r, p, step):
        return r(p) + jnp.sum(r.prox(p, step)["w"] ** 2)

    grad = jax.jit(jax.grad(total, (0, 1, 2)))
    for w in (jnp.zeros(3), jnp.array([0.0, 1.0, -2.0])):
        grads = grad(made(cls), {"w": w}, 0.5)
        assert all(bool(jnp.all(jnp.isfinite(g))) for g in jax.tree.leaves(grads))


@over_penalties
def test_vmap_over_every_number_equals_the_loop(cls, x64):
    p, scales = some_params(), (1.0, 0.5, 0.1)
    f = jax.jit(lambda r: (r(p), r.prox(p, 0.3)))
    many = jax.tree.map(lambda x: jnp.array([s * x for s in scales]), made(cls))
    batch = jax.vmap(f)(many)
    for i in range(3):
        one = jax.tree.map(lambda x, i=i: x[i], (many, batch))
        close(f(one[0]), one[1])


@over_penalties
def test_one_trace_serves_all_values_and_every_kind_of_mask(cls):
    traces = []

    @jax.jit
    def f(r, p):
        traces.append(1)
        return r(p), r.prox(p, 0.1)

    p = some_params()
    for weight in (0.1, 0.2, 0.3):
        for mask in ({"layer": {"w": True, "b": False}}, {"layer": True}, None, weights_only):
            f(made(cls, weight=weight, mask=mask), p)
    assert len(traces) == 4


@over_penalties
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_dtypes_are_kept_and_the_penalty_is_wide(cls, dtype):
    p = some_params(dtype)
    for weight in (0.1, jnp.float32(0.1)):
        r = made(cls, weight=weight)
        assert jax.eval_shape(r, p).dtype == jnp.float32
        for way in WAYS:
            new = jax.eval_shape(way(r).after, p, p, jnp.float32(0.1))
            assert all(x.dtype == dtype for x in jax.tree.leaves(new))


# ------------------------------------------------------------------------------------ masks


class Affine(NamedTuple):
    weight: jax.Array
    bias: jax.Array


def test_biases_and_scales_are_not_penalised_by_default():
    ones, one = jnp.ones(3), jnp.ones(1)
    trees = [
        {"w": ones, "b": one},
        {"params": {"dense": {"kernel": ones, "bias": one}, "norm": {"scale": one}}},
        {"linear": {"kernel": {"value": ones}, "bias": {"value": one}}},  # Flax NNX's paths
        Affine(ones, one),
        [{"w": ones, "b": one}, one[:0]],
        ones,
    ]
    assert [float(L1(1.0)(x)) for x in trees] == [3.0] * 6


@pytest.mark.parametrize("mask", [
    {"w": True, "b": {"x": False, "y": True}},
    {"w": True, "b": {"x": False, "y": True}},
    lambda p: {"w": True, "b": {"x": False, "y": p["b"]["y"].ndim == 1}},
])  # fmt: skip
def test_a_mask_says_which_leaves_are_penalised(mask):
    p = {"w": jnp.ones(2), "b": {"x": jnp.ones(4), "y": jnp.ones(8)}}
    r = L1(1.0, mask=mask)
    assert r(p) == 10
    assert jax.tree.map(jnp.max, r.prox(p, 1.0)) == {"w": 0.0, "b": {"x": 1.0, "y": 0.0}}


def test_a_mask_may_be_a_list_inside_jit():
    p = [{"w": jnp.ones(2), "b": jnp.ones(4)}, [jnp.ones(8), jnp.ones(16)]]
    f = jax.jit(lambda r: r(p))
    for _ in range(2):
        assert f(L1(1.0, mask=[{"w": True, "b": True}, [False, True]])) == 22


# --------------------------------------------------------------------------- three ways of acting


@pytest.mark.parametrize("rate", [0.1, lambda t: 0.1 * 0.5**t], ids=["number", "schedule"])
def test_decoupled_l2_after_adam_is_adamw(rate, x64):
    ours, theirs = adam(rate), optax.adamw(rate, weight_decay=0.01)
    regularizer = decoupled(L2(0.01, mask=True))

    @jax.jit
    def step(i, p, state, q, other):
        u, new = ours.update(jax.tree.map(lambda x: jnp.cos(3 * x + i), p), state, p)
        p = regularizer.after(apply_updates(p, u), p, learning_rate_of(ours, state))
        u, other = theirs.update(jax.tree.map(lambda x: jnp.cos(3 * x + i), q), other, q)
        return p, new, optax.apply_updates(q, u), other

    p = some_params()
    run = p, ours.init(p), p, theirs.init(p)
    for i in range(10):
        run = step(i, *run)
        close(run[0], run[2])


def test_only_a_plain_regularizer_is_in_the_loss_and_only_the_others_act_afterwards(x64):
    p, new = some_params(), jax.tree.map(lambda x: x + 1, some_params())
    r = L1(0.5)
    assert r.penalty(p) == r(p) and r.after(new, p, 0.1) is new
    for way in (Decoupled(r), Proximal(r)):
        assert way.penalty(p) == 0 and way.needs_learning_rate
        close(way.after(new, p, 0.0), new)
    close(Proximal(r).after(new, p, 0.1), r.prox(new, 0.1))
    step = jax.tree.map(lambda x, g: x - 0.1 * g, new, jax.grad(r)(p))
    close(Decoupled(r).after(new, p, 0.1), step)


@pytest.mark.parametrize("way", [decoupled, proximal])
def test_learning_rates_may_be_a_tree(way, x64):
    p, new = some_params(), jax.tree.map(lambda x: x + 1, some_params())
    regularizer = way(L2(0.5, mask=True))
    both = regularizer.after(new, p, {"layer": {"w": 0.1, "b": 0.2}})
    for name, rate in (("w", 0.1), ("b", 0.2)):
        close(both["layer"][name], regularizer.after(new, p, rate)["layer"][name])


def test_proximal_gradient_descent_solves_the_lasso(x64):
    rng = np.random.default_rng(3)
    x = jnp.asarray(rng.normal(size=(40, 8)))
    y = x @ jnp.array([1.0, -2.0, 0, 0, 0, 0, 0, 3.0]) + 0.1 * rng.normal(size=40)
    regularizer, optimizer = proximal(L1(0.3)), sgd(0.2)

    def loss(w):
        return jnp.mean((x @ w - y) ** 2) / 2 + regularizer.penalty(w)

    def step(carry, _):
        w, state = carry
        u, new = optimizer.update(jax.grad(loss)(w), state, w)
        rate = learning_rate_of(optimizer, state)
        return (regularizer.after(apply_updates(w, u), w, rate), new), None

    w = jnp.zeros(8)
    (w, _), _ = jax.jit(lambda s: jax.lax.scan(step, s, length=500))((w, optimizer.init(w)))
    g = jax.grad(loss)(w)
    assert jnp.sum(w == 0) == 5
    close(jnp.where(w != 0, g, 0), -0.3 * jnp.sign(w), 1e-9)
    assert jnp.all(jnp.abs(g) <= 0.3 + 1e-9)


# ---------------------------------------------------------------------------- the learning rate


def test_the_learning_rate_is_found_wherever_it_is():
    p = {"w": jnp.ones(2), "b": jnp.ones(2)}
    found = [
        sgd(0.5), sgd(lambda t: 0.5 - t), chain(clip(1.0), sgd(0.5)), chain(chain(sgd(0.5))),
        masked(sgd(0.5), {"w": True, "b": False}), freeze({"w": True, "b": False}, sgd(0.5)),
        apply_if_finite(sgd(0.5)), multi_steps(sgd(0.5), 1), partition({"x": sgd(0.5)}, "x"),
    ]  # fmt: skip
    assert [float(learning_rate_of(x, x.init(p))) for x in found] == [0.5] * 9


def test_the_learning_rate_is_zero_between_accumulated_steps():
    optimizer, p = multi_steps(sgd({"w": 0.5, "b": 0.25}), 2), {"w": jnp.ones(2), "b": jnp.ones(2)}
    state = optimizer.init(p)
    _, later = optimizer.update(p, state, p)
    assert jax.tree.map(float, learning_rate_of(optimizer, state)) == {"w": 0.0, "b": 0.0}
    assert jax.tree.map(float, learning_rate_of(optimizer, later)) == {"w": 0.5, "b": 0.25}


@pytest.mark.parametrize(
    ("optimizer", "number"), [(clip(1.0), "no"), (chain(sgd(0.1), sgd(0.2)), "2")]
)
def test_none_or_two_learning_rates_are_an_error(optimizer, number):
    with pytest.raises(ValueError, match=f"has {number} learning rates"):
        learning_rate_of(optimizer, optimizer.init(jnp.ones(2)))


# ---------------------------------------------------------------------------------- as values


@over_penalties
@pytest.mark.parametrize("way", WAYS, ids=["plain", "decoupled", "proximal"])
def test_they_are_values(cls, way):
    names = vars(regularizers)
    for x in (way(made(cls)), way(made(cls, mask={"w": True, "b": [True, False]}))):
        assert eval(repr(x), dict(names)) == x
        assert pickle.loads(pickle.dumps(x)) == x
        assert hash(x) == hash(eval(repr(x), dict(names)))
        assert replace(x, weight=0.7) != x
    assert hyperparameters(way(made(cls))) == hyperparameters(made(cls))


@pytest.mark.parametrize("make", [
    lambda: L1(-1.0), lambda: L2(-1), lambda: ElasticNet(-0.1), lambda: ElasticNet(1.0, 1.1),
    lambda: ElasticNet(1.0, l1_ratio=-0.1),
])  # fmt: skip
def test_bad_numbers_are_errors(make):
    with pytest.raises(ValueError, match="outside"):
        make()


# ------------------------------------------------------------------------------------- the prior


@pytest.mark.parametrize("way", WAYS, ids=("penalty", "decoupled", "proximal"))
def test_a_prior_is_the_regularizer_over_the_number_of_examples(x64, way):
    params, new = some_params(), jax.tree.map(lambda x: x + 0.1, some_params())
    for penalty in (L1, L2):
        ours, plain = prior(way(penalty(7.0))).among(20), way(penalty(7.0 / 20))
        assert ours.needs_learning_rate == plain.needs_learning_rate
        close(ours.penalty(params), plain.penalty(params))
        close(ours.after(new, params, 0.3), plain.after(new, params, 0.3))
    assert hyperparameters(prior(way(L2(7.0)))) == {"weight": 7.0}
    assert replace(prior(way(L2(7.0))), weight=8.0) == prior(way(L2(8.0)))


def test_all_trainings_know_how_many_examples_a_prior_is_among():
    data = jo.data.load("linear")
    n = data.train.size
    parts = {
        "model": jo.models.Linear(1), "loss": jo.losses.squared_error, "data": data,
        "optimizer": sgd(0.1), "batch_size": 8,
    }  # fmt: skip
    private = {"max_norm": 1.0, "noise_multiplier": 0.0}
    clients = jo.federated.dirichlet_split(np.arange(n) % 2, 3, alpha=100.0)
    federated = parts | {"clients": clients, "epochs": 1, "server": sgd(1.0)}
    params = {"w": jnp.ones(1), "b": jnp.ones(())}
    for make in (
        lambda r: jo.Training(**parts, regularizer=r),
        lambda r: jo.privacy.PrivateTraining(**parts, **private, regularizer=r),
    ):
        pair = [make(r) for r in (prior(L2(50.0 * n)), L2(50.0))]
        state = pair[1].init(jax.random.key(0))._replace(params=params)
        close(*(e.step(state, 0, jax.random.key(0))[0].params for e in pair), 1e-6)
    pair = [jo.federated.fed_avg(**federated, regularizer=r) for r in (prior(L2(n * 5.0)), L2(5.0))]
    state = pair[1].init(jax.random.key(0))._replace(params=params)
    close(*(e.step(state, 0, jax.random.key(0))[0].params for e in pair), 1e-6)
    with pytest.raises(ValueError, match="wanted a penalty, not a proximal"):
        jo.federated.fed_avg(**federated, regularizer=prior(proximal(L1(1.0)))).check()
