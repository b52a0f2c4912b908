"""Classification: margins and surprises, for yes or no and for one class of many."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.nn.link import linked
from jaxopt_edu.nn.shapes import check_scalar, class_labels, floats, pair
from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values.tree import is_float, wide

Axis = int | tuple[int, ...] | None


# --------------------------------------------------------------------- classes, one number each


@linked("sign")
def hinge_loss(predictor_outputs: ArrayLike, targets: ArrayLike) -> Array:
    """The loss of the support-vector machine, for targets -1 and 1.

    Formula: l = max(0, 1 - y x)
    Shapes: outputs x and targets y (...) -> (...).
    Units: targets are -1 and 1, not 0 and 1: 2 * labels - 1 makes them.
    Errors: ValueError where the shapes differ.
    Source: Cortes & Vapnik 1995, Support-Vector Networks.
    Agrees with: optax.hinge_loss, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.hinge_loss([0.5, 2.0, 0.5], [1, 1, -1])
    Array([0.5, 0. , 1.5], dtype=float32)
    """
    x, y = pair(predictor_outputs, targets, ("predictor_outputs", "targets"))
    return jnp.maximum(0, 1 - y * x)


@linked("sigmoid")
def sigmoid_binary_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> Array:
    """How surprising a yes (1) or no (0) is where the model gives yes the probability sigmoid(x).

    Formula: l = -y log p - (1 - y) log(1 - p), with p = 1 / (1 + exp(-x))
    Shapes: logits x and labels y (...) -> (...); several questions an example are just an axis.
    Units: nats. Labels may lie between 0 and 1.
    Errors: ValueError where the shapes differ.
    Agrees with: optax.sigmoid_binary_cross_entropy, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.sigmoid_binary_cross_entropy([100.0, 100.0], [1, 0])
    Array([  0., 100.], dtype=float32)
    """
    x, y = pair(logits, labels, ("logits", "labels"))
    return y * jax.nn.softplus(-x) + (1 - y) * jax.nn.softplus(x)


@linked("sigmoid")
def sigmoid_focal_loss(
    logits: ArrayLike, labels: ArrayLike, *, alpha: Scalar | None = None, gamma: Scalar = 2.0
) -> Array:
    """Sigmoid cross-entropy that counts an example by how wrong the model is about it.

    Formula: with p = 1 / (1 + exp(-x)):
        c = -y log p - (1 - y) log(1 - p)  (the cross-entropy)
        q = p y + (1 - p) (1 - y)  (the probability of the label)
        l = (1 - q)^gamma c
    alpha:  l = (alpha y + (1 - alpha) (1 - y)) (1 - q)^gamma c
    Shapes, Errors: as `sigmoid_binary_cross_entropy`.
    Source: Lin et al. 2017, arXiv:1708.02002, equation 5.
    Agrees with: optax.sigmoid_focal_loss, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> print(f"{jo.losses.sigmoid_focal_loss(2.0, 1):.4f}")  # cross-entropy says 0.1269
    0.0018
    """
    check_scalar("gamma", gamma)
    check_scalar("alpha", alpha)
    x, y = pair(logits, labels, ("logits", "labels"))
    wrong = y * jax.nn.sigmoid(-x) + (1 - y) * jax.nn.sigmoid(x)
    loss = _focus(wrong, gamma) * sigmoid_binary_cross_entropy(x, y)
    return loss if alpha is None else (alpha * y + (1 - alpha) * (1 - y)) * loss


def _focus(wrong: Array, gamma: Scalar) -> Array:
    """wrong^gamma, and 0 with derivative 0 where wrong is 0."""
    some = wrong > jnp.finfo(wrong.dtype).tiny
    return jnp.where(some, jnp.where(some, wrong, 1) ** gamma, 0)


# ----------------------------------------------------------------------- classes along an axis


def _rows(x: Array, axis: Axis) -> Array:
    """x with the axes of the classes flattened into one, the last."""
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    x = jnp.moveaxis(x, axes, range(-len(axes), 0))
    return x.reshape(*x.shape[: x.ndim - len(axes)], -1)


def _mask(where: Any, x: Array, axis: Axis) -> Array:
    """`where` in the shape of x: given for every class, or for whole examples."""
    where = jnp.asarray(True if where is None else where)
    if where.ndim not in (0, x.ndim):
        where = jnp.expand_dims(where, () if axis is None else axis)
    return jnp.broadcast_to(where, x.shape)


def _log_softmax(x: Array, mask: Array) -> Array:
    """log softmax along the last axis over the classes in the mask; finite if there is none."""
    return jax.nn.log_softmax(jnp.where(mask, x, jnp.finfo(x.dtype).min))


@linked("softmax")
def softmax_cross_entropy(
    logits: ArrayLike, labels: ArrayLike, axis: Axis = -1, where: ArrayLike | None = None
) -> Array:
    """How surprising the labels are to a model that gives class k the probability softmax(x)_k.

    Formula: l = -sum_k y_k log q_k, with q_k = exp(x_k) / sum_j exp(x_j)
    Shapes: logits x and labels y (..., classes) -> (...). `where` names the classes that count
        (the shape of x) or the examples that do (the shape of the result; others cost 0).
    Units: nats. Labels are probabilities: one-hot or smoothed (`smooth_labels`).
    A logit of minus infinity rules its class out: it costs nothing where the label does as well.
    Errors: ValueError where the shapes differ; class numbers as labels belong to
        `softmax_cross_entropy_with_integer_labels`.
    Agrees with: optax.safe_softmax_cross_entropy, and optax.softmax_cross_entropy where that is not
        NaN; 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> print(f"{jo.losses.softmax_cross_entropy([1.0, 2.0], [0, 1]):.4f}")
    0.3133
    """
    x, y = pair(logits, labels, ("logits", "labels"))
    x, y, mask = (_rows(z, axis) for z in (x, y, _mask(where, x, axis)))
    return -jnp.sum(_weigh(jnp.where(mask, y, 0), _log_softmax(x, mask)), -1)


@linked("softmax")
def softmax_cross_entropy_with_integer_labels(
    logits: ArrayLike,
    labels: ArrayLike,
    axis: int | tuple[int, ...] = -1,
    where: ArrayLike | None = None,
    *,
    label_smoothing: Scalar | None = None,
) -> Array:
    """`softmax_cross_entropy` for labels that are the number of the class, from 0.

    Formula: l = -log q_y, with q_k = exp(x_k) / sum_j exp(x_j)
    With label_smoothing the one-hot labels pass `smooth_labels`.
    Shapes: logits x (..., classes), labels y (...) -> (...); `where` as there.
    Errors: TypeError where labels are no integers, ValueError where their shape is not the
        logits' without the classes. NaN, which no optimizer overlooks, for labels outside
        0 .. classes - 1 or excluded by `where` (optax counts negative ones from the end).
    Agrees with: optax.softmax_cross_entropy_with_integer_labels, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.softmax_cross_entropy_with_integer_labels([[0.0, 1e4], [0.0, 1e4]], [1, 2])
    Array([ 0., nan], dtype=float32)
    """
    x = floats("logits", logits)
    x, mask = (_rows(z, axis) for z in (x, _mask(where, x, axis)))
    y = class_labels(("logits", "labels"), x.shape, labels)
    here = mask & (y[..., None] == jnp.arange(x.shape[-1]))
    log_q = _log_softmax(x, mask)
    loss = jnp.sum(jnp.where(here, -log_q, 0), -1)
    if label_smoothing is not None:
        check_scalar("label_smoothing", label_smoothing)
        mean = -jnp.mean(log_q, -1, where=mask | ~jnp.any(mask, -1, keepdims=True))
        loss = (1 - label_smoothing) * loss + label_smoothing * mean
    known = jnp.any(here, -1)
    return jnp.where(known, loss, jnp.where(jnp.any(mask, -1), jnp.nan, 0))


@linked("softmax")
def softmax_focal_loss_with_integer_labels(
    logits: ArrayLike, labels: ArrayLike, *, gamma: Scalar = 2.0
) -> Array:
    """Softmax cross-entropy that counts an example by how wrong the model is about it.

    Formula: l = -(1 - q_y)^gamma log q_y, with q_k = exp(x_k) / sum_j exp(x_j)
    Shapes, Errors: as `softmax_cross_entropy_with_integer_labels`.
    `class_weighted` adds weights of the classes, the paper's alpha.
    Source: Lin et al. 2017, arXiv:1708.02002, equation 4, for more than two classes.
    Agrees with: `sigmoid_focal_loss` for two classes, and the formula in NumPy; 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> loss = jo.losses.softmax_focal_loss_with_integer_labels([0.0, 2.0], 1)
    >>> print(f"{loss:.4f}")  # cross-entropy says 0.1269
    0.0018
    """
    check_scalar("gamma", gamma)
    loss = softmax_cross_entropy_with_integer_labels(logits, labels)
    return _focus(-jnp.expm1(-loss), gamma) * loss


def smooth_labels(
    labels: ArrayLike, alpha: Scalar, *, axis: Axis = -1, where: ArrayLike | None = None
) -> Array:
    """Labels that give a share alpha of their certainty to all classes alike.

    Formula: p_k = (1 - alpha) y_k + alpha / classes  (those that `where` keeps)
    Shapes: labels y (..., classes) -> the same.
    Source: Szegedy et al. 2016, arXiv:1512.00567, section 7.
    Agrees with: optax.smooth_labels, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.smooth_labels([0.0, 1.0], 0.1)
    Array([0.05, 0.95], dtype=float32)
    """
    check_scalar("alpha", alpha)
    y = jnp.asarray(labels)
    y = wide(y) if is_float(y) else y.astype(float)
    mask = _mask(where, y, axis)
    return (1 - alpha) * y + alpha / jnp.maximum(jnp.sum(mask, axis, keepdims=True), 1)


@linked("argmax")
def multiclass_hinge_loss(scores: ArrayLike, labels: ArrayLike) -> Array:
    """How far the score of the label is from leading every other score by 1.

    Formula: l = max_k (x_k + [k != y]) - x_y
    Shapes: scores x (..., classes), integer labels y (...) -> (...).
    Errors: as `softmax_cross_entropy_with_integer_labels`.
    Source: Crammer & Singer 2001, JMLR 2.
    Agrees with: optax.multiclass_hinge_loss, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.losses.multiclass_hinge_loss([[3.0, 1.0], [0.5, 0.0]], [0, 0])
    Array([0. , 0.5], dtype=float32)
    """
    x = floats("scores", scores)
    y = class_labels(("scores", "labels"), x.shape, labels)
    here = y[..., None] == jnp.arange(x.shape[-1])
    own = jnp.sum(jnp.where(here, x, 0), -1)
    return jnp.where(jnp.any(here, -1), jnp.max(x + ~here, -1) - own, jnp.nan)


def _weigh(p: Array, log_q: Array) -> Array:
    """p log q, with 0 log 0 = 0."""
    return p * jnp.where((p == 0) & jnp.isinf(log_q), 0, log_q)


@linked("log")
def kl_divergence(
    log_predictions: ArrayLike,
    targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
    """The divergence of predicted probabilities q from the targets p: KL(p || q).

    Formula: l = sum_k p_k (log p_k - log q_k)  (0 log 0 is 0)
    Shapes: log_predictions log q and targets p (..., classes) -> (...); `where` as in
        `softmax_cross_entropy`.
    Units: nats.
    Errors: ValueError where the shapes differ.
    Source: Kullback & Leibler 1951, On Information and Sufficiency.
    Agrees with: optax.kl_divergence, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> import numpy as np
    >>> print(f"{jo.losses.kl_divergence(np.log([0.5, 0.5]), [0, 1]):.4f}")
    0.6931
    """
    log_q, p = pair(log_predictions, targets, ("log_predictions", "targets"))
    log_p = jnp.log(jnp.where(p == 0, 1, p))
    return jnp.sum(_weigh(p, log_p - log_q), axis, where=_mask(where, p, axis))


@linked("log")
def kl_divergence_with_log_targets(
    log_predictions: ArrayLike,
    log_targets: ArrayLike,
    axis: Axis = -1,
    where: ArrayLike | None = None,
) -> Array:
    """`kl_divergence` of targets given by their logarithms.

    Formula: l = sum_k p_k (log p_k - log q_k)  (0 log 0 is 0)
    Shapes, Units, Errors: as `kl_divergence`.
    Agrees with: optax.kl_divergence_with_log_targets, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> import numpy as np
    >>> jo.losses.kl_divergence_with_log_targets(np.log([0.5, 0.5]), np.log([0.5, 0.5]))
    Array(0., dtype=float32)
    """
    log_q, log_p = pair(log_predictions, log_targets, ("log_predictions", "log_targets"))
    p = jnp.exp(log_p)
    log_p = jnp.where(jnp.isneginf(log_p), 0, log_p)
    return jnp.sum(_weigh(p, log_p - log_q), axis, where=_mask(where, p, axis))
