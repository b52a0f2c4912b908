"""Augmentation of any features: noise, and mixtures of examples."""

import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu.data.augment.base import Augmentation, Mixed, per_example
from jaxopt_edu.nn.shapes import floats
from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values.pytrees import number, pytree, recipe
from jaxopt_edu.values.random_bits import written_out
from jaxopt_edu.values.tree import root

__all__ = ["Mixup", "Noise", "mixup", "noise"]


@pytree
class Noise(Augmentation):
    """Adds normal noise to every feature.

    Formula: x' = x + scale N(0, I)
    Shapes: x (n, ...), floats. Units: scale has the unit of the features.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> jo.augment.noise(0.0)(jax.random.key(0), jnp.ones((1, 2)), 0)[0]
    Array([[1., 1.]], dtype=float32)
    """

    scale: Scalar = number(0)

    def __call__(self, key, x, y):
        x = jnp.asarray(x)
        wide = floats("x", x)
        drawn = random.normal(written_out(key), x.shape, wide.dtype)
        return (wide + self.scale * drawn).astype(x.dtype), y


@pytree
class Mixup(Augmentation):
    """Mixes each example with another of the batch, and their losses in the same shares.

    Formula: x'_i = s_i x_i + (1 - s_i) x_{pi(i)},  s_i from Beta(alpha, alpha), pi a random order;
        the loss is s_i l(f(x'_i), y_i) + (1 - s_i) l(f(x'_i), y_{pi(i)}): see `losses_of`.
    alpha: 0 mixes nothing, 1 all shares alike, more keeps near halves.
    The targets become `Mixed`, so there is one mixup in a chain at most.
    Errors: TypeError for targets that are mixed already.
    Source: Zhang et al. 2018, arXiv:1710.09412, section 2; here each pair has its own share.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([0, 1])
    >>> x, y = jo.augment.mixup(0.0)(jax.random.key(0), x, y)
    >>> x.ravel(), y.first, y.share
    (Array([0., 1.], dtype=float32), Array([0, 1], dtype=int32), Array([1., 1.], dtype=float32))
    """

    alpha: Scalar = number(0, default=0.2)

    @property
    def mixes(self):
        return True

    def __call__(self, key, x, y):
        if isinstance(y, Mixed):
            raise TypeError("mixup: the targets are mixed already; wanted one mixup in a chain")
        x, y = jnp.asarray(x), jnp.asarray(y)
        wide = floats("x", x)
        share_key, order_key = random.split(written_out(key))
        share = symmetric_beta(share_key, self.alpha, len(x))
        order = random.permutation(order_key, len(x))
        s = per_example(share, wide)
        return (s * wide + (1 - s) * wide[order]).astype(x.dtype), Mixed(y, y[order], share)


def symmetric_beta(key: Array, alpha: Scalar, n: int) -> Array:
    """n numbers from Beta(alpha, alpha); all 1 where alpha is 0.

    Formula: with U and V uniform, q = U^(1 / alpha) and c = cos(2 pi V),
        (1 + c sqrt((1 - q) / (q + (1 - q) c^2))) / 2
    Without rejection, which would take JAX seconds to compile.
    Source: Devroye 1996 (Winter Simulation Conference), Random variate generation in one line of
        code, the symmetric beta distribution; after Bailey 1994 (Mathematics of Computation 62).
    """
    some = alpha > 0
    u, v = random.uniform(key, (2, n), minval=jnp.finfo(float).tiny)
    p = -jnp.expm1(jnp.log(u) / jnp.where(some, alpha, 1))  # 1 - q
    c = jnp.cos(2 * jnp.pi * v)
    return jnp.where(some, jnp.clip((1 + c * root(p / (1 - p + p * c**2))) / 2, 0, 1), 1)


noise = recipe("noise", Noise)
mixup = recipe("mixup", Mixup)
