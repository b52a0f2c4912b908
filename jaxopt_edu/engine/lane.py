"""A lane: one training on its way through a program, its steps, and what ends it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxopt_edu.engine import traced
from jaxopt_edu.engine.status import Status
from jaxopt_edu.nn.scores import TRAINING_LOSS
from jaxopt_edu.optim.branches import any_lane
from jaxopt_edu.values import tree

STRIDE = 16  # steps in a turn of an accelerator's loop, which the host waits for


class StopRule(NamedTuple):
    """What ends a lane besides its own word.

    diverge_above: the multiple of its first loss. patience: evaluations without a better score, or
    None; sign: 1 where less of the score is better, -1 where more is.
    """

    diverge_above: Any
    patience: Any = None
    sign: Any = None


class Best(NamedTuple):
    """Of a lane with patience: its best score, evaluations since, and the state that it is of."""

    score: Array
    waited: Array
    state: Any


class Lane(NamedTuple):
    """A training on its way: its state, its last and its first loss, how it stands, and the step
    at which it ended (0: it has not)."""

    state: Any
    loss: Array
    first: Array
    status: Array
    ended: Array
    best: Best | None = None


def begin(experiment: Any, seed: Array, patient: bool = False) -> Lane:
    """A training before its first step."""
    state = traced.init(experiment, seed)
    first, zero = experiment.baseline(state), jnp.zeros((), jnp.int32)
    first = jnp.array(jnp.nan if first is None else first, jnp.result_type(float), copy=True)
    best = Best(jnp.full_like(first, jnp.inf), zero, tree.map(jnp.copy, state)) if patient else None
    return Lane(state, jnp.full_like(first, jnp.nan), first, zero, zero, best)


def run_steps(
    step: Callable[[Any, Array], Any], lane: Lane, start: Array, stop: Array, diverge_above: Array
) -> tuple[Array, Lane]:
    """(t, lane) after the steps start <= t < stop, or those until no lane of the tile runs.

    A lane that has ended is frozen. Where nothing but divergence ends lanes that costs 3 to 17% of
    a step for nothing: one that diverged beside others goes on, and its state is never read; alone
    it ends the loop, at the very step.

    Whether a loop goes on is decided on the host, for which an accelerator waits after each turn;
    so it makes many steps in a turn, as far as it can.
    """

    def runs(carry):
        return any_lane(carry[1].status == Status.RUNNING)

    def go(carry):
        t, lane = carry
        state, told = step(lane.state, t)
        new = check_loss(lane._replace(state=state), told, t + 1, diverge_above)
        if told.done is None and lane.best is None and not loop_syncs_host():
            return t + 1, new  # nothing but divergence ends it, after which nobody reads its state
        ended = lane.status != Status.RUNNING
        return t + 1, tree.map(lambda old, x: lax.select(ended, old, x), lane, new)

    def go_far(carry):
        return lax.fori_loop(0, STRIDE, lambda _, carry: go(carry), carry)

    carry = start, lane
    if loop_syncs_host():
        carry = lax.while_loop(lambda c: (c[0] + STRIDE <= stop) & runs(c), go_far, carry)
    return lax.while_loop(lambda c: (c[0] < stop) & runs(c), go, carry)


def loop_syncs_host() -> bool:
    """Whether the condition of a loop costs a copy to the host at each turn: not on a CPU."""
    return jax.default_backend() != "cpu"


def evaluate(experiment: Any, lane: Lane, split: str) -> dict[str, Array]:
    """The scores of a lane on a split, and its last training loss (NaN where no step tells one)."""
    return traced.score(experiment, lane.state, split) | {TRAINING_LOSS: lane.loss}


def judge(
    lane: Lane, watched: Any, score: Array | None, before: Array, rule: StopRule, t: Array
) -> Lane:
    """The lane with the verdict of an evaluation on what must stay finite, and on the score that
    patience watches, if it has that. before: how it stood when it went on to this one."""
    lane = end(lane, ~tree.all_finite(watched), Status.STATE_NOT_FINITE, t)
    return lane if score is None else check_patience(lane, before, score, rule, t)


def best_state(lane: Lane) -> Any:
    """The state that a lane comes to: with patience, that of its best score if it had one."""
    if lane.best is None:
        return lane.state
    none = jnp.isinf(lane.best.score)

    def chosen(old, x):
        return jnp.where(none.reshape(none.shape + (1,) * (x.ndim - none.ndim)), x, old)

    return tree.map(chosen, lane.best.state, lane.state)


def check_loss(lane: Lane, told: Any, t: Array, diverge_above: Array) -> Lane:
    """The lane after a step, with the verdict on its training loss, or its word that it is done."""
    if told.loss is not None:
        loss = jnp.asarray(told.loss).astype(lane.loss.dtype)
        first = jnp.where(jnp.isnan(lane.first), loss, lane.first)
        lane = lane._replace(loss=loss, first=first)
        above = (first > 0) & (loss > diverge_above * first)
        lane = end(lane, ~jnp.isfinite(loss), Status.LOSS_NOT_FINITE, t)
        lane = end(lane, above, Status.LOSS_ABOVE, t)
    return lane if told.done is None else end(lane, told.done, Status.CONVERGED, t)


def check_patience(lane: Lane, before: Array, score: Array, rule: StopRule, t: Array) -> Lane:
    """The lane after an evaluation, until which it ran: its best state, and whether it waits on."""
    assert lane.best is not None
    live = before == Status.RUNNING
    score = (rule.sign * score).astype(lane.best.score.dtype)
    fine = (lane.status == Status.RUNNING) | (lane.status == Status.CONVERGED)
    better = live & fine & (score < lane.best.score)
    waited = jnp.where(better, 0, lane.best.waited + live)
    state = tree.map(lambda x, old: lax.select(better, x, old), lane.state, lane.best.state)
    lane = lane._replace(best=Best(jnp.where(better, score, lane.best.score), waited, state))
    return end(lane, waited >= rule.patience, Status.OUT_OF_PATIENCE, t)


def end(lane: Lane, where: Array, status: Status, t: Array) -> Lane:
    """Records when and how a lane ended; later reasons are ignored."""
    ends = (lane.status == Status.RUNNING) & where
    return lane._replace(
        status=jnp.where(ends, status, lane.status).astype(jnp.int32),
        ended=jnp.where(ends, t, lane.ended).astype(jnp.int32),
    )


def state_bytes(experiment: Any) -> int:
    """What the state of a lane takes."""
    state = traced.init.eval_shape(traced.like_a_lane(experiment), np.uint32(0))
    return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state) if hasattr(x, "dtype"))
