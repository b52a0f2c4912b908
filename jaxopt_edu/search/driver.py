"""The driver of a sweep: rounds of trials from a sampler, rungs at which some are stopped."""

import contextlib
import dataclasses
import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.streams import Position, Stream
from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.prefetch import Prefetcher
from jaxopt_edu.engine.progress import Progress
from jaxopt_edu.engine.segments import compile_tiles, run_tiles, scores_on
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.engine.tiles import EvalPlan, Tile, TileProgram
from jaxopt_edu.engine.widths import program_memory, tile_width
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.schedulers import Scheduler
from jaxopt_edu.search.setup import on_fold
from jaxopt_edu.search.store import Store
from jaxopt_edu.search.tile_packing import move_lanes, pack
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
    rungs: Scheduler
    repeats: Sequence[tuple[int, int | None]]  # (seed, fold) of each lane of a trial
    progress: bool | None = None
    tile: int | None = None  # lanes of a program, where that was given
    placement: Placement = Placement()
    batches_of: Any = None  # a stream of batches, the same for all trials
    prefetch: int = 2
    of: tuple[int, ...] = ()  # which trials of another study these are
    widths: dict[int, int] = field(default_factory=dict)  # lanes of a program, by structure
    store: Store | None = None
    batches: dict[int, TrialGroup] = field(default_factory=dict)  # by their place in the space
    structures: dict[int, TileProgram] = field(default_factory=dict)
    tiles: list[Tile] = field(default_factory=list)
    stage: int = 0
    asked: int = 0  # trials
    interrupted: bool = False  # by Ctrl-C
    compiling: float = 0.0  # seconds
    compiled: Compilations = field(default_factory=Compilations)
    feed: Prefetcher | None = None

    @property
    def ends(self) -> tuple[int, ...]:
        """Where the stages of a round end."""
        return (*self.rungs.stops(self.settings.steps), self.settings.steps)

    @functools.cached_property
    def bar(self) -> Progress:
        """A bar over the steps of all lanes, as many as are expected."""
        expected = sum(math.prod(stage) for stage in self._work(self.plan.total))
        return Progress(expected, self.progress if jax.process_index() == 0 else False)

    def run(self) -> None:
        """Runs (or resumes) the sweep, until Ctrl-C at the most.

        Errors: KeyboardInterrupt where that came before there was any score.
        """
        try:
            self._run_rounds()
            self.save(finished=True)
        except KeyboardInterrupt:
            self.interrupted = True
            self._score_as_it_is()
            if not any(name.startswith("final/") for name in self.record.arrays):
                raise KeyboardInterrupt("sweep interrupted before its first evaluation") from None
        finally:
            self.bar.close()

    def _run_rounds(self) -> None:
        known = self.stage  # stages of the round, and of those after it, that a store has
        while self.asked < self.plan.total:
            batches, ends = self._next_round(), self.ends[known:]
            if ends:
                self._prepare(batches)
                with self._fed(batches, self._open(batches)) as self.feed:
                    for end in ends:
                        self._advance(end)
                        self._close(batches, end)
            known = max(known - len(self.ends), 0)
            self._tell(batches)

    def _fed(self, batches: list[TrialGroup], position: Position) -> Any:
        """The stream where the trials of a round are to go on, while entered."""
        if self.batches_of is None:
            return contextlib.nullcontext()
        templates, stops = [batch.template for batch in batches], self.settings.stops
        stream = Stream(self.batches_of)
        return Prefetcher(stream, self.placement, templates, stops, self.prefetch, position)

    # ------------------------------------------------------------------------------ a round

    def _next_round(self) -> list[TrialGroup]:
        """Asks for trials, whose numbers are views of those of all rounds.

        Those that are in the store keep the numbers they have there.
        """
        batches = []
        for batch in self.plan.ask(self.asked):
            whole = self.batches.get(batch.place)
            if whole is None or whole.trials[-1] < batch.trials[-1]:
                whole = self.batches[batch.place] = batch.after(whole)
            batches.append(batch.part_of(whole))
        self.asked += sum(len(batch.trials) for batch in batches)
        return batches

    def _prepare(self, batches: list[TrialGroup]) -> None:
        """Widths and compiled programs of structures that are new."""
        new = [batch for batch in batches if batch.place not in self.structures]
        while new:
            for batch in new:
                place, fold = batch.place, self.repeats[0][1]
                if place not in self.widths:  # else as a store says, or halved
                    lone, work = on_fold(batch.template, fold), self._work(len(batch.trials))
                    self.widths[place] = self.tile or tile_width(lone, work)
                self.structures[place] = TileProgram(
                    batch.template, self.widths[place], fold is not None, self.placement,
                    patient=self.settings.patience is not None,
                )  # fmt: skip
            self.bar.say(f"compiling {len(new)} structures: {', '.join(map(_name, new))}")
            all_go = np.ones(self.record.trials, bool)
            firsts = [pack(self.structures, [batch], self.repeats, all_go)[0] for batch in new]
            began = time.perf_counter()
            list(compile_tiles(firsts, self.settings))  # waits for all
            self.compiling += time.perf_counter() - began
            new = [batch for batch in new if self._halved(batch)]

    def _halved(self, batch: TrialGroup) -> bool:
        """Halves the width of a structure whose program would not fit into memory."""
        structure, width = self.structures[batch.place], self.widths[batch.place]
        if self.tile is not None or width == 1 or structure.memory <= program_memory():
            return False
        self.widths[batch.place] = width // 2
        self.bar.say(f"{width} lanes of {_name(batch)} want {structure.memory / 2**30:.1f} GiB")
        return True

    def _work(self, trials: int) -> list[tuple[int, int, int]]:
        """(groups of lanes that share tiles, lanes of a group, steps) of each stage."""
        expected = self.rungs.expected(trials, self.settings.steps)
        return [(len(self.repeats), lanes, steps) for lanes, steps in expected]

    def _tell(self, batches: list[TrialGroup]) -> None:
        if self.plan.asking is not None:
            first = self.asked - sum(len(batch.trials) for batch in batches)
            mine = self.record.results(first, self.asked)
            means, ends = mine.means, mine.ends
            scores = np.stack([s * means[f"rank_{k}"] for k, s in self.record.objectives], 1)
            self.plan.asking.tell(
                scores if scores.shape[1] > 1 else scores[:, 0],
                steps=np.asarray(self.settings.stops),
                curves=self.record.sign * mine.lanes[self.record.metric].mean(1),
                states=ends["status"],
                attributes=means | {k: ends[k] for k in ("steps", "reason")},
            )

    def _open(self, batches: list[TrialGroup]) -> Position:
        """The tiles of a stage, with their lanes if the store has them.

        Returns where a stream is to go on.
        """
        packed = self.record.arrays["packed"]
        self.tiles = pack(self.structures, batches, self.repeats, packed)
        if self.store is None:
            return Position()
        return self.store.read_lanes(self, self._mine, needed=self.stage % len(self.ends) > 0)

    @property
    def owners(self) -> int:
        """Among how many processes tiles are dealt: on a mesh of all devices all work on each."""
        return 1 if self.placement.mesh is not None else collectives.processes()

    @property
    def _mine(self) -> dict[int, Tile]:
        """The tiles of this process, by their numbers."""
        first = jax.process_index() % self.owners
        return {i: self.tiles[i] for i in range(first, len(self.tiles), self.owners)}

    def _advance(self, end: int) -> None:
        """All tiles to the end of the stage."""
        mine = self._mine
        numbers = {id(tile): i for i, tile in mine.items()}
        for tile in run_tiles(mine.values(), self.settings, end, feed=self.feed):
            segment = self.record.note(tile)
            self.bar.advance(segment.steps * len(tile.trials), self.record.figures)
            if tile.t >= self.settings.steps:
                tile.lanes = None
            if self.store is None:
                continue
            at_hand = {numbers[id(tile)]: tile} if self.feed is None else mine
            if all(one.n_recorded == len(one.segments) for one in at_hand.values()):
                self.store.keep_lanes(self, at_hand)
        self._merge()

    def _merge(self) -> None:
        """Scores of all processes, in all of them."""
        if self.owners > 1:
            self.record.share(list(self._mine.values()), self.asked)

    def _close(self, batches: list[TrialGroup], end: int) -> None:
        """Judges at a rung, packs what goes on, and stores it."""
        self.stage += 1
        if end < self.settings.steps:
            self._judge(batches, end)
        else:
            self.tiles, self.record.over = [], self.asked
        if self.store is not None:
            self.store.write_lanes(self, self._mine)
            collectives.barrier("sweep")
            self.save()

    def _judge(self, batches: list[TrialGroup], step: int) -> None:
        """Stops trials, or gives them the numbers and the states of others."""
        first = min(int(batch.trials.min()) for batch in batches)
        local = [dataclasses.replace(b, trials=b.trials - first) for b in batches]
        standing = self.record.standing(step, local, first, self.repeats[0][0])
        active, copies = self.rungs.judge(standing, local)
        arrays, parents = self.record.arrays, {}
        arrays["going"][first : first + len(active)] = active
        for copy in copies:  # its numbers are those that the study's table shows; it lives again
            local[standing.structures[copy.trial]].put(copy)
            trial, parent = copy.trial + first, copy.parent + first
            self.record.moves.append((step, copy._replace(trial=trial, parent=parent)))
            arrays["status"][trial], parents[trial] = Status.RUNNING, parent
        alive = self.record.results().alive
        if copies or not all(alive[tile.trials].all() for tile in self.tiles):
            old, arrays["packed"] = self.tiles, alive
            self.tiles = pack(self.structures, batches, self.repeats, alive)
            move_lanes(old, self.tiles, parents, step, self.owners)

    # --------------------------------------------------------------------------- the store

    def save(self, finished: bool = False) -> None:
        """Writes the record of all stages so far."""
        if self.store is not None and jax.process_index() == 0:
            self.store.write_record(self, finished)

    def _score_as_it_is(self) -> None:
        """After Ctrl-C: keeps lanes that were on their way, and scores them as they are."""
        for tile in self._mine.values():
            if tile.n_recorded < len(tile.segments):  # it was not out when Ctrl-C was heard
                self.record.note(tile)
        if self.store is not None:
            self.store.write_lanes(self, self._mine)
        for tile in self._mine.values():
            if tile.lanes is not None and not tile.final:
                tile.final = scores_on(tile, self.settings.splits)
                self.record.finish(tile)
        self.save()


def _name(batch: TrialGroup) -> str:
    """A structure as a message names it."""
    return " ".join(str(x) for x in batch.labels.values()) or type(batch.template).__name__
