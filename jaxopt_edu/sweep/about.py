"""What a course says of itself, for a study and for the file of its results."""

import time
from typing import Any

from jaxopt_edu import exchange
from jaxopt_edu.sweep.rungs import stops_of
from jaxopt_edu.versions import devices, versions
from jaxopt_edu.workers import workers_of


def about(course: Any) -> dict[str, Any]:
    """What its results are, besides the record, for JSON."""
    settings, brackets = course.settings, getattr(course.rungs, "brackets", None)
    return {
        "stops": list(settings.stops),
        "split": settings.split,
        "splits": list(settings.splits),
        "names": list(settings.names),
        "metric": course.record.metric,
        "diverge_above": settings.diverge_above,
        "patience": settings.patience,
        "why_done": settings.why_done,
        "streamed": course.batches_of is not None,
        "mode": "min" if course.record.sign == 1 else "max",
        "rank_by": course.record.rank_by,
        "objectives": [list(pair) for pair in course.objectives],
        "of": list(course.of),
        "seed": course.seed,
        "repeats": [list(repeat) for repeat in course.repeats],
        "rungs": list(stops_of(course.rungs, settings.steps)),
        "brackets": brackets and brackets(course.asked, settings.steps).tolist(),
        "trials": course.plan.total,
        "asked": course.asked,
        "tiles": [course.widths[place] for place in sorted(course.batches)],
        "info": _info(course),
    }


def _info(course: Any) -> dict[str, Any]:
    """How it ran."""
    timeline, (dead, stopped) = course.record.timeline(), course.record.fates(course.asked)
    useful, workers = int(timeline["useful"].sum()), _workers(course)
    running = float((timeline["end"] - timeline["start"]).sum()) / workers
    return {
        "trials": course.asked,
        "diverged": int(dead.sum()),
        "stopped": int(stopped.sum()),
        "seconds": time.perf_counter() - course.record.began,
        "compile_seconds": course.compiling,
        "compilations": course.compiled.as_dict(),
        "model_steps": useful,
        "model_steps_per_second": useful / max(running, 1e-9),
        "useful_lane_steps": useful,
        "executed_lane_steps": int((timeline["width"] * timeline["steps"]).sum()),
        "workers": workers,
        "diverge_above": course.settings.diverge_above,
        "processes": exchange.processes(),
        "devices": devices(),
        "versions": versions(),
    }


def _workers(course: Any) -> int:
    """How many work at the same time, in all processes."""
    apart = 1 if course.placement.mesh is not None else exchange.processes()
    return len(workers_of(course.placement)) * apart
