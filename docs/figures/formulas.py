"""Formulas of docstrings as figures show them, and as the page runs them."""

import re
from collections.abc import Sequence
from typing import Any

from jaxopt_edu.learn.notation.docstrings import formula_named
from jaxopt_edu.learn.notation.javascript import ordered
from jaxopt_edu.learn.notation.markup import mathml
from jaxopt_edu.learn.notation.nodes import Equation

LETTER = re.compile(r'<msub><mi data-field="(\w+)">[^<]*</mi><mtext>\w+</mtext></msub>')
FIELD = re.compile(r'<(mi|mtext) data-field="(\w+)">[^<]*</\1>')
AT_T = re.compile(r'<msub>(<mn data-value="\w+"></mn>)<mrow><mi>t</mi></mrow></msub>')


def lines_of(recipe: str, **settings: Any) -> tuple[Equation, ...]:
    """The equations of a recipe with these fields."""
    formula = formula_named(recipe)
    assert formula is not None, recipe
    return formula.where(**settings)


def shown(lines: Sequence[Equation]) -> dict[str, list[str]]:
    """The lines as MathML, and those with fields once more, with blanks for their numbers."""
    told = [mathml(line) for line in ordered(lines)]
    return {"lines": told, "filled": [_blank(x) for x in told if _blank(x) != x]}


def _blank(text: str) -> str:
    """Fields as <mn data-value="name">, which the page fills; a rate is the same at each step."""
    text = FIELD.sub(r'<mn data-value="\2"></mn>', LETTER.sub(r'<mn data-value="\1"></mn>', text))
    return AT_T.sub(r"\1", text)
