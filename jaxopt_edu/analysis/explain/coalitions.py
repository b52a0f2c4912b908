"""The game that Shapley values share out: what a model says when it knows some features only."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxopt_edu.analysis.explain.inputs import (
    chunked,
    exact_products,
    examples,
    examples_like,
    output_of,
)
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.tree import wide

MOST = 16  # features of which all coalitions are looked at: 65,536 of them


def all_coalitions(d: int, instead: str) -> np.ndarray:
    """All 2^d coalitions of d features, (2^d, d): feature j is in number i if bit j of i is set."""
    if d > MOST:
        raise ValueError(
            f"x has {d} features, hence 2^{d} = {2**d:.3g} coalitions, too many for all of them "
            f"(at most {MOST} features); {instead}"
        )
    return (np.arange(2**d)[:, None] >> np.arange(d)) % 2 == 1


def explain_by_coalitions(
    phi: Callable, predict: Callable, x: Any, background: Any, coalitions: Any, chunk: int
) -> Any:
    """phi(v) for each example, v the values of the coalitions.

    Formula: v(S) = 1/m sum_b f(x in S, b outside S), over the background examples b
    Shapes: x (n, d), background (m, d), coalitions (c, d); phi maps (c,) or (c, k) to anything.
    The values are means in at least float32; what comes out has the dtype of the predictions.
    """
    dtype = output_of(predict, background).dtype

    def explain(x_i):
        def v(S):
            return jnp.mean(wide(predict(jnp.where(S, x_i, background))), 0)

        values = chunked(v, jnp.asarray(coalitions), chunk // len(background))
        with exact_products():
            return phi(values)

    explained = chunked(explain, x, chunk // (len(coalitions) * len(background)))
    return jax.tree.map(lambda leaf: leaf.astype(dtype), explained)


def check_game(x: Any, background: Any, chunk: int) -> tuple[Array, Array]:
    """Examples and background as arrays, or the error that says what is wrong with them."""
    x = examples("x", x)
    check_count("chunk", chunk)
    return x, examples_like("background", background, x)
