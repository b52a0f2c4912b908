"""Shapley values by their definition."""

from collections.abc import Callable
from math import comb
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.coalitions import all_coalitions, check_game, explain_by_coalitions
from jaxopt_edu.analysis.explain.inputs import CHUNK, one_program


@one_program
def shapley(
    predict: Callable[..., Any], x: ArrayLike, background: ArrayLike, *, chunk: int = CHUNK
) -> Array:
    """The Shapley values of all features: their fair shares in what is predicted.

    Formula: phi_j = sum over S without j of |S|! (d - |S| - 1)! / d! (v(S and j) - v(S))
        v(S) = mean over the background of f(x in S, background outside S)
    They sum to f(x) - mean f(background). Features outside S are drawn from the background whatever
    those in S are ("interventional"): what the model does, not how features hang together.
    Shapes: x (n, d) and background (m, d) -> (n, d), or (n, d, k) where predict has k outputs.
    Units: the unit of the predictions.
    Errors: ValueError where d > 16 (2^d m rows are predicted for each example), or where shapes do
        not fit.
    Source: Shapley 1953, A value for n-person games; Lundberg & Lee 2017, arXiv:1705.07874, eq. 8;
        Janzing et al. 2020, arXiv:1910.13413, for the choice of v.
    Agrees with: shap.ExactExplainer, 1e-12 in float64.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> x, background = jnp.array([[2.0, 3.0]]), jnp.zeros((1, 2))
    >>> jo.explain.shapley(lambda x: x[:, 0] * x[:, 1], x, background).tolist()
    [[3.0, 3.0]]
    """
    x, background = check_game(x, background, chunk)
    d = x.shape[1]
    coalitions = all_coalitions(d, "use kernel_shapley(key=...) or permutation_shapley(key=...)")
    size = coalitions.sum(1)
    weight = np.array([1 / (d * comb(d - 1, s)) for s in range(d)])

    def phi(v):
        shares = []
        for j in range(d):
            S = np.flatnonzero(~coalitions[:, j])
            gain = v[S + 2**j] - v[S]
            shares.append(jnp.tensordot(weight[size[S]].astype(gain.dtype), gain, 1))
        return jnp.stack(shares)

    return explain_by_coalitions(phi, predict, x, background, coalitions, chunk)
