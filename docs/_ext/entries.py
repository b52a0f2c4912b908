"""Entries of the reference as reStructuredText: of a function, of a class and its members."""

import dataclasses
import functools
import inspect
from collections.abc import Iterable
from typing import Any

import docstrings
import public
from public import Entry

VALUES = {  # what has no docstring, as it is no function or class
    "jaxopt_edu.Hyper": "The type of a hyperparameter: a number, a schedule (a function from the "
    "step to a number), or a tree of these. `jaxopt_edu.Mask` is that of a mask: a prefix tree of "
    "bools, or a function from params to one. To Python both are `typing.Any`.",
    "jaxopt_edu.functions.FUNCTIONS": "The test functions by name, a dict.",
    "jaxopt_edu.privacy.ORDERS": "The orders of the Renyi divergence among which an accountant "
    "takes the one that gives the least epsilon.",
}
UNLISTED = ":no-contents-entry:"  # in the list of the page's parts


def told(entry: Entry) -> list[str]:
    """An entry, with the class behind a recipe and the members of a class."""
    kind = public.made_by(entry.thing)
    out = _directive(entry.kind, entry.name, _signature(entry.thing))
    body = _body(entry, kind or entry.thing)
    if kind is not None and (made := public.by_thing().get(id(kind))):
        inner = _directive("class", made.name, "", UNLISTED)
        short = f":py:obj:`{_short(entry)} <{entry.name}>`"
        words = [f"What {short} returns: a frozen dataclass.", "", *_bases(kind)]
        words += _members(made, UNLISTED)
        body += ["", *inner, *_indented(words)]
    elif inspect.isclass(entry.thing):
        body += _members(entry)
    return [*out, *_indented(body)]


def _directive(kind: str, name: str, arguments: str, *options: str) -> list[str]:
    return [f".. py:{kind}:: {name}{arguments}", *(f"   {option}" for option in options), ""]


def _signature(thing: Any, bound: bool = False) -> str:
    try:
        return public.signature(thing, bound) if callable(thing) else ""
    except (TypeError, ValueError):
        return ""


def _body(entry: Entry, written: Any) -> list[str]:
    """What an entry says, from the docstring; a table of fields, the code of its rule."""
    if entry.kind == "function" and dataclasses.is_dataclass(entry.thing):
        return _instance(entry)
    if entry.name in VALUES:
        return [docstrings.inline(VALUES[entry.name], set(), entry.name), ""]
    doc = docstrings.rst(written, entry.name, entry.name) if _has_doc(entry) else []
    at = next((i for i, line in enumerate(doc) if line.startswith(".. doctest::")), len(doc))
    bases = _bases(entry.thing) if inspect.isclass(entry.thing) else []
    setup = _setup(entry) if at < len(doc) else []
    return [*bases, *doc[:at], "", *fields(written), *_code(written), *setup, *doc[at:]]


def _instance(entry: Entry) -> list[str]:
    """A value that is public, such as a test function: what its own function says, its fields."""
    thing = entry.thing
    kind = public.by_thing()[id(type(thing))].name
    out = [f"A :py:obj:`{kind.rpartition('.')[2]} <{kind}>`.", ""]
    values = {f.name: getattr(thing, f.name) for f in dataclasses.fields(thing)}
    for name in [name for name, value in values.items() if callable(value)]:
        out += docstrings.line(" ".join((inspect.getdoc(values.pop(name)) or "").split()), kind)
    rows = [("field", "value"), *((f"``{k}``", f"``{v!r}``") for k, v in values.items())]
    return [*out, *_table(rows)]


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows as a table, the first its head."""
    out = [".. list-table::", "   :header-rows: 1", "   :widths: auto", "   :class: jo-fields", ""]
    for row in rows:
        out += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return [*out, ""]


def _has_doc(entry: Entry) -> bool:
    return entry.kind != "data" and entry.home != public.ROOT


def _setup(entry: Entry) -> list[str]:
    """The names that the doctests of an entry see: those of its module, as in pytest."""
    return [f".. testsetup:: {entry.name}", "", f"   from {entry.home} import *",
            f"   import {entry.home} as _home", "   globals().update(vars(_home))", ""]  # fmt: skip


def _short(entry: Entry) -> str:
    """Its name as one types it: jo.adam."""
    return entry.name.replace(public.ROOT, "jo", 1)


def _bases(kind: type) -> list[str]:
    """Its public base classes, which tell the methods that have no entry here."""
    found = [public.by_thing()[id(b)] for b in kind.__mro__[1:] if id(b) in public.by_thing()]
    names = ", ".join(f":py:obj:`{_short(entry)} <{entry.name}>`" for entry in found)
    return [f"Bases: {names}.", ""] if found else []


def _members(entry: Entry, *always: str) -> list[str]:
    """The members that it tells itself, each with its docstring; always: options of directives."""
    out: list[str] = []
    for name, member in public.told_members(entry.thing):
        plain = isinstance(member, property | functools.cached_property)
        kind = "property" if plain else "method"
        options = [*always, *[":classmethod:"] * isinstance(member, classmethod)]
        options += [":staticmethod:"] * isinstance(member, staticmethod)
        bound = inspect.isfunction(member)
        arguments = "" if plain else _signature(getattr(entry.thing, name), bound)
        full = f"{entry.name}.{name}"
        documented = _documented(entry.thing, name)
        doc = docstrings.rst(documented, full, full)
        if any(line.startswith(".. doctest::") for line in doc):
            doc = [*_setup(Entry(full, entry.thing)), *doc]
        out += ["", *_directive(kind, full, arguments, *options), *_indented(doc)]
    return out


def _documented(kind: type, name: str) -> Any:
    member = vars(next(k for k in kind.__mro__ if name in vars(k)))[name]
    if isinstance(member, functools.cached_property):
        return member.func
    return member if isinstance(member, property) else getattr(kind, name)


def _indented(lines: list[str]) -> list[str]:
    return [f"   {line}" if line.strip() else "" for line in lines]


# ------------------------------------------------------------------------------ fields and code


def fields(kind: Any) -> list[str]:
    """The hyperparameters and the structure of a value as a table."""
    if not dataclasses.is_dataclass(kind):
        return []
    rows = [_row(f) for f in dataclasses.fields(kind) if "aside" not in f.metadata and f.metadata]
    if not rows:
        return []
    return _table([("field", "default", "range", "differentiable"), *rows])


def _row(field: Any) -> tuple[str, str, str, str]:
    about = field.metadata
    given = "" if field.default is dataclasses.MISSING else f"``{public.default(field.default)}``"
    if not about.get("static"):
        return (
            f"``{field.name}``",
            given,
            _range(about),
            "yes" if about.get("smooth", True) else "no",
        )
    among = about.get("among") or ()
    told = ", ".join(f"``{x!r}``" for x in among) if among and len(among) <= 8 else "structure"
    return f"``{field.name}``", given, "marks parameters" if about.get("mask") else told, ""


def _range(about: Any) -> str:
    """The range as an interval: closed at a finite end unless the number must stay below it."""
    low, high = about.get("low", float("-inf")), about.get("high", float("inf"))
    closed = about.get("closed") and high != float("inf")
    left = "(0" if 0 < low < 1e-30 else f"[{low:g}"  # the least number above 0 stands for that
    left = left if low != float("-inf") else "(\u2212\u221e"
    right = f"{high:g}" if high != float("inf") else "\u221e"
    return f"{left}, {right}{']' if closed else ')'}"


def _code(kind: Any) -> list[str]:
    """The rule of an optimizer: its formula in Python."""
    rule = vars(kind).get("rule") if inspect.isclass(kind) else None
    if rule is None:
        return []
    lines = inspect.cleandoc("\n" + inspect.getsource(rule)).splitlines()
    return [
        ".. rubric:: Code",
        "   :class: jo-section",
        "",
        ".. code-block:: python",
        "",
        *_indented(lines),
        "",
    ]
