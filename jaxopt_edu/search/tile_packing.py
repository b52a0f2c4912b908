"""Packing active lanes into few tiles, and moving them between tiles and processes."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.lane_arrays import whole
from jaxopt_edu.engine.tiles import Tile, TileProgram, numbers_of, padded
from jaxopt_edu.search.trials import TrialGroup
from jaxopt_edu.storage.disk import as_before, plain, plain_shape

Where = tuple[int, int, int]  # structure, repeat, trial


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


def places(tiles: Sequence[Tile]) -> dict[Where, tuple[int, int]]:
    """The tile and the lane in it of every trial and repeat."""
    return {
        (tile.structure, tile.repeat, trial): (i, lane)
        for i, tile in enumerate(tiles)
        for lane, trial in enumerate(tile.trials.tolist())
    }


def put_lanes(tile: Tile, rows: np.ndarray, t: int) -> None:
    """Gives a tile the lanes of its trials, as rows of bytes, at step t."""
    lanes = padded(np.arange(len(rows)), tile.width)
    tile.lanes, tile.t = from_rows(tile, rows[lanes]), t
    tile.status, tile.ended = tile.read((tile.lanes.status, tile.lanes.ended))


# ------------------------------------------------------------------------------------ bytes


def to_rows(tile: Tile) -> np.ndarray:
    """The lanes of a tile's trials as bytes: (trials, bytes of a lane)."""
    n = len(tile.trials)
    lanes = whole(tile.lanes, tile.spec.placement)
    leaves = [np.asarray(plain(x))[:n] for x in jax.tree.leaves(lanes)]
    flat = [np.ascontiguousarray(x).reshape(n, -1).view(np.uint8).reshape(n, -1) for x in leaves]
    return np.concatenate(flat, axis=1)


def from_rows(tile: Tile, rows: np.ndarray) -> Any:
    """The inverse of `to_rows`, for as many lanes as the tile is wide."""
    like, structure = jax.tree.flatten(tile.program.lanes)
    if lane_bytes(tile) != rows.shape[1]:
        raise ValueError(f"lanes of {rows.shape[1]} bytes: this structure has {lane_bytes(tile)}")
    leaves, first = [], 0
    for x in like:
        shape = plain_shape(x)
        size = _bytes(shape)
        part = np.ascontiguousarray(rows[:, first : first + size])
        leaves.append(as_before(part.view(shape.dtype).reshape(shape.shape), x))
        first += size
    return jax.tree.unflatten(structure, leaves)


def lane_bytes(tile: Tile) -> int:
    """How many bytes a lane of this tile has."""
    return sum(_bytes(plain_shape(x)) for x in jax.tree.leaves(tile.program.lanes))


def _bytes(x: Any) -> int:
    """Bytes of one lane in an array over lanes."""
    return int(np.prod(x.shape[1:], dtype=int)) * x.dtype.itemsize


# ------------------------------------------------------------------------- between processes


class LaneRows:
    """Lanes as bytes by (tile, lane), wherever they were computed.

    Lanes that another process needs are exchanged: all processes know which, as all make the same
    new tiles.
    """

    def __init__(
        self, old: list[Tile], rows: dict[int, np.ndarray], wanted: list[list], count: int
    ):
        self._rows = rows
        self._moved: dict[tuple[int, int], np.ndarray] = {}
        if count == 1:
            return
        for structure in sorted({tile.structure for tile in old}):
            moving: list[set] = [set() for _ in range(count)]
            for i, sources in enumerate(wanted):
                for tile, lane in sources:
                    if tile % count != i % count and old[tile].structure == structure:
                        moving[tile % count].add((tile, lane))
            lists = [sorted(places) for places in moving]
            if not any(lists):
                continue
            own = [rows[tile][lane] for tile, lane in lists[jax.process_index()]]
            size = lane_bytes(next(tile for tile in old if tile.structure == structure))
            stacked = np.stack(own) if own else np.zeros((0, size), np.uint8)
            received = collectives.gather_rows(stacked, [len(x) for x in lists])
            for names, got in zip(lists, received, strict=True):
                self._moved |= dict(zip(names, got, strict=True))

    def __call__(self, place: tuple[int, int]) -> np.ndarray:
        tile, lane = place
        return self._rows[tile][lane] if tile in self._rows else self._moved[place]
