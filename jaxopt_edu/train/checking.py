"""What can be said about a training before anything is compiled.

Losses, metrics and augmentations are tried on shapes, so that errors name the part they are in.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu.data.classes import class_counts
from jaxopt_edu.data.dataset import Rows
from jaxopt_edu.data.folds import Folds
from jaxopt_edu.nn.targets import check_targets
from jaxopt_edu.optim.extra_args import needs
from jaxopt_edu.optim.step_sizes import check_lengths, wants_lengths
from jaxopt_edu.train.calling import call_model, init_model, mixes_rows
from jaxopt_edu.train.estimators import Estimator
from jaxopt_edu.train.ingredients import check_params, check_parts
from jaxopt_edu.values import keys
from jaxopt_edu.values.messages import short, show
from jaxopt_edu.values.pytrees import check_count


def check_training(training: Any) -> None:
    """Raises ValueError or TypeError, naming the part."""
    check_parts(training)
    if isinstance(training.data, Folds):
        _check_weights(training)
        return training.fold(training.data.smallest).check()
    training._metrics()  # their names are told apart, or it raises
    if wants_lengths(training.regularizer):
        check_lengths(training.optimizer, training.regularizer)
    _check_batches(training)
    _check_estimator(training)
    _check_outputs(training)
    _check_padding(training)


def _check_weights(training: Any) -> None:
    padded = training.data.validation_counts is not None
    for name, f in training._metrics().items() if padded else ():
        if len(inspect.signature(f).parameters) < 3:
            raise ValueError(f"metric {name} takes no weights, which folds of unequal size need")


def _check_batches(training: Any) -> None:
    data, b = training.data, training.batch_size
    n = int(data.train.examples)
    if b is not None:
        check_count("batch_size", b)
        if b > n:
            raise ValueError(f"batch_size = {b}: wanted 1 to {n}, the number of training examples")
    if training.balanced:
        if b is None or data.n_classes is None:
            raise ValueError("balanced: wanted batches (a batch_size) of a classification")
        class_counts(data.train.first()[1], data.n_classes)


def _check_estimator(training: Any) -> None:
    estimator = training.estimator
    _check_numbers(estimator)
    estimator.check(training)
    blind = needs(training.optimizer) if estimator.private_draw else ()
    if wanted := [name for name in blind if name not in ("t", "key")]:
        raise TypeError(
            f"optimizer = {show(training.optimizer)} wants to be told {', '.join(wanted)}, but "
            f"{type(estimator).__name__} shows it nothing but gradients"
        )


def _check_numbers(estimator: Any) -> None:
    """TypeError where a schedule, or nothing, stands in the place of a number."""
    for f in dataclasses.fields(estimator) if dataclasses.is_dataclass(estimator) else ():
        value, wanted = getattr(estimator, f.name), "low" in f.metadata
        if wanted and (callable(value) or (value is None and f.default is not None)):
            raise TypeError(
                f"{type(estimator).__name__}: {f.name} = {short(value)}: wanted a number "
                "(schedules are for optimizers)"
            )
        if isinstance(value, Estimator):
            _check_numbers(value)


def _check_outputs(training: Any) -> None:
    data, classes = training.data, training.data.n_classes
    x = jax.eval_shape(lambda part: part.first()[0], data.train)
    out, params = _predicted.eval_shape(training.model, x, 0)
    check_params(params)
    if classes and out.ndim == 2 and out.shape[1] < classes:
        raise ValueError(
            f"model = {show(training.model)} gives {out.shape[1]} outputs; the data have "
            f"{classes} classes"
        )
    check_measures(training.loss, training._metrics().values(), out, classes, data)
    if training.augment is not None:
        rows = training.batch_size or int(data.train.examples)
        _check_augment(training.augment, *data.train.first(rows)[:2])


@jax.jit
def _predicted(model: Any, x: Array, seed: Array) -> tuple[Any, Any]:
    """What an untrained model predicts, and its params; only their shapes are asked for."""
    params, model_state = init_model(model, keys.weights(seed))
    return call_model(model, params, model_state, x)[0], params


def _check_padding(training: Any) -> None:
    """ValueError where examples are mixed with padding: on folds of unequal size."""
    train, augment = training.data.train, training.augment
    if not isinstance(train, Rows) or train.count is None or training.batch_size is not None:
        return
    mixing = ""
    if getattr(augment, "mixes", False):
        mixing = f"augment = {show(augment)} mixes examples"
    elif training.stateful and mixes_rows(training):
        mixing = f"model = {show(training.model)} mixes examples, as BatchNorm does"
    if mixing:
        raise ValueError(
            f"{mixing}: on folds of unequal size, whose padding must not be mixed in, it wants a "
            "batch_size"
        )


# ------------------------------------------------------------------------ functions on shapes


def check_measures(
    loss: Any, metrics: Any, predictions: Any, classes: int | None, data: Any = None
) -> None:
    """TypeError or ValueError where a loss or metrics are not for these outputs.

    loss: None for none. classes: how many the targets are of, none for a regression's.
    data: those whose targets they are, where they are known.
    """
    n, y = 100, predictions
    if data is not None:
        n, y = int(data.train.examples), data.train.first(1)[1]
    elif classes:
        y = jax.ShapeDtypeStruct(predictions.shape[:1], jnp.result_type(int))
    while n in (1, *predictions.shape[1:], *y.shape[1:]):
        n += 1  # examples are told apart from the other axes by their number
    shapes = [jax.ShapeDtypeStruct((n, *z.shape[1:]), z.dtype) for z in (predictions, y)]
    given = [] if loss is None else [("loss", loss)]
    given += [("metric", metric) for metric in metrics]
    for what, f in given:
        check_targets(what, f, classes, predictions.shape, data)
    for what, f in given:
        said = f"{what} = {short(f)}"
        found = _tried(said, f, *shapes)
        shape = getattr(found, "shape", None)
        if what == "metric" and shape != ():
            raise ValueError(f"{said} gives {_shown(found)}: wanted one number")
        if what == "loss" and (shape is None or shape[:1] != (n,)):
            raise ValueError(
                f"{said} gives {_shown(found)}: wanted one number for each example, ({n},), of "
                "which the training takes the mean"
            )


def _check_augment(augment: Any, x: Any, y: Any) -> None:
    """TypeError or ValueError unless an augmentation gives a pair of examples and targets."""
    said, wanted = f"augment = {short(augment)}", "(key, x, y) -> x, y"
    found = _tried(said, augment, random.key(0), x, y, wanted=f"{wanted}, as jo.augment.noise")
    pair = isinstance(found, tuple) and len(found) == 2
    if not pair or getattr(found[0], "shape", (0,))[1:] != x.shape[1:]:
        raise ValueError(
            f"{said} gives {_shown(found)} for x {x.shape}: wanted {wanted}, with examples of the "
            "same shape"
        )
    if len({leaf.shape[:1] for leaf in jax.tree.leaves(found)}) > 1:
        raise ValueError(f"{said} gives {_shown(found)}: wanted as many targets as examples")


def _tried(said: str, f: Callable, *given: Any, wanted: str = "") -> Any:
    """The shapes of what f gives; what f raises, with the name of the part in front."""
    try:
        return _called(f)(*given)
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        told = (str(error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, jax.errors.JAXTypeError):
            library = str(getattr(f, "__module__", type(f).__module__)).partition(".")[0]
            told = f"it is no function of JAX, as those of {library} are not"
            wanted = "one that runs in a compiled program, such as those of jo.metrics, jo.losses"
        shapes = " and ".join(f"{x.dtype}{list(x.shape)}" for x in given[-2:])
        way = f": wanted {wanted}" if wanted else ""
        raise kind(f"{said} does not run on {shapes}: {told}{way}") from error


def _called(f: Callable) -> Callable:
    """What gives the shapes of a call of f: remembered by JAX, where f can be told from others."""
    try:
        hash(f)
    except TypeError:
        return functools.partial(jax.eval_shape, lambda *given: f(*given))
    return functools.partial(_call.eval_shape, f)


@functools.partial(jax.jit, static_argnums=0)
def _call(f: Callable, *given: Any) -> Any:
    return f(*given)


def _shown(found: Any) -> str:
    if isinstance(found, tuple | list):
        return f"({', '.join(map(_shown, found))})"
    shape = getattr(found, "shape", None)
    return type(found).__name__ if shape is None else f"the shape {shape}"
