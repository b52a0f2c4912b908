"""Packing active lanes into few tiles, and moving them between tiles and processes."""

from collections.abc import Mapping, Sequence

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.lane_arrays import whole
from jaxopt_edu.engine.tiles import Tile, TileProgram, numbers_of, padded
from jaxopt_edu.search.trials import TrialGroup
from jaxopt_edu.storage.disk import as_before, plain, plain_shape

Place = tuple[int, int]  # tile, lane in it


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


def move_lanes(old: list[Tile], new: list[Tile], parents: dict[int, int], t: int) -> None:
    """Gives new tiles their lanes at step t, from old ones: those of their trials' parents.

    A trial without a parent is its own. Tiles are of one process in turn, or, on a mesh, of all.
    """
    count = 1 if old[0].spec.placement.mesh is not None else collectives.processes()
    mine = jax.process_index() % count
    where = {
        (tile.structure, tile.repeat, trial): (i, lane)
        for i, tile in enumerate(old)
        for lane, trial in enumerate(tile.trials.tolist())
    }
    wanted = [
        [where[k.structure, k.repeat, parents.get(trial, trial)] for trial in k.trials.tolist()]
        for k in new
    ]
    held = enumerate(old[mine::count])
    rows = {mine + count * k: to_rows(tile) for k, tile in held if tile.lanes is not None}
    found = exchanged(old, rows, wanted, count)
    for tile, places in zip(new[mine::count], wanted[mine::count], strict=True):
        put_lanes(tile, np.stack([found[place] for place in places]), t)


def to_rows(tile: Tile) -> np.ndarray:
    """The lanes of a tile's trials, each with all of its arrays as one record of NumPy's."""
    rows = np.empty(len(tile.trials), lane_type(tile))
    for i, x in enumerate(jax.tree.leaves(whole(tile.lanes, tile.spec.placement))):
        rows[str(i)] = np.asarray(plain(x))[: len(rows)]
    return rows


def put_lanes(tile: Tile, rows: np.ndarray, t: int) -> None:
    """Gives a tile the lanes of its trials, as rows, at step t."""
    rows = rows[padded(np.arange(len(rows)), tile.width)]
    like, structure = jax.tree.flatten(tile.program.lanes)
    leaves = [as_before(np.ascontiguousarray(rows[str(i)]), x) for i, x in enumerate(like)]
    tile.lanes, tile.t = jax.tree.unflatten(structure, leaves), t
    tile.status, tile.ended = tile.read((tile.lanes.status, tile.lanes.ended))


def lane_type(tile: Tile) -> np.dtype:
    """The record that holds a lane of this tile."""
    shapes = map(plain_shape, jax.tree.leaves(tile.program.lanes))
    return np.dtype([(str(i), x.dtype, x.shape[1:]) for i, x in enumerate(shapes)])


def exchanged(
    old: list[Tile], rows: dict[int, np.ndarray], wanted: list[list[Place]], count: int
) -> dict[Place, np.ndarray]:
    """The lanes that this process's new tiles want, wherever they were computed.

    rows: of the old tiles of this process. wanted: the lanes of each new tile. Those that another
    of `count` processes has are exchanged: all know which, as all make the same new tiles.
    """
    asked = [(i, *place) for i, lanes in enumerate(wanted) for place in lanes]
    found = {(tile, lane): rows[tile][lane] for _, tile, lane in asked if tile in rows}
    elsewhere = {(tile, lane) for i, tile, lane in asked if tile % count != i % count}
    moving: dict[int, list[list[Place]]] = {}  # by structure, then by the process that has them
    for tile, lane in sorted(elsewhere):
        lists = moving.setdefault(old[tile].structure, [[] for _ in range(count)])
        lists[tile % count].append((tile, lane))
    for lists in moving.values():
        kind = lane_type(old[next(tile for places in lists for tile, _ in places)])
        own = np.array([found[place] for place in lists[jax.process_index()]], kind)
        sent = own.view(np.uint8).reshape(len(own), kind.itemsize)
        received = collectives.gather_rows(sent, list(map(len, lists)))
        for places, got in zip(lists, received, strict=True):
            found |= zip(places, got.view(kind)[:, 0], strict=True)
    return found
