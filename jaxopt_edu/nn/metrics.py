"""Metrics: (predictions, targets, weights=None) -> a number, as scikit-learn's, under jit and vmap.

Predictions come first, as in our losses (scikit-learn has the targets first). What they are is
read off their dtype and shape, for integer targets of shape (...):

    floats of shape (..., classes)   logits or probabilities: the largest is the predicted class
    floats of shape (...)            logits of yes or no: above 0 (probability 1/2) is class 1
    integers or bools of shape (...) classes

Any other shape is an error that prints both. Weights belong to the leading axes of the targets;
weight 0 means absent. A ratio without a denominator is 0, a prediction of NaN is never right.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.typing import ArrayLike

from jaxopt_edu.nn.decisions import classes_of, flat_weights, one_hot, ratio
from jaxopt_edu.nn.losses.regression import squared_error
from jaxopt_edu.nn.shapes import array, class_labels, example_weights, floats, pair, weighted_mean
from jaxopt_edu.values.pytrees import resolve_among
from jaxopt_edu.values.tree import is_float, wide

SHARES = ["accuracy", "f1_score", "precision", "r2_score", "recall", "roc_auc", "top_k_accuracy"]
ERRORS = ["mean_absolute_error", "mean_squared_error"]  # less of them is better, more of SHARES
__all__ = [*SHARES, *ERRORS, "confusion_matrix"]

AVERAGES = ("binary", "micro", "macro", "weighted")


# ------------------------------------------------------------------------------------- regression


def mean_squared_error(
    predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> Array:
    """The mean of (x - y)^2 over examples and outputs.

    Shapes: predictions x and targets y (n, ...), weights (n,) -> ().
    Units: the unit of the targets, squared.
    Errors: ValueError where the shapes differ, such as (1000,) and (1000, 1).
    Agrees with: sklearn.metrics.mean_squared_error, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.mean_squared_error([1.0, 4.0], [2, 2]))
    2.5
    """
    return weighted_mean(squared_error(predictions, targets), weights)


def mean_absolute_error(
    predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None
) -> Array:
    """The mean of |x - y| over examples and outputs.

    Shapes, Errors: as `mean_squared_error`.
    Units: the unit of the targets.
    Agrees with: sklearn.metrics.mean_absolute_error, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.mean_absolute_error([1.0, 4.0], [2, 2]))
    1.5
    """
    x, y = pair(predictions, targets)
    return weighted_mean(jnp.abs(x - y), weights)


def r2_score(predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The share of the targets' variance that the predictions explain; mean over outputs.

    Formula: R^2 = 1 - sum_i w_i (y_i - x_i)^2 / sum_i w_i (y_i - m)^2, m the weighted mean of y;
        where the targets are constant, 1 if the predictions are exact, else 0; NaN of a single
        example
    Shapes: predictions x and targets y (n,) or (n, ...), weights (n,) -> ().
    Errors: as `mean_squared_error`.
    Agrees with: sklearn.metrics.r2_score, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.r2_score([1.0, 2.0, 4.0], [1.0, 2.0, 3.0]))
    0.5
    """
    x, y = map(jnp.atleast_1d, pair(predictions, targets))
    x, y = (z.reshape(len(z), math.prod(z.shape[1:])) for z in (x, y))
    w = example_weights("targets", y[:, 0], weights).astype(x.dtype)[:, None]
    x, y = (jnp.where(w == 0, 0, z) for z in (x, y))
    residual = jnp.sum(w * (y - x) ** 2, 0)
    largest = jnp.max(jnp.where(w == 0, -jnp.inf, y), 0, initial=-jnp.inf)
    z = jnp.where(w == 0, 0, y - lax.stop_gradient(largest))  # all 0 where y is constant
    mean = ratio(jnp.sum(w * z, 0), jnp.sum(w))
    spread = jnp.sum(w * (z - mean) ** 2, 0)
    each = jnp.where(spread == 0, residual == 0, 1 - ratio(residual, spread))
    n = jnp.sum(w != 0)
    return jnp.where(
        n > 1, jnp.mean(each), jnp.nan if not len(y) else jnp.where(n == 0, 0, jnp.nan)
    )


# --------------------------------------------------------------------------------- classification


def accuracy(predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The share of examples whose class is predicted.

    Shapes: predictions (..., classes) or (...), targets (...) -> (); see the top of this file.
    Agrees with: sklearn.metrics.accuracy_score, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.accuracy([[2.0, 1.0], [0.0, 3.0]], [0, 0]))
    0.5
    """
    p, y, _ = classes_of(predictions, targets)
    return weighted_mean((p == y).astype(float), weights)


def top_k_accuracy(
    predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None, *, k: int = 2
) -> Array:
    """The share of examples whose class is among the k largest logits.

    Shapes: predictions (..., classes), targets (...) -> (). Of equal logits the later class leads.
    Errors: ValueError where k is not in 1 to the number of classes.
    Agrees with: sklearn.metrics.top_k_accuracy_score, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.top_k_accuracy([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0]], [1, 2], k=2))
    0.5
    """
    x = floats("predictions", predictions)
    y = class_labels(("predictions", "targets"), x.shape, targets)[..., None]
    if not 1 <= k <= x.shape[-1]:
        raise ValueError(f"k = {k}: wanted 1 to {x.shape[-1]}, the number of classes")
    classes = jnp.arange(x.shape[-1])
    own = jnp.sum(jnp.where(classes == y, x, 0), -1, keepdims=True)
    ahead = (x > own) | (x == own) & (classes > y)
    legal = jnp.any(classes == y, -1) & ~jnp.any(jnp.isnan(x), -1)
    return weighted_mean((legal & (jnp.sum(ahead, -1) < k)).astype(float), weights)


def confusion_matrix(
    predictions: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    n_classes: int | None = None,
) -> Array:
    """How often each class (row) is taken for each (column).

    Shapes: predictions (..., classes) or (...), targets (...) -> (classes, classes).
    Errors: ValueError where predictions are integers and n_classes is not given.
    Agrees with: sklearn.metrics.confusion_matrix, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.metrics.confusion_matrix([0, 1, 1], [0, 0, 1], n_classes=2).tolist()
    [[1.0, 1.0], [0.0, 1.0]]
    """
    p, y = one_hot(predictions, targets, n_classes)
    w = flat_weights(targets, weights)[:, None]
    return jnp.matmul((w * y).T, p, precision="highest")


def _counts(
    predictions: Any, targets: Any, weights: Any, average: str | None, n_classes: int | None
) -> list[Array]:
    """The weights of the hits, of the predicted and of the true: by class, or 'micro' in all."""
    if average is not None:
        resolve_among("average", average, AVERAGES)
    if average == "binary" and not is_float(array("predictions", predictions)):
        n_classes = n_classes or 2
    p, y = one_hot(predictions, targets, n_classes)
    if average == "binary" and p.shape[-1] != 2:
        raise ValueError(f"average = 'binary' with {p.shape[-1]} classes: wanted {AVERAGES[1:]}")
    w = flat_weights(targets, weights)[:, None]
    return [jnp.sum(w * z, None if average == "micro" else 0) for z in (p * y, p, y)]


def _average(each: Array, predicted: Array, true: Array, average: str | None) -> Array:
    """One number from one for each class, as `precision` describes."""
    if average == "binary":
        return each[1]
    if average in ("macro", "weighted"):
        return weighted_mean(each, true if average == "weighted" else predicted + true > 0)
    return each


def precision(
    predictions: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str | None = "binary",
    n_classes: int | None = None,
) -> Array:
    """Of the examples predicted to be of a class, the share that are.

    average: None, one number a class; 'binary', that of class 1 of two; 'micro', all decisions in
        one pot; 'macro', the mean over the classes that occur in predictions or targets;
        'weighted', the mean over classes by the weight of their examples
    n_classes is needed where predictions are integers, but for 'binary'.
    Shapes: predictions (..., classes) or (...), targets (...) -> () or (classes,).
    Errors: ValueError for an unknown average, or 'binary' with more than two classes.
    Agrees with: sklearn.metrics.precision_score(zero_division=0), 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.precision([1, 1, 0, 0], [1, 0, 1, 1]))
    0.5
    """
    hits, predicted, true = _counts(predictions, targets, weights, average, n_classes)
    return _average(ratio(hits, predicted), predicted, true, average)


def recall(
    predictions: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str | None = "binary",
    n_classes: int | None = None,
) -> Array:
    """Of the examples of a class, the share predicted to be; arguments as in `precision`.

    Agrees with: sklearn.metrics.recall_score(zero_division=0), 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.recall([1, 0, 0, 0, 0], [1, 1, 1, 1, 0]))
    0.25
    """
    hits, predicted, true = _counts(predictions, targets, weights, average, n_classes)
    return _average(ratio(hits, true), predicted, true, average)


def f1_score(
    predictions: ArrayLike,
    targets: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    average: str | None = "binary",
    n_classes: int | None = None,
) -> Array:
    """The harmonic mean of `precision` and `recall` of a class; arguments as there.

    Formula: F1 = 2 hits / (predicted + true)
    Agrees with: sklearn.metrics.f1_score(zero_division=0), 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.metrics.f1_score([0, 1, 0, 0], [0, 1, 1, 1], average=None, n_classes=3)
    Array([0.5, 0.5, 0. ], dtype=float32)
    """
    hits, predicted, true = _counts(predictions, targets, weights, average, n_classes)
    return _average(ratio(2 * hits, predicted + true), predicted, true, average)


def roc_auc(predictions: ArrayLike, targets: ArrayLike, weights: ArrayLike | None = None) -> Array:
    """The probability that a random example of class 1 scores above one of class 0; ties half.

    Shapes: predictions (...), logits or probabilities, targets (...) -> (). With predictions
        (..., classes), logits, it is the mean over the classes that occur of each class's softmax
        probability against all other classes.
    NaN where only one class occurs.
    Agrees with: sklearn.metrics.roc_auc_score (multi_class='ovr'), 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> float(jo.metrics.roc_auc([0.1, 0.4, 0.4, 0.8], [0, 0, 1, 1]))
    0.875
    """
    x, y = wide(array("predictions", predictions)), array("targets", targets)
    _, _, n = classes_of(x, y)
    w = flat_weights(y, weights)
    if x.shape == y.shape:
        return _auc(x.ravel(), y.ravel() == 1, w)
    scores = jax.nn.log_softmax(x.reshape(-1, n)).T
    own = y.ravel() == jnp.arange(n)[:, None]
    return jnp.nanmean(jax.vmap(_auc, (0, 0, None))(scores, own, w))


def _auc(x: Array, positive: Array, w: Array) -> Array:
    """The area under the curve of true over false positives, as the threshold falls."""
    x = jnp.where(w == 0, 0, x)
    order = jnp.argsort(x, descending=True)
    x, positive, w = x[order], positive[order], w[order]
    tied = jnp.append(x[:-1] == x[1:], False)  # with the next: no threshold lies between
    counts = (jnp.cumsum(jnp.where(z, w, 0)) for z in (positive, ~positive))
    true, false = (lax.cummax(jnp.where(tied, 0, count)) for count in counts)
    area = jnp.sum(jnp.diff(false, prepend=0) * (true + jnp.append(0, true[:-1])) / 2)
    pairs = true[-1] * false[-1]
    return jnp.where((pairs == 0) | jnp.any(jnp.isnan(x)), jnp.nan, ratio(area, pairs))
