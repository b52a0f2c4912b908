"""A study as files, each written whole or not at all."""

import csv
import io
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.describe import describe, strict, unnamed, write_json, write_text
from jaxopt_edu.sweep.study import Study
from jaxopt_edu.value import show


def save_study(study: Study, directory: str | Path, *, arguments: Any = None) -> None:
    """Writes the table, the best experiment and the circumstances of a study into a directory.

    trials.csv: one row a trial, the columns of the study's table. best.json: the best experiment
    (`load_experiment` makes it again), its trial, seed, steps, tile and scores. study.json: the
    arguments, versions, devices, seconds and compilations.
    Warns where best.json cannot name a part (a lambda, data from arrays).
    """
    if not isinstance(study, Study):
        raise TypeError(f"study = {show(study)[:60]}: wanted a Study, as jo.sweep gives it")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "trials.csv", as_csv(study))
    write_json(directory / "best.json", best_json(study))
    write_json(directory / "study.json", strict(study_json(study, arguments)))


def as_csv(study: Study) -> str:
    """The table, one row a trial in the order of their numbers; empty cells for no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["trial", *study.columns])
    columns = [_cells(x) for x in study.columns.values()]
    writer.writerows(zip(range(len(study)), *columns, strict=True))
    return out.getvalue()


def _cells(column: np.ndarray) -> list:
    """Python values, None where there is none: csv leaves such cells empty."""
    cells = column.astype(object)
    if column.dtype.kind == "f":
        cells[np.isnan(column)] = None
    return cells.tolist()


def best_json(study: Study) -> dict[str, Any]:
    """What it takes to make the best trial again, and its scores."""
    description = describe(study.best)
    for place, was in unnamed(description).items():
        warnings.warn(
            f"best.json cannot name {place} = {was}: give it to load_experiment again, {place}=...",
            stacklevel=3,
        )
    return {
        "trial": study.best_trial,
        "hyperparameters": study.hyperparameters(),
        "scores": study.scores(),
        "seed": study.seed,
        "steps": study.steps,
        "tile": study.tile,
        "experiment": description,
    }


def study_json(study: Study, arguments: Any = None) -> dict[str, Any]:
    """The circumstances of a study."""
    asked = {
        "steps": study.steps,
        "seed": study.seed,
        "metric": study.metric,
        "mode": study.mode,
        "split": study.split,
        "tiles": list(study.tiles),
    }
    return {"format": 1, "arguments": arguments or asked, **asked, **study.info}


def new_directory(parent: str | Path, name: str) -> Path:
    """A new directory parent/name-1, or -2, ...: the first that does not exist."""
    parent = Path(parent)
    parent.mkdir(parents=True, exist_ok=True)
    taken = [
        int(p.name[len(name) + 1 :])
        for p in parent.glob(f"{name}-*")
        if p.name[len(name) + 1 :].isdigit()
    ]
    number = max(taken, default=0) + 1
    while True:
        try:
            (parent / f"{name}-{number}").mkdir()
        except FileExistsError:
            number += 1
            continue
        return parent / f"{name}-{number}"


def beside(directory: Path) -> Path:
    """A new directory that is to take the place of this one, or this one where it is not there."""
    return (
        new_directory(directory.parent, f".{directory.name}") if directory.exists() else directory
    )


def take_place(new: Path, old: Path) -> None:
    """Puts a directory into the place of another, which is deleted."""
    aside = new.with_name(f"{new.name}-old")
    os.rename(old, aside)
    os.rename(new, old)
    shutil.rmtree(aside)


def check_directory(path: str | Path, overwrite: bool) -> None:
    """ValueError where a directory a user named is a file, or holds something to be kept."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"--out {path} is a file: wanted a directory")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise ValueError(f"--out {path} holds something already; --overwrite replaces it")
