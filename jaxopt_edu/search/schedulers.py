"""Schedulers: rungs at which trials are compared and the worse ones stopped.

A policy says where it judges (`stops`), and who goes on (`judge`). Scores are signed so that lower
is better; NaN is worst. All brackets of Hyperband start at once: a bracket is a number of a trial.
"""

import dataclasses
import functools
import itertools
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.pytrees import check_count


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
    def judge(self, standing: RungState, batches: list) -> Decision: ...

    def expected(self, trials: int, steps: int) -> list[tuple[int, int]]:
        """(trials, steps) of each stage; where nobody is stopped, all of one."""
        return [(trials, steps)]


def first_rung(given: int | None, steps: int, share: int, least: int | None = None) -> int:
    """The first rung: as given, or steps / share, but not before `least`, else steps / 40."""
    return given or max(math.ceil(steps / share), least or math.ceil(steps / 40))


def order(scores: ndarray) -> ndarray:
    """The places of scores, the best first; ties go to the earlier ones, NaN is worst."""
    return np.argsort(scores, kind="stable")


@dataclass(frozen=True)
class NoRungs(Scheduler):
    """Rungs that stop nobody.

    moves: (step, Exploit), of trials that take over the states of others there.
    """

    moves: tuple[tuple[int, Exploit], ...] = ()

    def stops(self, steps: int) -> tuple[int, ...]:
        return tuple(sorted({step for step, _ in self.moves}))

    def judge(self, standing: RungState, batches: list) -> Decision:
        now = (copy for step, copy in self.moves if step == standing.step)
        return Decision(standing.active, tuple(c for c in now if standing.active[c.trial]))


# ------------------------------------------------------------------------------------- halving


@dataclass(frozen=True)
class _Halvings(Scheduler, ABC):
    """Brackets of trials, each with rungs of its own, after which 1 / eta of a bracket go on."""

    eta: int = 4
    first: int | None = None

    def __post_init__(self):
        name = type(self).__name__.lower()
        check_count(f"{name}: eta", self.eta, least=2)
        if self.first is not None:
            check_count(f"{name}: first", self.first)

    def settled(self, steps: int, least: int) -> "_Halvings":
        """The policy in a sweep."""
        return dataclasses.replace(self, first=first_rung(self.first, steps, 64, least))

    @abstractmethod
    def _ladders(self, steps: int) -> list[tuple[int, ...]]:
        """The rungs of each bracket; the last has those of all."""

    def _brackets(self, trials: int, steps: int) -> ndarray:
        """The bracket of each trial."""
        return np.zeros(trials, int)

    def _left(self, n: int, ladder: Sequence[int], step: int) -> int:
        """How many of n trials of a bracket go on from a step."""
        return max(1, n // self.eta ** bisect_right(ladder, step)) if n else 0

    def stops(self, steps):
        return self._ladders(steps)[-1]

    def expected(self, trials, steps):
        ladders = self._ladders(steps)
        sizes = np.bincount(self._brackets(trials, steps), minlength=len(ladders)).tolist()
        return [
            (sum(self._left(n, x, start) for n, x in zip(sizes, ladders, strict=True)), end - start)
            for start, end in itertools.pairwise([0, *ladders[-1], steps])
        ]

    def judge(self, standing, batches):
        brackets = self._brackets(len(standing.scores), standing.steps)
        scores = np.where(standing.active, standing.scores, np.nan)
        going = standing.active.copy()
        for s, ladder in enumerate(self._ladders(standing.steps)):
            if standing.step in ladder:
                mine = np.flatnonzero(brackets == s)
                keep = self._left(len(mine), ladder, standing.step)
                going[mine[order(scores[mine])[keep:]]] = False
        return Decision(going)


@dataclass(frozen=True)
class Halving(_Halvings):
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

    def _ladders(self, steps):
        rungs = [first_rung(self.first, steps, 64)]
        while rungs[-1] < steps:
            rungs.append(rungs[-1] * self.eta)
        return [tuple(rungs[:-1])]


# ----------------------------------------------------------------------------------- hyperband


@dataclass(frozen=True)
class Hyperband(_Halvings):
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

    _brackets = brackets

    def _ladders(self, steps):
        rungs = [max(1, steps // self.eta**i) for i in range(self.highest(steps), 0, -1)]
        return [tuple(rungs[len(rungs) - s :]) for s in range(len(rungs) + 1)]


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
class MedianStopping(Scheduler):
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
        for name, given in vars(self).items():
            if given is not None:
                check_count(f"median_stopping: {name}", given)

    def settled(self, steps: int, least: int) -> "MedianStopping":
        """The policy in a sweep."""
        return dataclasses.replace(self, first=first_rung(self.first, steps, 8, least))

    def stops(self, steps):
        first, every = (first_rung(given, steps, 8) for given in (self.first, self.every))
        return tuple(range(first, steps, every))

    def judge(self, standing, batches):
        rated = np.flatnonzero(standing.active & np.isfinite(standing.scores))
        going = standing.active.copy()
        if len(rated) > 1:
            curves = standing.curves[rated]
            curves = np.where(np.isfinite(curves), curves, np.nan)
            going[rated] = np.nanmin(curves, 1) <= medians_of_others(np.nanmean(curves, 1))
        return Decision(going)


def medians_of_others(x: ndarray) -> ndarray:
    """For each of n >= 2 numbers the median of the n - 1 others.

    Formula: of the numbers in order the k-th of the others is the k-th of all, or, where the one
        that is left out stands at k or before it, the next. So one sort does for all.

    >>> import numpy as np
    >>> medians_of_others(np.array([1.0, 5.0, 2.0])).tolist()
    [3.5, 1.5, 3.0]
    """
    by_size = order(x)
    place, ordered = np.argsort(by_size), x[by_size]
    left, right = (ordered[k + (place <= k)] for k in ((len(x) - 2) // 2, (len(x) - 1) // 2))
    return (left + right) / 2


halving, hyperband, median_stopping = Halving, Hyperband, MedianStopping
