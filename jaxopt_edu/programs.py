"""The three compiled programs of a tile of lanes: init, advance and score.

A lane is one training; a tile is a fixed number of them in one program. No norm, mean or sort runs
over the lane axis, so what a lane computes depends on the width of its tile, never on the others.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxopt_edu import keys, tree
from jaxopt_edu.checks import TRAINING_LOSS
from jaxopt_edu.names import hyperparameters
from jaxopt_edu.value import Constant

MOST_STOPS = 32  # at which one call of a program scores its lanes
STRIDE = 16  # steps in a turn of an accelerator's loop, which the host waits for
ALIVE, LOSS_NOT_FINITE, STATE_NOT_FINITE, LOSS_ABOVE = range(4)
REASONS = ("", "loss is not finite", "state is not finite", "loss above diverge_above")


# ------------------------------------------------------------------ an experiment, taken apart


@dataclass(frozen=True, eq=False)
class Form:
    """The structure of an experiment: what a program is compiled for, besides shapes.

    Every scalar of the experiment is a lane's own number; arrays and data are shared constants. So
    the program is the same whichever numbers a sweep samples.
    """

    structure: Any
    shared: tuple[bool, ...]
    width: int

    @functools.cached_property
    def _key(self) -> tuple[int, tuple]:
        """A structure takes long to hash, and every call of a program looks it up."""
        key = (self.structure, self.shared, self.width)
        return hash(key), key

    def __hash__(self) -> int:
        return self._key[0]

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Form) and self._key == other._key)

    def build(self, numbers: Any, constants: Any, fold: Array | None) -> Any:
        """The experiment with these numbers and constants, on a fold where there are folds."""
        own, common = iter(numbers), iter(constants)
        experiment = jax.tree.unflatten(
            self.structure, [next(common) if s else next(own) for s in self.shared]
        )
        return experiment if fold is None else experiment.fold(fold)

    def over_lanes(self, f: Callable, which: "Which", *lanes: Any) -> Any:
        """f(experiment, *lane) for every lane of a tile; a tile of one runs f as it is."""

        def one(numbers, *lane):
            return f(self.build(numbers, which.constants, which.fold), *lane)

        numbers = which.numbers

        if self.width > 1:
            return jax.vmap(one)(numbers, *lanes)
        out = one(*jax.tree.map(lambda x: x[0], (numbers, *lanes)))
        return jax.tree.map(lambda x: jnp.expand_dims(x, 0), out)


def take_apart(experiment: Any) -> tuple[Any, tuple[bool, ...], list, list]:
    """(structure, which leaves are shared, the numbers, the constants)."""
    leaves, structure = jax.tree.flatten(experiment, is_leaf=lambda x: isinstance(x, Constant))
    shared = tuple(isinstance(x, Constant) or _is_constant(x) for x in leaves)
    numbers = [x for x, s in zip(leaves, shared, strict=True) if not s]
    constants = [x for x, s in zip(leaves, shared, strict=True) if s]
    return structure, shared, numbers, constants


def named_numbers(experiment: Any) -> dict[str, Any]:
    """The numbers of `take_apart` by name, in its order."""
    named = hyperparameters(experiment)
    return {name: leaf for name, leaf in named.items() if not _is_constant(leaf)}


def _is_constant(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return np.ndim(leaf) > 0 or (
        dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    )


# ---------------------------------------------------------------------------- the three programs


class Which(NamedTuple):
    """What the lanes of a tile are: each has its own numbers; constants, seed and fold are shared.

    The seed is that of the initial weights and of the order of the data.
    """

    numbers: Any
    constants: Any
    seed: Any
    fold: Any = None


class Lane(NamedTuple):
    """A training on its way: its state, its first loss, and when and why it diverged."""

    state: Any
    first: Array
    died: Array
    reason: Array


@functools.partial(jax.jit, static_argnames="form")
def init_lanes(form: Form, which: Which) -> Lane:
    """The lanes of one tile before the first step."""
    return form.over_lanes(lambda experiment: begin(experiment, which.seed), which)


@functools.partial(jax.jit, static_argnames=("form", "split"), donate_argnames="lanes")
def advance_lanes(
    form: Form,
    split: str,
    which: Which,
    lanes: Lane,
    start: Array,
    stops: Array,
    count: Array,
    diverge_above: Array,
    tol: Array | None,
) -> tuple[Lane, Array, dict[str, Array]]:
    """The lanes of one tile after the steps from start to the last of the first `count` stops.

    Also the step reached, and the scores at each of these stops: (lanes, MOST_STOPS).
    With tol a lane also ends as soon as its gradient norm is not above it.
    """
    key = order_key(which.seed)

    def run(experiment, lane):
        def step(state, t):
            return experiment.step(state, t, key)

        def segment(k, carry):
            t, lane, table = carry
            t, lane = walk(step, lane, t, stops[k], diverge_above, tol)
            scores = evaluate(experiment, lane, split)
            table = {name: table[name].at[k].set(x) for name, x in scores.items()}
            return t, inspect(lane, t), table

        like = jax.eval_shape(lambda lane: evaluate(experiment, lane, split), lane)
        table = {name: jnp.zeros(MOST_STOPS, x.dtype) for name, x in like.items()}
        t, lane, table = lax.fori_loop(0, count, segment, (start, lane, table))
        return lane, t, table

    return form.over_lanes(run, which, lanes)


@functools.partial(jax.jit, static_argnames=("form", "splits"))
def score_lanes(
    form: Form, splits: tuple[str, ...], which: Which, lanes: Lane
) -> dict[str, dict[str, Array]]:
    """The scores of the lanes of one tile on several splits."""

    def score(experiment, lane):
        return {split: experiment.score(lane.state, split) for split in splits}

    return form.over_lanes(score, which, lanes)


# ------------------------------------------------------------------- what a training consists of


def begin(experiment: Any, seed: Array) -> Lane:
    """A training before its first step."""
    state = experiment.init(keys.weights(seed))
    first = getattr(state, "loss", jnp.zeros(()))
    return Lane(state, first, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.int32))


def order_key(seed: Array) -> Array:
    """The key of a training's steps: of the order of the data, of dropout."""
    return keys.order(seed)


def walk(
    step: Callable[[Any, Array], Any],
    lane: Lane,
    start: Array,
    stop: Array,
    diverge_above: Array,
    tol: Array | None,
) -> tuple[Array, Lane]:
    """(t, lane) after the steps start <= t < stop, or those until its gradient is small.

    Whether a loop goes on is decided on the host, for which an accelerator waits after each turn;
    so it makes many steps in a turn, as far as it can.
    """

    def go_on(carry):
        t, lane = carry
        ahead = t < stop
        return ahead if tol is None else ahead & (lane.state.gradient_norm > tol)

    def go(carry):
        t, lane = carry
        return t + 1, watch(lane, step(lane.state, t), t + 1, diverge_above)

    def go_far(carry):
        return lax.fori_loop(0, STRIDE, lambda _, carry: go(carry), carry)

    carry = start, lane
    if tol is None and host_is_far():
        carry = lax.while_loop(lambda carry: carry[0] + STRIDE <= stop, go_far, carry)
    return lax.while_loop(go_on, go, carry)


def host_is_far() -> bool:
    """Whether a loop waits for the host at each turn: not on a CPU."""
    return jax.default_backend() != "cpu"


def evaluate(experiment: Any, lane: Lane, split: str) -> dict[str, Array]:
    """The scores of a lane on a split, and its last training loss where it has one."""
    scores = experiment.score(lane.state, split)
    last = {TRAINING_LOSS: lane.state.loss} if hasattr(lane.state, "loss") else {}
    return scores | last


def watch(lane: Lane, state: Any, t: Array, diverge_above: Array) -> Lane:
    """The lane after a step, with the verdict on its training loss."""
    if not hasattr(state, "loss"):
        return lane._replace(state=state)
    above = (lane.first > 0) & (state.loss > diverge_above * lane.first)
    reason = jnp.where(
        jnp.isfinite(state.loss), jnp.where(above, LOSS_ABOVE, ALIVE), LOSS_NOT_FINITE
    )
    return _bury(lane._replace(state=state), reason, t)


def inspect(lane: Lane, t: Array) -> Lane:
    """The lane with the verdict on its whole state, which is read at the end of a segment only."""
    reason = jnp.where(tree.all_finite(lane.state), ALIVE, STATE_NOT_FINITE)
    return _bury(lane, reason, t)


def _bury(lane: Lane, reason: Array, t: Array) -> Lane:
    """The first death is the one that counts."""
    dies = (lane.reason == ALIVE) & (reason != ALIVE)
    return lane._replace(
        died=jnp.where(dies, t, lane.died).astype(jnp.int32),
        reason=jnp.where(dies, reason, lane.reason).astype(jnp.int32),
    )
