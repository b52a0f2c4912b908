"""Values: frozen dataclasses that are pytrees, whose numbers are leaves.

Everything in this library that has a number in it is one of these. Numbers (and whatever stands
in for them: arrays, tracers, schedules, distributions) are leaves; strings, sizes, flags and plain
functions are structure. `None` means absent.
"""

import dataclasses
import difflib
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, dataclass_transform

import jax
import numpy as np
from jax.tree_util import GetAttrKey

T = TypeVar("T")
P = ParamSpec("P")


# ------------------------------------------------------------------------------------- fields


def static(default: Any = dataclasses.MISSING, *, among: Any = (), kw_only: bool = False) -> Any:
    """A field that is structure: hashable, compared at trace time, never a leaf.

    Where `among` names things, a string must be one of them.
    """
    metadata = {"static": True, "among": among}
    return dataclasses.field(default=default, kw_only=kw_only, metadata=metadata)


def number(
    default: Any = dataclasses.MISSING,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    closed: bool = False,
    smooth: bool = True,
    kw_only: bool = False,
) -> Any:
    """A hyperparameter in [low, high), or in [low, high] when closed.

    smooth=False declares that the rule jumps or is constant in it, so that its derivative, though
    finite, says nothing.
    """
    bounds = {"low": low, "high": high, "closed": closed, "smooth": smooth}
    return dataclasses.field(default=default, kw_only=kw_only, metadata=bounds)


# ---------------------------------------------------------------------------------- the pytree


class Constant:
    """Base of values that are given, not chosen (data): no part of them is a hyperparameter."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Function:
    """A plain function in the place of a number: structure, not a leaf."""

    call: Callable


def _wrap(child: Any) -> Any:
    plain = callable(child) and jax.tree_util.all_leaves([child])
    return Function(child) if plain else child


def _unwrap(child: Any) -> Any:
    return child.call if isinstance(child, Function) else child


class FrozenDict(dict):
    """A dict that never changes and can be hashed: how a tree of bools becomes structure."""

    def __hash__(self):  # type: ignore[override]
        return hash(frozenset(self.items()))


def _frozen(x: Any) -> Any:
    if isinstance(x, dict):
        return FrozenDict({k: _frozen(v) for k, v in x.items()})
    return tuple(map(_frozen, x)) if isinstance(x, list) else x


@dataclass_transform(
    frozen_default=True, eq_default=False, field_specifiers=(static, number, dataclasses.field)
)
def pytree(cls: type[T]) -> type[T]:
    """Make cls a frozen dataclass and a pytree; `static` fields and functions are structure.

    Two values are equal (one bool) when they have the same structure and leaves of the same dtype
    and value. The repr is a call that makes an equal value. A call of the class checks Python
    numbers (`check`); JAX rebuilds values without a call, so it may put anything in the fields.
    """
    if not hasattr(cls, "__post_init__"):
        cls.__post_init__ = check
    new = dataclasses.dataclass(frozen=True, eq=False, repr=False)(cls)
    names = [f.name for f in dataclasses.fields(new) if not f.metadata.get("static")]  # type: ignore[arg-type]
    fixed = [f.name for f in dataclasses.fields(new) if f.metadata.get("static")]  # type: ignore[arg-type]
    keys = [GetAttrKey("" if name == vars(cls).get("inlined") else name) for name in names]

    def flatten(self):
        children = tuple(_wrap(getattr(self, name)) for name in names)
        return children, tuple(_frozen(getattr(self, name)) for name in fixed)

    def flatten_with_keys(self):
        children, aux = flatten(self)
        return tuple(zip(keys, children, strict=True)), aux

    def unflatten(aux, children):
        self = object.__new__(new)
        for name, value in zip(names, children, strict=True):
            object.__setattr__(self, name, _unwrap(value))
        for name, value in zip(fixed, aux, strict=True):
            object.__setattr__(self, name, value)
        return self

    for name, method in (("__eq__", _equal), ("__hash__", _hash), ("__repr__", _repr)):
        if name not in vars(cls):
            setattr(new, name, method)
    jax.tree_util.register_pytree_with_keys(new, flatten_with_keys, unflatten, flatten)
    return new


# ------------------------------------------------------------------------- equality and printing


def _same(x: Any, y: Any) -> bool:
    if type(x) is not type(y) and not (hasattr(x, "dtype") and hasattr(y, "dtype")):
        return False
    if not hasattr(x, "dtype"):
        return bool(x == y)
    if x.dtype != y.dtype or np.shape(x) != np.shape(y):
        return False
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        x, y = jax.random.key_data(x), jax.random.key_data(y)
    x, y = np.asarray(x), np.asarray(y)
    return bool(np.all((x == y) | ((x != x) & (y != y))))


def _equal(self: Any, other: Any) -> bool:
    if self is other:
        return True
    if type(self) is not type(other):
        return False
    (xs, this), (ys, that) = _numbers(self), _numbers(other)
    return this == that and all(map(_same, xs, ys))


def _numbers(self: Any) -> tuple[list, Any]:
    """Leaves and structure, data inside taken as leaves that are equal by their source."""
    return jax.tree.flatten(self, is_leaf=lambda x: isinstance(x, Constant) and x is not self)


def _hash(self: Any) -> int:
    leaves, structure = _numbers(self)
    return hash((structure, tuple(leaves)))


def _repr(self: Any) -> str:
    shown = []
    for f in dataclasses.fields(self):
        value = getattr(self, f.name)
        if (f.metadata.get("static") or value is None) and value is f.default:
            continue
        if f.metadata.get("static") and value == f.default:
            continue
        shown.append(f"{f.name}={show(value)}")
    return f"{type(self).__name__}({', '.join(shown)})"


def show(value: Any) -> str:
    """One line for any value: functions by name, arrays of more than four numbers by shape."""
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return value.__name__
    if hasattr(value, "dtype") and (isinstance(value, jax.core.Tracer) or value.size > 4):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, tuple) and type(value) is tuple:
        return f"({', '.join(map(show, value))}{',' if len(value) == 1 else ''})"
    return " ".join(repr(value).split())


# --------------------------------------------------------------------------- names of the numbers


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


def nearest(name: str, names: Any) -> str:
    """The hint that ends an error about an unknown name."""
    names = list(names)
    short = {n.rsplit(".", 1)[-1]: n for n in reversed(names)} | {n: n for n in names}
    close = difflib.get_close_matches(name, short, 1, 0.5)
    if close:
        return f"did you mean {short[close[0]]!r}?"
    return f"there are: {', '.join(names)}" if names else "there is nothing to name"


def replace(x: T, **changes: Any) -> T:
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
        if head not in x:
            raise LookupError(head)
        return x | {head: _put(x[head], rest, value)}
    if isinstance(x, tuple) and head.isdigit() and int(head) < len(x):
        parts = list(x)
        parts[int(head)] = _put(x[int(head)], rest, value)
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    raise LookupError(head)


# ------------------------------------------------------------------------------------- recipes


def check(x: T) -> T:
    """x, after a look at its Python numbers; arrays, tracers, schedules and None pass unseen."""
    for f in dataclasses.fields(x):  # type: ignore[arg-type]
        if isinstance(getattr(x, f.name), str) and f.metadata.get("among"):
            resolve_among(f.name, getattr(x, f.name), f.metadata["among"])
        if "low" not in f.metadata:
            continue
        value, low, high = getattr(x, f.name), f.metadata["low"], f.metadata["high"]
        if isinstance(value, str):
            raise TypeError(f"{f.name} = {value!r}: wanted a number")
        numbers = [value] if isinstance(value, int | float | np.generic) else []
        if hasattr(value, "bounds"):  # a distribution: its ends must be legal
            numbers = list(value.bounds())
        for v in numbers:
            if not (low <= v < high or f.metadata["closed"] and v == high):
                end = "]" if f.metadata["closed"] else ")"
                raise ValueError(f"{f.name} = {value} is outside [{low:g}, {high:g}{end}")
    return x


def resolve_among(field: str, value: str, names: Any) -> None:
    """ValueError where value is none of the names."""
    if value not in names:
        raise ValueError(f"{field} = {value!r} is unknown; {nearest(value, names)}")


def recipe(name: str, cls: Callable[P, T]) -> Callable[P, T]:
    """The lower-case function that makes the value.

    Its signature, defaults and docstring are those of the class, so they cannot drift apart.
    """

    def build(*args: P.args, **kwargs: P.kwargs) -> T:
        return cls(*args, **kwargs)

    functools.update_wrapper(build, cls, assigned=("__module__", "__doc__"), updated=())
    build.__name__ = build.__qualname__ = name
    setattr(cls, "recipe", name)
    build.__signature__ = inspect.signature(cls)  # type: ignore[attr-defined]
    del build.__wrapped__  # type: ignore[attr-defined]
    return build
