"""Metadata of a sweep: arguments, timing, versions."""

import time
from dataclasses import asdict
from typing import Any

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.workers import workers_of
from jaxopt_edu.values.environment import devices, versions


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
