"""Sweeping: many trainings with different hyperparameters, one program per structure."""

import functools
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.data.folds import as_folds
from jaxopt_edu.engine.checks import check_options, check_space, evaluations, segment_length
from jaxopt_edu.engine.options import check_mesh, check_stream
from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.ranking import RULES
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.resuming import complete, unfinished, with_more_trials
from jaxopt_edu.search.schedulers import Scheduler
from jaxopt_edu.search.setup import check_structures, eval_plan, objectives, on_fold, settled
from jaxopt_edu.search.store import opened
from jaxopt_edu.search.study import Study, SweepInterrupted
from jaxopt_edu.search.trials import plan
from jaxopt_edu.storage.named import describe
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.pytrees import SEEDS, check_count, check_seed, resolve_among

RUN_ONLY = ("store", "progress", "mesh", "prefetch")  # arguments that change no result


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
        whether less (min) or more (max) of it is better, by default as the score says: losses,
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
        part (or on those given: pairs of rows, as scikit-learn's splitters give them), and with
        each of the seeds seed, seed + 1, ...; its scores are means, with intervals.
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
        `SweepInterrupted`, a KeyboardInterrupt with the study so far (before the first evaluation a
        plain KeyboardInterrupt); `PeerLost` where a process of
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
    check_options(**arguments)
    check_space(space)
    folds = None if folds is None else as_folds(folds)
    if folds is not None and batches is not None:
        raise ValueError("folds: not with batches, which hold rows of all folds")
    resolve_among("rank_by", rank_by, RULES)
    if patience is not None:
        rank_by = "last"  # the score of the state that a trial comes to
    metrics, modes = objectives(space, metric, mode, steps)
    count = len(folds) if isinstance(folds, list) else folds
    folded = range(count) if count else [None]
    repeats = tuple((seed + i, fold) for i in range(seeds) for fold in folded)

    def start() -> SweepDriver:
        planned = plan(space, trials, seed, sampler, modes[0] if len(modes) == 1 else modes)
        planned = planned.as_trained(folds, accumulate, tol)
        templates = [one.template for one in planned.structures]  # anew at each call, with folds
        for template in templates:
            check_mesh(mesh, template, needed=batches is not None)
            if batches is not None:
                check_stream(batches, template)
            if folds is not None:
                template.check()  # all folds
        policy = settled(rungs, steps, templates)
        lone = [on_fold(template, repeats[0][1]) for template in templates]
        names = check_structures(lone, steps, metrics, tile)
        every = max(segment_length(one, steps, eval_every) for one in templates)
        stops = evaluations(every, steps, policy.stops(steps))
        settings = eval_plan(lone[0], names, stops, metrics[0], modes[0], diverge_above, patience)
        record = Record(planned.total, len(repeats), settings, rank_by)
        signs = [1 if one == "min" else -1 for one in modes]
        record.objectives = list(zip(metrics, signs, strict=True))
        return SweepDriver(
            planned, settings, record, policy, repeats, progress, tile, Placement.on(mesh),
            batches, prefetch,
        )  # fmt: skip

    driver = start()  # what is wrong with the arguments is said before a store is made
    given = driver.plan.asking is None
    values = {"space": space, "rungs": rungs, "folds": folds, "sampler": sampler}
    told: dict[str, Any] = {name: describe(x) for name, x in values.items()}
    told |= {"batches": batches is not None, "mode": modes[0] if isinstance(metric, str) else modes}
    told["trials"] = driver.plan.total if given else 64 if trials is None else trials
    asked = {name: x for name, x in (arguments | told).items() if name not in RUN_ONLY}
    asked["x64"] = bool(jax.enable_x64.value)
    grows = None if given else functools.partial(with_more_trials, sampler, rungs)
    if store is not None and grows and (before := unfinished(Path(store), asked, grows)):
        sweep(**arguments | {"trials": before, "folds": folds})
    study = Study(space=space, **complete(start, driver, opened(store, asked, values, grows)))
    if study.info["interrupted"]:
        raise SweepInterrupted(study)
    return study
