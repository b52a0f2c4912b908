"""What optimizers are told: what they ask for, and nothing else; and at which params to read."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from transform_cases import CASES, HEAD, OURS, close, gradients, run, some_tree

import jaxopt_edu as jo
from jaxopt_edu.optim import optimizers
from jaxopt_edu.optim.extra_args import needs, wants
from jaxopt_edu.optim.interop import from_optax
from jaxopt_edu.optim.transform import ClockState, EmptyState, apply_updates, told
from jaxopt_edu.values.pytrees import pytree

pytestmark = pytest.mark.usefixtures("compiled_quickly")


class Scaled:
    """Base of transforms without a state."""

    def init(self, params):
        return EmptyState()


@pytree
class TimesValue(Scaled):
    """u = value g."""

    def update(self, updates, state, params=None, *, value, **extra):
        return jax.tree.map(lambda g: value * g, updates), state


@pytree
class Recorder(Scaled):
    """Lets gradients pass, and keeps what it is told; says what it wants by an attribute."""

    seen: list = jo.static(default=None)
    wants = ("key", "t", "value")

    def update(self, updates, state, params=None, **extra):
        self.seen.append(extra)
        return updates, state


@pytree
class Strict(Scaled):
    """Takes its own gradient again, and no other argument."""

    def update(self, updates, state, params=None, grad=None):
        return updates if grad is None else grad, state


@pytree
class AtValueFn(Scaled):
    """u = -gradient of value_fn, which it finds by itself."""

    def update(self, updates, state, params, *, value_fn):
        return jax.tree.map(jnp.negative, jax.grad(value_fn)(params)), state


WRAPPERS = {
    "masked": lambda x: OURS.masked(x, HEAD),
    "freeze": lambda x: OURS.freeze(HEAD, x),
    "apply_if_finite": OURS.apply_if_finite,
    "multi_steps": lambda x: OURS.multi_steps(x, 1),
    "partition": lambda x: OURS.partition({True: x, False: OURS.sgd(0.1)}, HEAD),
    "chain": lambda x: OURS.chain(OURS.clip(1e6), x),
    "all of them": lambda x: OURS.chain(
        OURS.multi_steps(OURS.apply_if_finite(OURS.masked(OURS.partition({0: x}, 0), HEAD)), 1)
    ),
}
wrappers = pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


# ----------------------------------------------------------------------------- who asks for what


def test_our_own_optimizers_and_bricks_want_nothing():
    recipes = [getattr(optimizers, name) for name in optimizers.__all__ if name.islower()]
    ours = [recipe(0.1) for recipe in recipes] + [case(OURS) for case in CASES.values()]
    assert len(ours) > 40 and {wants(x) + needs(x) for x in ours} == {()}


def test_a_transform_of_ones_own_asks_by_names_or_by_an_attribute():
    assert (wants(TimesValue()), needs(TimesValue())) == (("value",), ("value",))
    assert (wants(Strict()), needs(Strict())) == (("grad",), ())
    assert wants(Recorder([])) == needs(Recorder([])) == ("value", "key", "t")
    known = {"value": 1.0, "grad": 2.0, "value_fn": abs, "key": 3, "t": 4}
    assert told(Strict(), **known) == {"grad": 2.0}
    assert told(Recorder([]), **known) == {"value": 1.0, "key": 3, "t": 4}
    assert told(Recorder([])) == told(jo.adam(0.1), **known) == {}


def test_the_first_three_arguments_may_have_any_name():
    class Plain:
        def update(self, grad, key, value=None):
            return grad, key

    assert wants(Plain()) == ()


def test_alternatives_that_are_not_chosen_yet_ask_for_nothing():
    assert wants(jo.one_of(jo.adam(0.1), from_optax(optax.polyak_sgd))) == ()


def test_an_unknown_wish_is_an_error():
    @pytree
    class Wrong(TimesValue):
        wants = ("loss",)

    with pytest.raises(TypeError, match=r"Wrong.wants = \('loss',\): wanted names among value, gr"):
        wants(OURS.chain(Wrong()))


@wrappers
def test_wrappers_ask_for_what_they_hold(wrap):
    for inner in TimesValue(), Strict(), Recorder([]), jo.adam(0.1):
        assert wants(wrap(inner)) == wants(inner) and needs(wrap(inner)) == needs(inner)


# ------------------------------------------------------------------------------ what reaches them


def test_a_chain_tells_each_link_what_it_takes_and_each_its_own_key():
    key, p = jax.random.key(0), some_tree(0, "float32")
    links = [Recorder([]), Strict(), TimesValue(), Recorder([])]
    for both in OURS.chain(*links), OURS.partition(dict(enumerate(links)), {"w": 0, "v": 3}):
        assert wants(both) == ("value", "grad", "key", "t")
        both.update(p, both.init(p), p, **told(both, value=2.0, grad=p, value_fn=abs, key=key, t=5))
        first, last = links[0].seen.pop(), links[-1].seen.pop()
        assert first["t"] == last["t"] == 5 and first["value"] == 2.0
        assert first["key"] != last["key"] and last["key"] != key


@wrappers
def test_the_gradient_and_the_function_that_reach_inner_are_those_of_its_leaves(wrap, x64):
    """Descent by value_fn alone equals descent by the gradient."""

    def f(p):
        return jnp.sum(p["w"] ** 3) + jnp.sum(p["v"]["b"] ** 2) * p["v"]["s"] ** 2

    p = some_tree(1)
    grad = jax.grad(f)(p)
    told_all = {"value": f(p), "grad": grad, "value_fn": f}
    one, other = wrap(AtValueFn()), wrap(OURS.scale(-1.0))
    close(*(x.update(grad, x.init(p), p, **told(x, **told_all))[0] for x in (one, other)))
    one, other = wrap(Strict()), wrap(OURS.identity())
    close(*(x.update(grad, x.init(p), p, **told(x, **told_all))[0] for x in (one, other)))


def test_a_step_of_accumulated_gradients_is_told_their_mean_value(x64):
    g, p = gradients(), some_tree(9)
    values = jnp.arange(1.0, 7.0) ** 2

    def updates(optimizer, g, values):
        def step(state, now):
            g, value = now
            u, state = optimizer.update(g, state, p, **told(optimizer, value=value, grad=g))
            return state, u

        return jax.lax.scan(step, optimizer.init(p), (g, values))[1]

    mean = jax.tree.map(lambda x: x.reshape(2, 3, *x.shape[1:]).mean(1), (g, values))
    inner = OURS.chain(TimesValue(), Strict())
    for use_mean, share in ((True, 1.0), (False, 3.0)):
        many = updates(OURS.multi_steps(TimesValue(), 3, use_mean), g, values)
        one = updates(TimesValue(), *jax.tree.map(lambda x, share=share: share * x, mean))
        close(jax.tree.map(lambda x: x[2::3], many), one)
    close(jax.tree.map(lambda x: x[2::3], updates(OURS.multi_steps(inner, 3), g, values)), mean[0])


def test_a_line_search_has_no_function_for_accumulated_steps():
    optimizer = OURS.multi_steps(from_optax(optax.lbfgs), 2)
    with pytest.raises(TypeError, match=r"opt = from_optax\(optax.lbfgs\) wants the value of"):
        optimizer.init(jnp.ones(2))


def test_values_that_are_not_finite_are_skipped_and_leave_derivatives_finite(x64):
    def end(rate, value, g):
        optimizer = OURS.apply_if_finite(OURS.chain(TimesValue(), OURS.scale(rate)))
        u, state = optimizer.update(g, optimizer.init(g), None, value=value)
        return jnp.sum(u), state.total_notfinite

    for value, g in ((jnp.nan, 1.0), (jnp.nan, jnp.nan), (1.0, jnp.inf)):
        found = jax.value_and_grad(end, has_aux=True)(0.1, jnp.array(value), jnp.array(g))
        assert found[0] == (0.0, 1)
        assert found[1] == 0


@pytree
class EveryOther:
    """Steps at even t only: by what it is told, or by its own count."""

    shared: bool = jo.static(default=True)

    def init(self, params):
        return ClockState(jnp.zeros((), int))

    def update(self, updates, state, params=None, *, t=None, **extra):
        t = state.t if t is None else t
        due = t % 2 == 0
        return jax.tree.map(lambda g: jnp.where(due, -0.1 * g, 0), updates), ClockState(state.t + 1)


def test_the_step_that_is_told_equals_a_count_of_ones_own(x64):
    """In lanes the one branches on a number that all lanes share, the other on a lane's own."""
    g, p, optimizer = gradients(), some_tree(9), OURS.chain(EveryOther(), OURS.scale(0.5))
    assert wants(optimizer) == ("t",) and needs(optimizer) == ()

    def by_clock(p):
        def step(state, now):
            g, t = now
            u, state = optimizer.update(g, state, p, **told(optimizer, t=t, key=None))
            return state, u

        return jax.lax.scan(step, optimizer.init(p), (g, jnp.arange(6)))[1]

    close(by_clock(p), run(optimizer, g, p)[0])
    assert jnp.all(by_clock(p)["w"][1::2] == 0) and jnp.any(by_clock(p)["w"][::2] != 0)


# ---------------------------------------------------------------------------- the params to read at


def schedule_free(state):
    """The schedule-free states anywhere in a state."""
    kind = optax.contrib.ScheduleFreeState
    parts = jax.tree.leaves(state, is_leaf=lambda x: isinstance(x, kind))
    return [x for x in parts if isinstance(x, kind)]


def after_steps(optimizer, p, steps=4):
    """Params and state after some steps with the gradient of sum(p^2)/2 + sum(p)."""

    @jax.jit
    def step(p, state, optimizer):
        u, state = optimizer.update(jax.tree.map(lambda p: p + 1, p), state, p)
        return apply_updates(p, u), state

    state = optimizer.init(p)
    for _ in range(steps):
        p, state = step(p, state, optimizer)
    return p, state


SCHEDULE_FREE = {
    "alone": optax.contrib.schedule_free_sgd,
    "chain": lambda learning_rate: optax.chain(
        optax.clip(1e6), optax.contrib.schedule_free_sgd(learning_rate)
    ),
    "masked": lambda learning_rate: optax.masked(
        optax.contrib.schedule_free_sgd(learning_rate), HEAD
    ),
    "partition": lambda learning_rate: optax.partition(
        {True: optax.contrib.schedule_free_sgd(learning_rate), False: optax.sgd(learning_rate)},
        HEAD,
    ),
    "MultiSteps": lambda learning_rate: optax.MultiSteps(
        optax.contrib.schedule_free_sgd(learning_rate), 2
    ).gradient_transformation(),
    "inject_hyperparams": lambda learning_rate: optax.inject_hyperparams(
        optax.contrib.schedule_free_sgd
    )(learning_rate),
    "adamw": optax.contrib.schedule_free_adamw,
}


def expected(p, state):
    """optax's own function, leaf by leaf where masks left leaves out."""
    (part,) = schedule_free(state)
    kept = jax.tree.structure(p).flatten_up_to(part.z)
    leaves = [
        optax.contrib.schedule_free_eval_params(part._replace(z=z), x)
        if isinstance(z, jax.Array)
        else x
        for x, z in zip(jax.tree.leaves(p), kept, strict=True)
    ]
    return jax.tree.unflatten(jax.tree.structure(p), leaves)


def test_most_are_read_where_they_are():
    p = some_tree(0)
    for optimizer in (
        jo.adam(0.1),
        OURS.chain(OURS.clip(1.0), jo.sgd(0.1)),
        from_optax(optax.lion, 0.1),
    ):
        assert jo.eval_params(optimizer, optimizer.init(p), p) is p or jax.tree.all(
            jax.tree.map(lambda x, y: x is y, jo.eval_params(optimizer, optimizer.init(p), p), p)
        )


@pytest.mark.parametrize("inside", SCHEDULE_FREE)
def test_schedule_free_is_read_where_optax_says_within_optax(inside, x64):
    optimizer = from_optax(SCHEDULE_FREE[inside], learning_rate=0.2)
    p, state = after_steps(optimizer, some_tree(3))
    read = jax.jit(jo.eval_params)(optimizer, state, p)
    close(read, expected(p, state))
    assert jnp.all(jnp.abs(read["w"] - p["w"]) > 1e-6)


@wrappers
def test_schedule_free_is_read_where_optax_says_through_ours(wrap, x64):
    optimizer = wrap(from_optax(optax.contrib.schedule_free_sgd, 0.2))
    p, state = after_steps(optimizer, some_tree(3))
    read = jo.eval_params(optimizer, state, p)
    close(read, expected(p, state))
    assert any(jnp.all(x != y) for x, y in zip(*map(jax.tree.leaves, (read, p)), strict=True))


def test_lanes_of_schedule_free_in_half_precision_keep_their_dtype():
    def read(rate, p):
        optimizer = from_optax(optax.contrib.schedule_free_sgd, rate)
        return jo.eval_params(optimizer, after_steps(optimizer, p, 2)[1], p)

    p = some_tree(3, "bfloat16")
    lanes = jax.jit(jax.vmap(read, (0, None)))(jnp.array([0.1, 0.2]), p)
    assert {x.dtype for x in jax.tree.leaves(lanes)} == {jnp.dtype("bfloat16")}
    assert jnp.any(lanes["w"][0] != lanes["w"][1])


def test_sam_is_read_before_its_adversarial_step(x64):
    optimizer = OURS.masked(
        from_optax(optax.contrib.sam, optimizer=jo.sgd(0.1), adv_optimizer=jo.sgd(0.5)), HEAD
    )
    start = some_tree(3)
    p, state = after_steps(optimizer, start, 1)
    read = jo.eval_params(optimizer, state, p)
    assert jnp.all(read["w"] == start["w"]) and jnp.all(p["w"] != start["w"])
    assert jnp.all(read["v"]["b"] == p["v"]["b"])
    p, state = after_steps(optimizer, start, 2)
    close(jo.eval_params(optimizer, state, p), p, 0)
    assert jnp.all(p["w"] != start["w"])


def test_params_of_another_structure_are_refused():
    optimizer = from_optax(lambda: optax.flatten(optax.contrib.schedule_free_sgd(0.1)))
    p = some_tree(3)
    with pytest.raises(TypeError, match=r"params of another structure .* wanted no optax.flatten"):
        jo.eval_params(optimizer, optimizer.init(p), p)


def test_an_average_of_ones_own_passes_through(x64):
    @pytree
    class Averaged(Scaled):
        def init(self, params):
            return params

        def update(self, updates, state, params=None, **extra):
            new = jax.tree.map(lambda m, p: 0.5 * (m + p), state, params)
            return jax.tree.map(lambda g: -0.1 * g, updates), new

        def eval_params(self, state, params):
            return state

    optimizer = OURS.freeze(HEAD, OURS.chain(OURS.identity(), Averaged()))
    p, state = after_steps(optimizer, some_tree(3))
    read = jo.eval_params(optimizer, state, p)
    assert read["w"] is p["w"] and np.all(read["v"]["b"] != p["v"]["b"])
