"""Formats of files: what this version writes, and what became of those that earlier ones wrote.

best.json      1 (without a number), 2: since then every value comes back equal
study.json     1, 2: no word NaN
sweep.json     1, 2, 3: says what functions and data were (`fingerprint`)
results.npz    1, 2 (of its sweep.json), 3; 4: with earlier rounds in files of their own
lanes/*.npz    1 (without a number), 2
fit.json       1, 2, 3: as sweep.json
checkpoint.npz 1, 2, 3: of its fit.json
trials.csv, pictures and pages have none: nothing reads them.
"""

from typing import Any

from jaxopt_edu.disk import check_format

__all__ = ["EXPERIMENT", "STUDY", "check_format", "newer_experiment"]

EXPERIMENT = 2  # of best.json
STUDY = 2  # of study.json
_INTEGERS = {  # fields whose keys were integers before JSON made strings of them
    "PiecewiseConstantSchedule": "boundaries_and_scales",
    "PiecewiseInterpolateSchedule": "boundaries_and_scales",
}


def newer_experiment(description: Any, version: int) -> Any:
    """A description of an experiment of an earlier format as one of today.

    Format 1 had written the integer keys of a dict as strings: those of the schedules are known
    to be integers; those of a partition are not known, and stay strings.
    """
    if version >= EXPERIMENT or not isinstance(description, dict | list):
        return description
    if isinstance(description, list):
        return [newer_experiment(part, version) for part in description]
    new = {key: newer_experiment(part, version) for key, part in description.items()}
    integers = _INTEGERS.get(str(description.get("class")))
    if integers is not None and "dict" in (new[integers] or {}):
        held = new[integers]["dict"]
        new[integers] = {"items": [[int(key), part] for key, part in held.items()]}
    return new
