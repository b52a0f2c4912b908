"""Lanes as named arrays, by tree path, and back: what checkpoints hold."""

import functools
from typing import Any

import jax
import numpy as np

from jaxopt_edu.storage.disk import as_before, plain, plain_shape
from jaxopt_edu.train.placement import Placement

__all__ = ["from_arrays", "to_arrays", "whole"]


def to_arrays(lanes: Any, placement: Placement, count: int | None = None) -> dict[str, np.ndarray]:
    """Each array of some lanes (the first `count`) by name: "lanes.state.params['w']".

    Random keys are written as their data, dtypes that NumPy has not (bfloat16) as unsigned
    integers of their size. On a mesh of several processes all of them call this.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(whole(lanes, placement))
    return {_name(path): _native(np.asarray(plain(x))[:count]) for path, x in leaves}


def whole(lanes: Any, placement: Placement) -> Any:
    """The lanes with all of every array in every process."""
    if placement.mesh is None or jax.process_count() == 1:
        return lanes
    return _gathered(placement, lanes)


@functools.partial(jax.jit, static_argnames="placement")
def _gathered(placement: Placement, lanes: Any) -> Any:
    return placement.gathered(lanes)


def from_arrays(arrays: dict[str, np.ndarray], like: Any, width: int) -> Any:
    """The inverse of `to_arrays`, on the host, for lanes like these; the first one fills up.

    Errors: ValueError where an array is missing, or has another shape or dtype.
    """
    leaves, structure = jax.tree_util.tree_flatten_with_path(like)
    found = [_found(arrays, _name(path), x, width) for path, x in leaves]
    return jax.tree.unflatten(structure, found)


def _name(path: tuple) -> str:
    return f"lanes{jax.tree_util.keystr(path)}"


def _found(arrays: dict[str, np.ndarray], name: str, like: Any, width: int) -> Any:
    shape = plain_shape(like)
    if name not in arrays:
        raise ValueError(f"there is no array {name}")
    x = arrays[name].view(shape.dtype)
    x = np.concatenate([x, np.repeat(x[:1], width - len(x), axis=0)])
    if x.shape != shape.shape:
        raise ValueError(f"array {name} has shape {x.shape}: wanted {shape.shape}")
    return as_before(x, like)


def _native(x: np.ndarray) -> np.ndarray:
    return x if x.dtype.isbuiltin == 1 else x.view(f"u{x.dtype.itemsize}")
