"""Names of the numbers in a value, and replacement by those names."""

import dataclasses
from typing import Any, TypeVar

import jax

from jaxopt_edu.value import Constant, nearest

T = TypeVar("T")


def _name(path: tuple) -> str:
    parts = (str(getattr(k, "name", getattr(k, "key", getattr(k, "idx", k)))) for k in path)
    return ".".join(part for part in parts if part)


def hyperparameters(x: Any) -> dict[str, Any]:
    """The numbers of any value by dotted name, in the order of its leaves; data are left out.

    >>> import jaxopt_edu as jo
    >>> jo.hyperparameters(jo.chain(jo.clip(1.0), jo.sgd(0.1, momentum=0.9)))
    {'0.max_delta': 1.0, '1.learning_rate': 0.1, '1.momentum': 0.9}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(
        x, is_leaf=lambda node: isinstance(node, Constant)
    )
    return {_name(path): leaf for path, leaf in leaves if not isinstance(leaf, Constant)}


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


def recipes(chapter: Any) -> dict[str, Any]:
    """The lower-case public functions of a chapter by name."""
    return {name: getattr(chapter, name) for name in chapter.__all__ if name.islower()}


def replace(x: T, /, **changes: Any) -> T:
    """x with other numbers or parts, named as in `hyperparameters`, or by an unambiguous ending.

    >>> import jaxopt_edu as jo
    >>> jo.replace(jo.sgd(0.1), learning_rate=0.2)
    SGD(learning_rate=0.2)
    """
    for name, value in changes.items():
        try:
            x = _put(x, name.split("."), value)
        except LookupError:
            x = _put(x, resolve(name, parts(x)).split("."), value)
    return x


def parts(x: Any) -> list[str]:
    """The dotted names of everything in x that `replace` can replace, numbers and structure."""
    if dataclasses.is_dataclass(x) and not isinstance(x, type | Constant):
        inlined = getattr(type(x), "inlined", None)
        named = {f.name: getattr(x, f.name) for f in dataclasses.fields(x)}
        if inlined is not None:
            return parts(named[inlined])
    elif isinstance(x, dict):
        named = x
    elif type(x) is tuple:
        named = {str(i): part for i, part in enumerate(x)}
    else:
        return []
    return [p for name, y in named.items() for p in (name, *(f"{name}.{q}" for q in parts(y)))]


def _put(x: Any, path: list[str], value: Any) -> Any:
    """x with the part at path replaced; LookupError where there is none."""
    if not path:
        return value
    head, *rest = path
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        if head in {f.name for f in dataclasses.fields(x)}:
            return dataclasses.replace(x, **{head: _put(getattr(x, head), rest, value)})
        only = getattr(type(x), "inlined", None)  # a chain is named by its links' numbers
        if only is None:
            raise LookupError(head)
        return dataclasses.replace(x, **{only: _put(getattr(x, only), path, value)})
    if isinstance(x, dict):
        for key in x:
            if str(key) == head:  # the boundaries of a schedule are integers
                return x | {key: _put(x[key], rest, value)}
        raise LookupError(head)
    if isinstance(x, tuple) and head.isdigit() and int(head) < len(x):
        parts = list(x)
        parts[int(head)] = _put(x[int(head)], rest, value)
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    raise LookupError(head)
