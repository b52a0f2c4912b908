"""Formats of files: what this version writes, and what became of those that earlier ones wrote.

best.json      1 (without a number), 2: since then every value comes back equal; 3: private and
               federated trainings are `Training`s with an estimator
study.json     1, 2: no word NaN
sweep.json     1, 2, 3: says what functions and data were (`fingerprint`); 5: as best.json 3
results.npz    1, 2 (of its sweep.json), 3; 4: with earlier rounds in files of their own; 5: as
               sweep.json, and `status` is what was called `reasons`
lanes/*.npz    1 (without a number), 2; 3: leaves by their place in the state; of a fit too
fit.json       1, 2, 3: as sweep.json; 4: as sweep.json 5
checkpoint.npz 1, 2, 3: of its fit.json; since then a fit has lanes/
Earlier ones of best.json, study.json, sweep.json and results.npz are read; a sweep or a training
is gone on with in the format of this version only.
trials.csv, pictures and pages have none: nothing reads them.
"""

from typing import Any

import numpy as np

from jaxopt_edu.storage.disk import check_format
from jaxopt_edu.storage.named import inner
from jaxopt_edu.values.old_names import MOVED

__all__ = [
    "EXPERIMENT", "STUDY", "check_format", "name_in_file", "newer_asked", "newer_experiment",
    "newer_identity", "newer_name", "newer_places", "newer_results",
]  # fmt: skip

EXPERIMENT = 3  # of best.json
STUDY = 2  # of study.json
_INTEGERS = {  # fields whose keys were integers before JSON made strings of them
    "PiecewiseConstantSchedule": "boundaries_and_scales",
    "PiecewiseInterpolateSchedule": "boundaries_and_scales",
}
_ESTIMATORS = {"PrivateTraining": "Private", "FedAvg": "Federated"}
_GONE = "track_gradient_norm"  # of Training: an observation, which changed no number
_TRAINING = {"class", "model", "loss", "optimizer", "data", _GONE}


def newer_experiment(description: Any, version: int) -> Any:
    """A description of an experiment of an earlier format as one of today.

    Format 1 had written the integer keys of a dict as strings: those of the schedules are known
    to be integers; those of a partition are not known, and stay strings. Until format 2 private
    and federated trainings were classes of their own.
    """
    if version >= EXPERIMENT or not isinstance(description, dict | list):
        return description
    if isinstance(description, list):
        return [newer_experiment(part, version) for part in description]
    new = {key: newer_experiment(part, version) for key, part in description.items()}
    integers = _INTEGERS.get(str(description.get("class")))
    if version < 2 and integers is not None and "dict" in (new[integers] or {}):
        held = new[integers]["dict"]
        new[integers] = {"items": [[int(key), part] for key, part in held.items()]}
    return _training(new)


def _training(told: dict[str, Any]) -> dict[str, Any]:
    """A private, federated or other training of 0.1; all else as it is."""
    was = told.get("class")
    if was not in _ESTIMATORS:
        gone = {_GONE} if told.keys() >= _TRAINING else ()
        return {name: part for name, part in told.items() if name not in gone}
    training: dict[str, Any] = {"class": "Training"}
    estimator: dict[str, Any] = {"class": _ESTIMATORS[was]}
    for name, part in told.items():
        head, _, rest = MOVED[was].get(name, name).partition(".")
        if rest:
            estimator[rest] = part
        elif name not in ("class", _GONE):
            training[head] = part
    return training | {"estimator": estimator}


def newer_name(description: Any, name: str) -> str:
    """What a part is called today that had this name in an experiment of 0.1, by its description.

    A place in it, such as `loss -> helper`, is renamed as its part is.
    """
    if not isinstance(description, dict):
        return name
    moved = MOVED.get(str(description.get("class")), {})
    for head, part in inner(description).items():
        rest = name[len(head) :]
        if name.startswith(head) and rest[:1] in ("", ".", " ", "("):
            below = f".{newer_name(part, rest[1:])}" if rest[:1] == "." else rest
            return moved.get(head, head) + below
    return name


def newer_places(description: Any, root: str, parts: dict[str, str]) -> dict[str, str]:
    """What a fingerprint of 0.1 says stands at each place of a value, at the places of today."""
    out = {}
    for place, what in parts.items():
        if place.startswith(f"{root}.") and not place.endswith(f".{_GONE}"):
            place = f"{root}.{newer_name(description, place[len(root) + 1 :])}"
        if not place.endswith(f".{_GONE}"):
            name, _, of = what.partition(" of ")
            known = of == "jaxopt_edu" and name in _ESTIMATORS
            out[place] = "Training of jaxopt_edu" if known else what
    return out


def name_in_file(description: Any, name: str) -> str:
    """The name of today for one that a user gives to a file of 0.1, described so.

    Errors: ValueError for a name that means another part today.
    """
    new = newer_name(description, name)
    if new != name and name.partition(".")[0] == "optimizer":
        raise ValueError(
            f"{name!r} was the clients' when the file was written and is the server's now: give "
            f"{new!r} for the clients', {name.replace('optimizer', 'server', 1)!r} for the server's"
        )
    return new


# ---------------------------------------------------------------------------- stores of sweeps

_EXPERIMENTS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}  # by the format of a store, that of its experiments


def newer_asked(asked: dict[str, Any], version: int) -> dict[str, Any]:
    """What a sweep or its confirmation was asked for, in a store of an earlier format."""
    described = [name for name in ("space", "experiments") if name in asked]
    return asked | {k: newer_experiment(asked[k], _EXPERIMENTS[version]) for k in described}


def newer_identity(
    identity: dict[str, Any] | None, space: Any, parts: dict[str, str], version: int
) -> dict[str, Any] | None:
    """What the values were, with those parts that the space of its description has today only."""
    if identity is None or _EXPERIMENTS[version] == 3:
        return identity
    there = newer_places(space, "space", identity["parts"])
    return identity | {"parts": parts | there}


def newer_results(
    about: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a results.npz says and holds: numbers and choices by the names of today."""
    version, structures, places = _EXPERIMENTS[about["format"]], {}, {}
    for place, told in about["structures"].items():
        template = told["template"]
        places[place] = template
        structures[place] = told | {
            "template": newer_experiment(template, version),
            "labels": {
                newer_name(template, name): x
                for name, x in told["labels"].items()
                if x is not None or "." in name or name in template  # else another structure's
            },
        }
    trials: dict[int, Any] = {}
    out = {}
    for full, x in arrays.items():
        kind, _, rest = full.partition("/")
        place, _, name = rest.partition("/")
        if kind == "column":
            if not name:
                trials |= dict.fromkeys(x.tolist(), places[place])
            full = f"column/{place}/{newer_name(places[place], name)}"
        out["record/status" if full == "record/reasons" else full] = x
    moves = [
        [step, trial, parent, *(_renamed(trials[trial], numbers) for numbers in both)]
        for step, trial, parent, *both in about["moves"]
    ]
    return about | {"structures": structures, "moves": moves}, out


def _renamed(template: Any, numbers: dict[str, float]) -> dict[str, float]:
    return {newer_name(template, name): x for name, x in numbers.items()}
