"""Links: what the outputs of a trained model mean, which follows from the loss it was trained with.

A loss says which link it belongs to (`linked`); `link_of` asks it. So the softmax losses make
outputs into classes by the largest, sigmoid and hinge losses by the sign, and the losses of
regression leave numbers as they are.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.pytrees import resolve_among, show

__all__ = ["LINKS", "Link", "link_named", "link_of", "linked"]

F = TypeVar("F", bound=Callable)


# --------------------------------------------------------------------- from outputs to an answer


def _largest(x: ndarray) -> ndarray:
    return np.argmax(_classes_last(x), -1)


def _above_zero(x: ndarray) -> ndarray:
    return (_one_number(x) > 0).astype(int)


def _softmax(x: ndarray) -> ndarray:
    x = _classes_last(x)
    top = x.max(-1, keepdims=True)
    with np.errstate(invalid="ignore"):  # of two infinities, which share the probability
        e = np.exp(np.where(x == top, 0.0, x - top))
    return e / e.sum(-1, keepdims=True)


def _exponentials(x: ndarray) -> ndarray:
    return np.exp(_classes_last(x))


def _sigmoid(x: ndarray) -> ndarray:
    with np.errstate(over="ignore"):
        return np.where(x > 0, 1 / (1 + np.exp(-x)), np.exp(x) / (1 + np.exp(np.minimum(x, 0))))


def _no_and_yes(x: ndarray) -> ndarray:
    x = _one_number(x)
    return np.stack([_sigmoid(-x), _sigmoid(x)], -1)


def _signs(x: ndarray) -> ndarray:
    return np.where(x > 0, 1.0, -1.0)


def _as_they_are(x: ndarray) -> ndarray:
    return x


def _classes_last(x: ndarray) -> ndarray:
    if x.ndim < 2:
        raise ValueError(f"the model gives outputs of shape {x.shape}: wanted (rows, classes)")
    return x


def _one_number(x: ndarray) -> ndarray:
    if x.ndim != 1:
        raise ValueError(f"the model gives outputs of shape {x.shape}: wanted one number a row")
    return x


@dataclass(frozen=True)
class Link:
    """What outputs x mean, as functions of x on the host; None where there is no such answer.

    classes: the number of the class of each row. probabilities: those of the classes, (n, K).
    numbers: the expected target of a regression.
    """

    name: str
    classes: Callable[[ndarray], ndarray] | None = None
    probabilities: Callable[[ndarray], ndarray] | None = None
    numbers: Callable[[ndarray], ndarray] | None = None


LINKS = {
    link.name: link
    for link in (
        Link("softmax", _largest, _softmax, _softmax),
        Link("log", _largest, _exponentials, _exponentials),
        Link("sigmoid", _above_zero, _no_and_yes, _sigmoid),
        Link("argmax", _largest),
        Link("sign", _above_zero, None, _signs),
        Link("identity", None, None, _as_they_are),
    )
}


# ------------------------------------------------------------------------ which link a loss has

_BY_NAME: dict[str, str] = {}  # the names of our losses, which are optax's


def linked(name: str) -> Callable[[F], F]:
    """Marks a loss as one that belongs to the link of this name."""

    def mark(loss: F) -> F:
        vars(loss)["link"] = name
        _BY_NAME[getattr(loss, "__name__", "")] = name
        return loss

    return mark


def link_named(name: str) -> Link:
    """The link of a name; TypeError for what is no name, ValueError for an unknown one."""
    resolve_among("link", name, LINKS)
    return LINKS[name]


def link_of(loss: Any) -> Link:
    """The link that a loss belongs to: its own `link`, or that of the loss it is made from.

    Errors: ValueError for a loss that does not say, or that has other axes or a mask: link= tells.
    """
    found = loss
    while not isinstance(getattr(found, "link", None), str):
        if isinstance(found, functools.partial):
            told = {k: found.keywords.get(k) for k in ("axis", "where")}
            other = [
                k for k, v in told.items() if not (v is None or (isinstance(v, int) and v == -1))
            ]
            if other:
                raise ValueError(_untold(found.func, f" with {other[0]}={show(told[other[0]])}"))
            found = found.func
        elif hasattr(found, "__wrapped__"):
            found = found.__wrapped__
        elif _is_optax(found):
            return LINKS[_BY_NAME[found.__name__]]
        else:
            raise ValueError(_untold(loss, ""))
    return link_named(found.link)


def _is_optax(loss: Any) -> bool:
    module = getattr(loss, "__module__", None) or ""
    return module.split(".")[0] == "optax" and getattr(loss, "__name__", "") in _BY_NAME


def _untold(loss: Any, how: str) -> str:
    return (
        f"loss = {show(loss)}{how} does not say what the outputs of the model mean: "
        f"give link=, one of {', '.join(LINKS)} or a function of the outputs"
    )
