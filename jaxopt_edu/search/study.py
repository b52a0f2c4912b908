"""The result of a sweep: a table of trials, their curves, and the best one as an experiment."""

import functools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxopt_edu.engine.status import COMPLETE, DIVERGED
from jaxopt_edu.optim.schedules import join_schedules
from jaxopt_edu.search import confirmation, optuna_trials, replay
from jaxopt_edu.search.confidence import Interval, effective_folds, fold_count, interval
from jaxopt_edu.search.fields import swept_names
from jaxopt_edu.search.schedulers import Exploit
from jaxopt_edu.values import notebook
from jaxopt_edu.values.names import with_parts
from jaxopt_edu.values.pytrees import resolve_among


@dataclass(frozen=True)
class Study:
    """What `sweep` found out.

    columns: one array over trials for each column of the table, in order: the swept choices and
        numbers by name, `rank_<metric>`, which ranks by the rule `rank_by` (last, tail or best),
        `<split>_<name>` for each last score of the validation and test split (means over the seeds
        and folds of a trial, with `_low` and `_high` for the metric and what ranks), status
        (finished, stopped, diverged, interrupted), steps (taken; of a diverged trial those until it
        was), reason. The scores of diverged trials are NaN; those of trials that were
        stopped are the last ones known.
    curves: score name -> (trials, evaluations), on the split that ranks; NaN where not evaluated.
    evaluations: the step of each evaluation. rungs: those at which trials were judged.
    repeats: the (seed, fold) of each lane of a trial. lanes: score name -> (trials, repeats,
        evaluations), whose means are the curves; finals: `<split>_<name>` -> (trials, repeats).
    tile: the number of lanes of a program for each structure; with `fit(..., tile=study.tile)`
        the best trial gives its numbers again bit for bit.
    timeline: an entry for each segment of a tile: the worker, start and end in seconds, its first
        step, steps, width, lanes alive at its end, structure, and the useful lane-steps in it.
    moves: (step, Exploit) for each trial that took over the state of another.
    diverge_above, patience: as in `sweep`. streamed: whether it was trained on a stream.
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
    moves: tuple[tuple[int, Exploit], ...] = ()
    diverge_above: float = 1e4
    rank_by: str = "last"
    patience: int | None = None
    streamed: bool = False

    def __len__(self) -> int:
        return len(self.columns["status"])

    def __repr__(self) -> str:
        head = f"Study({len(self)} trials, {self.diverged} diverged,"
        if not self.scored:
            return f"{head} none has a score)"
        score = self.columns[self.ranks][self.best_trial]
        rule = "" if self.rank_by == "last" else f" ({self.rank_by})"
        best = f"best {self.split} {self.metric}{rule} {score:.4g}"
        return f"{head} {best} at {self.hyperparameters()})"

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
        return swept_names(self.batches)

    @property
    def score_names(self) -> tuple[str, ...]:
        """The columns that are scores."""
        others = (*self.swept, "of", "bracket", "status", "steps", "reason")
        return tuple(name for name in self.columns if name not in others)

    @property
    def diverged(self) -> int:
        """How many trials diverged."""
        return int(np.sum(self.columns["status"] == DIVERGED))

    @property
    def ranks(self) -> str:
        """The column that ranks."""
        name = f"rank_{self.metric}"
        return name if name in self.columns else f"{self.split}_{self.metric}"

    @property
    def _scores(self) -> np.ndarray:
        """The scores by which trials are ranked; all NaN where nothing was evaluated."""
        return self.columns.get(self.ranks, np.full(len(self), np.nan))

    @property
    def scored(self) -> int:
        """How many trials have a score by which they are ranked."""
        return int(np.isfinite(self._scores).sum())

    @property
    def order(self) -> np.ndarray:
        """The trials from best to worst.

        Trials that went further come first, as rungs judged them better; those without a score
        are last, and ties stay in order.
        """
        scores = self._scores * (1 if self.mode == "min" else -1)
        lost = ~np.isfinite(scores)
        return np.lexsort((np.where(lost, 0, scores), -self.columns["steps"], lost))

    @property
    def best_trial(self) -> int:
        """The number of the best trial.

        Errors: ValueError, with what became of the trials, where none has a score.
        """
        if not self.scored:
            raise ValueError(no_best(self))
        return int(self.order[0])

    @property
    def best(self) -> Any:
        """The experiment of the best trial.

        Where it took over states of others, hyperparameters of its optimizer that differ between
        them are schedules.
        """
        stages, changed = self.lineage(self.best_trial), {}
        boundaries = tuple(step for step, _ in stages[1:])
        for name in stages[0][1]:
            values = tuple(numbers[name] for _, numbers in stages)
            if name.startswith("optimizer.") and len(set(values)) > 1:
                changed[name] = join_schedules(values, boundaries)
        return with_parts(self.experiment(self.best_trial), changed)

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
        return {name: x[[trial]].tolist()[0] for name, x in self.columns.items()}

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
        return interval(self._finals(score)[trial], self._k, level)

    def paired(
        self, trial: int, other: int | None = None, score: str | None = None, level: float = 0.95
    ) -> Interval:
        """By how much a trial's score exceeds another one's (the best), lane by lane.

        Lanes of two trials share initial weights, batches and folds, so their differences vary
        less than their scores.
        """
        values = self._finals(score)
        other = self.best_trial if other is None else other
        return interval(values[trial] - values[other], self._k, level)

    def _finals(self, score: str | None) -> np.ndarray:
        score = score or self.ranks
        resolve_among("score", score, self.finals)
        return self.finals[score]

    confirm = confirmation.confirm
    rerun = replay.rerun
    to_optuna = optuna_trials.to_optuna

    @property
    def folds(self) -> int | None:
        """How many folds each trial was trained on; None without."""
        return fold_count(self.repeats)

    @property
    def _k(self) -> float | None:
        return effective_folds(self.batches[0].template, self.folds)

    def finished(self) -> np.ndarray:
        """The trials that were not broken off."""
        return np.flatnonzero(np.isin(self.columns["status"], COMPLETE))

    def to_pandas(self) -> Any:
        """The table as a DataFrame, best trial first, indexed by trial."""
        import pandas

        frame = pandas.DataFrame(self.columns)
        frame.index.name = "trial"
        return frame.iloc[self.order]

    def place(self, trial: int) -> tuple[int, int]:
        """Which of the batches holds a trial, and where in it."""
        if trial not in self._places:
            raise IndexError(f"trial = {trial}: there are trials 0 to {len(self) - 1}")
        return self._places[trial]

    @functools.cached_property
    def _places(self) -> dict[int, tuple[int, int]]:
        """The batch of each trial, and its place in it."""
        return {
            trial: (k, i)
            for k, batch in enumerate(self.batches)
            for i, trial in enumerate(batch.trials.tolist())
        }


def no_best(study: Study) -> str:
    """Why a study has no best trial, and what to do."""
    status, reasons = study.columns["status"], study.columns["reason"]
    why = Counter(zip(status.tolist(), reasons.tolist(), strict=True)).most_common()
    told = ", ".join(f"{n} {s}{f' ({reason})' if reason else ''}" for (s, reason), n in why)
    if not study.diverged:
        return f"no best: none of {len(study)} trials has a finite {study.ranks}: {told}"
    return (
        f"no best: none of {len(study)} trials has a score: {told}; wanted a space with some that "
        "do not diverge, at lower learning rates say, or a larger diverge_above"
    )


class SweepInterrupted(KeyboardInterrupt):
    """Ctrl-C during a sweep; `.study` holds every trial as far as it came."""

    def __init__(self, study: Study):
        super().__init__("sweep interrupted; what it found so far is in .study of this exception")
        self.study = study
