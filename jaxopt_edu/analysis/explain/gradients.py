"""Integrated gradients: the derivative, summed along the way from a baseline to the example."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.inputs import (
    CHUNK,
    chunked,
    exact_products,
    examples,
    one_program,
    output_of,
)
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.tree import wide


class IntegratedGradients(NamedTuple):
    """Attributions, and how far their sum is from what they explain."""

    attributions: Array
    gap: Array

    def _repr_html_(self) -> str:
        return notebook.arrays(self)


@one_program
def integrated_gradients(
    predict: Callable[..., Any],
    x: ArrayLike,
    baseline: ArrayLike,
    *,
    nodes: int = 32,
    chunk: int = CHUNK,
) -> IntegratedGradients:
    """The attributions of all features by integrated gradients, and the gap left by quadrature.

    Formula: phi_j = (x_j - x'_j) integral from 0 to 1 of df/dx_j (x' + a (x - x')) da,
        the integral as sum_q w_q (...) at the nodes a_q of Gauss and Legendre
        gap = f(x) - f(x') - sum_j phi_j
    The gap is what the nodes missed: 0 if the integral were exact (completeness). It falls fast
    for smooth models (tanh), slowly for those with kinks (ReLU): look at it, and take more nodes.
    baseline: x', a number, one for each feature, or one for each example and feature.
    Shapes: x (n, d) and baseline (), (d,) or (n, d) -> attributions (n, d), gap (n,); for k outputs
        (n, d, k) and (n, k).
    Units: the unit of the predictions.
    Errors: ValueError where nodes < 1 or shapes do not fit.
    Source: Sundararajan, Taly & Yan 2017, arXiv:1703.01365, equation 1.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> explained = jo.explain.integrated_gradients(
    ...     lambda x: x[:, 0] * x[:, 1], jnp.array([[2.0, 3.0]]), 0.0
    ... )
    >>> explained.attributions.round(4).tolist(), bool(abs(explained.gap[0]) < 1e-5)
    ([[3.0, 3.0]], True)
    """
    x = examples("x", x)
    check_count("nodes", nodes)
    check_count("chunk", chunk)
    dtype = output_of(predict, x).dtype
    start = jnp.asarray(baseline, x.dtype)
    if start.shape not in ((), x.shape[1:], x.shape):
        raise ValueError(
            f"baseline has shape {start.shape}, x has shape {x.shape}: "
            f"wanted a number, {x.shape[1:]} or {x.shape}"
        )
    ends, weights = np.polynomial.legendre.leggauss(nodes)
    a, w = jnp.asarray((1 + ends) / 2, x.dtype), weights / 2

    def f(z):
        return wide(predict(z[None])[0])

    def explain(pair):
        x, start = pair

        def slope(a):
            return wide(jax.jacrev(f)(start + a * (x - start)))

        slopes = chunked(slope, a, chunk)
        with exact_products():
            mean = jnp.tensordot(w.astype(slopes.dtype), slopes, 1)  # (d,) or (k, d)
        phi = ((x - start) * mean).T
        gap = f(x) - f(start) - jnp.sum(phi, 0)
        return IntegratedGradients(phi.astype(dtype), gap.astype(dtype))

    return chunked(explain, (x, jnp.broadcast_to(start, x.shape)), chunk // nodes)
