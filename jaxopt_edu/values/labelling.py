"""Labels: how tables and pictures name values, short, and different where the values are."""

import dataclasses
import functools
import inspect
from collections import Counter
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_edu.values.names import children, inlined
from jaxopt_edu.values.pytrees import RECIPES, Constant, StandIn, same, show

__all__ = ["distinct", "label", "labels"]

LONGEST = 60  # letters of a label
SOURCE = ("name", "seed", "preparation", "validation", "test", "sha256")  # what tells data apart


def label(value: Any) -> Any:
    """How a table names a value: numbers and strings as they are, all else by its kind.

    >>> import jaxopt_edu as jo
    >>> jo.space.label(jo.sgd(0.1)), jo.space.label((64, 32)), jo.space.label(0.5)
    ('sgd', '64-32', 0.5)
    """
    if value is ...:
        return "..."
    if value is None or isinstance(value, int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray | jax.Array):
        return value.item() if np.ndim(value) == 0 else _array(value)
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return "-".join(str(label(x)) for x in value) or "none"
    if _links(value) is not None:
        return "+".join(str(label(x)) for x in _links(value))
    if isinstance(value, functools.partial):
        return label(value.func)
    if isinstance(value, Constant) and hasattr(value, "source"):
        return value.source.name
    if isinstance(value, StandIn):
        return repr(value).partition("(")[0]
    named = getattr(value, "__name__", None)
    return named.strip("<>") if isinstance(named, str) else RECIPES.get(type(value), _kind(value))


def labels(values: Sequence[Any]) -> list[Any]:
    """A label for each value: equal values have one, others differ in it.

    Values of one kind are told apart by the arguments in which they differ, those at their
    defaults left out; and what nothing tells apart, as lambdas, by the place of the first like it.

    >>> import jaxopt_edu as jo
    >>> labels([jo.sgd(0.1), jo.sgd(0.1, momentum=0.9), jo.adam(0.1)])
    ['sgd', 'sgd(momentum=0.9)', 'adam']
    >>> labels([jo.models.MLP((64, 16, 10)), jo.models.MLP((64, 32, 16, 10)), abs])
    ['MLP 64-16-10', 'MLP 64-32-16-10', 'abs']
    """
    first = _first_like(values)
    kinds = list(dict.fromkeys(first))
    named = dict(zip(kinds, distinct(_told_apart([values[k] for k in kinds]), kinds), strict=True))
    return [named[k] for k in first]


def fields_apart(values: Sequence[Any]) -> list[dict[str, Any]]:
    """Of each of some dataclasses, the labels of the fields in which they differ; else nothing.

    >>> import jaxopt_edu as jo
    >>> fields_apart([jo.sgd(0.1), jo.sgd(0.1, momentum=0.9)])
    [{'momentum': None}, {'momentum': 0.9}]
    """
    told: list[dict[str, Any]] = [{} for _ in values]
    if not all(map(dataclasses.is_dataclass, values)):
        return told
    for name in dict.fromkeys(f.name for x in values for f in dataclasses.fields(x)):
        found = labels([getattr(x, name, None) for x in values])
        if len(set(map(str, found))) > 1:
            for one, shown in zip(told, found, strict=True):
                one[name] = shown
    return told


def distinct(names: Sequence[Any], places: Sequence[int] | None = None) -> list[Any]:
    """The names, with their places where two are the same: a, b, a -> a #0, b, a #2"""
    names = [x if len(str(x)) <= LONGEST else f"{str(x)[:LONGEST]}..." for x in names]
    texts = [str(x) for x in names]
    numbered = enumerate(names) if places is None else zip(places, names, strict=True)
    times = Counter(texts)
    return [x if times[str(x)] == 1 else f"{x} #{i}" for i, x in numbered]


def _links(value: Any) -> Any:
    """What a chain is made of; None for what is no chain."""
    links = getattr(value, inlined(value) or "", None)
    return links if isinstance(links, tuple) and "weights" not in children(value) else None


def _kind(value: Any) -> str:
    """The class of a value; of one that has no parts but says what it is, its repr."""
    plain = not children(value) and not callable(value)
    own = type(value).__repr__ is not object.__repr__
    return show(value) if plain and own and len(repr(value)) < LONGEST else type(value).__name__


def _array(x: Any) -> str:
    return (
        f"[{', '.join(map(str, map(_text, x.tolist())))}]" if x.size <= 4 else show(np.asarray(x))
    )


def _like(x: Any, y: Any) -> bool:
    """Whether two values are equal, as far as they can be compared."""
    try:
        return same(x, y)
    except (TypeError, ValueError):
        return False


def _first_like(values: Sequence[Any]) -> list[int]:
    """For each value the place of the first that is equal to it.

    Equal values have one kind, so only those of a kind are compared.
    """
    kinds: dict[Any, list[int]] = {}  # the places of values that differ, by their kind
    first = []
    for i, x in enumerate(values):
        seen = kinds.setdefault(_kind_of(x), [])
        k = next((k for k in seen if _like(x, values[k])), i)
        if k == i:
            seen.append(i)
        first.append(k)
    return first


def _kind_of(x: Any) -> Any:
    """What equal values (see `same`) have in common, as far as it has a hash."""
    try:
        leaves, structure = jax.tree.flatten(x, is_leaf=lambda y: isinstance(y, Constant))
        numbers = tuple(None if hasattr(y, "dtype") else y for y in leaves)
        hash((structure, numbers))
    except (TypeError, ValueError):  # no hash, or keys that have no order
        return type(x)
    return type(x), structure, numbers


def _told_apart(values: Sequence[Any]) -> list[Any]:
    """The labels of values, longer where two of them are the same."""
    names = [label(value) for value in values]
    like: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        like.setdefault(str(name), []).append(i)
    for text, places in like.items():
        longer = _longer(text, [values[i] for i in places]) if len(places) > 1 else [text]
        for i, name in zip(places, longer, strict=True):
            names[i] = name if name != text else names[i]
    return names


def _longer(name: str, values: list[Any]) -> list[str]:
    """What values of one label are called by what differs between them."""
    if all(_links(x) is not None for x in values):
        return _joined(name, "+", [_links(x) for x in values])
    if all(type(x) is tuple or type(x) is list for x in values):
        return _joined(name, "-", values)
    if any(type(x) is not type(values[0]) for x in values):
        return [name] * len(values)
    if isinstance(values[0], StandIn):
        return [repr(x) for x in values]
    told = [_arguments(x) for x in values]
    return _called(name, told, [_default(values[0], key) for key in _keys(told)])


def _joined(name: str, sign: str, values: list[Sequence]) -> list[str]:
    if len({len(x) for x in values}) > 1:
        return [name] * len(values)
    columns = [_told_apart(column) for column in zip(*values, strict=True)]
    return [sign.join(str(x) for x in row) for row in zip(*columns, strict=True)]


def _keys(told: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for one in told for key in one))


def _arguments(x: Any) -> dict[str, Any]:
    """What a value was made with, by name."""
    if isinstance(x, functools.partial):
        return {**{str(i): y for i, y in enumerate(x.args)}, **x.keywords}
    if isinstance(x, Constant):
        source = getattr(x, "source", None)
        told = {name: getattr(source, name) for name in SOURCE if hasattr(source, name)}
        return told | {"sha256": str(told.get("sha256", ""))[:8], "folds": _count(x)}
    if inspect.isroutine(x) or isinstance(x, type | str):
        return {}
    own = inlined(x)
    told = {k: y for k, y in children(x).items() if k != own or not isinstance(y, dict)}
    return told | (getattr(x, own) if own is not None and own not in told else {})


def _count(x: Any) -> Any:
    return len(x) if hasattr(x, "__len__") else None


def _default(x: Any, name: str) -> Any:
    fields = {f.name: f.default for f in dataclasses.fields(x)} if _is_value(x) else {}
    return fields.get(name, dataclasses.MISSING)


def _is_value(x: Any) -> bool:
    return dataclasses.is_dataclass(x) and not isinstance(x, type)


def _called(name: str, told: list[dict[str, Any]], defaults: list[Any]) -> list[str]:
    """name(argument=..., ...) with the arguments that differ; sizes come first: MLP 64-16-10.

    Where the rest suffices, distributions that differ in their bounds only are left out.
    """
    columns = {}
    for key, default in zip(_keys(told), defaults, strict=True):
        given = [one.get(key) for one in told]
        parts = _told_apart(given)
        if len({str(part) for part in parts}) > 1:
            columns[key] = given, parts, default
    ranges = {key for key, (given, _, _) in columns.items() if _ranges(given)}
    short = _written(name, {k: x for k, x in columns.items() if k not in ranges}, len(told))
    return short if len(set(short)) == len(short) else _written(name, columns, len(told))


def _ranges(values: list[Any]) -> bool:
    """Whether these are distributions of one kind."""
    return all(isinstance(x, StandIn) for x in values) and len({label(x) for x in values}) == 1


def _written(name: str, columns: dict[str, tuple], count: int) -> list[str]:
    out = []
    for i in range(count):
        head, inner = name, []
        for key, (given, parts, default) in columns.items():
            absent = given[i] is None and default is dataclasses.MISSING
            if key == "sizes":
                head = f"{name} {parts[i]}"
            elif not absent and not _like(given[i], default):
                inner.append(f"{key}={_text(parts[i])}")
        out.append(f"{head}{' ' * (head != name)}({', '.join(inner)})" if inner else head)
    return out


def _text(x: Any) -> str:
    return f"{x:.6g}" if isinstance(x, float) else str(x)
