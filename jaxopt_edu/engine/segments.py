"""The engine: a queue of tiles, and one worker for each core (CPU) or accelerator, or for a mesh.

Each worker takes the next tile, advances it by one segment and hands it back; tiles that have steps
left go to the end of the queue. One compiled program serves every number of lanes, every seed and
every fold, and nothing about devices need be set before JAX starts.
"""

import functools
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.sharding import SingleDeviceSharding

from jaxopt_edu.engine.lane import best_state
from jaxopt_edu.engine.programs import MOST_STOPS, Inputs, advance_lanes, init_lanes, score_lanes
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.tiles import EvalPlan, Segment, Tile
from jaxopt_edu.engine.workers import Worker, on_workers, workers_of
from jaxopt_edu.nn.scores import TRAINING_LOSS, loss_first
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.signals import interrupts

CALL = 0.1  # seconds that one call of a program should take, where there is a stop in between
ON_THEIR_WAY = 4  # steps on batches of a stream that are dispatched before the first is awaited


# ------------------------------------------------------------------------------------ compiling


def compile_tiles(firsts: Iterable[Tile], settings: EvalPlan) -> Iterator[Tile]:
    """Compiles the programs of each structure, given a tile of it, yielding it when it is done."""
    firsts = list(firsts)

    def compile_one(tile, worker):
        if heard.is_set():
            raise KeyboardInterrupt
        _compile(tile, settings, worker.device)

    with interrupts() as heard:
        yield from on_workers(compile_one, firsts, firsts[0].spec.placement)


_known: dict[Any, int] = {}  # the bytes that programs take which were compiled


def _compile(tile: Tile, settings: EvalPlan, device: Any) -> None:
    """Compiles the programs of a structure side by side, each while the next one is traced.

    The structure learns how many bytes the largest takes (0 where a backend does not say).
    """
    spec, which = tile.spec, tile.on(device)
    like = map(jax.typeof, jax.tree.leaves(which))
    rest = _unscored(tile, settings)
    key = device, spec, settings.split, settings.metric, rest, *like
    if key not in _known:
        with ThreadPoolExecutor(1 if jax.process_count() > 1 else 3) as pool:
            jobs = []

            def compiles(program, *arguments):
                jobs.append(pool.submit(program.lower(*arguments).compile))

            compiles(init_lanes, spec, which)
            lanes = init_lanes(spec, which) if device is None else _like(tile, device)
            compiles(advance_lanes, *_arguments(tile, settings, (), which, lanes))
            if rest:
                compiles(score_lanes, spec, rest, which, lanes)
        used = [x for job in jobs if (x := job.result().memory_analysis())]
        _known[key] = max(
            (x.temp_size_in_bytes + x.argument_size_in_bytes for x in used), default=0
        )
    tile.program.memory = _known[key]


def _like(tile: Tile, device: Any) -> Any:
    """What the lanes of a tile are going to be like on a device."""
    there = SingleDeviceSharding(device)

    def like(x):
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=there, weak_type=x.weak_type)

    return jax.tree.map(like, tile.program.lanes)


# -------------------------------------------------------------------------------------- running


def run_tiles(
    tiles: Iterable[Tile],
    settings: EvalPlan,
    until: int | None = None,
    most: int = MOST_STOPS,
    feed: Any = None,
) -> Iterator[Tile]:
    """Advances all tiles to a stop (the last), yielding each after each of its segments.

    A tile is the caller's while it is out.
    most: stops in a segment. feed: a stream, whose next batch is that of the next step of all.
    """
    until = settings.steps if until is None else until
    going = [tile for tile in tiles if not tile.finished(until)]
    if not going:
        return
    jobs = [[tile] for tile in going] if feed is None else [going]

    def advance(job, worker):
        many = min(most, job[0].program.evals_per_call) if feed is None else 1
        _segment(job, settings, settings.next_stops(job[0].t, until, many), worker, feed, heard)
        return [tile for tile in job if not tile.finished(until)]

    with interrupts() as heard:
        for job in on_workers(advance, jobs, going[0].spec.placement):
            yield from job


def _segment(
    tiles: list[Tile],
    settings: EvalPlan,
    stops: tuple[int, ...],
    worker: Worker,
    feed: Any,
    heard: threading.Event,
) -> None:
    """The tiles after one more segment, its scores on the host; on all splits after the last."""
    began, first = time.perf_counter(), tiles[0].t
    for tile in tiles:
        if tile.program.memory < 0 and feed is None:
            _compile(tile, settings, worker.device)
        if tile.lanes is None:
            tile.lanes = init_lanes(tile.spec, tile.on(worker.device))
        tile.lanes = _on(tile, worker.device)
    for now in [stops] if feed is None else [(t,) for t in range(first + 1, stops[-1] + 1)]:
        if heard.is_set():
            raise KeyboardInterrupt
        fed = {} if feed is None else {"batch": feed.next(), "scored": np.int32(now == stops)}
        told = []
        for tile in tiles:
            arguments = _arguments(tile, settings, now, tile.on(worker.device), tile.lanes)
            tile.lanes, scores = advance_lanes(*arguments, **fed)
            told.append(scores)
            tile.t = now[-1]
        if feed is not None and now[0] % ON_THEIR_WAY == 0:
            jax.block_until_ready(tiles[-1].lanes)
    for tile, scores in zip(tiles, told, strict=True):
        found = jax.device_get((scores, tile.lanes.status, tile.lanes.ended))  # waits once
        scores, tile.status, tile.ended = tile.read(found)
        tile.stops = stops
        tile.scores = {name: scores[name][:, : len(stops)] for name in settings.names}
        if tile.finished(settings.steps):
            tile.final = _final_scores(tile, settings, worker.device)
        end = time.perf_counter()
        if worker.timed:
            each = (end - began) / len(stops)
            tile.program.evals_per_call = int(min(max(CALL / each, 1), MOST_STOPS))
        alive = int((tile.status == Status.RUNNING).sum())
        useful = int(np.maximum(tile.steps - first, 0).sum())
        tile.segments.append(
            Segment(
                worker.number, began, end, first, stops[-1] - first, tile.width, alive,
                tile.structure, useful,
            )
        )  # fmt: skip


def _arguments(
    tile: Tile, settings: EvalPlan, stops: tuple[int, ...], which: Inputs, lanes: Any
) -> tuple:
    """Of `advance_lanes`, from where the tile is to these stops."""
    start, count = np.int32(tile.t), np.int32(len(stops))
    padded_stops = np.zeros(MOST_STOPS, np.int32)
    padded_stops[: len(stops)] = stops
    metric = settings.metric if tile.spec.patient else None
    what = tile.spec, settings.split, metric, which, lanes
    return *what, start, padded_stops, count, settings.rule


def _on(tile: Tile, device: Any) -> Any:
    """The lanes on a device: as they are where they are there, as those of a CPU mostly are."""
    lanes, placement = tile.lanes, tile.spec.placement
    if isinstance(lanes.status, jax.Array):
        there = {device} if placement.mesh is None else set(placement.mesh.devices.flat)
        if lanes.status.devices() == there:
            return lanes
    return placement.put(lanes, device, tile.program.template.shared_state, first=1)


# --------------------------------------------------------------------------------------- scores


def _unscored(tile: Tile, settings: EvalPlan) -> tuple[str, ...]:
    """The splits on which a tile is still to be scored after its last stop: with patience it is its
    best state that counts."""
    return tuple(s for s in settings.splits if tile.spec.patient or s != settings.split)


def _final_scores(tile: Tile, settings: EvalPlan, device: Any) -> dict[str, dict[str, np.ndarray]]:
    """The scores of a tile on all splits after its last stop."""
    rest = _unscored(tile, settings)
    found = scores_on(tile, rest, device) if rest else {}
    last = {name: x[:, -1] for name, x in tile.scores.items() if name != TRAINING_LOSS}
    return {split: found.get(split, loss_first(last)) for split in settings.splits}


def scores_on(
    tile: Tile, splits: tuple[str, ...], device: Any = None
) -> dict[str, dict[str, np.ndarray]]:
    """The scores of the tile's trials on these splits, as far as they have come."""
    device = device or workers_of(tile.spec.placement)[0].device
    tile.lanes = _on(tile, device)
    found = tile.read(score_lanes(tile.spec, splits, tile.on(device), tile.lanes))
    return {split: loss_first(found[split]) for split in splits}


def first_state(tile: Tile) -> Any:
    """The state that the first lane of a tile has come to: on a mesh it stays where it is."""
    placement = tile.spec.placement
    found = _first_state(placement, tile.program.template.shared_state, tile.lanes)
    return found if jax.process_count() == 1 else jax.tree.map(_own, found)


@functools.partial(jax.jit, static_argnames=("placement", "shared"))
def _first_state(placement: Placement, shared: tuple[str, ...], lanes: Any) -> Any:
    return placement.settled(best_state(jax.tree.map(lambda x: x[0], lanes)), shared)


def _own(x: Any) -> Any:
    """An array that is this process's own, but for a share of it."""
    return jax.numpy.asarray(np.asarray(x)) if x.is_fully_replicated else x
