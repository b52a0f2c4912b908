"""Lanes as named arrays, by tree path, and back: what checkpoints hold and processes exchange."""

from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.tiles import Tile, padded
from jaxopt_edu.storage.disk import as_before, plain, plain_shape
from jaxopt_edu.train.placement import Placement


def to_arrays(tile: Tile) -> dict[str, np.ndarray]:
    """Each array of the lanes of a tile's trials by name: "lanes.state.params['w']".

    Random keys are written as their data, dtypes that NumPy has not (bfloat16) as unsigned
    integers of their size. On a mesh of several processes all of them call this.
    """
    lanes, placement = tile.lanes, tile.spec.placement
    if placement.mesh is not None and jax.process_count() > 1:
        lanes = _gathered(placement, lanes)
    found = tile.read(jax.tree.map(plain, lanes))
    return {name: x.view(_native(x.dtype)) for name, x in _named(found).items()}


_gathered = jax.jit(Placement.settled, static_argnums=0)  # all of every array in every process


def put_arrays(tile: Tile, arrays: dict[str, np.ndarray]) -> None:
    """The inverse of `to_arrays`, on the host; where the tile is wider the first lane fills it up.

    Errors: ValueError where an array is missing, or has another shape.
    """
    found = []
    for name, like in _named(tile.program.lanes).items():
        if name not in arrays:
            raise ValueError(f"there is no array {name}")
        shape = plain_shape(like)
        x = arrays[name].view(shape.dtype)
        x = x[padded(np.arange(len(x)), tile.width)]
        if x.shape != shape.shape:
            raise ValueError(f"array {name} has shape {x.shape}: wanted {shape.shape}")
        found.append(as_before(x, like))
    tile.lanes = jax.tree.unflatten(jax.tree.structure(tile.program.lanes), found)


def lane_type(tile: Tile) -> np.dtype:
    """The record of NumPy's that holds the arrays of one of the lanes of a tile."""
    shapes = {name: plain_shape(x) for name, x in _named(tile.program.lanes).items()}
    return np.dtype([(name, _native(x.dtype), x.shape[1:]) for name, x in shapes.items()])


def _named(lanes: Any) -> dict[str, Any]:
    leaves = jax.tree_util.tree_leaves_with_path(lanes)
    return {f"lanes{jax.tree_util.keystr(path)}": x for path, x in leaves}


def _native(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.isbuiltin == 1 else np.dtype(f"u{dtype.itemsize}")
