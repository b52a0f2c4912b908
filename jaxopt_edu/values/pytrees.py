"""Values: frozen dataclasses that are pytrees, whose numbers are leaves.

Everything in this library that has a number in it is one of these. Numbers (and whatever stands
in for them: arrays, tracers, schedules, distributions) are leaves; strings, sizes, flags and plain
functions are structure. `None` means absent.
"""

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, dataclass_transform

import jax
import numpy as np
from jax.tree_util import GetAttrKey

from jaxopt_edu.values.asides import UNTOLD, Aside, traced
from jaxopt_edu.values.hashing import Structure, hashable
from jaxopt_edu.values.messages import nearest as nearest
from jaxopt_edu.values.messages import show as show

T = TypeVar("T")
P = ParamSpec("P")


# ------------------------------------------------------------------------------------- fields


def static(
    *, default: Any = dataclasses.MISSING, among: Any = (), least: Any = None, kw_only: bool = False
) -> Any:
    """A field that is structure: hashable, compared at trace time, never a leaf.

    Where `among` names things, a string must be one of them. least: the value is an integer of at
    least this much, or with (1,) a tuple of integers of at least 1; None, where it is the default.
    """
    metadata = {"static": True, "among": among, "least": least}
    return dataclasses.field(default=default, kw_only=kw_only, metadata=metadata)


def mask(*, default: Any = dataclasses.MISSING) -> Any:
    """A field that marks parameters: structure, a prefix tree of bools or params -> such a tree.

    Inside a rule for one array (`core.Rule`) it is one bool, that of the array's parameter; where
    the field is None, True.
    """
    return dataclasses.field(default=default, metadata={"static": True, "mask": True})


def aside(*, default: Any = dataclasses.MISSING) -> Any:
    """A field for the host only: no leaf, and no compiled program depends on it or may read it."""
    return dataclasses.field(default=default, metadata={"static": True, "aside": True})


def number(
    low: float = -math.inf,
    high: float = math.inf,
    *,
    default: Any = dataclasses.MISSING,
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


class StandIn:
    """Base of what stands in the place of something that is yet to be chosen: it has no parts."""


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Function:
    """A plain function in the place of a number: structure, not a leaf."""

    call: Callable


def _wrap(child: Any) -> Any:
    """The child with its plain functions marked as structure."""
    if type(child) is dict or type(child) is tuple:
        parts = child.values() if type(child) is dict else child
        return jax.tree.map(_wrap, child) if any(map(callable, parts)) else child
    plain = callable(child) and jax.tree_util.all_leaves([child])
    return Function(child) if plain else child


def _unwrap(child: Any) -> Any:
    """The inverse of `_wrap`."""
    if isinstance(child, Function):
        return child.call
    if type(child) is dict or type(child) is tuple:
        parts = child.values() if type(child) is dict else child
        if any(isinstance(part, Function) for part in parts):
            return jax.tree.map(_unwrap, child, is_leaf=lambda x: isinstance(x, Function))
    return child


@dataclass_transform(
    frozen_default=True,
    eq_default=False,
    field_specifiers=(static, mask, aside, number, dataclasses.field),
)
def pytree(cls: type[T]) -> type[T]:
    """Make cls a frozen dataclass and a pytree; `static` fields and functions are structure.

    Two values are equal (one bool) when they have the same structure and leaves of the same dtype
    and value. The repr is a call that makes an equal value. A call of the class checks Python
    numbers (`check`); JAX rebuilds values without a call, so it may put anything in the fields.
    """
    kind: Any = cls
    if not hasattr(kind, "__post_init__"):
        kind.__post_init__ = check
    new: Any = dataclasses.dataclass(frozen=True, eq=False, repr=False)(kind)
    fields = dataclasses.fields(new)
    names = [f.name for f in fields if not f.metadata.get("static")]
    fixed = [f.name for f in fields if f.metadata.get("static")]
    hidden = {f.name for f in fields if f.metadata.get("aside")}
    keys = [GetAttrKey("" if name == vars(cls).get("inlined") else name) for name in names]

    def flatten(self):
        children = tuple(_wrap(getattr(self, name)) for name in names)
        structure = [(name, getattr(self, name)) for name in fixed]
        return children, hashable(tuple(Aside(x) if n in hidden else x for n, x in structure))

    def flatten_with_keys(self):
        children, aux = flatten(self)
        return tuple(zip(keys, children, strict=True)), aux

    def unflatten(aux, children):
        self = object.__new__(new)
        for name, value in zip(names, children, strict=True):
            object.__setattr__(self, name, _unwrap(value))
        structure = aux.fields if isinstance(aux, Structure) else aux
        untold = bool(hidden) and traced(children)
        for name, value in zip(fixed, structure, strict=True):
            if isinstance(value, Aside):
                value = UNTOLD if untold else value.value
            object.__setattr__(self, name, value)
        return self

    for name, method in (("__eq__", same), ("__hash__", _hash), ("__repr__", _repr)):
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


def same(x: Any, y: Any) -> bool:
    """Whether any two values are equal: in type, structure, and the dtypes and values of leaves."""
    if x is y:
        return True
    if type(x) is not type(y):
        return False
    if isinstance(x, Constant) and type(x).__eq__ is not same:
        return bool(x == y)
    (xs, this), (ys, that) = _numbers(x), _numbers(y)
    return bool(this == that) and all(map(_same, xs, ys))


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
        if dataclasses.is_dataclass(f.default) and value == f.default and _is_bare(value):
            continue
        shown.append(f"{f.name}={show(value)}")
    return f"{type(self).__name__}({', '.join(shown)})"


def _is_bare(x: Any) -> bool:
    """Whether a value has no numbers."""
    return not jax.tree.leaves(x)


# ------------------------------------------------------------------------------------- recipes


def check(x: Any) -> Any:
    """x, after a look at its Python numbers; arrays, tracers, schedules and None pass unseen."""
    for f in dataclasses.fields(x):
        if f.metadata.get("among"):
            given = getattr(x, f.name)
            for one in getattr(given, "alternatives", (given,)):
                if not callable(one) and not isinstance(one, StandIn):
                    resolve_among(f.name, one, f.metadata["among"])
        if f.metadata.get("least") is not None:
            check_sizes(f.name, getattr(x, f.name), f.metadata["least"], f.default is None)
        if "low" not in f.metadata:
            continue
        value, low, high = getattr(x, f.name), f.metadata["low"], f.metadata["high"]
        if isinstance(value, str):
            raise TypeError(f"{f.name} = {value!r}: wanted a number")
        leaves = jax.tree.leaves(value) if isinstance(value, dict | tuple) else [value]
        numbers = [x for x in leaves if isinstance(x, int | float | np.generic)]
        if hasattr(value, "bounds"):  # a distribution: its ends must be legal
            numbers = list(value.bounds())
        for v in numbers:
            if not (low <= v < high or (f.metadata["closed"] and v == high)):
                end = "]" if f.metadata["closed"] else ")"
                raise ValueError(f"{f.name} = {value} is outside [{low:g}, {high:g}{end}")
    return x


def resolve_among(field: str, value: Any, names: Any) -> None:
    """TypeError or ValueError where value is none of the names."""
    if not isinstance(value, str):
        raise TypeError(f"{field} = {show(value)[:60]}: wanted one of: {', '.join(names)}")
    if value not in names:
        raise ValueError(f"{field} = {value!r} is unknown; {nearest(value, names)}")


def check_count(name: str, value: Any, least: int = 1) -> None:
    """ValueError unless value is an integer of at least this much."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} = {value!r}: wanted an integer, at least {least}")


def check_sizes(name: str, value: Any, least: Any, optional: bool = False) -> None:
    """TypeError or ValueError unless value is such an integer, or tuple, or None; see `static`."""
    if optional and value is None:
        return
    if isinstance(value, StandIn):
        parts: Any = [(name, one, least, optional) for one in _several(value)]
    elif not isinstance(least, tuple):
        return check_count(name, value, least)
    elif isinstance(value, tuple | list):
        parts = [(f"{name}[{k}]", one, least[0]) for k, one in enumerate(value)]
    else:
        raise TypeError(f"{name} = {show(value)}: wanted a tuple of sizes")
    for part in parts:
        check_sizes(*part)


def _several(given: StandIn) -> tuple:
    """The values that it may become, where it says so."""
    return getattr(given, "alternatives", getattr(given, "options", ()))


SEEDS = 2**32  # of jax.random: a seed is less


def check_seed(value: Any, most: int | None = SEEDS - 1, name: str = "seed") -> int:
    """The seed as an int. ValueError unless it is an integer from 0 to most (None: of any size)."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 0 or (most is not None and value > most):
        end = "" if most is None else f" to {most}"
        raise ValueError(f"{name} = {value!r}: wanted an integer from 0{end}")
    return int(value)


RECIPES: dict[Any, str] = {}  # class -> the name of its recipe


def recipe(name: str, cls: Callable[P, T]) -> Callable[P, T]:
    """The lower-case function that makes the value.

    Its signature, defaults and docstring are those of the class, so they cannot drift apart.
    """
    signature = inspect.signature(cls)

    def build(*args: P.args, **kwargs: P.kwargs) -> T:
        for unknown in kwargs.keys() - signature.parameters.keys():
            hint = nearest(unknown, signature.parameters)
            raise TypeError(f"{name}: there is no argument {unknown!r}; {hint}")
        return cls(*args, **kwargs)

    functools.update_wrapper(build, cls, assigned=("__module__", "__doc__"), updated=())
    build.__name__ = build.__qualname__ = name
    RECIPES[cls] = name
    vars(build).update(__signature__=signature)
    del vars(build)["__wrapped__"]
    return build
