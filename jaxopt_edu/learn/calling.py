"""How a function of a student's is called: by the names of its arguments, on copies, in float64."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jaxopt_edu.values.pytrees import show

P = inspect.Parameter


class NotRun(Exception):
    """A student's function cannot be judged; the message says why, for a `CheckResult`."""


def check_function(name: str, f: object) -> None:
    """TypeError unless f is a function whose arguments have names."""
    if not callable(f):
        raise TypeError(f"{name} = {show(f)}: wanted a function")
    try:
        inspect.signature(f)
    except ValueError as error:
        raise TypeError(f"{name} = {show(f)}: its arguments have no names") from error


def takes(f: Callable) -> Callable[[str], bool]:
    """Whether a function takes an argument of a name; not where a partial has bound it."""
    found = inspect.signature(f).parameters
    bound = f.keywords if isinstance(f, functools.partial) else {}
    everything = any(p.kind is P.VAR_KEYWORD for p in found.values())
    named = {k for k, p in found.items() if p.kind not in (P.VAR_KEYWORD, P.VAR_POSITIONAL)}
    return lambda name: name not in bound and (everything or name in named)


def call(f: Callable, hand: Mapping[str, Any]) -> Any:
    """f of what it asks for, of what is at hand; arrays are copies, which it may change.

    JAX computes in float64 as NumPy does. Errors: NotRun.
    """
    found, wanted = inspect.signature(f).parameters, takes(f)
    named = {k: p for k, p in found.items() if p.kind not in (P.VAR_KEYWORD, P.VAR_POSITIONAL)}
    missing = [k for k, p in named.items() if k not in hand and p.default is P.empty]
    if missing:
        raise NotRun(f"it asks for {', '.join(missing)}; there are {', '.join(hand)}")
    given = {k: x.copy() if isinstance(x, np.ndarray) else x for k, x in hand.items() if wanted(k)}
    first = [k for k, p in named.items() if p.kind is P.POSITIONAL_ONLY and k in given]
    args = [given.pop(k) for k in first]
    try:
        with np.errstate(all="ignore"), jax.enable_x64(True):
            return f(*args, **given)
    except (Exception, SystemExit) as error:
        told = (str(error).splitlines() or [""])[0]
        raise NotRun(f"it does not run: {type(error).__name__}: {told}") from error


def as_numbers(name: str, x: Any) -> np.ndarray:
    """An array of real numbers. Errors: NotRun, with the name of what is none."""
    found = np.asarray(x)
    if found.dtype.kind == "c":
        raise NotRun(f"{name} is complex")
    try:
        found.astype(float)
    except (TypeError, ValueError):
        raise NotRun(f"{name} is {show(x)}: wanted numbers") from None
    if found.dtype == object:
        raise NotRun(f"{name} is {show(x)}: wanted numbers")
    return found
