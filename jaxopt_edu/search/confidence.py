"""Intervals of means over the seeds and folds of a trial."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.folds import Folds


class Interval(NamedTuple):
    """A mean, and the bounds between which the true one lies at the level asked for."""

    mean: float
    low: float
    high: float


def intervals(
    values: ndarray, folds: float | None, level: float = 0.95
) -> tuple[ndarray, ndarray, ndarray]:
    """Means along the last axis of (..., n) values, and their lower and upper bounds.

    Formula: m -+ t s sqrt(1/n + c), s the standard deviation, t the quantile (1 + level) / 2 of
        Student's distribution with n - 1 degrees of freedom; c = 0 over seeds. The training parts
        of K folds overlap, so their scores are not independent: c = 1 / (K - 1), which is the
        number of examples held out over that of those trained on.
    NaN bounds for a single value.
    Errors: ValueError unless level is in (0, 1).
    Source: Nadeau & Bengio 2003 (Machine Learning), Inference for the generalization error.
    Agrees with: scipy.stats.t.interval where folds is None, 1e-12.

    >>> from jaxopt_edu.search.confidence import interval
    >>> [round(x, 3) for x in interval([1.0, 2.0, 3.0], None)]
    [2.0, -0.484, 4.484]
    """
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: wanted a number in (0, 1)")
    values = np.asarray(values, float)
    n, mean = values.shape[-1], values.mean(-1)
    if n < 2:
        return mean, np.full_like(mean, np.nan), np.full_like(mean, np.nan)
    overlap = 0 if folds is None else 1 / (folds - 1)
    from scipy.special import stdtrit  # slow to import

    half = stdtrit(n - 1, (1 + level) / 2) * values.std(-1, ddof=1) * np.sqrt(1 / n + overlap)
    return mean, mean - half, mean + half


def fold_count(repeats: Sequence[tuple[int, int | None]]) -> int | None:
    """How many folds there are among the (seed, fold) of the lanes of a trial; None without."""
    return len({fold for _, fold in repeats if fold is not None}) or None


def effective_folds(experiment: Any, folds: int | None) -> float | None:
    """The K whose folds hold out as much for each example trained on as those of an experiment.

    That is their number, except where they were given and hold out another share.
    """
    data = getattr(experiment, "data", None)
    if folds is None or not isinstance(data, Folds) or data.given is None:
        return folds
    return 1 + 1 / float(np.mean([len(held) / len(train) for train, held in data.pairs()]))


def interval(values: ndarray, folds: float | None, level: float = 0.95) -> Interval:
    """`intervals` of one row of values."""
    return Interval(*(float(x) for x in intervals(values, folds, level)))
