"""Distributions of search spaces as Optuna has them, and back."""

import math
from typing import TYPE_CHECKING, Any

from jaxopt_edu.values import space
from jaxopt_edu.values.environment import need

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

WIDE = 50  # numbers above 0 that span such a factor are taken for logarithmic


def to_distribution(d: space.Distribution | space.OneOf) -> "BaseDistribution":
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

    if isinstance(d, space.OneOf):
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


def from_distribution(d: "BaseDistribution") -> space.Distribution | space.OneOf:
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


def fitted_distribution(
    what: space.Distribution | space.OneOf | None, values: list
) -> "BaseDistribution":
    """Optuna's distribution of what was sampled, if it is known, but wide enough for the values."""
    from optuna import distributions as theirs

    if isinstance(what, space.OneOf | space.Choice):
        return to_distribution(what)
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in values):
        return theirs.CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = min(values), max(values)
    log = low > 0 and high >= WIDE * low
    whole = all(isinstance(x, int) for x in values)
    if isinstance(what, space.Uniform | space.LogUniform | space.IntUniform):
        low, high = min(low, what.bounds()[0]), max(high, what.bounds()[1])
        log, whole = isinstance(what, space.LogUniform), isinstance(what, space.IntUniform)
    kind: Any = theirs.IntDistribution if whole else theirs.FloatDistribution
    return kind(low, high, log=log)
