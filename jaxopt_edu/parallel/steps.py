"""The compiled programs of a training over a mesh: many steps, a step on a given batch, scores.

Many steps are one program, a loop inside: programs that talk to other devices, called one by one
without waiting for them, can lock each other out (jax 0.10.2 on CPUs).
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random

from jaxopt_edu import tree
from jaxopt_edu.checks import TRAINING_LOSS
from jaxopt_edu.parallel.layout import Layout
from jaxopt_edu.programs import Lane, inspect, watch


@functools.partial(jax.jit, static_argnames="layout")
def begin(layout: Layout, experiment: Any, seed: Array) -> Lane:
    """A training before its first step."""
    state = experiment.init(random.fold_in(random.key(seed), 0))
    first = jnp.copy(getattr(state, "loss", jnp.zeros(())))
    alive = jnp.zeros((), jnp.int32)
    return _settle(layout, Lane(state, first, alive, alive))


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
    key = _order(seed)

    def go_on(carry):
        t, lane = carry
        ahead = t < stop
        return ahead if tol is None else ahead & (lane.state.gradient_norm > tol)

    def step(carry):
        t, lane = carry
        return t + 1, watch(lane, layout.step(experiment, lane.state, t, key), t + 1, diverge_above)

    t, lane = lax.while_loop(go_on, step, (start, lane))
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
    """The training after step t, on this batch."""
    state = layout.learn(experiment, lane.state, batch, t, _order(seed))
    return _settle(layout, watch(lane, state, t + 1, diverge_above))


@functools.partial(jax.jit, static_argnames=("layout", "split"))
def look(
    layout: Layout, experiment: Any, lane: Lane, t: Array, split: str
) -> tuple[dict[str, Array], Array, Array]:
    """The scores on a split, and when and why the training diverged, if it did."""
    lane = inspect(lane, t)
    scores = experiment.score(lane.state, split)
    if hasattr(lane.state, "loss"):
        scores = scores | {TRAINING_LOSS: lane.state.loss}
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


def _order(seed: Array) -> Array:
    """The key of the order of the data, as in the engine."""
    return random.fold_in(random.key(seed), 1)


def _settle(layout: Layout, lane: Lane) -> Lane:
    return lane._replace(state=layout.settle(lane.state))
