"""The subsampled Gaussian mechanism in parts: units are drawn, clipped, added up, hidden by noise.

A unit is a record or a client. Draws have fixed shapes; sums go by chunks; the noisy mean of
clipped gradients hides any one of them.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random
from jax.custom_derivatives import SymbolicZero
from jax.flatten_util import ravel_pytree

from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.optim.transforms.clipping import shrinking
from jaxopt_edu.train.placement import split_rows
from jaxopt_edu.values import tree
from jaxopt_edu.values.random_bits import written_out

Loss = Callable[[Any, Any], Array]


# ------------------------------------------------------------------------ draws and sums


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
    drawn = random.bernoulli(written_out(key), rate, (n,))
    if among is not None:
        drawn &= jnp.arange(n) < among
    [rows] = jnp.nonzero(drawn, size=n, fill_value=0)
    return rows.astype(jnp.int32), jnp.sum(drawn, dtype=jnp.int32)


def sum_over(f: Callable[[Array, Array], Any], rows: Array, count: Scalar, size: int) -> Any:
    """The sum of f(rows, present) over the first `count` rows, in chunks of `size`.

    Every chunk has the same shape; `present` is False for what only fills up the last one. There
    are as many chunks as the count wants, so no draw is too large, whatever the size of a chunk.
    f returns a tree of sums: over no rows at all the result is zero. The rows of a chunk are shared
    by the devices of the mesh on which a training runs.

    >>> import jaxopt_edu as jo
    >>> f = lambda rows, present: jnp.sum(jnp.where(present, rows, 0))
    >>> jo.privacy.sum_over(f, jnp.arange(100), 5, size=2)
    Array(10, dtype=int32)
    """

    def chunk(i, count):
        place = i * size + jnp.arange(size, dtype=jnp.int32)
        return f(*split_rows((rows[jnp.minimum(place, len(rows) - 1)], place < count)))

    return _sum_of_chunks(chunk, count, size, -(-len(rows) // size))


def _sum_of_chunks(chunk: Callable[[Any, Any], Any], count: Scalar, size: int, most: int) -> Any:
    """chunk(0, count) + chunk(1, count) + ..., as many of the `most` chunks as the count wants.

    JAX has no derivative, backwards, of a loop whose number of turns is an array. So where it is
    differentiated, the loop takes all its turns, and those that are not due do nothing. What a
    chunk reads becomes an argument, `known`, which a function with a rule of its own must have.
    """
    traced, like = jax.make_jaxpr(chunk, return_shape=True)(jnp.int32(0), jnp.asarray(count))

    def add(i, total, count, known):
        now = jnp.asarray(i, jnp.int32), jnp.asarray(count)
        new = jax.core.eval_jaxpr(traced.jaxpr, known, *now)
        return tree.add(total, jax.tree.unflatten(jax.tree.structure(like), new))

    def as_many(count, *known):
        chunks, zero = -(-count // size), tree.zeros_like(like)
        return lax.fori_loop(0, chunks, lambda i, total: add(i, total, count, known), zero)

    if isinstance(count, int):
        return as_many(count, *traced.consts)

    def all_of_them(count, *known):
        @functools.partial(jax.checkpoint, prevent_cse=False)  # one chunk in memory at a time
        def turn(total, i):
            due = i * size < count
            return lax.cond(due, lambda: add(i, total, count, known), lambda: total), None

        return lax.scan(turn, tree.zeros_like(like), jnp.arange(most, dtype=jnp.int32))[0]

    by_rule = jax.custom_jvp(as_many)

    @functools.partial(by_rule.defjvp, symbolic_zeros=True)
    def slope(primals, tangents):
        moving = [i for i, x in enumerate(tangents) if not isinstance(x, SymbolicZero)]

        def of(*moved):
            now = dict(enumerate(primals)) | dict(zip(moving, moved, strict=True))
            return all_of_them(*now.values())

        return jax.jvp(of, [primals[i] for i in moving], [tangents[i] for i in moving])

    return by_rule(jnp.asarray(count), *traced.consts)


# ------------------------------------------------------------------ clipped gradients and noise


def clipped_gradients(
    loss: Loss, params: Any, batch: Any, *,
    max_norm: Scalar, mask: Any = None, microbatch: int | None = None,
) -> Any:  # fmt: skip
    """The gradient of every example of a batch, each shrunk to a largest Euclidean norm.

    Formula: g_i min(1, max_norm / |g_i|), g_i = gradient of loss(params, batch_i), where |g_i| is
        the norm of all leaves as one vector; by complex params it is the conjugate of JAX's
    loss: (params, one example) -> a number; an example is a tree like batch without the axis.
    Shapes: batch: a tree of (n, ...); mask (n,), False for examples that are absent -> the tree of
        params with an axis of n in front, in at least float32.
    microbatch: how many examples are differentiated at a time; the result is the same.
    Units: max_norm has the unit of the gradient.
    Absent examples give zeros, and so does a gradient that is not finite: the bound holds for
        whatever is in the batch.
    Errors: ValueError for axes of different length, TypeError where loss gives no single number.
    Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1.
    Agrees with: a Python loop over jax.grad, 1e-12 in float64; optax.per_example_global_norm_clip.

    >>> import jaxopt_edu as jo
    >>> loss = lambda w, example: 0.5 * (w * example[0] - example[1]) ** 2
    >>> batch = jnp.array([1.0, 2.0]), jnp.array([0.5, 8.0])
    >>> jo.privacy.clipped_gradients(loss, jnp.array(0.0), batch, max_norm=1.0)
    Array([-0.5, -1. ], dtype=float32)
    """
    n = _examples(loss, params, batch, mask)
    mask = jnp.ones(n, bool) if mask is None else jnp.asarray(mask, bool)

    def one(row):
        example, present = row
        return value_and_clipped(loss, params, example, max_norm, present)[1]

    if microbatch is None:
        return jax.vmap(one)((batch, mask))
    return lax.map(one, (batch, mask), batch_size=microbatch)


def value_and_clipped(
    loss: Loss, params: Any, example: Any, max_norm: Scalar, present: Array
) -> tuple[Array, Any]:
    """The loss of one example and its clipped gradient; zeros where it is absent."""
    value, g = jax.value_and_grad(loss)(params, example)
    return jnp.where(present, value, 0), _clip(tree.conjugate(g), max_norm, present)


def clipped_sum(loss: Loss, params: Any, batch: Any, *, max_norm: Scalar, mask: Any = None) -> Any:
    """The sum of `clipped_gradients`: one example more or less moves it by max_norm at most.

    >>> import jaxopt_edu as jo
    >>> loss = lambda w, example: 0.5 * (w * example[0] - example[1]) ** 2
    >>> batch = jnp.array([1.0, 2.0]), jnp.array([0.5, 8.0])
    >>> jo.privacy.clipped_sum(loss, jnp.array(0.0), batch, max_norm=1.0)
    Array(-1.5, dtype=float32)
    """
    each = clipped_gradients(loss, params, batch, max_norm=max_norm, mask=mask)
    return tree.map(lambda g: jnp.sum(g, axis=0), each)


def noisy_gradient(
    key: Array, loss: Loss, params: Any, batch: Any, *,
    max_norm: Scalar, noise_multiplier: Scalar, expected_batch: Scalar, mask: Any = None,
) -> Any:  # fmt: skip
    """The private estimate of the mean gradient, to be handed to any optimizer: DP-SGD, DP-Adam...

    Formula: (sum_i clip(g_i) + noise_multiplier max_norm N(0, I)) / expected_batch
    expected_batch: sampling rate times number of records, not the number of examples drawn, which
        is itself a secret; an empty batch gives noise alone.
    Shapes: as `clipped_gradients` -> the tree of params, in its dtypes.
    Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1, with the expected size of the lot.

    >>> import jax, jaxopt_edu as jo
    >>> loss = lambda w, example: 0.5 * (w * example[0] - example[1]) ** 2
    >>> batch = jnp.array([1.0, 2.0]), jnp.array([0.5, 8.0])
    >>> g = jo.privacy.noisy_gradient(
    ...     jax.random.key(0), loss, jnp.array(0.0), batch,
    ...     max_norm=1.0, noise_multiplier=0.0, expected_batch=2)
    >>> g
    Array(-0.75, dtype=float32)
    """
    total = clipped_sum(loss, params, batch, max_norm=max_norm, mask=mask)
    return noisy_mean(key, total, noise_multiplier * max_norm, expected_batch, params)


def noisy_mean(
    key: Array, total: Any, deviation: Scalar | None, expected: Scalar, like: Any
) -> Any:
    """(total + deviation N(0, I)) / expected, in the dtypes of `like`."""
    noisy = total if deviation is None else add_noise(key, total, deviation)
    return tree.map(lambda x, p: (x / expected).astype(jnp.result_type(p)), noisy, like)


def add_noise(key: Array, total: Any, deviation: Scalar) -> Any:
    """total + deviation N(0, I): the Gaussian mechanism on a whole tree.

    Both parts of a complex number get noise of this deviation.
    The noise is pseudo-random: it hides something from those only who do not know the key.
    """
    if any(map(jnp.iscomplexobj, tree.leaves(total))):
        parts = tree.map(lambda x: (x.real, x.imag) if jnp.iscomplexobj(x) else x, total)
        noisy = add_noise(key, parts, deviation)
        return tree.map(lambda x, y: lax.complex(*y) if jnp.iscomplexobj(x) else y, total, noisy)
    flat, unravel = ravel_pytree(total)
    return unravel(flat + deviation * random.normal(written_out(key), flat.shape, flat.dtype))


def clip_each(stack: Any, max_norm: Scalar, present: Array) -> Any:
    """Every entry along the first axis of a tree, clipped as one vector; zeros for absent ones."""
    return jax.vmap(_clip, in_axes=(0, None, 0))(stack, max_norm, present)


def _clip(g: Any, max_norm: Scalar, present: Array) -> Any:
    g = tree.map(tree.wide, g)
    size = tree.norm(g)
    factor = shrinking(size, max_norm)
    return tree.map(lambda x: jnp.where(present & jnp.isfinite(size), factor * x, 0), g)


def _examples(loss: Loss, params: Any, batch: Any, mask: Any) -> int:
    """How many examples there are; ValueError or TypeError as `clipped_gradients` says."""
    shapes = [jnp.shape(x) for x in jax.tree.leaves((batch, mask))]
    if not shapes or () in shapes or len({shape[0] for shape in shapes}) > 1:
        raise ValueError(
            f"batch and mask have shapes {shapes}: wanted a first axis of one length, the examples"
        )
    example = jax.eval_shape(lambda batch: tree.map(lambda x: jnp.asarray(x)[0], batch), batch)
    out = jax.eval_shape(loss, params, example)
    if getattr(out, "shape", None) != ():
        raise TypeError(f"loss gives {out} for one example: wanted a single number")
    return shapes[0][0]
