"""What classes and objects are: their members, their state."""

import copyreg
import dataclasses
import functools
import types
from typing import Any, NamedTuple

import numpy as np

from jaxopt_edu.storage.identity.owners import library
from jaxopt_edu.storage.identity.walk import Note, Walk, kind_of, short

DERIVED = {
    "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__dict__",
    "__doc__", "__firstlineno__", "__match_args__", "__module__", "__name__", "__orig_bases__",
    "__parameters__", "__qualname__", "__slotnames__", "__slots__", "__static_attributes__",
    "__weakref__", "__signature__", "__dataclass_fields__", "__dataclass_params__",
    "__abstractmethods__", "__type_params__", "_abc_impl",
}  # fmt: skip
_OF_C = (types.MemberDescriptorType, types.GetSetDescriptorType)


def kind(walk: Walk, cls: type, place: str) -> None:
    """The class of an object: a library's by version, one's own by what is in it."""
    of = _library_of(cls) and walk.library(cls.__module__)
    walk.parts[place] = f"{cls.__qualname__}{f' of {of}' if of else ''}"
    if of is None:
        walk.value(cls, f"{place} -> {cls.__name__}")


def _library_of(cls: type) -> str | None:
    """The library of a class; none where it has functions of the user's own.

    Classes that `exec` and `make_dataclass` make may name a module of Python's.
    """
    of = library(cls.__module__)
    if of is None:
        return None
    functions = [m for m in vars(cls).values() if isinstance(m, types.FunctionType)]
    own = any(library(f.__globals__.get("__name__")) is None for f in functions)
    return None if own else of


def cls(walk: Walk, x: Any, place: str) -> None:
    """A class: its bases, fields, methods and constants."""
    number, of = _number_type(x), _library_of(x) and walk.library(x.__module__)
    if number is not None or of is not None:
        walk.parts[place] = f"dtype {number}" if number else f"{of}: {x.__qualname__}"
        return
    if walk.met(x, place):
        return
    walk.parts[place] = f"class {x.__qualname__}"
    for base in x.__bases__:
        if base is not object:
            walk.value(base, f"{place}.{base.__name__}")
    if type(x) is not type:
        walk.value(type(x), f"{place}.metaclass")
    fields = vars(x).get("__dataclass_fields__", {})
    if fields:
        _fields(walk, fields, place)
    for name, member in sorted(vars(x).items()):
        derived = name in DERIVED or name in fields or (fields and _generated(member))
        if not derived and not isinstance(member, _OF_C):
            walk.value(member, f"{place}.{name}")


def _fields(walk: Walk, fields: dict[str, Any], place: str) -> None:
    walk.parts[f"{place}.fields"] = short(", ".join(fields), "fields")
    for name, f in fields.items():
        told = {"default": f.default, "factory": f.default_factory}
        told = {k: v for k, v in told.items() if v is not dataclasses.MISSING}
        told |= {"metadata": f.metadata} if f.metadata else {}
        walk.values(told.items(), f"{place}.{name}")


def _generated(member: Any) -> bool:
    """Whether `dataclass` made a method: it follows from the fields."""
    code = getattr(getattr(member, "__wrapped__", member), "__code__", None)
    return code is not None and code.co_qualname.startswith("__create_fn__")


def _number_type(x: Any) -> str | None:
    """The name of a dtype that is given as NumPy's type of numbers."""
    numpy = isinstance(x, type) and issubclass(x, np.generic)
    return np.dtype(x).name if numpy else None


# ----------------------------------------------------------------------------------- objects


def thing(walk: Walk, x: Any, place: str) -> None:
    """An object: its class and its state."""
    if id(x) in walk.open:
        walk.parts[place] = f"as {walk.open[id(x)]}"
        return
    walk.open[id(x)] = place
    wrapped = callable(x) and hasattr(x, "__wrapped__")  # jax.jit, jax.custom_vjp and their like
    try:
        if type(x).__name__ == "_ScalarMeta":  # jax.numpy.float32
            walk.parts[place] = f"dtype {np.dtype(x).name}"
            return
        kind(walk, type(x), place)
        jitted = type(x).__name__ == "PjitFunction"  # it keeps lines and files
        if not jitted and not _state(walk, x, place) and not wrapped:
            _copied(walk, x, place)
        if wrapped:
            walk.value(x.__wrapped__, f"{place}.__wrapped__")
    finally:
        del walk.open[id(x)]


def _state(walk: Walk, x: Any, place: str) -> bool:
    """Notes the fields of an object; False where it is of C and shows none."""
    kind: Any = type(x)
    form, own = _form(kind), dict(getattr(x, "__dict__", ()))
    if form.fields and form.derived:
        own = {k: v for k, v in own.items() if k[0] != "_"}  # what a library's base class keeps
    more = sorted({*own, *form.slots} - {*form.fields, *form.skipped})
    named = [(n, getattr(x, n)) for n in (*form.fields, *more) if hasattr(x, n)]
    for name, part in named:
        hidden = form.private and name.startswith("_")  # what a library keeps is its business
        walk.inner += hidden
        walk.value(part, f"{place}.{name}" if place else name)
        walk.inner -= hidden
    return bool(named) or bool(form.fields) or form.python


class _Form(NamedTuple):
    """What a class says of the state of its objects."""

    fields: tuple[str, ...]
    slots: tuple[str, ...]
    skipped: frozenset[str]
    derived: bool  # from a class of a library
    private: bool  # of a library itself
    python: bool  # not of C, so that no state is hidden


@functools.cache
def _form(kind: Any) -> _Form:
    classes = kind.__mro__
    slots = [str(s) for c in classes for s in np.atleast_1d(vars(c).get("__slots__", []))]
    members = [item for c in classes for item in vars(c).items()]
    cached = {name for name, m in members if isinstance(m, functools.cached_property)}
    fields = [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []
    return _Form(
        tuple(name for name in fields if name not in DERIVED),
        tuple(slots),
        frozenset({*DERIVED, "__wrapped__", *cached}),
        any(library(c.__module__) for c in classes[1:-1]),
        _library_of(kind) is not None,
        _library_of(kind) is None
        or any(isinstance(vars(c).get("__init__"), types.FunctionType) for c in classes),
    )


def _copied(walk: Walk, x: Any, place: str) -> None:
    """The state of an object of C, as it would be copied."""
    try:
        made = copyreg.dispatch_table.get(type(x), lambda x: x.__reduce_ex__(4))(x)
    except Exception as error:
        walk.cannot(f"{kind_of(x)} ({error})", place)
        return
    if isinstance(made, str):
        walk.parts[place] += f" {made}"
        return
    _, arguments, state, items, pairs = (*made, None, None, None)[:5]
    told = {"made of": arguments, "state": state}
    told |= {"items": items and list(items), "pairs": pairs and list(pairs)}
    walk.values(((k, v) for k, v in told.items() if v), place)


KINDS: list[tuple[Any, Note]] = [(type, cls)]
