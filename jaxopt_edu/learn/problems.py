"""Random problems on which a student's rule and a formula are compared."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxopt_edu.learn.notation.nodes import Equation, Sym

SYMBOLS = {"learning_rate": ("eta_t", "eta"), "momentum": ("mu",), "weight_decay": ("lambda",)}
STEPS, LANES, SIZE = 5, 12, 3


@dataclasses.dataclass(frozen=True)
class Problem:
    """Random numbers for the fields of a recipe, gradients of many scales, and params.

    numbers: by field, (LANES, 1). gradients, params: (STEPS, LANES, SIZE).
    """

    numbers: Mapping[str, np.ndarray]
    gradients: np.ndarray
    params: np.ndarray

    @property
    def symbols(self) -> dict[str, np.ndarray]:
        """The numbers under the names they have in a formula."""
        return named(self.numbers)


def named(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of fields, also under the names they have in a formula: learning_rate is eta_t."""
    found = dict(numbers)
    for field, symbols in SYMBOLS.items():
        if field in numbers:
            found |= dict.fromkeys(symbols, numbers[field])
    return found


def problem_for(
    kind: type, lines: Sequence[Equation], fixed: Mapping[str, Any], seed: int
) -> Problem:
    """Random numbers for the fields that the lines name; the others keep their default."""
    rng = np.random.default_rng(seed)
    asked = {s.name for line in lines for s in line.right.all() if isinstance(s, Sym)}
    numbers = {}
    for field in dataclasses.fields(kind):
        if "low" not in field.metadata or field.name in fixed:
            continue
        if asked & {field.name, *SYMBOLS.get(field.name, ())}:
            numbers[field.name] = _drawn(field, rng)
    given = {
        k: np.full((LANES, 1), float(x)) for k, x in fixed.items() if isinstance(x, int | float)
    }
    scale = 10 ** rng.uniform(-1.5, 1.5, (LANES, 1))
    gradients = rng.normal(size=(STEPS, LANES, SIZE)) * scale
    return Problem(numbers | given, gradients, rng.normal(size=(STEPS, LANES, SIZE)))


def _drawn(field: Any, rng: np.random.Generator) -> np.ndarray:
    low, high = field.metadata["low"], field.metadata["high"]
    if high == 1:
        return rng.uniform(0.3, 0.95, (LANES, 1))
    if (
        field.default is not dataclasses.MISSING
        and field.default not in (None, 0)
        and field.default >= 1
    ):
        return np.full((LANES, 1), float(field.default))  # a threshold, which has its own scale
    return low + 10 ** rng.uniform(-2, -0.5, (LANES, 1))
