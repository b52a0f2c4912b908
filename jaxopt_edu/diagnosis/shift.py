"""Whether two samples of rows come from one distribution, and which features tell them apart."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from numpy import ndarray

from jaxopt_edu.nn import losses, metrics
from jaxopt_edu.nn.models import Linear
from jaxopt_edu.optim.optimizers import adam
from jaxopt_edu.optim.regularizers import L2
from jaxopt_edu.optim.transform import apply_updates
from jaxopt_edu.values.arrays import column_names, finite_table
from jaxopt_edu.values.pytrees import check_seed

__all__ = ["LEVEL", "Shift", "find_shift"]

LEVEL = 1e-3  # of significance
FOLDS, STEPS = 5, 200


@dataclass(frozen=True)
class Shift:
    """What tells two samples of rows apart.

    auc: how well a classifier does on rows it has not seen: 0.5 is guessing, 1 is always right.
    p_value: how likely that or more is where nothing tells them apart.
    names: of the features; differences: of their means, in standard deviations; p_values: of a
        Kolmogorov-Smirnov test of each.
    """

    auc: float
    p_value: float
    names: tuple[str, ...]
    differences: ndarray
    p_values: ndarray

    @property
    def features(self) -> tuple[str, ...]:
        """The features that differ, the most different first; at LEVEL over all of them."""
        found = np.flatnonzero(self.p_values * len(self.names) < LEVEL)
        order = found[np.lexsort((-np.abs(self.differences[found]), self.p_values[found]))]
        return tuple(self.names[j] for j in order)

    @property
    def found(self) -> bool:
        """Whether the samples differ: as a whole, or in a feature."""
        return (self.p_value < LEVEL and self.auc > 0.55) or bool(self.features)


def find_shift(first: Any, second: Any, names: tuple[str, ...] = (), seed: int = 0) -> Shift:
    """Compares two samples of rows by a classifier that tries to tell them apart.

    Formula: logistic regression on z and z^2, z the standardized features, cut off at -5 and 5;
        `auc` is the mean over 5 folds of the area under the ROC curve on the fold left out. Without
        a difference it is normal about 1/2 with variance (n + m + 1) / (12 n m) / 5, n and m the
        rows of either sample in a fold; the p-value is one-sided. Means are compared by
        (m_2 - m_1) / s, s^2 the mean of both variances, and each feature by the test of Kolmogorov
        and Smirnov. `found` is a p-value below 0.001 with an AUC above 0.55, or one of a feature
        below 0.001 over the number of features.
    What it does not see: features that differ only in how they go together.
    Shapes: (n, d) and (m, d), at least 10 rows each.
    Errors: ValueError for fewer rows, or another number of features.
    Source: Lopez-Paz & Oquab 2017, arXiv:1610.06545; Mann & Whitney 1947 for the variance.

    >>> import numpy as np
    >>> from jaxopt_edu.diagnosis import find_shift
    >>> x = np.random.default_rng(0).normal(size=(2, 200, 2))
    >>> find_shift(x[0], x[1] + [1.0, 0.0]).features
    ('x0',)
    """
    seed = check_seed(seed, None)
    a, b = finite_table("first", first), finite_table("second", second)
    names = names or column_names(first) or ()
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"rows of shape {a.shape} and {b.shape}: wanted (n, d) and (m, d)")
    if min(len(a), len(b)) < 2 * FOLDS:
        raise ValueError(f"{len(a)} and {len(b)} rows: wanted at least {2 * FOLDS} of either")
    spread = np.sqrt((a.var(0) + b.var(0)) / 2)
    differences = (b.mean(0) - a.mean(0)) / np.where(spread > 0, spread, 1)
    names = names or tuple(f"x{j}" for j in range(a.shape[1]))
    auc = _auc(a, b, seed)
    n, m = len(a) / FOLDS, len(b) / FOLDS
    deviation = np.sqrt((n + m + 1) / (12 * n * m) / FOLDS)
    from scipy.special import ndtr  # slow to import

    return Shift(auc, float(ndtr((0.5 - auc) / deviation)), tuple(names), differences, _ks(a, b))


def _auc(a: ndarray, b: ndarray, seed: int) -> float:
    """How well a logistic regression tells rows of a from rows of b that it has not seen."""
    x = np.concatenate([a, b])
    spread = x.std(0)
    z = np.clip((x - x.mean(0)) / np.where(spread > 0, spread, 1), -5, 5)
    features = np.concatenate([z, (z**2 - 1) / 2**0.5], 1)  # of variance 1, if z is normal
    rng = np.random.default_rng(seed)
    fold = np.concatenate([rng.permutation(len(rows)) % FOLDS for rows in (a, b)])
    which = np.repeat([0, 1], [len(a), len(b)])
    return float(np.mean(_fold_aucs(features.astype(np.float32), which, fold)))


@jax.jit
def _fold_aucs(x: Array, which: Array, fold: Array) -> Array:
    """The AUC on each fold of a logistic regression that was trained on the others."""
    model, optimizer, penalty = Linear(x.shape[1]), adam(0.03), L2(0.01)
    start = model.init(random.key(0))

    def of(k):
        def loss(params):
            each = losses.sigmoid_binary_cross_entropy(model.apply(params, x), which)
            return losses.weighted_mean(each, fold != k) + penalty(params)

        def step(_, carry):
            params, state = carry
            updates, state = optimizer.update(jax.grad(loss)(params), state, params)
            return apply_updates(params, updates), state

        params, _ = lax.fori_loop(0, STEPS, step, (start, optimizer.init(start)))
        return metrics.roc_auc(model.apply(params, x), which, fold == k)

    return jax.vmap(of)(jnp.arange(FOLDS))


def _ks(a: ndarray, b: ndarray) -> ndarray:
    """The p-value of each feature by the test of Kolmogorov and Smirnov."""
    from scipy.stats import ks_2samp

    pairs = zip(a.T, b.T, strict=True)
    return np.array([ks_2samp(one, other, method="asymp").pvalue for one, other in pairs])
