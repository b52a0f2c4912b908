"""Random keys: the one place that says which key is drawn from which.

    seed            -> weights: the initial weights
                    -> order: what every step gets as its `key`
    order, step t   -> batch, dropout, augment, optimizer: of a `Training`
                    -> `private`, `federated`: of a private or federated step

The seed is an integer that may be traced. All lanes of a sweep have the same seed, so they share
all of these (common random numbers). Each derivation has a number of its own: two that had the
same one would draw the same numbers.
"""

from typing import NamedTuple

from jax import Array, random
from jax.typing import ArrayLike

from jaxopt_edu.values.random_bits import fold_in

__all__ = [
    "FederatedKeys", "PrivateKeys", "augment", "batch", "dropout", "federated", "optimizer",
    "order", "private", "weights",
]  # fmt: skip

WEIGHTS, ORDER = 0, 1  # of a seed
BATCH, DROPOUT, AUGMENT, OPTIMIZER = 0, 1, 2, 3  # of the key of the order


def weights(seed: ArrayLike) -> Array:
    """The key of a training's initial weights.

    >>> import jax
    >>> from jaxopt_edu.values import keys
    >>> bool(keys.weights(0) == jax.random.fold_in(jax.random.key(0), 0))
    True
    """
    return fold_in(random.key(seed), WEIGHTS)


def order(seed: ArrayLike) -> Array:
    """The key that every step of a training gets: of the order of the data and all it draws.

    >>> import jax
    >>> from jaxopt_edu.values import keys
    >>> bool(keys.order(0) == jax.random.fold_in(jax.random.key(0), 1))
    True
    """
    return fold_in(random.key(seed), ORDER)


def batch(key: Array) -> Array:
    """The key of the order of the examples. It has no step in it: `batch_indices` counts steps."""
    return fold_in(key, BATCH)


def dropout(key: Array, t: ArrayLike) -> Array:
    """The key of the dropout masks of step t."""
    return fold_in(key, DROPOUT, t)


def augment(key: Array, t: ArrayLike) -> Array:
    """The key of what happens to the examples of step t before the model sees them."""
    return fold_in(key, AUGMENT, t)


def optimizer(key: Array, t: ArrayLike) -> Array:
    """The key that an optimizer is told at step t, if it wants one."""
    return fold_in(key, OPTIMIZER, t)


class PrivateKeys(NamedTuple):
    """The keys of a private step: of the drawn records, dropout, noise and augmentation."""

    draw: Array
    dropout: Array
    noise: Array
    augment: Array


def private(key: Array, t: ArrayLike) -> PrivateKeys:
    """The keys of step t of a differentially private training."""
    return PrivateKeys(*random.split(fold_in(key, t), len(PrivateKeys._fields)))


class FederatedKeys(NamedTuple):
    """The keys of a federated step: of the drawn clients, their trainings, noise and masks."""

    draw: Array
    local: Array
    noise: Array
    masks: Array


def federated(key: Array, t: ArrayLike) -> FederatedKeys:
    """The keys of step t of a federated training."""
    return FederatedKeys(*random.split(fold_in(key, t), len(FederatedKeys._fields)))
