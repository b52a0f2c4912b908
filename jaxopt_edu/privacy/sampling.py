"""Poisson subsampling with fixed shapes: each record is drawn or not, on its own."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random

from jaxopt_edu import tree
from jaxopt_edu.core import Scalar

__all__ = ["chunk_size", "poisson_sample", "sum_over"]


def poisson_sample(
    key: Array, n: int, rate: Scalar, among: Scalar | None = None
) -> tuple[Array, Array]:
    """Draws each of n records with probability rate: (their numbers, how many were drawn).

    Only the first `count` of the numbers are drawn; the rest is padding. How many there are is
    random, and may be 0: a draw of fixed size is another mechanism, with another epsilon.
    among: only the first so many records can be drawn; by default all.
    Shapes: -> (n,) int32, () int32.

    >>> import jax, jaxopt_edu as jo
    >>> rows, count = jo.privacy.poisson_sample(jax.random.key(2), 10, 0.3)
    >>> rows[:count]
    Array([2, 5, 7], dtype=int32)
    """
    drawn = random.bernoulli(key, rate, (n,))
    if among is not None:
        drawn &= jnp.arange(n) < among
    [rows] = jnp.nonzero(drawn, size=n, fill_value=0)
    return rows.astype(jnp.int32), jnp.sum(drawn, dtype=jnp.int32)


def sum_over(f: Callable[[Array, Array], Any], rows: Array, count: Scalar, size: int) -> Any:
    """The sum of f(rows, present) over the first `count` rows, in chunks of `size`.

    Every chunk has the same shape; `present` is False for what only fills up the last one. There
    are as many chunks as the count wants, so no draw is too large, whatever the size of a chunk.
    f returns a tree of sums: over no rows at all the result is zero.

    >>> import jaxopt_edu as jo
    >>> f = lambda rows, present: jnp.sum(jnp.where(present, rows, 0))
    >>> jo.privacy.sum_over(f, jnp.arange(100), 5, size=2)
    Array(10, dtype=int32)
    """

    def chunk(i):
        place = i * size + jnp.arange(size, dtype=jnp.int32)
        return f(rows[jnp.minimum(place, len(rows) - 1)], place < count)

    zero = tree.zeros_like(jax.eval_shape(chunk, 0))
    return lax.fori_loop(0, -(-count // size), lambda i, total: tree.add(total, chunk(i)), zero)


def chunk_size(expected: int, n: int) -> int:
    """A chunk that nearly every draw fits into: the expected size and four deviations, up to n."""
    return min(n, expected + int(4 * (expected * (1 - expected / n)) ** 0.5 + 1))
