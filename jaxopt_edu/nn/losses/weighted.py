"""Class weights: a loss in which an example counts by its class."""

from collections.abc import Callable, Iterable
from typing import Any

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.link import link_of
from jaxopt_edu.nn.shapes import array
from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values.pytrees import number, pytree


@pytree
class ClassWeighted:
    """A loss times the weight of the class that is the target.

    Formula: l = w_y loss(x, y)  (of each example)
    The mean over a batch is that of these; it is not divided by the weights. Balanced weights
    (`jo.data.class_weights`) are 1 in the mean over all examples. The loss that a training scores
    is weighted too, so trials with different weights are ranked by something else.
    loss: any loss of class numbers, such as softmax_cross_entropy_with_integer_labels, or
        sigmoid_binary_cross_entropy for classes 0 and 1.
    weights: one for each class, in order; each is a number of its own, to be swept and
        differentiated: (1.0, jo.log_uniform(1, 100)).
    Shapes: those of the loss, which is to give one number for each target (n,).
    Errors: TypeError where targets are no integers, ValueError where the loss has not the shape
        of the targets or a weight is negative. NaN for a target that has no weight.
    Agrees with: sklearn's class_weight in LogisticRegression, coefficients to 1e-6 in float64.

    >>> import jaxopt_edu as jo
    >>> rare = jo.losses.class_weighted(jo.losses.sigmoid_binary_cross_entropy, (1.0, 10.0))
    >>> print(rare([0.0, 0.0], [0, 1]).round(2))
    [0.69 6.93]
    """

    loss: Any
    weights: tuple[Scalar, ...] = number(0)
    inlined = "weights"

    @property
    def link(self) -> str:
        """The name of the link of the loss inside."""
        return link_of(self.loss).name

    def __call__(self, predictions: Any, targets: Any) -> Array:
        y = array("targets", targets)
        if not jnp.issubdtype(y.dtype, jnp.integer):
            raise TypeError(f"targets are {y.dtype}: wanted integers, the number of the class")
        losses = self.loss(predictions, targets)
        if losses.shape != y.shape:
            raise ValueError(
                f"the loss has shape {losses.shape}, targets have shape {y.shape}: wanted the same"
            )
        classes = enumerate(self.weights)
        w = sum((jnp.where(y == k, w, 0) for k, w in classes), start=jnp.zeros(y.shape))
        known = (y >= 0) & (y < len(self.weights))
        return jnp.where(known, w.astype(losses.dtype) * losses, jnp.nan)


def class_weighted(loss: Callable[..., Any], weights: Iterable[Scalar]) -> ClassWeighted:
    """A loss in which an example counts by its class: see `ClassWeighted`.

    Errors: TypeError where the loss is no function or weights have no order; ValueError for fewer
        than two weights, or a negative one.

    >>> import jaxopt_edu as jo
    >>> jo.losses.class_weighted(jo.losses.multiclass_hinge_loss, [1, 10])
    ClassWeighted(loss=multiclass_hinge_loss, weights=(1, 10))
    """
    if not callable(loss):
        raise TypeError(f"loss = {loss!r}: wanted a function of (predictions, targets)")
    if isinstance(weights, str | bytes | dict | set) or not isinstance(weights, Iterable):
        raise TypeError(
            f"weights = {weights!r}: wanted one for each class, in the order of data.targets"
        )
    given = tuple(weights)
    if len(given) < 2:
        raise ValueError(f"weights = {given}: wanted one for each class")
    return ClassWeighted(loss, given)
