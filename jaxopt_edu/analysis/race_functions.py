"""What a race runs over: a test function or one of one's own, from a start, within a window."""

import dataclasses
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.experimental import checkify

from jaxopt_edu.analysis.functions import FUNCTIONS, Point, TestFunction, find
from jaxopt_edu.values.messages import nearest, short, show

Limits = tuple[float, float]
WANTED = "wanted a function of one array of shape (2,), such as lambda x: x[0]**2 + 10*x[1]**2"
TWO = "two finite numbers, such as (1.0, 2.0)"
SIDE = "(low, high), two finite numbers with low < high"
MARGIN = 0.15  # of a path's width, on either side of it
NARROWEST = 0.4  # of the longer side of a window that is chosen: the shorter one


def function_of(given: Any, start: Any) -> TestFunction:
    """The function of a race, from the start that was asked for.

    Of a function of one's own the minima, the minimum and the window are missing: () and NaN.
    Errors: ValueError for an unknown name, with the nearest; those of `check_function`.
    """
    given = find(given) if isinstance(given, str) else given
    own = not isinstance(given, TestFunction)
    if not callable(given) or (own and start is None):
        raise TypeError(
            f"function = {show(given)}: wanted a name, such as 'rosenbrock', or a function of an "
            "array of shape (2,) with its start, such as start=(1.0, 2.0)"
        )
    point = given.start if start is None else two_numbers("start", start)
    if own:
        missing = (math.nan, math.nan)
        name = short(given).strip("<>")
        known = TestFunction(name, given, point, missing, missing, (), math.nan, "")
    else:
        known = dataclasses.replace(given, start=point)
    if known != FUNCTIONS.get(known.name):
        check_function(short(given) if own else known.name, known.f, point)
    return known


def check_function(name: str, f: Callable[[Array], Array], start: Point) -> None:
    """TypeError unless f takes an array of shape (2,) and gives one real number; ValueError where
    that number, or the gradient, is not finite at the start.
    """
    x = jnp.asarray(start, float)
    try:
        hash(f)
        given = jax.eval_shape(f, x)
    except jax.errors.TracerArrayConversionError as error:
        raise TypeError(f"function = {name} calls NumPy: wanted jax.numpy in its place") from error
    except Exception as error:
        told = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
        raise TypeError(f"function = {name} raised {told}; {WANTED}") from error
    beyond = _beyond(f, x)
    if beyond:
        raise TypeError(
            f"function = {name} reads beyond its array of shape (2,): {beyond}, which JAX would "
            f"replace by one within; {WANTED}"
        )
    told = type(given).__name__
    if isinstance(given, jax.ShapeDtypeStruct):
        told = f"{given.dtype}[{','.join(map(str, given.shape))}]"
    if told not in ("float16[]", "bfloat16[]", "float32[]", "float64[]"):
        raise TypeError(f"function = {name} gave {told}: wanted one real number; {WANTED}")
    value, slope = jax.value_and_grad(f)(x)
    for what, found in (("", value), ("the gradient of ", slope)):
        if not jnp.all(jnp.isfinite(found)):
            raise ValueError(
                f"{what}function = {name} is {found} at start = {start}: wanted a start where it "
                "is finite"
            )


def _beyond(f: Callable[[Array], Array], x: Array) -> str:
    """Which index f takes that its array of two numbers does not have, or ""."""
    try:
        error, _ = checkify.checkify(f, errors=checkify.index_checks)(x)
    except Exception:  # a primitive that has no check; what f raises was told before
        return ""
    told = error.get() or ""
    found = re.search(r"array of shape \(2,\): (index -?\d+ is out of bounds)", told)
    return found[1] if found else ""


def two_numbers(name: str, given: Any, wanted: str = TWO) -> Point:
    """ValueError, with the name, for what is not two finite numbers."""
    try:
        x, y = (float(v) for v in given)
    except (TypeError, ValueError):
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f"{name} = {show(given)}: wanted {wanted}")
    return x, y


def is_number(x: Any) -> bool:
    """Whether something is one real number."""
    real = isinstance(x, int | float | np.number | Array) and not isinstance(x, bool)
    return real and not np.ndim(x)


def chosen_rates(given: Any, racers: Iterable[str]) -> dict[str, float]:
    """The learning rates that were chosen, by the names of the racers."""
    if given is None:
        return {}
    if isinstance(given, Mapping) and not given:
        hint = "name -> learning rate for some racers, or None to choose the best for all"
        raise ValueError(f"learning_rate = {{}}: wanted {hint}")
    rates = dict(given) if isinstance(given, Mapping) else dict.fromkeys(racers, given)
    for name, rate in rates.items():
        if name not in racers:
            hint = nearest(str(name), racers)
            raise ValueError(f"learning_rate: there is no racer {name!r}; {hint}")
        said = f"learning_rate[{name!r}]" if isinstance(given, Mapping) else "learning_rate"
        if not is_number(rate) or not 0 < float(rate) < math.inf:
            raise ValueError(f"{said} = {show(rate)}: wanted a number above 0")
    return {name: float(rate) for name, rate in rates.items()}


# ------------------------------------------------------------------------------------- the window


def limits(name: str, given: Any) -> Limits | None:
    """The ends of one side of a window; None where they were not given."""
    if given is None:
        return None
    low, high = two_numbers(name, given, SIDE)
    if not low < high:
        raise ValueError(f"{name} = {show(given)}: wanted {SIDE}")
    return low, high


def windowed(
    function: TestFunction, paths: Sequence[np.ndarray], asked: Sequence[Limits | None]
) -> TestFunction:
    """The function with the window that was asked for, else its own, else that of the paths.

    asked: the limits of x and of y.
    """
    low, high = np.asarray(function.low), np.asarray(function.high)
    if np.isnan(low).any():
        low, high = _around(function, paths)
    own = [(float(a), float(b)) for a, b in zip(low, high, strict=True)]
    (x0, x1), (y0, y1) = (given or side for given, side in zip(asked, own, strict=True))
    return dataclasses.replace(function, low=(x0, y0), high=(x1, y1))


def _around(function: TestFunction, paths: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The corners of a window around what is no higher than the start of each path."""
    start = np.asarray(function.start)
    heights = [np.asarray(jax.vmap(function)(jnp.asarray(path))) for path in paths]
    seen = [path[h <= h[0]] for path, h in zip(paths, heights, strict=True)]
    points = np.concatenate([start[None], *seen])
    points = points[np.isfinite(points).all(axis=1)]
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    half = (0.5 + MARGIN) * np.ptp(points, axis=0)
    half = np.maximum(half, NARROWEST * half.max()) if half.max() else np.ones(2)
    return middle - half, middle + half
