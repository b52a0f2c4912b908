"""Tiles: lanes of one structure, seed and fold in one program, and what they are run by."""

import functools
import itertools
import threading
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.engine.lane import StopRule, state_bytes
from jaxopt_edu.engine.programs import Inputs, ProgramSpec, init_lanes, program_spec
from jaxopt_edu.engine.status import Status, diverged
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.names import hyperparameters
from jaxopt_edu.values.pytrees import Constant, check_seed

LARGEST = float(np.finfo(np.float32).max)
SMALL = 2**17  # bytes of a lane's state up to which it is a small one (`ProgramSpec`)


@dataclass(frozen=True)
class EvalPlan:
    """Evaluation schedule and stopping rules, shared by all tiles of a run."""

    stops: tuple[int, ...]  # the steps at which lanes are scored; the last one is the end
    split: str  # scored at every stop
    splits: tuple[str, ...]  # scored at the end
    names: tuple[str, ...] = ()  # of the scores at a stop
    diverge_above: float = 1e4
    metric: str = "loss"  # which patience watches
    mode: str = "min"  # or "max": whether less or more of it is better
    patience: int | None = None
    why_done: str = Status.CONVERGED.reason  # of the experiments that are run

    def reason(self, status: Status) -> str:
        """Why a lane ended, in words."""
        if status == Status.CONVERGED:
            return self.why_done
        if status == Status.OUT_OF_PATIENCE:
            return f"no better {self.metric} in {self.patience} evaluations"
        return status.reason

    @property
    def steps(self) -> int:
        return self.stops[-1]

    @property
    def sign(self) -> int:
        """1 where less of the metric is better, -1 where more is."""
        return 1 if self.mode == "min" else -1

    def next_stops(self, t: int, until: int, most: int) -> tuple[int, ...]:
        """The stops after step t, as far as `until`: at least one, at most so many."""
        first, last = bisect_right(self.stops, t), bisect_right(self.stops, until)
        return self.stops[first : max(first + 1, min(last, first + most))]

    @functools.cached_property
    def rule(self) -> StopRule:
        """What ends a lane, as the programs take it."""
        above = np.float32(self.diverge_above if self.diverge_above < LARGEST else np.inf)
        if self.patience is None:
            return StopRule(above)
        return StopRule(above, np.int32(self.patience), np.int32(self.sign))


class Segment(NamedTuple):
    """One call of `advance_lanes`: who did it, when, how far, and for how many."""

    worker: int
    start: float  # seconds of time.perf_counter
    end: float
    first: int  # the step it began with
    steps: int
    width: int
    alive: int  # lanes of the tile that run at its end
    structure: int
    useful: int  # steps of lanes while they ran


@dataclass
class Tile:
    """Up to `width` lanes on their way; `lanes` is None before the first segment.

    All its lanes are of one structure, one seed and one fold.
    """

    program: "TileProgram"
    numbers: list[np.ndarray]
    trials: np.ndarray  # which trials its first lanes are; the rest is padding
    seed: int = 0
    fold: int | None = None
    structure: int = 0  # which of the run
    repeat: int = 0  # which of the seeds and folds of a trial
    lanes: Any = None
    t: int = 0
    alone: bool = False  # no trial of several: over as soon as its lane has ended
    # on the host, for its trials only, after its last segment:
    stops: tuple[int, ...] = ()  # the steps at which it was scored
    scores: dict[str, np.ndarray] = field(default_factory=dict)  # name -> (trials, stops)
    status: np.ndarray = field(init=False)
    ended: np.ndarray = field(init=False)
    final: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # split -> scores
    segments: list[Segment] = field(default_factory=list)
    n_recorded: int = 0  # how many of them are in the record

    def __post_init__(self) -> None:
        self.status, self.ended = np.zeros((2, len(self.trials)), int)

    @property
    def spec(self) -> ProgramSpec:
        return self.program.spec

    @property
    def width(self) -> int:
        return self.program.spec.width

    @property
    def steps(self) -> np.ndarray:
        """The steps that each of its trials took."""
        return np.where(self.status == Status.RUNNING, self.t, self.ended)

    def read(self, arrays: Any) -> Any:
        """What belongs to trials in arrays over lanes."""
        return jax.tree.map(lambda x: np.asarray(x)[: len(self.trials)], arrays)

    def finished(self, until: int) -> bool:
        """Whether it went as far as that, or all its lanes have diverged.

        Lanes that ended otherwise are frozen, and scored like any other, but for one that is alone.
        """
        over = self.status != Status.RUNNING if self.alone else diverged(self.status)
        return self.t >= until or (self.t > 0 and bool(all(over)))

    def on(self, device: Any) -> Inputs:
        """What its programs are called with."""
        fold = None if self.fold is None else np.int32(self.fold)
        return Inputs(self.numbers, self.program.constants_on(device), np.uint32(self.seed), fold)


class TileProgram:
    """What the tiles of a structure share: program, constants, memory."""

    def __init__(
        self,
        template: Any,
        width: int,
        folded: bool = False,
        placement: Placement | None = None,
        patient: bool = False,
    ):
        leaves, structure = jax.tree.flatten(template, is_leaf=lambda x: isinstance(x, Constant))
        shared = tuple(map(_is_constant, leaves))
        small = state_bytes(template.fold(0) if folded else template) <= SMALL
        place = placement or Placement()
        self.spec = program_spec(structure, shared, width, place, patient, small)
        self.template, self.folded = template, folded
        self.constants = list(itertools.compress(leaves, shared))
        self._copies: dict[Any, Any] = {}  # of the constants, by device
        self._lock = threading.Lock()
        self.memory = -1  # bytes that a program takes, known once it is compiled
        self.evals_per_call = 1  # stops in one call, so many that it takes about CALL seconds

    def constants_on(self, device: Any) -> Any:
        """The constants, copied once to each device; None: to those of the mesh."""
        with self._lock:
            if device not in self._copies:
                self._copies[device] = self.spec.placement.put(self.constants, device)
            return self._copies[device]

    @functools.cached_property
    def lanes(self) -> Any:
        """The shapes of the lanes of a tile."""
        numbers = numbers_of(self.template, self.spec.width)
        fold = np.int32(0) if self.folded else None
        which = Inputs(numbers, self.constants, np.uint32(0), fold)
        return init_lanes.of(self.spec).eval_shape(self.spec, which)

    def tiles(self, numbers: list, trials: np.ndarray, **which: Any) -> list[Tile]:
        """Tiles of the lanes whose k-th number is numbers[k][lane]; the last one is padded."""
        out = []
        for first in range(0, len(trials), self.spec.width):
            lanes = padded(np.arange(first, len(trials)), self.spec.width)
            mine = trials[first : first + self.spec.width]
            out.append(Tile(self, [x[lanes] for x in numbers], mine, **which))
        return out


def lone_tile(
    experiment: Any, plan: EvalPlan, seed: int, width: int = 1, mesh: Any = None, fold: Any = None
) -> Tile:
    """A tile of one experiment, which stands in for the lanes beside it."""
    placement, patient = Placement.on(mesh), plan.patience is not None
    program = TileProgram(experiment, width, fold is not None, placement, patient)
    which = {"seed": check_seed(seed), "fold": fold, "alone": True}
    return program.tiles(numbers_of(experiment), np.zeros(1, int), **which)[0]


def padded(lanes: np.ndarray, width: int) -> np.ndarray:
    """The first `width` lanes; where there are fewer, the first one stands in for the others."""
    lanes = lanes[:width]
    return np.concatenate([lanes, np.full(width - len(lanes), lanes[0])])


def numbers_of(experiment: Any, count: int = 1, columns: Any = None) -> list[np.ndarray]:
    """The numbers of so many lanes of an experiment: its own, but for those that have a column.

    In the order of its leaves, in the dtype JAX computes with.
    """
    columns = columns or {}
    own = {name: x for name, x in hyperparameters(experiment).items() if not _is_constant(x)}
    found = [np.asarray(columns.get(name, np.full(count, x))) for name, x in own.items()]
    return [x.astype(jax.dtypes.canonicalize_dtype(x.dtype)) for x in found]


def _is_constant(leaf: Any) -> bool:
    """Whether lanes share a leaf: arrays, random keys and data; scalars are a lane's own."""
    if isinstance(leaf, Constant) or np.ndim(leaf) > 0:
        return True
    return hasattr(leaf, "dtype") and jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
