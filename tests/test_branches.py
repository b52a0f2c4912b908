"""Branches that lanes take together: the work that no lane is due for is not done."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from transform_cases import OURS, close

from jaxopt_edu.optim.branches import any_lane, when
from jaxopt_edu.optim.transform import apply_updates

pytestmark = pytest.mark.usefixtures("compiled_quickly")
STEPS = 7
LENGTHS = jnp.array([1, 3, 2])  # of the periods of the lanes


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def equations(jaxpr, name):
    """All equations of a primitive, those of the inner programs too."""
    for equation in jaxpr.eqns:
        if equation.primitive.name == name:
            yield equation
        for inner in jax.tree.leaves(
            equation.params, is_leaf=lambda x: hasattr(x, "eqns") or hasattr(x, "jaxpr")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from equations(inner, name)


def predicates(f, *args):
    """The shapes of what all conds of a program branch on."""
    found = equations(jax.make_jaxpr(f)(*args).jaxpr, "cond")
    return [equation.invars[0].aval.shape for equation in found]


def path(optimizer, p):
    """The params after each of some steps down a quartic."""

    def step(carry, _):
        p, state = carry
        updates, state = optimizer.update(jax.tree.map(lambda p: 4 * p**3, p), state, p)
        p = apply_updates(p, updates)
        return (p, state), p

    return jax.lax.scan(step, (p, optimizer.init(p)), length=STEPS)[1]


def start():
    return {"w": jnp.array([1.0, -0.5]), "b": jnp.array(0.7)}


def test_any_lane_is_one_bool_for_all_lanes_of_all_axes():
    p = jnp.array([[False, False], [False, True]])
    inner = jax.vmap(any_lane, out_axes=None)
    assert inner(p[0]).shape == () and not inner(p[0]) and inner(p[1])
    both = jax.vmap(inner, out_axes=None)(p)
    assert both.shape == () and both
    assert not any_lane(p[0, 0]) and any_lane(p[1, 1])
    assert predicates(jax.vmap(jax.vmap(lambda p, x: when(p, lambda: x, lambda: 2 * x))), p, p) == [
        ()
    ]


def test_a_branch_under_vmap_is_a_branch_and_every_lane_takes_its_own():
    def f(p, x):
        return when(p, lambda: jnp.sin(x), lambda: x)

    p, x = jnp.array([True, False, True]), jnp.arange(3.0)
    assert predicates(jax.vmap(f), p, x) == [()]
    close(jax.vmap(f)(p, x), jnp.where(p, jnp.sin(x), x), 1e-7)
    close(jax.jit(jax.vmap(f))(p, x), jnp.where(p, jnp.sin(x), x), 1e-7)
    a_cond = jax.vmap(lambda p, x: jax.lax.cond(p, jnp.sin, lambda x: x, x))
    assert predicates(a_cond, p, x) == []  # what it is there to avoid


def test_derivatives_go_through_on_both_sides_of_vmap(x64):
    def f(x, n):
        def step(t, x):
            return when((t + 1) % n == 0, lambda: jnp.sin(x) * x, lambda: x)

        return jax.lax.fori_loop(0, STEPS, step, x)

    def by_hand(x, n):
        for t in range(STEPS):
            x = jnp.sin(x) * x if (t + 1) % n == 0 else x
        return x

    x = jnp.array([1.1, 1.5, 2.1])
    slopes = [jax.grad(by_hand)(*pair) for pair in zip(x, LENGTHS.tolist(), strict=True)]
    close(jax.jit(jax.vmap(jax.grad(f)))(x, LENGTHS), jnp.array(slopes), 1e-12)
    close(jax.grad(lambda x: jnp.sum(jax.vmap(f)(x, LENGTHS)))(x), jnp.array(slopes), 1e-12)
    close(
        jax.jacfwd(jax.vmap(jax.checkpoint(f)), 0)(x, LENGTHS), jnp.diag(jnp.array(slopes)), 1e-12
    )


def test_accumulated_steps_of_lanes_are_computed_when_one_is_due(x64):
    """Lanes with their own k: one cond on a scalar, results of the loop, hypergradients too."""

    def slope_and_path(rate, k):
        def end(rate):
            inner = OURS.chain(OURS.add_noise(0.1, 0.5), OURS.sgd(rate, 0.9))
            points = path(OURS.multi_steps(inner, k), start()["b"])
            return points[-1], points

        return jax.grad(end, has_aux=True)(rate)

    rates, lanes = jnp.array([0.1, 0.2, 0.05]), jax.vmap(slope_and_path)
    assert set(predicates(lanes, rates, LENGTHS)) == {()}
    found, one = jax.jit(lanes)(rates, LENGTHS), jax.jit(slope_and_path)
    for i in range(3):
        close(jax.tree.map(lambda x, i=i: x[i], found), one(rates[i], LENGTHS[i]))
    assert jnp.all(jnp.abs(found[0]) > 1e-3)
    moved = np.diff(np.asarray(found[1]), axis=1) != 0
    assert moved.tolist() == [[(t + 1) % k == 0 for t in range(1, STEPS)] for k in (1, 3, 2)]


def test_lanes_do_not_depend_on_each_other_but_in_time():
    lanes = jax.jit(jax.vmap(lambda k: path(OURS.multi_steps(OURS.adam(0.1), k), start())))
    here, there = lanes(LENGTHS), lanes(LENGTHS.at[0].set(2).at[2].set(7))
    assert jnp.all(here["w"][1] == there["w"][1])


def test_one_optimizer_of_a_period_that_all_lanes_share_is_branched_on_too():
    step = functools.partial(path, OURS.multi_steps(OURS.adam(0.1), 3))
    many = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), start())
    assert predicates(jax.vmap(step), many) == [()]
    close(
        jax.tree.map(lambda x: x[1], jax.vmap(step)(many)),
        step(jax.tree.map(lambda x: 2 * x, start())),
    )
