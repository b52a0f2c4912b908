"""Code as what it does: instructions without lines, docstrings and names of local variables."""

import bisect
import dis
import hashlib
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

_SILENT = ("CACHE", "EXTENDED_ARG", "NOP", "NOT_TAKEN", "RESUME")
_FLAGS = 0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200  # *args, **kwargs, generators, coroutines


def sha(text: str | bytes) -> str:
    """The first 16 digits of a hash."""
    return hashlib.sha256(text.encode() if isinstance(text, str) else text).hexdigest()[:16]


# -------------------------------------------------------------------------------- instructions


def digest(code: types.CodeType) -> str:
    """A hash of what code does.

    Not in it: lines, the file's name, docstrings, the names of its local variables. In it: the
    names of its arguments, the constants it uses, those of functions inside it.
    """
    return sha("\n".join(_lines(code)))


def _lines(code: types.CodeType) -> Iterator[str]:
    arguments = code.co_argcount + code.co_kwonlyargcount + bin(code.co_flags & 12).count("1")
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount
    yield f"{code.co_name}{counts}{code.co_varnames[:arguments]}{code.co_flags & _FLAGS}"
    yield code.co_exceptiontable.hex()
    kept = _kept(code)
    places = [i.offset for i in kept]
    for i in kept:
        yield f"{i.opname} {_argument(i, places)}"


def _kept(code: types.CodeType) -> list[dis.Instruction]:
    """The instructions that do something, but for the docstring of a class."""
    kept = [i for i in dis.get_instructions(code) if i.opname not in _SILENT]
    about = ("__doc__", "__firstlineno__", "__static_attributes__")
    stores = [j for j, i in enumerate(kept) if i.opname == "STORE_NAME" and i.argval in about]
    dropped = {*stores, *(j - 1 for j in stores)}
    return [i for j, i in enumerate(kept) if j not in dropped]


def _argument(i: dis.Instruction, places: list[int]) -> str:
    if i.opcode in dis.hasconst:
        return constant(i.argval)
    if i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
        return f"to {bisect.bisect_left(places, i.argval)}"
    if i.opcode in dis.haslocal:
        return str(i.arg)
    named = i.opcode in dis.hasname or i.opcode in dis.hasfree or i.opcode in dis.hascompare
    return str(i.argval if named else i.arg)


def constant(x: Any) -> str:
    """A constant with its type, whatever order a set has."""
    if isinstance(x, types.CodeType):
        return f"code({'; '.join(_lines(x))})"
    if isinstance(x, tuple | frozenset):
        parts = map(constant, x) if isinstance(x, tuple) else sorted(map(constant, x))
        return f"{type(x).__name__}({', '.join(parts)})"
    return f"{type(x).__name__} {x!r}"


# ---------------------------------------------------------------------------------- what it reads


@dataclass
class Reads:
    """The names that code, and functions inside it, look up outside of them."""

    names: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    imports: set[tuple] = field(default_factory=set)  # (dots, module, names from it)
    written: set[str] = field(default_factory=set)  # globals that it sets itself


def reads(code: types.CodeType) -> Reads:
    """What code looks up."""
    found = Reads()
    for one in _with_inner(code):
        kept = _kept(one)
        for k, i in enumerate(kept):
            if i.opname == "IMPORT_NAME":
                dots, names = kept[k - 2].argval, kept[k - 1].argval
                found.imports.add((int(dots or 0), i.argval, tuple(names or ())))
            elif i.opname == "STORE_GLOBAL":
                found.written.add(i.argval)
            elif i.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
                found.names.add(i.argval)
            elif i.opcode in dis.hasname:
                found.attributes.add(i.argval)
    return found


def _with_inner(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            yield from _with_inner(x)
