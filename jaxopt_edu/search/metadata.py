"""Metadata of a sweep: arguments, timing, versions."""

import time
from typing import Any

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.workers import workers_of
from jaxopt_edu.search.schedulers import stops_of
from jaxopt_edu.values.environment import devices, versions


def sweep_metadata(driver: Any) -> dict[str, Any]:
    """What its results are, besides the record, for JSON."""
    settings, brackets = driver.settings, getattr(driver.rungs, "brackets", None)
    return {
        "stops": list(settings.stops),
        "split": settings.split,
        "splits": list(settings.splits),
        "names": list(settings.names),
        "metric": driver.record.metric,
        "diverge_above": settings.diverge_above,
        "patience": settings.patience,
        "why_done": settings.why_done,
        "streamed": driver.batches_of is not None,
        "mode": "min" if driver.record.sign == 1 else "max",
        "rank_by": driver.record.rank_by,
        "objectives": [list(pair) for pair in driver.objectives],
        "of": list(driver.of),
        "seed": driver.seed,
        "repeats": [list(repeat) for repeat in driver.repeats],
        "rungs": list(stops_of(driver.rungs, settings.steps)),
        "brackets": brackets and brackets(driver.asked, settings.steps).tolist(),
        "trials": driver.plan.total,
        "asked": driver.asked,
        "tiles": [driver.widths[place] for place in sorted(driver.batches)],
        "info": _info(driver),
    }


def _info(driver: Any) -> dict[str, Any]:
    """How it ran."""
    timeline, known = driver.record.timeline(), driver.record.results(0, driver.asked)
    useful, workers = int(timeline["useful"].sum()), _workers(driver)
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


def _workers(driver: Any) -> int:
    """How many work at the same time, in all processes."""
    apart = 1 if driver.placement.mesh is not None else collectives.processes()
    return len(workers_of(driver.placement)) * apart
