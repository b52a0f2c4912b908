"""Spaces as Optuna has them: its distributions and their names, and back."""

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from jaxopt_edu.search.samplers import Axis, axes
from jaxopt_edu.values import space
from jaxopt_edu.values.environment import need
from jaxopt_edu.values.labelling import distinct
from jaxopt_edu.values.space import Distribution, Group, OneOf

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

STRUCTURE = "structure"  # what a one_of is called that is the whole space


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
    if isinstance(d, space.Choice):
        return theirs.CategoricalDistribution(d.options)
    if isinstance(d, space.IntUniform):
        return theirs.IntDistribution(int(d.low), int(d.high))
    if isinstance(d, space.Uniform | space.LogUniform):
        low, high = d.bounds()
        return theirs.FloatDistribution(low, high, log=isinstance(d, space.LogUniform))
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
        return space.choice(*d.choices)
    if isinstance(d, theirs.IntDistribution) and not d.log:
        if d.step == 1:
            return space.IntUniform(d.low, d.high)
        return space.choice(*range(d.low, d.high + 1, d.step))
    if isinstance(d, theirs.FloatDistribution) and d.step is None:
        kind = space.LogUniform if d.log else space.Uniform
        return kind(d.low, math.nextafter(d.high, math.inf))
    raise ValueError(f"{d!r} has no counterpart here: say choice(...) of its values")


def parameter_names(groups: Sequence[Group]) -> dict[Axis, str]:
    """What the axes of a space are called as parameters of Optuna, where no two have one name.

    They are named as hyperparameters are. Where two structures have different distributions under
    a name, what the structures of each have in common is added: `learning_rate [adam]`.
    """
    found = axes(groups)
    times = Counter(name for name, _ in found)
    common: dict[Axis, Sequence] = {}  # choices that lead to all structures with an axis
    for group in groups:
        for axis in axes([group]):
            known = common.get(axis, group.choices)
            common[axis] = [chosen for chosen in known if chosen in group.choices]
    full = []
    for axis in found:
        chosen = " ".join(str(where.labels[i]) for _, where, i in common[axis])
        name = axis[0] or STRUCTURE
        full.append(f"{name} [{chosen}]" if times[axis[0]] > 1 else name)
    return dict(zip(found, distinct(full), strict=True))
