"""Values made of parts, as JSON and back: containers, functions and classes by their names."""

import dataclasses
import enum
import functools
import importlib
import inspect
import json
import sys
import types
from collections.abc import Callable
from typing import Any

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.data.folds import Folds, k_fold
from jaxopt_edu.data.loading import load, source_to_json
from jaxopt_edu.storage import plain_values
from jaxopt_edu.storage.identity.owners import is_own
from jaxopt_edu.values.pytrees import show

CHAPTERS = (
    "", ".nn.losses", ".nn.metrics", ".nn.models", ".optim.optimizers", ".optim.schedules",
    ".data", ".values.space", ".search", ".privacy", ".federated", ".data.augment",
)  # fmt: skip
PURE = (".nn.losses", ".nn.metrics")  # whose functions a file may give arguments


def describe(x: Any) -> Any:
    """A value as JSON: numbers and strings as they are, parts by their names.

    What has no public name here (a lambda, a user's own function, data made from arrays) becomes
    {"unnamed": ...}: `rebuild` asks for it by its place. A dataclass or named tuple of the user's
    own is named with its module, and found again where that is imported.
    """
    found = plain_values.plainly(x)
    if found is not NotImplemented:
        return found
    for kinds, one in _DESCRIBED:
        if isinstance(x, kinds):
            return one(x)
    if dataclasses.is_dataclass(x) and not isinstance(x, type):
        return _object(x, [f.name for f in dataclasses.fields(x) if f.init])
    return {"unnamed": show(x)}


def _sequence(x: Any) -> Any:
    if hasattr(x, "_fields"):
        return _object(x, x._fields)
    if type(x) not in (tuple, list):
        return {"unnamed": show(x)}
    return {type(x).__name__: [describe(y) for y in x]}


def _mapping(x: Any) -> Any:
    if type(x) is not dict:
        return {"unnamed": show(x)}
    if all(type(k) is str for k in x):
        return {"dict": {k: describe(v) for k, v in x.items()}}
    return {"items": [[describe(k), describe(v)] for k, v in x.items()]}


def _data(x: Data) -> Any:
    return {"data": source_to_json(x.source)} if x.source.loaded else {"unnamed": repr(x)}


def _folds(x: Folds) -> Any:
    data = describe(x.of)
    asked: dict = {"folds": len(x), "seed": x.seed, "stratified": x.stratified}
    if x.given is not None:
        asked = {"folds": [[rows.tolist() for rows in pair] for pair in x.pairs()]}
    return {"folds": {"of": data, **asked}}


def _set(x: Any) -> Any:
    members = sorted((describe(y) for y in x), key=repr)
    return {type(x).__name__: members} if type(x) in (set, frozenset) else {"unnamed": show(x)}


def _partial(x: functools.partial) -> Any:
    name = getattr(x.func, "__name__", "")
    if type(x) is not functools.partial or _find(name, PURE) is not x.func:
        return {"unnamed": show(x)}
    return {"partial": name, "args": describe(x.args), "keywords": describe(x.keywords)}


def _routine(x: Any) -> Any:
    name = getattr(x, "__name__", "")
    return {"function": name} if _find(name) is x else {"unnamed": show(x)}


def _enum(x: enum.Enum) -> Any:
    name = _own_name(type(x))
    return {"enum": name, "member": x.name} if name else {"unnamed": show(x)}


def _object(x: Any, fields: Any) -> Any:
    """A value of a class that is found by its name: one of this library, or one's own."""
    kind = type(x)
    name = kind.__name__ if _find(kind.__name__) is kind else _own_name(kind)
    if name is None:
        return {"unnamed": show(x)}
    told = {f: describe(getattr(x, f)) for f in fields if hasattr(x, f)}
    if "." in name:  # what its own __init__ fills in again need not be named
        usual = {f.name: f.default for f in getattr(kind, "__dataclass_fields__", {}).values()}
        told = {
            f: d for f, d in told.items() if not unnamed(d) or usual.get(f, x) is not getattr(x, f)
        }
    return {"class": name, **told}


def _own_name(kind: type) -> str | None:
    """module.Name of a class of the user's own that can be found so; None for another one."""
    if not is_own(kind.__module__) or "<" in kind.__qualname__:
        return None
    module = sys.modules.get(kind.__module__)
    return f"{kind.__module__}.{kind.__qualname__}" if _at(module, kind.__qualname__) else None


def _slice(x: slice | range) -> Any:
    return {type(x).__name__: [describe(y) for y in (x.start, x.stop, x.step)]}


_DESCRIBED: list[tuple[Any, Callable[[Any], Any]]] = [
    (enum.Enum, _enum),
    (Data, _data),
    (Folds, _folds),
    ((tuple, list), _sequence),
    (dict, _mapping),
    ((set, frozenset), _set),
    ((slice, range), _slice),
    (functools.partial, _partial),
    ((types.FunctionType, types.BuiltinFunctionType, types.MethodType), _routine),
]


def unnamed(description: Any, place: str = "") -> dict[str, str]:
    """The parts that a description cannot name, by their dotted places."""
    if not isinstance(description, dict):
        return {}
    if "unnamed" in description and "class" not in description:
        return {place: description["unnamed"]}
    found: dict[str, str] = {}
    for key, value in inner(description).items():
        found |= unnamed(value, f"{place}.{key}" if place else str(key))
    return found


def only_named(description: Any) -> Any:
    """The description with None in the place of each part that it cannot name."""
    if isinstance(description, list):
        return [only_named(part) for part in description]
    if not isinstance(description, dict):
        return description
    if "unnamed" in description and "class" not in description:
        return None
    return {key: only_named(part) for key, part in description.items()}


def inner(description: dict) -> dict:
    """The parts of a description by their names in a place."""
    if "class" in description:
        return description
    for kind in ("tuple", "list", "set", "frozenset"):
        if kind in description:
            return {str(i): part for i, part in enumerate(description[kind])}
    if "items" in description:
        return {_word(k): v for k, v in description["items"]}
    return description.get("dict", description.get("folds", description))


def _word(key: Any) -> str:
    """A key of a dict in a place."""
    return key if isinstance(key, str) else json.dumps(key)


def rebuild(description: Any) -> Any:
    """The inverse of `describe`. Errors: ValueError where a part is unnamed or unknown."""
    missing = unnamed(description)
    if missing:
        place, was = next(iter(missing.items()))
        raise ValueError(f"{place} was {was}, which has no public name: give it, {place}=...")
    return _rebuilt(description)


def _rebuilt(told: Any) -> Any:
    if not isinstance(told, dict):
        return told
    if "class" in told:
        return _made(told)
    for kind, held in told.items():
        if kind in plain_values.BACK:
            return plain_values.BACK[kind](held, told)
        if kind in _BACK:
            return _BACK[kind](held, told)
        break
    raise ValueError(f"unknown kind of value {next(iter(told), None)!r}: is it of a later version?")


def _made(told: dict) -> Any:
    name = str(told["class"])
    found = own_class(name) if "." in name else _find(name)
    if not isinstance(found, type):
        raise ValueError(f"jaxopt_edu has no {name!r}")
    fields = {k: _rebuilt(v) for k, v in told.items() if k != "class"}
    try:
        return found(**fields)
    except TypeError as error:
        raise ValueError(f"{name} is not the class it was: {error}") from error


def _function(name: Any, told: dict) -> Any:
    found = _find(str(name))
    if found is None:
        raise ValueError(f"jaxopt_edu has no {name!r}")
    return found


def _with_arguments(name: Any, told: dict) -> Any:
    found = _find(str(name), PURE)
    if found is None:
        raise ValueError(f"jaxopt_edu has no {name!r} that takes arguments here")
    return functools.partial(found, *_rebuilt(told["args"]), **_rebuilt(told["keywords"]))


def _member(name: Any, told: dict) -> Any:
    kind = own_class(str(name))
    if not issubclass(kind, enum.Enum) or told["member"] not in kind.__members__:
        raise ValueError(f"{name} has no member {told['member']!r} any more")
    return kind[told["member"]]


def _with_folds(of: Any, **how: Any) -> Any:
    """Folds of described data; None where these cannot be named."""
    return None if of is None else k_fold(_rebuilt(of), **how)


_BACK: dict[str, Callable[[Any, dict], Any]] = {
    "data": lambda source, told: load(**source),
    "folds": lambda given, told: _with_folds(**given),
    "tuple": lambda parts, told: tuple(map(_rebuilt, parts)),
    "list": lambda parts, told: list(map(_rebuilt, parts)),
    "set": lambda parts, told: set(map(_rebuilt, parts)),
    "frozenset": lambda parts, told: frozenset(map(_rebuilt, parts)),
    "slice": lambda parts, told: slice(*map(_rebuilt, parts)),
    "range": lambda parts, told: range(*parts),
    "dict": lambda parts, told: {key: _rebuilt(part) for key, part in parts.items()},
    "items": lambda parts, told: {_rebuilt(k): _rebuilt(v) for k, v in parts},
    "function": _function,
    "partial": _with_arguments,
    "enum": _member,
}


# -------------------------------------------------------------------------------- by name


def _find(name: str, chapters: tuple[str, ...] = CHAPTERS) -> Any:
    """The public function or class of this name, or None."""
    for chapter in chapters:
        module: types.ModuleType = importlib.import_module("jaxopt_edu" + chapter)
        if name in getattr(module, "__all__", ()):
            return getattr(module, name)
    return None


def own_class(full: str) -> type:
    """The user's class of this name: in the module it was in, or the only one that has it.

    Nothing is imported. Errors: ValueError where no module has one, or two have.
    """
    module, _, name = full.rpartition(".")
    found = _at(sys.modules.get(module), name)
    while found is None and "." in module:  # a class inside a class
        module, _, outer = module.rpartition(".")
        name = f"{outer}.{name}"
        found = _at(sys.modules.get(module), name)
    if found is not None:
        return found
    name = full.rpartition(".")[2]
    own = [(n, m) for n, m in list(sys.modules.items()) if m is not None and is_own(n)]
    all_of_it = {id(c): c for c in (_at(m, name) for _, m in own) if c is not None}
    if not all_of_it:
        raise ValueError(
            f"the class {full} is in no module that is imported: import the one that has it first, "
            "or give the experiment (jo.load_study(directory, space=...))"
        )
    if len(all_of_it) > 1:
        places = ", ".join(sorted(f"{c.__module__}.{c.__qualname__}" for c in all_of_it.values()))
        raise ValueError(f"the class {full} may be any of {places}: import only one of them")
    return next(iter(all_of_it.values()))


def _at(module: Any, name: str) -> type | None:
    """The class that a module of the user's own has under a name: a dataclass, tuple or enum."""
    found = module
    for part in name.split("."):
        found = inspect.getattr_static(found, part, None) if found is not None else None
    if not isinstance(found, type) or not is_own(found.__module__):
        return None
    plain = dataclasses.is_dataclass(found) or issubclass(found, enum.Enum)
    named = issubclass(found, tuple) and hasattr(found, "_fields")
    return found if plain or named else None
