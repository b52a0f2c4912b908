"""Experiments as JSON and back: what `best.json` holds."""

import dataclasses
import importlib
import inspect
import json
import math
import os
import tempfile
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.data.folds import Folds, k_fold
from jaxopt_edu.data.load import load, source_to_json
from jaxopt_edu.names import parts, replace
from jaxopt_edu.value import nearest, show

_CHAPTERS = (
    "", ".losses", ".metrics", ".models", ".optimizers", ".schedules", ".data", ".space", ".sweep",
    ".privacy", ".federated", ".augment",
)  # fmt: skip


def describe(x: Any) -> Any:
    """A value as JSON: numbers and strings as they are, parts by their public names.

    What has no public name here (a lambda, a user's own class, data made from arrays) becomes
    {"unnamed": ...}: `rebuild` asks for it by its place.
    """
    if x is None or isinstance(x, bool | int | float | str):
        return x
    if isinstance(x, jax.Array | np.ndarray | np.generic):
        return np.asarray(x).item() if np.ndim(x) == 0 else {"array": np.asarray(x).tolist()}
    if isinstance(x, Data):
        loaded = x.source.loaded
        return {"data": source_to_json(x.source)} if loaded else {"unnamed": repr(x)}
    if isinstance(x, Folds):
        data = {"data": source_to_json(x.source)} if x.source.loaded else {"unnamed": repr(x)}
        asked: dict = {"folds": len(x), "seed": x.seed, "stratified": x.stratified}
        if x.given is not None:
            asked = {"folds": [[rows.tolist() for rows in pair] for pair in x.pairs()]}
        return {"folds": {"of": data, **asked}}
    if type(x) is tuple or type(x) is list:
        return {type(x).__name__: [describe(y) for y in x]}
    if isinstance(x, dict):
        return {"dict": {str(k): describe(v) for k, v in x.items()}}
    if inspect.isroutine(x):
        name = getattr(x, "__name__", "")
        return {"function": name} if _find(name) is x else {"unnamed": show(x)}
    if dataclasses.is_dataclass(x) and _find(type(x).__name__) is type(x):
        fields = {f.name: describe(getattr(x, f.name)) for f in dataclasses.fields(x)}
        return {"class": type(x).__name__, **fields}
    return {"unnamed": show(x)}


def unnamed(description: Any, place: str = "") -> dict[str, str]:
    """The parts that a description cannot name, by their dotted places."""
    if not isinstance(description, dict):
        return {}
    if "unnamed" in description:
        return {place: description["unnamed"]}
    found: dict[str, str] = {}
    for key, value in _inner(description).items():
        found |= unnamed(value, f"{place}.{key}" if place else str(key))
    return found


def _inner(description: dict) -> dict:
    if "class" in description:
        return description
    for kind in ("tuple", "list"):
        if kind in description:
            return {str(i): part for i, part in enumerate(description[kind])}
    return description.get("dict", description.get("folds", description))


def rebuild(description: Any) -> Any:
    """The inverse of `describe`. Errors: ValueError where a part is unnamed or unknown."""
    missing = unnamed(description)
    if missing:
        place, was = next(iter(missing.items()))
        raise ValueError(f"{place} was {was}, which has no public name: give it, {place}=...")
    if not isinstance(description, dict):
        return description
    if "class" not in description and "function" not in description:
        [(kind, held)] = description.items()
        return _PLAIN[kind](held)
    name = description.get("function") or description.get("class")
    found = _find(str(name))
    if found is None:
        raise ValueError(f"jaxopt_edu has no {name!r}")
    if "function" in description:
        return found
    fields = {k: rebuild(v) for k, v in description.items() if k != "class"}
    return found(**fields)


_PLAIN: dict[str, Callable[[Any], Any]] = {
    "array": jax.numpy.asarray,
    "data": lambda source: load(**source),
    "folds": lambda given: k_fold(
        rebuild(given["of"]), **{k: v for k, v in given.items() if k != "of"}
    ),
    "tuple": lambda parts: tuple(map(rebuild, parts)),
    "list": lambda parts: list(map(rebuild, parts)),
    "dict": lambda parts: {key: rebuild(part) for key, part in parts.items()},
}


def _find(name: str) -> Any:
    """The public function or class of this name, or None."""
    for chapter in _CHAPTERS:
        module: types.ModuleType = importlib.import_module("jaxopt_edu" + chapter)
        if name in getattr(module, "__all__", ()):
            return getattr(module, name)
    return None


def load_experiment(path: str | os.PathLike, **parts_given: Any) -> Any:
    """The experiment that a file such as best.json describes.

    parts_given: what the file could not name, by its place, e.g. loss=my_loss; anything else in it
        may be replaced the same way.
    Errors: ValueError for a file that holds no experiment, an unnamed part that is not given, data
        that are not the same any more.
    """
    try:
        description = json.loads(Path(path).read_text())["experiment"]
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no experiment: {error!r}") from error
    late = {}
    for name, value in parts_given.items():
        if name in unnamed(description):
            description = _with(description, name.split("."))
        late[name] = value
    experiment = rebuild(description)
    for name in late:
        if name.split(".")[0] not in parts(experiment):
            raise ValueError(f"unknown part {name!r}; {nearest(name, parts(experiment))}")
    return replace(experiment, **late)


def _with(description: Any, path: list[str]) -> Any:
    """The description with null at a path, to be replaced in the value."""
    if not path:
        return None
    head, *rest = path
    if "class" not in description and "tuple" in description:
        new = list(description["tuple"])
        new[int(head)] = _with(new[int(head)], rest)
        return {"tuple": new}
    if "class" not in description and "dict" in description:
        return {"dict": description["dict"] | {head: _with(description["dict"][head], rest)}}
    return description | {head: _with(description[head], rest)}


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: under a temporary name beside it, then renamed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def strict(answer: Any) -> Any:
    """What JSON can say: None for numbers that are not finite, NumPy's as Python's."""
    if isinstance(answer, dict):
        return {str(key): strict(x) for key, x in answer.items()}
    if isinstance(answer, list | tuple):
        return [strict(x) for x in answer]
    if isinstance(answer, np.ndarray | np.generic):
        return strict(answer.tolist())
    if isinstance(answer, float) and not math.isfinite(answer):
        return None
    return answer if isinstance(answer, str | int | float | bool | None) else str(answer)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON, whole or not at all."""
    write_text(path, to_json(value, indent=2) + "\n")


def to_json(value: Any, **form: Any) -> str:
    """JSON in which a NumPy number is the number that it is."""
    return json.dumps(value, default=np.generic.item, **form)
