"""What the tiles of a sweep report, put in the order of the trials."""

from typing import Any

import numpy as np

from jaxopt_edu.engine import Settings, Tile
from jaxopt_edu.programs import ALIVE, REASONS
from jaxopt_edu.sweep.sampling import Batch

FINISHED, DIVERGED, INTERRUPTED = "finished", "diverged", "interrupted"


class Record:
    """Curves, final scores, deaths and steps of all trials, filled in as tiles come by."""

    def __init__(self, count: int, settings: Settings, metric: str, mode: str):
        self.count, self.settings, self.metric = count, settings, metric
        self.sign = 1 if mode == "min" else -1
        ends = np.arange(settings.segment, settings.steps + settings.segment, settings.segment)
        self.evaluations = np.minimum(ends, settings.steps)
        self.curves: dict[str, np.ndarray] = {}
        self.final: dict[str, np.ndarray] = {}
        self.steps = np.zeros(count, int)
        self.reasons = np.zeros(count, int)
        self.best = np.inf

    def note(self, tile: Tile) -> int:
        """Files the last segment of a tile; how many lane-steps it went."""
        dead = tile.reasons != ALIVE
        steps = np.where(dead, tile.died, tile.t)
        gone = tile.t - self.steps[tile.trials].max()
        self.steps[tile.trials], self.reasons[tile.trials] = steps, tile.reasons
        segment = int(np.searchsorted(self.evaluations, tile.t))
        for name, values in tile.scores.items():
            curve = self.curves.setdefault(name, self._empty(len(self.evaluations)))
            curve[tile.trials, segment] = np.where(dead, np.nan, values)
        for split, scores in tile.final.items():
            for name, values in scores.items():
                column = self.final.setdefault(f"{split}_{name}", self._empty())
                column[tile.trials] = np.where(dead, np.nan, values)
        scores = self.sign * self.curves[self.metric][tile.trials, segment]
        self.best = min(self.best, np.min(scores[np.isfinite(scores)], initial=np.inf))
        return int(gone) * len(tile.trials)

    def figures(self) -> dict[str, Any]:
        """What a progress bar shows."""
        return {f"best {self.metric}": f"{self.sign * self.best:.4f}", "diverged": self.diverged}

    @property
    def diverged(self) -> int:
        return int(np.sum(self.reasons != ALIVE))

    def table(self, batches: list[Batch]) -> dict[str, np.ndarray]:
        """The columns of the study's table."""
        labels = dict.fromkeys(name for batch in batches for name in batch.labels)
        numbers = dict.fromkeys(name for batch in batches for name in batch.columns)
        columns: dict[str, np.ndarray] = {}
        for name in labels:
            columns[name] = np.full(self.count, None, object)
            for batch in batches:
                columns[name][batch.trials] = batch.labels.get(name)
        for name in numbers:
            columns[name] = self._empty()
            for batch in batches:
                columns[name][batch.trials] = batch.columns.get(name, np.nan)
        ended = np.where(self.steps < self.settings.steps, INTERRUPTED, FINISHED)
        status = np.where(self.reasons != ALIVE, DIVERGED, ended)
        reasons = np.asarray(REASONS)[self.reasons]
        return columns | self.final | {"status": status, "steps": self.steps, "reason": reasons}

    def _empty(self, *more: int) -> np.ndarray:
        return np.full((self.count, *more), np.nan)
