"""Descriptions: experiments as JSON and back, as `best.json` holds them.

    describe(x)     a value as JSON; what has no name that JSON could keep is {"unnamed": ...}
    rebuild(d)      the value again, equal and of the same types
    unnamed(d)      the parts that a description cannot name, by their places

Numbers, strings, bools and null are themselves; everything else is an object whose first key says
what it is: {"tuple": [...]}, {"class": "Adam", "learning_rate": 0.1}, ... (`plainly`, `named`).
"""

import json
import os
from pathlib import Path
from typing import Any

from jaxopt_edu.storage.disk import check_format
from jaxopt_edu.storage.files import from_json, to_json, write_bytes, write_json, write_text
from jaxopt_edu.storage.formats import EXPERIMENT, name_in_file, newer_experiment
from jaxopt_edu.storage.named import describe, inner, rebuild, unnamed
from jaxopt_edu.values.names import name_of_today, parts, with_parts
from jaxopt_edu.values.pytrees import nearest

__all__ = [
    "describe", "load_experiment", "put", "rebuild", "to_json", "unnamed", "write_bytes",
    "write_json", "write_text",
]  # fmt: skip


def load_experiment(path: str | os.PathLike[str], **parts_given: Any) -> Any:
    """The experiment that a file such as best.json describes.

    parts_given: what the file could not name, by its place, e.g. loss=my_loss; anything else in it
        may be replaced the same way. A class of your own is found by its name among the modules
        that are imported; nothing is imported because a file says so.
    Errors: ValueError for a file that holds no experiment or one of a later format, an unnamed
        part that is not given, a class that is nowhere, data that are not the same any more.
    """
    try:
        found = from_json(Path(path).read_text())
        version, description = found.get("format", 1), found["experiment"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} holds no experiment: {error!r}") from error
    check_format(Path(path), version, tuple(range(1, EXPERIMENT + 1)))
    if version < EXPERIMENT:
        parts_given = {name_in_file(description, n): x for n, x in parts_given.items()}
    description = newer_experiment(description, version)
    needed = unnamed(description)
    for name in (name for name in parts_given if name in needed):
        value = parts_given[name]
        description = put(description, name, None if isinstance(value, dict) else value)
    experiment = rebuild(description)
    known = parts(experiment)
    for name, value in parts_given.items():
        if version == EXPERIMENT and name not in needed:
            name = name_of_today(experiment, name)
        if not any(name == p or name.startswith(f"{p}.") or p.endswith(f".{name}") for p in known):
            raise ValueError(f"unknown part {name!r}; {nearest(name, known)}")
        experiment = with_parts(experiment, {name: value})
    return experiment


def put(description: Any, place: str, part: Any) -> Any:
    """The description with another part at a place; LookupError where there is none."""
    if not place:
        return part
    named = inner(description)
    heads = [key for key in named if place == key or place.startswith(f"{key}.")]
    head = max(heads, key=len, default=None)  # a key may have dots itself
    if head is None:
        raise LookupError(place)
    new = put(named[head], place[len(head) + 1 :], part)
    if "class" in description:
        return description | {head: new}
    for kind in ("tuple", "list"):
        if kind in description:
            return {kind: [new if str(i) == head else x for i, x in enumerate(description[kind])]}
    if "items" in description:
        pairs = zip(named, description["items"], strict=True)
        return {"items": [[k, new if name == head else v] for name, (k, v) in pairs]}
    kind = "dict" if "dict" in description else "folds"
    return {kind: description[kind] | {head: new}}
