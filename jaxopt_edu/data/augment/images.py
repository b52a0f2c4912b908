"""Augmentation of images: one image's rule each, lifted over the batch."""

import math
from abc import abstractmethod

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu.data.augment.base import Augmentation
from jaxopt_edu.nn.shapes import floats
from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values.pytrees import check, check_count, number, pytree, recipe, static
from jaxopt_edu.values.random_bits import written_out

__all__ = ["Crop", "Cutout", "Flip", "OfImages", "Shift", "crop", "cutout", "flip", "shift"]


class OfImages(Augmentation):
    """An augmentation given for one image (height, width, channels), lifted over the batch."""

    shape: tuple[int, ...]

    def __post_init__(self):
        check(self)
        sizes = isinstance(self.shape, tuple | list) and len(self.shape) in (2, 3)
        if not sizes or not all(isinstance(n, int) and n > 0 for n in self.shape):
            raise ValueError(
                f"shape = {self.shape!r}: wanted (height, width) or (height, width, channels)"
            )

    @abstractmethod
    def image(self, key: Array, image: Array) -> Array:
        """The augmented image."""

    def __call__(self, key, x, y):
        x = jnp.asarray(x)
        wide = floats("x", x)
        if x.shape[1:] not in (tuple(self.shape), (math.prod(self.shape),)):
            raise ValueError(
                f"x has shape {x.shape}; {type(self).__name__} with shape = {self.shape} wants "
                f"(n, {math.prod(self.shape)}) or (n, {', '.join(map(str, self.shape))})"
            )
        images = wide.reshape(len(x), *self.shape[:2], -1)
        new = jax.vmap(self.image)(random.split(written_out(key), len(x)), images)
        return new.reshape(x.shape).astype(x.dtype), y


# ---------------------------------------------------------------------------------- one image


@pytree
class Shift(OfImages):
    """Moves each image by whole pixels, up to reach in either direction.

    Formula: x'_{i,j} = x_{i-a,j-b}, or fill where that is outside; a and b uniform on
        -reach, ..., reach.
    Units: reach is in pixels; a fraction of one counts for nothing.
    Errors: ValueError for a shape that is none, or an x that has not as many pixels.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> x, _ = jo.augment.shift((1, 3), reach=0)(jax.random.key(0), jnp.array([[1.0, 2.0, 3.0]]), 0)
    >>> x
    Array([[1., 2., 3.]], dtype=float32)
    """

    shape: tuple[int, ...] = static()
    reach: Scalar = number(0, default=1, smooth=False)
    fill: Scalar = number(default=0.0)

    def image(self, key, image):
        reach = jnp.floor(self.reach)
        a, b = jnp.floor(random.uniform(key, (2,)) * (2 * reach + 1)) - reach
        rows, rows_inside = _moved(image.shape[0], a)
        columns, columns_inside = _moved(image.shape[1], b)
        inside = rows_inside[:, None, None] & columns_inside[:, None]
        return jnp.where(inside, image[rows][:, columns], self.fill)


def _moved(n: int, by: Array) -> tuple[Array, Array]:
    """Which of n places comes to each place, and whether there is one."""
    source = jnp.arange(n) - by.astype(int)
    return jnp.clip(source, 0, n - 1), (source >= 0) & (source < n)


@pytree
class Flip(OfImages):
    """Mirrors each image with a probability: left and right, or up and down (axis="vertical").

    Formula: x'_{i,j} = x_{i,width-1-j} with the probability, else x_{i,j}
    Not for what has a side: a mirrored 2 is no digit.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> mirror = jo.augment.flip((1, 3), probability=1.0)
    >>> mirror(jax.random.key(0), jnp.array([[1.0, 2.0, 3.0]]), 0)[0]
    Array([[3., 2., 1.]], dtype=float32)
    """

    shape: tuple[int, ...] = static()
    probability: Scalar = number(0, 1, default=0.5, closed=True, smooth=False)
    axis: str = static(default="horizontal", among=("horizontal", "vertical"))

    def image(self, key, image):
        mirrored = jnp.flip(image, 1 if self.axis == "horizontal" else 0)
        return jnp.where(random.uniform(key) < self.probability, mirrored, image)


@pytree
class Crop(OfImages):
    """Pads each image on all sides and cuts a random window of the old size out of it.

    edge: what the padding is: "constant" (fill), "reflect" (the image mirrored at its border) or
        "edge" (the pixel at the border). padding: pixels; it sets shapes, so it is structure.
    Errors: ValueError for a padding that is no integer from 0, or that reflects more than there is.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> jo.augment.crop((1, 3), padding=0)(jax.random.key(0), jnp.array([[1.0, 2.0, 3.0]]), 0)[0]
    Array([[1., 2., 3.]], dtype=float32)
    """

    shape: tuple[int, ...] = static()
    padding: int = static(default=1)
    edge: str = static(default="constant", among=("constant", "reflect", "edge"))
    fill: Scalar = number(default=0.0)

    def __post_init__(self):
        super().__post_init__()
        p, least = self.padding, min(self.shape[:2])
        check_count("padding", p, least=0)
        if self.edge == "reflect" and p >= least:
            raise ValueError(f"padding = {p}: an image of {self.shape} reflects {least - 1}")

    def image(self, key, image):
        p, (height, width, channels) = self.padding, image.shape
        sides = ((p, p), (p, p), (0, 0))
        around = jnp.pad(image, sides, self.edge)
        if self.edge == "constant":
            around = jnp.where(jnp.pad(jnp.ones_like(image, bool), sides), around, self.fill)
        top, left = random.randint(key, (2,), 0, 2 * p + 1)
        return jax.lax.dynamic_slice(around, (top, left, 0), (height, width, channels))


@pytree
class Cutout(OfImages):
    """Fills a square of size x size pixels, centred at a random pixel of each image.

    What of the square lies outside of the image is lost, so that fewer pixels may be filled.
    Units: size is in pixels; a fraction of one counts for nothing.
    Source: DeVries & Taylor 2017, arXiv:1708.04552, section 3.2.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> x, _ = jo.augment.cutout((8, 8), size=1)(jax.random.key(0), jnp.ones((2, 64)), 0)
    >>> x.sum(1)
    Array([63., 63.], dtype=float32)
    """

    shape: tuple[int, ...] = static()
    size: Scalar = number(0, default=2, smooth=False)
    fill: Scalar = number(default=0.0)

    def image(self, key, image):
        size = jnp.floor(self.size)
        height, width, _ = image.shape
        row, column = jnp.floor(random.uniform(key, (2,)) * jnp.array([height, width]))
        first = -jnp.floor(size / 2)

        def within(n, centre):
            away = jnp.arange(n) - centre
            return (away >= first) & (away < first + size)

        square = within(height, row)[:, None, None] & within(width, column)[:, None]
        return jnp.where(square, self.fill, image)


shift = recipe("shift", Shift)
flip = recipe("flip", Flip)
crop = recipe("crop", Crop)
cutout = recipe("cutout", Cutout)
