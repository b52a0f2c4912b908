"""The engine: a queue of tiles, and one worker for each core (CPU) or accelerator.

Each worker takes the next tile, advances it by one segment and hands it back; tiles that have steps
left go to the end of the queue. One compiled program serves every number of lanes, every seed and
every fold, and nothing about devices need be set before JAX starts.
"""

import functools
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxopt_edu.programs import (
    ALIVE,
    MOST_STOPS,
    Form,
    Which,
    advance_lanes,
    init_lanes,
    score_lanes,
    take_apart,
)
from jaxopt_edu.workers import Workers, worker_devices

CALL = 0.1  # seconds that one call of a program should take, where there is a stop in between


@dataclass(frozen=True)
class Settings:
    """How far and how: what every tile of a run shares."""

    stops: tuple[int, ...]  # the steps at which lanes are scored; the last one is the end
    split: str  # scored at every stop
    splits: tuple[str, ...]  # scored at the end
    names: tuple[str, ...] = ()  # of the scores at a stop
    diverge_above: float = 1e4
    tol: float | None = None

    @property
    def steps(self) -> int:
        return self.stops[-1]

    def next_stop(self, t: int) -> int:
        return self.next_stops(t, self.steps, 1)[0]

    def next_stops(self, t: int, until: int, most: int) -> tuple[int, ...]:
        """The stops after step t, as far as `until`: at least one, at most so many."""
        first = int(np.searchsorted(self.stops, t, side="right"))
        last = int(np.searchsorted(self.stops, until, side="right"))
        return self.stops[first : max(first + 1, min(last, first + most))]


class Segment(NamedTuple):
    """One call of `advance_lanes`: who did it, when, how far, and for how many."""

    worker: int
    start: float  # seconds of time.perf_counter
    end: float
    first: int  # the step it began with
    steps: int
    width: int
    alive: int  # lanes of the tile that live at its end
    structure: int
    useful: int  # steps of lanes while they lived


@dataclass
class Tile:
    """Up to `width` lanes on their way; `lanes` is None before the first segment.

    All its lanes are of one structure, one seed and one fold.
    """

    of: "Structure"
    numbers: list[np.ndarray]
    trials: np.ndarray  # which trials its first lanes are; the rest is padding
    seed: int = 0
    fold: int | None = None
    structure: int = 0  # which of the run
    repeat: int = 0  # which of the seeds and folds of a trial
    lanes: Any = None
    t: int = 0
    stopped: bool = False
    # on the host, for its trials only, after its last segment:
    stops: tuple[int, ...] = ()  # the steps at which it was scored
    scores: dict[str, np.ndarray] = field(default_factory=dict)  # name -> (trials, stops)
    died: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    reasons: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    final: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # split -> scores
    segments: list[Segment] = field(default_factory=list)
    noted: int = 0  # how many of them are in the record

    @property
    def form(self) -> Form:
        return self.of.form

    @property
    def width(self) -> int:
        return self.of.form.width

    def read(self, arrays: Any) -> Any:
        """What belongs to trials in arrays over lanes."""
        return jax.tree.map(lambda x: np.asarray(x)[: len(self.trials)], arrays)

    def finished(self, until: int) -> bool:
        """Whether it went as far as that, was stopped, or has no lane left that lives."""
        return self.stopped or self.t >= until or not self.alive

    @property
    def alive(self) -> bool:
        """Whether one of its lanes lives; all do before the first segment."""
        return bool(np.any(self.reasons == ALIVE)) or self.t == 0

    def on(self, device: Any) -> Which:
        """What its programs are called with."""
        fold = None if self.fold is None else np.int32(self.fold)
        return Which(self.numbers, self.of.constants.on(device), np.uint32(self.seed), fold)


class Shared:
    """Constants of all tiles of a structure, copied once to each device that works on one."""

    def __init__(self, values: Any):
        self.values, self._lock = values, threading.Lock()
        self._on: dict[Any, Any] = {}

    def on(self, device: Any) -> Any:
        """The constants on a device."""
        with self._lock:
            if device not in self._on:
                self._on[device] = jax.device_put(self.values, device)
            return self._on[device]


class Structure:
    """What the tiles of a structure have in common."""

    def __init__(self, template: Any, width: int, folded: bool = False):
        structure, shared, numbers, constants = take_apart(template)
        self.form, self.constants = Form(structure, shared, width), Shared(constants)
        self._which = (as_numbers(np.full(width, x) for x in numbers), folded)
        self.memory = 0  # bytes that a program takes, known once it is compiled
        self.at_once = 1  # stops in one call, so many that it takes about CALL seconds

    @functools.cached_property
    def lanes(self) -> Any:
        """The shapes of the lanes of a tile."""
        numbers, folded = self._which
        fold = np.int32(0) if folded else None
        which = Which(numbers, self.constants.values, np.uint32(0), fold)
        return init_lanes.eval_shape(self.form, which)

    def tiles(self, numbers: list, trials: np.ndarray, **which: Any) -> list[Tile]:
        """Tiles of the lanes whose k-th number is numbers[k][lane]; the last one is padded."""
        out = []
        for first in range(0, len(trials), self.form.width):
            lanes = padded(np.arange(first, len(trials)), self.form.width)
            mine = trials[first : first + self.form.width]
            out.append(Tile(self, [x[lanes] for x in numbers], mine, **which))
        return out


def padded(lanes: np.ndarray, width: int) -> np.ndarray:
    """The first `width` lanes; where there are fewer, the first one stands in for the others."""
    lanes = lanes[:width]
    return np.concatenate([lanes, np.full(width - len(lanes), lanes[0])])


def as_numbers(leaves: Iterable[Any]) -> list[np.ndarray]:
    """Arrays of one column of numbers each, in the dtype JAX computes with."""
    return [np.asarray(x, jax.dtypes.canonicalize_dtype(np.asarray(x).dtype)) for x in leaves]


# -------------------------------------------------------------------------------------- running


def compile_tiles(firsts: Iterable[Tile], settings: Settings) -> Iterator[Tile]:
    """Compiles the programs of each structure, given a tile of it, yielding it when it is done."""
    firsts = list(firsts)
    compile_one = functools.partial(_compile, settings=settings)
    with Workers(compile_one, most=len(firsts)) as workers:
        for tile in firsts:
            workers.put(tile)
        for _ in firsts:
            yield workers.get()


def _compile(tile: Tile, worker: Any, settings: Settings) -> None:
    """One run of each program without a step; the structure learns what memory they take."""
    device = worker.device
    which = tile.on(device)
    lanes = init_lanes(tile.form, which)
    arguments = _arguments(tile, which, lanes, 0, (), settings)
    tile.of.memory = _memory(device, *arguments)
    lanes, _, _ = advance_lanes(*arguments)
    jax.block_until_ready(score_lanes(tile.form, settings.splits, which, lanes))


_known: dict[Any, int] = {}  # what `_memory` found: to ask once more takes as long as many steps


def _memory(device: Any, *arguments: Any) -> int:
    """The bytes that `advance_lanes` takes with such arguments; 0 where a backend does not say."""
    form, split, which, lanes, *_, tol = arguments
    shapes = tuple(jax.typeof(x) for x in jax.tree.leaves((which, lanes)))
    key = device, form, split, tol is None, shapes
    if key not in _known:
        used = advance_lanes.lower(*arguments).compile().memory_analysis()
        _known[key] = used.temp_size_in_bytes + used.argument_size_in_bytes if used else 0
    return _known[key]


def run_tiles(
    tiles: Iterable[Tile], settings: Settings, until: int | None = None, most: int = MOST_STOPS
) -> Iterator[Tile]:
    """Advances all tiles to a stop (the last), yielding each after each of its segments.

    A tile is the caller's while it is out; where the caller sets `stopped`, it does not go on.
    most: stops in a segment.
    """
    until = settings.steps if until is None else until

    def advance(tile, worker):
        stops = settings.next_stops(tile.t, until, min(most, tile.of.at_once))
        _segment(tile, settings, stops, worker)

    going = [tile for tile in tiles if not tile.finished(until)]
    with Workers(advance, most=len(going)) as workers:
        for tile in going:
            workers.put(tile)
        out = len(going)
        while out:
            tile = workers.get()
            yield tile
            if tile.finished(until):
                out -= 1
            else:
                workers.put(tile)


def _segment(tile: Tile, settings: Settings, stops: tuple[int, ...], worker: Any) -> None:
    """The tile after one more segment, its scores on the host; on all splits after the last."""
    began, first, which = time.perf_counter(), tile.t, tile.on(worker.device)
    lanes = tile.lanes
    lanes = init_lanes(tile.form, which) if lanes is None else _on(lanes, worker.device)
    arguments = _arguments(tile, which, lanes, first, stops, settings)
    tile.lanes, t, scores = advance_lanes(*arguments)
    told = jax.device_get((scores, tile.lanes.died, tile.lanes.reason, t))  # waits once
    scores, tile.died, tile.reasons, ends = tile.read(told)
    tile.stops, tile.scores = stops, {name: x[:, : len(stops)] for name, x in scores.items()}
    tile.t = int(ends.max())
    tile.stopped = tile.t < stops[-1]
    each = (time.perf_counter() - began) / len(stops)
    tile.of.at_once = int(np.clip(CALL / each, 1, MOST_STOPS))
    if tile.finished(settings.steps):
        tile.final = _scores(tile, which, settings.splits)
    end, lives = time.perf_counter(), tile.reasons == ALIVE
    useful = np.maximum(np.where(lives, tile.t, tile.died) - first, 0).sum()
    tile.segments.append(
        Segment(
            worker.number, began, end, first, tile.t - first, tile.width, int(lives.sum()),
            tile.structure, int(useful),
        )
    )  # fmt: skip


def score_tile(tile: Tile, settings: Settings) -> None:
    """Puts the scores of the tile's trials on every split of the settings into tile.final."""
    tile.final = scores_on(tile, settings.splits)


def scores_on(tile: Tile, splits: tuple[str, ...]) -> dict[str, dict[str, np.ndarray]]:
    """The scores of the tile's trials on these splits, as far as they have come."""
    device = worker_devices()[0]
    tile.lanes = _on(tile.lanes, device)
    return _scores(tile, tile.on(device), splits)


def _scores(tile: Tile, which: Which, splits: tuple[str, ...]) -> dict[str, dict[str, np.ndarray]]:
    found = tile.read(score_lanes(tile.form, splits, which, tile.lanes))
    return {split: loss_first(found[split]) for split in splits}


def _on(lanes: Any, device: Any) -> Any:
    """The lanes on a device: as they are where they are there, as those of a CPU mostly are."""
    there = isinstance(lanes.died, jax.Array) and lanes.died.devices() == {device}
    return lanes if there else jax.device_put(lanes, device)


def _arguments(
    tile: Tile, which: Which, lanes: Any, start: int, stops: tuple[int, ...], settings: Settings
) -> tuple:
    """Of `advance_lanes`."""
    tol = None if settings.tol is None else np.float32(settings.tol)
    above, count = np.float32(settings.diverge_above), np.int32(len(stops))
    padded_stops = np.zeros(MOST_STOPS, np.int32)
    padded_stops[: len(stops)] = stops
    split = settings.split
    return tile.form, split, which, lanes, np.int32(start), padded_stops, count, above, tol


def loss_first(scores: dict[str, Any]) -> dict[str, Any]:
    """The scores with the loss in front, which JAX has put in alphabetical order."""
    return dict(sorted(scores.items(), key=lambda item: item[0] != "loss"))
