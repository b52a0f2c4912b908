"""Search spaces: an experiment with distributions for numbers and alternatives for structure."""

import dataclasses
import math
from collections.abc import Iterator
from typing import Any, NoReturn

import numpy as np

from jaxopt_edu.names import hyperparameters, replace
from jaxopt_edu.value import RECIPES, Constant, show

__all__ = [
    "Choice", "Distribution", "Group", "IntUniform", "LogUniform", "OneOf", "Uniform", "choice",
    "groups", "int_uniform", "label", "log_uniform", "one_of", "uniform",
]  # fmt: skip


class Distribution:
    """Stands in for a number. An opaque leaf: it can be sampled, and nothing else."""

    def bounds(self) -> tuple[float, float]:
        """The smallest and largest number it may give."""
        raise TypeError(f"{type(self).__name__} does not say its bounds")

    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The numbers below which the share u of it lies."""
        raise TypeError(f"{type(self).__name__} has no quantile")

    def levels(self, n: int) -> np.ndarray:
        """n numbers (or all, if it has fewer) evenly spread over it, for a grid."""
        return self.quantile((np.arange(n) + 0.5) / n)

    def _refuse(self, *_: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} is a distribution where a number is needed: `sweep` a space, `fit` numbers"
        )

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = _refuse
    __rtruediv__ = __pow__ = __rpow__ = __neg__ = __abs__ = __float__ = __int__ = _refuse
    __lt__ = __le__ = __gt__ = __ge__ = __array__ = _refuse


@dataclasses.dataclass(frozen=True, repr=False)
class _Between(Distribution):
    low: float
    high: float

    def __post_init__(self):
        name, integer = snake(type(self).__name__), isinstance(self, IntUniform)
        for field in ("low", "high"):
            value = getattr(self, field)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name}: {field} = {value!r}: wanted a finite number")
            if integer and value != int(value):
                raise ValueError(f"{name}: {field} = {value!r}: wanted an integer")
        if isinstance(self, LogUniform) and self.low <= 0:
            raise ValueError(f"{name}: low = {self.low} must be above 0")
        if not (self.low < self.high or (integer and self.low == self.high)):
            raise ValueError(f"{name}: low = {self.low} must be below high = {self.high}")

    def __repr__(self):
        return f"{snake(type(self).__name__)}({self.low!r}, {self.high!r})"

    def bounds(self):
        """The last number before high, which only an integer reaches."""
        integer = isinstance(self, IntUniform)
        return self.low, self.high if integer else math.nextafter(self.high, self.low)


class Uniform(_Between):
    """A number between low and high, each equally likely."""

    def quantile(self, u):
        return self.low + (self.high - self.low) * u


class LogUniform(_Between):
    """A number between low and high whose logarithm is uniform: each decade equally likely."""

    def quantile(self, u):
        return np.exp(np.log(self.low) + (np.log(self.high) - np.log(self.low)) * u)


class IntUniform(_Between):
    """An integer from low to high, both included."""

    def quantile(self, u):
        steps = np.floor(u * (self.high - self.low + 1)).astype(np.int64)
        return int(self.low) + np.minimum(steps, int(self.high - self.low))

    def levels(self, n):
        return np.unique(np.round(np.linspace(self.low, self.high, n)).astype(np.int64))


@dataclasses.dataclass(frozen=True, repr=False)
class Choice(Distribution):
    """One of several numbers, each equally likely."""

    options: tuple

    def __repr__(self):
        return f"choice({', '.join(map(repr, self.options))})"

    def bounds(self):
        return min(self.options), max(self.options)

    def quantile(self, u):
        index = np.minimum((np.asarray(u) * len(self.options)).astype(int), len(self.options) - 1)
        return np.asarray(self.options)[index]

    def levels(self, n):
        return np.asarray(self.options)


@dataclasses.dataclass(frozen=True, repr=False)
class OneOf:
    """Alternatives of structure: each is a compiled program of its own."""

    alternatives: tuple

    def __repr__(self):
        return f"one_of({', '.join(map(show, self.alternatives))})"


def snake(name: str) -> str:
    """LogUniform -> log_uniform"""
    return "".join("_" + c.lower() if c.isupper() and i else c.lower() for i, c in enumerate(name))


def uniform(low: float, high: float) -> Uniform:
    """A number in [low, high), uniformly. Errors: ValueError unless low < high, both finite."""
    return Uniform(low, high)


def log_uniform(low: float, high: float) -> LogUniform:
    """A number in [low, high), its logarithm uniform. Errors: ValueError unless 0 < low < high."""
    return LogUniform(low, high)


def int_uniform(low: int, high: int) -> IntUniform:
    """An integer in low, low + 1, ..., high. Errors: ValueError unless low <= high, integers."""
    return IntUniform(low, high)


def choice(*options: Any) -> Choice | OneOf:
    """One of the options: numbers are sampled within one program, all else is `one_of`."""
    if len(options) == 1 and isinstance(options[0], list | tuple):
        options = tuple(options[0])
    if not options:
        raise ValueError("choice: no options")
    numbers = all(isinstance(o, int | float) and not isinstance(o, bool) for o in options)
    return Choice(options) if numbers else one_of(*options)


def one_of(*alternatives: Any) -> OneOf:
    """One of several structures: optimizers, sizes, activations, batch sizes, also None.

    Each alternative is compiled by itself and may hold distributions of its own.
    """
    if not alternatives:
        raise ValueError("one_of: no alternatives")
    return OneOf(alternatives)


# ----------------------------------------------------------------------------- what to sample


@dataclasses.dataclass(frozen=True)
class Group:
    """One structure of a space: the choices that lead to it and the experiment they leave."""

    choices: tuple[tuple[str, OneOf, int], ...]
    experiment: Any

    def labels(self) -> dict[str, str]:
        """The chosen alternatives by the name of their place."""
        return {name: label(where.alternatives[i]) for name, where, i in self.choices}

    def distributions(self) -> dict[str, Distribution]:
        """The sampled numbers by name."""
        named = hyperparameters(self.experiment)
        return {name: d for name, d in named.items() if isinstance(d, Distribution)}


def label(alternative: Any) -> Any:
    """How a table names an alternative: numbers and strings as they are, values by recipe."""
    if alternative is None or isinstance(alternative, int | float | str):
        return alternative
    if isinstance(alternative, tuple):
        return "-".join(str(label(a)) for a in alternative)
    if hasattr(alternative, "transforms"):
        return "+".join(str(label(a)) for a in alternative.transforms)
    kind = type(alternative)
    return getattr(alternative, "__name__", RECIPES.get(kind, kind.__name__))


def groups(space: Any) -> list[Group]:
    """All structures of a space, in the order of their alternatives.

    >>> import jaxopt_edu as jo
    >>> space = jo.one_of(jo.sgd(0.1), jo.adam(jo.log_uniform(1e-4, 1e-1)))
    >>> [group.labels() for group in jo.space.groups(space)]
    [{'': 'sgd'}, {'': 'adam'}]
    """
    return list(_groups(space, ()))


def _groups(space: Any, choices: tuple) -> Iterator[Group]:
    found = next(_alternatives(space, ()), None)
    if found is None:
        yield Group(choices, space)
        return
    path, where = found
    name = ".".join(path)
    for i, alternative in enumerate(where.alternatives):
        chosen = replace(space, **{name: alternative}) if path else alternative
        yield from _groups(chosen, (*choices, (name, where, i)))


def _alternatives(x: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], OneOf]]:
    """Every OneOf in x with its path, fields in order."""
    if isinstance(x, OneOf):
        yield path, x
    elif isinstance(x, Constant | Distribution | type):
        return
    elif dataclasses.is_dataclass(x):
        for f in dataclasses.fields(x):
            inner = path if f.name == getattr(x, "inlined", None) else (*path, f.name)
            yield from _alternatives(getattr(x, f.name), inner)
    elif isinstance(x, dict | tuple | list):
        for key, part in x.items() if isinstance(x, dict) else enumerate(x):
            yield from _alternatives(part, (*path, str(key)))
