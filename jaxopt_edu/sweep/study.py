"""The result of a sweep: a table of trials, their curves, and the best one as an experiment."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxopt_edu import notebook
from jaxopt_edu.history import Run
from jaxopt_edu.names import replace
from jaxopt_edu.schedules import join_schedules
from jaxopt_edu.sweep.intervals import Interval, effective_folds, interval
from jaxopt_edu.sweep.optuna_trials import to_optuna
from jaxopt_edu.sweep.record import DIVERGED, FINISHED
from jaxopt_edu.sweep.rerun import rerun
from jaxopt_edu.sweep.rungs import Copy


@dataclass(frozen=True)
class Study:
    """What `sweep` found out.

    columns: one array over trials for each column of the table, in order: the swept choices and
        numbers by name, `<split>_<name>` for each score of the validation and test split (means
        over the seeds and folds of a trial, with `_low` and `_high` for the one that ranks),
        status (finished, stopped, diverged, interrupted), steps (taken; of a diverged trial those
        until it was), reason. The scores of diverged trials are NaN; those of trials that were
        stopped are the last ones known.
    curves: score name -> (trials, evaluations), on the split that ranks; NaN where not evaluated.
    evaluations: the step of each evaluation. rungs: those at which trials were judged.
    repeats: the (seed, fold) of each lane of a trial. lanes: score name -> (trials, repeats,
        evaluations), whose means are the curves; finals: `<split>_<name>` -> (trials, repeats).
    tile: the number of lanes of a program for each structure; with `fit(..., tile=study.tile)`
        the best trial gives its numbers again bit for bit.
    timeline: an entry for each segment of a tile: the worker, start and end in seconds, its first
        step, steps, width, lanes alive at its end, structure, and the useful lane-steps in it.
    moves: (step, Copy) for each trial that took over the state of another.
    """

    space: Any
    batches: list
    columns: dict[str, np.ndarray]
    curves: dict[str, np.ndarray]
    evaluations: np.ndarray
    metric: str
    mode: str
    split: str
    steps: int
    seed: int
    tiles: tuple[int, ...]
    info: dict[str, Any]
    rungs: tuple[int, ...] = ()
    repeats: tuple[tuple[int, int | None], ...] = ()
    lanes: dict[str, np.ndarray] = field(default_factory=dict)
    finals: dict[str, np.ndarray] = field(default_factory=dict)
    timeline: dict[str, np.ndarray] = field(default_factory=dict)
    moves: tuple[tuple[int, Copy], ...] = ()

    def __len__(self) -> int:
        return len(self.columns["status"])

    def __repr__(self) -> str:
        score = self.columns[f"{self.split}_{self.metric}"][self.best_trial]
        return (
            f"Study({len(self)} trials, {self.diverged} diverged, "
            f"best {self.split} {self.metric} {score:.4g} at {self.hyperparameters()})"
        )

    def _repr_html_(self) -> str:
        names = ("trial", *self.swept, *self.score_names, "status", "steps")
        best = [{"trial": i} | self.row(i) for i in self.order[:10].tolist()]
        more = f"and {len(self) - 10:,} more: to_pandas()" if len(self) > 10 else ""
        title = f"{len(self):,} trials, {self.diverged:,} diverged, the best first"
        rows = [[row[name] for name in names] for row in best]
        return notebook.card(title, notebook.table(names, rows), notebook.text(more))

    @property
    def swept(self) -> tuple[str, ...]:
        """The names of the choices and numbers that were sampled."""
        names = dict.fromkeys(name for batch in self.batches for name in batch.labels)
        names |= dict.fromkeys(name for batch in self.batches for name in batch.columns)
        return tuple(names)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The columns that are scores."""
        others = (*self.swept, "bracket", "status", "steps", "reason")
        return tuple(name for name in self.columns if name not in others)

    @property
    def diverged(self) -> int:
        """How many trials diverged."""
        return int(np.sum(self.columns["status"] == DIVERGED))

    @property
    def order(self) -> np.ndarray:
        """The trials from best to worst.

        Trials that went further come first, as rungs judged them better; those without a score
        are last, and ties stay in order.
        """
        unscored = np.full(len(self), np.nan)
        scores = self.columns.get(f"{self.split}_{self.metric}", unscored)
        scores = scores * (1 if self.mode == "min" else -1)
        lost = ~np.isfinite(scores)
        return np.lexsort((np.where(lost, 0, scores), -self.columns["steps"], lost))

    @property
    def best_trial(self) -> int:
        """The number of the best trial."""
        return int(self.order[0])

    @property
    def best(self) -> Any:
        """The experiment of the best trial.

        Where it took over states of others, hyperparameters of its optimizer that differ between
        them are schedules.
        """
        stages = self.lineage(self.best_trial)
        changed = {}
        for name in stages[0][1]:
            values = [numbers[name] for _, numbers in stages]
            if name.startswith("optimizer.") and len(set(values)) > 1:
                boundaries = tuple(step for step, _ in stages[1:])
                changed[name] = join_schedules(tuple(values), boundaries)
        return replace(self.experiment(self.best_trial), **changed)

    @property
    def tile(self) -> int:
        """The tile width the best trial ran at."""
        return self.tiles[self.place(self.best_trial)[0]]

    def experiment(self, trial: int) -> Any:
        """The experiment of any trial, in Python numbers: those it ended with."""
        k, i = self.place(trial)
        return self.batches[k].experiment(i)

    def lineage(self, trial: int) -> list[tuple[int, dict[str, float]]]:
        """From which step on which numbers trained the state that a trial ended with."""
        k, i = self.place(trial)
        numbers = {name: x[i].item() for name, x in self.batches[k].columns.items()}
        out = []
        for step, copy in reversed(self.moves):
            if copy.trial == trial:
                out.append((step, numbers))
                trial, numbers = copy.parent, copy.before
        return [(0, numbers), *reversed(out)]

    def row(self, trial: int) -> dict[str, Any]:
        """One row of the table."""
        return {name: x.tolist()[trial] for name, x in self.columns.items()}

    def hyperparameters(self, trial: int | None = None) -> dict[str, Any]:
        """The swept choices and numbers of a trial, by default the best."""
        row = self.row(self.best_trial if trial is None else trial)
        return {name: row[name] for name in self.swept if row[name] == row[name]}

    def scores(self, trial: int | None = None) -> dict[str, float | None]:
        """The scores of a trial (the best), as `<split>_<name>`; None where it has none."""
        row = self.row(self.best_trial if trial is None else trial)
        return {name: row[name] if row[name] == row[name] else None for name in self.score_names}

    def interval(self, trial: int, score: str | None = None, level: float = 0.95) -> Interval:
        """The mean of a score over the seeds and folds of a trial, with its interval.

        score: `<split>_<name>`, by default the one that ranks.
        """
        values = self.finals[score or f"{self.split}_{self.metric}"]
        return interval(values[trial], self._k, level)

    def paired(
        self, trial: int, other: int | None = None, score: str | None = None, level: float = 0.95
    ) -> Interval:
        """By how much a trial's score exceeds another one's (the best), lane by lane.

        Lanes of two trials share initial weights, batches and folds, so their differences vary
        less than their scores.
        """
        values = self.finals[score or f"{self.split}_{self.metric}"]
        other = self.best_trial if other is None else other
        return interval(values[trial] - values[other], self._k, level)

    def rerun(self, trial: int, *, repeat: int = 0, debug: bool = False) -> Run:
        """One trial again, alone: bit for bit; or with full checks of every step (debug)."""
        return rerun(self, trial, repeat=repeat, debug=debug)

    @property
    def folds(self) -> int | None:
        """How many folds each trial was trained on; None without."""
        folds = {fold for _, fold in self.repeats if fold is not None}
        return len(folds) or None

    @property
    def _k(self) -> float | None:
        return effective_folds(self.batches[0].template, self.folds)

    def finished(self) -> np.ndarray:
        """The trials that went all steps."""
        return np.flatnonzero(self.columns["status"] == FINISHED)

    def to_pandas(self) -> Any:
        """The table as a DataFrame, best trial first, indexed by trial."""
        import pandas

        frame = pandas.DataFrame(self.columns)
        frame.index.name = "trial"
        return frame.iloc[self.order]

    def to_optuna(self, storage: Any = None, study_name: str | None = None) -> Any:
        """The study as one of Optuna's, with every trial: see `jo.to_optuna`."""
        return to_optuna(self, storage, study_name)

    def place(self, trial: int) -> tuple[int, int]:
        """Which of the batches holds a trial, and where in it."""
        for k, batch in enumerate(self.batches):
            where = np.flatnonzero(batch.trials == trial)
            if len(where):
                return k, int(where[0])
        raise IndexError(f"trial = {trial}: there are trials 0 to {len(self) - 1}")


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; `.study` holds every trial as far as it came."""

    def __init__(self, study: Study):
        super().__init__("sweep interrupted; what it found so far is in .study of this exception")
        self.study = study
