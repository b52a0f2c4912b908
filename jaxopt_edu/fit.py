"""`fit`: one training, run by the same engine as a sweep, as a sweep of one lane."""

import dataclasses
from typing import Any

import jax
import numpy as np

from jaxopt_edu.checks import (
    check_numbers,
    check_options,
    check_run,
    check_space,
    evaluations,
    mode_for,
    ranking_split,
    segment_length,
)
from jaxopt_edu.engine import (
    Settings,
    Structure,
    Tile,
    as_numbers,
    run_tiles,
    score_tile,
    scores_on,
)
from jaxopt_edu.history import History, Run
from jaxopt_edu.names import replace
from jaxopt_edu.parallel.means import Means
from jaxopt_edu.parallel.train import train
from jaxopt_edu.programs import ALIVE, Lane, named_numbers
from jaxopt_edu.progress import Progress
from jaxopt_edu.value import check_seed


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
    prefetch: how many batches are read before their time.
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
    if tol is not None:
        if not hasattr(experiment, "track_gradient_norm"):
            raise TypeError(f"tol: {type(experiment).__name__} does not track its gradient norm")
        running = replace(experiment, track_gradient_norm=True)
    else:
        running = experiment
    splits, names = check_run(running, steps, metric, tile)
    mode = mode_for([running], metric, mode, needed=patience is not None)
    stops = evaluations(segment_length(running, steps, eval_every), steps)
    split = ranking_split(splits)
    settings = Settings(stops, split, splits, names, diverge_above, tol)
    history = History(metric, 1 if mode == "min" else -1, patience)
    means = Means(mesh, accumulate, batches, prefetch, store)
    if train_curve and "train" not in splits:
        raise ValueError(f"train_curve: there is no split train, only {', '.join(splits)}")
    if any(means.given.values()):
        if train_curve:
            raise ValueError("train_curve: not with mesh, accumulate, batches or store")
        means.check(experiment, tol, tile)
        run = train(running, settings, history, seed, means, progress)
        return dataclasses.replace(run, experiment=experiment)
    numbers = as_numbers(np.full(1, x) for x in named_numbers(running).values())
    [lane] = Structure(running, tile).tiles(numbers, np.zeros(1, int), seed=seed)
    watch = _Watch(history, train_curve)
    lane, status = _run(lane, settings, watch, Progress(steps, progress))
    return watch.as_run(experiment, lane, status, settings)


def as_scores(tile: Tile) -> dict[str, dict[str, float]]:
    """The final scores of the only trial of a tile, by split and name."""
    return {
        split: {name: float(x[0]) for name, x in named.items()}
        for split, named in tile.final.items()
    }


def at_death(tile: Tile, settings: Settings) -> Tile:
    """The lone trial of a tile again, as far as the step at which it diverged.

    A program goes on to the end of its segment, as freezing lanes would cost all of them.
    """
    again = Tile(
        tile.of, tile.numbers, tile.trials, tile.seed, tile.fold, tile.structure, tile.repeat
    )
    for _ in run_tiles([again], dataclasses.replace(settings, stops=(int(tile.died[0]),))):
        pass
    return again


def _run(tile: Tile, settings: Settings, watch: "_Watch", bar: Progress) -> tuple[Tile, str]:
    """Runs the only tile to its end; it, and the status it ends with."""
    bar.say("compiling one structure")
    try:
        for _ in run_tiles([tile], settings, most=1):
            if tile.reasons[0] != ALIVE:
                tile = at_death(tile, settings) if tile.died[0] < tile.t else tile
                watch.note(tile)
                return tile, "diverged"
            watch.note(tile)
            bar.advance(tile.segments[-1].steps, watch.history.last)
            if tile.stopped:
                return tile, "converged"
            if watch.history.waited_enough:
                tile.stopped = True
                return tile, "stopped early"
        return tile, "finished"
    except KeyboardInterrupt:
        return tile, "interrupted"
    finally:
        bar.close()


class _Watch:
    """The history of a run, and the best state so far where patience asks for it."""

    def __init__(self, history: History, train_curve: bool):
        self.history, self.train_curve = history, train_curve
        self.train: dict[str, list[float]] = {}
        self.best_lanes: Lane | None = None

    def note(self, tile: Tile) -> None:
        better = self.history.note(tile.t, {n: float(x[0, 0]) for n, x in tile.scores.items()})
        if self.train_curve:
            for name, x in scores_on(tile, ("train",))["train"].items():
                self.train.setdefault(name, []).append(float(x[0]))
        lives = tile.reasons[0] == ALIVE
        if (
            better and lives and self.history.patience is not None
        ):  # the next segment takes the buffers over
            self.best_lanes = jax.tree.map(np.array, tile.lanes)

    def as_run(self, experiment: Any, tile: Tile, status: str, settings: Settings) -> Run:
        if tile.lanes is None:
            raise KeyboardInterrupt("fit interrupted before its first evaluation")
        reason = self.history.why(status, tile.reasons[0])
        if self.best_lanes is not None:
            tile.lanes = self.best_lanes
        if self.best_lanes is not None or not tile.final:  # the last segment scored its own state
            score_tile(tile, settings)
        history = self.history.columns(settings.names)
        state = jax.tree.map(lambda x: x[0], tile.lanes.state)
        scores = as_scores(tile)
        train = {name: np.asarray(x) for name, x in self.train.items()}
        return Run(experiment, state, tile.t, status, reason, history, scores, tile.seed, train)
