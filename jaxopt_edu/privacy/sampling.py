"""Poisson subsampling with fixed shapes: each record or client is drawn or not, on its own."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jax.custom_derivatives import SymbolicZero

from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.privacy.accounting import epsilon
from jaxopt_edu.train import Estimator, Objective
from jaxopt_edu.train.placement import split_rows
from jaxopt_edu.values import keys, tree


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


class Drawn(NamedTuple):
    """Numbers of units, of which the first `count` were drawn."""

    units: Array
    count: Any


class Drawing(Estimator):
    """Base of the estimators that draw the units of a step themselves: records, or clients.

    Of n units, m are drawn at a step; None: all of them. With a max_norm each is drawn on its own,
    with probability m / n, as the price `epsilon` supposes; without one m are, each once.
    """

    max_norm: Any
    noise_multiplier: Any
    private_draw = True

    def _units(self, training: Any) -> tuple[int, Any, int | None]:
        """How many units there may be, n (which on a fold may be traced and less), and m."""
        raise NotImplementedError

    def draw(self, training, t, key):
        size, n, m = self._units(training)
        key = keys.private(key, t).draw  # the same as that of `keys.federated`
        if m in (None, size):
            return Drawn(jnp.arange(size), n)
        if self.max_norm is None:
            return Drawn(random.permutation(key, size)[:m], m)
        return Drawn(*poisson_sample(key, size, m / n, n))

    def prepared(self, training, batch, t, key):
        return batch

    def _sum(self, f: Objective, of: Callable[[Array, Array], Any], at_a_time: int | None) -> Any:
        """The sum of of(units, present), a tree of sums over some units, over those that are drawn.

        at_a_time: how many are taken side by side; None: what nearly every draw fits into, which
        is the expected number and four deviations.
        """
        (units, count), (size, _, m) = f.batch, self._units(f.training)
        usual = len(units)
        if m is not None and self.max_norm is not None:
            usual = min(size, m + int(4 * (m * (1 - m / size)) ** 0.5 + 1))
        return sum_over(lambda *some: of(*split_rows(some)), units, count, at_a_time or usual)

    def sample_rate(self, training: Any) -> float:
        """The probability with which a unit is drawn at a step."""
        _, n, m = self._units(training)
        return 1.0 if m is None else m / n

    def epsilon(self, training: Any, steps: int, delta: float, accountant: str) -> float:
        """What so many steps spend: see `jo.privacy.epsilon`."""
        return epsilon(
            noise_multiplier=float(self.noise_multiplier), sample_rate=self.sample_rate(training),
            steps=steps, delta=delta, accountant=accountant,
        )  # fmt: skip
