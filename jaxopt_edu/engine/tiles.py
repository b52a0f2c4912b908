"""Tiles: lanes of one structure, seed and fold in one program, and what they are run by."""

import functools
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.engine.lane import StopRule
from jaxopt_edu.engine.programs import Inputs, ProgramSpec, init_lanes, named_numbers, take_apart
from jaxopt_edu.engine.status import Status, diverged
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.pytrees import check_seed


@dataclass(frozen=True)
class EvalPlan:
    """Evaluation schedule and stopping rules, shared by all tiles of a run."""

    stops: tuple[int, ...]  # the steps at which lanes are scored; the last one is the end
    split: str  # scored at every stop
    splits: tuple[str, ...]  # scored at the end
    names: tuple[str, ...] = ()  # of the scores at a stop
    diverge_above: float = 1e4
    metric: str = "loss"  # which patience watches
    sign: int = 1  # 1 where less of it is better, -1 where more is
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
    def mode(self) -> str:
        """Whether less or more of the metric is better."""
        return "min" if self.sign == 1 else "max"

    def next_stops(self, t: int, until: int, most: int) -> tuple[int, ...]:
        """The stops after step t, as far as `until`: at least one, at most so many."""
        first = int(np.searchsorted(self.stops, t, side="right"))
        last = int(np.searchsorted(self.stops, until, side="right"))
        return self.stops[first : max(first + 1, min(last, first + most))]

    @property
    def rule(self) -> StopRule:
        """What ends a lane, as the programs take it."""
        above = np.float32(self.diverge_above)
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

    @classmethod
    def of(cls, row: list[float]) -> "Segment":
        """Of a row of numbers, as an array holds it."""
        return cls(int(row[0]), row[1], row[2], *map(int, row[3:]))


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
    stopped: bool = False  # by the caller
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
        """Whether it went as far as that, was stopped, or all its lanes have diverged.

        Lanes that ended otherwise are frozen, and scored like any other.
        """
        return self.stopped or self.t >= until or (self.t > 0 and bool(all(diverged(self.status))))

    def on(self, device: Any) -> Inputs:
        """What its programs are called with."""
        fold = None if self.fold is None else np.int32(self.fold)
        return Inputs(self.numbers, self.program.constants.on(device), np.uint32(self.seed), fold)


class DeviceConstants:
    """Constants of all tiles of a structure, copied once to each device that works on one."""

    def __init__(self, values: Any, placement: Placement):
        self.values, self._placement, self._lock = values, placement, threading.Lock()
        self._on: dict[Any, Any] = {}

    def on(self, device: Any) -> Any:
        """The constants on a device; device None: on those of the mesh."""
        with self._lock:
            if device not in self._on:
                self._on[device] = self._placement.put(self.values, device)
            return self._on[device]


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
        placement = placement or Placement()
        structure, shared, numbers, constants = take_apart(template)
        self.spec = ProgramSpec(structure, shared, width, placement)
        self.constants = DeviceConstants(constants, placement)
        self.patient, self.shared_state = patient, template.shared_state
        self._which = (as_numbers(np.full(width, x) for x in numbers), folded)
        self.memory = 0  # bytes that a program takes, known once it is compiled
        self.evals_per_call = 1  # stops in one call, so many that it takes about CALL seconds

    @functools.cached_property
    def lanes(self) -> Any:
        """The shapes of the lanes of a tile."""
        numbers, folded = self._which
        fold = np.int32(0) if folded else None
        which = Inputs(numbers, self.constants.values, np.uint32(0), fold)
        return init_lanes.eval_shape(self.spec, which, self.patient)

    def tiles(self, numbers: list, trials: np.ndarray, **which: Any) -> list[Tile]:
        """Tiles of the lanes whose k-th number is numbers[k][lane]; the last one is padded."""
        out = []
        for first in range(0, len(trials), self.spec.width):
            lanes = padded(np.arange(first, len(trials)), self.spec.width)
            mine = trials[first : first + self.spec.width]
            out.append(Tile(self, [x[lanes] for x in numbers], mine, **which))
        return out


def lone_tile(experiment: Any, plan: EvalPlan, seed: int, width: int = 1, mesh: Any = None) -> Tile:
    """A tile of one experiment, which stands in for the lanes beside it."""
    placement, patient = Placement.on(mesh), plan.patience is not None
    program = TileProgram(experiment, width, placement=placement, patient=patient)
    [tile] = program.tiles(numbers_of(experiment), np.zeros(1, int), seed=check_seed(seed))
    return tile


def padded(lanes: np.ndarray, width: int) -> np.ndarray:
    """The first `width` lanes; where there are fewer, the first one stands in for the others."""
    lanes = lanes[:width]
    return np.concatenate([lanes, np.full(width - len(lanes), lanes[0])])


def as_numbers(leaves: Iterable[Any]) -> list[np.ndarray]:
    """Arrays of one column of numbers each, in the dtype JAX computes with."""
    return [np.asarray(x, jax.dtypes.canonicalize_dtype(np.asarray(x).dtype)) for x in leaves]


def numbers_of(experiment: Any, count: int = 1, columns: Any = None) -> list[np.ndarray]:
    """The numbers of so many lanes of an experiment: its own, but for those that have a column."""
    columns = columns or {}
    named = named_numbers(experiment).items()
    return as_numbers(columns.get(name, np.full(count, x)) for name, x in named)
