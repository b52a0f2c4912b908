"""The rounds of a sweep that are over: each in a file of its own, which is written once.

Where a sampler learns from scores, trials come in rounds, and what is known of a round that is over
does not change any more. So a stage writes what may still change, and a whole sweep writes as much
as there is, not as much as there is times the rounds. A finished sweep is one file again.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.search.trials import TrialGroup
from jaxopt_edu.storage.disk import from_text_array, read_arrays, readable, text_array
from jaxopt_edu.storage.files import write_arrays

ROUNDS = "rounds"  # the directory
NEW = {"b": True, "i": 0, "f": np.nan}  # of trials yet to be, by the kind of an array: they go on


Arrays = dict[str, np.ndarray]  # by name
Contents = tuple[dict[str, Any], Arrays]  # what a file says and holds


@dataclass(frozen=True)
class Filed:
    """How much of a sweep is in the files of its rounds."""

    rounds: int = 0
    trials: int = 0
    segments: int = 0
    moves: int = 0


def rows(driver: Any, filed: Filed, end: int) -> Arrays:
    """What is known of the trials from those that are filed to before `end`, as arrays by name."""
    record = driver.record
    told = {f"record/{name}": x[filed.trials : end] for name, x in record.arrays.items()}
    for batch in driver.batches.values():
        low, high = np.searchsorted(batch.trials, (filed.trials, end))
        told |= {name: x[low:high] for name, x in column_arrays(batch).items()}
    return told | {"segments": np.array(record.segments[filed.segments :], float)}


def column_arrays(batch: TrialGroup) -> Arrays:
    """The trials of a structure, under "", and their numbers, as a store names them."""
    columns = {"": batch.trials, **batch.columns}
    return {f"column/{batch.place}/{name}": x for name, x in columns.items()}


def read_columns(place: int, arrays: Arrays) -> tuple[np.ndarray, Arrays]:
    """The trials of a structure, none where it is not there, and their numbers by name."""
    head = f"column/{place}/"
    columns = {n.removeprefix(head): x for n, x in arrays.items() if n.startswith(head)}
    return columns.pop("", np.zeros(0, int)), columns


def moves(driver: Any, filed: Filed) -> list[list]:
    """The moves that are not filed."""
    return [[step, *copy] for step, copy in driver.record.moves[filed.moves :]]


def write_round(directory: Path, driver: Any) -> None:
    """Files the trials of rounds that are over. What names the file comes after it."""
    (directory / ROUNDS).mkdir(exist_ok=True)
    record, filed = driver.record, driver.record.filed
    told = {"moves": text_array(moves(driver, filed)), **rows(driver, filed, record.over)}
    write_arrays(_path(directory, filed.rounds), told)
    record.filed = Filed(filed.rounds + 1, record.over, len(record.segments), len(record.moves))


def joined(directory: Path, about: dict[str, Any], arrays: Arrays) -> Contents:
    """What results.npz says and holds, with the rounds that it names."""
    parts, moved = [], []
    for path in _paths(directory, about):
        parts.append(read_arrays(path))
        with readable(path):
            moved += from_text_array(parts[-1].pop("moves"))
    parts.append(arrays)
    out = {}
    for name in dict.fromkeys(name for part in parts for name in part):
        pieces = [part[name] for part in parts if name in part]
        if name.startswith("record/"):
            out[name] = _padded(name, parts, about["trials"])
        else:
            out[name] = np.concatenate([x for x in pieces if len(x)] or pieces)
    return about | {"moves": moved + about["moves"]}, out


def _padded(name: str, parts: list[Arrays], trials: int) -> np.ndarray:
    """An array over all trials, of what parts of them hold: also of those that are yet to be."""
    like = next(part[name] for part in parts if name in part)
    known = [part.get(name, new_rows(len(part["record/going"]), like)) for part in parts]
    return np.concatenate([*known, new_rows(trials - sum(map(len, known)), like)])


def new_rows(count: int, like: np.ndarray) -> np.ndarray:
    """What an array like this has of trials of which nothing is known yet."""
    return np.full((count, *like.shape[1:]), NEW[like.dtype.kind], like.dtype)


def filed_of(about: dict[str, Any]) -> Filed:
    """How much was filed when results.npz was written."""
    return Filed(**about.get("filed", {}))


def all_there(directory: Path, about: dict[str, Any]) -> bool:
    """Whether the files of all rounds are there: not where the sweep is finished by now."""
    return all(path.exists() for path in _paths(directory, about))


def forget(directory: Path) -> None:
    """Deletes the files of the rounds."""
    if (directory / ROUNDS).exists():
        shutil.rmtree(directory / ROUNDS)


def _paths(directory: Path, about: dict[str, Any]) -> list[Path]:
    """The files of the rounds that results.npz names."""
    return [_path(directory, i) for i in range(filed_of(about).rounds)]


def _path(directory: Path, i: int) -> Path:
    return directory / ROUNDS / f"{i:05d}.npz"
