"""The *Formula* section of a docstring as equations, with what fields change in it.

    Formula: m_t and v_t as in `adam`, with I = init_value:
        n_t = v_t / I
        u_t = -eta_t m_t / sqrt(n_t)     (words in brackets, after two spaces, are a remark)
    nesterov:  m^_t = ...                where that field is given, or True
    eps_in_sqrt=False:  u_t = ...        where it has this value

Lines end at the next section (Shapes, Units, ...), or at a blank line.
"""

import functools
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxopt_edu.learn.notation.nodes import Equation
from jaxopt_edu.learn.notation.reading import NotRead, equation
from jaxopt_edu.values.pytrees import RECIPES

SECTIONS = "Shapes|Units|Errors|Source|Agrees with|Cost|Differs from|Algorithm"
REMARK = re.compile(r"\s{2,}\(.*\)$")
BORROWED = re.compile(r"(?P<names>[^;:]*?) as in `(?P<other>\w+)`[;:.,]?\s*")
LEFT = r"[A-Za-z][\w^]*(?:\{[^{}]*\})?(?:\([\w, ]+\))?"  # what an equation defines
SETTING = r"[a-z]\w*(?:=[\w.\"']+)?"
VARIANT = re.compile(rf"(?P<settings>{SETTING}(?:, {SETTING})*):\s+(?P<rest>\S.*)$")


@dataclass(frozen=True)
class Variant:
    """Equations that hold where all these fields are given or True, or have the value beside them.

    wanted: (field, value), the value None where there is none beside it.
    """

    wanted: tuple[tuple[str, str | None], ...]
    equations: tuple[Equation, ...]

    def holds(self, settings: Mapping[str, Any]) -> bool:
        def one(field: str, value: str | None) -> bool:
            has = settings.get(field)
            return has is not None and has is not False if value is None else str(has) == value

        return all(one(*pair) for pair in self.wanted)


@dataclass(frozen=True)
class Formula:
    """The equations of a docstring, and its variants."""

    equations: tuple[Equation, ...]
    variants: tuple[Variant, ...] = ()

    def where(self, **settings: Any) -> tuple[Equation, ...]:
        """The equations that hold for these values of fields: a variant's in place of those that
        define the same, new ones behind."""
        found = {line.key: line for line in self.equations}
        for variant in self.variants:
            if variant.holds(settings):
                found |= {line.key: line for line in variant.equations}
        return tuple(found.values())


def formula_of(thing: Any) -> Formula | None:
    """The formula of a class or function; None where its docstring has none.

    Errors: NotRead, with the name and the line.
    """
    section = section_of(inspect.getdoc(thing) or "")
    if section is None:
        return None
    known = set(inspect.signature(thing).parameters)
    try:
        return _read(section, known)
    except NotRead as error:
        raise NotRead(f"{getattr(thing, '__name__', thing)}: {error}") from None


def section_of(doc: str) -> list[str] | None:
    """The lines of the *Formula* section, the first without its name."""
    found = re.search(
        rf"^Formula:\s*(?P<body>.*?)(?=^\s*(?:{SECTIONS})(?:, \w+)*:|^\s*$|\Z)", doc, re.S | re.M
    )
    return None if found is None else found["body"].rstrip().splitlines()


def _read(lines: list[str], known: set[str]) -> Formula:
    equations: dict[str, Equation] = {}
    variants: list[Variant] = []
    prose = False
    for number, line in enumerate(_joined(lines)):
        told = VARIANT.match(line)
        if told and not line.startswith(" ") and _is_equation(told["rest"]):
            wanted = _settings(told["settings"])
            if unknown := [field for field, _ in wanted if field not in known]:
                raise NotRead(f"{line!r}: there is no field {unknown[0]}")
            variants.append(Variant(wanted, tuple(_equations(told["rest"]))))
            continue
        if not line.startswith(" "):  # the first line, or words about a field
            borrowed, line = _borrowed(line)
            equations |= {one.key: one for one in borrowed.equations}
            variants += [v for v in borrowed.variants if known >= {field for field, _ in v.wanted}]
            prose = number > 0 and not _is_equation(line)
            if not _is_equation(line):
                continue
        elif prose:  # words about a field, in several lines
            continue
        equations |= {one.key: one for one in _equations(line)}
    return Formula(tuple(equations.values()), tuple(variants))


def _settings(text: str) -> tuple[tuple[str, str | None], ...]:
    pairs = (part.partition("=") for part in text.split(", "))
    return tuple((field, value.strip("\"'") if sign else None) for field, sign, value in pairs)


def _joined(lines: list[str]) -> list[str]:
    """The lines, those that go on joined: after an operator, a comma or within brackets."""
    out: list[str] = []
    for line in lines:
        open_ = bool(out) and (
            out[-1].count("(") > out[-1].count(")") or out[-1].endswith((",", "+", "-"))
        )
        if open_:
            out[-1] = f"{out[-1]} {line.strip()}"
        else:
            out.append(line)
    return out


def _is_equation(text: str) -> bool:
    return re.match(rf"\s*(?:[\w ]+, )?(?:with )?{LEFT} = ", text) is not None


def _equations(text: str) -> list[Equation]:
    """The equations of a line, apart by semicolons, each with its definitions behind "with"."""
    found: list[Equation] = []
    for part in text.strip().removesuffix(":").split(";"):
        part = REMARK.sub("", part).strip().removeprefix("with ")
        if not part:
            continue
        first, *defined = re.split(r",?\s+with ", part)
        if _is_equation(first) or not defined:  # else they are words before "with"
            found += [equation(one) for one in _apart(first)]
        found += [equation(one) for more in defined for one in _apart(more)]
    return found


def _apart(text: str) -> list[str]:
    """Texts that commas part, each an equation: the commas of "if a, else b" part none."""
    return re.split(rf",\s+(?={LEFT} = )", text)


def _borrowed(line: str) -> tuple[Formula, str]:
    """The equations that a first line takes from another docstring, and the rest of the line."""
    found = BORROWED.match(line)
    if found is None:
        return Formula(()), line
    names = re.findall(r"[A-Za-z]\w*\^?(?=_t)", found["names"])
    other = formula_named(found["other"]) if found["other"] in recipes_by_name() else None
    if other is None:
        raise NotRead(f"`{found['other']}` has no formula")
    lines = tuple(x for x in other.equations if x.left.name in names)
    variants = [
        Variant(v.wanted, tuple(x for x in v.equations if x.left.name in names))
        for v in other.variants
    ]
    kept = tuple(v for v in variants if v.equations)
    return Formula(lines, kept), line[found.end() :]


@functools.cache
def recipes_by_name() -> dict[str, Any]:
    """The classes of recipes by the names of their functions."""
    return {name: kind for kind, name in RECIPES.items()}


def formula_named(name: str) -> Formula | None:
    """The formula of a recipe, such as adam. Errors: KeyError where there is none of this name."""
    return formula_of(recipes_by_name()[name])
