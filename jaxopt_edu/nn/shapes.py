"""What losses and metrics share: shapes are checked, never broadcast; examples have weights."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.values.arrays import plain
from jaxopt_edu.values.kinds import MISSING, NUMBERS, is_missing, kinds_in
from jaxopt_edu.values.tree import is_float, wide

__all__ = [
    "array",
    "check_scalar",
    "class_labels",
    "example_weights",
    "floats",
    "pair",
    "weighted_mean",
]


def array(name: str, x: Any) -> Array:
    """x as an array of JAX's.

    Errors: TypeError or ValueError, naming it, for masked and missing values, strings, and what
        else is no number; ValueError for integers that do not fit JAX's.
    """
    if isinstance(x, jax.Array | float | bool):
        return jnp.asarray(x)
    return jnp.asarray(_numbers(name, x))


def _numbers(name: str, x: Any) -> Any:
    """Numbers of the host in a dtype that JAX keeps."""
    if isinstance(x, list | tuple) and _holds_arrays(x):
        return x
    masked = isinstance(x, np.ma.MaskedArray)
    x = plain(name, x)
    if x.dtype.kind not in "biuf":
        found = kinds_in(x)
        row = found.get(MISSING, min(found.values(), default=0))
        wanted = (
            "wanted numbers" if set(found) != {NUMBERS} else "too large, wanted 64 bits at most"
        )
        raise TypeError(f"{name} hold {' and '.join(found)} (row {row}): {wanted}")
    if masked and is_missing(x).any():
        row = np.argwhere(is_missing(x))[0, 0] if x.ndim else 0
        raise ValueError(
            f"{name} are masked in row {row}: fill them, or leave the examples out by weights of 0"
        )
    if x.dtype.kind in "iu" and x.size:
        kept = jax.dtypes.canonicalize_dtype(x.dtype)
        for v in (x.min(), x.max()):
            if not np.iinfo(kept).min <= int(v) <= np.iinfo(kept).max:
                raise ValueError(f"{name} hold {v}, beyond {kept}: wanted class numbers from 0")
    return x


def _holds_arrays(x: Any) -> bool:
    """Whether JAX's arrays, or traced numbers, are somewhere in nested lists."""
    if isinstance(x, list | tuple):
        return any(map(_holds_arrays, x))
    return isinstance(x, jax.Array)


def floats(name: str, x: Any) -> Array:
    """x in at least float32; TypeError where it holds no real floats."""
    x = array(name, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} are {x.dtype}: wanted floats")
    return wide(x)


def check_scalar(name: str, x: Any) -> None:
    """TypeError for strings, lists and what else cannot stand in the place of a number."""
    if isinstance(x, str | bytes | list | tuple | dict | set):
        raise TypeError(f"{name} = {x!r}: wanted a number")


def pair(x: Any, y: Any, names: tuple = ("predictions", "targets")) -> tuple[Array, Array]:
    """Predictions and targets in at least float32 and of one shape, or ValueError with both."""
    x, y = floats(names[0], x), array(names[1], y)
    if x.shape != y.shape:
        raise ValueError(
            f"{names[0]} have shape {x.shape}, {names[1]} have shape {y.shape}: wanted the same"
        )
    return x, wide(y) if is_float(y) else y.astype(x.dtype)


def class_labels(names: tuple, shape: tuple, labels: Any) -> Array:
    """Integer labels for scores of this shape, classes last, or an error that prints both."""
    labels = array(names[1], labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{names[1]} are {labels.dtype}: wanted integers, the index of the class")
    if labels.shape != shape[:-1] or shape[-1:] < (2,):
        raise ValueError(
            f"{names[0]} have shape {shape}, {names[1]} have shape {labels.shape}: "
            f"wanted {names[1]} of shape {shape[:-1]} and two classes or more along the last axis"
        )
    return labels


def example_weights(name: str, x: Array, weights: Any) -> Array:
    """One weight for each entry along the leading axes of x; all axes where weights is None."""
    w = jnp.ones(x.shape) if weights is None else array("weights", weights)
    if not isinstance(w, jax.core.Tracer) and weights is not None and bool(jnp.any(w < 0)):
        raise ValueError(f"weights hold {jnp.min(w)}: wanted none below 0")
    if w.shape != x.shape[: w.ndim]:
        raise ValueError(
            f"{name} have shape {x.shape}, weights have shape {w.shape}: wanted {x.shape[: w.ndim]}"
        )
    return w


def weighted_mean(losses: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The mean of the losses, each counted by its weight.

    Formula: m = sum_i w_i l_i / sum_i w_i  (l_i is the mean of the losses of example i)
    Shapes: losses (n, ...), weights (n,) or more of the leading axes -> ().
    Weight 0 leaves an example out, even if its loss is NaN; where all weights are 0 the mean is 0.
    Errors: ValueError where the weights' shape is not a beginning of the losses' shape.
    Agrees with: numpy.average, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.losses.weighted_mean([1.0, 4.0], [3.0, 1.0]))
    1.75
    """
    losses = floats("losses", losses)
    if weights is None:
        return jnp.mean(losses)
    w = example_weights("losses", losses, weights).astype(losses.dtype)
    each = jnp.mean(losses, axis=tuple(range(w.ndim, losses.ndim)))
    each = jnp.where((w == 0) & ~jnp.isfinite(each), 0, each)
    total = jnp.sum(w)
    return jnp.sum(w * each) / jnp.where(total == 0, 1, total)
