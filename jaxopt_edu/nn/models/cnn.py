"""The convolutional network."""

from itertools import pairwise
from typing import Any

import jax

from jaxopt_edu.nn.models.kernels import conv2d, flatten, max_pool
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
from jaxopt_edu.values.random_bits import written_out

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
        *keys, last = jax.random.split(written_out(key), len(layers) + 1)
        convolutions = [
            layer_init(own, (k, k, c), to, (k * k * c, k * k * to), self.initial, self.gain)
            for own, (c, to) in zip(keys, layers, strict=True)
        ]
        return {"convolutions": convolutions, "mlp": mlp.init(last)}

    def apply(self, params, x, key=None):
        height, width, channels = self.image
        check_input(x, height * width * channels, "CNN")
        h = x.reshape(-1, height, width, channels)
        for layer in params["convolutions"]:
            h = max_pool(activation_of(self)(conv2d(h, layer["w"], layer["b"])), self.pool)
        return self.mlp.apply(params["mlp"], flatten(h), key)
