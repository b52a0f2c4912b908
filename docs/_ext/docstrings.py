"""Our docstrings as reStructuredText: sections, formulas as MathML, names as links.

A docstring has paragraphs, sections `Name: text` (continued by indented lines) and doctests. A
section's name is one of SECTIONS or names arguments of the function. An indented block that is no
section stays as it is written.
"""

import ast
import contextlib
import dataclasses
import doctest
import inspect
import re
from collections.abc import Iterator
from typing import Any

import public

from jaxopt_edu.learn.notation import docstrings, markup
from jaxopt_edu.learn.notation.reading import NotRead, equation

SECTIONS = (
    "Formula", "Algorithm", "Shapes", "Units", "Errors", "Source", "Agrees with", "Initial weights",
    "Random numbers", "Laws", "Cost", "Differs from", "Rows and errors",
    "Where it is worth it", "Where it is no use",
)  # fmt: skip
HEAD = re.compile(r"(?P<names>[\w*][\w *.,]*?)(?P<aside> \([^()]*\))?:(?:\s+(?P<rest>.*)|)$")
IMPORTS = {
    "jax": "import jax", "jnp": "import jax.numpy as jnp", "np": "import numpy as np",
    "jo": "import jaxopt_edu as jo",
}  # fmt: skip
VARIANT = re.compile(r"[a-z]\w*(?:=[\w.\"']+)?(?:, [a-z]\w*(?:=[\w.\"']+)?)*:\s+\S.* = ")
PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5}|[a-z-]+/\d{7})")
CODE = re.compile(r"``([^`]+)``|`([^`]+)`")


@dataclasses.dataclass
class Block:
    """A part of a docstring: kind is text, section, field, formula or example."""

    kind: str
    head: str
    lines: list[str]


def blocks(text: str, known: set[str]) -> list[Block]:
    """The parts of a docstring, in order; known: the arguments of what it tells."""
    out: list[Block] = []
    for line in text.splitlines():
        last = out[-1] if out else None
        kind, head, rest = _headed(line, known)
        if last is not None and last.kind == "example" and line.strip():
            last.lines.append(line)
        elif line.startswith(">>>"):
            out.append(Block("example", "", [line]))
        elif last is not None and last.kind == "formula" and VARIANT.match(line):
            last.lines.append(line)
        elif kind:
            out.append(Block(kind, head, [rest]))
        elif not line.strip():
            out.append(Block("text", "", []))
        elif last is None or (_ended(last) and line[0] != " "):
            out.append(Block("text", "", [line]))
        else:
            last.lines.append(line)
    parted = (part for block in out for part in _parted(block, known))
    return [block for block in parted if any(line.strip() for line in block.lines)]


def _ended(block: Block) -> bool:
    """Whether a line that is not indented belongs to it no more."""
    whole = block.lines[-1].rstrip().endswith((".", ":")) if block.lines else False
    return block.kind == "formula" or (block.kind in ("section", "field") and whole)


def _parted(block: Block, known: set[str]) -> Iterator[Block]:
    """A field, and the fields that its lines tell behind it: `low: the least. high: the most.`"""
    if block.kind != "field" or not known:
        yield block
        return
    names = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    head = rf"(?:(?<=[.;] )|(?<=[.;]\n))((?:{names})(?:, (?:{names}))*):\s"
    text = "\n".join(line.strip() for line in block.lines)
    first, *rest = re.split(head, text)
    yield Block("field", block.head, [first])
    for name, words in zip(rest[::2], rest[1::2], strict=True):
        yield Block("field", name, [words])


def _headed(line: str, known: set[str]) -> tuple[str, str, str]:
    """(kind, head, rest) of the first line of a section; no kind where it is none."""
    found = HEAD.match(line)
    if found is None:
        return "", "", ""
    names = [name.strip() for name in found["names"].split(",")]
    rest = found["rest"] or ""
    if all(name in SECTIONS for name in names):
        kind = "formula" if names[0] in ("Formula", "Algorithm") else "section"
        return kind, found["names"] + (found["aside"] or ""), rest
    if not found["aside"] and all(name.strip("*") in known for name in names):
        return "field", found["names"], rest
    return "", "", ""


def rst(thing: Any, owner: str, group: str) -> list[str]:
    """A docstring as lines of reStructuredText.

    owner: the entry within which its names are looked up; group: of its doctests.
    """
    text = inspect.getdoc(thing) or ""
    known = arguments(thing)
    out: list[str] = []
    listed = False
    before: list[str] = []  # the examples above
    methods = [name for name, _ in public.members(thing)] if inspect.isclass(thing) else []
    for block in blocks(text, known.union(methods)):
        if block.kind in ("section", "field"):
            if not listed:
                out += [".. rst-class:: jo-sections", ""]
            out += [*_entry(block, known, owner)]
            listed = True
            continue
        listed = False
        if block.kind == "formula":
            out += _formula(thing, block, known, owner)
        elif block.kind == "example":
            code = [*_imports([*before, *block.lines]), *block.lines]
            out += _example(code, group)
            before += code
        else:
            out += ["", *_text(block.lines, known, owner), ""]
    return out


def arguments(thing: Any) -> set[str]:
    """Names of its arguments and fields."""
    thing = getattr(thing, "__func__", thing)
    found: set[str] = set()
    if inspect.isclass(thing):
        found |= {*getattr(thing, "__annotations__", ()), *getattr(thing, "_fields", ())}
    if dataclasses.is_dataclass(thing):
        found |= {f.name for f in dataclasses.fields(thing)}
    with contextlib.suppress(TypeError, ValueError):
        found |= set(inspect.signature(thing).parameters)
    return found


# ------------------------------------------------------------------------------------------ text


def prose(lines: list[str], known: set[str], owner: str) -> str:
    """Words as reStructuredText: single backticks are code, and links where they name an entry."""
    return inline(" ".join(" ".join(lines).split()), known, owner)


def inline(text: str, known: set[str], owner: str) -> str:
    out, at = [], 0
    for found in CODE.finditer(text):
        out += [_escaped(text[at : found.start()]), _code(found[1] or found[2], known, owner)]
        at = found.end()
    return "".join([*out, _escaped(text[at:])])


def _escaped(text: str) -> str:
    """Text in which nothing is markup but the numbers of papers, which are links."""
    plain = re.sub(r"([\\*|_`])", r"\\\1", text)
    return PAPER.sub(r"`\g<0> <https://arxiv.org/abs/\g<1>>`__", plain)


def _code(name: str, known: set[str], owner: str) -> str:
    """Code; a link where it names something public that is no argument of the function."""
    target = None if name in known else resolved(name.removesuffix("()"), owner)
    told = f":py:obj:`{name} <{target}>`" if target and target != owner else f"``{name}``"
    return f"\\ {told}\\ "


def resolved(name: str, owner: str) -> str | None:
    """The entry that a name means within another: a member, one of its namespace, a full name."""
    space = owner
    while space:
        if found := public.links().get(f"{space}.{name}"):
            return found
        space = space.rpartition(".")[0]
    return public.links().get(name)


def _text(lines: list[str], known: set[str], owner: str) -> list[str]:
    """A paragraph; lines that are indented behind a colon, as they are written."""
    out: list[str] = []
    words: list[str] = []
    for line in lines:
        if line.startswith(" ") and (not words or words[-1].endswith(":")):
            out += [prose(words, known, owner), ""] if words else []
            out += (
                ["::", "", f"   {line.rstrip()}"] if words or not out else [f"   {line.rstrip()}"]
            )
            words = []
        else:
            out += [""] if out and not words else []
            words.append(line)
    return [*out, prose(words, known, owner)] if words else [*out, ""]


def _entry(block: Block, known: set[str], owner: str) -> list[str]:
    """A section as an item of a definition list."""
    names = [name.strip() for name in block.head.split(",")]
    head = ", ".join(f"``{n}``" for n in names) if block.kind == "field" else block.head
    return [head, f"   {prose(block.lines, known, owner)}", ""]


def _imports(lines: list[str]) -> list[str]:
    """The imports that an example lacks where it is copied: its module has them, in which it runs.

    lines: of the example, behind those of the examples before it.
    """
    read = doctest.DocTestParser().get_examples("\n".join(lines))
    found = [node for example in read for node in ast.walk(ast.parse(example.source))]
    imported = [x for node in found if isinstance(node, ast.Import | ast.ImportFrom)
                for x in node.names]  # fmt: skip
    bound = {x.asname or x.name.partition(".")[0] for x in imported}
    used = {node.id for node in found if isinstance(node, ast.Name)}
    return [f">>> {line}" for name, line in IMPORTS.items() if name in used - bound]


def _example(lines: list[str], group: str) -> list[str]:
    inside = [f"   {line}" if line.strip() else "" for line in lines]
    return ["", f".. doctest:: {group}", "", *inside, ""]


# --------------------------------------------------------------------------------------- formulas


def _formula(thing: Any, block: Block, known: set[str], owner: str) -> list[str]:
    """A formula as MathML where our notation reads it, else as it is written."""
    head = ["", f".. rubric:: {_escaped(block.head)}", "   :class: jo-section", ""]
    found = _read(thing) if block.head == "Formula" else None
    if found is None:
        body = inspect.cleandoc("\n".join(block.lines)).splitlines()
        return [
            *head,
            ".. code-block:: text",
            "   :class: jo-written",
            "",
            *(f"   {x}" for x in body),
            "",
        ]
    remarks = dict(_remarks(block.lines))
    out = [*head, *_lines(found.equations, remarks)]
    for variant in found.variants:
        told = ", ".join(f"``{n}``" if v is None else f"``{n}={v}``" for n, v in variant.wanted)
        out += [
            ".. rst-class:: jo-variant",
            "",
            f"With {told}:",
            "",
            *_lines(variant.equations, remarks),
        ]
    for words in _words(block.lines):
        out += ["", inline(words, known, owner), ""]
    return out


def line(text: str, owner: str) -> list[str]:
    """A line that is a formula, words behind a comma aside; as it is written where it is none."""
    formula, comma, words = text.partition(", with ")
    try:
        found = equation(formula)
    except NotRead:
        return [prose([text], set(), owner), ""]
    return _lines((found,), {found.text: f"with {words}"} if comma else {})


def _read(thing: Any) -> docstrings.Formula | None:
    try:
        found = docstrings.formula_of(thing)
    except (NotRead, TypeError, ValueError):
        return None
    return found if found is not None and found.equations else None


def _lines(equations: tuple[Any, ...], remarks: dict[str, str]) -> list[str]:
    out = [".. container:: jo-formula", ""]
    for line in equations:
        out += ["   .. raw:: html", "", f"      {markup.mathml(line)}", ""]
        if line.text in remarks:
            out += [f"   {_escaped(remarks[line.text])}", ""]
    return out


def _remarks(lines: list[str]) -> Iterator[tuple[str, str]]:
    """(equation, remark in brackets behind it)."""
    for line in lines:
        if found := re.search(r"\s{2,}\((?P<remark>.*)\)$", line):
            before = line[: found.start()]
            yield re.split(r"[;:]\s+", before)[-1].strip(), f"({found['remark']})"


def _words(lines: list[str]) -> Iterator[str]:
    """What stands in the section of a formula besides equations."""
    for line in lines:
        if line.strip() and " = " not in line and not docstrings.BORROWED.match(line.strip()):
            yield line.strip()
