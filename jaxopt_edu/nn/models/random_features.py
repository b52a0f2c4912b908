"""The kernel machine, by random features."""

import functools
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxopt_edu.nn.models.layers import check_input, readout
from jaxopt_edu.values.pytrees import check, check_seed, number, pytree, static
from jaxopt_edu.values.tree import root

__all__ = ["RandomFeatures"]


@pytree
class RandomFeatures:
    """A linear model of random waves of x, whose inner products approximate a Gaussian kernel.

    Formula: phi(x) = sqrt(2 / D) cos(sqrt(2 gamma) x W + c),  W_ij ~ N(0, 1), c_j ~ U(0, 2 pi);
        phi(x) . phi(y) -> exp(-gamma |x - y|^2) as D = features grows, the error as 1 / sqrt(D);
        f(x) = phi(x) w^T + b
    Shapes: x (n, inputs) -> (n, outputs), or (n,) where outputs is 1. Params: w
        (outputs, features) and b (outputs,), both zero at the start.
    Units: gamma is in 1 / |x|^2; 1 / inputs is a fair start where the features are standardized.
    seed: of W and c, which are constants of the model and no params: neither an optimizer nor a
        penalty can move them, and all trials and seeds of a sweep share them.
    Errors: ValueError for another number of features in x.
    Source: Rahimi & Recht 2007, Random features for large-scale kernel machines, algorithm 1.
    Agrees with: sklearn.kernel_approximation.RBFSampler(random_state=seed): the same W and c, and
        1e-12 in float64.

    With L2 it is kernel ridge regression or a kernel classifier, as the loss says.

    >>> import jaxopt_edu as jo
    >>> jo.models.RandomFeatures(64, 10, gamma=1 / 64)
    RandomFeatures(inputs=64, outputs=10, gamma=0.015625)
    """

    inputs: int = static(least=1)
    outputs: int = static(least=1, default=1)
    features: int = static(least=1, default=1000)
    gamma: Any = number(0, kw_only=True)
    seed: int = static(default=0)

    def __post_init__(self):
        check(self)
        check_seed(self.seed)

    def init(self, key):
        dtype = jnp.result_type(float)
        w = jnp.zeros((self.outputs, self.features), dtype)
        return {"w": w, "b": jnp.zeros(self.outputs, dtype)}

    def apply(self, params, x, key=None):
        return readout(params, self.transform(x))

    def transform(self, x: Array) -> Array:
        """phi(x): (n, features)."""
        check_input(x, self.inputs, "RandomFeatures")
        dtype = jnp.result_type(x, float)
        waves, phases = (a.astype(dtype) for a in draw(self.inputs, self.features, self.seed))
        scale = root(2 * jnp.asarray(self.gamma, dtype))
        return jnp.cos(scale * (x @ waves) + phases) * (2 / self.features) ** 0.5


@functools.cache
def draw(inputs: int, features: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """W and c, from the generator whose stream NumPy promises never to change."""
    generator = np.random.RandomState(seed)
    waves = generator.normal(size=(inputs, features))
    return waves, generator.uniform(0, 2 * np.pi, size=features)
