"""What a sweep tells of itself, and the fields of the study that is made of it."""

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.workers import workers_of
from jaxopt_edu.search.confidence import effective_folds, fold_count, intervals
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.trials import TrialGroup
from jaxopt_edu.values.environment import devices, versions

AS_TOLD = (
    "metric", "mode", "rank_by", "split", "seed", "info", "diverge_above", "patience", "streamed",
)  # fmt: skip


def study_fields(
    batches: list[TrialGroup], record: Record, about: dict[str, Any]
) -> dict[str, Any]:
    """The fields of a study but its space; about is what `sweep_metadata` says."""
    known = record.results(0, about["asked"])
    lanes, finals = known.lanes, known.finals | known.ranked
    repeats = tuple((seed, fold) for seed, fold in about["repeats"])
    folds = effective_folds(batches[0].template, fold_count(repeats))
    ranking = {f"{head}_{record.metric}" for head in ("rank", about["split"])}
    columns = _sampled(batches, about)
    for name, mean in known.means.items():
        columns[name] = mean
        if name in ranking and len(repeats) > 1:
            _, columns[f"{name}_low"], columns[f"{name}_high"] = intervals(finals[name], folds)
    return {name: about[name] for name in AS_TOLD} | {
        "batches": batches,
        "columns": columns | known.ends,
        "curves": {name: x.mean(1) for name, x in lanes.items()},
        "evaluations": np.array(about["stops"]),
        "steps": record.settings.steps,
        "tiles": tuple(about["tiles"]),
        "rungs": tuple(about["rungs"]),
        "repeats": repeats,
        "lanes": lanes,
        "finals": finals,
        "timeline": record.timeline(),
        "moves": tuple(record.moves),
    }


def swept_names(batches: list[TrialGroup]) -> tuple[str, ...]:
    """The names of the choices and numbers that were sampled: choices of structure first."""
    choices = [name for batch in batches for name in batch.labels]
    return tuple(dict.fromkeys([*choices, *(name for b in batches for name in b.columns)]))


def _sampled(batches: list[TrialGroup], about: dict[str, Any]) -> dict[str, np.ndarray]:
    """The columns of the study's table that say what a trial is."""
    columns = {"of": np.array(about["of"], int)} if about.get("of") else {}
    columns |= {name: _column(name, batches, about["asked"]) for name in swept_names(batches)}
    if about["brackets"] is not None:
        columns["bracket"] = np.array(about["brackets"], int)
    return columns


def _column(name: str, batches: list[TrialGroup], trials: int) -> np.ndarray:
    """The numbers of that name; or objects, where a structure has another thing in their place."""
    found = [batch.columns.get(name, batch.labels.get(name)) for batch in batches]
    numbers = any(isinstance(x, np.ndarray) for x in found)
    mixed = not numbers or any(isinstance(x, str | bool) for x in found)
    column = np.full(trials, None, object) if mixed else np.full(trials, np.nan)
    for batch, x in zip(batches, found, strict=True):
        if x is not None:
            column[batch.trials] = x
    return column


# ------------------------------------------------------------------------------- metadata


def sweep_metadata(driver: Any) -> dict[str, Any]:
    """What its results are, besides the record, for JSON."""
    settings, record = driver.settings, driver.record
    brackets = getattr(driver.rungs, "brackets", None)
    return asdict(settings) | {
        "streamed": driver.batches_of is not None,
        "rank_by": record.rank_by,
        "objectives": record.objectives,
        "of": driver.of,
        "seed": driver.repeats[0][0],
        "repeats": driver.repeats,
        "rungs": driver.rungs.stops(settings.steps),
        "brackets": brackets and brackets(driver.asked, settings.steps).tolist(),
        "trials": driver.plan.total,
        "asked": driver.asked,
        "tiles": [driver.widths[place] for place in sorted(driver.batches)],
        "info": _info(driver),
    }


def _info(driver: Any) -> dict[str, Any]:
    """How it ran."""
    timeline, known = driver.record.timeline(), driver.record.results(0, driver.asked)
    useful = int(timeline["useful"].sum())
    workers = len(workers_of(driver.placement)) * driver.owners  # at the same time
    running = float((timeline["end"] - timeline["start"]).sum()) / workers
    return {
        "trials": driver.asked,
        "diverged": int(known.dead.sum()),
        "stopped": int(known.stopped.sum()),
        "seconds": time.perf_counter() - driver.record.began,
        "compile_seconds": driver.compiling,
        "compilations": driver.compiled.as_dict(),
        "model_steps": useful,
        "model_steps_per_second": useful / max(running, 1e-9),
        "useful_lane_steps": useful,
        "executed_lane_steps": int((timeline["width"] * timeline["steps"]).sum()),
        "workers": workers,
        "diverge_above": driver.settings.diverge_above,
        "processes": collectives.processes(),
        "devices": devices(),
        "versions": versions(),
    }
