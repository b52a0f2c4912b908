"""What can be said about a training before anything is compiled."""

import inspect
from typing import Any

import jax
from jax import Array, random

from jaxopt_edu.data.classes import class_counts
from jaxopt_edu.data.dataset import Rows
from jaxopt_edu.data.folds import Folds
from jaxopt_edu.optim.extra_args import needs
from jaxopt_edu.optim.step_sizes import check_lengths, wants_lengths
from jaxopt_edu.train.calling import call_model, init_model, mixes_rows
from jaxopt_edu.train.estimators import Estimator
from jaxopt_edu.train.ingredients import check_params, check_parts
from jaxopt_edu.train.measures import check_augment, check_loss, check_metric, some_examples
from jaxopt_edu.train.targets import check_targets
from jaxopt_edu.values import keys
from jaxopt_edu.values.pytrees import check_count, show

__all__ = ["check_training"]


def check_training(training: Any) -> None:
    """Raises ValueError or TypeError, naming the part."""
    check_parts(training)
    if isinstance(training.data, Folds):
        _check_weights(training)
        return training.fold(training.data.smallest).check()
    _check_augment(training)
    training._named()
    if wants_lengths(training.regularizer):
        check_lengths(training.optimizer, training.regularizer)
    _check_batches(training)
    _check_estimator(training)
    _check_outputs(training)
    _check_padding(training)


def _check_padding(training: Any) -> None:
    if _is_padded(training) and training.stateful and mixes_rows(training):
        raise ValueError(
            f"model = {show(training.model)} mixes examples, as BatchNorm does: on folds of "
            "unequal size, whose padding must not be mixed in, it wants a batch_size"
        )


def _is_padded(training: Any) -> bool:
    """Whether its only batch has padding: all examples of a fold, where folds differ in size."""
    train = training.data.train
    return isinstance(train, Rows) and train.count is not None and training.batch_size is None


def _check_weights(training: Any) -> None:
    padded = training.data.validation_counts is not None
    for name, f in training._named().items() if padded else ():
        if len(inspect.signature(f).parameters) < 3:
            raise ValueError(f"metric {name} takes no weights, which folds of unequal size need")


def _check_augment(training: Any) -> None:
    augment = training.augment
    if augment is not None and not callable(augment):
        raise TypeError(
            f"augment = {show(augment)}: wanted (key, x, y) -> x, y, as jo.augment.noise"
        )
    if _is_padded(training) and getattr(augment, "mixes", False):
        raise ValueError(
            f"augment = {show(augment)} mixes examples: on folds of unequal size, whose "
            "padding must not be mixed in, it wants a batch_size"
        )


def _check_batches(training: Any) -> None:
    train, b = training.data.train, training.batch_size
    n = int(train.examples)
    if b is not None:
        check_count("batch_size", b)
    if b is not None and not 1 <= b <= n:
        raise ValueError(f"batch_size = {b}: wanted 1 to {n}, the number of training examples")
    if training.balanced:
        if b is None or training.data.n_classes is None:
            raise ValueError("balanced: wanted batches (a batch_size) of a classification")
        class_counts(train.first()[1], training.data.n_classes)


def _check_estimator(training: Any) -> None:
    estimator = training.estimator
    if not isinstance(estimator, Estimator):
        raise TypeError(f"estimator = {show(estimator)}: wanted one, such as jo.Plain()")
    estimator.check(training)
    blind = needs(training.optimizer) if estimator.private_draw else ()
    if wanted := [name for name in blind if name not in ("t", "key")]:
        raise TypeError(
            f"optimizer = {show(training.optimizer)} wants to be told {', '.join(wanted)}, but "
            f"{type(estimator).__name__} shows it nothing but gradients"
        )


def _check_outputs(training: Any) -> None:
    train, classes = training.data.train, training.data.n_classes
    out, params = _predicted.eval_shape(
        training.model, jax.eval_shape(lambda part: part.first()[0], train), 0
    )
    check_params(params)
    if classes and out.ndim == 2 and out.shape[1] < classes:
        raise ValueError(
            f"model = {show(training.model)} gives {out.shape[1]} outputs; the data have "
            f"{classes} classes"
        )
    check_targets(training.loss, training.data, out.shape)
    metrics = training._metrics()
    for f in metrics:
        check_targets(f, training.data, out.shape, "metric")
    shapes = some_examples(out, train.first(1)[1], int(train.examples))
    check_loss(training.loss, *shapes)
    for f in metrics:
        check_metric(f, *shapes)
    if training.augment is not None:
        rows = training.batch_size or int(train.examples)
        check_augment(training.augment, random.key(0), *train.first(rows)[:2])


@jax.jit
def _predicted(model: Any, x: Array, seed: Array) -> tuple[Any, Any]:
    """What an untrained model predicts, and its params; only their shapes are asked for."""
    params, model_state = init_model(model, keys.weights(seed))
    return call_model(model, params, model_state, x)[0], params
