"""A study made of a record: at the end of a sweep, or out of a store."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.describe import rebuild, unnamed
from jaxopt_edu.engine import Settings
from jaxopt_edu.sweep.intervals import effective_folds, intervals
from jaxopt_edu.sweep.record import Record
from jaxopt_edu.sweep.sampling import Batch
from jaxopt_edu.sweep.store import read_asked, read_results, restore_record, stored_columns
from jaxopt_edu.sweep.study import Study

__all__ = ["load_study"]


def as_study(space: Any, batches: list[Batch], record: Record, about: dict[str, Any]) -> Study:
    """The study of a record; about is what `about.about` says."""
    settings, n = record.settings, about["asked"]
    brackets = about["brackets"]
    columns = record.table(batches, None if brackets is None else np.array(brackets, int))
    lanes, finals = record.lanes(n), record.finals(n)
    repeats = tuple((seed, fold) for seed, fold in about["repeats"])
    ranks = f"{settings.split}_{record.metric}"
    if len(repeats) > 1:
        folds = len({fold for _, fold in repeats if fold is not None}) or None
        _, low, high = intervals(finals[ranks], effective_folds(batches[0].template, folds))
        columns = _after(columns, ranks, {f"{ranks}_low": low, f"{ranks}_high": high})
    return Study(
        space=space,
        batches=batches,
        columns=columns,
        curves={name: x.mean(1) for name, x in lanes.items()},
        evaluations=np.asarray(settings.stops),
        metric=record.metric,
        mode=about["mode"],
        split=settings.split,
        steps=settings.steps,
        seed=about["seed"],
        tiles=tuple(about["tiles"]),
        info=about["info"],
        rungs=tuple(about["rungs"]),
        repeats=repeats,
        lanes=lanes,
        finals=finals,
        timeline=record.timeline(),
        moves=tuple(record.moves),
    )


def _after(columns: dict, name: str, more: dict) -> dict:
    """The columns with more of them behind one."""
    out: dict = {}
    for key, x in columns.items():
        out |= {key: x} | (more if key == name else {})
    return out


def load_study(directory: str | os.PathLike) -> Study:
    """The study in a store: of a sweep that is finished, under way, or was interrupted.

    It may be read while the sweep runs; then it holds the stages that are over. What has no public
    name (a lambda, data from arrays) is None in its experiments.
    Errors: ValueError for a directory that holds no sweep, or a damaged one.
    """
    directory = Path(directory)
    space = _named(read_asked(directory)["space"])
    found = read_results(directory)
    if found is None:
        raise ValueError(f"the sweep in {directory} has no results yet")
    about, arrays = found
    stops, splits = tuple(about["stops"]), tuple(about["splits"])
    settings = Settings(stops, about["split"], splits, tuple(about["names"]))
    lanes = len(about["repeats"])
    record = Record(about["trials"], lanes, settings, about["metric"], about["mode"])
    restore_record(record, about, arrays)
    batches = []
    for place, told in sorted(about["structures"].items(), key=lambda item: int(item[0])):
        columns = stored_columns(place, arrays)
        trials = columns.pop("")
        template = _named(told["template"])
        batch = Batch(template, columns, told["labels"], trials, place=int(place))
        if hasattr(template, "unfolded"):
            batch = dataclasses.replace(batch, unfolded=template.unfolded())
        batches.append(batch)
    about["info"].setdefault("interrupted", not about["finished"])
    return as_study(space, batches, record, about)


def _named(description: Any) -> Any:
    """What a description names, with None for what it cannot."""
    return rebuild(_without(description)) if unnamed(description) else rebuild(description)


def _without(description: Any) -> Any:
    if isinstance(description, dict):
        if "unnamed" in description:
            return None
        return {key: _without(part) for key, part in description.items()}
    return (
        [_without(part) for part in description] if isinstance(description, list) else description
    )
