"""What functions are: what they do, and what they read, to any depth."""

import functools
import importlib.util
import sys
import types
from typing import Any

import numpy as np

from jaxopt_edu.storage.identity.code import digest, reads
from jaxopt_edu.storage.identity.objects import DERIVED
from jaxopt_edu.storage.identity.owners import file_digest, is_clone, own_module
from jaxopt_edu.storage.identity.walk import Note, Walk

BUILTINS = vars(sys.modules["builtins"])
READERS = {  # what reads files or the process, by library: no code says what it will find
    "Python": {"open", "environ", "getenv", "time", "perf_counter"},
    "numpy": {"load", "loadtxt", "genfromtxt", "fromfile", "memmap"},
    "pandas": {"read_csv", "read_parquet", "read_excel", "read_json", "read_pickle", "read_sql"},
}
OF_PATHS = {"read_text", "read_bytes"}
READ = "what it reads of files or of the process"


def function(walk: Walk, f: Any, place: str) -> None:
    """A function: of a library by version and name, with what it closes over; else by its code."""
    if walk.met(f, place):
        return
    of = walk.library(f.__globals__.get("__name__"))  # functools.wraps changes __module__ only
    if of is not None:
        walk.parts[place] = f"{of}: {f.__code__.co_qualname}"
        walk.inner += 1
        _cells(walk, f, place)
        walk.inner -= 1
        if hasattr(f, "__wrapped__"):
            walk.value(f.__wrapped__, f"{place}.__wrapped__")
        return
    walk.has_code = True
    walk.parts[place] = f"function {f.__qualname__} {digest(f.__code__)}"
    for name, default in _defaults(f):
        walk.value(default, f"{place}({name})")
    _cells(walk, f, place)
    walk.values(((k, v) for k, v in sorted(vars(f).items()) if k not in DERIVED), place)
    _globals(walk, f, place)


def _defaults(f: Any) -> list[tuple[str, Any]]:
    """The arguments of a function that have a default, and what it is."""
    code, given = f.__code__, f.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount][code.co_argcount - len(given) :]
    return [*zip(names, given, strict=True), *sorted((f.__kwdefaults__ or {}).items())]


def _cells(walk: Walk, f: Any, place: str) -> None:
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            walk.value(cell.cell_contents, f"{place} -> {name}")
        except ValueError:
            walk.parts[f"{place} -> {name}"] = "nothing yet"


def _globals(walk: Walk, f: Any, place: str) -> None:
    """What a function reads outside of itself."""
    found = reads(f.__code__)
    for name in sorted(found.names - found.written):
        if name in f.__globals__:
            _read(walk, f.__globals__[name], found.attributes, f"{place} -> {name}")
        elif name in READERS["Python"]:
            walk.cannot(READ, f"{place} -> {name}")
        elif name not in BUILTINS:
            walk.parts[f"{place} -> {name}"] = "nothing yet"
    for name in sorted(found.attributes & OF_PATHS):
        walk.cannot(READ, f"{place} -> {name}")
    for dots, name, names in sorted(found.imports):
        full = name
        if dots:
            package = f.__globals__.get("__package__") or ""
            full = importlib.util.resolve_name("." * dots + name, package) if package else ""
        _imported(walk, full, names, f"{place} -> {'.' * dots}{name}")


def _read(walk: Walk, x: Any, attributes: set[str], place: str) -> None:
    """A global: of a module of the user's own, only what the code names."""
    if not isinstance(x, types.ModuleType):
        walk.value(x, place)
        return
    of = walk.library(x.__name__)
    walk.parts[place] = of or "module"
    if of is not None:
        for name in sorted(attributes & READERS.get(of, set())):
            if hasattr(x, name):
                walk.cannot(READ, f"{place}.{name}")
        if not is_clone(x.__name__):
            return
    inner = {name: vars(x)[name] for name in sorted(attributes) if name in vars(x)}
    if not inner and of is None:
        walk.cannot(f"the module {x.__name__} as a whole", place)
    for name, part in inner.items():
        if not isinstance(part, types.ModuleType) or not walk.met(part, f"{place}.{name}"):
            _read(walk, part, attributes, f"{place}.{name}")


def _imported(walk: Walk, name: str, names: tuple[str, ...], place: str) -> None:
    """A module that a function imports itself: a library by version, one's own by its text."""
    of = walk.library(name)
    if of is not None:
        walk.parts[place] = of
        return
    file = own_module(name)
    walk.has_code = True  # whose hash is of this version of Python
    walk.parts[place] = "nothing that is there" if file is None else f"module {file_digest(file)}"
    if file is None:
        walk.cannot("a module that is not found", place)
    for inner in names:  # those that are modules themselves
        within = own_module(f"{name}.{inner}") if file is not None else None
        if within is not None:
            walk.parts[f"{place}.{inner}"] = f"module {file_digest(within)}"


def module(walk: Walk, x: Any, place: str) -> None:
    _read(walk, x, set(), place)


def method(walk: Walk, f: Any, place: str) -> None:
    walk.parts[place] = f"method {f.__func__.__name__}"
    walk.values({"__self__": f.__self__, "__func__": f.__func__}.items(), place)


def partial(walk: Walk, f: Any, place: str) -> None:
    walk.parts[place] = "partial"
    walk.values({"func": f.func, "args": f.args, "keywords": f.keywords}.items(), place)


def builtin(walk: Walk, f: Any, place: str) -> None:
    owner = getattr(f, "__self__", None)
    if owner is None or isinstance(owner, types.ModuleType | type):
        of = walk.library(getattr(f, "__module__", None) or "builtins")
        walk.parts[place] = f"{of or 'of its own'}: {f.__qualname__}"
        if f is open:
            walk.cannot(READ, place)
    else:
        walk.parts[place] = f"method {f.__name__}"
        walk.value(owner, f"{place}.__self__")


def ufunc(walk: Walk, f: Any, place: str) -> None:
    if f.__name__.endswith("(vectorized)"):  # numpy.frompyfunc keeps its function to itself
        walk.cannot("a numpy.frompyfunc", place)
    else:
        walk.parts[place] = f"{walk.library('numpy')}: {f.__name__}"


def wrapped(walk: Walk, f: Any, place: str) -> None:
    """staticmethod, classmethod, property, functools.cached_property."""
    walk.parts[place] = type(f).__name__
    names = ("__func__", "fget", "fset", "fdel", "func")
    walk.values(((n, getattr(f, n)) for n in names if getattr(f, n, None)), place)


KINDS: list[tuple[Any, Note]] = [
    (types.FunctionType, function),
    (types.MethodType, method),
    (functools.partial, partial),
    (np.ufunc, ufunc),
    ((types.BuiltinFunctionType, types.MethodWrapperType, types.WrapperDescriptorType,
      types.MethodDescriptorType, types.ClassMethodDescriptorType), builtin),
    ((staticmethod, classmethod, property, functools.cached_property), wrapped),
    (types.ModuleType, module),
]  # fmt: skip
