"""What a model's losses and errors are compared with: a constant, and the nearest neighbours."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy import ndarray

from jaxopt_edu.train import Training

__all__ = ["Seen", "constant_losses", "errors", "look", "mean_and_error", "neighbours", "thinned"]

MOST = 2000  # rows of a part that are looked at where every one is compared with others


class Seen(NamedTuple):
    """The examples of a part, what the model predicts for them, and their losses."""

    x: ndarray
    y: ndarray
    predictions: ndarray
    losses: ndarray


def look(experiment: Training, params: Any, model_state: Any, part: Any) -> Seen:
    """What a model with these params and this state makes of a part, padding left out."""
    x, y, weights = part.first()
    losses, predictions = _apply(experiment, params, model_state, x, y)
    real = np.ones(len(y), bool) if weights is None else np.asarray(weights) > 0
    return Seen(*(np.asarray(z)[real] for z in (x, y, predictions, losses)))


def mean_and_error(x: ndarray) -> tuple[float, float]:
    """The mean of independent numbers, and its standard error."""
    return float(np.mean(x)), float(np.std(x) / np.sqrt(max(len(x) - 1, 1)))


@jax.jit
def _apply(
    experiment: Training, params: Any, model_state: Any, x: Array, y: Array
) -> tuple[Array, Array]:
    predictions, _ = experiment.predict(params, model_state, x)
    losses = experiment.loss(predictions, y)
    return jnp.mean(losses.reshape(len(y), -1), 1), predictions


def constant_losses(experiment: Training, y: ndarray, predictions: ndarray) -> ndarray:
    """The losses of the best of a few constant predictions, which need not know x.

    For classes: the logarithms of their frequencies, or the log odds of class 1 where the model
    gives one number. For numbers: their mean, or their median.
    """
    shape = predictions.shape[1:]
    if y.dtype.kind == "f":
        constants = [np.mean(y, 0), np.median(y, 0)]
    elif shape:
        counts = np.bincount(y, minlength=shape[0])
        constants = [np.log(np.maximum(counts, 0.5) / len(y))]
    else:
        share = np.clip(np.mean(y), 0.5 / len(y), 1 - 0.5 / len(y))
        constants = [np.log(share / (1 - share))]
    rows = [np.broadcast_to(c, predictions.shape).astype(predictions.dtype) for c in constants]
    losses = [np.asarray(experiment.loss(row, y)).reshape(len(y), -1).mean(1) for row in rows]
    return min(losses, key=np.mean)


def errors(predictions: ndarray, y: ndarray, scale: ndarray | float = 1.0) -> ndarray:
    """How wrong each prediction is, whatever the loss: 0 or 1 for classes, else e^2 / scale.

    Targets -1 and 1 are classes as well, told apart by the sign.
    """
    if y.dtype.kind != "f":
        several = predictions.ndim > y.ndim
        chosen = np.argmax(predictions, -1) if several else predictions > 0
        return (chosen != y).astype(float)
    if np.isin(y, (-1, 1)).all():
        return (predictions * y <= 0).astype(float).reshape(len(y), -1).mean(1)
    return ((predictions - y) ** 2 / scale).reshape(len(y), -1).mean(1)


def neighbours(train: Seen, validation: Seen, k: int, scale: Any, seed: int) -> ndarray:
    """The errors on the validation part of a vote, or the mean, of the k nearest training rows.

    Of parts with more than 2,000 rows, so many are drawn.
    """
    (x, y), (x_new, y_new) = (thinned(part.x, part.y, seed) for part in (train, validation))
    squares = np.sum(x * x, 1) - 2 * x_new @ x.T  # up to what is the same for a row
    nearest = np.argpartition(squares, min(k, len(y)) - 1, axis=1)[:, :k]
    if y.dtype.kind == "f":
        return errors(np.mean(y[nearest], 1), y_new, scale)
    votes = np.stack([np.sum(y[nearest] == c, 1) for c in range(y.max() + 1)], 1)
    return errors(votes, y_new)


def thinned(x: Any, y: Any, seed: int) -> tuple[ndarray, ndarray]:
    """At most 2,000 rows of a part, features in a row."""
    x, y = np.asarray(x).reshape(len(x), -1), np.asarray(y)
    if len(x) <= MOST:
        return x, y
    rows = np.random.default_rng(seed).choice(len(x), MOST, replace=False)
    return x[rows], y[rows]
