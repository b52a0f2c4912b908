"""Shapley values as the solution of a weighted least squares problem (KernelSHAP)."""

from collections.abc import Callable
from math import comb
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, random
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.coalitions import all_coalitions, check_game, explain_by_coalitions
from jaxopt_edu.analysis.explain.inputs import CHUNK, draw_orders, one_program
from jaxopt_edu.values.pytrees import check_count


@one_program
def kernel_shapley(
    predict: Callable[..., Any],
    x: ArrayLike,
    background: ArrayLike,
    *,
    key: Any = None,
    samples: int = 2048,
    chunk: int = CHUNK,
) -> Array:
    """Shapley values by regression: from all coalitions, or with a key from samples of them.

    Formula: phi = argmin sum_S pi(S) (v(S) - v({}) - sum_{j in S} phi_j)^2
        such that sum_j phi_j = v(all) - v({}),   pi(S) = (d - 1) / (C(d, |S|) |S| (d - |S|))
        The constraint's multiplier lambda and phi solve one linear system (KKT), where Z has a row
        of 0 and 1 for each S:
            [Z'PZ  1] [phi   ]   [Z'P (v - v({}))]
            [1'    0] [lambda] = [v(all) - v({}) ]
    key: samples coalitions are drawn with probabilities proportional to pi, each together with its
        complement (an odd number is rounded up), the same ones for every example. Without a key
        they are all looked at, and the values are exact.
    Shapes, Units: as `shapley`; v as there.
    Errors: ValueError where d > 16 without a key, where samples < 4 d, or where shapes do not fit.
    Source: Lundberg & Lee 2017, arXiv:1705.07874, theorem 2; Covert & Lee 2021, arXiv:2012.01536,
        section 3, for the linear system and the pairs.
    Agrees with: shap.KernelExplainer and `shapley`, 1e-12 in float64, over all coalitions.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> x, background = jnp.array([[2.0, 3.0]]), jnp.zeros((1, 2))
    >>> phi = jo.explain.kernel_shapley(lambda x: x[:, 0] * x[:, 1], x, background)
    >>> phi.round(4).tolist()
    [[3.0, 3.0]]
    """
    x, background = check_game(x, background, chunk)
    d = x.shape[1]
    S: Any
    if key is None or d == 1:  # one feature has no coalitions to draw
        S = all_coalitions(d, "give a key: samples of them are drawn then")[1:-1]
        pi = np.array([(d - 1) / (comb(d, s) * s * (d - s)) for s in S.sum(1)])
    else:
        check_count("samples", samples, least=4 * d)
        S = draw_coalitions(key, samples, d)
        pi = np.full(len(S), 1 / len(S))
    ends = np.array([[False], [True]]).repeat(d, 1)

    def phi(v):
        none, full, v = v[0], v[1], v[2:]
        Z = jnp.asarray(S, v.dtype)
        ZP = Z.T * jnp.asarray(pi, v.dtype)
        one = jnp.ones((d, 1), v.dtype)
        A = jnp.block([[ZP @ Z, one], [one.T, jnp.zeros((1, 1), v.dtype)]])
        b = jnp.concatenate([jnp.tensordot(ZP, v - none, 1), (full - none)[None]])
        return jnp.linalg.solve(A, b)[:d]

    coalitions = jnp.concatenate([jnp.asarray(ends), jnp.asarray(S)])
    return explain_by_coalitions(phi, predict, x, background, coalitions, chunk)


def draw_coalitions(key: Any, samples: int, d: int) -> Array:
    """Coalitions drawn by the kernel's weights, then their complements.

    Formula: P(|S| = s) is proportional to 1 / (s (d - s)); all S of one size are as likely.
    """
    sizes, members = random.split(key)
    half = -(-samples // 2)
    s = np.arange(1, d)
    size = random.choice(sizes, s, (half, 1), p=1 / (s * (d - s)))
    S = draw_orders(members, half, d) < size
    return jnp.concatenate([S, ~S])
