"""`sweep`: many trainings with different hyperparameters, one compiled program per structure."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_edu.checks import check_mode, check_run, ranking_split, segment_length
from jaxopt_edu.engine import (
    Settings,
    Tile,
    as_numbers,
    compile_tiles,
    make_tiles,
    run_tiles,
    score_tile,
    tile_width,
    worker_devices,
)
from jaxopt_edu.monitor import Compilations, devices, versions
from jaxopt_edu.programs import named_numbers
from jaxopt_edu.progress import Progress
from jaxopt_edu.sweep.record import Record
from jaxopt_edu.sweep.sampling import Batch, plan
from jaxopt_edu.sweep.study import Study, SweepInterrupted


def sweep(
    space: Any,
    trials: int | None = None,
    *,
    steps: int,
    seed: int = 0,
    metric: str = "loss",
    mode: str = "min",
    sampler: str = "random",
    tile: int | None = None,
    eval_every: int | None = None,
    diverge_above: float = 1e4,
    progress: bool | None = None,
) -> Study:
    """Trains many experiments at once and ranks them.

    space: an experiment with distributions for numbers and `one_of` for structure; or a list of
        experiments; or one experiment whose numbers are vectors (a batch, as of `jax.vmap(adam)`).
    trials: how many to sample from a space (default 64); sampler is random, sobol or grid (at
        most that many points).
    steps: training steps of each trial. seed: of the samples, the initial weights and the order of
        the data; the latter two are common to all trials.
    metric, mode: the score that ranks, on the validation split (training where there is none).
    tile: lanes in one program; by default a function of the shapes and the backend (`tile_width`).
        Results depend on it by rounding only, and on nothing else: not on the number of trials,
        their order, or one that diverges.
    eval_every: steps between evaluations; by default a twentieth of all.
    diverge_above: a trial whose training loss exceeds this multiple of its first one has diverged.
    progress: a bar on the error stream; by default on a terminal only.

    Errors: ValueError or TypeError that names the argument, before anything is compiled; on Ctrl-C
        `SweepInterrupted`, a KeyboardInterrupt with the study so far.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error,
    ...     optimizer=jax.vmap(jo.sgd)(jnp.array([1e-3, 1e-2, 1e-1])), data=jo.data.load("linear"),
    ... )
    >>> study = jo.sweep(experiment, steps=100)
    >>> study.best.optimizer.learning_rate  # doctest: +ELLIPSIS
    0.100...
    """
    began = time.perf_counter()
    check_mode(mode)
    with Compilations() as compiled:
        batches = plan(space, trials, seed, sampler)
        for batch in batches:
            splits = check_run(batch.template, steps, metric, tile)
        split = ranking_split(splits)
        final = tuple(s for s in splits if s != "train" or s == split)  # training parts are large
        every = max(segment_length(batch.template, steps, eval_every) for batch in batches)
        settings = Settings(steps, every, seed, split, final, diverge_above)
        widths = tuple(tile or tile_width(batch.template) for batch in batches)
        tiles = [t for b, w in zip(batches, widths, strict=True) for t in _tiles(b, w)]
        record = Record(sum(len(batch.trials) for batch in batches), settings, metric, mode)
        timer = _Timer()
        interrupted = _run(tiles, settings, record, timer, progress, batches)
    if interrupted and not record.final:
        raise KeyboardInterrupt("sweep interrupted before its first evaluation")
    info = {"interrupted": interrupted, "seconds": time.perf_counter() - began}
    info |= _circumstances(record, timer, compiled)
    study = Study(
        space,
        batches,
        record.table(batches),
        record.curves,
        record.evaluations,
        metric,
        mode,
        settings.split,
        steps,
        seed,
        widths,
        info,
    )
    if interrupted:
        raise SweepInterrupted(study)
    return study


def _circumstances(record: Record, timer: "_Timer", compiled: Compilations) -> dict[str, Any]:
    """What a study says of how it ran."""
    model_steps = int(record.steps.sum())
    return {
        "trials": record.count,
        "diverged": record.diverged,
        "compile_seconds": timer.compiling,
        "compilations": compiled.as_dict(),
        "model_steps": model_steps,
        "model_steps_per_second": model_steps / max(timer.running, 1e-9),
        "workers": len(worker_devices()),
        "devices": devices(),
        "versions": versions(),
    }


@dataclass
class _Timer:
    """Seconds spent on compiling and on running."""

    compiling: float = 0.0
    running: float = 0.0


def _tiles(batch: Batch, width: int) -> list[Tile]:
    """The tiles of a batch: every number of its experiment as a column."""
    n = len(batch.trials)
    named = named_numbers(batch.template).items()
    columns = [batch.columns.get(name, np.full(n, x)) for name, x in named]
    return make_tiles(batch.template, as_numbers(columns), batch.trials, width)


def _run(
    tiles: list[Tile],
    settings: Settings,
    record: Record,
    timer: _Timer,
    progress: bool | None,
    batches: list[Batch],
) -> bool:
    """Compiles and runs all tiles into the record; whether Ctrl-C ended it early."""
    bar = Progress(record.count * settings.steps, progress)
    began = time.perf_counter()
    try:
        bar.say(f"compiling {len(batches)} structures: {', '.join(map(_name, batches))}")
        for _ready in compile_tiles(tiles, settings):
            pass
        timer.compiling = time.perf_counter() - began
        for tile in run_tiles(tiles, settings):
            bar.advance(record.note(tile), **record.figures())
        return False
    except KeyboardInterrupt:
        for tile in tiles:
            if tile.lanes is not None and not tile.final:
                score_tile(tile, settings)
                record.note(tile)
        return True
    finally:
        timer.running = time.perf_counter() - began - timer.compiling
        bar.close()


def _name(batch: Batch) -> str:
    """A structure as a message names it."""
    return " ".join(str(x) for x in batch.labels.values()) or type(batch.template).__name__
