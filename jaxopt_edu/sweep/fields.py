"""What a study holds, made of the record of a sweep."""

from typing import Any

import numpy as np

from jaxopt_edu.sweep.intervals import effective_folds, intervals
from jaxopt_edu.sweep.record import Record
from jaxopt_edu.sweep.sampling import Batch


def study_fields(batches: list[Batch], record: Record, about: dict[str, Any]) -> dict[str, Any]:
    """The fields of a study but its space; about is what `about.about` says."""
    settings, n = record.settings, about["asked"]
    brackets = about["brackets"]
    columns = record.table(batches, None if brackets is None else np.array(brackets, int))
    if about.get("of"):
        columns = {"of": np.array(about["of"], int)} | columns
    lanes, finals = record.lanes(n), record.finals(n) | record.ranked(n)
    repeats = tuple((seed, fold) for seed, fold in about["repeats"])
    if len(repeats) > 1:
        folds = effective_folds(
            batches[0].template, len({fold for _, fold in repeats if fold is not None}) or None
        )
        for name in (f"rank_{record.metric}", f"{settings.split}_{record.metric}"):
            _, low, high = intervals(finals[name], folds)
            columns = _after(columns, name, {f"{name}_low": low, f"{name}_high": high})
    return {
        "batches": batches,
        "columns": columns,
        "curves": {name: x.mean(1) for name, x in lanes.items()},
        "evaluations": np.asarray(settings.stops),
        "metric": record.metric,
        "mode": about["mode"],
        "rank_by": record.rank_by,
        "split": settings.split,
        "steps": settings.steps,
        "seed": about["seed"],
        "tiles": tuple(about["tiles"]),
        "info": about["info"],
        "rungs": tuple(about["rungs"]),
        "repeats": repeats,
        "lanes": lanes,
        "finals": finals,
        "timeline": record.timeline(),
        "moves": tuple(record.moves),
        "diverge_above": about["diverge_above"],
        "patience": about["patience"],
        "streamed": about["streamed"],
    }


def _after(columns: dict, name: str, more: dict) -> dict:
    """The columns with more of them behind one."""
    out: dict = {}
    for key, x in columns.items():
        out |= {key: x} | (more if key == name else {})
    return out
