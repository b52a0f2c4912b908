"""Search spaces: an experiment with distributions for numbers and alternatives for structure."""

import dataclasses
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NoReturn

import jax
import numpy as np

from jaxopt_edu.values.labelling import distinct, label, labels
from jaxopt_edu.values.names import children, hyperparameters, inlined, with_parts
from jaxopt_edu.values.pytrees import StandIn, same, show

__all__ = [
    "Choice", "Distribution", "Group", "IntUniform", "LogUniform", "OneOf", "Uniform", "choice",
    "groups", "int_uniform", "label", "log_uniform", "one_of", "structural", "uniform",
]  # fmt: skip

MOST_PROGRAMS = 16  # that an int_uniform may stand for in the place of a size


class Distribution(StandIn, ABC):
    """Stands in for a number. An opaque leaf: it can be sampled, and nothing else."""

    def bounds(self) -> tuple[float, float]:
        """The smallest and largest number it may give."""
        raise TypeError(f"{type(self).__name__} does not say its bounds")

    @abstractmethod
    def quantile(self, u: np.ndarray) -> np.ndarray:
        """The numbers below which the share u of it lies."""

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
            value = plain(getattr(self, field))
            if not is_number(value):
                raise ValueError(f"{name}: {field} = {value!r}: wanted a finite number")
            if integer and value != int(value):
                raise ValueError(f"{name}: {field} = {value!r}: wanted an integer")
            object.__setattr__(self, field, value)
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


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class OneOf(StandIn):
    """Alternatives of structure: each is a compiled program of its own."""

    alternatives: tuple

    def __repr__(self):
        return f"one_of({', '.join(map(show, self.alternatives))})"

    def __eq__(self, other):
        return type(self) is type(other) and same(self.alternatives, other.alternatives)

    def __hash__(self):
        return self._labels_hash

    @functools.cached_property
    def _labels_hash(self) -> int:
        """As many alternatives are many labels to hash, and each structure asks for them."""
        return hash(tuple(map(str, self.labels)))

    @functools.cached_property
    def labels(self) -> list:
        """How a table names the alternatives: shortly, and no two the same."""
        return distinct(labels(self.alternatives))


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
    """One of the options: numbers are sampled within one program, all else is `one_of`.

    options: also as one list, range or array. A choice among them counts as its options.
    Errors: ValueError where there are none, or for a number that is not finite.
    """
    found = list(_options("choice", options, list | tuple | range))
    while any(isinstance(x, Choice) for x in found):
        found = [y for x in found for y in (x.options if isinstance(x, Choice) else [x])]
    if not all(isinstance(x, int | float) and not isinstance(x, bool) for x in found):
        return one_of(*_options("choice", options, list | tuple | range))
    for x in found:
        if not is_number(x):
            raise ValueError(f"choice: option {x!r}: wanted finite numbers")
    return Choice(tuple(found))


def one_of(*alternatives: Any) -> OneOf:
    """One of several structures: optimizers, sizes, activations, batch sizes, also None.

    Each alternative is compiled by itself, is as likely as the others, and may hold distributions
    of its own. A one_of among them counts as its alternatives. Equal ones are told apart by their
    places.
    alternatives: also as one list, range or array.
    Errors: ValueError where there are none.
    """
    found = _options("one_of", alternatives, list | range)
    flat = [y for x in found for y in (x.alternatives if isinstance(x, OneOf) else (x,))]
    return OneOf(tuple(flat))


def _options(name: str, given: tuple, many: Any) -> tuple:
    """What a choice is made among: NumPy's numbers as Python's."""
    if len(given) == 1 and isinstance(_rows(given[0]), many):
        given = tuple(_rows(given[0]))
    if not given:
        what = "options" if name == "choice" else "alternatives"
        raise ValueError(f"{name}: no {what}")
    if len(given) == 1 and isinstance(given[0], set | frozenset | dict | Iterator):
        raise TypeError(f"{name}: {show(given[0])} has no order of its own: give a list")
    return tuple(plain(x) for x in given)


def _rows(x: Any) -> Any:
    """An array (also of pandas) as a list of its rows; all else as it is."""
    if isinstance(x, np.ndarray | jax.Array) or type(x).__module__.startswith("pandas"):
        values = np.asarray(x).tolist()
        return [tuple(y) if isinstance(y, list) else y for y in values] if np.ndim(x) else values
    return x


def plain(x: Any) -> Any:
    """A scalar of NumPy or JAX as Python's; all else as it is."""
    scalar = isinstance(x, np.generic | np.ndarray | jax.Array) and np.ndim(x) == 0
    return x.item() if scalar and not isinstance(x, jax.core.Tracer) else x


def is_number(x: Any) -> bool:
    """Whether x is a finite number of Python's, and no bool."""
    return isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)


# ----------------------------------------------------------------------------- what to sample


@dataclasses.dataclass(frozen=True)
class Group:
    """One structure of a space: the choices that lead to it and the experiment they leave."""

    choices: tuple[tuple[str, OneOf, int], ...]
    experiment: Any

    def labels(self) -> dict[str, Any]:
        """The chosen alternatives by the name of their place."""
        return {name: where.labels[i] for name, where, i in self.choices}

    def distributions(self) -> dict[str, Distribution]:
        """The sampled numbers by name."""
        named = hyperparameters(self.experiment)
        return {name: d for name, d in named.items() if isinstance(d, Distribution)}


def groups(space: Any) -> list[Group]:
    """All structures of a space, in the order of their alternatives.

    >>> import jaxopt_edu as jo
    >>> space = jo.one_of(jo.sgd(0.1), jo.adam(jo.log_uniform(1e-4, 1e-1)))
    >>> [group.labels() for group in jo.space.groups(space)]
    [{'': 'sgd'}, {'': 'adam'}]
    """
    return list(_groups(space, ()))


def _groups(space: Any, choices: tuple) -> Iterator[Group]:
    found = next(structural(space), None)
    if found is None:
        yield Group(choices, space)
        return
    name, stands = found
    where = stands if isinstance(stands, OneOf) else _programs(name, stands)
    for i, alternative in enumerate(where.alternatives):
        chosen = with_parts(space, {name: alternative}) if name else alternative
        yield from _groups(chosen, (*choices, (name, where, i)))


def structural(
    x: Any, path: tuple[str, ...] = (), static: bool = False
) -> Iterator[tuple[str, StandIn]]:
    """What stands in the place of structure, with its name: in the order of the fields.

    That is every `one_of`, and a distribution in a field that is structure, as a size is.
    """
    if isinstance(x, StandIn):
        if isinstance(x, OneOf) or static:
            yield ".".join(path), x
        return
    fields = dataclasses.fields(x) if dataclasses.is_dataclass(x) else ()
    fixed = {f.name for f in fields if f.metadata.get("static")}
    for name, part in children(x).items():
        inner = path if name == inlined(x) else (*path, name)
        yield from structural(part, inner, static or name in fixed)


def _programs(name: str, d: StandIn) -> OneOf:
    """The numbers of a distribution as alternatives of structure."""
    if isinstance(d, Choice):
        return OneOf(tuple(dict.fromkeys(d.options)))
    if isinstance(d, IntUniform) and d.high - d.low < MOST_PROGRAMS:
        return OneOf(tuple(range(int(d.low), int(d.high) + 1)))
    what = "is structure, each value of which is a program of its own"
    raise ValueError(f"{name} = {d!r}: {name} {what}: wanted choice(...) or one_of(...) of a few")
