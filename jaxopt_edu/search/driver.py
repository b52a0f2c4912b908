"""The driver of a sweep: rounds of trials from a sampler, rungs at which some are stopped."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.streams import Position, Stream
from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.prefetch import Prefetcher
from jaxopt_edu.engine.progress import Progress
from jaxopt_edu.engine.segments import compile_tiles, run_tiles, score_tile
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.engine.tiles import EvalPlan, Tile, TileProgram
from jaxopt_edu.engine.widths import program_memory, tile_width
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.schedulers import Exploit, stops_of
from jaxopt_edu.search.store import Store
from jaxopt_edu.search.tile_packing import LaneRows, pack, places, put_lanes, to_rows
from jaxopt_edu.search.trials import Plan, TrialGroup
from jaxopt_edu.train.placement import Placement


@dataclass
class SweepDriver:
    """The state of a running sweep.

    A stage is the way from one rung to the next, of the trials of one round. `stage` counts them
    over all rounds; a store holds the lanes of one stage and the record of those before.
    """

    plan: Plan
    settings: EvalPlan
    record: Record
    rungs: Any
    repeats: Sequence[tuple[int, int | None]]  # (seed, fold) of each lane of a trial
    objectives: Sequence[tuple[str, int]]  # (score, sign) of all that a sampler is told
    seed: int
    tile: int | None
    store: Store | None
    bar: Progress
    most: int | None  # lanes in a tile
    placement: Placement = Placement()
    batches_of: Any = None  # a stream of batches, the same for all trials
    prefetch: int = 2
    of: tuple[int, ...] = ()  # which trials of another study these are
    batches: dict[int, TrialGroup] = field(default_factory=dict)  # by their place in the space
    structures: dict[int, TileProgram] = field(default_factory=dict)
    widths: dict[int, int] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)
    stage: int = 0
    asked: int = 0  # trials
    compiling: float = 0.0  # seconds
    compiled: Compilations = field(default_factory=Compilations)
    feed: Prefetcher | None = None
    position: Position = Position()  # in the stream, where a stage goes on

    @property
    def ends(self) -> tuple[int, ...]:
        """Where the stages of a round end."""
        return (*stops_of(self.rungs, self.settings.steps), self.settings.steps)

    def run(self) -> None:
        """Runs (or resumes) the sweep."""
        done, stage = self.stage, 0
        while self.asked < self.plan.total:
            batches = self._next_round(known=stage + len(self.ends) <= done)
            start = 0
            with contextlib.ExitStack() as stream:
                for end in self.ends:
                    if stage >= done:
                        self._open(batches, start)
                        if self.feed is None and self.batches_of is not None:
                            self.feed = stream.enter_context(self._fed(batches))
                        self._advance(end)
                        batches = self._close(batches, end)
                    stage, start = stage + 1, end
            self.feed, self.position = None, Position()
            self._tell(batches)

    def _fed(self, batches: list[TrialGroup]) -> Prefetcher:
        """The stream where the trials of a round are to go on."""
        return Prefetcher(
            Stream(self.batches_of), self.placement, [batch.template for batch in batches],
            self.settings.stops, self.prefetch, self.position,
        )  # fmt: skip

    # ------------------------------------------------------------------------------ a round

    def _next_round(self, known: bool) -> list[TrialGroup]:
        """Asks for trials; those that are in the store keep the numbers they have there."""
        batches = self.plan.ask(self.asked)
        n = sum(len(batch.trials) for batch in batches)
        stored = self.asked + n <= sum(len(b.trials) for b in self.batches.values())
        if stored:
            batches = [self._stored(batch) for batch in batches]
        else:
            for batch in batches:
                old = self.batches.get(batch.place)
                self.batches[batch.place] = old.joined(batch) if old else batch
        self.asked += n
        if not known:
            self._prepare(batches)
        return batches

    def _stored(self, batch: TrialGroup) -> TrialGroup:
        """The batch with the numbers that its trials had when they were stored."""
        whole = self.batches[batch.place]
        at = np.searchsorted(whole.trials, batch.trials)
        return dataclasses.replace(batch, columns={k: x[at] for k, x in whole.columns.items()})

    def _prepare(self, batches: list[TrialGroup]) -> None:
        """Widths and compiled programs of structures that are new."""
        new = [batch for batch in batches if batch.place not in self.structures]
        while new:
            for batch in new:
                width = self._width(batch)
                self.structures[batch.place] = TileProgram(
                    batch.template, width, self._folded, self.placement,
                    self.settings.patience is not None,
                )  # fmt: skip
            self.bar.say(f"compiling {len(new)} structures: {', '.join(map(_name, new))}")
            all_go = np.ones(self.record.trials, bool)
            firsts = [self._pack([batch], all_go)[0] for batch in new]
            began = time.perf_counter()
            for _ready in compile_tiles(firsts, self.settings):
                pass
            self.compiling += time.perf_counter() - began
            new = [batch for batch in new if self._halved(batch)]

    def _width(self, batch: TrialGroup) -> int:
        """How many lanes a tile of a structure has; as it was where a store says so."""
        if batch.place not in self.widths:
            lone = batch.template.fold(0) if self._folded else batch.template
            width = self.tile or tile_width(lone, self._work(len(batch.trials)))
            self.widths[batch.place] = min(width, self.most or width)
        return self.widths[batch.place]

    def _halved(self, batch: TrialGroup) -> bool:
        """Halves the width of a structure whose program would not fit into memory."""
        structure, width = self.structures[batch.place], self.widths[batch.place]
        if self.tile is not None or width == 1 or structure.memory <= program_memory():
            return False
        self.widths[batch.place] = width // 2
        self.bar.say(f"{width} lanes of {_name(batch)} want {structure.memory / 2**30:.1f} GiB")
        return True

    @property
    def _folded(self) -> bool:
        return self.repeats[0][1] is not None

    def _work(self, trials: int) -> list[tuple[int, int, int]]:
        """(groups of lanes that share tiles, lanes of a group, steps) of each stage."""
        steps, groups = self.settings.steps, len(self.repeats)
        stages = [(trials, steps)] if self.rungs is None else self.rungs.expected(trials, steps)
        return [(groups, n, length) for n, length in stages]

    def _tell(self, batches: list[TrialGroup]) -> None:
        if self.plan.asking is not None:
            first = self.asked - sum(len(batch.trials) for batch in batches)
            mine = self.record.results(first, self.asked)
            means, ends = mine.means, mine.ends
            scores = np.stack([s * means[f"rank_{k}"] for k, s in self.objectives], 1)
            self.plan.tell(
                scores[:, 0] if len(self.objectives) == 1 else scores,
                steps=np.asarray(self.settings.stops),
                curves=self.record.sign * mine.lanes[self.record.metric].mean(1),
                states=ends["status"],
                attributes=means | {k: ends[k] for k in ("steps", "reason")},
            )

    def _open(self, batches: list[TrialGroup], start: int) -> None:
        """The tiles of a stage: those at hand, or made, with their lanes if the store has them."""
        if not self.tiles:
            self.tiles = self._pack(batches, self.record.arrays["packed"])
            if self.store is not None:
                self.position = self.store.read_lanes(
                    self.stage, self._mine(), self.record, needed=start > 0
                )

    def _pack(self, batches: list[TrialGroup], which: np.ndarray) -> list[Tile]:
        structures = [self.structures[batch.place] for batch in batches]
        return pack(structures, batches, self.repeats, which)

    def _mine(self) -> Iterator[tuple[int, Tile]]:
        """The tiles of this process, with their numbers."""
        return (x for x in enumerate(self.tiles) if self._together or collectives.owns_tile(x[0]))

    @property
    def _together(self) -> bool:
        """Whether all processes work on each tile, as on a mesh of all their devices."""
        return self.placement.mesh is not None

    def _advance(self, end: int) -> None:
        """All tiles to the end of the stage."""
        numbers, mine = {id(t): i for i, t in self._mine()}, [t for _, t in self._mine()]
        for tile in run_tiles(mine, self.settings, end, feed=self.feed):
            segment = self.record.note(tile)
            self.bar.advance(segment.steps * len(tile.trials), self.record.figures)
            if tile.t >= self.settings.steps:
                tile.lanes = None
            if self.store is None:
                continue
            if self.feed is None:
                self.store.keep_lanes(self.stage, numbers[id(tile)], tile, self.record)
            elif all(one.n_recorded == len(one.segments) for one in mine):
                self.store.keep_together(self.stage, self._mine(), self.record, self.feed.position)
        self._merge()

    def _merge(self) -> None:
        """Scores of all processes, in all of them."""
        if collectives.processes() > 1 and not self._together:
            self.record.share([tile for _, tile in self._mine()], self.asked)

    def _close(self, batches: list[TrialGroup], end: int) -> list[TrialGroup]:
        """Judges at a rung, packs what goes on, and stores it."""
        self.stage += 1
        if end < self.settings.steps:
            batches = self._judge(batches, end)
        else:
            self.tiles, self.record.over = [], self.asked
        if self.store is not None:
            self._write_lanes(self.store)
            collectives.barrier("sweep")
            self.save()
        return batches

    def _write_lanes(self, store: Store) -> None:
        if self.feed is not None:
            self.position = self.feed.position
            store.write_together(self.stage, self._mine(), self.record, self.position)
            return
        for i, tile in self._mine():
            store.write_lanes(self.stage, i, tile, self.record)

    def _judge(self, batches: list[TrialGroup], step: int) -> list[TrialGroup]:
        first = min(int(batch.trials.min()) for batch in batches)
        local = [dataclasses.replace(b, trials=b.trials - first) for b in batches]
        standing = self.record.standing(step, batches, self.seed)
        verdict = self.rungs.judge(standing, local)
        going = self.record.arrays["going"]
        going[first : first + len(verdict.active)] = verdict.active
        copies = [
            copy._replace(trial=copy.trial + first, parent=copy.parent + first)
            for copy in verdict.copies
        ]
        self.record.copy(step, copies)
        own: list[list[Exploit]] = [[] for _ in batches]
        for copy in copies:
            own[standing.structures[copy.trial - first]].append(copy)
        batches = [self._moved(*both) for both in zip(batches, own, strict=True)]
        alive = self.record.alive
        if copies or not all(alive[tile.trials].all() for tile in self.tiles):
            self._repack(batches, step, {c.trial: c.parent for c in copies})
        return batches

    def _moved(self, batch: TrialGroup, copies: list[Exploit]) -> TrialGroup:
        """The batch with the numbers of copies in it, which the study's table shows in the end."""
        if not copies:
            return batch
        batch, whole = batch.with_numbers(copies), self.batches[batch.place]
        if len(whole.trials) == len(batch.trials):
            self.batches[batch.place] = batch
        else:  # joined from several rounds, so its columns are nobody else's
            at = np.searchsorted(whole.trials, batch.trials)
            for name, x in batch.columns.items():
                whole.columns[name][at] = x
        return batch

    def _repack(self, batches: list[TrialGroup], step: int, parents: dict[int, int]) -> None:
        """The lanes that go on, in as few tiles as hold them."""
        old, where = self.tiles, places(self.tiles)
        self.record.arrays["packed"] = self.record.alive
        new = self._pack(batches, self.record.alive)
        rows = {i: to_rows(tile) for i, tile in self._mine() if tile.lanes is not None}
        wanted = [
            [where[t.structure, t.repeat, parents.get(trial, trial)] for trial in t.trials.tolist()]
            for t in new
        ]
        rows_of = LaneRows(old, rows, wanted, 1 if self._together else collectives.processes())
        self.tiles = new
        for i, tile in self._mine():
            put_lanes(tile, np.stack([rows_of(place) for place in wanted[i]]), step)

    # --------------------------------------------------------------------------- the store

    def save(self, finished: bool = False) -> None:
        """Writes the record of all stages so far."""
        if self.store is not None and jax.process_index() == 0:
            self.store.write_record(self, finished)

    def stop(self) -> None:
        """After Ctrl-C: keeps lanes that were on their way, and scores them as they are."""
        for _, tile in self._mine():
            if tile.n_recorded < len(tile.segments):  # it was not out when Ctrl-C was heard
                self.record.note(tile)
        if self.store is not None:
            self._write_lanes(self.store)
        for _, tile in self._mine():
            if tile.lanes is not None and not tile.final:
                score_tile(tile, self.settings)
                self.record.finish(tile)
        self.save()


def _name(batch: TrialGroup) -> str:
    """A structure as a message names it."""
    return " ".join(str(x) for x in batch.labels.values()) or type(batch.template).__name__
