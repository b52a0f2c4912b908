"""Samplers: which points of a space are tried.

A sampler is a frozen value; `start` gives what is asked for trials and told their scores. Points
are columns over trials for each axis of the space: numbers for a distribution, the index of the
alternative for a `one_of`. Where an axis is absent from a trial's structure its entry is not used.
"""

import bisect
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.pytrees import nearest
from jaxopt_edu.values.space import Choice, Distribution, Group, OneOf

OPTUNA = ("tpe", "gp", "cmaes", "nsgaii", "nsgaiii", "qmc")  # names of samplers of Optuna's

Axis = tuple[str, OneOf | Distribution]
Columns = dict[Axis, ndarray]


class Asking(Protocol):
    """A sampler at work.

    total: how many trials it gives in all. batch: how many to ask for before their scores are
    told; total where it does not learn from scores.
    """

    total: int
    batch: int

    def ask(self, n: int) -> Columns: ...
    def tell(self, scores: ndarray, **more: Any) -> None: ...


class Sampler(Protocol):
    """Says which points of a space are tried."""

    def start(self, groups: list[Group], trials: int, seed: int, mode: Any) -> Asking: ...


def axes(groups: Sequence[Group]) -> list[Axis]:
    """The coordinates of a space: each choice and each distribution under a name, once."""
    choices: list[Any] = [(name, where) for group in groups for name, where, _ in group.choices]
    numbers: list[Any] = [item for group in groups for item in group.distributions().items()]
    return list(dict.fromkeys(choices + numbers))


class _Given:
    """Points that are all known at once and do not depend on scores."""

    def __init__(self, columns: Columns, total: int):
        self._columns, self.total, self.batch, self._asked = columns, total, total, 0

    def ask(self, n):
        mine = slice(self._asked, self._asked + n)
        self._asked += n
        return {axis: column[mine] for axis, column in self._columns.items()}

    def tell(self, scores, **more):
        """Nothing is learned from scores."""


class _Cube(ABC):
    """Samplers of the unit cube, pushed through the distributions."""

    @abstractmethod
    def points(self, n: int, d: int, seed: int) -> ndarray:
        """n points of the cube of d dimensions: (n, d)."""

    def start(self, groups, trials, seed, mode):
        found = axes(groups)
        cube = self.points(trials, len(found), seed).T
        return _Given({axis: column(axis, u) for axis, u in zip(found, cube, strict=True)}, trials)


def column(axis: Axis, u: ndarray) -> ndarray:
    """The entries of an axis at the shares u of it."""
    _, what = axis
    if isinstance(what, OneOf):
        what = Choice(tuple(range(len(what.alternatives))))
    return what.quantile(u)


@dataclass(frozen=True)
class Random(_Cube):
    """Independent points; the first ones do not depend on how many follow."""

    def points(self, n, d, seed):
        return np.random.default_rng(seed).random((n, d))


@dataclass(frozen=True)
class Sobol(_Cube):
    """Sobol's sequence, scrambled: points that leave smaller gaps than independent ones.

    The first points do not depend on how many follow; powers of two are the best numbers of them.
    Source: Owen 1998 (J. Complexity), by scipy.stats.qmc.Sobol.

    >>> import jaxopt_edu as jo
    >>> jo.sobol().points(4, 2, seed=0).shape
    (4, 2)
    """

    def points(self, n, d, seed):
        from scipy.stats import qmc

        engine = qmc.Sobol(d, scramble=True, rng=np.random.default_rng(seed))
        return engine.random_base2(max(n - 1, 0).bit_length())[:n]


@dataclass(frozen=True)
class LatinHypercube(_Cube):
    """Latin hypercube: in every coordinate each of n intervals of length 1/n holds one point.

    Source: McKay, Beckman & Conover 1979 (Technometrics), by scipy.stats.qmc.LatinHypercube.

    >>> import jaxopt_edu as jo
    >>> sorted((jo.latin_hypercube().points(4, 1, seed=0)[:, 0] * 4).astype(int).tolist())
    [0, 1, 2, 3]
    """

    def points(self, n, d, seed):
        from scipy.stats import qmc

        return qmc.LatinHypercube(d, rng=np.random.default_rng(seed)).random(n)


@dataclass(frozen=True)
class Grid:
    """As many evenly spread levels for each number as give at most n points over all structures."""

    def start(self, groups, trials, seed, mode):
        found, m = axes(groups), _most_levels(groups, trials)
        parts = [_mesh(group, m, found) for group in groups]
        columns = {axis: np.concatenate([part[axis] for part in parts]) for axis in found}
        return _Given(columns, len(columns[found[0]]))


def _most_levels(groups: list[Group], trials: int) -> int:
    """The most levels of each number, at most `trials`, of which a grid has at most as many points.

    More levels are no fewer points.
    """
    named = [group.distributions() for group in groups]

    def size(m):
        return sum(math.prod(len(d.levels(m)) for d in numbers.values()) for numbers in named)

    if size(1) > trials:
        raise ValueError(f"trials = {trials}: this grid has at least {size(1)} points")
    return bisect.bisect_right(range(1, trials + 1), trials, key=size)


def _mesh(group: Group, m: int, found: list[Axis]) -> Columns:
    """All points of one structure; 0 on axes that it has not."""
    named = group.distributions()
    mesh = np.meshgrid(*(d.levels(m) for d in named.values()), indexing="ij")
    n = mesh[0].size if mesh else 1
    own: Columns = {axis: x.ravel() for axis, x in zip(named.items(), mesh, strict=True)}
    own |= {(name, where): np.full(n, i) for name, where, i in group.choices}
    return {axis: own.get(axis, np.zeros(n)) for axis in found}


sobol, latin_hypercube = Sobol, LatinHypercube
SAMPLERS: dict[str, Sampler] = {
    "random": Random(),
    "sobol": Sobol(),
    "latin_hypercube": LatinHypercube(),
    "grid": Grid(),
}


def as_sampler(sampler: Any) -> Sampler:
    """The sampler that a name means; a sampler as it is."""
    if isinstance(sampler, str):
        if sampler not in SAMPLERS:
            wanted = f"jo.optuna({sampler!r})" if sampler in OPTUNA else nearest(sampler, SAMPLERS)
            raise ValueError(f"unknown sampler {sampler!r}; {wanted}")
        return SAMPLERS[sampler]
    if isinstance(sampler, type) or not hasattr(sampler, "start"):
        theirs = type(sampler).__module__.startswith("optuna")
        such = 'jo.optuna("tpe", n_startup_trials=20), which makes it' if theirs else "jo.sobol()"
        raise TypeError(f"sampler = {sampler!r}: wanted a name or a sampler such as {such}")
    return sampler
