"""Fitting: one training, run by the same engine as a sweep, as a tile of one lane."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.streams import Position, Stream
from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.checkpoint import LANES, lanes_path, opened, read_tile, write_tile
from jaxopt_edu.engine.history import History, Run
from jaxopt_edu.engine.options import plan_fit
from jaxopt_edu.engine.peers import watched
from jaxopt_edu.engine.prefetch import Prefetcher
from jaxopt_edu.engine.progress import Progress
from jaxopt_edu.engine.segments import first_state, run_tiles, scores_on
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.tiles import EvalPlan, Tile, lone_tile
from jaxopt_edu.storage.disk import Manifest
from jaxopt_edu.storage.files import to_json
from jaxopt_edu.storage.identity import fingerprints
from jaxopt_edu.storage.named import describe

ASKED = Manifest("fit", "fit.json", 4, others=(LANES,))
TRAIN = "train/"  # before the names of what is known of the training part


def fit(
    experiment: Any,
    steps: int,
    *,
    seed: int = 0,
    tol: float | None = None,
    patience: int | None = None,
    metric: str = "loss",
    mode: str = "auto",
    eval_every: int | None = None,
    train_curve: bool = False,
    tile: int = 1,
    diverge_above: float = 1e4,
    progress: bool | None = None,
    mesh: Any = None,
    accumulate: int = 1,
    batches: Any = None,
    prefetch: int = 2,
    store: Any = None,
) -> Run:
    """Trains one experiment for a number of steps.

    seed: from 0 to 2^32 - 1, of the initial weights and the order of the data: with the seed of a
        sweep, a trial of it starts from the same weights and sees the same batches.
    tol: stop as soon as the norm of a step's gradient (of the whole batch, penalty included) is at
        most this; with a proximal regularizer r, that of p - prox_r(p - g), which is 0 at the
        minimum.
    patience: stop after this many evaluations without a better score, and return the best state.
    metric, mode: the score that patience watches, on the validation split, and whether less (min)
        or more (max) of it is better: by default as is known of the score.
    eval_every: steps between evaluations; by default a twentieth of all.
    train_curve: whether evaluations score the training part too (`Run.train_history`), each time at
        the cost of a forward pass through it.
    tile: lanes in the program; with that of a study the numbers of its best trial come again bit
        for bit, at the price of computing as many lanes.
    mesh: devices that share the rows of every batch and the state of the optimizer, such as
        jax.make_mesh((8,), ("data",)); in a job of several processes (`python -m
        jaxopt_edu.launch`), all of its devices. The result is that of one device, to rounding.
    accumulate: the gradient of a step is summed over so many parts of its batch, one after the
        other, which takes less memory; each part draws its own dropout.
    batches: an iterable of pairs (x, y), or a function that makes one, in place of the training
        part: a batch a step, from the beginning again where it ends. In a job of several
        processes each gives its share of every batch. See docs/guides/streams.md.
    prefetch: number of batches to prefetch.
    store: a directory that is written after every evaluation; the same call goes on from there,
        bit for bit, killed or not.

    On Ctrl-C it ends after the segment under way, and the run so far is returned, its status
        "interrupted"; a second one, or one before the first evaluation, is a KeyboardInterrupt.
    Errors: ValueError or TypeError that names the argument, before anything is compiled; what
        batches raise; `PeerLost` where a process of the job is gone.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    ...     data=jo.data.load("linear"),
    ... )
    >>> jo.fit(experiment, steps=1000, tol=1e-5).status
    'converged'
    """
    running, plan = plan_fit(**locals())
    only = lone_tile(running, plan, seed, tile, mesh)
    bar = Progress(steps, progress if jax.process_index() == 0 else False)
    driver = FitDriver(only, plan, bar, train_curve)
    with driver.prepared(running, store, batches, prefetch):
        driver.run()
    return as_run(experiment, only, plan, driver.history, driver.train, driver.interrupted)


class FitDriver:
    """A training on its way: its tile, its history, where it is written and read from."""

    def __init__(self, tile: Tile, plan: EvalPlan, bar: Progress, train_curve: bool):
        self.tile, self.plan, self.bar, self.train_curve = tile, plan, bar, train_curve
        self.history, self.train = History(), History()
        self.interrupted = False
        self.feed: Prefetcher | None = None
        self.directory: Path | None = None
        self.saved = 0  # the step of the last checkpoint

    def run(self) -> None:
        """Runs (or resumes) the fit."""
        self.bar.say("compiling one structure")
        try:
            for tile in run_tiles([self.tile], self.plan, most=1, feed=self.feed):
                self._note(tile)
                self.bar.advance(tile.segments[-1].steps, self.history.last)
        except KeyboardInterrupt:
            if collectives.processes() > 1:
                raise
            if self.tile.lanes is None:
                raise KeyboardInterrupt("fit interrupted before its first evaluation") from None
            self.interrupted = self.tile.t < self.plan.steps
        finally:
            self.bar.close()

    def _note(self, tile: Tile) -> None:
        """Files an evaluation."""
        self.history.note_tile(tile)
        if self.train_curve:
            scores = scores_on(tile, ("train",))["train"]
            self.train.note(tile.t, {name: float(x[0]) for name, x in scores.items()})
        if self.directory is not None:
            rows = {f"{TRAIN}{name}": x for name, x in self.train.columns().items()}
            position = self.feed.position if self.feed else None
            write_tile(lanes_path(self.directory), tile, rows | self.history.columns(), position)
            self.saved = tile.t

    @contextlib.contextmanager
    def prepared(self, experiment: Any, store: Any, batches: Any, prefetch: int) -> Iterator[None]:
        """With its store and its stream of batches, where there are such, and as it was left."""
        if store is None and batches is None:
            yield
            return
        asked, values = self._asked(experiment, batches), {"experiment": experiment}
        if collectives.processes() > 1:
            told = {name: x for name, x in asked.items() if name != "experiment"}
            text = (fingerprints(values).digest + to_json(told, sort_keys=True)).encode()
            number = int(hashlib.sha256(text).hexdigest()[:15], 16)
            collectives.check_same("what jo.fit is asked for", number)
        feed: Any = contextlib.nullcontext()
        with opened(ASKED, store, asked, values, grows) as self.directory:
            position = self._resume()
            collectives.check_same("the step at which the store goes on", self.tile.t)
            if batches is not None and not self.tile.finished(self.plan.steps):
                placement, stops = self.tile.spec.placement, self.plan.stops
                source = Stream(batches)
                feed = Prefetcher(source, placement, [experiment], stops, prefetch, position)
            with watched(self._where), feed as self.feed:
                yield

    def _asked(self, experiment: Any, batches: Any) -> dict[str, Any]:
        """Everything that determines the result, as JSON.

        The mesh is left out: it changes results by rounding only.
        """
        plan = self.plan
        return {
            "experiment": describe(experiment),
            "steps": plan.steps, "seed": self.tile.seed, "patience": plan.patience,
            "metric": plan.metric, "mode": plan.mode, "evaluations": list(plan.stops),
            "diverge_above": plan.diverge_above, "batches": batches is not None,
            "train_curve": self.train_curve,
            "float": str(jax.numpy.result_type(float)),
        }  # fmt: skip

    def _resume(self) -> Position:
        """Puts the training where its checkpoint has it, if there is one; its place in a stream.

        What an evaluation that is none of the plan's has found out about the state is forgotten: a
        training of fewer steps goes on as one of more.
        """
        path, tile = self.directory and lanes_path(self.directory), self.tile
        if path is None or not path.exists():
            return Position()
        rows, position = read_tile(path, tile)
        train = {n.removeprefix(TRAIN): rows.pop(n) for n in list(rows) if n.startswith(TRAIN)}
        if tile.status[0] == Status.STATE_NOT_FINITE and tile.ended[0] not in self.plan.stops:
            zeros = np.zeros(tile.width, np.int32)
            tile.lanes = tile.lanes._replace(status=zeros, ended=zeros)
            tile.status, tile.ended = tile.read((zeros, zeros))
        self.history, self.train = History(rows), History(train)
        for history in (self.history, self.train):
            history.keep(lambda t: t in self.plan.stops or t == tile.ended[0])
        self.saved = tile.t
        return position

    def _where(self) -> str:
        """Where a job was when it ended, and what to do."""
        how = "without store= they begin anew"
        if self.directory is not None:
            how = f"from {self.directory} they go on at step {self.saved}"
        return f"after step {self.tile.t} of {self.plan.steps}; start all processes again: {how}"


def grows(there: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """What a store was asked for, as a training of more steps where it can become one.

    Its result is that of a training that was asked for all of them: so evaluations up to now must
    be there, and patience must have seen no others.
    Errors: ValueError that says why it cannot go on.
    """
    old, new = there["steps"], here["steps"]
    if old == new or not {"evaluations", "patience"} <= there.keys() & here.keys():
        return there
    if new < old:
        raise ValueError(f"steps was {old}, now {new}: a training goes on with more steps only")
    known, wanted = set(there["evaluations"]), {t for t in here["evaluations"] if t <= old}
    every = f"eval_every={min(known)} goes on"
    if wanted - known:
        raise ValueError(
            f"steps was {old}, now {new}: they want an evaluation at step {min(wanted - known)}, "
            f"where there was none: {every}"
        )
    if there["patience"] is not None and known - wanted:
        raise ValueError(
            f"steps was {old}, now {new}: patience has counted the evaluation at step "
            f"{min(known - wanted)}, which is none of theirs: {every} if {old} is a multiple of it"
        )
    return there | {"steps": new, "evaluations": here["evaluations"]}


def as_run(
    experiment: Any,
    tile: Tile,
    plan: EvalPlan,
    history: History,
    train: History | None = None,
    interrupted: bool = False,
) -> Run:
    """What the only trial of a tile has come to."""
    if not tile.final:  # the last segment scored its own state
        tile.final = scores_on(tile, plan.splits)
    scores = {
        split: {name: float(x[0]) for name, x in named.items()}
        for split, named in tile.final.items()
    }
    status = Status(int(tile.status[0]))
    if status == Status.RUNNING:
        status = Status.INTERRUPTED if interrupted else Status.FINISHED
    train_history = {} if train is None else train.columns()
    train_history.pop("step", None)
    return Run(
        experiment, first_state(tile), int(tile.steps[0]), status.word, plan.reason(status),
        history.columns(), scores, tile.seed, train_history,
    )  # fmt: skip
