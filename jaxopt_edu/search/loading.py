"""From a record, or a run directory, to a `Study`."""

import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any

from jaxopt_edu.data.folds import as_folds
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.search.fields import study_fields
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.store import (
    read_asked,
    read_identity,
    read_results,
    restore_record,
    stored_columns,
)
from jaxopt_edu.search.study import Study
from jaxopt_edu.search.trials import Plan, TrialGroup, plan
from jaxopt_edu.storage.identity import fingerprint
from jaxopt_edu.storage.named import rebuild, unnamed

__all__ = ["load_study"]


def load_study(directory: str | os.PathLike[str], *, space: Any = None) -> Study:
    """The study in a store: of a sweep that is finished, under way, or was interrupted.

    It may be read while the sweep runs; then it holds the stages that are over. What has no public
    name (a lambda, data from arrays) is None in its experiments, unless the space is given.
    space: what the sweep was called with: experiments are made of it. Without it, classes of your
        own are found by their names among the modules that are imported; where one is not, or data
        have moved, table and curves are there, and what needs an experiment says what is missing.
    Errors: ValueError for a directory that holds no sweep, a damaged one, or one of another space.
    """
    if not isinstance(directory, str | os.PathLike):
        raise TypeError(f"directory = {directory!r}: wanted the name of one")
    directory = Path(directory)
    asked = read_asked(directory)
    if space is not None:
        _check_space(directory, space)
    found = read_results(directory)
    if found is None or not any(name.startswith("record/final/") for name in found[1]):
        raise ValueError(f"the sweep in {directory} has no results yet")
    about, arrays = found
    stops, splits = tuple(about["stops"]), tuple(about["splits"])
    patience, why_done = about.get("patience"), about.get("why_done", EvalPlan.why_done)
    settings = EvalPlan(
        stops, about["split"], splits, tuple(about["names"]), metric=about["metric"],
        patience=patience, why_done=why_done,
    )  # fmt: skip
    lanes = len(about["repeats"])
    rank_by = about.get("rank_by", "last")  # stores older than the rules know one only
    record = Record(about["trials"], lanes, settings, about["metric"], about["mode"], rank_by)
    record.objectives = [(k, s) for k, s in about.get("objectives", record.objectives)]
    restore_record(record, about, arrays)
    planned = None if space is None else _plan(space, asked)
    batches = []
    for place, told in sorted(about["structures"].items(), key=lambda item: int(item[0])):
        columns = stored_columns(place, arrays)
        trials = columns.pop("")
        if planned is not None:
            at = _structure(planned, int(place), told["labels"])
            made = planned.structure(at, trials, columns)
            batches.append(dataclasses.replace(made, place=int(place)))
            continue
        template, missing = _named(told["template"])
        batch = TrialGroup(
            template, columns, told["labels"], trials, place=int(place), unnamed=missing
        )
        if hasattr(template, "unfolded"):
            batch = dataclasses.replace(batch, unfolded=template.unfolded())
        batches.append(batch)
    about.setdefault("diverge_above", asked.get("diverge_above", 1e4))
    about.setdefault("patience", None)
    about.setdefault("streamed", False)
    about["info"].setdefault("interrupted", not about["finished"])
    if space is None:
        space, missing = _named(asked["space"])
        if not missing:
            _warn_of_edits(directory, space)
    return Study(space=space, **study_fields(batches, record, about))


def _warn_of_edits(directory: Path, space: Any) -> None:
    """Says that classes and functions found by their names are not those that made a store."""
    try:
        _check_space(directory, space)
    except ValueError as error:
        warnings.warn(
            f"{error}: training again, as rerun and confirm do, does not give its numbers",
            stacklevel=3,
        )


def _check_space(directory: Path, space: Any) -> None:
    """ValueError where a store was made of another space; older stores do not say."""
    mine = fingerprint(space, "space")
    stored = read_identity(directory, mine.parts)
    if stored is not None and mine.other_python(stored):
        warnings.warn(
            f"store {directory} was written by Python {stored['python']}: whether its functions "
            "are those of this space is not known",
            stacklevel=3,
        )
    elif stored is not None:
        heads = ("space.", "space ", "space(")
        parts = {k: x for k, x in stored["parts"].items() if k == "space" or k.startswith(heads)}
        differs = mine.differs(stored | {"parts": parts}, versions=False)
        if differs is not None:
            raise ValueError(f"store {directory} is of another space: {differs}")


def _plan(space: Any, asked: dict[str, Any]) -> Plan:
    """The structures of a space, on folds where the sweep was."""
    planned, folds = plan(space, None, 0, "random"), rebuild(asked.get("folds"))
    folds = None if folds is None else as_folds(folds)
    return planned.as_trained(folds, asked.get("accumulate", 1), asked.get("tol"))


def _structure(planned: Plan, place: int, labels: dict[str, Any]) -> int:
    """Which structure of a space is called so: fields, and so structures, were in another order."""
    same = [k for k, group in enumerate(planned.groups) if group.labels() == labels]
    return same[0] if len(same) == 1 else place


def _named(description: Any) -> tuple[Any, dict[str, str]]:
    """What a description names, None for what it cannot, and the places of that."""
    missing = unnamed(description)
    try:
        return rebuild(_without(description) if missing else description), missing
    except (ValueError, OSError, ImportError) as error:  # of a class, or data that have moved
        return None, {"": f"the store names an experiment that cannot be made here: {error}"}


def _without(description: Any) -> Any:
    if isinstance(description, dict):
        if "unnamed" in description and "class" not in description:
            return None
        return {key: _without(part) for key, part in description.items()}
    return (
        [_without(part) for part in description] if isinstance(description, list) else description
    )
