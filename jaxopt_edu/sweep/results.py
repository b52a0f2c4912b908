"""A study made of a record: at the end of a sweep, or out of a store."""

import os
from pathlib import Path
from typing import Any

from jaxopt_edu.describe import rebuild, unnamed
from jaxopt_edu.engine import Settings
from jaxopt_edu.sweep.fields import study_fields
from jaxopt_edu.sweep.record import Record
from jaxopt_edu.sweep.sampling import Batch
from jaxopt_edu.sweep.store import read_asked, read_results, restore_record, stored_columns
from jaxopt_edu.sweep.study import Study

__all__ = ["load_study"]


def as_study(space: Any, batches: list[Batch], record: Record, about: dict[str, Any]) -> Study:
    """The study of a record; about is what `about.about` says."""
    return Study(space=space, **study_fields(batches, record, about))


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
    rank_by = about.get("rank_by", "last")  # stores older than the rules know one only
    record = Record(about["trials"], lanes, settings, about["metric"], about["mode"], rank_by)
    record.objectives = [(k, s) for k, s in about.get("objectives", record.objectives)]
    restore_record(record, about, arrays)
    batches = []
    for place, told in sorted(about["structures"].items(), key=lambda item: int(item[0])):
        columns = stored_columns(place, arrays)
        trials = columns.pop("")
        template = _named(told["template"])
        batches.append(Batch(template, columns, told["labels"], trials, place=int(place)))
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
