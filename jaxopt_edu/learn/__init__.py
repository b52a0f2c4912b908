"""Learning: formulas that run, what says which line of one is wrong, and results of all sliders."""

from jaxopt_edu.learn.check_results import CheckResult
from jaxopt_edu.learn.exploring import explore
from jaxopt_edu.learn.functions import check_loss, check_prox
from jaxopt_edu.learn.gradients import check_gradient
from jaxopt_edu.learn.handling import check_batches, check_split
from jaxopt_edu.learn.laws import check_rule
from jaxopt_edu.learn.results import Explored
from jaxopt_edu.learn.rules import check

__all__ = [
    "CheckResult", "Explored", "check", "check_batches", "check_gradient", "check_loss",
    "check_prox", "check_rule", "check_split", "explore",
]  # fmt: skip
