"""The compiled programs of a training over a mesh: many steps, a step on a given batch, scores.

Many steps are one program, a loop inside: programs that talk to other devices, called one by one
without waiting for them, can lock each other out (jax 0.10.2 on CPUs).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxopt_edu import programs, tree
from jaxopt_edu.parallel.layout import Layout
from jaxopt_edu.programs import Lane, inspect, order_key, walk, watch


@functools.partial(jax.jit, static_argnames="layout")
def begin(layout: Layout, experiment: Any, seed: Array) -> Lane:
    """A training before its first step."""
    lane = programs.begin(experiment, seed)
    return _settle(layout, lane._replace(first=jnp.copy(lane.first)))


@functools.partial(jax.jit, static_argnames="layout", donate_argnames="lane")
def advance(
    layout: Layout,
    experiment: Any,
    lane: Lane,
    seed: Array,
    start: Array,
    stop: Array,
    diverge_above: Array,
    tol: Array | None,
) -> tuple[Lane, Array]:
    """The training after the steps start <= t < stop, or those until its gradient is small."""
    key = order_key(seed)

    def step(state, t):
        return layout.step(experiment, state, t, key)

    t, lane = walk(step, lane, start, stop, diverge_above, tol)
    return _settle(layout, lane), t


@functools.partial(jax.jit, static_argnames="layout", donate_argnames="lane")
def take(
    layout: Layout,
    experiment: Any,
    lane: Lane,
    batch: tuple,
    seed: Array,
    t: Array,
    diverge_above: Array,
) -> Lane:
    """The training after step t, on this batch; as it was where it has diverged."""

    def go(lane):
        state = layout.learn(experiment, lane.state, batch, t, order_key(seed))
        return _settle(layout, watch(lane, state, t + 1, diverge_above))

    return lax.cond(lane.reason == programs.ALIVE, go, lambda lane: lane, lane)


@functools.partial(jax.jit, static_argnames=("layout", "split"))
def look(
    layout: Layout, experiment: Any, lane: Lane, t: Array, split: str
) -> tuple[dict[str, Array], Array, Array]:
    """The scores on a split, and when and why the training diverged, if it did."""
    lane = inspect(lane, t)
    scores = programs.evaluate(experiment, lane, split)
    return gathered(layout, (scores, lane.died, lane.reason))


@functools.partial(jax.jit, static_argnames=("layout", "splits"))
def score(
    layout: Layout, experiment: Any, state: Any, splits: tuple[str, ...]
) -> dict[str, dict[str, Array]]:
    """The scores of a state on several splits."""
    return gathered(layout, {split: experiment.score(state, split) for split in splits})


@functools.partial(jax.jit, static_argnames="layout")
def gathered(layout: Layout, x: Any) -> Any:
    """A tree with all of every leaf on every device."""
    return lax.with_sharding_constraint(x, tree.map(lambda x: layout.everywhere, x))


@jax.jit
def copied(x: Any) -> Any:
    """A copy, which outlives what `advance` takes over."""
    return tree.map(jnp.copy, x)


def _settle(layout: Layout, lane: Lane) -> Lane:
    return lane._replace(state=layout.settle(lane.state))
