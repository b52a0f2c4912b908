"""The convolutional network."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.models.layers import (
    ACTIVATIONS,
    VARIANCES,
    activation_of,
    check_input,
    check_model,
    layer_init,
)
from jaxopt_edu.nn.models.mlp import MLP
from jaxopt_edu.values.pytrees import number, pytree, static

__all__ = ["CNN"]


@pytree
class CNN:
    """Convolutions, each with an activation and max pooling, then an MLP.

    Formula: h_0 = x as an image;  h_{l+1} = pool(s(h_l * w_l + b_l));  f(x) = MLP(h_L)
        (h * w)_{i j o} = sum_{a, b, c} h_{i + a - r, j + b - r, c} w_{o a b c},
        r = (kernel - 1) // 2, zeros outside the image; pool takes the largest of each block of
        pool x pool pixels (a last row or column that fills no block is left out).
    Shapes: shape (height, width) or (height, width, channels); x (n, height width channels), the
        pixels row by row, the channels of a pixel side by side -> (n, outputs), or (n,) where
        outputs is 1. Params: {"convolutions": [{"w": (to, kernel, kernel, from), "b": (to,)}],
        "mlp": those of the MLP}.
    filters: channels after each convolution. hidden: sizes of the MLP's hidden layers.
    Initial weights and dropout (in the MLP): as `MLP`; fan_in = kernel^2 from.
    Errors: ValueError for a shape that is none or that the poolings use up, another number of
        features in x.
    Source: LeCun et al. 1998, Gradient-based learning applied to document recognition.
    Agrees with: flax.linen.Conv (SAME) and max_pool, 1e-12 in float64.

    Each convolution is one matrix product over the neighbourhoods of all pixels, with the examples
    on the last axis, where a CPU reads them side by side. With XLA's own convolution, which under
    vmap becomes a grouped one, a training step took 7 to 20 times as long there (8 x 8 and 28 x 28
    pixels, 1 and 8 lanes, jax 0.10.2).

    >>> import jaxopt_edu as jo
    >>> jo.models.CNN((8, 8), 10, filters=(8, 16))
    CNN(shape=(8, 8), outputs=10, gain=1.0)
    """

    shape: tuple[int, ...] = static(least=(1,))
    outputs: int = static(least=1, default=1)
    filters: tuple[int, ...] = static(least=(1,), default=(8, 16))
    hidden: tuple[int, ...] = static(least=(1,), default=(64,))
    kernel: int = static(least=1, default=3)
    pool: int = static(least=1, default=2)
    activation: Any = static(default="relu", among=ACTIVATIONS)
    dropout: Any = number(0, 1, default=None, smooth=False)
    initial: str = static(default="he", among=VARIANCES)
    gain: Any = number(0, default=1.0)

    def __post_init__(self):
        check_model(self)

    @property
    def image(self) -> tuple[int, int, int]:
        """Height, width and channels of x."""
        if not (2 <= len(self.shape) <= 3 and min(self.shape) >= 1):
            raise ValueError(f"CNN: shape = {self.shape}: wanted (height, width[, channels])")
        height, width, *channels = self.shape
        return height, width, channels[0] if channels else 1

    @property
    def mlp(self) -> MLP:
        """The dense layers."""
        height, width, _ = self.image
        shrunk = self.pool ** len(self.filters)
        pixels = (height // shrunk) * (width // shrunk)
        if not pixels:
            raise ValueError(
                f"CNN: nothing is left of shape = {self.shape} after {len(self.filters)} poolings "
                f"of {self.pool} x {self.pool}: wanted fewer filters or a smaller pool"
            )
        sizes = (pixels * (*self.image, *self.filters)[-1], *self.hidden, self.outputs)
        return MLP(sizes, self.activation, self.dropout, self.initial, self.gain)

    def init(self, key):
        mlp, k = self.mlp, self.kernel
        layers = list(pairwise((self.image[2], *self.filters)))
        *keys, last = jax.random.split(key, len(layers) + 1)
        convolutions = [
            layer_init(own, (k, k, c), to, (k * k * c, k * k * to), self.initial, self.gain)
            for own, (c, to) in zip(keys, layers, strict=True)
        ]
        return {"convolutions": convolutions, "mlp": mlp.init(last)}

    def apply(self, params, x, key=None):
        height, width, channels = self.image
        check_input(x, height * width * channels, "CNN")
        h = x.reshape(-1, height, width, channels).transpose(3, 1, 2, 0)
        for layer in params["convolutions"]:
            h = max_pool(activation_of(self)(convolution(layer, h)), self.pool)
        return self.mlp.apply(params["mlp"], h.reshape(-1, len(x)).T, key)


def convolution(layer: dict[str, Array], h: Array) -> Array:
    """h * w + b for images (from, height, width, n): (to, height, width, n)."""
    to, size, _, _ = layer["w"].shape
    w = layer["w"].reshape(to, -1)
    out = w @ neighbourhoods(h, size).reshape(w.shape[1], -1) + layer["b"][:, None]
    return out.reshape(to, *h.shape[1:])


def neighbourhoods(h: Array, size: int) -> Array:
    """The size x size pixels around each pixel, zeros outside, as its size^2 c channels."""
    _, height, width, _ = h.shape
    before = (size - 1) // 2
    margin = (before, size - 1 - before)
    padded = jnp.pad(h, ((0, 0), margin, margin, (0, 0)))
    return jnp.concatenate(
        [padded[:, a : a + height, b : b + width] for a in range(size) for b in range(size)]
    )


def max_pool(h: Array, size: int) -> Array:
    """The largest of each block of size x size pixels."""
    channels, height, width, n = h.shape
    rows, columns = height // size, width // size
    whole = h[:, : rows * size, : columns * size]
    return jnp.max(whole.reshape(channels, rows, size, columns, size, n), (2, 4))
