"""Losses: (predictions, targets) -> the loss of every example; `weighted_mean` makes one number.

Losses of single numbers keep the shape of the predictions, losses over classes reduce the class
axis. Predictions and targets of different shapes are an error that prints both, never broadcast.
Names, arguments, defaults and numbers are optax's. Half precision is computed and returned in
float32; targets that are no floats take the dtype of the predictions.

`with_numbers(huber_loss, delta=0.5)` is a loss whose number is a leaf, to be swept;
`class_weighted(loss, weights)` counts an example by its class.
"""

from jaxopt_edu.nn.losses.classification import (
    hinge_loss,
    kl_divergence,
    kl_divergence_with_log_targets,
    multiclass_hinge_loss,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
    smooth_labels,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
    softmax_focal_loss_with_integer_labels,
)
from jaxopt_edu.nn.losses.numbers import WithNumbers, with_numbers
from jaxopt_edu.nn.losses.regression import huber_loss, l2_loss, log_cosh, squared_error
from jaxopt_edu.nn.losses.weighted import ClassWeighted, class_weighted
from jaxopt_edu.nn.shapes import weighted_mean

__all__ = [
    "ClassWeighted", "WithNumbers", "class_weighted", "hinge_loss", "huber_loss", "kl_divergence",
    "kl_divergence_with_log_targets", "l2_loss", "log_cosh", "multiclass_hinge_loss",
    "sigmoid_binary_cross_entropy", "sigmoid_focal_loss", "smooth_labels", "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels", "softmax_focal_loss_with_integer_labels",
    "squared_error", "weighted_mean", "with_numbers",
]  # fmt: skip
