"""Optuna's samplers: they are asked for a batch of trials, and told all its scores at once."""

import dataclasses
import inspect
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from numpy import ndarray

from jaxopt_edu.engine.status import DIVERGED, FINISHED, STOPPED
from jaxopt_edu.search import optuna_trials
from jaxopt_edu.search.samplers import Axis, Columns, column
from jaxopt_edu.values.environment import need
from jaxopt_edu.values.optuna_space import to_distribution
from jaxopt_edu.values.pytrees import SEEDS, check_count, check_seed, nearest, resolve_among
from jaxopt_edu.values.space import Group

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial


@dataclass(frozen=True)
class Kind:
    """What there is to know of a sampler of Optuna's.

    options: defaults that differ from its own. generation: what an evolution calls the size of a
    batch, and least the smallest. startup: whether it begins with random trials, n_startup_trials.
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    generation: str | None = None
    least: int = 1
    startup: bool = False
    learns: bool = True
    packages: tuple[str, ...] = ()


KINDS = {
    "tpe": Kind("TPESampler", {"constant_liar": True, "multivariate": False}, startup=True),
    "gp": Kind("GPSampler", startup=True, packages=("torch",)),
    "cmaes": Kind("CmaEsSampler", generation="popsize", least=4, packages=("cmaes",)),
    "nsgaii": Kind("NSGAIISampler", generation="population_size", least=4),
    "nsgaiii": Kind("NSGAIIISampler", generation="population_size", least=4),
    "random": Kind("RandomSampler", learns=False),
    "qmc": Kind("QMCSampler", {"scramble": True}, learns=False),
}
ROUNDS, MOST = 8, 64  # batches of a search by default, and trials in one at most
STARTUP = 10  # Optuna's n_startup_trials


def _word(seed: int) -> int:
    """The seed below 2^32 that Optuna takes: a larger one is hashed into it, not cut off."""
    seed = check_seed(seed, None)
    return seed if seed < SEEDS else int(np.random.SeedSequence(seed).generate_state(1)[0])


@dataclass(frozen=True)
class Optuna:
    """A sampler of Optuna's; made by `optuna(kind, ...)`, options as pairs of name and value."""

    kind: str = "tpe"
    batch: int | None = None
    storage: Any = None
    study_name: str = "jaxopt_edu"
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self):
        resolve_among("optuna: kind", self.kind, KINDS)
        if self.batch is not None:
            check_count(f"optuna({self.kind!r}): batch", self.batch, KINDS[self.kind].least)

    def start(self, groups: list[Group], trials: int, seed: int, mode: Any) -> "Search":
        need(f"optuna({self.kind!r})", "optuna", *KINDS[self.kind].packages)
        return Search(self.fitted(trials), groups, trials, seed, mode)

    def fitted(self, trials: int) -> "Optuna":
        """The sampler with its defaults filled in for a number of trials.

        Errors: ValueError where all trials would be asked for before a score is told.
        """
        kind, options = KINDS[self.kind], dict(self.options)
        rounds, most = (ROUNDS, MOST) if kind.learns else (1, trials)
        batch = self.batch or max(kind.least, min(most, -(-trials // rounds)))
        if kind.startup:
            options.setdefault("n_startup_trials", min(STARTUP, max(1, trials // 4)))
        told = (trials - 1) // batch * batch  # scores, before the last trials are asked for
        random = options.get("n_startup_trials", 1)
        if kind.learns and told < max(random, 1):
            raise ValueError(
                f"optuna({self.kind!r}): of {trials} trials in batches of {batch} the first "
                f"{max(random, batch)} are random, so none would learn from a score: wanted more "
                "trials, or a smaller batch or n_startup_trials"
            )
        return dataclasses.replace(self, batch=batch, options=tuple(sorted(options.items())))

    def make(self, seed: int) -> "BaseSampler":
        """The sampler itself. Errors: TypeError for an option that it has not."""
        from optuna import exceptions, samplers

        kind = KINDS[self.kind]
        cls = getattr(samplers, kind.name)
        known = [name for name in inspect.signature(cls).parameters if name != "seed"]
        for name, _ in self.options:
            if name not in known:
                raise TypeError(f"optuna({self.kind!r}): no {name!r}; {nearest(name, known)}")
        own = {kind.generation: self.batch} if kind.generation else {}
        with warnings.catch_warnings():
            # qmc, nsgaiii and some options are experimental; who names them wants them
            warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
            return cls(seed=_word(seed), **(kind.options | own | dict(self.options)))


def optuna(
    kind: str = "tpe",
    *,
    batch: int | None = None,
    storage: Any = None,
    study_name: str = "jaxopt_edu",
    **options: Any,
) -> Optuna:
    """A sampler of Optuna's for `sweep`, which learns from the scores of the trials before.

    kind: tpe (densities of good and of bad trials), gp (a Gaussian process; wants torch, and takes
        a fifth of a second and more a trial), cmaes (evolution of a normal distribution; wants
        cmaes, and draws choices at random), nsgaii and nsgaiii (evolution), random, qmc (a
        scrambled Sobol sequence; `sobol()` is faster). Several objectives: tpe, gp, nsgaii,
        nsgaiii, random, qmc.
    batch: how many trials are asked for before their scores are told; they train side by side. By
        default an eighth of the trials, at most 64 (random, qmc: all). The trials of a batch of tpe
        and gp keep apart from each other (constant liar, expected improvement of the batch); for
        the evolutions a batch is a generation. The first is random.
    options: arguments of Optuna's sampler, such as n_startup_trials=20. Of its defaults we change
        two: of fewer than 40 trials a quarter are random at the start, not 10; and tpe looks at
        each number by itself (multivariate=False), because in few batches of many that finds
        better trials than all numbers together (`benchmarks/optuna_tpe.py`), at two to three times
        the time: 10 to 20 ms a trial in a search of a few hundred.
    storage, study_name: where every trial is copied to after its batch, for Optuna's dashboard and
        `optuna.load_study`: a URL such as sqlite:///file.db (tens of ms a trial), the path of a
        journal file (about one), or a storage of Optuna's (which a `store` of the sweep cannot
        recognize when it resumes). The search itself is in memory, and the same asked and told
        again gives the same trials.
    A trial that diverged is told as infinitely bad, not as failed: so the region is avoided, where
    Optuna forgets trials that fail, and generations stay whole. In the storage it is FAIL. A trial
    that a rung stopped is told to tpe as PRUNED at its step, which ranks it below all that came
    further; to the others, which know no such thing, with its last score.
    Parameters that belong to one alternative of a `one_of` are asked for only where it is chosen.
    Errors: ValueError for an unknown kind or too small a batch; when a sweep starts, TypeError for
        an unknown option or a distribution that Optuna has not, ImportError for what is not
        installed, ValueError for a storage that has another sweep under that name, or where no
        trial would learn from a score.
    Source: Bergstra et al. 2011 (NeurIPS) for tpe; Hansen & Ostermeier 2001 (Evol. Comput.) for
        cmaes; Deb et al. 2002 (IEEE Trans. Evol. Comput.) for nsgaii.

    >>> import jaxopt_edu as jo
    >>> jo.optuna("tpe", batch=32, n_startup_trials=20).options
    (('n_startup_trials', 20),)
    """
    where = os.fspath(storage) if isinstance(storage, os.PathLike) else storage
    return Optuna(kind, batch, where, study_name, tuple(sorted(options.items())))


# ------------------------------------------------------------------------------ asking and telling


class Search:
    """A search under way, in a study in memory; scores are signed, so that lower is better."""

    def __init__(
        self, sampler: Optuna, groups: list[Group], trials: int, seed: int, mode: str | Sequence
    ):
        import optuna

        modes = [mode] if isinstance(mode, str) else list(mode)
        self.total, self.batch = trials, sampler.batch or trials
        self._groups = groups
        self._parameters = {
            axis: (name, to_distribution(axis[1]))
            for axis, name in optuna_trials.parameter_names(groups).items()
        }
        self._signs = np.array([1 if m == "min" else -1 for m in modes])
        self._prunes = sampler.kind == "tpe" and len(modes) == 1
        self._asked: list[Trial] = []
        self._copy: Any = None  # a study in a storage
        with optuna_trials.quiet():
            self._study = optuna.create_study(
                sampler=sampler.make(seed), directions=["minimize"] * len(modes)
            )
            if sampler.storage is not None and jax.process_index() == 0:
                self._copy = optuna_trials.open_study(sampler.storage, sampler.study_name, modes)

    def ask(self, n: int) -> Columns:
        """The next n trials: a column for every axis."""
        columns = {axis: column(axis, np.full(n, 0.5)) for axis in self._parameters}
        with optuna_trials.quiet(), warnings.catch_warnings():
            # of gp, for the infinite scores of trials that diverged
            warnings.filterwarnings("ignore", "Clip non-finite values")
            self._asked = []
            for i in range(n):
                trial = self._study.ask()
                for axis, value in self._point(trial).items():
                    columns[axis][i] = value
                self._asked.append(trial)
            if self._copy is not None:
                held = self._copy.get_trials(deepcopy=False)
                for trial in self._asked:
                    optuna_trials.holds(self._copy, held, trial.number, {"params": trial.params})
        return columns

    def _point(self, trial: "Trial") -> dict[Axis, Any]:
        """What a trial suggests: choice by choice down to a structure, then its numbers."""
        point: dict[Axis, Any] = {}
        left, depth = self._groups, 0
        while depth < len(left[0].choices):
            name, where, _ = left[0].choices[depth]
            label = _suggested(trial, *self._parameters[name, where])
            i = point[name, where] = where.labels.index(label)
            left = [group for group in left if group.choices[depth][2] == i]
            depth += 1
        for axis in left[0].distributions().items():
            point[axis] = _suggested(trial, *self._parameters[axis])
        return point

    def tell(
        self, scores: ndarray, *, steps: Sequence[int] | ndarray = (),
        curves: ndarray | None = None, states: ndarray | None = None,
        attributes: Mapping[str, ndarray] | None = None,
    ) -> None:  # fmt: skip
        """The signed scores (n,) or (n, objectives) of the trials last asked for; NaN: diverged.

        steps, curves: those of the evaluations, and the signed scores (n, evaluations) there.
        states: finished, stopped or diverged. attributes: more that the storage notes of a trial.
        """
        from optuna.trial import TrialState

        scores = np.asarray(scores, float).reshape(-1, len(self._signs))
        if len(scores) != len(self._asked):
            raise ValueError(f"tell: {len(scores)} scores for {len(self._asked)} trials")
        if states is None:
            states = np.where(np.isnan(scores).any(1), DIVERGED, FINISHED)
        rows = np.zeros((len(scores), 0)) if curves is None else np.asarray(curves, float)
        with optuna_trials.quiet():
            for trial, values, row, state in zip(self._asked, scores, rows, states, strict=True):
                seen = np.flatnonzero(~np.isnan(row))
                if self._prunes and state == STOPPED and len(seen):
                    trial.report(float(row[seen[-1]]), int(steps[seen[-1]]))
                    self._study.tell(trial, state=TrialState.PRUNED)
                else:
                    self._study.tell(trial, np.where(np.isnan(values), np.inf, values).tolist())
            if self._copy is not None:
                self._write(scores, steps, rows, {"status": states, **(attributes or {})})

    def _write(
        self, scores: ndarray, steps: Any, rows: ndarray, attributes: Mapping[str, ndarray]
    ) -> None:
        """Copies the trials into the storage, with the scores as they were."""
        told, made = {name: np.asarray(x).tolist() for name, x in attributes.items()}, []
        for i, trial in enumerate(self._asked):
            values = (self._signs * scores[i]).tolist()
            curve = (self._signs[0] * rows[i]).tolist()
            notes = {name: x[i] for name, x in told.items()}
            parameters = trial.params, trial.distributions
            made.append(optuna_trials.as_trial(values, *parameters, steps, curve, notes))
        optuna_trials.add_trials(self._copy, made, self._asked[0].number)


def _suggested(trial: "Trial", name: str, d: "BaseDistribution") -> Any:
    """What a trial suggests for a parameter."""
    from optuna import distributions as theirs

    if isinstance(d, theirs.FloatDistribution):
        return trial.suggest_float(name, d.low, d.high, log=d.log)
    if isinstance(d, theirs.IntDistribution):
        return trial.suggest_int(name, d.low, d.high)
    assert isinstance(d, theirs.CategoricalDistribution)
    return trial.suggest_categorical(name, d.choices)
