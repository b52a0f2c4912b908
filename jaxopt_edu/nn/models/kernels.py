"""Products, convolutions and pooling in textbook shapes: how arrays lie in memory is decided here.

On a CPU each is written inside in the way that XLA compiles to the fastest program found (jax
0.10.2, two cores): the examples lie on the last axis there. Where two kernels follow each other,
or only elementwise functions stand between them, XLA drops the transposes.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

__all__ = ["conv2d", "flatten", "matmul", "max_pool"]

SMALL = 2**15  # a weight array of fewer numbers


def matmul(x: Array, w: Array, b: Array | None = None) -> Array:
    """x w^T, or x w^T + b, for x (n, inputs), w (outputs, inputs) and b (outputs,): (n, outputs).

    The bias is added here, where the examples lie on the last axis.
    """
    columns = _product(w, x)
    return (columns if b is None else columns + b[:, None]).T


@jax.custom_jvp
def _product(w: Array, x: Array) -> Array:
    """w x^T: (outputs, n).

    For many w in a batch and one x this is one product of all rows of all w, and what it gives lies
    in memory model by model; so does the gradient g x. Its derivative is the usual one, in the
    order that makes both gradients, g^T w and g x, products of factors as they lie in memory:
    XLA's fast kernels for a CPU take no transposed ones. A small gradient is kept apart from what
    is done with it, which makes a step of 16 models 64-32-10 a tenth faster; for a large one that
    would make a step of one model 784-128-128-10 a quarter slower.
    """
    return w @ x.T


def _product_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (w, x), (dw, dx) = primals, tangents
    out = _product(w, x)
    moved = jnp.zeros_like(out)
    if not isinstance(dx, SymbolicZero):
        moved = moved + _times(dx, w).T
    if not isinstance(dw, SymbolicZero):
        change = _times(dw, x)
        moved = moved + (lax.optimization_barrier(change) if w.size < SMALL else change)
    return out, moved


def _times(a: Array, b: Array) -> Array:
    """a b^T"""
    return lax.dot_general(a, b, (((1,), (1,)), ((), ())))


_product.defjvp(_product_jvp, symbolic_zeros=True)


def conv2d(images: Array, w: Array, b: Array | None = None) -> Array:
    """Images convolved with filters of size x size pixels, plus b; outside an image are zeros.

    Formula: (h * w)_{i j o} = sum_{k, l, c} h_{i + k - r, j + l - r, c} w_{o k l c},
        r = (size - 1) // 2
    Shapes: images (n, height, width, from), w (to, size, size, from), b (to,) ->
        (n, height, width, to)

    It is one matrix product over the neighbourhoods of all pixels. With XLA's own convolution,
    which under vmap becomes a grouped one, a training step took 7 to 20 times as long on a CPU
    (8 x 8 and 28 x 28 pixels, 1 and 8 lanes); on others neither was measured.
    """
    to, size, _, _ = w.shape
    before = (size - 1) // 2
    margin = (before, size - 1 - before)
    filters, h = w.reshape(to, -1), _examples_last(images)
    pixels = _neighbourhoods(h, size, margin).reshape(filters.shape[1], -1)
    out = filters @ pixels if b is None else filters @ pixels + b[:, None]
    return _examples_first(out.reshape(to, *h.shape[1:]))


def _neighbourhoods(h: Array, size: int, margin: tuple[int, int]) -> Array:
    """The size x size pixels around each pixel, zeros outside, as its size^2 c channels."""
    _, height, width, _ = h.shape
    padded = jnp.pad(h, ((0, 0), margin, margin, (0, 0)))
    return jnp.concatenate(
        [padded[:, a : a + height, b : b + width] for a in range(size) for b in range(size)]
    )


def max_pool(images: Array, size: int) -> Array:
    """The largest of each block of size x size pixels, channel by channel.

    Shapes: (n, height, width, channels) -> (n, height // size, width // size, channels): a last row
        or column that fills no block is left out. Several largest share the gradient.
    """
    h = _examples_last(images)
    channels, height, width, n = h.shape
    rows, columns = height // size, width // size
    whole = h[:, : rows * size, : columns * size]
    blocks = whole.reshape(channels, rows, size, columns, size, n)
    return _examples_first(jnp.max(blocks, (2, 4)))


def flatten(images: Array) -> Array:
    """All numbers of an image in a row, channel by channel.

    Shapes: (n, height, width, channels) -> (n, channels height width)
    """
    h = _examples_last(images)
    return h.reshape(-1, h.shape[-1]).T


def _examples_last(images: Array) -> Array:
    """(n, height, width, channels) -> (channels, height, width, n)"""
    return images.transpose(3, 1, 2, 0)


def _examples_first(h: Array) -> Array:
    """(channels, height, width, n) -> (n, height, width, channels)"""
    return h.transpose(3, 1, 2, 0)
