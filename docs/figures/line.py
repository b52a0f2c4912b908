"""Chapter "A line and its loss": points, the loss of every line, and a loss of wrong shapes."""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.learn.notation.docstrings import formula_of
from jaxopt_edu.learn.notation.markup import mathml
from jaxopt_edu.learn.notation.nodes import Equation
from jaxopt_edu.learn.notation.reading import equation
from jaxopt_edu.learn.packing import pack

POINTS = 30
WEIGHTS = np.round(np.linspace(0, 6, 121), 6)
INTERCEPTS = np.round(np.linspace(-1, 2, 61), 6)
OUTLIER = np.arange(-5.0, 4.0)  # targets of the last point; it is 3.03 in the data
DELTA = 1.0
RATE, STEPS = 0.5, 100  # of the two programs of `shapes`


def _rules() -> dict[str, Equation]:
    """The loss of one example, from the docstrings: of a prediction x and a target y, e = x - y."""
    told = jo.metrics.mean_absolute_error.__doc__ or ""
    found = re.search(r"mean of (\S+ - \S+) over", told)
    squared, huber = formula_of(jo.losses.squared_error), formula_of(jo.losses.huber_loss)
    assert found and squared and huber
    absolute = equation(f"l = {found[1]}")
    return {"squared": squared.equations[0], "absolute": absolute, "huber": huber.equations[0]}


RULES = _rules()


@functools.cache
def points() -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets, by the size of the input."""
    data = jo.data.load("linear", seed=0, prepare=None)
    x, y = np.asarray(data.train.x[:POINTS, 0], float), np.asarray(data.train.y[:POINTS], float)
    order = np.argsort(x)
    return np.round(x[order], 3), np.round(y[order], 3)


def _shared() -> dict[str, Any]:
    x, y = points()
    lines = {"weights": WEIGHTS.tolist(), "intercepts": INTERCEPTS.tolist()}
    return {"x": x.tolist(), "y": y.tolist(), **lines}


def bowl() -> dict[str, Any]:
    """The points, and the lines of the map; the page computes their losses."""
    told = mathml(equation("l(w, b) = mean_i (w x_i + b - y_i)^2"))
    line = re.sub(r"<mi>([wb])</mi>", r'<mi data-field="\1">\1</mi>', told)
    filled = re.sub(r"<mi>([wb])</mi>", r'<mn data-value="\1"></mn>', told)
    return _shared() | {"formula": {"lines": [line], "filled": [filled]}}


def outlier() -> dict[str, Any]:
    """The same, with what becomes of the last target, and the formula of each loss."""
    errors = {name: re.sub(r"\(x - y\)|x - y", "e", rule.text) for name, rule in RULES.items()}
    formulas = {name: [mathml(equation(text))] for name, text in errors.items()}
    held = {"targets": OUTLIER.tolist(), "delta": DELTA, "formulas": formulas}
    return _shared() | held


def shapes() -> dict[str, Any]:
    """Two programs step by step: predictions (n, 1) and (n,) against targets (n,)."""
    x, y = points()
    return {"x": x.tolist(), "y": y.tolist(), "steps": STEPS, "rate": RATE,
            "runs": {name: pack(run, 16, (0,)) for name, run in programs().items()}}  # fmt: skip


@functools.cache
def programs() -> dict[str, np.ndarray]:
    """Weight, intercept and the loss that the program sees, (steps + 1, 3) each."""
    x, y = map(jnp.asarray, points())
    return {"column": np.asarray(program(x[:, None], y)), "row": np.asarray(program(x, y))}


def program(x: Any, y: Any) -> Any:
    """What many write: no shape is looked at, so (n, 1) - (n,) is (n, n)."""

    def loss(line: Mapping[str, Any]) -> Any:
        return jnp.mean((line["w"] * x + line["b"] - y) ** 2)

    def step(carry: Any, _: Any) -> Any:
        line, state = carry
        value, gradient = jax.value_and_grad(loss)(line)
        updates, state = optimizer.update(gradient, state, line)
        told = jnp.stack([line["w"], line["b"], value])
        return (jo.apply_updates(line, updates), state), told

    optimizer, line = jo.sgd(RATE), {"w": jnp.array(0.0), "b": jnp.array(0.0)}
    return jax.lax.scan(step, (line, optimizer.init(line)), length=STEPS + 1)[1]


# ------------------------------------------------------------------------------------------ claims

OF_ONE: dict[str, Callable[[Any, Any], Any]] = {
    "squared": jo.losses.squared_error,
    "absolute": lambda x, y: jnp.abs(x - y),
    "huber": functools.partial(jo.losses.huber_loss, delta=DELTA),
}


@functools.cache
def lowest(loss: str, target: float | None = None) -> tuple[float, float, float]:
    """Weight and intercept of the best line of the map, and its loss; target: of the last point."""
    x, y = points()
    y = y if target is None else np.append(y[:-1], target)
    predictions = WEIGHTS[:, None, None] * x + INTERCEPTS[:, None]
    losses = np.asarray(
        jnp.mean(OF_ONE[loss](predictions, np.broadcast_to(y, predictions.shape)), -1)
    )
    i, j = np.unravel_index(losses.argmin(), losses.shape)
    return float(WEIGHTS[i]), float(INTERCEPTS[j]), float(losses[i, j])


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    data = jo.data.load("linear", seed=0, prepare=None)
    best = lowest("squared")

    def over(part: Any) -> float:
        return float(
            np.mean((best[0] * np.asarray(part.x[:, 0]) + best[1] - np.asarray(part.y)) ** 2)
        )

    column, row = programs()["column"], programs()["row"]
    moved = {name: lowest(name, -3.0)[0] for name in OF_ONE}
    return {
        "lines": WEIGHTS.size * INTERCEPTS.size,
        "best_weight": best[0], "best_intercept": best[1], "best_loss": best[2],
        "training_rows": len(data.train.y), "validation_rows": len(data.validation.y),
        "validation_loss": over(data.validation),
        "typed": float(points()[1][-1]),
        **{f"{name}_weight": weight for name, weight in moved.items()},
        "wrong_first": column[0, 2], "wrong_last": column[-1, 2],
        "wrong_weight": column[-1, 0], "wrong_intercept": column[-1, 1],
        "right_weight": row[-1, 0],
    }  # fmt: skip
