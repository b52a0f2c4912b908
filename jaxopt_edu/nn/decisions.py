"""Predicted and true classes, as metrics count them."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.shapes import array, example_weights
from jaxopt_edu.values.tree import is_float

__all__ = ["classes_of", "flat_weights", "one_hot", "ratio"]

NEVER = -(2**31)  # the class that a prediction of NaN is of


def classes_of(predictions: Any, targets: Any) -> tuple[Array, Array, int | None]:
    """Predicted and true classes, and how many there are if the predictions tell."""
    x, y = array("predictions", predictions), array("targets", targets)
    if is_float(y):
        raise TypeError(f"targets are {y.dtype}: wanted integers, the index of the class")
    if is_float(x) and x.shape[:-1] == y.shape and x.shape[-1:] > (1,):
        broken = jnp.any(jnp.isnan(x), -1)
        return jnp.where(broken, NEVER, jnp.argmax(x, -1)), y, _within(y, x.shape[-1])
    if x.shape != y.shape:
        raise ValueError(
            f"predictions have shape {x.shape}, targets have shape {y.shape}: wanted "
            "predictions of the targets' shape, or of it with an axis of two or more classes behind"
        )
    if is_float(x):
        return jnp.where(jnp.isnan(x), NEVER, x > 0), y, _within(y, 2)
    return x, y, 2 if x.dtype == bool else None


def _within(y: Array, n: int, why: str = "as predictions do") -> int:
    """n, the number of classes, after a look at targets that are known."""
    if not isinstance(y, jax.core.Tracer) and y.size and (jnp.min(y) < 0 or jnp.max(y) >= n):
        wrong = int(y[(y < 0) | (y >= n)].ravel()[0])
        raise ValueError(f"targets hold the class {wrong}: wanted 0 to {n - 1}, {why}")
    return n


def flat_weights(targets: Any, weights: Any) -> Array:
    """A weight for each target, in one row."""
    y = array("targets", targets)
    w = example_weights("targets", y, weights).astype(float)
    return jnp.broadcast_to(w.reshape(w.shape + (1,) * (y.ndim - w.ndim)), y.shape).ravel()


def one_hot(predictions: Any, targets: Any, n_classes: int | None) -> tuple[Array, Array]:
    """Predicted and true classes as rows of zeros and a one."""
    *classes, found = classes_of(predictions, targets)
    n = n_classes or found
    if n is None:
        raise ValueError("n_classes = None: integer predictions do not tell how many classes")
    if found not in (None, n):
        raise ValueError(f"n_classes = {n}, but predictions have {found} classes")
    p, y = (z.ravel().astype(int) for z in classes)
    told = f"as n_classes = {n}: more want n_classes= and an average= other than 'binary'"
    _within(y, n, told if found is None else "as predictions do")
    return jax.nn.one_hot(p, n, dtype=float), jax.nn.one_hot(y, n, dtype=float)


def ratio(a: Array, b: Array) -> Array:
    """a / b, or 0 where b is 0."""
    return jnp.where(b == 0, 0, a / jnp.where(b == 0, 1, b))
