"""Replay: one trial of a study again, alone, bit for bit or with full checks."""

from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.checks import check_run
from jaxopt_edu.engine.fitting import as_run
from jaxopt_edu.engine.history import History, Run
from jaxopt_edu.engine.segments import run_tiles
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.tiles import EvalPlan, Tile, TileProgram, numbers_of
from jaxopt_edu.values import keys
from jaxopt_edu.values.names import with_parts
from jaxopt_edu.values.tree import all_finite

__all__ = ["rerun"]


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
    study.experiment(trial)  # says where a store could not name its class
    for name, was in study.batches[place].unnamed.items():
        raise ValueError(
            f"rerun: {name} was {was}, which the store could not name: load_study(directory, "
            "space=...) with the space it was made of"
        )
    template, width = study.batches[place].template, study.tiles[place]
    seed, fold = study.repeats[repeat]
    stages = [(step, with_parts(template, numbers)) for step, numbers in study.lineage(trial)]
    last = _went(study, trial, repeat)
    if debug:
        diverged = study.columns["status"][trial] == "diverged"
        return _checked(stages, seed, fold, max(last, 1), diverged)
    lone = template if fold is None else template.fold(0)
    splits, names = check_run(lone, study.steps, study.metric, None)
    settings = EvalPlan(
        tuple(study.evaluations.tolist()), study.split, splits, names, study.diverge_above,
        study.metric, 1 if study.mode == "min" else -1, study.patience, lone.why_done,
    )  # fmt: skip
    end = int(study.evaluations[np.searchsorted(study.evaluations, max(last, 1))])
    structure = TileProgram(template, width, fold is not None, patient=study.patience is not None)
    tile, history = _walked(structure, stages, seed, fold, settings, end)
    return as_run(_of_fold(stages[-1][1], fold), tile, settings, history)


def _of_fold(experiment: Any, fold: int | None) -> Any:
    return experiment if fold is None else experiment.fold(fold)


def _walked(
    structure: TileProgram, stages: list, seed: int, fold: int | None, settings: EvalPlan, end: int
) -> tuple[Tile, History]:
    """A tile of the one trial at step `end`, and its scores on the way there."""
    history = History()
    [tile] = structure.tiles(numbers_of(stages[0][1]), np.zeros(1, int), seed=seed, fold=fold)
    for (_, experiment), (until, _) in zip(stages, [*stages[1:], (end, None)], strict=True):
        tile.numbers = [np.repeat(x, structure.spec.width) for x in numbers_of(experiment)]
        for _ in run_tiles([tile], settings, min(until, end), most=1):
            history.note_tile(tile)
            tile.stopped = tile.status[0] != Status.RUNNING
    return tile, history


def _went(study: Any, trial: int, repeat: int) -> int:
    """How far a lane of a trial went, also where another one ended the trial."""
    seen = np.isfinite(study.lanes[study.metric][trial, repeat])
    return max(int(study.columns["steps"][trial]), int(max(study.evaluations[seen], default=0)))


# ------------------------------------------------------------------------------ with full checks


def _checked(stages: list, seed: int, fold: int | None, steps: int, diverged: bool) -> Run:
    experiments = [(first, _of_fold(e, fold)) for first, e in stages]
    start, key = keys.weights(np.uint32(seed)), keys.order(np.uint32(seed))
    state = _init(experiments[0][1], start)
    losses = []
    for t in range(steps):
        experiment = [e for first, e in experiments if first <= t][-1]
        new, told = _step(experiment, state, np.int32(t), key)
        if not _finite(new):
            raise _located(experiment, state, new, t, key)
        state = new
        losses.append(np.nan if told.loss is None else float(told.loss))
    experiment = experiments[-1][1]
    splits = experiment.splits
    scores = {s: {k: float(x) for k, x in _score(experiment, state, s).items()} for s in splits}
    history = {"step": np.arange(1, steps + 1), "training_loss": np.asarray(losses)}
    status = "diverged" if diverged else "finished"
    return Run(experiment, state, steps, status, "", history, scores, seed)


@jax.jit
def _init(experiment: Any, key: Any) -> Any:
    return experiment.init(key)


@jax.jit
def _step(experiment: Any, state: Any, t: Any, key: Any) -> Any:
    return experiment.step(state, t, key)


@jax.jit
def _finite(state: Any) -> Any:
    return all_finite(state)


def _score(experiment: Any, state: Any, split: str) -> Any:
    return experiment.score(state, split)


def _located(experiment: Any, state: Any, new: Any, t: int, key: Any) -> FloatingPointError:
    """Where a number that is not finite comes from."""
    leaves = jax.tree_util.tree_leaves_with_path(new)
    bad = [jax.tree_util.keystr(path) for path, x in leaves if not bool(_finite(x))]
    what = f"step {t + 1}: the state is not finite in {', '.join(bad)}"
    try:
        with jax.debug_nans(True), jax.debug_infs(True), jax.disable_jit():
            experiment.step(state, np.int32(t), key)
    except FloatingPointError as error:
        return FloatingPointError(f"{what}; first in an operation: {error}")
    return FloatingPointError(what)
