"""The engine: a queue of tiles, and one worker for each core (CPU) or accelerator.

Each worker takes the next tile, advances it by one segment and hands it back; tiles that have steps
left go to the end of the queue. One compiled program serves every number of lanes, and nothing
about devices need be set before JAX starts.
"""

import os
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu.programs import (
    ALIVE,
    Form,
    Lane,
    advance_lanes,
    init_lanes,
    score_lanes,
    take_apart,
)

CPU_BYTES = 2**20  # what the lanes of a tile may keep busy in a core's cache
ACCELERATOR_BYTES = 2**30
CPU_LANES, ACCELERATOR_LANES = 32, 1024


@dataclass(frozen=True)
class Settings:
    """How far and how: what every tile of a run shares."""

    steps: int
    segment: int
    seed: int
    split: str  # scored after every segment
    splits: tuple[str, ...]  # scored at the end
    diverge_above: float = 1e4
    tol: float | None = None


@dataclass
class Tile:
    """Up to `form.width` lanes on their way; `lanes` is None before the first segment."""

    form: Form
    numbers: list[np.ndarray]
    constants: "Shared"
    trials: np.ndarray  # which trials its first lanes are; the rest is padding
    lanes: Any = None
    t: int = 0
    stopped: bool = False
    # on the host, for its trials only, after its last segment:
    scores: dict[str, np.ndarray] = field(default_factory=dict)
    died: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    reasons: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    final: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)  # split -> scores

    def read(self, arrays: Any) -> Any:
        """What belongs to trials in arrays over lanes."""
        return jax.tree.map(lambda x: np.asarray(x)[: len(self.trials)], arrays)

    def finished(self, steps: int) -> bool:
        """Whether it has gone all its steps, was stopped, or has no lane left that lives."""
        return self.stopped or self.t >= steps or not np.any(self.reasons == ALIVE)


class Shared:
    """Constants of all tiles of a structure, copied once to each device that works on one."""

    def __init__(self, values: Any):
        self._values, self._lock = values, threading.Lock()
        self._on: dict[Any, Any] = {}

    def on(self, device: Any) -> Any:
        """The constants on a device."""
        with self._lock:
            if device not in self._on:
                self._on[device] = jax.device_put(self._values, device)
            return self._on[device]


# ------------------------------------------------------------------------------------- tiles


def tile_width(experiment: Any) -> int:
    """How many lanes one program carries: a pure function of the shapes and the backend.

    On a CPU the states of a tile fit the cache of a core; on an accelerator there are enough of
    them to fill it. Powers of two, at most 32 or 1024.
    """
    state = _initial_state.eval_shape(experiment, np.uint32(0))
    lane = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state) if hasattr(x, "dtype"))
    cpu = jax.default_backend() == "cpu"
    most, budget = (CPU_LANES, CPU_BYTES) if cpu else (ACCELERATOR_LANES, ACCELERATOR_BYTES)
    return min(most, 2 ** int(np.log2(max(budget / max(lane, 1), 1))))


@jax.jit
def _initial_state(experiment: Any, seed: Any) -> Any:
    """Only its shapes are asked for."""
    return experiment.init(jax.random.key(seed))


def make_tiles(template: Any, numbers: list, trials: np.ndarray, width: int) -> list[Tile]:
    """The tiles of the lanes whose k-th number is numbers[k][lane]; the last one is padded."""
    structure, shared, _, values = take_apart(template)
    form, constants = Form(structure, shared, width), Shared(values)
    tiles = []
    for first in range(0, len(trials), width):
        lanes = np.arange(first, first + width)
        lanes = np.where(lanes < len(trials), lanes, first)
        own = [x[lanes] for x in numbers]
        tiles.append(Tile(form, own, constants, trials[first : first + width]))
    return tiles


def as_numbers(leaves: Iterable[Any]) -> list[np.ndarray]:
    """Arrays of one column of numbers each, in the dtype JAX computes with."""
    return [np.asarray(x, jax.dtypes.canonicalize_dtype(np.asarray(x).dtype)) for x in leaves]


# ------------------------------------------------------------------------------------ workers


class Workers:
    """Threads that run task(job, device) on what is put in, one for each core or accelerator.

    While entered in the main thread, Ctrl-C is heard by the next `get`, between two segments and
    not in the middle of something; a second one interrupts at once.
    """

    def __init__(self, task: Callable[[Any, Any], None]):
        self._todo: queue.SimpleQueue = queue.SimpleQueue()
        self._done: queue.SimpleQueue = queue.SimpleQueue()
        self._task = task
        self._stop = threading.Event()
        self._heard = threading.Event()
        self._handler: Any = None
        # JAX keeps both settings for each thread
        settings = (jax.enable_x64.value, jax.default_matmul_precision.value)
        self._threads = [
            threading.Thread(target=self._run, args=(device, *settings), daemon=True)
            for device in worker_devices()
        ]

    def __enter__(self) -> "Workers":
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = signal.signal(signal.SIGINT, self._hear)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
        self._stop.set()
        for _thread in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def put(self, job: Any) -> None:
        """Queues a job."""
        self._todo.put(job)

    def get(self) -> Any:
        """The next job that is done; raises what its task raised."""
        while True:
            if self._heard.is_set():
                raise KeyboardInterrupt
            try:
                job, error = self._done.get(timeout=0.2)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            return job

    def _hear(self, *_: Any) -> None:
        if self._heard.is_set():
            raise KeyboardInterrupt
        self._heard.set()

    def _run(self, device: Any, x64: bool, precision: Any) -> None:
        with (
            jax.enable_x64(x64),
            jax.default_matmul_precision(precision),
            jax.default_device(device),
        ):
            while (job := self._todo.get()) is not None and not self._stop.is_set():
                try:
                    self._task(job, device)
                    self._done.put((job, None))
                except BaseException as error:
                    self._done.put((job, error))


def worker_devices() -> list:
    """The device of each worker: every accelerator once, or the CPU once for each core."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        devices = devices * -(-cores // len(devices))
    return devices


# -------------------------------------------------------------------------------------- running


def compile_tiles(tiles: Iterable[Tile], settings: Settings) -> Iterator[Tile]:
    """Compiles the programs of each structure, yielding its first tile when it is done."""
    firsts = list({tile.constants: tile for tile in tiles}.values())
    with Workers(lambda tile, device: _compile(tile, settings, device)) as workers:
        for tile in firsts:
            workers.put(tile)
        for _ in firsts:
            yield workers.get()


def _compile(tile: Tile, settings: Settings, device: Any) -> None:
    """One run of each program without a step."""
    lanes, _, _ = _advance(tile, _init(tile, settings, device), 0, 0, settings, device)
    jax.block_until_ready(_score(tile, lanes, settings, device))


def run_tiles(tiles: Iterable[Tile], settings: Settings) -> Iterator[Tile]:
    """Advances all tiles to settings.steps, yielding each after each of its segments.

    A tile is the caller's while it is out; where the caller sets `stopped`, it does not go on.
    """
    with Workers(lambda tile, device: _segment(tile, settings, device)) as workers:
        out = 0
        for tile in tiles:
            workers.put(tile)
            out += 1
        while out:
            tile = workers.get()
            yield tile
            if tile.finished(settings.steps):
                out -= 1
            else:
                workers.put(tile)


def _segment(tile: Tile, settings: Settings, device: Any) -> None:
    """The tile after one more segment, its scores on the host; on all splits after the last."""
    if tile.lanes is None:
        tile.lanes = _init(tile, settings, device)
    stop = min(tile.t + settings.segment, settings.steps)
    tile.lanes, t, scores = _advance(tile, tile.lanes, tile.t, stop, settings, device)
    tile.scores = tile.read(scores)
    tile.died, tile.reasons = tile.read(tile.lanes.died), tile.read(tile.lanes.reason)
    tile.t = int(np.max(t))
    tile.stopped = tile.t < stop
    if tile.finished(settings.steps):
        score_tile(tile, settings, device)


def score_tile(tile: Tile, settings: Settings, device: Any = None) -> None:
    """Puts the scores of the tile's trials on every split of the settings into tile.final."""
    final = tile.read(_score(tile, tile.lanes, settings, device or worker_devices()[0]))
    tile.final = {split: _loss_first(final[split]) for split in settings.splits}


def _init(tile: Tile, settings: Settings, device: Any) -> Lane:
    seed = np.uint32(settings.seed)
    return init_lanes(tile.form, tile.numbers, tile.constants.on(device), seed)


def _advance(
    tile: Tile, lanes: Lane, start: int, stop: int, settings: Settings, device: Any
) -> Any:
    tol = None if settings.tol is None else np.float32(settings.tol)
    return advance_lanes(
        tile.form, settings.split, tile.numbers, tile.constants.on(device),
        jax.device_put(lanes, device), np.int32(start), np.int32(stop), np.uint32(settings.seed),
        np.float32(settings.diverge_above), tol,
    )  # fmt: skip


def _score(tile: Tile, lanes: Lane | None, settings: Settings, device: Any) -> Any:
    return score_lanes(
        tile.form, settings.splits, tile.numbers, tile.constants.on(device),
        jax.device_put(lanes, device),
    )  # fmt: skip


def _loss_first(scores: dict[str, Any]) -> dict[str, Any]:
    """The scores with the loss in front, which JAX has put in alphabetical order."""
    return dict(sorted(scores.items(), key=lambda item: item[0] != "loss"))
