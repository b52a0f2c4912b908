"""What losses and metrics share: shapes are checked, never broadcast; examples have weights."""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.tree import is_float, wide

__all__ = ["class_labels", "example_weights", "floats", "pair", "weighted_mean"]


def floats(name: str, x: Any) -> Array:
    """x in at least float32; TypeError where it holds no real floats."""
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} are {x.dtype}: wanted floats")
    return wide(x)


def pair(x: Any, y: Any, names: tuple = ("predictions", "targets")) -> tuple[Array, Array]:
    """Predictions and targets in at least float32 and of one shape, or ValueError with both."""
    x, y = floats(names[0], x), jnp.asarray(y)
    if x.shape != y.shape:
        raise ValueError(
            f"{names[0]} have shape {x.shape}, {names[1]} have shape {y.shape}: wanted the same"
        )
    return x, wide(y) if is_float(y) else y.astype(x.dtype)


def class_labels(names: tuple, shape: tuple, labels: Any) -> Array:
    """Integer labels for scores of this shape, classes last, or an error that prints both."""
    labels = jnp.asarray(labels)
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
    w = jnp.ones(x.shape) if weights is None else jnp.asarray(weights)
    if w.shape != x.shape[: w.ndim]:
        raise ValueError(
            f"{name} have shape {x.shape}, weights have shape {w.shape}: wanted {x.shape[: w.ndim]}"
        )
    return w


def weighted_mean(losses: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The mean of the losses, each counted by its weight.

    Formula: sum_i w_i l_i / sum_i w_i, where l_i is the mean of the losses of example i.
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
