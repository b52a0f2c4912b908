"""A simulation of secure aggregation: the server sees the sum of the updates and none of them."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jax.flatten_util import ravel_pytree

from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import number, pytree
from jaxopt_edu.values.random_bits import fold_in, written_out

RANGE = 2.0**30  # that of a sum, with one bit of 31 to spare for rounding


def masked_updates(key: Array, updates: Any, *, limit: Scalar) -> Array:
    """What the server receives from each client: integers that look random, one by one.

    Formula: y_k = round(scale x_k) + sum_{j>k} m_kj - sum_{j<k} m_jk  modulo 2^32, with the mask
        m_kj pseudo-random from a key that k and j share; scale = 2^30 / (clients limit)
    Every mask is added once and taken away once, so the sum of all y_k is the sum of the rounded
    updates, exactly.
    limit: numbers beyond -limit to limit are cut to it; then no sum of clients can overflow.
    Shapes: a tree of (clients, ...) -> (clients, numbers of one update) uint32.
    A NaN becomes some number: `secure_sum` says so.
    Errors: TypeError for complex updates, ValueError for a limit that is not above 0.
    Here one key stands for all pairs; clients would agree on theirs by Diffie-Hellman, and shares
    of them would let the server go on when a client is lost.
    Source: Bonawitz et al. 2017 (CCS), Practical Secure Aggregation, section 4.

    >>> import jax, jaxopt_edu as jo
    >>> updates = jnp.array([[0.5, -1.0], [0.25, 1.0]])
    >>> y = jo.federated.masked_updates(jax.random.key(0), updates, limit=1.0)
    >>> y.sum(axis=0).view(jnp.int32) / 2**29
    Array([0.75, 0.  ], dtype=float32)
    """
    if any(map(jnp.iscomplexobj, tree.leaves(updates))):
        raise TypeError("updates are complex: wanted real ones, such as the parts of each")
    if isinstance(limit, int | float) and not 0 < limit < math.inf:
        raise ValueError(f"limit = {limit}: wanted a number above 0")
    return _masked_updates(key, updates, limit)


@jax.jit
def _masked_updates(key: Array, updates: Any, limit: Scalar) -> Array:
    x = _flat(updates)
    clients, size = x.shape
    scaled = jnp.clip(tree.wide(x), -limit, limit) * (RANGE / clients / limit)
    fixed = jnp.round(scaled).astype(jnp.int32).view(jnp.uint32)
    masks = jax.vmap(lambda k: _mask(key, k, clients, size))(jnp.arange(clients))
    return fixed + masks


def secure_sum(key: Array, updates: Any, *, limit: Scalar) -> Any:
    """The sum over the clients of their updates, by way of `masked_updates`.

    The rounding is clients^2 limit / 2^31 at most; where an update is NaN, so is the sum.
    Shapes: a tree of (clients, ...) -> the tree without that axis.

    >>> import jax, jaxopt_edu as jo
    >>> updates = {"w": jnp.array([[0.5, -1.0], [0.25, 0.5]])}
    >>> jo.federated.secure_sum(jax.random.key(0), updates, limit=1.0)
    {'w': Array([ 0.75, -0.5 ], dtype=float32)}
    """
    return _summed(updates, masked_updates(key, updates, limit=limit), limit)


@jax.jit
def _summed(updates: Any, received: Array, limit: Scalar) -> Any:
    """The sum of the updates from what the server received; NaN where one is."""
    total = jnp.sum(received, axis=0, dtype=jnp.uint32).view(jnp.int32)
    one, unravel = ravel_pytree(tree.map(lambda x: x[0], updates))
    sums = total.astype(tree.wide(one).dtype) * (limit * len(received) / RANGE)
    lost = jnp.isnan(_flat(updates)).any(axis=0)
    return unravel(jnp.where(lost, jnp.nan, sums).astype(one.dtype))


def _flat(updates: Any) -> Array:
    """The numbers of all updates, (clients, numbers of one)."""
    return jax.vmap(lambda update: ravel_pytree(update)[0])(updates)


@pytree
class SecureSum:
    """`secure_sum` as a part of `fed_avg(secure=...)`.

    >>> import jaxopt_edu as jo
    >>> jo.federated.SecureSum(limit=1.0)
    SecureSum(limit=1.0)
    """

    limit: Any = number(0)

    def __call__(self, key: Array, updates: Any) -> Any:
        return secure_sum(key, updates, limit=self.limit)


def _mask(key: Array, k: Array, clients: int, size: int) -> Array:
    """The sum of the masks that client k shares with each of the others, modulo 2^32."""

    def add(j, total):
        pair = fold_in(key, jnp.minimum(j, k), jnp.maximum(j, k))
        shared = random.bits(written_out(pair), (size,), jnp.uint32)
        return total + jnp.where(j == k, 0, jnp.where(j > k, shared, -shared))

    return lax.fori_loop(0, clients, add, jnp.zeros(size, jnp.uint32))
