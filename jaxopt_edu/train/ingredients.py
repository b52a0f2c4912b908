"""What a training is made of: parts given by their names, and what is none, with the way out."""

from collections.abc import Callable, Iterable
from dataclasses import replace as changed
from typing import Any

import jax

from jaxopt_edu.data import Data, Folds
from jaxopt_edu.nn import losses, metrics
from jaxopt_edu.optim import optimizers
from jaxopt_edu.values.names import recipes
from jaxopt_edu.values.pytrees import nearest, show
from jaxopt_edu.values.space import OneOf

OPTIMIZERS: dict[str, Callable] = recipes(optimizers)
OTHER = ("class_weighted", "smooth_labels", "weighted_mean", "with_numbers", "confusion_matrix")
LOSSES = {name: f for name, f in recipes(losses).items() if name not in OTHER}
METRICS = {name: f for name, f in recipes(metrics).items() if name not in OTHER}

# where a learning rate is worth looking for; adam's range for all that are not here
RATES = {
    "sgd": (1e-3, 1.0),
    "adagrad": (1e-3, 1.0),
    "adadelta": (1e-1, 1e1),
    "lion": (1e-5, 1e-2),
    "sign_sgd": (1e-5, 1e-2),
    "signum": (1e-5, 1e-2),
}
ADAM_RATES = (1e-4, 1e-1)


# ---------------------------------------------------------------------------------- by name


def optimizer_named(name: str, learning_rate: Any = None) -> Any:
    """The optimizer of this name, by default at the middle, in logarithms, of its rates."""
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; {nearest(name, OPTIMIZERS)}")
    low, high = RATES.get(name, ADAM_RATES)
    rate = (low * high) ** 0.5 if learning_rate is None else learning_rate
    return OPTIMIZERS[name](learning_rate=rate)


def loss_named(name: str) -> Callable:
    """The loss of this name."""
    if name in METRICS:
        raise ValueError(f"loss = {name!r} {_A_METRIC}")
    if name not in LOSSES:
        raise ValueError(f"unknown loss {name!r}; {nearest(name, LOSSES)}")
    return LOSSES[name]


_A_METRIC = (
    "is a metric: wanted a loss, which gives one number for each example, such as "
    "softmax_cross_entropy_with_integer_labels or squared_error"
)


def metric_named(name: str) -> Callable:
    """The metric of this name."""
    if name not in METRICS:
        raise ValueError(f"unknown metric {name!r}; {nearest(name, METRICS)}")
    return METRICS[name]


MAKERS = {"optimizer": optimizer_named, "loss": loss_named}


def resolve_parts(training: Any) -> None:
    """Puts what they name in the place of strings; one metric becomes a tuple of one."""
    for field, maker in MAKERS.items():
        given = getattr(training, field, None)
        found = _resolved(given, maker)
        if found is not given:
            object.__setattr__(training, field, found)
    given = training.metrics
    if isinstance(given, str) or callable(given):
        given = (given,)
    if isinstance(given, Iterable) and any(isinstance(f, str) for f in given):
        given = tuple(_resolved(f, metric_named) for f in given)
    if given is not training.metrics:
        object.__setattr__(training, "metrics", given)


def _resolved(given: Any, maker: Callable) -> Any:
    """What a string names, also among alternatives; anything else as it is."""
    if isinstance(given, str):
        return maker(given)
    if isinstance(given, OneOf):
        found = tuple(_resolved(one, maker) for one in given.alternatives)
        same = all(x is y for x, y in zip(found, given.alternatives, strict=True))
        return given if same else changed(given, alternatives=found)
    return given


# --------------------------------------------------------------------------- what is no part


def is_optax(x: Any) -> bool:
    """Whether x is a pair of functions init and update, as optax's optimizers are."""
    return isinstance(x, tuple) and callable(getattr(x, "init", None)) and hasattr(x, "update")


def refuse_optax(name: str) -> TypeError:
    """The error for an optax optimizer in the place of a value."""
    return TypeError(
        f"{name} is an optimizer of optax, whose numbers are hidden in functions: wrap it: "
        "jo.from_optax(optax.adam, learning_rate=1e-3)"
    )


def check_parts(training: Any) -> None:
    """TypeError or ValueError that names the part of a training that is none."""
    if not isinstance(training.data, Data | Folds):
        raise TypeError(
            f"data = {_short(training.data)}: wanted a jo.data.Data, such as "
            "jo.data.from_arrays(x, y) or jo.data.load('digits')"
        )
    check_optimizer("optimizer", training.optimizer)
    check_a_loss(training.loss)
    check_metrics(training.metrics)
    regularizer = training.regularizer
    if regularizer is not None and not (
        hasattr(regularizer, "penalty") or hasattr(regularizer, "among")
    ):
        raise TypeError(f"regularizer = {_short(regularizer)}: wanted one, such as jo.L2(1e-4)")
    check_model(training.model)


def check_a_loss(loss: Any) -> None:
    """TypeError unless it is a function, and no metric."""
    if any(loss is metric for metric in METRICS.values()):
        raise TypeError(f"loss = {show(loss)} {_A_METRIC}")
    if not callable(loss):
        raise TypeError(
            f"loss = {_short(loss)}: wanted a function of predictions and labels, or the "
            "name of one in jo.losses"
        )


def check_metrics(metrics: Any) -> None:
    """TypeError unless they are functions, or None."""
    if not isinstance(metrics, tuple | list | None):
        raise TypeError(f"metrics = {_short(metrics)}: wanted a tuple of functions")
    for metric in metrics or ():
        if not callable(metric):
            raise TypeError(f"metrics: {_short(metric)}: wanted functions, or names in jo.metrics")


def check_optimizer(name: str, optimizer: Any) -> None:
    """TypeError unless it is an optimizer that is a value."""
    if is_optax(optimizer):
        raise refuse_optax(name)
    if callable(optimizer) and getattr(optimizer, "__name__", "") in OPTIMIZERS:
        call = f"jo.{optimizer.__name__}(1e-3)"
        raise TypeError(f"{name} = {show(optimizer)} makes optimizers: wanted one, {call}")
    if isinstance(optimizer, type) or not hasattr(optimizer, "update"):
        raise TypeError(f"{name} = {_short(optimizer)}: wanted an optimizer, such as jo.adam(1e-3)")


ADAPTERS = {
    "flax": "jo.models.Linen(module, x[:1]) or jo.models.NNX(make, x[:1])",
    "equinox": "jo.models.Equinox(make)",
    "haiku": "jo.models.Haiku(function, x[:1])",
}
_SUCH_AS = (
    "such as jo.models.MLP((64, 10)), or an adapter with init(key) and apply(params, x, key=None), "
    "as docs/experiments.md has them"
)


def check_model(model: Any) -> None:
    """TypeError unless it has init(key) and apply(params, x, key=None)."""
    if isinstance(model, type):
        raise TypeError(f"model = {_short(model)} is a class: wanted a model, {_SUCH_AS}")
    bases = [(c.__module__.partition(".")[0], c.__name__) for c in type(model).__mro__]
    library = next((name for name, kind in bases if name in ADAPTERS and kind == "Module"), None)
    if library == "flax" or (library and not hasattr(model, "apply")):
        raise TypeError(
            f"model = {_short(model)} is a module of {library}: wanted a model, such as "
            f"{ADAPTERS[library]}, as docs/experiments.md has them"
        )
    for method in ("init", "apply"):
        if not callable(getattr(model, method, None)):
            raise TypeError(
                f"model = {_short(model)} has no {method}: wanted init(key) and "
                "apply(params, x, key=None), as in docs/experiments.md"
            )


def check_params(params: Any) -> None:
    """ValueError where a model of another library hands over more than its parameters."""
    others = set(params) - {"params"} if isinstance(params, dict) and "params" in params else set()
    for _, x in jax.tree_util.tree_leaves_with_path(params, is_leaf=_is_variable):
        if _is_variable(x) and not any(c.__name__ == "Param" for c in type(x).__mro__):
            others.add(type(x).__name__)
    if others:
        raise ValueError(
            f"model: its init gives variables of other collections than params: "
            f"{', '.join(sorted(map(str, others)))}. A training would take them for parameters: "
            "wanted jo.models.Linen or jo.models.NNX, which keep them apart"
        )


def _is_variable(x: Any) -> bool:
    return hasattr(type(x), "__mro__") and any(
        c.__name__ == "Variable" and c.__module__.startswith("flax.nnx") for c in type(x).__mro__
    )


def _short(x: Any) -> str:
    """One line of at most 60 characters."""
    text = show(x)
    return text if len(text) <= 60 else f"{text[:50]}... ({type(x).__name__})"
