"""Replay: one trial of a study again, alone, bit for bit or with full checks."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.fitting import as_run
from jaxopt_edu.engine.history import History, Run
from jaxopt_edu.engine.segments import run_tiles
from jaxopt_edu.engine.tiles import lone_tile, numbers_of
from jaxopt_edu.search.setup import check_named, on_fold, plan_of
from jaxopt_edu.values import keys
from jaxopt_edu.values.names import with_parts
from jaxopt_edu.values.tree import all_finite


def rerun(study: Any, trial: int, *, repeat: int = 0, debug: bool = False) -> Run:
    """Trains one trial of a study again, with the seed, fold and width it had: bit for bit.

    It goes as far as it went then; where it took over the state of other trials, it goes their
    way. repeat: which of its seeds and folds.
    debug: step by step, outside the engine; the first step at which the loss or a part of the
        state is not finite is run again operation by operation, and FloatingPointError names the
        step, the part of the state and the operation.
    """
    if study.streamed:
        raise ValueError("rerun: the trials saw a stream of batches: jo.fit(..., batches=) them")
    place, _ = study.place(trial)
    check_named(study.batches[place], "rerun")
    template, width = study.batches[place].template, study.tiles[place]
    seed, fold = study.repeats[repeat]
    seen = study.evaluations[np.isfinite(study.lanes[study.metric][trial, repeat])]
    last = max(int(study.columns["steps"][trial]), *seen.tolist(), 1)  # a lane may outlive others
    if not debug:
        last = int(study.evaluations[np.searchsorted(study.evaluations, last)])
    way = study.lineage(trial)
    ends = [*(step for step, _ in way[1:]), last]
    stages = [
        (with_parts(template, numbers), min(end, last))
        for (_, numbers), end in zip(way, ends, strict=True)
    ]
    if debug:
        diverged = study.columns["status"][trial] == "diverged"
        of_fold = [(on_fold(one, fold), end) for one, end in stages]
        return _checked(of_fold, seed, "diverged" if diverged else "finished")
    only = on_fold(stages[-1][0], fold)
    settings = replace(plan_of(study, [template]), splits=only.splits)
    tile, history = lone_tile(stages[0][0], settings, seed, width, fold=fold), History()
    for experiment, end in stages:
        tile.numbers = [np.repeat(x, width) for x in numbers_of(experiment)]
        for _ in run_tiles([tile], settings, end, most=1):
            history.note_tile(tile)
    return as_run(only, tile, settings, history)


# ------------------------------------------------------------------------------ with full checks


def _checked(stages: list[tuple[Any, int]], seed: int, status: str) -> Run:
    """The same step by step. stages: experiments, and until which step each trained the state."""
    start, key = keys.weights(np.uint32(seed)), keys.order(np.uint32(seed))
    kind = type(stages[0][0])
    state, step = jax.jit(kind.init)(stages[0][0], start), jax.jit(kind.step)
    losses: list[float] = []
    for experiment, end in stages:
        for t in range(len(losses), end):
            new, told = step(experiment, state, np.int32(t), key)
            if not _finite((told.loss, experiment.watched(new))):
                raise _located(experiment, state, new, t, key)
            state = new
            losses.append(np.nan if told.loss is None else float(told.loss))
    scores = {
        split: {name: float(x) for name, x in experiment.score(state, split).items()}
        for split in experiment.splits
    }
    history = {"step": np.arange(1, len(losses) + 1), "training_loss": np.asarray(losses)}
    return Run(experiment, state, len(losses), status, "", history, scores, seed)


_finite = jax.jit(all_finite)


def _located(experiment: Any, state: Any, new: Any, t: int, key: Any) -> FloatingPointError:
    """Where a number that is not finite comes from."""
    leaves = jax.tree_util.tree_leaves_with_path(experiment.watched(new))
    bad = [jax.tree_util.keystr(path) for path, x in leaves if not bool(_finite(x))]
    what = f"step {t + 1}: the loss is not finite"
    if bad:
        where = ", ".join(filter(None, bad))  # a state that is one array has no parts
        what = f"step {t + 1}: the state is not finite" + (where and f" in {where}")
    try:
        with jax.debug_nans(True), jax.debug_infs(True), jax.disable_jit():
            experiment.step(state, np.int32(t), key)
    except FloatingPointError as error:
        return FloatingPointError(f"{what}; first in an operation: {error}")
    return FloatingPointError(what)
