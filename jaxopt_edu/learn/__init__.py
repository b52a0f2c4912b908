"""Learning: formulas that run, what says which line of one is wrong, and results of all sliders."""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_edu.learn.check_results import CheckResult
from jaxopt_edu.learn.exploring import explore
from jaxopt_edu.learn.functions import check_loss, check_prox
from jaxopt_edu.learn.gradients import check_gradient
from jaxopt_edu.learn.handling import check_batches, check_split
from jaxopt_edu.learn.laws import check_rule
from jaxopt_edu.learn.results import Explored
from jaxopt_edu.learn.rules import check

if TYPE_CHECKING:
    from jaxopt_edu.learn.axis import Axis as Axis
else:

    def __getattr__(name: str) -> Any:
        """`Axis` is imported when it is asked for: it needs anywidget, which nothing else does."""
        if name == "Axis":
            return importlib.import_module("jaxopt_edu.learn.axis").Axis
        raise AttributeError(f"module 'jaxopt_edu.learn' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted([*globals(), "Axis"])


__all__ = [
    "CheckResult", "Explored", "check", "check_batches", "check_gradient", "check_loss",
    "check_prox", "check_rule", "check_split", "explore",
]  # fmt: skip
