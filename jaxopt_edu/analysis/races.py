"""A race of optimizers over a function of two numbers, at the best learning rates or given ones."""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxopt_edu.analysis.functions import TestFunction
from jaxopt_edu.analysis.race_functions import (
    chosen_rates,
    function_of,
    is_number,
    limits,
    windowed,
)
from jaxopt_edu.optim import optimizers as chapter
from jaxopt_edu.optim.transform import Transform, apply_updates
from jaxopt_edu.train.ingredients import check_optimizer
from jaxopt_edu.values import notebook
from jaxopt_edu.values.labelling import labels
from jaxopt_edu.values.names import recipes, replace
from jaxopt_edu.values.pytrees import check_count, nearest, show

__all__ = ["Race", "Racer", "race"]


@dataclass(frozen=True, eq=False)
class Racer:
    """What one optimizer did at its learning rate, and how it ended at the others.

    value, distance: at the end, f and the Euclidean distance to the nearest minimum (NaN where no
        minimum is known).
    reached: the step from which on f stays within the race's tolerance of its minimum, or None.
    path: (steps + 1, 2) points, the start first.
    final_values: f at the end, for each of the race's learning rates.
    chosen: whether the learning rate was given; else it is the best of the race's.
    """

    name: str
    optimizer: Transform
    learning_rate: float
    value: float
    distance: float
    reached: int | None
    path: np.ndarray
    final_values: np.ndarray
    chosen: bool = False

    def __repr__(self) -> str:
        reached = "" if self.reached is None else f", reached at step {self.reached}"
        rate, value = f"learning_rate={self.learning_rate:.3g}", f"value={self.value:.3g}"
        return f"Racer({self.name}, {rate}, {value}{reached})"

    @property
    def best_rate(self) -> float:
        """The learning rate; NaN where it was searched for, and all of them diverged."""
        known = self.chosen or math.isfinite(self.value)
        return self.learning_rate if known else math.nan


@dataclass(frozen=True, eq=False)
class Race:
    """How a race went: the racers, the best first.

    Of a function of one's own, minimum is the least f found: the least value on the paths of the
    racers, which may be far above the minimum of the function.
    """

    function: TestFunction
    steps: int
    tolerance: float
    learning_rates: np.ndarray
    racers: tuple[Racer, ...]

    def __repr__(self) -> str:
        ranking = ", ".join(f"{r.name} {r.value:.3g}" for r in self.racers)
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"Race({self.function.name}, {steps}: {ranking})"

    def _repr_html_(self) -> str:
        head, *rows = self.rows()
        steps = "1 step" if self.steps == 1 else f"{self.steps:,} steps"
        words = f"{self.function.name}, {steps}"
        return notebook.card(
            words, notebook.table(head, rows), notebook.text(self.function.formula)
        )

    def rows(self) -> list[list[str]]:
        """A table in words: its head, and a row for each racer."""
        known = bool(self.function.minima)
        digits = 3 if known else 4  # f itself may be large beside what it falls by
        head = ["optimizer", "learning_rate", "final f", *["distance to a minimum"] * known]
        of = "" if known else " of the least f found"
        table = [[*head, f"within {self.tolerance:g}{of} from step"]]
        for r in self.racers:
            reached = "-" if r.reached is None else str(r.reached)
            value = f"{r.value:.{digits}g}" if math.isfinite(r.value) else "-"
            rate, *away = (
                f"{x:.3g}" if math.isfinite(x) else "-"
                for x in (r.best_rate, *[r.distance] * known)
            )
            table.append([r.name, rate, value, *away, reached])
        return table

    def as_dict(self) -> dict[str, Any]:
        """The table as numbers for JSON; None where one is not finite."""
        names = ("name", "learning_rate", "value", "distance", "reached")
        rows = [{name: _finite(getattr(r, name)) for name in names} for r in self.racers]
        rows = [
            row | {"learning_rate": _finite(r.best_rate)}
            for row, r in zip(rows, self.racers, strict=True)
        ]
        about = {"function": self.function.name, "formula": self.function.formula}
        asked = {"steps": self.steps, "tolerance": self.tolerance}
        return about | asked | {"scans": len(self.learning_rates), "racers": rows}


def race(
    function: str | TestFunction | Callable[[Array], Array],
    optimizers: Iterable[str | Transform] | Mapping[str, str | Transform],
    steps: int = 300,
    scans: int = 64,
    *,
    learning_rate: float | Mapping[str, float] | None = None,
    start: Sequence[float] | np.ndarray | Array | None = None,
    xlim: Sequence[float] | np.ndarray | Array | None = None,
    ylim: Sequence[float] | np.ndarray | Array | None = None,
    low: float = 1e-5,
    high: float = 1e2,
    tolerance: float = 1e-3,
) -> Race:
    """Runs every optimizer from the same start, at each of `scans` learning rates at once.

    Of the learning rates, evenly spread over [low, high] on a logarithmic scale, the best is the
    one that ends lowest; where several end within tolerance / 100 of the minimum, the one of
    these that stays within tolerance of it soonest. One compiled program for each optimizer.

    function: the name of a test function; or a function of one's own, of an array of shape (2,),
        that gives one number. Its minima are not known: what counts as its minimum is the least
        value on the paths of the racers. Where they are known: `jo.functions.TestFunction`.
    optimizers: names of recipes, or optimizers with a learning_rate (whose value is not used); a
        dict names them, where two are of a kind.
    learning_rate: for all racers, or a dict, name -> learning rate, for some: these run at it; the
        scan is shown beside it.
    start: two numbers. It must be given for a function of one's own.
    xlim, ylim: the window of a picture, (low, high) each; by default that of the test function, or
        what the paths of a function of one's own need.
    Errors: ValueError for an unknown name, with the nearest one; for two of the same name, for an
        optimizer without a learning_rate, for a learning rate that is not above 0, for steps or
        scans below 1, and for a function that is not finite at the start; TypeError for what is no
        function of two numbers.

    >>> import jaxopt_edu as jo
    >>> result = jo.race("booth", ["sgd", "adam"], steps=100, scans=16)
    >>> result.racers[0].name
    'sgd'
    >>> bowl = lambda x: x[0] ** 2 + 10 * x[1] ** 2
    >>> result = jo.race(bowl, ["sgd"], 50, start=(3.0, 1.0), learning_rate=0.05)
    >>> float(result.racers[0].learning_rate), result.racers[0].value < 1e-3
    (0.05, True)
    """
    known = function_of(function, start)
    entrants = _entrants(optimizers)
    check_count("steps", steps)
    check_count("scans", scans)
    if not is_number(tolerance) or not 0 < float(tolerance) < math.inf:
        raise ValueError(f"tolerance = {show(tolerance)}: wanted a number above 0")
    if not (is_number(low) and is_number(high) and 0 < low < high < math.inf):
        raise ValueError(f"low = {show(low)}, high = {show(high)}: wanted 0 < low < high")
    chosen = chosen_rates(learning_rate, entrants)
    window = [limits(name, x) for name, x in (("xlim", xlim), ("ylim", ylim))]
    learning_rates, found = np.geomspace(low, high, scans), {}
    for name, optimizer in entrants.items():
        rates = [*learning_rates, *([chosen[name]] if name in chosen else [])]
        paths, values = _run(known, steps, optimizer, jnp.asarray(rates))
        found[name] = np.asarray(paths), np.asarray(values, float)

    def judged(over: TestFunction) -> list[Racer]:
        empty = Race(over, steps, tolerance, learning_rates, ())
        return [_judge(empty, k, entrants[k], *found[k], chosen.get(k)) for k in entrants]

    if math.isnan(known.minimum):  # the least value met by any, then by those that are shown
        known = dataclasses.replace(known, minimum=_least(x for _, x in found.values()))
        shown = [jax.vmap(known)(jnp.asarray(racer.path)) for racer in judged(known)]
        known = dataclasses.replace(known, minimum=_least(shown))
    racers, empty = judged(known), Race(known, steps, tolerance, learning_rates, ())
    racers.sort(key=lambda racer: _merit(empty, racer.value, racer.reached))
    seen = windowed(known, [racer.path for racer in racers], window)
    return dataclasses.replace(empty, function=seen, racers=tuple(racers))


@functools.partial(jax.jit, static_argnames=("function", "steps"))
def _run(
    function: TestFunction, steps: int, optimizer: Any, learning_rates: Array
) -> tuple[Array, Array]:
    """The points (scans, steps + 1, 2) that the optimizer visits, and f there."""

    def path(learning_rate):
        rule = replace(optimizer, learning_rate=learning_rate)
        start = jnp.asarray(function.start)

        def step(carry, _):
            x, state = carry
            value, gradient = jax.value_and_grad(function)(x)
            updates, state = rule.update(gradient, state, x, value=value)
            new = apply_updates(x, updates)
            return (new, state), new

        _, points = lax.scan(step, (start, rule.init(start)), length=steps)
        points = jnp.concatenate([start[None], points])
        return points, jax.vmap(function)(points)

    return jax.vmap(path)(learning_rates)


# ---------------------------------------------------------------------------- who, and who won


def racers() -> dict[str, Any]:
    """The recipes that take a learning rate first, by name."""
    found = recipes(chapter)
    first = {name: next(iter(inspect.signature(f).parameters)) for name, f in found.items()}
    return {name: f for name, f in found.items() if first[name] == "learning_rate"}


def _entrants(optimizers: Any) -> dict[str, Transform]:
    """The optimizers by the names they run under."""
    if isinstance(optimizers, str) or not isinstance(optimizers, Iterable):
        raise TypeError(f"optimizers = {optimizers!r}: wanted a list of names, or a dict")
    if isinstance(optimizers, Mapping):
        pairs = list(optimizers.items())
    else:
        given = list(optimizers)
        told = labels([_optimizer(x) for x in given])
        pairs = [
            (x if isinstance(x, str) else str(name), x) for x, name in zip(given, told, strict=True)
        ]
    if not pairs:
        raise ValueError("optimizers: there are none")
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two optimizers are named {name!r}: give a dict of names")
    return {name: _optimizer(x) for name, x in pairs}


def _optimizer(given: Any) -> Transform:
    """An optimizer whose learning rate is a number that stands for any."""
    if isinstance(given, str):
        if given not in racers():
            raise ValueError(f"unknown optimizer {given!r}; {nearest(given, racers())}")
        return racers()[given](1.0)
    check_optimizer("optimizers: one", given)
    try:
        return replace(given, learning_rate=1.0)
    except ValueError as error:
        raise ValueError(f"{show(given)} has no learning_rate to scan: {error}") from None


def _judge(
    result: Race,
    name: str,
    optimizer: Any,
    paths: np.ndarray,
    values: np.ndarray,
    chosen: float | None,
) -> Racer:
    """The racer at the best of its learning rates, or at the chosen one, which is the last."""
    far = ~(values - result.function.minimum <= result.tolerance)  # NaN is far, too
    reached = [_last(row) + 1 if not row[-1] else None for row in far]
    merits = [_merit(result, *pair) for pair in zip(values[:, -1], reached, strict=True)]
    scans = len(result.learning_rates)
    best = merits.index(min(merits)) if chosen is None else scans
    rate = float(result.learning_rates[best]) if chosen is None else chosen
    return Racer(
        name,
        replace(optimizer, learning_rate=rate),
        rate,
        float(values[best, -1]),
        float(result.function.distance(paths[best, -1])),
        reached[best],
        paths[best],
        values[:scans, -1],
        chosen is not None,
    )


def _least(values: Iterable[Any]) -> float:
    """The least finite number in some arrays, each of which has one."""
    return min(float(np.min(x, where=np.isfinite(x), initial=np.inf)) for x in values)


def _last(true: np.ndarray) -> int:
    """The last place that is true, or -1."""
    return int(np.max(np.flatnonzero(true), initial=-1))


def _merit(result: Race, value: float, reached: int | None) -> tuple[float, float]:
    """What ranks, the smaller the better: the final value, then how soon it stayed near."""
    gap = value - result.function.minimum
    gap = max(gap, result.tolerance / 100) if math.isfinite(gap) else math.inf
    return gap, math.inf if reached is None else reached


def _finite(x: Any) -> Any:
    return None if isinstance(x, float) and not math.isfinite(x) else x
