"""The fields of a study, made from the record of a sweep."""

from typing import Any

import numpy as np

from jaxopt_edu.search.confidence import effective_folds, intervals
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.trials import TrialGroup


def study_fields(
    batches: list[TrialGroup], record: Record, about: dict[str, Any]
) -> dict[str, Any]:
    """The fields of a study but its space; about is what `about.about` says."""
    settings, n = record.settings, about["asked"]
    brackets = about["brackets"]
    columns = _table(record, batches, None if brackets is None else np.array(brackets, int))
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


def _table(
    record: Record, batches: list[TrialGroup], brackets: np.ndarray | None
) -> dict[str, np.ndarray]:
    """The columns of the study's table."""
    count = sum(len(batch.trials) for batch in batches)
    labels = dict.fromkeys(name for batch in batches for name in batch.labels)
    numbers = dict.fromkeys(name for batch in batches for name in batch.columns)
    columns: dict[str, np.ndarray] = {}
    for name in labels:
        columns[name] = np.full(count, None, object)
        for batch in batches:
            columns[name][batch.trials] = batch.labels.get(name)
    for name in numbers:
        columns[name] = _numbers(name, batches, count)
    if brackets is not None:
        columns["bracket"] = brackets
    ranked = {name: x.mean(1) for name, x in record.ranked(count).items()}
    return columns | ranked | record.means(count) | record.ends(count)


def _numbers(name: str, batches: list[TrialGroup], count: int) -> np.ndarray:
    """The column of a number; a structure that has another thing in its place shows that."""
    others = [batch.labels.get(name) for batch in batches if name not in batch.columns]
    mixed = any(isinstance(x, str | bool) for x in others)
    column = np.full(count, None, object) if mixed else np.full(count, np.nan)
    for batch in batches:
        if name in batch.columns:
            column[batch.trials] = batch.columns[name]
        elif batch.labels.get(name) is not None:
            column[batch.trials] = batch.labels[name]
    return column


def _after(columns: dict, name: str, more: dict) -> dict:
    """The columns with more of them behind one."""
    out: dict = {}
    for key, x in columns.items():
        out |= {key: x} | (more if key == name else {})
    return out
