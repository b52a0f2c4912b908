"""The record: scores, statuses and timings of a sweep as arrays over its trials."""

import functools
import time
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.status import INTERRUPTED, STOPPED, WORDS, Status, diverged
from jaxopt_edu.engine.tiles import EvalPlan, Segment, Tile
from jaxopt_edu.nn.scores import TRAINING_LOSS, loss_first
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

    def __init__(self, trials: int, repeats: int, settings: EvalPlan, rank_by: str = "last"):
        self.trials, self.repeats, self.settings, self.rank_by = trials, repeats, settings, rank_by
        self.metric, self.sign = settings.metric, settings.sign
        self.objectives = [(self.metric, self.sign)]  # all scores that are ranked: the first counts
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
        for name in self.settings.names:
            self._array(CURVE + name, len(self.settings.stops))
            for split in self.settings.splits if name != TRAINING_LOSS else ():
                self._array(f"{FINAL}{split}_{name}")
        owned = np.zeros((count - self.over, self.repeats), bool)
        for tile in tiles:
            owned[tile.trials - self.over, tile.repeat] = True
        for name in sorted(self.arrays):
            mine = self.arrays[name][self.over : count]
            if mine.ndim > 1:
                mine[:] = collectives.merge_owned(mine, owned)
        self.segments[self.shared :] = collectives.all_rows(self.segments[self.shared :])
        self.shared = len(self.segments)

    def rows(self, tile: Tile) -> dict[str, np.ndarray]:
        """What is known of the lanes of a tile."""
        at = tile.trials, tile.repeat
        return {name: x[at] for name, x in self.arrays.items() if x.ndim > 1}

    def put_rows(self, tile: Tile, rows: dict[str, np.ndarray]) -> None:
        """The inverse of `rows`."""
        for name, x in rows.items():
            self._array(name, *x.shape[1:])[tile.trials, tile.repeat] = x

    def put_segments(self, tiles: Iterable[Tile]) -> None:
        """The segments of tiles that were read, each of them once."""
        known = set(self.segments)
        for tile in tiles:
            self.segments += [s for s in map(tuple, tile.segments) if s not in known]
            tile.n_recorded = len(tile.segments)

    def unfinish(self) -> None:
        """Forgets the final scores of lanes that an interruption scored on their way."""
        under_way = ~self.results().whole
        for name, x in self.arrays.items():
            if name.startswith(FINAL):
                x[under_way] = np.nan

    def _array(self, name: str, *more: int) -> np.ndarray:
        if name not in self.arrays:
            self.arrays[name] = np.full((self.trials, self.repeats, *more), np.nan)
        return self.arrays[name]

    # --------------------------------------------------------------------- what is known so far

    def results(self, first: int = 0, end: int | None = None) -> "Results":
        """What is known of the trials from `first` to before `end`; by default of all."""
        return Results(self, first, end)

    def standing(self, step: int, batches: list[TrialGroup], first: int, seed: int) -> RungState:
        """How the trials of these batches, numbered from `first`, stand at a rung."""
        mine = self.results(first, first + sum(len(batch.trials) for batch in batches))
        stop, lanes = self.settings.stops.index(step), mine.followed(self.metric)
        curves = self.sign * lanes.mean(1)[:, : stop + 1]
        structures = np.zeros(len(curves), int)
        for k, batch in enumerate(batches):
            structures[batch.trials] = k
        scores = self.sign * standing_scores(lanes, stop, self.rank_by, self.sign).mean(1)
        scores = np.where(mine.alive, scores, np.nan)
        return RungState(step, self.settings.steps, scores, mine.alive, curves, structures, seed)

    def figures(self) -> dict[str, Any]:
        """What a progress bar shows."""
        known, told = self.results(), {}
        if self.repeats == 1:
            scores = self.sign * known.lanes[self.metric]
            best = np.min(scores[np.isfinite(scores)], initial=np.inf)
            told[f"best {self.metric}"] = f"{self.sign * best:.4f}"
        return told | {"alive": int(known.alive.sum()), "diverged": int(known.dead.sum())}

    def timeline(self) -> dict[str, np.ndarray]:
        """One entry for each dispatched segment, by name."""
        columns = np.array(self.segments, float).reshape(-1, len(Segment._fields)).T
        named = zip(Segment._fields, columns, strict=True)
        return {name: x if name in ("start", "end") else x.astype(int) for name, x in named}


class Results:
    """What a record says of the trials from `first` to before `end`, as arrays over them.

    going, dead, alive, stopped: (trials,) bool: not stopped at a rung; of which a lane has died;
    going and not dead; that a rung has stopped. whole: (trials, repeats) bool: the lanes that took
    all steps, or ended before.
    """

    def __init__(self, record: Record, first: int, end: int | None):
        self.record, self.settings, self.first = record, record.settings, first
        self.arrays = {name: x[first:end] for name, x in record.arrays.items()}
        self.going, self.steps = self.arrays["going"], self.arrays["steps"]
        self.status = self.arrays["status"]
        self.dead = np.any(diverged(self.status), axis=1)
        self.alive = self.going & ~self.dead
        self.whole = (self.steps >= self.settings.steps) | (self.status != Status.RUNNING)
        self.stopped = ~(self.going | self.dead | self.whole.all(1))

    @property
    def lanes(self) -> dict[str, np.ndarray]:
        """The curves of all lanes by score: (trials, repeats, evaluations)."""
        return self._named(CURVE, self.settings.names)

    @functools.cached_property
    def finals(self) -> dict[str, np.ndarray]:
        """The scores at the end by `<split>_<name>`: (trials, repeats).

        On the split that ranks, those of trials that were stopped are their last ones.
        """
        names, split = loss_first(dict.fromkeys(self.settings.names)), self.settings.split
        found = self._named(FINAL, (f"{one}_{x}" for one in self.settings.splits for x in names))
        finals = {full: x.copy() for full, x in found.items()}
        for name, curves in self.lanes.items():
            full = f"{split}_{name}"
            if full in finals:
                late = np.isnan(finals[full]) & ~self.dead[:, None]
                finals[full][late] = _last(curves[late])
        return finals

    @functools.cached_property
    def ranked(self) -> dict[str, np.ndarray]:
        """What ranks, as `rank_<name>`, by the rule: (trials, repeats); NaN where one died."""
        seen = np.searchsorted(self.settings.stops, self.steps) + (self.steps > 0)
        out = {}
        for name, sign in self.record.objectives:
            last = self.finals[f"{self.settings.split}_{name}"]
            found = ranks(self.followed(name), seen, last, self.record.rank_by, sign)
            out[f"rank_{name}"] = np.where(self.dead[:, None], np.nan, found)
        return out

    @property
    def means(self) -> dict[str, np.ndarray]:
        """What ranks, and the final scores, of trials; NaN where one of the lanes has none."""
        return {name: x.mean(1) for name, x in (self.ranked | self.finals).items()}

    def followed(self, name: str) -> np.ndarray:
        """The curves of the states that trials have. Who is copied is of the same round.

        So the moves of these trials follow each other.
        """
        end = len(self.going) + self.first
        by_trial = functools.partial(bisect_left, self.record.moves, key=lambda move: move[1].trial)
        moves = [
            (step, copy._replace(trial=copy.trial - self.first, parent=copy.parent - self.first))
            for step, copy in self.record.moves[by_trial(self.first) : by_trial(end)]
        ]
        return followed(self.arrays[CURVE + name], moves, self.settings.stops)

    def _named(self, kind: str, names: Iterable[str]) -> dict[str, np.ndarray]:
        """The arrays of a kind in the order of these names, whoever came first with them."""
        return {name: self.arrays[kind + name] for name in names if kind + name in self.arrays}

    @property
    def ends(self) -> dict[str, np.ndarray]:
        """How each trial ended, after how many steps, and why."""
        died, same = diverged(self.status), (self.status == self.status[:, :1]).all(1)
        cause = np.where(same, self.status[:, 0], np.where(died, self.status, 0).max(1))
        first_death = np.where(died, self.steps, self.settings.steps + 1).min(1)
        steps = np.where(self.dead, first_death, self.steps.min(1))
        over = self.dead | self.whole.all(1)
        status = np.select([over, ~self.going], [WORDS[cause], STOPPED], INTERRUPTED)
        rungs, which = np.unique(steps, return_inverse=True)
        rung = np.array([f"worse than others at step {t}" for t in rungs] or [""])[which]
        reasons = np.array([self.settings.reason(one) for one in Status])[cause]
        return {"status": status, "steps": steps, "reason": np.where(self.stopped, rung, reasons)}


def _last(curves: np.ndarray) -> np.ndarray:
    """The last number of each curve that is one; NaN where there is none."""
    seen = np.isfinite(curves)
    last = curves.shape[1] - 1 - np.argmax(seen[:, ::-1], 1)
    return np.where(seen.any(1), curves[np.arange(len(curves)), last], np.nan)
