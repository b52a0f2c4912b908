"""What a training is made of: parts given by their names, and what is none, with the way out."""

from collections.abc import Callable, Iterable
from dataclasses import replace as changed
from typing import Any

import jax

from jaxopt_edu.data import Data, Folds
from jaxopt_edu.nn import losses, metrics
from jaxopt_edu.optim import optimizers
from jaxopt_edu.train.estimators import Estimator
from jaxopt_edu.values.messages import nearest, short, show
from jaxopt_edu.values.names import recipes
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
_A_METRIC = (
    "is a metric: wanted a loss, which gives one number for each example, such as "
    "softmax_cross_entropy_with_integer_labels or squared_error"
)


# ---------------------------------------------------------------------------------- by name


def optimizer_named(name: str, learning_rate: Any = None) -> Any:
    """The optimizer of this name, by default at the middle, in logarithms, of its rates."""
    make = _named("optimizer", name, OPTIMIZERS)
    low, high = RATES.get(name, ADAM_RATES)
    return make(learning_rate=(low * high) ** 0.5 if learning_rate is None else learning_rate)


def _loss_named(name: str) -> Callable:
    if name in METRICS:
        raise ValueError(f"loss = {name!r} {_A_METRIC}")
    return _named("loss", name, LOSSES)


def _named(what: str, name: str, known: dict[str, Callable]) -> Callable:
    if name not in known:
        raise ValueError(f"unknown {what} {name!r}; {nearest(name, known)}")
    return known[name]


def resolve_parts(training: Any) -> None:
    """Puts what they name in the place of strings; one metric becomes a tuple of one."""
    metrics = training.metrics
    if isinstance(metrics, str) or callable(metrics):
        metrics = (metrics,)
    if isinstance(metrics, Iterable) and any(isinstance(f, str) for f in metrics):
        metrics = tuple(_named("metric", f, METRICS) if isinstance(f, str) else f for f in metrics)
    found = {
        "optimizer": _resolved(getattr(training, "optimizer", None), optimizer_named),
        "loss": _resolved(training.loss, _loss_named),
        "metrics": metrics,
    }
    for field, part in found.items():
        object.__setattr__(training, field, part)


def _resolved(given: Any, maker: Callable) -> Any:
    """What a string names, also among alternatives; anything else as it is."""
    if isinstance(given, OneOf) and any(isinstance(x, str) for x in given.alternatives):
        return changed(given, alternatives=tuple(_resolved(x, maker) for x in given.alternatives))
    return maker(given) if isinstance(given, str) else given


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


PARTS = {  # by field: what it is, and what was wanted where it is not
    "data": (
        lambda x: isinstance(x, Data | Folds),
        "a jo.data.Data, such as jo.data.from_arrays(x, y) or jo.data.load('digits')",
    ),
    "loss": (callable, "a function of predictions and labels, or the name of one in jo.losses"),
    "metrics": (lambda x: isinstance(x, tuple | list | None), "a tuple of functions"),
    "regularizer": (
        lambda x: x is None or hasattr(x, "penalty") or hasattr(x, "among"),
        "one, such as jo.L2(1e-4)",
    ),
    "augment": (lambda x: x is None or callable(x), "(key, x, y) -> x, y, as jo.augment.noise"),
    "estimator": (lambda x: isinstance(x, Estimator), "one, such as jo.Plain()"),
}


def check_parts(training: Any) -> None:
    """TypeError or ValueError that names the part of a training that is none."""
    _check_part("data", training.data)
    check_optimizer("optimizer", training.optimizer)
    check_a_loss(training.loss)
    check_metrics(training.metrics)
    for name in ("regularizer", "augment", "estimator"):
        _check_part(name, getattr(training, name))
    check_model(training.model)


def _check_part(name: str, given: Any) -> None:
    fine, wanted = PARTS[name]
    if not fine(given):
        raise TypeError(f"{name} = {short(given)}: wanted {wanted}")


def check_a_loss(loss: Any) -> None:
    """TypeError unless it is a function, and no metric."""
    if any(loss is metric for metric in METRICS.values()):
        raise TypeError(f"loss = {show(loss)} {_A_METRIC}")
    _check_part("loss", loss)


def check_metrics(metrics: Any) -> None:
    """TypeError unless they are functions, or None."""
    _check_part("metrics", metrics)
    for metric in metrics or ():
        if not callable(metric):
            raise TypeError(f"metrics: {short(metric)}: wanted functions, or names in jo.metrics")


def check_optimizer(name: str, optimizer: Any) -> None:
    """TypeError unless it is an optimizer that is a value."""
    if is_optax(optimizer):
        raise refuse_optax(name)
    if callable(optimizer) and getattr(optimizer, "__name__", "") in OPTIMIZERS:
        call = f"jo.{optimizer.__name__}(1e-3)"
        raise TypeError(f"{name} = {show(optimizer)} makes optimizers: wanted one, {call}")
    if isinstance(optimizer, type) or not hasattr(optimizer, "update"):
        raise TypeError(f"{name} = {short(optimizer)}: wanted an optimizer, such as jo.adam(1e-3)")


ADAPTERS = {
    "flax": "jo.models.Linen(module, x[:1]) or jo.models.NNX(make, x[:1])",
    "equinox": "jo.models.Equinox(make)",
    "haiku": "jo.models.Haiku(function, x[:1])",
}
_SUCH_AS = (
    "such as jo.models.MLP((64, 10)), or an adapter with init(key) and apply(params, x, key=None), "
    "as docs/guides/experiments.md has them"
)


def check_model(model: Any) -> None:
    """TypeError unless it has init(key) and apply(params, x, key=None)."""
    if isinstance(model, type):
        raise TypeError(f"model = {short(model)} is a class: wanted a model, {_SUCH_AS}")
    library = next((name for name in ADAPTERS if (name, "Module") in _bases(model)), None)
    if library == "flax" or (library and not hasattr(model, "apply")):
        raise TypeError(
            f"model = {short(model)} is a module of {library}: wanted a model, such as "
            f"{ADAPTERS[library]}, as docs/guides/experiments.md has them"
        )
    for method in ("init", "apply"):
        if not callable(getattr(model, method, None)):
            raise TypeError(
                f"model = {short(model)} has no {method}: wanted init(key) and "
                "apply(params, x, key=None), as in docs/guides/experiments.md"
            )


def check_params(params: Any) -> None:
    """ValueError where a model of another library hands over more than its parameters."""
    others = set(params) - {"params"} if isinstance(params, dict) and "params" in params else set()
    for x in jax.tree.leaves(params, is_leaf=_is_variable):
        if _is_variable(x) and ("flax", "Param") not in _bases(x):
            others.add(type(x).__name__)
    if others:
        raise ValueError(
            f"model: its init gives variables of other collections than params: "
            f"{', '.join(sorted(map(str, others)))}. A training would take them for parameters: "
            "wanted jo.models.Linen or jo.models.NNX, which keep them apart"
        )


def _is_variable(x: Any) -> bool:
    return ("flax", "Variable") in _bases(x)


def _bases(x: Any) -> list[tuple[str, str]]:
    """The classes of a value, as (library, name)."""
    return [(c.__module__.partition(".")[0], c.__name__) for c in type(x).__mro__]
