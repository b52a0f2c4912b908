"""Spaces as Optuna has them: its distributions and their names, and back."""

import contextlib
import importlib.util
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jaxopt_edu.search.samplers import Axis, axes
from jaxopt_edu.values.labelling import distinct
from jaxopt_edu.values.space import (
    Choice,
    Distribution,
    Group,
    IntUniform,
    LogUniform,
    OneOf,
    Uniform,
    choice,
)

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

__all__ = ["from_distribution", "to_distribution"]

STRUCTURE = "structure"  # what a one_of is called that is the whole space
INSTALL = {"optuna": "jaxopt_edu[optuna]", "cmaes": "jaxopt_edu[optuna]", "sklearn": "scikit-learn"}


def need(what: str, *packages: str) -> None:
    """ImportError that says what to install, where one of the packages is absent."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            install = INSTALL.get(package, package)
            raise ImportError(f"{what} needs {package}: pip install '{install}'")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what Optuna logs of every study and trial."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.set_verbosity(before)


# ------------------------------------------------------------------------------- distributions


def to_distribution(d: Distribution | OneOf) -> "BaseDistribution":
    """Optuna's distribution of the same numbers.

    uniform and log_uniform: FloatDistribution, whose interval is closed: it ends at the last float
        before high. int_uniform: IntDistribution. choice: CategoricalDistribution of the numbers;
        one_of: of the labels of the alternatives.
    Errors: TypeError for a distribution of another kind; ImportError without Optuna.

    >>> import jaxopt_edu as jo
    >>> jo.to_distribution(jo.int_uniform(1, 8))
    IntDistribution(high=8, log=False, low=1, step=1)
    """
    need("to_distribution", "optuna")
    from optuna import distributions as theirs

    if isinstance(d, OneOf):
        return theirs.CategoricalDistribution(d.labels)
    if isinstance(d, Choice):
        return theirs.CategoricalDistribution(d.options)
    if isinstance(d, IntUniform):
        return theirs.IntDistribution(int(d.low), int(d.high))
    if isinstance(d, Uniform | LogUniform):
        low, high = d.bounds()
        return theirs.FloatDistribution(low, high, log=isinstance(d, LogUniform))
    raise TypeError(
        f"{d!r} has no counterpart in Optuna: wanted uniform, log_uniform, int_uniform, choice or "
        "one_of"
    )


def from_distribution(d: "BaseDistribution") -> Distribution | OneOf:
    """The inverse of `to_distribution`.

    A CategoricalDistribution of numbers becomes a choice, of anything else a one_of; integers with
    a step other than 1 a choice.
    Errors: ValueError for what has no counterpart here: integers on a logarithmic scale, floats
        with a step.

    >>> import jaxopt_edu as jo
    >>> jo.from_distribution(jo.to_distribution(jo.log_uniform(1e-4, 1e-1)))
    log_uniform(0.0001, 0.1)
    """
    need("from_distribution", "optuna")
    from optuna import distributions as theirs

    if isinstance(d, theirs.CategoricalDistribution):
        return choice(*d.choices)
    if isinstance(d, theirs.IntDistribution) and not d.log:
        whole = d.step == 1
        return IntUniform(d.low, d.high) if whole else choice(*range(d.low, d.high + 1, d.step))
    if isinstance(d, theirs.FloatDistribution) and d.step is None:
        kind = LogUniform if d.log else Uniform
        return kind(d.low, math.nextafter(d.high, math.inf))
    raise ValueError(f"{d!r} has no counterpart here: say choice(...) of its values")


class Parameters:
    """The axes of a space as parameters of Optuna, where no two may have the same name.

    They are named as hyperparameters are. Where two structures have different distributions under
    a name, the labels of the structures are added: `learning_rate [adam]`.
    """

    def __init__(self, groups: Sequence[Group]):
        found = axes(list(groups))
        times = Counter(name for name, _ in found)
        having = _having(groups)
        full = [
            (axis[0] or STRUCTURE) + (_where(having[axis]) if times[axis[0]] > 1 else "")
            for axis in found
        ]
        self.names: dict[Axis, str] = dict(zip(found, distinct(full), strict=True))

    def distributions(self) -> dict[Axis, "BaseDistribution"]:
        """Those of Optuna. Errors: TypeError for one that it has not."""
        return {axis: to_distribution(axis[1]) for axis in self.names}


def _having(groups: Sequence[Group]) -> dict[Axis, list[tuple]]:
    """The choices that lead to each of the structures that have an axis."""
    found: dict[Axis, list[tuple]] = {}
    for group in groups:
        for axis in axes([group]):
            found.setdefault(axis, []).append(group.choices)
    return found


def _where(having: list[tuple]) -> str:
    """What these structures have in common, in words."""
    common = [chosen for chosen in having[0] if all(chosen in choices for choices in having)]
    return f" [{' '.join(str(where.labels[i]) for _, where, i in common)}]"
