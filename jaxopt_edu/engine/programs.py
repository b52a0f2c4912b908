"""The three compiled programs of a tile of lanes: init, advance and score.

A lane is one training; a tile is a fixed number of them in one program. No norm, mean or sort runs
over the lane axis, so what a lane computes depends on the width of its tile, never on the others.
A lane that has ended, by divergence, its own word or patience, is frozen where it ended.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from jaxopt_edu.engine import traced
from jaxopt_edu.engine.lane import Lane, StopRule, begin, best_state, evaluate, judge, run_steps
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values import keys
from jaxopt_edu.values.compiling import AT_ONCE, QUICKLY, compiled

MOST_STOPS = 32  # at which one call of a program scores its lanes


@dataclass(frozen=True, eq=False)  # known by what it is, of which `program_spec` makes it once
class ProgramSpec:
    """The structure of an experiment: what a program is compiled for, besides shapes.

    Every scalar of the experiment is a lane's own number; arrays and data are shared constants. So
    the program is the same whichever numbers a sweep samples.

    shared: which leaves are constants. patient: whether patience may end lanes. small: whether the
    state of a lane takes less time to compute than programs to compile.
    """

    structure: Any
    shared: tuple[bool, ...]
    width: int
    placement: Placement
    patient: bool
    small: bool

    def build(self, numbers: Any, constants: Any, fold: Array | None) -> Any:
        """The experiment with these numbers and constants, on a fold where there are folds."""
        own, common = iter(numbers), iter(constants)
        experiment = jax.tree.unflatten(
            self.structure, [next(common) if s else next(own) for s in self.shared]
        )
        return experiment if fold is None else experiment.fold(fold)

    def over_lanes(self, f: Callable, which: "Inputs", *lanes: Any) -> Any:
        """f(experiment, *lane) for every lane of a tile; a tile of one runs f as it is."""

        def one(numbers, *lane):
            with self.placement.entered():
                experiment = self.build(numbers, which.constants, which.fold)
                return self.placement.settled(f(experiment, *lane), experiment.shared_state)

        if self.width > 1:
            return jax.vmap(one)(which.numbers, *lanes)
        out = one(*jax.tree.map(lambda x: x[0], (which.numbers, *lanes)))
        return jax.tree.map(lambda x: jnp.expand_dims(x, 0), out)


@functools.lru_cache(maxsize=4096)
def program_spec(*fields: Any) -> ProgramSpec:
    """The only `ProgramSpec` of these fields: every call of a program looks it up by its identity,
    as a structure takes long to hash."""
    return ProgramSpec(*fields)


# ---------------------------------------------------------------------------- the three programs


class Inputs(NamedTuple):
    """Inputs of a tile's programs: per-lane numbers; constants, seed and fold, which lanes share.

    The seed is that of the initial weights and of the order of the data.
    """

    numbers: Any
    constants: Any
    seed: Any
    fold: Any = None


@compiled("spec", small=AT_ONCE, large=QUICKLY)
def init_lanes(spec: ProgramSpec, which: Inputs) -> Lane:
    """The lanes of one tile before the first step."""
    return spec.over_lanes(lambda one: begin(one, which.seed, spec.patient), which)


@compiled("spec split metric", donated="lanes", small=QUICKLY)
def advance_lanes(
    spec: ProgramSpec,
    split: str,
    metric: str | None,
    which: Inputs,
    lanes: Lane,
    start: Array,
    stops: Array,
    count: Array,
    rule: StopRule,
    batch: Any = None,
    scored: Any = True,
) -> tuple[Lane, dict[str, Array]]:
    """The lanes of one tile after the steps from start to the last of the first `count` stops.

    Also the scores at each of these stops: (lanes, MOST_STOPS). metric: that patience watches, None
    without patience: one program serves all metrics. batch: the examples of the only
    step, where they come from a stream; then `scored` says whether its stop is to be scored.
    """
    key = keys.order(which.seed)

    def run(experiment, lane):
        def step(state, t):
            if batch is None:
                state, told = traced.step(experiment, state, t, key)
            else:
                state, told = experiment.learn(state, batch, t, key)
            return spec.placement.settled(state, experiment.shared_state), told

        def look(k, before, lane, table):
            scores = evaluate(experiment, lane, split)
            score = None if metric is None else scores[metric]
            watched = experiment.watched(lane.state)
            lane = judge(lane, watched, score, before, rule, stops[k])
            return lane, {name: table[name].at[k].set(x) for name, x in scores.items()}

        def segment(k, carry):
            t, lane, table = carry
            before = lane.status
            t, lane = run_steps(step, lane, t, stops[k], rule.diverge_above)
            now = k, before, lane, table
            if batch is None:
                return t, *look(*now)
            return t, *lax.cond(scored, look, lambda k, before, *same: same, *now)

        like = jax.eval_shape(lambda lane: evaluate(experiment, lane, split), lane)
        table = {name: jnp.zeros(MOST_STOPS, x.dtype) for name, x in like.items()}
        _, lane, table = lax.fori_loop(0, count, segment, (start, lane, table))
        return lane, table

    return spec.over_lanes(run, which, lanes)


@compiled("spec splits", small=QUICKLY, large=QUICKLY)
def score_lanes(
    spec: ProgramSpec, splits: tuple[str, ...], which: Inputs, lanes: Lane
) -> dict[str, dict[str, Array]]:
    """The scores of the lanes of one tile on several splits; with patience, of their best state."""

    def score(experiment, lane):
        state = best_state(lane)
        return {split: traced.score(experiment, state, split) for split in splits}

    return spec.over_lanes(score, which, lanes)
