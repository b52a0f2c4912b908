"""The engine: a queue of tiles, and one worker for each core (CPU) or accelerator, or for a mesh.

Each worker takes the next tile, advances it by one segment and hands it back; tiles that have steps
left go to the end of the queue. One compiled program serves every number of lanes, every seed and
every fold, and nothing about devices need be set before JAX starts.
"""

import functools
import time
from collections.abc import Iterable, Iterator
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.lane import best_state
from jaxopt_edu.engine.programs import MOST_STOPS, Inputs, advance_lanes, init_lanes, score_lanes
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.tiles import EvalPlan, Segment, Tile
from jaxopt_edu.engine.workers import Interrupts, Worker, Workers, workers_of
from jaxopt_edu.train.placement import Placement

CALL = 0.1  # seconds that one call of a program should take, where there is a stop in between
ON_THEIR_WAY = 4  # steps on batches of a stream that are dispatched before the first is awaited


# ------------------------------------------------------------------------------------ compiling


def compile_tiles(firsts: Iterable[Tile], settings: EvalPlan) -> Iterator[Tile]:
    """Compiles the programs of each structure, given a tile of it, yielding it when it is done."""
    firsts = list(firsts)
    compile_one = functools.partial(_compile, settings=settings)
    with Workers(compile_one, _placement(firsts), most=len(firsts)) as workers:
        for tile in firsts:
            workers.put(tile)
        for _ in firsts:
            yield workers.get()


def _placement(tiles: list[Tile]) -> Placement:
    return tiles[0].spec.placement if tiles else Placement()


def _compile(tile: Tile, worker: Worker, settings: EvalPlan) -> None:
    """One run of each program without a step; the structure learns what memory they take."""
    which = tile.on(worker.device)
    lanes = init_lanes(tile.spec, which, tile.program.patient)
    arguments = _arguments(tile, which, lanes, (), settings)
    tile.program.memory = _memory(worker.device, arguments)
    lanes, _ = advance_lanes(*arguments)
    jax.block_until_ready(score_lanes(tile.spec, settings.splits, which, lanes))


_known: dict[Any, int] = {}  # what `_memory` found: to ask once more takes as long as many steps


def _memory(device: Any, arguments: tuple) -> int:
    """The bytes that `advance_lanes` takes with such arguments; 0 where a backend does not say."""
    spec, split, metric, which, lanes, *_ = arguments
    shapes = tuple(jax.typeof(x) for x in jax.tree.leaves((which, lanes)))
    key = device, spec, split, metric, jax.tree.structure(lanes), shapes
    if key not in _known:
        used = advance_lanes.lower(*arguments).compile().memory_analysis()
        _known[key] = used.temp_size_in_bytes + used.argument_size_in_bytes if used else 0
    return _known[key]


# -------------------------------------------------------------------------------------- running


def run_tiles(
    tiles: Iterable[Tile],
    settings: EvalPlan,
    until: int | None = None,
    most: int = MOST_STOPS,
    feed: Any = None,
) -> Iterator[Tile]:
    """Advances all tiles to a stop (the last), yielding each after each of its segments.

    A tile is the caller's while it is out; where the caller sets `stopped`, it does not go on.
    most: stops in a segment. feed: a stream, whose next batch is that of the next step of all.
    """
    until = settings.steps if until is None else until
    going = [tile for tile in tiles if not tile.finished(until)]
    if feed is not None:
        yield from _stream(going, settings, until, feed)
        return

    def advance(tile, worker):
        stops = settings.next_stops(tile.t, until, min(most, tile.program.evals_per_call))
        _segment(tile, settings, stops, worker)

    with Workers(advance, _placement(going), most=len(going)) as workers:
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


def _segment(tile: Tile, settings: EvalPlan, stops: tuple[int, ...], worker: Worker) -> None:
    """The tile after one more segment, its scores on the host; on all splits after the last."""
    began, first, which = time.perf_counter(), tile.t, tile.on(worker.device)
    lanes = _begun(tile, which, worker.device)
    tile.lanes, scores = advance_lanes(*_arguments(tile, which, lanes, stops, settings))
    _told(tile, which, settings, stops, scores)
    if worker.timed:
        each = (time.perf_counter() - began) / len(stops)
        tile.program.evals_per_call = int(np.clip(CALL / each, 1, MOST_STOPS))
    _note(tile, worker, began, first)


def _stream(going: list[Tile], settings: EvalPlan, until: int, feed: Any) -> Iterator[Tile]:
    """`run_tiles` on the batches of a stream: every step is taken by all tiles."""
    worker = workers_of(_placement(going))[0]
    with Interrupts() as interrupts:
        while going:
            began, first = time.perf_counter(), going[0].t
            [stop] = settings.next_stops(first, until, 1)
            for t in range(first + 1, stop + 1):
                if interrupts.heard:
                    raise KeyboardInterrupt
                batch = feed.next()
                for tile in going:
                    which = tile.on(worker.device)
                    lanes = _begun(tile, which, worker.device)
                    arguments = _arguments(tile, which, lanes, (t,), settings)
                    scored = np.int32(t == stop)
                    tile.lanes, scores = advance_lanes(*arguments, batch=batch, scored=scored)
                    tile.t = t
                    if t == stop:
                        _told(tile, which, settings, (stop,), scores)
                        _note(tile, worker, began, first)
                if t % ON_THEIR_WAY == 0:
                    jax.block_until_ready(going[-1].lanes)
            for tile in going:
                yield tile
            going = [tile for tile in going if not tile.finished(until)]


def _begun(tile: Tile, which: Inputs, device: Any) -> Any:
    """The lanes of a tile where they are to go on, or those that begin."""
    if tile.lanes is None:
        return init_lanes(tile.spec, which, tile.program.patient)
    return _on(tile, device)


def _told(
    tile: Tile, which: Inputs, settings: EvalPlan, stops: tuple[int, ...], scores: Any
) -> None:
    """Takes to the host what a segment has found; after the last, the scores on all splits."""
    found = jax.device_get((scores, tile.lanes.status, tile.lanes.ended))  # waits once
    scores, tile.status, tile.ended = tile.read(found)
    tile.stops, tile.t = stops, stops[-1]
    tile.scores = {name: scores[name][:, : len(stops)] for name in settings.names}
    if tile.finished(settings.steps):
        tile.final = _scores(tile, which, settings.splits)


def _note(tile: Tile, worker: Worker, began: float, first: int) -> None:
    """Files a segment."""
    useful = np.maximum(tile.steps - first, 0).sum()
    runs = int((tile.status == Status.RUNNING).sum())
    tile.segments.append(
        Segment(
            worker.number, began, time.perf_counter(), first, tile.t - first, tile.width, runs,
            tile.structure, int(useful),
        )
    )  # fmt: skip


# --------------------------------------------------------------------------------------- scores


def score_tile(tile: Tile, settings: EvalPlan) -> None:
    """Puts the scores of the tile's trials on every split of the settings into tile.final."""
    tile.final = scores_on(tile, settings.splits)


def scores_on(tile: Tile, splits: tuple[str, ...]) -> dict[str, dict[str, np.ndarray]]:
    """The scores of the tile's trials on these splits, as far as they have come."""
    device = workers_of(tile.spec.placement)[0].device
    tile.lanes = _on(tile, device)
    return _scores(tile, tile.on(device), splits)


def first_state(tile: Tile) -> Any:
    """The state that the first lane of a tile has come to: on a mesh it stays where it is."""
    placement = tile.spec.placement
    if placement.mesh is None:
        return jax.tree.map(lambda x: x[0], best_state(tile.lanes))
    found = _first_state(placement, tile.program.shared_state, tile.lanes)
    return found if jax.process_count() == 1 else jax.tree.map(_own, found)


@functools.partial(jax.jit, static_argnames=("placement", "shared"))
def _first_state(placement: Placement, shared: tuple[str, ...], lanes: Any) -> Any:
    state = best_state(jax.tree.map(lambda x: x[0], lanes))
    return placement.settled(state, shared)


def _own(x: Any) -> Any:
    """An array that is this process's own, but for a share of it."""
    return jax.numpy.asarray(np.asarray(x)) if x.is_fully_replicated else x


def _scores(tile: Tile, which: Inputs, splits: tuple[str, ...]) -> dict[str, dict[str, np.ndarray]]:
    found = tile.read(score_lanes(tile.spec, splits, which, tile.lanes))
    return {split: loss_first(found[split]) for split in splits}


def _on(tile: Tile, device: Any) -> Any:
    """The lanes on a device: as they are where they are there, as those of a CPU mostly are."""
    lanes, mesh = tile.lanes, tile.spec.placement.mesh
    if isinstance(lanes.status, jax.Array):
        where = lanes.status.devices()
        if where == ({device} if mesh is None else set(mesh.devices.flat)):
            return lanes
    return tile.spec.placement.placed(lanes, tile.program.shared_state, device)


def _arguments(
    tile: Tile, which: Inputs, lanes: Any, stops: tuple[int, ...], settings: EvalPlan
) -> tuple:
    """Of `advance_lanes`, from where the tile is."""
    count = np.int32(len(stops))
    padded_stops = np.zeros(MOST_STOPS, np.int32)
    padded_stops[: len(stops)] = stops
    split, metric = settings.split, settings.metric if tile.program.patient else None
    start = np.int32(tile.t)
    return tile.spec, split, metric, which, lanes, start, padded_stops, count, settings.rule


def loss_first(scores: dict[str, Any]) -> dict[str, Any]:
    """The scores with the loss in front, which JAX has put in alphabetical order."""
    return dict(sorted(scores.items(), key=lambda item: item[0] != "loss"))
