"""Bricks: each case is one line that makes ours from our namespace, and optax's from optax's."""

import dataclasses
import inspect
import math
import pickle
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_edu import core, optimizers, regularizers, transforms
from jaxopt_edu.core import EmptyState, apply_updates
from jaxopt_edu.transforms import Brick
from jaxopt_edu.value import Function, hyperparameters, pytree, replace

NAMES = {name: getattr(transforms, name) for name in transforms.__all__}
OURS = SimpleNamespace(**vars(core) | vars(optimizers) | NAMES)
OPTAX = SimpleNamespace(**vars(optax.transforms) | vars(optax))
RECIPES = [name for name, x in NAMES.items() if not inspect.isclass(x)]
CLASSES = [x for x in NAMES.values() if inspect.isclass(x) and x is not Brick]

HEAD = {"w": True, "v": {"b": False, "s": True}}
LABELS = {"w": "fast", "v": "slow"}


def matrices(tree):
    return jax.tree.map(lambda x: x.ndim > 1, tree)


def halving(t):
    return 0.5**t


CASES = {
    "clip": lambda o: o.clip(0.5),
    "clip_by_global_norm": lambda o: o.clip_by_global_norm(1.5),
    "clip_by_block_rms": lambda o: o.clip_by_block_rms(0.5),
    "adaptive_grad_clip": lambda o: o.adaptive_grad_clip(0.2, eps=0.01),
    "adaptive_grad_clip(axis)": lambda o: o.masked(o.adaptive_grad_clip(0.2, axis=1), matrices),
    "identity": lambda o: o.identity(),
    "set_to_zero": lambda o: o.set_to_zero(),
    "scale": lambda o: o.scale(-0.3),
    "scale_by_schedule": lambda o: o.scale_by_schedule(halving),
    "scale_by_learning_rate": lambda o: o.scale_by_learning_rate(0.1),
    "scale_by_learning_rate(None)": lambda o: o.scale_by_learning_rate(None),
    "scale_by_learning_rate(schedule)": lambda o: o.scale_by_learning_rate(halving),
    "scale_by_learning_rate(+)": lambda o: o.scale_by_learning_rate(0.1, flip_sign=False),
    "add_decayed_weights": lambda o: o.add_decayed_weights(0.1),
    "add_decayed_weights(mask)": lambda o: o.add_decayed_weights(0.1, mask=HEAD),
    "add_decayed_weights(schedule)": lambda o: o.add_decayed_weights(halving, matrices),
    "normalize_by_update_norm": lambda o: o.normalize_by_update_norm(0.7, eps=1e-3),
    "centralize": lambda o: o.centralize(),
    "keep_params_nonnegative": lambda o: o.keep_params_nonnegative(),
    "add_noise": lambda o: o.add_noise(0.1, 0.55, key=3),
    "zero_nans": lambda o: o.zero_nans(),
    "trace": lambda o: o.trace(0.9),
    "trace(nesterov)": lambda o: o.trace(0.9, True),
    "trace(dtype)": lambda o: o.trace(0.9, accumulator_dtype="float32"),
    "ema": lambda o: o.ema(0.9),
    "ema(biased)": lambda o: o.ema(0.9, debias=False),
    "multi_steps": lambda o: o.MultiSteps(o.adam(0.1), 3, accumulator_dtype="float64"),
    "multi_steps(sum)": lambda o: o.MultiSteps(o.sgd(0.1), 2, False, accumulator_dtype="float64"),
    "multi_steps(schedule)": lambda o: o.MultiSteps(
        o.sgd(0.1, 0.9), lambda n: n + 1, accumulator_dtype="float64"
    ),
    "apply_if_finite": lambda o: o.apply_if_finite(o.adam(0.1), 100),
    "masked": lambda o: o.masked(o.adam(0.1), HEAD),
    "masked(function)": lambda o: o.masked(o.clip_by_global_norm(0.5), matrices),
    "freeze": lambda o: o.freeze(HEAD),
    "selective_transform": lambda o: o.selective_transform(o.adam(0.1), freeze_mask=HEAD),
    "partition": lambda o: o.partition(
        {"fast": o.sgd(0.5, momentum=0.9), "slow": o.chain(o.clip(0.1), o.adam(0.1))}, LABELS
    ),
    "chain": lambda o: o.chain(
        o.clip_by_global_norm(1.0),
        o.masked(o.partition({"fast": o.trace(0.5), "slow": o.set_to_zero()}, LABELS), HEAD),
        o.MultiSteps(o.apply_if_finite(o.adam(0.1), 9), 2, accumulator_dtype="float64")
        if o is OURS
        else o.MultiSteps(
            o.apply_if_finite(o.adam(0.1), 9), 2, accumulator_dtype="float64"
        ).gradient_transformation(),
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
wrappers = pytest.mark.parametrize("wrap", [
    lambda x: OURS.masked(x, HEAD), lambda x: OURS.freeze(HEAD, x), OURS.apply_if_finite,
    lambda x: OURS.multi_steps(x, 1), lambda x: OURS.partition({"all": x}, "all"), OURS.chain,
])  # fmt: skip


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


# ------------------------------------------------------------------------------- trajectories


def some_tree(seed, dtype=float):
    rng = np.random.default_rng(seed)
    w, b, s = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal()
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), {"w": w, "v": {"b": b, "s": s}})


def gradients(dtype=float):
    """Six steps: large and small ones, a coordinate of exactly zero, and a step of zeros."""
    steps = [some_tree(seed, dtype) for seed in range(6)]
    g = jax.tree.map(lambda *xs: jnp.stack(xs), *steps)
    g = jax.tree.map(lambda x: x.at[1].multiply(10).at[3].set(0).at[4].multiply(1e-3), g)
    return g | {"w": g["w"].at[:, 0, 0].set(0)}


def broken():
    """Six steps with a NaN, an infinity, and both."""
    g, nan, inf = gradients(), math.nan, math.inf
    w = g["w"].at[1, 1, 1].set(nan).at[4, 2, 1].set(inf).at[4, 2, 0].set(nan)
    return {"w": w, "v": g["v"] | {"b": g["v"]["b"].at[2, 1].set(-inf)}}


TRACES: list = []


def steps(transform, g, p):
    """All updates and the last state."""
    TRACES.append(transform)

    def step(carry, g):
        p, state = carry
        u, state = transform.update(g, state, p)
        return (apply_updates(p, jax.tree.map(lambda u: 0.1 * u, u)), state), u

    (_, state), u = jax.lax.scan(step, (p, transform.init(p)), g)
    return u, state


QUICK = {"xla_backend_optimization_level": 0}  # what takes time here is compiling
run = jax.jit(steps, compiler_options=QUICK)


def is_float(x):
    return jnp.issubdtype(jnp.result_type(x), jnp.floating)


def as_arrays(x, dtype=None):
    """x with an array for every number, its floats in this dtype."""
    return jax.tree.map(lambda x: jnp.asarray(x, dtype if is_float(x) else None), x)


def close(x, y, tolerance=1e-12):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, tolerance, tolerance), x, y)


# -------------------------------------------------------------------------- equality with optax


def test_every_recipe_has_a_case_and_every_class_a_recipe():
    assert {name.split("(")[0] for name in CASES} >= set(RECIPES)
    made = {type(case(OURS)) for case in CASES.values()} | {OURS.Masked}
    assert made >= set(CLASSES)


@cases
def test_updates_equal_those_of_optax(case, x64):
    ours, theirs, p = as_arrays(case(OURS)), case(OPTAX), jax.tree.map(jnp.abs, some_tree(9))
    other = jax.jit(lambda g: steps(theirs, g, p)[0], compiler_options=QUICK)
    keeps_nan = "MultiSteps" in repr(theirs)  # optax's accumulator does, for ever
    for g in (gradients(),) if keeps_nan else (gradients(), broken()):
        close(run(ours, g, p)[0], other(g))


@pytest.mark.parametrize("name", RECIPES)
def test_signatures_are_those_of_optax(name):
    ours_only = {"freeze": ["inner"]}
    theirs_only = {"add_noise": ["seed"], "multi_steps": ["should_skip_update_fn"]}
    new_default = {
        "add_noise": ["key"], "multi_steps": ["accumulator_dtype"],
        "apply_if_finite": ["max_consecutive_errors"],
    }  # fmt: skip
    ours = inspect.signature(NAMES[name]).parameters
    twin = getattr(OPTAX, "MultiSteps" if name == "multi_steps" else name)
    theirs = inspect.signature(twin).parameters
    assert [x for x in ours if x not in ours_only.get(name, ())] == [
        x for x in theirs if x not in theirs_only.get(name, ())
    ]
    for x in theirs.keys() & ours.keys() - set(new_default.get(name, ())):
        assert ours[x].default == theirs[x].default


def test_clipping_to_norm_zero_keeps_the_zero_gradient_zero():
    for clip in (OURS.clip_by_global_norm(0.0), OURS.clip_by_block_rms(0.0)):
        assert jnp.all(clip.update(jnp.zeros(3), clip.init(None))[0] == 0)


def test_norms_of_half_precision_do_not_overflow():
    g = jnp.full(4, 1000.0, jnp.float16)
    for clip in (OURS.clip_by_global_norm(2.0), OURS.clip_by_block_rms(1.0)):
        assert jnp.all(clip.update(g, clip.init(None))[0] == 1)


# ------------------------------------------------------------------------------ laws of values


@cases
def test_vmap_equals_the_loop_of_one_trace_and_derivatives_those_of_central_differences(case, x64):
    transform, g, p = case(OURS), gradients(), some_tree(9)
    if not jax.tree.leaves(transform) or "float32" in repr(transform):
        return

    def varied(x):
        return jnp.array([x, 0.9 * x, 0.5 * x]) if is_float(x) else jnp.array([x, 2 * x, 3 * x])

    def put(floats, transform):
        mine = iter(floats)
        return jax.tree.map(lambda x: next(mine) if is_float(x) else x, transform)

    def total(u):
        return sum(jnp.sum(jnp.sin(u + 1)) for u in jax.tree.leaves(u))

    def f(floats, transform):
        u, _ = steps(put(floats, transform), g, p)
        return total(u), u

    many = jax.tree.map(varied, transform)
    floats = [x for x in jax.tree.leaves(many) if is_float(x)]
    grads, batch = jax.jit(jax.vmap(jax.grad(f, has_aux=True)), compiler_options=QUICK)(
        floats, many
    )
    TRACES.clear()
    for i in range(3):
        x, slopes, u = jax.tree.map(lambda x, i=i: x[i], (many, grads, batch))
        close(run(x, g, p)[0], u)
        assert all(bool(jnp.isfinite(slope)) for slope in slopes)
    assert len(TRACES) <= 1
    own, h = [x for x in jax.tree.leaves(x) if is_float(x)], 1e-5
    up, down = (total(run(put([(1 + s) * a for a in own], x), g, p)[0]) for s in (h, -h))
    along = sum(a * slope for a, slope in zip(own, slopes, strict=True))
    assert abs((up - down) / (2 * h) - along) < 1e-5 * (1 + abs(along))


@cases
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_dtypes_are_kept(case, dtype):
    p = some_tree(9, dtype)
    accumulates = "dtype=" in repr(case(OURS))
    for transform in () if accumulates else (case(OURS), as_arrays(case(OURS), jnp.float32)):
        start = jax.eval_shape(transform.init, p)
        u, state = jax.eval_shape(transform.update, p, start, p)
        for new, old in ((u, p), (state, start)):
            assert jax.tree.structure(new) == jax.tree.structure(old)
            for x, y in zip(jax.tree.leaves(new), jax.tree.leaves(old), strict=True):
                assert (x.shape, x.dtype) == (y.shape, y.dtype)


@cases
def test_they_are_values(case):
    x, y = case(OURS), case(OURS)
    numbers = hyperparameters(x)
    for name, value in numbers.items():
        assert replace(x, **{name: value}) == x
        assert replace(x, **{name: value / 2 or 0.5}) != x
    if any(callable(leaf) for leaf in jax.tree.leaves(x, is_leaf=callable)) or "<lambda>" in repr(x):
        return
    names = vars(OURS) | {"halving": halving, "matrices": matrices}
    assert x == y and hash(x) == hash(y)
    if "dtype=" not in repr(x):
        assert eval(repr(x), dict(names)) == x
    assert pickle.loads(pickle.dumps(x)) == x


@cases
def test_states_are_named_tuples_that_shadow_nothing(case, x64):
    transform = case(OURS)
    state = jax.eval_shape(transform.init, some_tree(9))
    if not isinstance(transform, core.Chain):
        assert not {"count", "index"} & set(state._fields)
    if not jax.tree.leaves(state):
        assert isinstance(state, EmptyState) or hasattr(state, "inner_state")


@pytest.mark.parametrize("cls", CLASSES)
def test_numbers_out_of_range_are_errors(cls):
    for f in dataclasses.fields(cls):
        if f.metadata.get("low", -math.inf) > -math.inf:
            needed = [x.name for x in dataclasses.fields(cls) if x.default is dataclasses.MISSING]
            with pytest.raises(ValueError, match=f"{f.name} = .* is outside"):
                cls(**dict.fromkeys(needed, 1.0) | {f.name: f.metadata["low"] - 1})


@pytest.mark.parametrize("make", [
    OURS.add_decayed_weights, OURS.keep_params_nonnegative, lambda: OURS.adaptive_grad_clip(0.1)
])  # fmt: skip
def test_missing_params_are_an_error(make):
    transform = make()
    with pytest.raises(ValueError, match="wants params"):
        transform.update(jnp.ones(2), transform.init(jnp.ones(2)))


def test_any_number_may_be_a_schedule_or_a_tree(x64):
    g, p = gradients(), some_tree(9)
    u, _ = steps(OURS.clip(halving), g, p)
    close(u["w"], jnp.stack([jnp.clip(x, -(0.5**t), 0.5**t) for t, x in enumerate(g["w"])]))
    u, _ = steps(OURS.clip({"w": 0.1, "v": {"b": 0.2, "s": halving}}), g, p)
    close(u["v"]["b"], jnp.clip(g["v"]["b"], -0.2, 0.2))


def test_static_masks_and_labels_do_not_retrace_and_may_hold_lists():
    traces = []

    @jax.jit
    def f(transform, p):
        traces.append(1)
        return transform.update(p, transform.init(p), p)[0]

    p = [{"w": jnp.ones(2), "b": jnp.ones(2)}, [jnp.ones(2), jnp.ones(2)]]
    for rate in (1.0, 2.0):
        mask = [{"w": True, "b": False}, [False, True]]
        for wrap in (OURS.masked(OURS.scale(rate), mask), OURS.freeze(mask, OURS.sgd(rate))):
            f(wrap, p)
        f(OURS.partition({"x": OURS.sgd(rate)}, ["x", ["x", "x"]]), p)
    assert len(traces) == 3


# ----------------------------------------------------------------------------------- wrappers


@pytree
class TimesValue:
    """u = value g: a transform that wants an extra argument."""

    def init(self, params):
        return EmptyState()

    def update(self, updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda g: value * g, updates), state


@wrappers
def test_extra_arguments_reach_the_inner_transform(wrap):
    p = some_tree(0, "float32")
    transform = wrap(TimesValue())
    u, _ = transform.update(p, transform.init(p), p, value=2.0, other=None)
    shares = jax.tree.map(lambda u, g: float(jnp.mean(u / g)), u, p)
    assert 2.0 in jax.tree.leaves(shares)


def test_every_wrapper_is_among_those_tested(request):
    wrapped = [c for c in CLASSES if {"inner", "opt", "transforms"} & set(c.__annotations__)]
    assert {c.__name__ for c in wrapped} == {
        "ApplyIfFinite", "Freeze", "Masked", "MultiSteps", "Partition"
    }  # fmt: skip


def test_extra_arguments_in_the_shape_of_the_params_are_masked_where_asked():
    @pytree
    class PlusTags(TimesValue):
        def update(self, updates, state, params=None, *, tags, **extra):
            return jax.tree.map(jnp.add, updates, tags), state

    p = some_tree(0, "float32")
    for wrap in (OURS.masked, lambda x, m, **kw: OURS.partition(
        {True: x, False: OURS.identity()}, m, **kw
    )):
        transform = wrap(PlusTags(), HEAD, mask_compatible_extra_args=True)
        u, _ = transform.update(p, transform.init(p), p, tags=p)
        assert jnp.all(u["w"] == 2 * p["w"]) and jnp.all(u["v"]["b"] == p["v"]["b"])


def test_frozen_leaves_have_no_state_and_do_not_move_and_masked_ones_get_raw_gradients():
    p = some_tree(0, "float32")
    freeze, masked = OURS.freeze(HEAD, OURS.adam(0.1)), OURS.masked(OURS.adam(0.1), HEAD)
    state = freeze.init(p).inner_state
    assert [x.shape for x in jax.tree.leaves((state.m, state.v))] == [(2,), (2,)]
    u, _ = freeze.update(p, freeze.init(p), p)
    assert jnp.all(u["w"] == 0) and u["v"]["s"] == 0 and jnp.all(u["v"]["b"] != 0)
    state = masked.init(p).inner_state
    assert [x.shape for x in jax.tree.leaves(state.m)] == [(), (3, 2)]
    assert masked.update(p, masked.init(p), p)[0]["v"]["b"] is p["v"]["b"]


def test_an_unknown_label_is_an_error_with_the_nearest():
    transform = OURS.partition({"fast": OURS.sgd(0.1)}, {"w": "fast", "v": "fasst"})
    with pytest.raises(ValueError, match="param_labels has 'fasst'.*did you mean 'fast'"):
        transform.init(some_tree(0, "float32"))


def test_updates_that_would_poison_the_state_are_skipped_for_ever():
    safe = OURS.apply_if_finite(OURS.adam(0.1), max_consecutive_errors=2)
    update = jax.jit(safe.update)
    good, p = jnp.ones(2), jnp.zeros(2)
    _, first = update(good, safe.init(p), p)
    state = first
    flags = []
    for bad in (good.at[0].set(jnp.nan), jnp.full(2, jnp.inf), jnp.full(2, 1e30)):  # v overflows
        u, state = update(bad, state, p)
        assert jnp.all(u == 0)
        flags.append((int(state.notfinite_count), bool(state.last_finite), bool(state.too_many)))
    assert flags == [(1, False, False), (2, False, False), (3, False, True)]
    close(state.inner_state, first.inner_state, 0)
    _, state = update(good, state, p)
    assert (state.notfinite_count, state.total_notfinite, state.last_finite) == (0, 3, True)
    assert not state.too_many and state.inner_state.t == 2


def test_an_infinity_that_was_in_the_state_before_is_no_reason_to_skip():
    @pytree
    class Best(TimesValue):
        def init(self, params):
            return jnp.array([jnp.inf, 0.0])

        def update(self, updates, state, params=None, **extra):
            return updates, state + 1

    safe = OURS.apply_if_finite(Best())
    _, state = safe.update(jnp.ones(2), safe.init(jnp.ones(2)))
    assert state.last_finite and state.inner_state[1] == 1


def test_a_skipped_gradient_leaves_the_derivatives_finite(x64):
    def f(transform):
        u, _ = steps(transform, broken(), some_tree(9))
        return sum(jnp.sum(u**2) for u in jax.tree.leaves(u))

    grads = jax.jit(jax.grad(f))(OURS.apply_if_finite(OURS.adam(0.1)))
    assert all(bool(jnp.isfinite(g)) for g in jax.tree.leaves(grads))


def test_accumulated_steps_are_the_steps_of_the_mean_gradient(x64):
    g, p = gradients(), some_tree(9)
    mean = jax.tree.map(lambda x: x.reshape(2, 3, *x.shape[1:]).mean(1), g)
    u, state = run(OURS.multi_steps(OURS.sgd(0.1, 0.9), 3), g, p)
    one, inner = run(OURS.sgd(0.1, 0.9), mean, p)
    close(jax.tree.map(lambda x: x[2::3], u), one)
    close(state.inner_state, inner)
    rest = jax.tree.map(lambda x: jnp.delete(x, jnp.array([2, 5]), axis=0), u)
    assert all(bool(jnp.all(x == 0)) for x in jax.tree.leaves(rest))
    assert OURS.multi_steps(OURS.sgd(0.1), 3).has_updated(state)


def test_low_precision_gradients_are_accumulated_in_float32():
    transform = OURS.multi_steps(OURS.scale(1.0), 300)
    g, p = jnp.ones((300, 1), jnp.bfloat16), jnp.ones(1, jnp.bfloat16)
    u, state = run(dataclasses.replace(transform, use_grad_mean=False), g, p)
    assert state.acc_grads.dtype == jnp.float32 and u[-1] == 300


def test_noise_is_the_same_for_the_same_key_and_shared_by_nothing(x64):
    zeros = {"a": jnp.zeros((2, 1000)), "b": jnp.zeros((2, 1000))}
    p = jax.tree.map(lambda x: x[0], zeros)
    u, _ = run(OURS.add_noise(0.25, 1.0, key=1), zeros, p)
    same, _ = run(OURS.add_noise(0.25, 1.0, key=jax.random.key(1)), zeros, p)
    other, _ = run(OURS.add_noise(0.25, 1.0, key=2), zeros, p)
    close(u, same, 0)
    rows = jnp.concatenate([*u.values(), *other.values()])
    assert jnp.max(jnp.abs(jnp.corrcoef(rows) - jnp.eye(8))) < 0.15
    close(jnp.std(u["a"], axis=1), jnp.array([0.5, 0.5 / math.sqrt(2)]), 0.1)
