"""The record: scores, statuses and timings of a sweep as arrays over its trials."""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.segments import loss_first
from jaxopt_edu.engine.status import (
    DIVERGED,
    FINISHED,
    INTERRUPTED,
    STOPPED,
    WORDS,
    Status,
    diverged,
)
from jaxopt_edu.engine.tiles import EvalPlan, Segment, Tile
from jaxopt_edu.nn.scores import TRAINING_LOSS
from jaxopt_edu.search.ranking import followed, ranks, standing_scores
from jaxopt_edu.search.rounds import Filed
from jaxopt_edu.search.schedulers import Exploit, RungState
from jaxopt_edu.search.trials import TrialGroup

CURVE, FINAL = "curve/", "final/"


class Record:
    """Curves, final scores, deaths and steps of all trials, filled in as tiles come by.

    A trial has `repeats` lanes: one for each seed and fold. `arrays` holds everything by name, with
    trials along the first axis and, but for `going` and `packed`, repeats along the second.
    """

    def __init__(
        self,
        trials: int,
        repeats: int,
        settings: EvalPlan,
        metric: str,
        mode: str,
        rank_by: str = "last",
    ):
        self.trials, self.repeats, self.settings, self.metric = trials, repeats, settings, metric
        self.sign, self.rank_by = 1 if mode == "min" else -1, rank_by
        self.objectives = [
            (metric, self.sign)
        ]  # all scores that are ranked, the first of which counts
        self.arrays: dict[str, np.ndarray] = {
            "going": np.ones(trials, bool),
            "packed": np.ones(trials, bool),  # which were put into the tiles of the stage
            "steps": np.zeros((trials, repeats), int),
            "status": np.zeros((trials, repeats), int),
        }
        self.began = time.perf_counter()
        self.moves: list[tuple[int, Exploit]] = []
        self.segments: list[tuple] = []
        self.over = 0  # trials of rounds that are over
        self.filed = Filed()  # what a store has of those
        self.shared = 0  # segments that all processes know
        self.best = np.inf

    def note(self, tile: Tile) -> Segment:
        """Files the last segment of a tile; its times from here on are those since the start."""
        segment, tile.n_recorded = tile.segments[-1], len(tile.segments)
        tile.segments[-1] = segment._replace(
            start=segment.start - self.began, end=segment.end - self.began
        )
        at, dead = (tile.trials, tile.repeat), diverged(tile.status)
        self.arrays["steps"][at] = tile.steps
        self.arrays["status"][at] = tile.status
        first = int(np.searchsorted(self.settings.stops, tile.stops[0]))
        where = (*at, slice(first, first + len(tile.stops)))
        gone = dead[:, None] & (tile.ended[:, None] <= np.array(tile.stops))
        for name, values in tile.scores.items():
            curve = self._array(CURVE + name, len(self.settings.stops))
            curve[where] = np.where(gone, np.nan, values)
        self.finish(tile)
        if self.repeats == 1:
            scores = self.sign * self.arrays[CURVE + self.metric][where]
            self.best = min(self.best, np.min(scores[np.isfinite(scores)], initial=np.inf))
        self.segments.append(tuple(tile.segments[-1]))
        return tile.segments[-1]

    def finish(self, tile: Tile) -> None:
        """Files the final scores of a tile, where it has them."""
        at, dead = (tile.trials, tile.repeat), diverged(tile.status)
        for split, scores in tile.final.items():
            for name, values in scores.items():
                self._array(f"{FINAL}{split}_{name}")[at] = np.where(dead, np.nan, values)

    def share(self, tiles: list[Tile], count: int) -> None:
        """Makes what this process has noted of its tiles, and the others of theirs, known to all.

        Rounds that are over are known to all already, and the trials from `count` are yet to be.
        """
        first = self.over
        owned = np.zeros((count - first, self.repeats), bool)
        for tile in tiles:
            owned[tile.trials - first, tile.repeat] = True
        self.merge(lambda x: collectives.merge_owned(x, owned), first, count)
        self.segments[self.shared :] = collectives.all_rows(self.segments[self.shared :])
        self.shared = len(self.segments)

    def merge(
        self,
        merged: Callable[[np.ndarray], np.ndarray],
        first: int = 0,
        count: int | None = None,
    ) -> None:
        """Takes over what other processes have noted of the trials from first to before count."""
        for name in self.settings.names:
            self._array(CURVE + name, len(self.settings.stops))
            for split in self.settings.splits if name != TRAINING_LOSS else ():
                self._array(f"{FINAL}{split}_{name}")
        for name in sorted(self.arrays):
            if self.arrays[name].ndim > 1:
                self.arrays[name][first:count] = merged(self.arrays[name][first:count])

    def rows(self, tile: Tile) -> dict[str, np.ndarray]:
        """What is known of the lanes of a tile."""
        arrays = {name: x for name, x in self.arrays.items() if x.ndim > 1}
        return {name: x[tile.trials, tile.repeat] for name, x in arrays.items()}

    def put_rows(self, tile: Tile, rows: dict[str, np.ndarray]) -> None:
        """The inverse of `rows`."""
        for name, x in rows.items():
            if name not in self.arrays:
                self._array(name, *x.shape[1:])
            self.arrays[name][tile.trials, tile.repeat] = x

    def put_segments(self, tiles: Iterable[Tile]) -> None:
        """The segments of tiles that were read, each of them once."""
        known = set(self.segments)
        for tile in tiles:
            self.segments += [s for s in map(tuple, tile.segments) if s not in known]
            tile.n_recorded = len(tile.segments)

    def unfinish(self) -> None:
        """Forgets the final scores of lanes that an interruption scored on their way."""
        under_way = ~self._whole(0, self.trials)
        for name, x in self.arrays.items():
            if name.startswith(FINAL):
                x[under_way] = np.nan

    def _array(self, name: str, *more: int) -> np.ndarray:
        if name not in self.arrays:
            self.arrays[name] = np.full((self.trials, self.repeats, *more), np.nan)
        return self.arrays[name]

    # --------------------------------------------------------------------- what is known so far

    @property
    def dead(self) -> np.ndarray:
        """The trials of which a lane has died."""
        return self._dead(0, self.trials)

    def _dead(self, first: int, count: int) -> np.ndarray:
        return np.any(diverged(self.arrays["status"][first:count]), axis=1)

    def _whole(self, first: int, count: int) -> np.ndarray:
        """The lanes that took all steps, or ended before."""
        steps, status = self.arrays["steps"][first:count], self.arrays["status"][first:count]
        return (steps >= self.settings.steps) | (status != Status.RUNNING)

    @property
    def alive(self) -> np.ndarray:
        """The trials that were neither stopped nor have diverged."""
        return self.arrays["going"] & ~self.dead

    def standing(self, step: int, batches: list[TrialGroup], seed: int) -> RungState:
        """How the trials of these batches stand at a rung; they are consecutive."""
        first = min(int(batch.trials.min()) for batch in batches)
        mine = slice(first, first + sum(len(batch.trials) for batch in batches))
        stop = self.settings.stops.index(step)
        lanes = self._followed(self.metric, mine.stop, first)
        curves = self.sign * lanes.mean(1)[:, : stop + 1]
        structures = np.zeros(len(curves), int)
        for k, batch in enumerate(batches):
            structures[batch.trials - first] = k
        going = self.arrays["going"][mine] & ~self._dead(first, mine.stop)
        scores = self.sign * standing_scores(lanes, stop, self.rank_by, self.sign).mean(1)
        scores = np.where(going, scores, np.nan)
        return RungState(step, self.settings.steps, scores, going, curves, structures, seed)

    def copy(self, step: int, copies: Iterable[Exploit]) -> None:
        """Trials that were replaced live again."""
        for copy in copies:
            self.moves.append((step, copy))
            self.arrays["status"][copy.trial] = Status.RUNNING

    def figures(self) -> dict[str, Any]:
        """What a progress bar shows."""
        best = {f"best {self.metric}": f"{self.sign * self.best:.4f}"} if self.repeats == 1 else {}
        return best | {"alive": int(self.alive.sum()), "diverged": int(self.dead.sum())}

    # ------------------------------------------------------------------------------ the results

    def lanes(self, count: int, first: int = 0) -> dict[str, np.ndarray]:
        """The curves of all lanes by score: (trials, repeats, evaluations).

        Here and below they are those of the trials from `first` to before `count`.
        """
        return self._named(CURVE, self.settings.names, count, first)

    def finals(self, count: int, first: int = 0) -> dict[str, np.ndarray]:
        """The scores at the end by `<split>_<name>`: (trials, repeats).

        On the split that ranks, those of trials that were stopped are their last ones.
        """
        names = loss_first(dict.fromkeys(self.settings.names))
        all_names = [f"{split}_{name}" for split in self.settings.splits for name in names]
        found = self._named(FINAL, all_names, count, first)
        finals, alive = {name: x.copy() for name, x in found.items()}, ~self._dead(first, count)
        for name, curves in self.lanes(count, first).items():
            full = f"{self.settings.split}_{name}"
            if full in finals:
                late = np.isnan(finals[full]) & alive[:, None]
                finals[full][late] = _last(curves[late])
        return finals

    def ranked(self, count: int, first: int = 0) -> dict[str, np.ndarray]:
        """What ranks, as `rank_<name>`, by the rule: (trials, repeats); NaN where one died."""
        steps, finals = self.arrays["steps"][first:count], self.finals(count, first)
        seen = np.searchsorted(self.settings.stops, steps) + (steps > 0)
        dead = self._dead(first, count)[:, None]
        out = {}
        for name, sign in self.objectives:
            curves, last = (
                self._followed(name, count, first),
                finals[f"{self.settings.split}_{name}"],
            )
            found = ranks(curves, seen, last, self.rank_by, sign)
            out[f"rank_{name}"] = np.where(dead, np.nan, found)
        return out

    def _followed(self, name: str, count: int, first: int = 0) -> np.ndarray:
        """The curves of the states that trials have. Who is copied is of the same round."""
        start, end = (bisect_left(self.moves, t, key=_of) for t in (first, count))
        moves = [
            (step, copy._replace(trial=copy.trial - first, parent=copy.parent - first))
            for step, copy in self.moves[start:end]
        ]
        return followed(self.arrays[CURVE + name][first:count], moves, self.settings.stops)

    def _named(
        self, kind: str, names: Iterable[str], count: int, first: int
    ) -> dict[str, np.ndarray]:
        """The arrays of a kind in the order of these names, whoever came first with them."""
        known = (name for name in names if kind + name in self.arrays)
        return {name: self.arrays[kind + name][first:count] for name in known}

    def means(self, count: int, first: int = 0) -> dict[str, np.ndarray]:
        """The final scores of the trials; NaN where one of its lanes has none."""
        return {name: x.mean(1) for name, x in self.finals(count, first).items()}

    def fates(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Which trials have diverged, and which were stopped; without words for each, as `ends`."""
        dead, whole = self._dead(0, count), self._whole(0, count).all(1)
        return dead, ~(dead | whole | self.arrays["going"][:count])

    def ends(self, count: int, first: int = 0) -> dict[str, np.ndarray]:
        """How each trial ended, after how many steps, and why."""
        lanes, going = self.arrays["steps"][first:count], self.arrays["going"][first:count]
        status = self.arrays["status"][first:count]
        dead, late = self._dead(first, count), self.settings.steps + 1
        of_dead = np.where(diverged(status), lanes, late).min(1)
        steps = np.where(dead, of_dead, lanes.min(1))
        whole, same = self._whole(first, count).all(1), (status == status[:, :1]).all(1)
        ended = np.where(same, WORDS[status[:, 0]], FINISHED)
        of_dead = np.where(diverged(status), status, 0).max(1)
        reasons = np.array([self.settings.reason(one) for one in Status])
        why = reasons[np.where(dead, of_dead, np.where(same, status[:, 0], 0))]
        status = np.select([dead, whole, ~going], [DIVERGED, ended, STOPPED], INTERRUPTED)
        rungs, which = np.unique(steps, return_inverse=True)
        rung = np.array([f"worse than others at step {t}" for t in rungs] or [""])[which]
        return {"status": status, "steps": steps, "reason": np.where(status == STOPPED, rung, why)}

    def timeline(self) -> dict[str, np.ndarray]:
        """One entry for each dispatched segment, by name."""
        columns = np.array(self.segments, float).reshape(-1, len(Segment._fields)).T
        times = ("start", "end")
        return {
            name: x if name in times else x.astype(int)
            for name, x in zip(Segment._fields, columns, strict=True)
        }


def _of(move: tuple[int, Exploit]) -> int:
    """Whose move it is. Those of a round come after all of the rounds before."""
    return move[1].trial


def _last(curves: np.ndarray) -> np.ndarray:
    """The last number of each curve that is one; NaN where there is none."""
    seen = np.isfinite(curves)
    last = curves.shape[1] - 1 - np.argmax(seen[:, ::-1], 1)
    return np.where(seen.any(1), curves[np.arange(len(curves)), last], np.nan)
