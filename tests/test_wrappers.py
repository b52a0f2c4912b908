"""Wrappers around another transform: masks, groups, accumulation, and what is not finite."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from transform_cases import (
    CLASSES,
    HEAD,
    OURS,
    broken,
    close,
    gradients,
    run,
    some_tree,
    steps,
)

import jaxopt_edu as jo
from jaxopt_edu.optim.transform import EmptyState
from jaxopt_edu.values.pytrees import pytree

pytestmark = pytest.mark.usefixtures("compiled_quickly")
wrappers = pytest.mark.parametrize("wrap", [
    lambda x: OURS.masked(x, HEAD), lambda x: OURS.freeze(HEAD, x), OURS.apply_if_finite,
    lambda x: OURS.multi_steps(x, 1), lambda x: OURS.partition({"all": x}, "all"), OURS.chain,
])  # fmt: skip


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


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
    for wrap in (
        OURS.masked,
        lambda x, m, **kw: OURS.partition({True: x, False: OURS.identity()}, m, **kw),
    ):
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
    with pytest.raises(ValueError, match=r"param_labels has 'fasst'.*did you mean 'fast'"):
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


def test_a_list_of_numbers_is_one_for_each_layer():
    params = jo.models.MLP((3, 2, 1)).init(jax.random.key(0))
    grads = jax.tree.map(jnp.ones_like, params)
    opt = jo.sgd([0.1, 0.2])
    first, second = opt.update(grads, opt.init(params), params)[0]
    assert float(first["w"][0, 0]) == pytest.approx(-0.1)
    assert float(second["b"][0]) == pytest.approx(-0.2)
    with pytest.raises(ValueError, match=r"learning_rate = \(0.1, 0.2\) is no tree that ends"):
        jo.sgd((0.1, 0.2)).update(grads, opt.init(params), params)
