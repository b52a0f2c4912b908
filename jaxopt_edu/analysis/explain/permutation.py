"""Shapley values as means over random orders in which the features become known."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.coalitions import check_game, explain_by_coalitions
from jaxopt_edu.analysis.explain.inputs import CHUNK, draw_orders, one_program
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.tree import root


class PermutationShapley(NamedTuple):
    """Estimates of Shapley values, and the standard errors of these estimates."""

    values: Array
    standard_errors: Array

    def _repr_html_(self) -> str:
        return notebook.arrays(self)


@one_program
def permutation_shapley(
    predict: Callable[..., Any],
    x: ArrayLike,
    background: ArrayLike,
    *,
    key: Any,
    permutations: int = 64,
    chunk: int = CHUNK,
) -> PermutationShapley:
    """Shapley values estimated from random orders of the features, with standard errors.

    Formula: phi_j = mean over orders of v(before j, and j) - v(before j), v as in `shapley`
        Each order is followed forwards and backwards (antithetic); the mean g of both is one draw:
        standard error = sqrt(sum (g - mean g)^2 / (P - 1) / P) for P pairs of orders
    permutations: the number of orders, even, backward ones included. They are the same for every
        example.
    The values sum to f(x) - mean f(background) whatever the orders. The errors are those of the
    orders drawn; that the background is a sample too is not in them.
    Shapes: both values and standard errors as in `shapley`.
    Units: the unit of the predictions.
    Errors: ValueError where permutations is odd or less than 4, or where shapes do not fit.
    Source: Castro, Gomez & Tejada 2009, Polynomial calculation of the Shapley value based on
        sampling; Mitchell et al. 2022, arXiv:2104.12199, section 4.1, for the pairs.
    Agrees with: `shapley`, within its standard errors.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> x, background = jnp.array([[2.0, 3.0]]), jnp.zeros((1, 2))
    >>> f = lambda x: x[:, 0] * x[:, 1]
    >>> values, errors = jo.explain.permutation_shapley(f, x, background, key=jax.random.key(0))
    >>> values.tolist(), errors.tolist()
    ([[3.0, 3.0]], [[0.0, 0.0]])
    """
    x, background = check_game(x, background, chunk)
    check_count("permutations", permutations, least=4)
    if permutations % 2:
        raise ValueError(f"permutations = {permutations}: wanted an even number, they are pairs")
    d, pairs = x.shape[1], permutations // 2
    forward = draw_orders(key, pairs, d)
    place = jnp.concatenate([forward, d - 1 - forward])  # of feature j in each order
    known = place[:, None, :] < jnp.arange(d + 1)[None, :, None]

    def phi(v):
        v = v.reshape(permutations, d + 1, *v.shape[1:])
        gains = jax.vmap(lambda v, place: jnp.diff(v, axis=0)[place])(v, place)
        g = (gains[:pairs] + gains[pairs:]) / 2
        return PermutationShapley(jnp.mean(g, 0), root(jnp.var(g, 0, ddof=1) / pairs))

    coalitions = known.reshape(-1, d)
    return explain_by_coalitions(phi, predict, x, background, coalitions, chunk)
