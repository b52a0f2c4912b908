"""Packing active lanes into few tiles, and moving them between tiles and processes."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.lane_arrays import lane_type, put_arrays, to_arrays
from jaxopt_edu.engine.tiles import Tile, TileProgram, numbers_of
from jaxopt_edu.search.trials import TrialGroup

Lane = tuple[int, int, int]  # structure, repeat, trial


def pack(
    structures: Mapping[int, TileProgram],
    batches: Sequence[TrialGroup],
    repeats: Sequence[tuple[int, int | None]],
    going: np.ndarray,
) -> list[Tile]:
    """The tiles of all lanes that go on: by structure and repeat, trials in order."""
    tiles = []
    for k, batch in enumerate(batches):
        mine = going[batch.trials]
        trials = batch.trials[mine]
        columns = {name: x[mine] for name, x in batch.columns.items()}
        numbers = numbers_of(batch.template, len(trials), columns)
        for repeat, (seed, fold) in enumerate(repeats):
            which = {"seed": seed, "fold": fold, "structure": k, "repeat": repeat}
            tiles += structures[batch.place].tiles(numbers, trials, **which)
    return tiles


def move_lanes(
    old: list[Tile], new: list[Tile], parents: dict[int, int], t: int, count: int
) -> None:
    """Gives new tiles their lanes at step t, from old ones: those of their trials' parents.

    A trial without a parent is its own. count: among so many processes tiles are dealt.
    """
    mine = jax.process_index() % count
    rows: dict[Lane, np.ndarray] = {}
    for tile in old[mine::count]:
        if tile.lanes is not None:
            rows |= zip(lanes_of(tile), to_rows(tile), strict=True)
    wanted = [lanes_of(tile, parents) for tile in new]
    rows |= received(old, rows, wanted, count)
    for tile, lanes in zip(new[mine::count], wanted[mine::count], strict=True):
        put_lanes(tile, np.stack([rows[lane] for lane in lanes]), t)


def lanes_of(tile: Tile, parents: dict[int, int] | None = None) -> list[Lane]:
    """The lanes of a tile's trials, or of their parents."""
    of = parents or {}
    return [(tile.structure, tile.repeat, of.get(k, k)) for k in tile.trials.tolist()]


def to_rows(tile: Tile) -> np.ndarray:
    """The lanes of a tile's trials, each with all of its arrays as one record of NumPy's."""
    rows = np.empty(len(tile.trials), lane_type(tile))
    for name, x in to_arrays(tile).items():
        rows[name] = x
    return rows


def put_lanes(tile: Tile, rows: np.ndarray, t: int) -> None:
    """Gives a tile the lanes of its trials, as rows, at step t."""
    put_arrays(tile, {name: rows[name] for name in rows.dtype.names or ()})
    tile.t = t
    tile.status, tile.ended = tile.read((tile.lanes.status, tile.lanes.ended))


def received(
    old: list[Tile], rows: Mapping[Lane, np.ndarray], wanted: list[list[Lane]], count: int
) -> dict[Lane, np.ndarray]:
    """The lanes that new tiles want of another of `count` processes.

    rows: those of this process. wanted: the lanes of each new tile. All processes know which are
    to be sent, as all make the same new tiles.
    """
    owner = {lane: i % count for i, tile in enumerate(old) for lane in lanes_of(tile)}
    moving: dict[int, list[list[Lane]]] = {}  # by structure, then by the process that has them
    away = {lane for i, lanes in enumerate(wanted) for lane in lanes if owner[lane] != i % count}
    for lane in sorted(away):
        moving.setdefault(lane[0], [[] for _ in range(count)])[owner[lane]].append(lane)
    found: dict[Lane, np.ndarray] = {}
    for structure, lists in moving.items():
        kind = lane_type(next(tile for tile in old if tile.structure == structure))
        own = np.array([rows[lane] for lane in lists[jax.process_index()]], kind)
        sent = own.view(np.uint8).reshape(len(own), kind.itemsize)
        gathered = collectives.gather_rows(sent, list(map(len, lists)))
        for lanes, got in zip(lists, gathered, strict=True):
            found |= zip(lanes, got.view(kind)[:, 0], strict=True)
    return found
