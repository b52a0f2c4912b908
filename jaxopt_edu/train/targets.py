"""What targets a loss is for, checked before compiling; a loss of one's own is trusted."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.nn.link import link_of
from jaxopt_edu.nn.losses import ClassWeighted, WithNumbers

__all__ = ["check_targets", "predicts_numbers"]

SIGNS, YES_OR_NO, CLASSES, SHARES, LOG_SHARES, NUMBERS, COUNTED = range(7)
LOSSES = {  # of ours and of optax's
    SIGNS: ("hinge_loss", "perceptron_loss"),
    YES_OR_NO: (
        "sigmoid_binary_cross_entropy", "sigmoid_focal_loss", "binary_logistic_loss",
        "sparsemax_loss", "binary_sparsemax_loss",
    ),
    CLASSES: (
        "softmax_cross_entropy_with_integer_labels", "softmax_focal_loss_with_integer_labels",
        "multiclass_hinge_loss", "multiclass_logistic_loss", "multiclass_perceptron_loss",
        "multiclass_sparsemax_loss",
    ),
    SHARES: (
        "softmax_cross_entropy", "safe_softmax_cross_entropy", "poly_loss_cross_entropy",
        "kl_divergence", "convex_kl_divergence",
    ),
    LOG_SHARES: ("kl_divergence_with_log_targets",),
    NUMBERS: (
        "squared_error", "l2_loss", "huber_loss", "log_cosh", "r2_score", "mean_squared_error",
        "mean_absolute_error",
    ),
    COUNTED: (
        "accuracy", "confusion_matrix", "f1_score", "precision", "recall", "roc_auc",
        "top_k_accuracy",
    ),
}  # fmt: skip
KINDS = {name: kind for kind, names in LOSSES.items() for name in names}


def check_targets(loss: Any, data: Any, outputs: tuple[int, ...], what: str = "loss") -> None:
    """ValueError where a loss (or metric) is not for the targets of the data.

    outputs: the shape of what a model predicts for the training part.
    """
    name = _name(loss)
    kind = KINDS.get(name)
    classes = data.n_classes
    _check_weights(loss, kind, name, classes)
    if kind is None:
        return
    said = f"{what} = {name}"
    if classes:
        _check_classes(kind, said, classes, outputs)
    else:
        _check_numbers(kind, said, data)


def predicts_numbers(loss: Any) -> bool:
    """Whether outputs are numbers in the units of the targets, as far as the loss says."""
    kind = KINDS.get(_name(loss))
    if kind is not None:
        return kind == NUMBERS
    try:
        return link_of(loss).name == "identity"
    except ValueError:  # a loss of one's own that does not say
        return True


def _name(loss: Any) -> str:
    """The name of a loss of ours or of optax's, "" of others."""
    while isinstance(loss, WithNumbers | ClassWeighted | functools.partial):
        loss = loss.func if isinstance(loss, functools.partial) else loss.loss
    module = str(getattr(loss, "__module__", "")).split(".")[0]
    return getattr(loss, "__name__", "") if module in ("jaxopt_edu", "optax") else ""


def _check_weights(loss: Any, kind: int | None, name: str, classes: int | None) -> None:
    if not isinstance(loss, ClassWeighted):
        return
    if kind == SIGNS:
        raise ValueError(
            f"loss: class_weighted goes by class numbers from 0, {name} wants targets -1 and 1: "
            "wanted sigmoid_binary_cross_entropy, or multiclass_hinge_loss with two outputs"
        )
    if classes and len(loss.weights) != classes:
        raise ValueError(
            f"loss: class_weighted has {len(loss.weights)} weights; the data have {classes} classes"
        )


def _check_classes(kind: int, said: str, classes: int, outputs: tuple[int, ...]) -> None:
    """Of class numbers from 0."""
    has = f"the data have {classes} classes, numbered from 0"
    shapes = f"predictions have shape {outputs}, targets {outputs[:1]}"
    if kind == SIGNS:
        raise ValueError(
            f"{said} wants targets -1 and 1; {has}: give targets -1.0 and 1.0 to from_arrays, or "
            + _of_classes(classes)
        )
    if kind == YES_OR_NO and classes != 2:
        raise ValueError(f"{said} is for two classes; {has}: {_of_classes(classes)}")
    if kind == CLASSES and (len(outputs) < 2 or outputs[-1] < 2):
        raise ValueError(
            f"{said} wants an output for each class; {has}, and the model gives one output: "
            f"wanted a model of {classes}"
        )
    if kind in (SHARES, LOG_SHARES):
        raise ValueError(
            f"{said} wants a probability of each class; {has}, {shapes}: wanted "
            f"softmax_cross_entropy_with_integer_labels with {classes} outputs"
        )
    if kind == NUMBERS:
        raise ValueError(
            f"{said} measures numbers; {has}, {shapes}: wanted {_of_classes(classes)}, or "
            "task='regression' where the labels are numbers"
        )


def _of_classes(classes: int) -> str:
    two = "sigmoid_binary_cross_entropy with one output"
    return two if classes == 2 else "softmax_cross_entropy_with_integer_labels"


def _check_numbers(kind: int, said: str, data: Any) -> None:
    """Of a regression's targets."""
    if kind == CLASSES:
        raise ValueError(
            f"{said} wants class numbers; the data are a regression: from_arrays(x, y, "
            "task='classification') makes classes of whole numbers and names"
        )
    if kind == COUNTED:
        raise ValueError(
            f"{said} counts classes; the data are a regression: give labels as integers or names, "
            "from_arrays(x, y.astype(int)), and a loss of classes"
        )
    ranges = {SIGNS: "-1 and 1", YES_OR_NO: "in [0, 1]", SHARES: "in [0, 1]", LOG_SHARES: "<= 0"}
    for part, y in _targets(data) if kind in ranges else ():
        wrong = {
            SIGNS: np.abs(y) != 1,
            LOG_SHARES: y > 1e-6,
        }.get(kind, (y < 0) | (y > 1 + 1e-6))
        if wrong.any():
            raise ValueError(
                f"{said} wants targets {ranges[kind]}; the {part} part has {y[wrong].flat[0]:g}"
            )


def _targets(data: Any) -> Iterator[tuple[str, ndarray]]:
    for part in ("train", "validation", "test"):
        yield part, np.asarray(getattr(data, part).y)
