"""The fields of a study, made from the record of a sweep."""

from typing import Any

import numpy as np

from jaxopt_edu.search.confidence import effective_folds, fold_count, intervals
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.trials import TrialGroup

AS_TOLD = (
    "metric", "mode", "rank_by", "split", "seed", "info", "diverge_above", "patience", "streamed",
)  # fmt: skip


def study_fields(
    batches: list[TrialGroup], record: Record, about: dict[str, Any]
) -> dict[str, Any]:
    """The fields of a study but its space; about is what `metadata.sweep_metadata` says."""
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
