"""Regression: the loss of every number, in the shape of the predictions."""

import math
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.nn.link import linked
from jaxopt_edu.nn.shapes import check_scalar, floats, pair
from jaxopt_edu.optim.transform import Scalar


def _error(predictions: Any, targets: Any) -> Array:
    """x - y, or x where there are no targets."""
    if targets is None:
        return floats("predictions", predictions)
    x, y = pair(predictions, targets)
    return x - y


@linked("identity")
def squared_error(predictions: ArrayLike, targets: ArrayLike | None = None) -> Array:
    """The squared difference, without the 1/2 of `l2_loss`.

    Formula: l = (x - y)^2  (y is 0 where there are no targets)
    Shapes: predictions x and targets y (...) -> (...).
    Units: the unit of the targets, squared.
    Errors: ValueError where the shapes differ, such as (1000,) and (1000, 1).
    Agrees with: optax.squared_error, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.squared_error([1.0, 4.0], [2, 2])
    Array([1., 4.], dtype=float32)
    """
    return _error(predictions, targets) ** 2


@linked("identity")
def l2_loss(predictions: ArrayLike, targets: ArrayLike | None = None) -> Array:
    """Half the squared difference, whose derivative is the difference.

    Formula: l = (x - y)^2 / 2  (y is 0 where there are no targets)
    Shapes, Units, Errors: as `squared_error`.
    Agrees with: optax.l2_loss, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.l2_loss([1.0, 4.0], [2, 2])
    Array([0.5, 2. ], dtype=float32)
    """
    return squared_error(predictions, targets) / 2


@linked("identity")
def huber_loss(
    predictions: ArrayLike, targets: ArrayLike | None = None, *, delta: Scalar = 1.0
) -> Array:
    """Half the squared difference up to delta, and beyond it a straight line of slope delta.

    Formula: l = e^2 / 2 if |e| <= delta, else delta (|e| - delta / 2), with e = x - y
    Shapes, Errors: as `squared_error`.
    Units: delta has the unit of the targets.
    Source: Huber 1964, Robust Estimation of a Location Parameter.
    Agrees with: optax.huber_loss, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.huber_loss([1.0, 4.0], [2, 2])
    Array([0.5, 1.5], dtype=float32)
    """
    check_scalar("delta", delta)
    e = _error(predictions, targets)
    c = jnp.clip(e, -delta, delta)
    return c * (e - c / 2)


@linked("identity")
def log_cosh(predictions: ArrayLike, targets: ArrayLike | None = None) -> Array:
    """A smooth Huber loss: e^2 / 2 near 0, |e| - log 2 far away, with derivative tanh(e).

    Formula: l = log(exp(e) + exp(-e)) - log 2, with e = x - y  (the logarithm of cosh e)
    Shapes, Errors: as `squared_error`.
    Units: the error counts in units of 1: scale the targets first.
    Agrees with: optax.log_cosh, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> print(f"{jo.losses.log_cosh(1000.0):.2f}")
    999.31
    """
    e = _error(predictions, targets)
    return jnp.logaddexp(e, -e) - math.log(2)
