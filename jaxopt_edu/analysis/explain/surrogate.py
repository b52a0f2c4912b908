"""LIME: near an example, a linear model in the place of the model."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, random
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.inputs import (
    CHUNK,
    check_key,
    chunked,
    exact_products,
    examples,
    examples_like,
    in_chunks,
    one_program,
    output_of,
)
from jaxopt_edu.nn.metrics import r2_score
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.tree import wide


class Lime(NamedTuple):
    """The linear model near an example, and the share of the variance there that it explains."""

    weights: Array
    intercept: Array
    score: Array

    def _repr_html_(self) -> str:
        return notebook.arrays(self)


@one_program
def lime(
    predict: Callable[..., Any],
    x: ArrayLike,
    *,
    key: Any = None,
    noise: ArrayLike | None = None,
    scale: ArrayLike = 1.0,
    samples: int = 1000,
    width: float | None = None,
    ridge: float = 1.0,
    chunk: int = CHUNK,
) -> Lime:
    """The weights of a linear model that predicts, near each example, what the model predicts.

    Formula: (b, c) = argmin sum_i pi_i (f(x + scale e_i) - c - b'e_i)^2 + ridge |b|^2
        pi_i = exp(-|e_i|^2 / (2 width^2))
        score = R^2 of that fit, counted by pi_i: near 0, the weights say little about the model
    key: e_1 is 0, the example itself, the other e_i of samples in all are standard normal, the same
        ones for every example.
    noise: the e_i, in place of a key.
    scale: what is near: a number, or one for each feature, such as their standard deviations.
    width: of the kernel, in the units of the noise; by default 0.75 sqrt(d). It is that of the
        lime package, whose kernel is sqrt(exp(-D^2 / width^2)); the paper has no square root.
    Shapes: x (n, d), noise (samples, d), scale () or (d,) -> weights (n, d), intercept (n,), score
        (n,); for k outputs (n, d, k), (n, k) and (n, k).
    Units: a weight is the change of the prediction for one `scale` of its feature.
    Errors: ValueError where there is not exactly one of key and noise, width <= 0, ridge < 0, or
        where shapes do not fit.
    Source: Ribeiro, Singh & Guestrin 2016, arXiv:1602.04938, section 3.4.
    Agrees with: lime.lime_base.LimeBase (feature_selection="none") on the same noise, 1e-12 in
        float64.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> x = jnp.array([[2.0, 3.0]])
    >>> local = jo.explain.lime(lambda x: x[:, 0] * x[:, 1], x, key=jax.random.key(0), scale=0.01)
    >>> (100 * local.weights).round(1).tolist()
    [[3.0, 2.0]]
    """
    x = examples("x", x)
    d, out = x.shape[1], output_of(predict, x)
    check_count("chunk", chunk)
    check_count("samples", samples, least=2)
    check_key(key, noise, "noise")
    if isinstance(width, int | float) and width <= 0:
        raise ValueError(f"width = {width}: wanted a number above 0")
    if isinstance(ridge, int | float) and ridge < 0:
        raise ValueError(f"ridge = {ridge}: wanted a number, at least 0")
    scale = jnp.asarray(scale, x.dtype)
    if scale.shape not in ((), (d,)):
        raise ValueError(f"scale has shape {scale.shape}: wanted a number or ({d},)")
    if noise is None:
        noise = random.normal(key, (samples, d), x.dtype).at[0].set(0)
    e = wide(examples_like("noise", noise, x))
    width = 0.75 * d**0.5 if width is None else width

    pi = jnp.exp(-jnp.sum(e**2, 1) / (2 * width**2))

    def explain(x):
        y = wide(in_chunks(predict, (x + scale * e).astype(x.dtype), chunk)).reshape(len(e), -1)
        moved = y - y[0]  # exactly 0 where the prediction does not move
        with exact_products():
            b, c = ridge_regression(e, moved, pi, ridge)
            score = jax.vmap(r2_score, (1, 1, None))(e @ b + c, moved, pi)
        shape = out.shape[1:]
        return Lime(b.reshape(d, *shape), (y[0] + c).reshape(shape), score.reshape(shape))

    explained = chunked(explain, x, chunk // len(e))
    return jax.tree.map(lambda leaf: leaf.astype(out.dtype), explained)


def ridge_regression(e: Array, y: Array, weights: Array, ridge: Any) -> tuple[Array, Array]:
    """Slopes b and intercept c of weighted ridge regression.

    Formula: (E'PE + ridge I) b = E'P Y,  c = mean y - b' mean e;  E and Y centred by the weighted
        means, P the diagonal matrix of the weights
    Shapes: e (m, d), y (m, k), weights (m,) -> b (d, k), c (k,).
    """
    total = jnp.sum(weights)
    mean_e, mean_y = weights @ e / total, weights @ y / total
    E, Y = e - mean_e, y - mean_y
    EP = E.T * weights
    b = jnp.linalg.solve(EP @ E + ridge * jnp.eye(e.shape[1], dtype=e.dtype), EP @ Y)
    return b, mean_y - mean_e @ b
