"""The best trials of a study once more, with seeds that did not choose them.

The best of many noisy scores is partly luck. New initial weights and a new order of the data do
not know of it: their mean is what such a training gives, and it decides between the best.
"""

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.checks import check_run
from jaxopt_edu.engine.progress import Progress
from jaxopt_edu.engine.status import COMPLETE
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.fields import study_fields
from jaxopt_edu.search.metadata import sweep_metadata
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.schedulers import Decision, Exploit
from jaxopt_edu.search.store import (
    ASKED,
    Store,
    opened,
    read_results,
    restore_record,
    stored_columns,
)
from jaxopt_edu.search.trials import Plan, TrialGroup
from jaxopt_edu.storage.identity import fingerprints
from jaxopt_edu.storage.named import describe
from jaxopt_edu.values.pytrees import check_count

SEEDS = 2**32  # there are so many


def confirm(
    study: Any,
    best: int = 8,
    seeds: int = 4,
    *,
    store: str | os.PathLike | None = None,
    progress: bool | None = None,
    anew: bool = False,
) -> Any:
    """The best trials of a study with fresh seeds, as a study: see `Study.confirm`.

    anew: whether a store that holds another confirmation, or a damaged one, is made anew.
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
    batches = _again(study, of)
    for batch in batches:
        _check(batch.template, study)
    used = [seed for seed, _ in study.repeats] or [study.seed]
    folds = list(dict.fromkeys(fold for _, fold in study.repeats)) or [None]
    repeats = tuple((seed, fold) for seed in fresh_seeds(used, seeds) for fold in folds)
    writes = jax.process_index() == 0
    steps = len(of) * len(repeats) * study.steps
    driver = _course(study, of, batches, repeats, Progress(steps, progress if writes else False))
    asked = {
        "space": describe(study.space), "of": of.tolist(), "repeats": [list(r) for r in repeats],
        "experiments": [describe(study.experiment(int(trial))) for trial in of],
        "evaluations": study.evaluations.tolist(), "metric": study.metric, "mode": study.mode,
        "rank_by": study.rank_by, "diverge_above": driver.settings.diverge_above,
        "tiles": [driver.widths[batch.place] for batch in batches],
        "x64": bool(jax.enable_x64.value),
    }  # fmt: skip
    values = {"space": study.space}
    if anew and store is not None and writes:
        _clear(Path(store), asked, values)
    with Compilations() as compiled, opened(store, asked, values) as files:
        driver.compiled, driver.store = compiled, files
        collectives.barrier("confirm")
        try:
            told = None if files is None else _finished(driver, files)
            if told is None:
                driver.run()
                driver.save(finished=True)
                told = sweep_metadata(driver)
        finally:
            driver.bar.close()
    told["info"]["interrupted"] = False
    found = [driver.batches[place] for place in sorted(driver.batches)]
    return replace(study, **study_fields(found, driver.record, told))


def candidates(study: Any) -> np.ndarray:
    """The trials that could be confirmed, the best first: those that were not broken off."""
    order = study.order
    scored = np.isfinite(study.columns.get(study.ranks, np.full(len(study), np.nan)))
    return order[scored[order] & np.isin(study.columns["status"][order], COMPLETE)]


def affordable(study: Any, best: int = 8, seeds: int = 4) -> tuple[int, int] | None:
    """At most so many trials and seeds as cost little beside the sweep; None below two of each.

    That is an eighth of its useful lane-steps, and a quarter of the executed ones, as tiles that
    are not full take their time too. Of what fits, the most lanes, and of as many the most seeds.
    """
    order, info = candidates(study), study.info
    lane = study.steps * (study.folds or 1)
    useful = info.get("useful_lane_steps", 0) / 8
    executed = info.get("executed_lane_steps", 0) / 4
    found: list[tuple[int, int, int]] = []
    for n in range(2, min(best, len(order)) + 1):
        at = [int(np.isin(batch.trials, order[:n]).sum()) for batch in study.batches]
        wide = sum(-(-k // width) * width for k, width in zip(at, study.tiles, strict=True))
        most = int(min(seeds, useful // (n * lane), executed // (wide * lane)))
        if most >= 2:
            found.append((n * most, most, n))
    if not found:
        return None
    _, count, n = max(found)
    return n, count


def fresh_seeds(used: list[int], count: int) -> list[int]:
    """The next seeds after those used.

    >>> fresh_seeds([0, 1], 3), fresh_seeds([2**32 - 1], 2)
    ([2, 3, 4], [0, 1])
    """
    found: list[int] = []
    seed = max(used)
    while len(found) < count:
        seed = (seed + 1) % SEEDS
        if seed not in used:
            found.append(seed)
    return found


# ------------------------------------------------------------------------------- how it is run


@dataclass(frozen=True)
class Lineage:
    """Rungs that stop nobody, at which trials take the numbers that trained them from there on.

    stages: (step, trial, numbers), of trials that took over the states of others.
    """

    stages: tuple[tuple[int, int, dict[str, float]], ...]

    def stops(self, steps: int) -> tuple[int, ...]:
        return tuple(sorted({step for step, _, _ in self.stages}))

    def expected(self, trials: int, steps: int) -> list[tuple[int, int]]:
        return [(trials, steps)]

    def judge(self, standing: Any, batches: list[TrialGroup]) -> Decision:
        copies = []
        for step, trial, numbers in self.stages:
            if step == standing.step and standing.active[trial]:
                [batch] = [b for b in batches if trial in b.trials]
                at = int(np.flatnonzero(batch.trials == trial)[0])
                before = {name: x[at].item() for name, x in batch.columns.items()}
                copies.append(Exploit(trial, trial, numbers, before))
        return Decision(standing.active, tuple(copies))


def _again(study: Any, of: np.ndarray) -> list[TrialGroup]:
    """The structures of some trials, which get the numbers 0, 1, ... in this order.

    Their columns hold the numbers that they begin with.
    """
    made = []
    for batch in study.batches:
        mine = np.flatnonzero(np.isin(of, batch.trials))
        if len(mine):
            first = [study.lineage(int(trial))[0][1] for trial in of[mine]]
            columns = {
                name: np.array([numbers[name] for numbers in first], x.dtype)
                for name, x in batch.columns.items()
            }
            made.append(replace(batch, columns=columns, trials=mine))
    return made


def _check(template: Any, study: Any) -> None:
    """ValueError where a study that was loaded lacks what it takes to train."""
    lost = template is None or (hasattr(template, "data") and template.data is None)
    if lost or getattr(template, "loss", 0) is None or getattr(template, "model", 0) is None:
        what = "experiment" if template is None else "data, loss or model"
        raise ValueError(f"confirm: the store could not name the {what} of this study: sweep again")
    lone = template if study.folds is None else template.fold(0)
    check_run(lone, study.steps, study.metric, None)


def _course(
    study: Any, of: np.ndarray, batches: list[TrialGroup], repeats: tuple, bar: Progress
) -> SweepDriver:
    """The way of the trials through the programs that the study has compiled."""
    lone = batches[0].template if study.folds is None else batches[0].template.fold(0)
    every, names = check_run(lone, study.steps, study.metric, None)
    splits = tuple(s for s in every if s != "train" or s == study.split)
    above = getattr(study, "diverge_above", study.info.get("diverge_above", 1e4))
    stops = tuple(study.evaluations.tolist())
    sign = 1 if study.mode == "min" else -1
    settings = EvalPlan(
        stops, study.split, splits, names, above, study.metric, sign, study.patience, lone.why_done
    )
    record = Record(len(of), len(repeats), settings, study.rank_by)
    stages = tuple(
        (step, i, numbers)
        for i, trial in enumerate(of.tolist())
        for step, numbers in study.lineage(trial)[1:]
    )
    rungs = Lineage(stages) if stages else None
    sign, seed = record.sign, repeats[0][0]
    plan = Plan(batches)
    driver = SweepDriver(
        plan, settings, record, rungs, repeats, [(study.metric, sign)], seed, None, None, bar, None,
        of=tuple(of.tolist()),
    )  # fmt: skip
    driver.widths = {b.place: w for b, w in zip(study.batches, study.tiles, strict=True)}
    return driver


def _finished(driver: SweepDriver, files: Store) -> dict[str, Any] | None:
    """Takes over what a store holds, if it is finished; what it says about it."""
    found = read_results(files.directory)
    if found is None or not found[0]["finished"]:
        files.clear()  # an unfinished confirmation is soon made anew
        return None
    told, arrays = found
    driver.record.objectives = [(name, sign) for name, sign in told["objectives"]]
    restore_record(driver.record, told, arrays)
    for batch in driver.plan.structures:
        columns = stored_columns(str(batch.place), arrays)
        trials = columns.pop("")
        driver.batches[batch.place] = replace(batch, columns=columns, trials=trials)
    return told


def _clear(directory: Path, asked: dict[str, Any], values: dict[str, Any]) -> None:
    """Deletes what is no confirmation of this."""
    try:
        ASKED.check(directory, asked, fingerprints(values))
        read_results(directory)
    except ValueError:
        shutil.rmtree(directory)
