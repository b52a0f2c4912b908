"""From a record, or a run directory, to a `Study`."""

import dataclasses
import os
import warnings
from pathlib import Path
from typing import Any

from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.search import store
from jaxopt_edu.search.fields import study_fields
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.rounds import Arrays, read_columns
from jaxopt_edu.search.study import Study
from jaxopt_edu.search.trials import NOT_NAMED, Plan, TrialGroup, plan
from jaxopt_edu.storage.formats import newer_identity
from jaxopt_edu.storage.identity import fingerprint
from jaxopt_edu.storage.named import only_named, rebuild, unnamed

CONFIRM = "confirm"  # the directory of the confirmation, within that of the sweep
USUAL: dict[str, Any] = {  # what stores mean that do not say it, as they are older
    "rank_by": "last", "patience": None, "streamed": False, "why_done": EvalPlan.why_done,
}  # fmt: skip


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
    asked = store.ASKED.read(directory)
    if space is not None and (differs := _differs(directory, space)) is not None:
        raise ValueError(differs)
    found = store.read_results(directory)
    if found is None or not any(name.startswith("record/final/") for name in found[1]):
        raise ValueError(f"the sweep in {directory} has no results yet")
    told, arrays = found
    about = USUAL | {"diverge_above": asked.get("diverge_above", 1e4)} | told
    about["info"].setdefault("interrupted", not about["finished"])
    planned = None if space is None else _plan(space, asked)
    batches = [
        _group(int(place), told, arrays, planned)
        for place, told in sorted(about["structures"].items(), key=lambda item: int(item[0]))
    ]
    if space is None:
        space, missing = _named(asked["space"])
        differs = None if missing else _differs(directory, space)
        if differs is not None:  # classes and functions of these names are others now
            warnings.warn(
                f"{differs}: training again, as rerun and confirm do, does not give its numbers",
                stacklevel=2,
            )
    return Study(space=space, **study_fields(batches, _record(about, arrays), about))


def load_confirmed(study: Study, directory: str | Path) -> Study | None:
    """The confirmation that lies beside a stored study, if it is one of this and finished."""
    directory = Path(directory) / CONFIRM
    if not (directory / store.RESULTS).exists():
        return None
    found = load_study(directory)
    of = found.columns["of"].tolist()
    fits = all(0 <= trial < len(study) for trial in of) and all(
        study.hyperparameters(trial) == found.hyperparameters(i) for i, trial in enumerate(of)
    )
    return found if fits and found.scored and not found.info["interrupted"] else None


def _record(about: dict[str, Any], arrays: Arrays) -> Record:
    """The record that a store holds."""
    settings = EvalPlan(
        tuple(about["stops"]), about["split"], tuple(about["splits"]), tuple(about["names"]),
        about["diverge_above"], about["metric"], about["mode"], about["patience"],
        about["why_done"],
    )  # fmt: skip
    record = Record(about["trials"], len(about["repeats"]), settings, about["rank_by"])
    record.objectives = [(name, sign) for name, sign in about.get("objectives", record.objectives)]
    store.restore_record(record, about, arrays)
    return record


def _group(place: int, told: dict[str, Any], arrays: Arrays, planned: Plan | None) -> TrialGroup:
    """The trials of a structure: of a space where one is given, else as the store names it."""
    trials, columns = read_columns(place, arrays)
    if planned is not None:  # fields, and so structures, may have been in another order
        same = [k for k, group in enumerate(planned.groups) if group.labels() == told["labels"]]
        made = planned.structures[same[0] if len(same) == 1 else place]
        return dataclasses.replace(made, place=place, trials=trials, columns=columns)
    template, missing = _named(told["template"])
    unfolded = template.unfolded() if hasattr(template, "unfolded") else None
    return TrialGroup(
        template, columns, told["labels"], trials, place=place, unfolded=unfolded, unnamed=missing
    )


def _differs(directory: Path, space: Any) -> str | None:
    """How the space that a store was made of is another one; older stores do not say."""
    mine = fingerprint(space, "space")
    found = store.ASKED.found(directory)
    was, version = found["asked"].get("space"), found["format"]
    stored = newer_identity(found.get("identity"), was, mine.parts, version)
    if stored is None:
        return None
    if mine.other_python(stored):
        warnings.warn(
            f"store {directory} was written by Python {stored['python']}: whether its functions "
            "are those of this space is not known",
            stacklevel=3,
        )
        return None
    heads = ("space.", "space ", "space(")
    parts = {k: x for k, x in stored["parts"].items() if k == "space" or k.startswith(heads)}
    differs = mine.differs(stored | {"parts": parts}, versions=False)
    return differs and f"store {directory} is of another space: {differs}"


def _plan(space: Any, asked: dict[str, Any]) -> Plan:
    """The structures of a space as a sweep trained them: on folds, in parts, done at tol."""
    folds, parts = rebuild(asked.get("folds")), asked.get("accumulate", 1)
    return plan(space, None, 0, "random").as_trained(folds, parts, asked.get("tol"))


def _named(description: Any) -> tuple[Any, dict[str, str]]:
    """What a description names, with None for what it cannot name, and the places of that."""
    missing = unnamed(description)
    try:
        return rebuild(only_named(description) if missing else description), missing
    except (ValueError, OSError, ImportError) as error:  # of a class, or data that have moved
        if missing and isinstance(error.__cause__, TypeError):  # of None in the place of a part
            return None, {"": NOT_NAMED.format(*next(iter(missing.items())))}
        return None, {"": f"the store names an experiment that cannot be made here: {error}"}
