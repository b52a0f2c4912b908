"""Stores of sweeps of earlier formats, as those of this one: see `formats`."""

from typing import Any

import numpy as np

from jaxopt_edu.storage.formats import newer_experiment, newer_name, newer_places

__all__ = ["newer_asked", "newer_identity", "newer_results"]

EXPERIMENTS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}  # by the format of a store, that of its experiments


def newer_asked(asked: dict[str, Any], version: int) -> dict[str, Any]:
    """What a sweep or its confirmation was asked for."""
    described = [name for name in ("space", "experiments") if name in asked]
    return asked | {k: newer_experiment(asked[k], EXPERIMENTS[version]) for k in described}


def newer_identity(
    identity: dict[str, Any] | None, space: Any, parts: dict[str, str], version: int
) -> dict[str, Any] | None:
    """What the values were, with those parts that the space of its description has today only."""
    if identity is None or EXPERIMENTS[version] == 3:
        return identity
    there = newer_places(space, "space", identity["parts"])
    return identity | {"parts": parts | there}


def newer_results(
    about: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a results.npz says and holds: numbers and choices by the names of today."""
    version, structures, places = EXPERIMENTS[about["format"]], {}, {}
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
