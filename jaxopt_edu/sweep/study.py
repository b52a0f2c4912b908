"""The result of a sweep: a table of trials, their curves, and the best one as an experiment."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from jaxopt_edu.sweep.record import DIVERGED


@dataclass(frozen=True)
class Study:
    """What `sweep` found out.

    columns: one array over trials for each column of the table, in order: the swept choices and
        numbers by name, `<split>_<name>` for each score of the validation and test split, status
        (finished, diverged, interrupted), steps (taken; of a diverged trial those until it was),
        reason.
        The scores of diverged trials are NaN.
    curves: score name -> (trials, evaluations), on the split that ranks; NaN where not evaluated.
    evaluations: the step of each evaluation.
    tile: the number of lanes of a program for each structure; with `fit(..., tile=study.tile)`
        the best trial gives its numbers again bit for bit.
    rungs: the steps at which trials were judged and some stopped.
    repeats: (seed, fold) of each lane of a trial; empty or one entry: a single lane.
    lanes: score name -> (trials, repeats, evaluations); curves holds its mean over repeats.
    timeline: one entry for each dispatched segment: worker, start and end (seconds), first (step),
        steps, width (lanes executed), alive (lanes alive at its end), structure (of `batches`).
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
    repeats: tuple[tuple[int, int], ...] = ()
    lanes: dict[str, np.ndarray] = field(default_factory=dict)
    timeline: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["status"])

    def __repr__(self) -> str:
        score = self.columns[f"{self.split}_{self.metric}"][self.best_trial]
        return (
            f"Study({len(self)} trials, {self.diverged} diverged, "
            f"best {self.split} {self.metric} {score:.4g} at {self.hyperparameters()})"
        )

    @property
    def swept(self) -> tuple[str, ...]:
        """The names of the choices and numbers that were sampled."""
        names = dict.fromkeys(name for batch in self.batches for name in batch.labels)
        names |= dict.fromkeys(name for batch in self.batches for name in batch.columns)
        return tuple(names)

    @property
    def diverged(self) -> int:
        """How many trials diverged."""
        return int(np.sum(self.columns["status"] == DIVERGED))

    @property
    def order(self) -> np.ndarray:
        """The trials from best to worst; those without a score last, ties in order."""
        scores = self.columns[f"{self.split}_{self.metric}"]
        return np.argsort(scores if self.mode == "min" else -scores, kind="stable")

    @property
    def best_trial(self) -> int:
        """The number of the best trial."""
        return int(self.order[0])

    @property
    def best(self) -> Any:
        """The experiment of the best trial."""
        return self.experiment(self.best_trial)

    @property
    def tile(self) -> int:
        """The tile width the best trial ran at."""
        return self.tiles[self._place(self.best_trial)[0]]

    def experiment(self, trial: int) -> Any:
        """The experiment of any trial, in Python numbers."""
        k, i = self._place(trial)
        return self.batches[k].experiment(i)

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
        names = [name for name in row if name not in (*self.swept, "status", "steps", "reason")]
        return {name: row[name] if row[name] == row[name] else None for name in names}

    def to_pandas(self) -> Any:
        """The table as a DataFrame, best trial first, indexed by trial."""
        import pandas

        frame = pandas.DataFrame(self.columns)
        frame.index.name = "trial"
        return frame.iloc[self.order]

    def _place(self, trial: int) -> tuple[int, int]:
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
