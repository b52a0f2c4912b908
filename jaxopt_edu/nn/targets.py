"""What targets a loss or metric is for, checked before compiling; one's own are trusted."""

from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.nn import scores
from jaxopt_edu.nn.link import link_of
from jaxopt_edu.nn.losses import ClassWeighted

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


def _no_share(y: ndarray) -> ndarray:
    return (y < 0) | (y > 1 + 1e-6)


BEYOND = {  # what the targets of a regression are to be, and those that are not
    SIGNS: ("-1 and 1", lambda y: np.abs(y) != 1),
    YES_OR_NO: ("in [0, 1]", _no_share),
    SHARES: ("in [0, 1]", _no_share),
    LOG_SHARES: ("<= 0", lambda y: y > 1e-6),
}


def check_targets(
    what: str, f: Any, classes: int | None, outputs: tuple[int, ...], data: Any = None
) -> None:
    """ValueError where a loss or metric (what) is not for the targets.

    classes: how many there are, numbered from 0; none where the targets are numbers.
    outputs: the shape of what a model predicts. data: whose targets they are, where it is known.
    """
    name = _name(f)
    kind = KINDS.get(name)
    if isinstance(f, ClassWeighted):
        _check_weights(f, kind, name, classes)
    if kind is None:
        return
    wrong = _no_classes(kind, classes, outputs) if classes else _no_numbers(kind, data)
    if wrong:
        raise ValueError(f"{what} = {name} {wrong}")


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
    loss = scores.inner(loss)
    module = str(getattr(loss, "__module__", "")).split(".")[0]
    return scores.name_of(loss) if module in ("jaxopt_edu", "optax") else ""


def _check_weights(loss: ClassWeighted, kind: int | None, name: str, classes: int | None) -> None:
    if kind == SIGNS:
        raise ValueError(
            f"loss: class_weighted goes by class numbers from 0, {name} wants targets -1 and 1: "
            "wanted sigmoid_binary_cross_entropy, or multiclass_hinge_loss with two outputs"
        )
    if classes and len(loss.weights) != classes:
        raise ValueError(
            f"loss: class_weighted has {len(loss.weights)} weights; the data have {classes} classes"
        )


def _no_classes(kind: int, classes: int, outputs: tuple[int, ...]) -> str | None:
    """Why a loss of this kind is not for so many classes, and the way out."""
    if kind == YES_OR_NO and classes == 2:
        return None
    if kind == CLASSES and len(outputs) > 1 and outputs[-1] > 1:
        return None
    has = f"the data have {classes} classes, numbered from 0"
    shapes = f"predictions have shape {outputs}, targets {outputs[:1]}"
    integer = "softmax_cross_entropy_with_integer_labels"
    fitting = "sigmoid_binary_cross_entropy with one output" if classes == 2 else integer
    shares = f"wants a probability of each class; {has}, {shapes}: wanted {integer} with {classes} "
    return {
        SIGNS: f"wants targets -1 and 1; {has}: give targets -1.0 and 1.0 to from_arrays, or "
        + fitting,
        YES_OR_NO: f"is for two classes; {has}: {fitting}",
        CLASSES: f"wants an output for each class; {has}, and the model gives one output: wanted a "
        f"model of {classes}",
        SHARES: f"{shares}outputs",
        LOG_SHARES: f"{shares}outputs",
        NUMBERS: f"measures numbers; {has}, {shapes}: wanted {fitting}, or task='regression' where "
        "the labels are numbers",
    }.get(kind)


def _no_numbers(kind: int, data: Any) -> str | None:
    """Why a loss of this kind is not for the targets of a regression, and the way out."""
    if kind == CLASSES:
        return (
            "wants class numbers; the data are a regression: from_arrays(x, y, "
            "task='classification') makes classes of whole numbers and names"
        )
    if kind == COUNTED:
        return (
            "counts classes; the data are a regression: give labels as integers or names, "
            "from_arrays(x, y.astype(int)), and a loss of classes"
        )
    if kind not in BEYOND or data is None:
        return None
    wanted, beyond = BEYOND[kind]
    for part in ("train", "validation", "test"):
        y = np.asarray(getattr(data, part).y)
        if beyond(y).any():
            return f"wants targets {wanted}; the {part} part has {y[beyond(y)].flat[0]:g}"
    return None
