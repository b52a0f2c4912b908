"""What is public, under its one name: the shortest that a user types.

`jo.adam` is `jaxopt_edu.adam`, though `jaxopt_edu.optimizers.adam` is the same function; a loss is
`jaxopt_edu.losses.squared_error`. Other names are aliases, which links may use too.
"""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
import sys
import types
from collections.abc import Iterator
from typing import Any

import jaxopt_edu
from jaxopt_edu.values.pytrees import RECIPES

ROOT = jaxopt_edu.__name__


@dataclasses.dataclass(frozen=True)
class Entry:
    """A public thing that is no module: its name, its other names, what it is."""

    name: str
    thing: Any
    aliases: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """The module in which it is written."""
        if isinstance(self.thing, type) and self.thing.__module__.startswith(ROOT):
            return self.thing.__module__
        found = getattr(self.thing, "__module__", None) or type(self.thing).__module__
        return found if found.startswith(ROOT) else self.name.rpartition(".")[0]

    @property
    def kind(self) -> str:
        """The directive of Sphinx's Python domain for it."""
        if self.thing is Any:  # a name for types, which is no class of ours
            return "data"
        if inspect.isclass(self.thing):
            return "exception" if issubclass(self.thing, BaseException) else "class"
        return "function" if callable(self.thing) else "data"

    @property
    def place(self) -> tuple[int, int, str]:
        """Where it stands in the order of reading: that of the modules, then that of lines."""
        written = made_by(self.thing) or self.thing
        order = list(sys.modules)
        module = order.index(self.home) if self.home in sys.modules else len(order)
        try:
            line = inspect.getsourcelines(written)[1]
        except (TypeError, OSError):  # a value
            line = sys.maxsize
        return module, line, self.name


def walk(module: types.ModuleType, path: str = ROOT) -> Iterator[tuple[str, Any]]:
    """(name, thing) of the public names of a module and of the public modules below it.

    Those that it imports only when they are asked for, as jo.learn does Axis, are in its dir().
    """
    own = (n for n, x in vars(module).items() if getattr(x, "__module__", "") == module.__name__)
    lazy = set(dir(module)) - set(vars(module))
    for name in sorted({*getattr(module, "__all__", own), *lazy}):
        if name.startswith("_"):
            continue
        thing = getattr(module, name)
        yield f"{path}.{name}", thing
        if isinstance(thing, types.ModuleType):
            yield from walk(thing, f"{path}.{name}")


def everything() -> Iterator[tuple[str, Any]]:
    """(name, thing) of all that is public.

    What jaxopt_edu and the modules below it list, then what only a package's own `__all__` lists,
    as that of jaxopt_edu.diagnosis does find_shift.
    """
    listed = list(walk(jaxopt_edu))
    yield from listed
    known = {id(thing) for _, thing in listed}
    for name, package in packages().items():
        for short in sorted(getattr(package, "__all__", ())):
            if id(thing := getattr(package, short)) not in known:
                yield f"{name}.{short}", thing


@functools.cache
def packages() -> dict[str, types.ModuleType]:
    """The packages directly below jaxopt_edu by name."""
    found = (f"{ROOT}.{m.name}" for m in pkgutil.iter_modules(jaxopt_edu.__path__) if m.ispkg)
    return {name: importlib.import_module(name) for name in sorted(found)}


@functools.cache
def modules() -> dict[str, types.ModuleType]:
    """The public namespaces by name."""
    found = {ROOT: jaxopt_edu, **dict(walk(jaxopt_edu))}
    return {name: x for name, x in found.items() if isinstance(x, types.ModuleType)}


@functools.cache
def entries() -> tuple[Entry, ...]:
    """All that is public, in the order in which it is read."""
    names: dict[int, list[str]] = {}
    things: dict[int, Any] = {}
    for name, thing in sorted(everything(), key=lambda item: (item[0].count("."), item[0])):
        if not isinstance(thing, types.ModuleType):
            names.setdefault(id(thing), []).append(name)
            things[id(thing)] = thing
    found = [Entry(first, things[key], tuple(rest)) for key, (first, *rest) in names.items()]
    return tuple(sorted(found, key=lambda entry: entry.place))


@functools.cache
def by_thing() -> dict[int, Entry]:
    """Entries by the ids of what they are of."""
    return {id(entry.thing): entry for entry in entries()}


@functools.cache
def recipes() -> dict[int, Entry]:
    """The entries of recipes by the ids of the classes whose values they make."""
    pairs = ((made_by(entry.thing), entry) for entry in entries())
    return {id(kind): entry for kind, entry in pairs if kind is not None}


@functools.cache
def by_name() -> dict[str, Any]:
    """What is public, by the names of its entries."""
    return {entry.name: entry.thing for entry in entries()}


@functools.cache
def links() -> dict[str, str]:
    """Every name that a docstring may use, with the name of the entry that it means.

    Full names, those with jo. in front, and those within jaxopt_edu; members of classes too.
    """
    found = {}
    for entry in entries():
        members_ = [m for m, _ in members(entry.thing)] if inspect.isclass(entry.thing) else []
        for name in (entry.name, *entry.aliases):
            for member in ("", *(f".{m}" for m in members_)):
                target = home_of(entry, member[1:]) if member else entry.name
                for short in (name, name.replace(ROOT, "jo", 1), name.removeprefix(f"{ROOT}.")):
                    found[short + member] = target
    return found


def home_of(entry: Entry, member: str) -> str:
    """The name of the entry that tells this member: of its class, of a base, or the class's own.

    A member without a docstring, as Adam.init, is told by the base that has one; where none has,
    by what the class says.
    """
    for base in entry.thing.__mro__:
        known = by_thing().get(id(base))
        if known is not None and member in dict(told_members(base)):
            return f"{known.name}.{member}"
    return entry.name


def made_by(thing: Any) -> type | None:
    """The class whose values this recipe makes; None where it is no recipe."""
    if inspect.isclass(thing) or not inspect.isfunction(thing):
        return None
    return next(
        (k for k, n in RECIPES.items() if n == thing.__name__ and k.__module__ == thing.__module__),
        None,
    )


def members(kind: type) -> list[tuple[str, Any]]:
    """Public methods and properties, as they stand in the class that has them, in its order."""
    found: dict[str, Any] = {}
    for home in kind.__mro__:
        if not home.__module__.startswith(ROOT):
            continue
        for name, member in vars(home).items():
            if (name.startswith("_") and name != "__call__") or isinstance(member, type):
                continue
            plain = property | functools.cached_property | staticmethod | classmethod
            if isinstance(member, plain) or inspect.isfunction(member):
                found.setdefault(name, member)
    return list(found.items())


def told_members(kind: type) -> list[tuple[str, Any]]:
    """The members that its entry tells: with a docstring, and not just so in a public base."""
    bases = [base for base in kind.__mro__[1:] if id(base) in by_thing()]
    return [
        (name, member)
        for name, member in members(kind)
        if _has_words(member) and not any(dict(members(b)).get(name) is member for b in bases)
    ]


def _has_words(member: Any) -> bool:
    """Whether it has a docstring of its own."""
    if isinstance(member, functools.cached_property):
        member = member.func
    return bool(getattr(member, "__func__", member).__doc__)


def default(value: Any) -> str:
    """A default as it is written; functions and objects by their names."""
    if isinstance(value, tuple) and len(value) > 8:
        return f"({default(value[0])}, ..., {default(value[-1])})"
    if isinstance(value, tuple):
        return f"({', '.join(map(default, value))}{',' * (len(value) == 1)})"
    ours = dataclasses.is_dataclass(value) and type(value).__module__.startswith(ROOT)
    if value is None or ours or isinstance(value, bool | int | float | complex | str):
        return repr(value)
    return getattr(value, "__qualname__", "...")


def signature(call: Any, bound: bool = False) -> str:
    """The arguments of a call with their defaults, without types; bound: without the first."""
    found = inspect.signature(call)
    kept = list(found.parameters.values())[bound:]

    class Written:
        def __init__(self, text: str) -> None:
            self.text = text

        def __repr__(self) -> str:
            return self.text

    plain = [
        p.replace(
            annotation=p.empty,
            default=p.empty if p.default is p.empty else Written(default(p.default)),
        )
        for p in kept
    ]
    return str(inspect.Signature(plain))
