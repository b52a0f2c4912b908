"""Losses, metrics and augmentations tried on shapes, so that errors name the part they are in."""

import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.train.targets import check_targets
from jaxopt_edu.values.pytrees import show

__all__ = ["check_augment", "check_loss", "check_measures", "check_metric", "some_examples"]


def some_examples(predictions: Any, targets: Any, n: int) -> tuple[Any, Any]:
    """Their shapes for n examples, or more where n is one of the other sizes."""
    while n in (1, *predictions.shape[1:], *targets.shape[1:]):
        n += 1
    given = predictions, targets
    predictions, targets = (jax.ShapeDtypeStruct((n, *z.shape[1:]), z.dtype) for z in given)
    return predictions, targets


def check_loss(loss: Any, predictions: Any, targets: Any) -> None:
    """TypeError or ValueError unless a loss gives a number for each example, in a program."""
    found = _tried(f"loss = {_named(loss)}", loss, predictions, targets)
    shape = getattr(found, "shape", None)
    if shape is None or shape[:1] != predictions.shape[:1]:
        raise ValueError(
            f"loss = {_named(loss)} gives {_shown(found)}: wanted one number for each "
            f"example, ({predictions.shape[0]},), of which the training takes the mean"
        )


def check_metric(metric: Any, predictions: Any, targets: Any) -> None:
    """TypeError or ValueError unless a metric gives a number, in a program."""
    found = _tried(f"metric = {_named(metric)}", metric, predictions, targets)
    if getattr(found, "shape", ()) != () or isinstance(found, tuple | list | dict):
        raise ValueError(f"metric = {_named(metric)} gives {_shown(found)}: wanted one number")


def check_measures(loss: Any, metrics: Any, predictions: Any, classes: int) -> None:
    """TypeError or ValueError where a loss or metrics are not for these outputs.

    classes: how many classes the targets are of, 0 for a regression's. loss: None for none.
    """
    y = (
        jax.ShapeDtypeStruct(predictions.shape[:1], jnp.result_type(int))
        if classes
        else predictions
    )
    shapes = some_examples(predictions, y, 100)
    part = types.SimpleNamespace(y=np.zeros(0))
    parts = dict.fromkeys(("train", "validation", "test"), part)
    data = types.SimpleNamespace(n_classes=classes or None, **parts)
    for f in () if loss is None else (loss,):
        check_targets(f, data, predictions.shape)
        check_loss(f, *shapes)
    for f in metrics:
        check_targets(f, data, predictions.shape, "metric")
        check_metric(f, *shapes)


def check_augment(augment: Any, key: Any, x: Any, y: Any) -> None:
    """TypeError or ValueError unless an augmentation gives a pair of examples and targets."""
    said = f"augment = {_named(augment)}"
    found = _tried(said, augment, key, x, y, wanted="(key, x, y) -> x, y, as jo.augment.noise")
    pair = isinstance(found, tuple) and len(found) == 2
    if not pair or getattr(found[0], "shape", (0,))[1:] != x.shape[1:]:
        raise ValueError(
            f"{said} gives {_shown(found)} for x {x.shape}: wanted (key, x, y) -> x, y, with "
            "examples of the same shape"
        )
    sizes = {leaf.shape[:1] for leaf in jax.tree.leaves(found)}
    if len(sizes) > 1:
        raise ValueError(f"{said} gives {_shown(found)}: wanted as many targets as examples")


def _tried(said: str, f: Callable, *shapes: Any, wanted: str = "") -> Any:
    """The shapes of what f gives; what f raises, with the name of the part in front."""
    try:
        return jax.eval_shape(lambda *given: f(*given), *shapes)
    except Exception as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        told = str(error).splitlines() or [type(error).__name__]
        given = " and ".join(f"{x.dtype}{list(x.shape)}" for x in shapes[-2:])
        if isinstance(error, jax.errors.JAXTypeError):
            told = [f"it is no function of JAX, as those of {_module(f)} are not"]
            wanted = "one that runs in a compiled program, such as those of jo.metrics, jo.losses"
        way = f": wanted {wanted}" if wanted else ""
        raise kind(f"{said} does not run on {given}: {told[0]}{way}") from error


def _module(f: Any) -> str:
    return str(getattr(f, "__module__", type(f).__module__)).partition(".")[0]


def _named(f: Any) -> str:
    text = show(f)
    return text if len(text) <= 60 else f"{text[:50]}..."


def _shown(found: Any) -> str:
    if isinstance(found, tuple | list):
        return f"({', '.join(map(_shown, found))})"
    shape = getattr(found, "shape", None)
    return type(found).__name__ if shape is None else f"the shape {shape}"
