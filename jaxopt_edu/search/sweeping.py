"""Sweeping: many trainings with different hyperparameters, one program per structure."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.folds import as_folds
from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.checks import check_options, check_space
from jaxopt_edu.engine.options import check_mesh, check_stream
from jaxopt_edu.engine.peers import watched
from jaxopt_edu.engine.progress import Progress
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.search.criteria import objectives
from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.fields import study_fields
from jaxopt_edu.search.growth import Growth, extend
from jaxopt_edu.search.metadata import sweep_metadata
from jaxopt_edu.search.ranking import check_rule
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.schedulers import Scheduler
from jaxopt_edu.search.settling import settled
from jaxopt_edu.search.setup import asked_of, lane_steps_of, repeats_of, settings_of
from jaxopt_edu.search.store import Store, opened, read_results, restore_record, stored_columns
from jaxopt_edu.search.study import Study, SweepInterrupted
from jaxopt_edu.search.trials import Plan, TrialGroup, plan
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.pytrees import SEEDS, check_count, check_seed


def sweep(
    space: Any,
    trials: int | None = None,
    *,
    steps: int,
    seed: int = 0,
    metric: str | Sequence[str] = "loss",
    mode: str | Sequence[str] = "auto",
    rank_by: str = "tail",
    rungs: Scheduler | None = None,
    folds: int | Iterable[Any] | None = None,
    seeds: int = 1,
    sampler: Any = "random",
    store: str | os.PathLike[str] | None = None,
    tile: int | None = None,
    eval_every: int | None = None,
    diverge_above: float = 1e4,
    progress: bool | None = None,
    tol: float | None = None,
    patience: int | None = None,
    mesh: Any = None,
    accumulate: int = 1,
    batches: Any = None,
    prefetch: int = 2,
) -> Study:
    """Trains many experiments at once and ranks them.

    space: an experiment with distributions for numbers and `one_of` for structure; or a list of
        experiments; or one experiment whose numbers are vectors (a batch, as of `jax.vmap(adam)`).
    trials: how many to sample from a space (default 64).
    steps: training steps of each trial.
    seed: from 0 to 2^32 - 1, of the samples, the initial weights and the order of the data; the
        latter two are common to all trials.
    metric, mode: the score that ranks, on the validation split (training where there is none), and
        whether less (min) or more (max) of it is better, by default as is known of it: of losses,
        errors and `jo.metrics`. Of several, the first ranks, and all are told to a sampler for
        several objectives.
    rank_by: what of its learning curve ranks a trial, here, at rungs and for samplers: "last", the
        last score; "tail", the mean of the last fifth of the evaluations (at least one), as the
        last alone may be a lucky dip; "best". The table has it as rank_<metric>.
        `study.confirm()` trains the best once more with other seeds.
    rungs: where trials are compared and the worse ones stopped: `halving`, `hyperband`,
        `median_stopping`; or, with `population`, go on from the state of better ones. By default
        not before an epoch, or a fortieth of the steps where there are no batches.
    folds, seeds: every trial is trained on each of so many folds of the training and validation
        part (or on those given: `jo.data.k_fold`), and with each of the seeds seed, seed + 1, ...;
        its scores are means, with intervals.
    sampler: random, sobol, latin_hypercube, grid (at most that many points), or a sampler such as
        `sobol()` or `optuna("tpe")`, which learns from the scores of the trials so far.
    store: a directory that holds the sweep while it runs. The same call again goes on where it
        was left, killed or not, to the same results bit for bit; or gives the finished study. With
        more trials (random, sobol, grid; no rungs) it goes on with those it does not have. What
        functions and data are is compared too: see `fingerprint`.
    tile: lanes in one program; by default a function of the shapes, the backend and the number of
        lanes (`widths.tile_width`). At a given tile the results of a trial do not depend on the
        number of trials, their order, one that diverges, the number of workers, devices or
        processes, or on being resumed; at another tile they are rounded differently.
    eval_every: steps between evaluations; by default a twentieth of all.
    diverge_above: a trial whose training loss exceeds this multiple of its first one has diverged.
    progress: a bar on the error stream; by default on a terminal and in a notebook only.
    tol, patience, mesh, accumulate, batches, prefetch: as in `fit`, for each of the trials, seeds
        and folds: those that have ended are frozen where they ended, or with patience at their best
        state, whose score ranks then. All trials see the same batches of a stream, from its
        beginning in each round of a sampler. On a mesh all devices work on each tile.

    In a `jax.distributed` job every process makes the same call and takes its share of the lanes;
    all get the same study.
    Errors: ValueError or TypeError that names the argument, before anything is compiled; on Ctrl-C
        `SweepInterrupted`, a KeyboardInterrupt with the study so far; `PeerLost` where a process of
        the job is gone.

    >>> import jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error,
    ...     optimizer=jax.vmap(jo.sgd)(jnp.array([1e-3, 1e-2, 1e-1])), data=jo.data.load("linear"),
    ... )
    >>> study = jo.sweep(experiment, steps=100)
    >>> study.best.optimizer.learning_rate  # doctest: +ELLIPSIS
    0.100...
    """
    arguments = dict(locals())
    check_count("seeds", seeds)
    seed = check_seed(seed, SEEDS - seeds, "seed" if seeds == 1 else "the first seed")
    check_options(
        rungs=rungs, folds=folds, store=store, tile=tile, eval_every=eval_every,
        diverge_above=diverge_above, progress=progress, metric=metric, tol=tol, patience=patience,
        accumulate=accumulate, prefetch=prefetch,
    )  # fmt: skip
    check_space(space)
    folds = None if folds is None else as_folds(folds)
    check_rule(rank_by)
    if patience is not None:
        rank_by = "last"  # the score of the state that a trial comes to
    metrics, modes = objectives(space, metric, mode, steps)
    asked = asked_of(arguments, modes[0] if isinstance(metric, str) else modes, folds)
    repeats = repeats_of(seed, seeds, folds)
    writes = jax.process_index() == 0

    def start(most: int | None) -> SweepDriver:
        planned = plan(space, trials, seed, sampler, modes[0] if len(modes) == 1 else modes)
        planned.as_trained(folds, accumulate, tol)
        templates = planned.templates()  # made anew at each call, folds and all
        for template in templates:
            check_mesh(mesh, template, needed=batches is not None)
            if batches is not None:
                check_stream(batches, template)
        judged = settled(rungs, steps, templates)
        settings = settings_of(
            templates, steps, metrics, modes[0], tile, eval_every, diverge_above, patience, judged,
            folds is not None,
        )  # fmt: skip
        record = Record(planned.total, len(repeats), settings, rank_by)
        signs = [1 if one == "min" else -1 for one in modes]
        record.objectives = list(zip(metrics, signs, strict=True))
        expected = lane_steps_of(planned, judged, len(repeats), steps)
        bar = Progress(expected, progress if writes else False)
        return SweepDriver(
            planned, settings, record, judged, repeats, record.objectives, seed, tile, None, bar,
            most, Placement.on(mesh), batches, prefetch,
        )  # fmt: skip

    values = {"space": space, "rungs": rungs, "folds": folds, "sampler": sampler}
    driver = start(None)  # what is wrong with the arguments is said before a store is made
    given = driver.plan.asking is None
    asked["trials"] = driver.plan.total if given else 64 if trials is None else trials
    grows = Growth(sampler, rungs, given)
    if store is not None and (before := grows.unfinished(Path(store), asked["trials"])):
        driver.bar.close()
        sweep(**arguments | {"trials": before, "folds": folds})
    with Compilations() as compiled, contextlib.ExitStack() as stack:
        files = stack.enter_context(opened(store, asked, values, grows))
        with watched(lambda: _where(driver, store)):
            collectives.barrier("sweep")
            driver, interrupted = _run(driver, start, files, compiled)
            if not interrupted:
                collectives.barrier("sweep")  # what one process has written is there for all
    study = _study(space, driver, interrupted)
    if interrupted:
        raise SweepInterrupted(study)
    return study


def _study(space: Any, driver: SweepDriver, interrupted: bool) -> Study:
    """The study of a sweep that is over."""
    told = sweep_metadata(driver)
    told["info"]["interrupted"] = interrupted
    batches = [driver.batches[place] for place in sorted(driver.batches)]
    return Study(space=space, **study_fields(batches, driver.record, told))


def _restore(driver: SweepDriver, files: Store) -> bool:
    """Restores the driver from its run directory; whether the sweep was finished."""
    found = read_results(files.directory)
    if found is None:
        return False
    about, arrays = found
    if about["stops"] != list(driver.settings.stops):
        raise ValueError(
            f"store = {files.directory} was begun with other rungs or evaluations, by another "
            "version: finish it with that one, or give the same first= and eval_every="
        )
    if about["trials"] < driver.plan.total:
        extend(driver, about, arrays)
        return False
    restore_record(driver.record, about, arrays)
    driver.stage = about["stage"]
    driver.widths = {int(place): width for place, width in about["widths"].items()}
    driver.batches = {
        batch.place: batch
        for place in about["structures"]
        for batch in [_stored_batch(driver.plan, int(place), stored_columns(place, arrays))]
    }
    if not about["finished"]:
        driver.record.unfinish()
    else:
        driver.asked = sum(len(batch.trials) for batch in driver.batches.values())
    return bool(about["finished"])


def _stored_batch(planned: Plan, place: int, columns: dict[str, np.ndarray]) -> TrialGroup:
    """A structure of the plan with the trials and numbers of a store."""
    trials = columns.pop("")
    return planned.structure(place, trials, columns)


def _run(
    driver: SweepDriver,
    start: Callable[[int | None], SweepDriver],
    files: Store | None,
    compiled: Compilations,
) -> tuple[SweepDriver, bool]:
    """Runs a driver to its end; (it, whether Ctrl-C ended it early).

    Where memory does not suffice it starts anew with tiles half as wide: results depend on the
    width, so no lane may have gone a part of its way at another.
    """
    while True:
        driver.store, driver.compiled, bar = files, compiled, driver.bar
        finished = files is not None and _restore(driver, files)
        try:
            if not finished:
                driver.run()
                driver.save(finished=True)
            return driver, False
        except KeyboardInterrupt:
            driver.stop()
            if not any(name.startswith("final/") for name in driver.record.arrays):
                raise KeyboardInterrupt("sweep interrupted before its first evaluation") from None
            return driver, True
        except jax.errors.JaxRuntimeError as error:
            widest = max(driver.widths.values())
            if "RESOURCE_EXHAUSTED" not in str(error) or widest == 1 or collectives.processes() > 1:
                raise
            print(
                f"out of memory with {widest} lanes in a tile: now {widest // 2}", file=sys.stderr
            )
            driver = start(widest // 2)
            if files is not None:
                files.clear()
        finally:
            bar.close()


def _where(driver: SweepDriver, store: Any) -> str:
    """Where a job was when it lost a process, and what to do."""
    again = "start all processes again"
    if store is None:
        again += ": without store= they begin anew"
    else:
        again += f": from {store} they go on where they were"
    return f"in stage {driver.stage + 1} of the sweep; {again}"
