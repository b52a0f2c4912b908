"""What a check says: whether it is right, which line is not, and in words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_edu.learn.notation.nodes import Equation
from jaxopt_edu.learn.notation.printing import text


@dataclass(frozen=True)
class CheckResult:
    """The answer of a check, which prints itself.

    ok: whether it is right. line: the line of the formula that is wrong, as it is printed; None
    where all is right, or where no line of a formula is to blame. message: what is wrong, in words.

    A course grades with `assert jo.learn.check("adam", rule).ok`.
    """

    ok: bool
    line: str | None
    message: str

    def __repr__(self) -> str:
        return self.message


def blamed(lines: Sequence[Equation], wrong: Mapping[int, Equation], told: str) -> CheckResult:
    """The verdict that these lines are wrong: the formula, and beside it what was written."""
    out = [f"{told}:"]
    for i, line in enumerate(lines):
        out.append(f"  {'>' if i in wrong else ' '} {line.text}")
        if i in wrong:
            left = line.text.partition(" = ")[0]
            out.append(f"      yours: {left} = {text(wrong[i].right)}")
    return CheckResult(False, lines[min(wrong)].text, "\n".join(out))


def far(x: Any, y: Any) -> float:
    """The largest difference, relative to the largest numbers beside it (along the last axis).

    Infinite where one is not finite and the other is not the same.
    """
    x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
    odd = ~(np.isfinite(x) & np.isfinite(y))
    if not np.array_equal(x[odd], y[odd], equal_nan=True):
        return np.inf
    x, y = np.atleast_1d(np.where(odd, 0, x)), np.atleast_1d(np.where(odd, 0, y))
    size = np.max(np.abs(x) + np.abs(y), axis=-1, keepdims=True, initial=0.0)
    return float(np.max(np.abs(x - y) / (1e-300 + size), initial=0.0))
