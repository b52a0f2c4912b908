"""Poisson subsampling with fixed shapes: each record is drawn or not, on its own."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jax.custom_derivatives import SymbolicZero

from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values import tree

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

    def chunk(i, count):
        place = i * size + jnp.arange(size, dtype=jnp.int32)
        return f(rows[jnp.minimum(place, len(rows) - 1)], place < count)

    if isinstance(count, int):
        zero = tree.zeros_like(jax.eval_shape(chunk, 0, count))
        return lax.fori_loop(
            0, -(-count // size), lambda i, total: tree.add(total, chunk(i, count)), zero
        )
    return _sum_of_chunks(chunk, count, size, -(-len(rows) // size))


def _sum_of_chunks(chunk: Callable[[Any, Any], Any], count: Array, size: int, most: int) -> Any:
    """chunk(0, count) + chunk(1, count) + ..., as many of the `most` chunks as the count wants.

    JAX has no derivative, backwards, of a loop whose number of turns is an array. So where it is
    differentiated, the loop takes all its turns, and those that are not due do nothing. What a
    chunk reads becomes an argument, `known`, which a function with a rule of its own must have.
    """
    count = jnp.asarray(count)
    traced, like = jax.make_jaxpr(chunk, return_shape=True)(jnp.int32(0), count)

    def add(i, total, count, known):
        new = jax.core.eval_jaxpr(traced.jaxpr, known, jnp.asarray(i, jnp.int32), count)
        return tree.add(total, jax.tree.unflatten(jax.tree.structure(like), new))

    @jax.custom_jvp
    def as_many(count, *known):
        chunks, zero = -(-count // size), tree.zeros_like(like)
        return lax.fori_loop(0, chunks, lambda i, total: add(i, total, count, known), zero)

    def all_of_them(count, *known):
        @functools.partial(jax.checkpoint, prevent_cse=False)  # one chunk in memory at a time
        def turn(total, i):
            due = i * size < count
            return lax.cond(due, lambda: add(i, total, count, known), lambda: total), None

        return lax.scan(turn, tree.zeros_like(like), jnp.arange(most, dtype=jnp.int32))[0]

    @functools.partial(as_many.defjvp, symbolic_zeros=True)
    def slope(primals, tangents):
        moving = [i for i, x in enumerate(tangents) if not isinstance(x, SymbolicZero)]

        def of(*moved):
            now = dict(enumerate(primals)) | dict(zip(moving, moved, strict=True))
            return all_of_them(*now.values())

        return jax.jvp(of, [primals[i] for i in moving], [tangents[i] for i in moving])

    return as_many(count, *traced.consts)


def chunk_size(expected: int, n: int) -> int:
    """A chunk that nearly every draw fits into: the expected size and four deviations, up to n."""
    return min(n, expected + int(4 * (expected * (1 - expected / n)) ** 0.5 + 1))
