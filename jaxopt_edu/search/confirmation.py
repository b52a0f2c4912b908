"""The best trials of a study once more, with seeds that did not choose them.

The best of many noisy scores is partly luck. New initial weights and a new order of the data do
not know of it: their mean is what such a training gives, and it decides between the best.
"""

import functools
import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import jax
import numpy as np

from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.resuming import complete
from jaxopt_edu.search.schedulers import Exploit, NoRungs
from jaxopt_edu.search.setup import check_named, plan_of
from jaxopt_edu.search.store import opened
from jaxopt_edu.search.trials import Plan
from jaxopt_edu.storage.named import describe
from jaxopt_edu.values.pytrees import SEEDS, check_count

T = TypeVar("T", bound=Any)  # a study


def confirm(
    study: T,
    best: int = 8,
    seeds: int = 4,
    *,
    store: str | os.PathLike | None = None,
    progress: bool | None = None,
) -> T:
    """The best trials once more, with seeds that had no part in choosing them.

    The best of many scores is partly luck. New initial weights and a new order of the data
    know nothing of it: the means over them say what such a training gives, without bias, and
    which is best. The data, their split and the folds stay as they are.
    best: of how many trials; those that were stopped or diverged are left out. seeds: how many
    seeds, the next ones after those of the study. All folds are trained with each of them.
    store: a directory that holds it: the same call again gives the finished confirmation.
    The study that comes has a trial for each of them, the column `of` says which trial of this
    study it was; `repeats` are the new seeds, its scores means over them with intervals, its
    `best` is the winner. It is trained at the same tile widths, in programs that this process
    has compiled for the sweep: where it ran the sweep, nothing is compiled.
    Errors: ValueError where no trial has a score, or went all steps.

    >>> import jaxopt_edu as jo
    >>> space = jo.Training(
    ...     model=jo.models.Linear(4, 3), data=jo.data.load("iris"), batch_size=8,
    ...     loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    ...     optimizer=jo.sgd(jo.log_uniform(1e-3, 1.0)),
    ... )
    >>> winners = jo.sweep(space, 8, steps=40).confirm(best=2, seeds=3)
    >>> winners.repeats, winners.finals["test_loss"].shape
    (((1, None), (2, None), (3, None)), (2, 3))
    """
    check_count("best", best)
    check_count("seeds", seeds)
    if study.streamed:
        raise ValueError("confirm: the trials saw a stream of batches, which is not at hand")
    of = candidates(study)[:best]
    if not len(of):
        raise ValueError(
            "confirm: no trial went all steps, so that there is none to train again; the best, "
            f"trial {study.best_trial}, was stopped"
        )
    used, folds = zip(*study.repeats, strict=True)
    repeats = tuple(itertools.product(fresh_seeds(used, seeds), dict.fromkeys(folds)))
    start = functools.partial(_started, study, of, repeats, progress)
    driver = start()
    asked = {
        "space": describe(study.space), "of": of.tolist(), "repeats": [list(r) for r in repeats],
        "experiments": [describe(study.experiment(int(trial))) for trial in of],
        "evaluations": study.evaluations.tolist(), "metric": study.metric, "mode": study.mode,
        "rank_by": study.rank_by, "diverge_above": driver.settings.diverge_above,
        "tiles": [driver.widths[batch.place] for batch in driver.plan.structures],
        "x64": bool(jax.enable_x64.value),
    }  # fmt: skip
    again = replace(study, **complete(start, driver, opened(store, asked, {"space": study.space})))
    if again.info["interrupted"]:
        raise KeyboardInterrupt
    return again


def candidates(study: Any) -> np.ndarray:
    """The trials that could be confirmed, the best first: those that were not broken off."""
    scored = study.order[: study.scored]
    return scored[np.isin(scored, study.finished())]


def fresh_seeds(used: Sequence[int], count: int) -> list[int]:
    """The next seeds after those used.

    >>> fresh_seeds([0, 1], 3), fresh_seeds([2**32 - 1], 2)
    ([2, 3, 4], [0, 1])
    """
    following = ((max(used) + i) % SEEDS for i in itertools.count(1))
    return list(itertools.islice((seed for seed in following if seed not in used), count))


# ------------------------------------------------------------------------------- how it is run


def _started(study: Any, of: np.ndarray, repeats: tuple, progress: bool | None) -> SweepDriver:
    """The way of some trials, which are 0, 1, ... now, through the programs of the study."""
    ways = [study.lineage(int(trial)) for trial in of]
    batches = []
    for batch in study.batches:
        mine = np.flatnonzero(np.isin(of, batch.trials))
        if len(mine):
            check_named(batch, "confirm")
            columns = {
                name: np.array([ways[i][0][1][name] for i in mine], x.dtype)  # to begin with
                for name, x in batch.columns.items()
            }
            batches.append(replace(batch, columns=columns, trials=mine))
    settings = plan_of(study, [batch.template for batch in batches])
    moves = tuple(
        (step, Exploit(i, i, numbers, before))
        for i, way in enumerate(ways)
        for (_, before), (step, numbers) in itertools.pairwise(way)
    )
    return SweepDriver(
        Plan(batches), settings, Record(len(of), len(repeats), settings, study.rank_by),
        NoRungs(moves), repeats, progress, of=tuple(of.tolist()),
        widths={b.place: w for b, w in zip(study.batches, study.tiles, strict=True)},
    )  # fmt: skip
