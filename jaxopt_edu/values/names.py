"""Names of the numbers in a value, and replacement by those names."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import numpy as np

from jaxopt_edu.values.pytrees import Constant, StandIn, nearest

T = TypeVar("T")


def _name(path: tuple) -> str:
    parts = (str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in path)
    return ".".join(part for part in parts if part)


def leaves_by_place(x: Any) -> dict[str, Any]:
    """The leaves of any tree by their places, such as "['layers'][0]"."""
    return {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree.leaves_with_path(x)}


def is_constant(x: Any) -> bool:
    """Whether x is given, not chosen (data), so that no number of it is a hyperparameter."""
    return isinstance(x, Constant)


def hyperparameters(x: Any) -> dict[str, Any]:
    """The numbers of any value by dotted name, in the order of its leaves; data are left out.

    Errors: ValueError where two numbers have one name, as in {"a": {"b": 1}, "a.b": 2}.

    >>> import jaxopt_edu as jo
    >>> jo.hyperparameters(jo.chain(jo.clip(1.0), jo.sgd(0.1, momentum=0.9)))
    {'0.max_delta': 1.0, '1.learning_rate': 0.1, '1.momentum': 0.9}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(x, is_leaf=is_constant)
    named: dict[str, Any] = {}
    for path, leaf in leaves:
        name = _name(path)
        if is_constant(leaf):
            continue
        if name in named:
            raise ValueError(f"two numbers have the name {name!r}: give them other keys")
        named[name] = leaf
    return named


def smooth_numbers(x: Any) -> dict[str, Any]:
    """The hyperparameters of x but those declared with smooth=False, all below them included.

    >>> import jaxopt_edu as jo
    >>> smooth_numbers(jo.lion(0.1, weight_decay=0.5))
    {'learning_rate': 0.1, 'weight_decay': 0.5}
    """
    return hyperparameters(_without_jumps(x))


def _without_jumps(x: Any) -> Any:
    """x with None for what is declared with smooth=False."""
    if dataclasses.is_dataclass(x) and not isinstance(x, type | Constant):
        fields = [f for f in dataclasses.fields(x) if not f.metadata.get("static")]
        kept = {
            f.name: _without_jumps(getattr(x, f.name)) if f.metadata.get("smooth", True) else None
            for f in fields
        }
        return dataclasses.replace(x, **kept)
    if isinstance(x, dict):
        return {key: _without_jumps(part) for key, part in x.items()}
    if type(x) is tuple:
        return tuple(map(_without_jumps, x))
    return x


def resolve(name: str, names: Any) -> str:
    """The full name that `name` means: itself, or the only one that ends with it."""
    names = list(names)
    if name in names:
        return name
    ends = [n for n in names if n.endswith("." + name)]
    if len(ends) == 1:
        return ends[0]
    if ends:
        raise ValueError(f"{name!r} is ambiguous: it may mean {', '.join(ends)}")
    raise ValueError(f"unknown name {name!r}; {nearest(name, names)}")


def short_names(names: Sequence[str]) -> list[str]:
    """The shortest ending of each name that no other has, and that is no mere number.

    >>> short_names(["optimizer.learning_rate", "model.sizes.1", "server.learning_rate"])
    ['optimizer.learning_rate', 'sizes.1', 'server.learning_rate']
    """
    endings = [[".".join(n.split(".")[k:]) for k in range(n.count("."), -1, -1)] for n in names]
    count = Counter(ending for own in endings for ending in own)
    return [
        next((e for e in own if count[e] == 1 and not e[:1].isdigit()), own[-1]) for own in endings
    ]


def recipes(chapter: Any) -> dict[str, Any]:
    """The lower-case public functions of a chapter by name."""
    return {name: getattr(chapter, name) for name in chapter.__all__ if name.islower()}


def replace(x: T, /, **changes: Any) -> T:
    """x with other numbers or parts, named as in `hyperparameters`, or by an unambiguous ending.

    Errors: ValueError for a name of nothing, of several things, or of something else than in the
        version before this one.

    >>> import jaxopt_edu as jo
    >>> jo.replace(jo.sgd(0.1), learning_rate=0.2)
    SGD(learning_rate=0.2)
    """
    for name, value in changes.items():
        x = with_parts(x, {name_of_today(x, name): value})
    return x


def with_parts(x: T, changes: Mapping[str, Any]) -> T:
    """`replace` for names that are of today, as those of `hyperparameters` and of columns."""
    for name, value in changes.items():
        try:
            x = _put(x, name, value)
        except LookupError:
            x = _put(x, resolve(name, parts(x)), value)
    return x


def name_of_today(x: Any, name: str) -> str:
    """The name of a part of x that a user gives by a name that it may have had before.

    A class whose parts were renamed says so by a method `new_name(name)`.
    """
    if isinstance(x, StandIn):
        return name
    if hasattr(type(x), "new_name"):
        new: str = x.new_name(name)
        return new
    for key, part in children(x).items():
        if name.startswith(f"{key}."):
            return f"{key}.{name_of_today(part, name.removeprefix(f'{key}.'))}"
    for part in children(x).values():
        name = name_of_today(part, name)  # an ending
    return name


def parts(x: Any) -> list[str]:
    """The dotted names of everything in x that `replace` can replace, numbers and structure."""
    if isinstance(x, StandIn):
        return []
    named = children(x)
    own = inlined(x)  # a chain's links are named by number
    first = parts(named.pop(own)) if own in named else []
    below = [p for name, y in named.items() for p in (name, *(f"{name}.{q}" for q in parts(y)))]
    return [*first, *(p for p in below if p not in first)]


def children(x: Any) -> dict[str, Any]:
    """What lies directly in x, by name; nothing in a number, a function, data."""
    if isinstance(x, type | Constant):
        return {}
    if dataclasses.is_dataclass(x):
        return {f.name: getattr(x, f.name) for f in dataclasses.fields(x)}
    if isinstance(x, dict):
        return {str(key): part for key, part in x.items()}
    if isinstance(x, list | tuple):
        return dict(zip(getattr(x, "_fields", map(str, range(len(x)))), x, strict=True))
    if jax.tree_util.all_leaves([x]):
        return {}
    inner, _ = jax.tree_util.tree_flatten_with_path(x, is_leaf=lambda node: node is not x)
    return {_name(path): part for path, part in inner}


def inlined(x: Any) -> str | None:
    """The field of a value's class whose parts are named as parts of the value itself, if any.

    A class says so by `inlined = "<field>"`: a chain's numbers are `0.learning_rate`, not
    `transforms.0.learning_rate`.
    """
    found: str | None = getattr(x if isinstance(x, type) else type(x), "inlined", None)
    return found


def vectors(x: Any, path: tuple[str, ...] = (), declared: bool = False) -> Iterator[tuple]:
    """(name, vector) of every vector in a field declared `number()`: what a batch is made of."""
    if isinstance(x, jax.Array | np.ndarray):
        if declared and x.ndim == 1 and not jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            yield ".".join(path), x
        return
    if isinstance(x, StandIn):
        return
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        fields = {f.name: "low" in f.metadata for f in dataclasses.fields(x)}
    else:
        fields = {}
    for name, part in children(x).items():
        inner = path if name == inlined(x) else (*path, name)
        yield from vectors(part, inner, fields.get(name, declared and not fields))


def _put(x: Any, name: str, value: Any) -> Any:
    """x with the part of that name replaced; LookupError where there is none."""
    named = children(x)
    for key, part in named.items():
        if name == key:
            return _with(x, key, value)
        if name.startswith(f"{key}."):  # a key may have dots itself
            try:
                return _with(x, key, _put(part, name[len(key) + 1 :], value))
            except LookupError:
                continue
    only = inlined(x)  # a chain is named by its links' numbers
    if only is None or only not in named:
        raise LookupError(name)
    return _with(x, only, _put(named[only], name, value))


def _with(x: Any, name: str, value: Any) -> Any:
    """x with one of its children replaced."""
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        return dataclasses.replace(x, **{name: value})
    if isinstance(x, dict):  # the boundaries of a schedule are integers
        return x | {key: value for key in x if str(key) == name}
    place = list(children(x)).index(name)
    if isinstance(x, list | tuple):
        new = [*x[:place], value, *x[place + 1 :]]
        return type(x)(*new) if hasattr(x, "_fields") else type(x)(new)
    inner, structure = jax.tree_util.tree_flatten(x, is_leaf=lambda node: node is not x)
    return jax.tree.unflatten(structure, [*inner[:place], value, *inner[place + 1 :]])
