"""Leave-one-out for ridge regression in closed form: n trainings for the price of one."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.inputs import examples
from jaxopt_edu.nn.shapes import array


class RidgeLeaveOneOut(NamedTuple):
    """What `ridge_leave_one_out` found out, for each penalty.

    errors: target minus prediction of each example, by the model that was not shown it.
    scores: the mean of the errors squared. w, b: the model of all examples, b None without
        intercept.
    """

    errors: Array
    scores: Array
    w: Array
    b: Array | None


def ridge_leave_one_out(
    x: ArrayLike, y: ArrayLike, penalties: ArrayLike, *, intercept: bool = True
) -> RidgeLeaveOneOut:
    """Ridge regression for several penalties, each scored by leaving out one example at a time.

    Formula: w, b minimise sum_i (y_i - x_i w - b)^2 + penalty |w|^2. With x, y less their means,
        x = U S V^T, and the hat matrix H = 1/n + U S^2 / (S^2 + penalty) U^T of the fit f = H y,
            y_i - f_i^(without i) = (y_i - f_i) / (1 - H_ii)
        Without intercept there are no means and no 1/n. One decomposition serves all penalties.
    Shapes: x (n, d), y (n,) or (n, k), penalties (p,) or () -> errors (p, n) or (p, n, k), scores
        (p,), w (p, d) or (p, d, k), b (p,) or (p, k); no p for a single penalty.
    Units: the penalty is scikit-learn's alpha; in a `Training` it is the weight of
        jo.prior(jo.L2(2 * penalty)) beside squared_error.
    Errors: ValueError where shapes do not fit, there is one example only, or a penalty is
        negative. Not finite where an example alone decides on its fit, H_ii = 1: without a
        penalty and with as many features as examples.
    Source: Allen 1974, The Relationship Between Variable Selection and Data Augmentation (PRESS);
        Golub, Heath & Wahba 1979, Generalized Cross-Validation, section 1.
    Agrees with: sklearn's RidgeCV(store_cv_results=True), and cross_val_score with LeaveOneOut,
        1e-10 in float64.

    >>> import jaxopt_edu as jo
    >>> x, y = [[0.0], [1.0], [2.0]], [0.0, 1.0, 2.0]
    >>> found = jo.ridge_leave_one_out(x, y, [0.0, 10.0])
    >>> print(f"{found.scores[0]:.3f} {found.scores[1]:.3f}")
    0.000 1.361
    """
    x, y, penalties = examples("x", x), array("y", y), jnp.asarray(penalties, float)
    if y.ndim not in (1, 2) or len(y) != len(x):
        raise ValueError(f"y has shape {y.shape}, x has shape {x.shape}: wanted as many rows")
    if len(x) < 2:
        raise ValueError("x has 1 example: wanted at least 2, to leave one out")
    if penalties.ndim > 1:
        raise ValueError(f"penalties have shape {penalties.shape}: wanted (p,) or ()")
    if not isinstance(penalties, jax.core.Tracer) and np.any(np.asarray(penalties) < 0):
        raise ValueError(f"penalties = {np.asarray(penalties).min()}: wanted at least 0")
    return _solve(x, y.astype(x.dtype), penalties.astype(x.dtype), intercept)


@functools.partial(jax.jit, static_argnames="intercept")
def _solve(x: Array, y: Array, penalties: Array, intercept: bool) -> RidgeLeaveOneOut:
    n, d = x.shape
    targets = y.reshape(n, -1)
    x_mean, y_mean, h_mean = (x.mean(0), targets.mean(0), 1 / n) if intercept else (0, 0, 0)
    U, s, Vt = jnp.linalg.svd(x - x_mean, full_matrices=False)
    s = jnp.where(s > s[0] * max(n, d) * jnp.finfo(x.dtype).eps, s, 0)  # the rest is rounding
    uy = U.T @ (targets - y_mean)

    def one(penalty: Array) -> Any:
        inverse = jnp.where(s > 0, 1 / jnp.where(s > 0, s**2 + penalty, 1), 0)
        kept = s**2 * inverse
        fit = y_mean + U @ (kept[:, None] * uy)
        h = h_mean + U**2 @ kept
        errors = (targets - fit) / (1 - h)[:, None]
        w = Vt.T @ ((s * inverse)[:, None] * uy)
        b = (y_mean - x_mean @ w).reshape(y.shape[1:]) if intercept else None
        return RidgeLeaveOneOut(
            errors.reshape(y.shape), jnp.mean(errors**2), w.reshape(d, *y.shape[1:]), b
        )

    return one(penalties) if penalties.ndim == 0 else jax.vmap(one)(penalties)
