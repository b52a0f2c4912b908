"""Scores: what a metric is called, and whether less or more of it is better."""

import functools
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxopt_edu.nn import losses, metrics
from jaxopt_edu.values.pytrees import show

TRAINING_LOSS = "training_loss"  # scored at every stop where a state has a loss
AUTO, MODES = "auto", ("min", "max")
TAKEN = ("loss", TRAINING_LOSS)


# ----------------------------------------------------------------------------------- directions


def mode_of_name(name: str) -> str | None:
    """min for losses and errors, max for the other metrics of this library, None for other names.

    >>> mode_of_name("loss"), mode_of_name("roc_auc"), mode_of_name("reward")
    ('min', 'max', None)
    """
    if name in TAKEN or name in losses.__all__ or name in metrics.ERRORS:
        return "min"
    return "max" if name in metrics.SHARES else None


def mode_of(metric: Any) -> str | None:
    """The same of a metric: of this library's, also with arguments or jitted; None for others.

    >>> import functools, jaxopt_edu as jo
    >>> mode_of(functools.partial(jo.metrics.top_k_accuracy, k=3)), mode_of(lambda p, y: 0.0)
    ('max', None)
    """
    if isinstance(metric, str):
        return mode_of_name(metric)
    found = inner(metric)
    name = getattr(found, "__name__", "")
    ours = any(getattr(chapter, name, None) is found for chapter in (losses, metrics))
    return mode_of_name(name) if ours else None


def inner(metric: Any) -> Any:
    """The function within partial, with_numbers, class_weighted and jax.jit."""
    if isinstance(metric, functools.partial):
        return inner(metric.func)
    if isinstance(metric, losses.WithNumbers | losses.ClassWeighted):
        return inner(metric.loss)
    if type(metric).__name__ == "PjitFunction":
        return inner(metric.__wrapped__)
    return metric


def modes_of(experiment: Any, names: Iterable[str]) -> dict[str, str | None]:
    """The directions of an experiment's scores: as it says, otherwise by their names."""
    told: Mapping[str, str | None] = getattr(experiment, "score_modes", {})
    return {name: told[name] if name in told else mode_of_name(name) for name in names}


def check_mode(mode: Any) -> None:
    """ValueError unless mode is auto, min or max."""
    if mode not in (AUTO, *MODES):
        raise ValueError(f"mode = {mode!r}: wanted 'auto', 'min' or 'max'")


def resolve_mode(mode: str, known: str | None, what: str) -> str:
    """min or max: what was asked for, or what is known of this score.

    Errors: ValueError where neither says; a UserWarning where they differ.
    """
    check_mode(mode)
    if mode == AUTO:
        if known is None:
            raise ValueError(
                f"mode = 'auto': it is not known whether less or more of {what} is better: "
                "wanted mode='min' or mode='max'"
            )
        return known
    if known not in (None, mode):
        less = "less" if known == "min" else "more"
        warnings.warn(
            f"mode = {mode!r}, but {less} of {what} is better: the worst comes first",
            UserWarning,
            stacklevel=4,
        )
    return mode


# ---------------------------------------------------------------------------------------- names


def named(given: Iterable[Any]) -> dict[str, Callable]:
    """Metrics by name; those of one name are told apart by their arguments.

    Errors: ValueError for two that nothing tells apart, and for a name that is taken.

    >>> import functools, jaxopt_edu as jo
    >>> list(named(functools.partial(jo.metrics.top_k_accuracy, k=k) for k in (2, 3)))
    ['top_k_accuracy(k=2)', 'top_k_accuracy(k=3)']
    """
    given = tuple(given)
    short = [name_of(metric) for metric in given]
    names = [
        f"{name}{_arguments(metric)}" if short.count(name) > 1 else name
        for name, metric in zip(short, given, strict=True)
    ]
    for name in names:
        if name in TAKEN:
            raise ValueError(f"metrics: {name!r} is the name of the loss itself: name it otherwise")
        if names.count(name) > 1:
            raise ValueError(
                f"metrics: {names.count(name)} of them are named {name!r}: give each a name of its "
                "own (def, or f.__name__ = ...)"
            )
        for end in ("_low", "_high"):
            if name.endswith(end) and name.removesuffix(end) in (*names, *TAKEN):
                raise ValueError(
                    f"metrics: {name!r} is the name of a bound of {name.removesuffix(end)!r}: name "
                    "it otherwise"
                )
    return dict(zip(names, given, strict=True))


def name_of(metric: Any) -> str:
    """The name of a metric without its arguments.

    >>> import functools, jaxopt_edu as jo
    >>> name_of(functools.partial(jo.metrics.f1_score, average="macro"))
    'f1_score'
    """
    if isinstance(metric, str):
        return metric
    found = inner(metric)
    return getattr(found, "__name__", type(found).__name__)


def _arguments(metric: Any) -> str:
    """The arguments that a metric was given, in brackets; nothing where there are none."""
    if isinstance(metric, functools.partial):
        named = {str(i): x for i, x in enumerate(metric.args)} | metric.keywords
    elif isinstance(metric, losses.WithNumbers):
        named = metric.numbers
    elif isinstance(metric, losses.ClassWeighted):
        named = {"weights": metric.weights}
    else:
        return ""
    return f"({', '.join(f'{k}={show(x)}' for k, x in named.items())})"


def loss_first(scores: dict[str, Any]) -> dict[str, Any]:
    """The scores with the loss in front, which JAX has put in alphabetical order."""
    return dict(sorted(scores.items(), key=lambda item: item[0] != "loss"))
