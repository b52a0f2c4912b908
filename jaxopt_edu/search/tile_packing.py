"""Packing active lanes into few tiles, and moving them between tiles and processes."""

from collections.abc import Sequence

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.lane_arrays import whole
from jaxopt_edu.engine.tiles import Tile, TileProgram, numbers_of, padded
from jaxopt_edu.search.trials import TrialGroup
from jaxopt_edu.storage.disk import as_before, plain, plain_shape

Where = tuple[int, int, int]  # structure, repeat, trial
Place = tuple[int, int]  # tile, lane in it


def pack(
    structures: Sequence[TileProgram],
    batches: Sequence[TrialGroup],
    repeats: Sequence[tuple[int, int | None]],
    going: np.ndarray,
) -> list[Tile]:
    """The tiles of all lanes that go on: by structure and repeat, trials in order."""
    tiles = []
    for k, (structure, batch) in enumerate(zip(structures, batches, strict=True)):
        mine = going[batch.trials]
        trials = batch.trials[mine]
        columns = {name: x[mine] for name, x in batch.columns.items()}
        numbers = numbers_of(batch.template, len(trials), columns)
        for repeat, (seed, fold) in enumerate(repeats):
            tiles += structure.tiles(
                numbers, trials, seed=seed, fold=fold, structure=k, repeat=repeat
            )
    return tiles


def places(tiles: Sequence[Tile]) -> dict[Where, Place]:
    """The tile and the lane in it of every trial and repeat."""
    return {
        (tile.structure, tile.repeat, trial): (i, lane)
        for i, tile in enumerate(tiles)
        for lane, trial in enumerate(tile.trials.tolist())
    }


def put_lanes(tile: Tile, rows: np.ndarray, t: int) -> None:
    """Gives a tile the lanes of its trials, as rows, at step t."""
    rows = rows[padded(np.arange(len(rows)), tile.width)]
    like, structure = jax.tree.flatten(tile.program.lanes)
    leaves = [as_before(np.ascontiguousarray(rows[str(i)]), x) for i, x in enumerate(like)]
    tile.lanes, tile.t = jax.tree.unflatten(structure, leaves), t
    tile.status, tile.ended = tile.read((tile.lanes.status, tile.lanes.ended))


def to_rows(tile: Tile) -> np.ndarray:
    """The lanes of a tile's trials, each with all of its arrays as one record of NumPy's."""
    rows = np.empty(len(tile.trials), lane_type(tile))
    lanes = jax.tree.leaves(whole(tile.lanes, tile.spec.placement))
    for i, x in enumerate(lanes):
        rows[str(i)] = np.asarray(plain(x))[: len(rows)]
    return rows


def lane_type(tile: Tile) -> np.dtype:
    """The record that holds a lane of this tile."""
    shapes = map(plain_shape, jax.tree.leaves(tile.program.lanes))
    return np.dtype([(str(i), x.dtype, x.shape[1:]) for i, x in enumerate(shapes)])


def gather_lanes(
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
    for structure, lists in moving.items():
        kind = lane_type(next(tile for tile in old if tile.structure == structure))
        own = np.array([found[place] for place in lists[jax.process_index()]], kind)
        sent = own.view(np.uint8).reshape(len(own), kind.itemsize)
        received = collectives.gather_rows(sent, list(map(len, lists)))
        for names, got in zip(lists, received, strict=True):
            found |= zip(names, got.view(kind)[:, 0], strict=True)
    return found
