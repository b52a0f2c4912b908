"""Schedulers: rungs at which trials are compared and the worse ones stopped.

A policy says where it judges (`stops`), and who goes on (`judge`). Scores are signed so that lower
is better; NaN is worst. All brackets of Hyperband start at once: a bracket is a number of a trial.
"""

import dataclasses
import functools
import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.pytrees import check_count

__all__ = ["Halving", "Hyperband", "MedianStopping", "halving", "hyperband", "median_stopping"]


class RungState(NamedTuple):
    """How things stand at a rung."""

    step: int
    steps: int  # of a full training
    scores: ndarray  # (trials,) at this step; NaN where a trial was stopped or has diverged
    active: ndarray  # (trials,) bool: which are still on their way, diverged ones not
    curves: ndarray  # (trials, evaluations) up to this step
    structures: ndarray  # (trials,) which structure each has
    seed: int


class Exploit(NamedTuple):
    """A trial goes on from another one's state, with numbers of its own.

    before: the numbers of the parent, which trained the state until then.
    """

    trial: int
    parent: int
    numbers: dict[str, float]
    before: dict[str, float]


class Decision(NamedTuple):
    """Which trials go on, and which of them from the state of another."""

    active: ndarray
    copies: tuple[Exploit, ...] = ()


class Scheduler(Protocol):
    """A policy: a frozen value, so that a study can say which it was.

    It may have a method settled(steps, least), which gives the policy with its defaults filled in
    for trainings that are judged after `least` steps at the earliest.
    """

    def stops(self, steps: int) -> tuple[int, ...]: ...
    def expected(self, trials: int, steps: int) -> list[tuple[int, int]]: ...
    def judge(self, standing: RungState, batches: list) -> Decision: ...


def _ladder(first: int, eta: int, steps: int) -> tuple[int, ...]:
    """first, first eta, first eta^2, ... below steps"""
    out = []
    while first < steps:
        out.append(first)
        first *= eta
    return tuple(out)


def _check(name: str, eta: int, first: int | None) -> None:
    check_count(f"{name}: eta", eta, least=2)
    if first is not None:
        check_count(f"{name}: first", first)


def first_rung(given: int | None, steps: int, share: int, least: int | None = None) -> int:
    """The first rung: as given, or steps / share, but not before `least`, else steps / 40."""
    return given or max(math.ceil(steps / share), least or math.ceil(steps / 40))


def _best(scores: ndarray, count: int) -> ndarray:
    """Which are the `count` best; ties go to the earlier ones, NaN is worst."""
    out = np.zeros(len(scores), bool)
    out[np.argsort(np.where(np.isnan(scores), np.inf, scores), kind="stable")[:count]] = True
    return out


# ------------------------------------------------------------------------------------- halving


@dataclass(frozen=True)
class Halving:
    """Successive halving: at each rung the best 1 / eta of the trials go on, from where they are.

    Formula: rungs at r, r eta, r eta^2, ... below the steps of a full training; of n trials
        max(1, floor(n / eta^i)) go on after the i-th rung.
    first: r; by default a 64th of the steps, but at least an epoch, or a fortieth of the steps
        where there are no batches (or `stops` knows of none). A rung that is too early ranks
        noise, and a sweep warns of it: of digits trials of 2,560 steps, one at 10 steps loses to
        random search at equal work, one at 40 wins (benchmarks/halving.py).
    Errors: ValueError unless eta >= 2 and first >= 1.
    Source: Karnin, Koren & Somekh 2013; Jamieson & Talwalkar 2016 (AISTATS), Algorithm 1.

    >>> import jaxopt_edu as jo
    >>> jo.halving(eta=4).stops(2560)
    (64, 256, 1024)
    """

    eta: int = 4
    first: int | None = None

    def __post_init__(self):
        _check("halving", self.eta, self.first)

    def settled(self, steps: int, least: int) -> "Halving":
        """The policy in a sweep."""
        return dataclasses.replace(self, first=first_rung(self.first, steps, 64, least))

    def stops(self, steps):
        return _ladder(first_rung(self.first, steps, 64), self.eta, steps)

    def expected(self, trials, steps):
        ends = [*self.stops(steps), steps]
        lengths = np.diff([0, *ends]).tolist()
        return [(max(1, trials // self.eta**i), length) for i, length in enumerate(lengths)]

    def judge(self, standing, batches):
        rung = self.stops(standing.steps).index(standing.step) + 1
        keep = max(1, len(standing.scores) // self.eta**rung)
        return Decision(standing.active & _best(_masked(standing), keep))


def _masked(standing: RungState) -> ndarray:
    return np.where(standing.active, standing.scores, np.nan)


# ----------------------------------------------------------------------------------- hyperband


@dataclass(frozen=True)
class Hyperband:
    """Successive halving with several first rungs at once, as nobody knows the right one.

    Formula: bracket s = 0, ..., S has its first rung at R / eta^s, R the steps of a full training
        and S the largest for which that is at least `first`; its share of the trials is
        proportional to  eta^s / (s + 1).
    Trial i is in the bracket that lacks most of its share of i + 1 trials, so its bracket does
    not depend on how many follow. Trials compete within their bracket only.
    first: the fewest steps before a trial is judged; by default as in `halving`.
    Errors: ValueError unless eta >= 2 and first >= 1.
    Source: Li, Jamieson, DeSalvo, Rostamizadeh & Talwalkar 2018 (JMLR), Algorithm 1.

    >>> import jaxopt_edu as jo
    >>> jo.hyperband(eta=4, first=40).brackets(12, 2560).tolist()
    [3, 2, 3, 3, 1, 3, 3, 2, 3, 3, 0, 3]
    """

    eta: int = 4
    first: int | None = None

    def __post_init__(self):
        _check("hyperband", self.eta, self.first)

    def settled(self, steps: int, least: int) -> "Hyperband":
        """The policy in a sweep."""
        return dataclasses.replace(self, first=first_rung(self.first, steps, 64, least))

    def highest(self, steps: int) -> int:
        """S"""
        least = first_rung(self.first, steps, 64)
        return max(0, int(math.log(steps / least, self.eta) + 1e-9))

    def brackets(self, trials: int, steps: int) -> ndarray:
        """The bracket s of each trial."""
        s = np.arange(self.highest(steps), -1, -1)
        share = self.eta**s / (s + 1)
        dealt = _dealt(tuple((share / share.sum()).tolist()), 2 ** max(trials - 1, 0).bit_length())
        return s[dealt[:trials]]

    def _rungs(self, s: int, steps: int) -> tuple[int, ...]:
        return tuple(max(1, steps // self.eta**i) for i in range(s, 0, -1))

    def stops(self, steps):
        return self._rungs(self.highest(steps), steps)

    def expected(self, trials, steps):
        brackets = self.brackets(trials, steps)
        sizes = np.bincount(brackets, minlength=self.highest(steps) + 1)
        ends = [*self.stops(steps), steps]
        lengths = np.diff([0, *ends]).tolist()
        return [
            (sum(self._left(int(n), s, end, steps) for s, n in enumerate(sizes)), length)
            for end, length in zip([0, *ends[:-1]], lengths, strict=True)
        ]

    def _left(self, n: int, s: int, step: int, steps: int) -> int:
        """How many of n trials of bracket s go on after the rung at a step."""
        passed = sum(rung <= step for rung in self._rungs(s, steps))
        return max(1, n // self.eta**passed) if n else 0

    def judge(self, standing, batches):
        brackets = self.brackets(len(standing.scores), standing.steps)
        going = standing.active.copy()
        for s in range(self.highest(standing.steps) + 1):
            if standing.step in self._rungs(s, standing.steps):
                mine = np.flatnonzero(brackets == s)
                keep = self._left(len(mine), s, standing.step, standing.steps)
                going[mine] &= _best(_masked(standing)[mine], keep)
        return Decision(going)


@functools.lru_cache(maxsize=64)
def _dealt(shares: tuple[float, ...], count: int) -> ndarray:
    """Which share each of `count` trials counts to: the one that lacks most of what it is due.

    Callers ask for powers of two, as the first trials do not depend on how many follow: so a sweep
    that asks again and again, for more and more trials, deals about twice as many as it has.
    """
    share, given, out = np.array(shares), np.zeros(len(shares)), np.zeros(count, int)
    for i in range(count):
        out[i] = k = int(np.argmax(share * (i + 1) - given))
        given[k] += 1
    out.setflags(write=False)
    return out


# ------------------------------------------------------------------------------ median stopping


@dataclass(frozen=True)
class MedianStopping:
    """A trial stops where its best score so far is worse than the median of the others' averages.

    Formula: at step t trial i stops if  min_{s <= t} f_i(s) > median_{j != i} mean_{s <= t} f_j(s),
        over all trials j that got as far as t.
    first: the first step at which trials are judged; by default an eighth of all steps, but at
        least an epoch, or a fortieth of the steps where there are no batches.
    every: steps from one judgement to the next; by default an eighth of all steps.
    Errors: ValueError unless first >= 1 and every >= 1.
    Source: Golovin et al. 2017 (KDD), Google Vizier, section 3.2.1.

    >>> import jaxopt_edu as jo
    >>> jo.median_stopping(first=200, every=100).stops(500)
    (200, 300, 400)
    """

    first: int | None = None
    every: int | None = None

    def __post_init__(self):
        for name in ("first", "every"):
            if getattr(self, name) is not None:
                check_count(f"median_stopping: {name}", getattr(self, name))

    def settled(self, steps: int, least: int) -> "MedianStopping":
        """The policy in a sweep."""
        return dataclasses.replace(self, first=first_rung(self.first, steps, 8, least))

    def stops(self, steps):
        return tuple(
            range(first_rung(self.first, steps, 8), steps, first_rung(self.every, steps, 8))
        )

    def expected(self, trials, steps):
        return [(trials, steps)]

    def judge(self, standing, batches):
        with_score = standing.active & np.isfinite(standing.scores)
        if with_score.sum() < 2:
            return Decision(standing.active)
        seen = np.isfinite(standing.curves)
        average = np.where(seen, standing.curves, 0).sum(1) / np.maximum(seen.sum(1), 1)
        best = np.where(seen, standing.curves, np.inf).min(1)
        others = np.flatnonzero(with_score)
        going = standing.active.copy()
        going[others] = ~(best[others] > medians_of_others(average[others]))
        return Decision(going)


def medians_of_others(x: ndarray) -> ndarray:
    """For each of n >= 2 numbers the median of the n - 1 others.

    Formula: of the numbers in order the k-th of the others is the k-th of all, or, where the one
        that is left out stands at k or before it, the next. So one sort does for all.

    >>> import numpy as np
    >>> medians_of_others(np.array([1.0, 5.0, 2.0])).tolist()
    [3.5, 1.5, 3.0]
    """
    order = np.argsort(x, kind="stable")
    place, ordered = np.empty(len(x), int), x[order]
    place[order] = np.arange(len(x))
    low, high = ((len(x) - 2) // 2, (len(x) - 1) // 2)
    left, right = (ordered[k + (place <= k)] for k in (low, high))
    return left if low == high else (left + right) / 2


halving, hyperband, median_stopping = Halving, Hyperband, MedianStopping
