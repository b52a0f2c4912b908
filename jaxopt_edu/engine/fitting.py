"""Fitting: one training, run by the same engine as a sweep, as a tile of one lane."""

import contextlib
import hashlib
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.checkpoint import Store, go_on, opened
from jaxopt_edu.engine.checks import (
    check_numbers,
    check_options,
    check_run,
    check_space,
    evaluations,
    mode_for,
    ranking_split,
    segment_length,
)
from jaxopt_edu.engine.history import History, Run
from jaxopt_edu.engine.options import changed, check_mesh, check_stream
from jaxopt_edu.engine.peers import watched
from jaxopt_edu.engine.prefetch import Prefetcher
from jaxopt_edu.engine.progress import Progress
from jaxopt_edu.engine.segments import first_state, run_tiles, score_tile, scores_on
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.stream import Position, Stream
from jaxopt_edu.engine.tiles import EvalPlan, Tile, TileProgram, numbers_of
from jaxopt_edu.storage.files import to_json
from jaxopt_edu.storage.identity import fingerprints
from jaxopt_edu.storage.named import describe
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.pytrees import check_seed


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
        processes each gives its share of every batch. See docs/streams.md.
    prefetch: number of batches to prefetch.
    store: a directory that is written after every evaluation; the same call goes on from there,
        bit for bit, killed or not.

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
    seed = check_seed(seed)
    check_options(
        tol=tol, patience=patience, eval_every=eval_every, train_curve=train_curve, tile=tile,
        diverge_above=diverge_above, progress=progress, accumulate=accumulate, prefetch=prefetch,
        store=store,
    )  # fmt: skip
    check_space(experiment, "fit")
    check_numbers(experiment, "fit")
    running = changed(experiment, accumulate, tol)
    check_mesh(mesh, experiment, needed=store is not None or batches is not None)
    if batches is not None:
        check_stream(batches, running)
    splits, names = check_run(running, steps, metric, tile)
    mode = mode_for([running], metric, mode, needed=patience is not None)
    if train_curve and "train" not in splits:
        raise ValueError(f"train_curve: there is no split train, only {', '.join(splits)}")
    stops = evaluations(segment_length(running, steps, eval_every), steps)
    settings = EvalPlan(
        stops, ranking_split(splits), splits, names, diverge_above, metric,
        1 if mode == "min" else -1, patience, running.why_done,
    )  # fmt: skip
    structure = TileProgram(
        running, tile, placement=Placement.on(mesh), patient=patience is not None
    )
    [only] = structure.tiles(numbers_of(running), np.zeros(1, int), seed=seed)
    driver = FitDriver(
        only, settings, Progress(steps, progress if jax.process_index() == 0 else False)
    )
    if store is None and batches is None:
        driver.run(train_curve=train_curve)
    else:
        asked = _asked(running, settings, seed, batches)
        driver.run_stored(running, asked, store, batches, prefetch, train_curve)
    return driver.as_run(experiment)


def _asked(experiment: Any, settings: EvalPlan, seed: int, batches: Any) -> dict[str, Any]:
    """Everything that determines the result, as JSON.

    The mesh is left out: it changes results by rounding only.
    """
    return {
        "experiment": describe(experiment),
        "steps": settings.steps,
        "seed": int(seed),
        "patience": settings.patience,
        "metric": settings.metric,
        "mode": "min" if settings.sign == 1 else "max",
        "evaluations": list(settings.stops),
        "diverge_above": settings.diverge_above,
        "batches": batches is not None,
        "float": str(jax.numpy.result_type(float)),
    }


class FitDriver:
    """A training on its way: its tile, its history, and whether Ctrl-C has ended it."""

    def __init__(self, tile: Tile, settings: EvalPlan, bar: Progress):
        self.tile, self.settings, self.bar = tile, settings, bar
        self.history = History()
        self.train: dict[str, list[float]] = {}
        self.interrupted = False

    def run(
        self, train_curve: bool = False, feed: Prefetcher | None = None, files: Store | None = None
    ) -> None:
        """Runs (or resumes) the fit."""
        self.bar.say("compiling one structure")
        first = self.tile.t
        try:
            for tile in run_tiles([self.tile], self.settings, most=1, feed=feed):
                self.history.note_tile(tile)
                if train_curve:
                    for name, x in scores_on(tile, ("train",))["train"].items():
                        self.train.setdefault(name, []).append(float(x[0]))
                if files is not None:
                    files.write(tile, self.history, feed.position if feed else Position())
                self.bar.advance(tile.t - first, self.history.last)
                first = tile.t
                tile.stopped = tile.status[0] != Status.RUNNING
        except KeyboardInterrupt:
            if collectives.processes() > 1:
                raise
            self.interrupted = True
        finally:
            self.bar.close()

    def run_stored(
        self, experiment: Any, asked: dict, store: Any, batches: Any, ahead: int, train_curve: bool
    ) -> None:
        """The same with a store, or a stream of batches."""
        identity = fingerprints({"experiment": experiment})
        if collectives.processes() > 1:
            told = {name: x for name, x in asked.items() if name != "experiment"}
            text = (identity.digest + to_json(told, sort_keys=True)).encode()
            number = int(hashlib.sha256(text).hexdigest()[:15], 16)
            collectives.check_same("what jo.fit is asked for", number)
        source = None if batches is None else Stream(batches)
        with opened(store, asked, identity) as files:
            position = Position()
            if files is not None:
                position = files.read(self.tile, self.history, source is not None)
                go_on(self.tile, self.history, self.settings)
                self.tile.stopped = any(self.tile.status != Status.RUNNING)
            collectives.check_same("the step at which the store goes on", self.tile.t)
            with (
                watched(lambda: self._where(files)),
                self._feed(experiment, source, ahead, position) as feed,
            ):
                self.run(train_curve, feed, files)

    def _feed(self, experiment: Any, source: Stream | None, ahead: int, position: Position) -> Any:
        """The stream where the training is to go on, while entered; None without a stream."""
        if source is None or self.tile.finished(self.settings.steps):
            return contextlib.nullcontext()
        placement, stops = self.tile.spec.placement, self.settings.stops
        return Prefetcher(source, placement, [experiment], stops, ahead, position)

    def _where(self, files: Store | None) -> str:
        """Where a job was when it ended, and what to do."""
        again = "start all processes again"
        if files is None:
            again += ": without store= they begin anew"
        else:
            again += f": from {files.directory} they go on at step {files.saved}"
        return f"after step {self.tile.t} of {self.settings.steps}; {again}"

    def as_run(self, experiment: Any) -> Run:
        """What it has come to."""
        train = {name: np.asarray(x) for name, x in self.train.items()}
        return as_run(experiment, self.tile, self.settings, self.history, self.interrupted, train)


def as_run(
    experiment: Any,
    tile: Tile,
    settings: EvalPlan,
    history: History,
    interrupted: bool = False,
    train: dict[str, np.ndarray] | None = None,
) -> Run:
    """What the only trial of a tile has come to."""
    if tile.lanes is None:
        raise KeyboardInterrupt("fit interrupted before its first evaluation")
    if not tile.final:  # the last segment scored its own state
        score_tile(tile, settings)
    scores = {
        split: {name: float(x[0]) for name, x in named.items()}
        for split, named in tile.final.items()
    }
    status = Status(int(tile.status[0]) if len(tile.status) else 0)
    if status == Status.RUNNING:
        status = Status.INTERRUPTED if interrupted else Status.FINISHED
    return Run(
        experiment, first_state(tile), int(tile.steps[0]), status.word, settings.reason(status),
        history.columns(settings.names), scores, tile.seed, train or {},
    )  # fmt: skip
