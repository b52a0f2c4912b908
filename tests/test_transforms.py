"""Bricks equal optax's and obey the laws of values; found by introspection of `__all__`."""

import dataclasses
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transform_cases import (
    CASES,
    CLASSES,
    NAMES,
    OPTAX,
    OURS,
    RECIPES,
    TRACES,
    as_arrays,
    broken,
    close,
    gradients,
    halving,
    is_float,
    matrices,
    run,
    some_tree,
    steps,
)

import jaxopt_edu as jo
from jaxopt_edu.optim import transform as core
from jaxopt_edu.optim.transform import EmptyState
from jaxopt_edu.values.names import hyperparameters, replace

pytestmark = pytest.mark.usefixtures("compiled_quickly")
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


# -------------------------------------------------------------------------- equality with optax


def test_every_recipe_has_a_case_and_every_class_a_recipe():
    assert {name.split("(")[0] for name in CASES} >= set(RECIPES)
    made = {type(case(OURS)) for case in CASES.values()} | {OURS.Masked}
    assert made >= set(CLASSES)


@cases
def test_updates_equal_those_of_optax(case, x64):
    ours, theirs, p = as_arrays(case(OURS)), case(OPTAX), jax.tree.map(jnp.abs, some_tree(9))
    other = jax.jit(lambda g: steps(theirs, g, p)[0])
    keeps_nan = "MultiSteps" in repr(theirs)  # optax's accumulator does, for ever
    for g in (gradients(),) if keeps_nan else (gradients(), broken()):
        close(run(ours, g, p)[0], other(g))


@pytest.mark.parametrize("name", RECIPES)
def test_signatures_are_those_of_optax(name):
    ours_only = {"freeze": ["inner"], "adaptive_grad_clip": ["outputs_first"]}
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
    grads, batch = jax.jit(jax.vmap(jax.grad(f, has_aux=True)))(floats, many)
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
        half = value // 2 if isinstance(value, int) else value / 2  # a key is no 1.5
        assert replace(x, **{name: half or 0.5}) != x
    if "<lambda>" in repr(x):
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


def test_a_unit_is_said_once():
    with pytest.raises(ValueError, match="axis = 1 and outputs_first: wanted one of them"):
        OURS.adaptive_grad_clip(0.1, axis=1, outputs_first=True)


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


@pytest.mark.parametrize("exact", [True, False])
def test_many_arrays_that_are_alike_are_traced_together(exact, monkeypatch):
    """To the same numbers as one after the other, Python's hyperparameters and traced ones."""
    params = [jnp.full(3, 0.1 * i) for i in range(core.MANY)] + [jnp.ones((2, 2))]
    grads, traced = [jnp.cos(x) for x in params], []
    rule = jo.Adam.rule
    monkeypatch.setattr(jo.Adam, "rule", lambda *args: traced.append(1) or rule(*args))

    def step(optimizer, grads):
        return optimizer.update(grads, optimizer.init(params), params)[0]

    given = jo.adam(0.0123, eps=1.25e-7)  # numbers that no other test has: nothing is traced yet
    jitted = jax.jit(lambda grads: step(given, grads)) if exact else jax.jit(step)
    found = jitted(grads) if exact else jitted(given, grads)
    assert len(traced) == 2  # shapes
    monkeypatch.setattr(core, "MANY", 100)
    again = jax.jit(lambda o, grads: step(given if exact else o, grads))(given, grads)
    assert len(traced) == 2 + len(params)
    for x, y in zip(found, again, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6)
