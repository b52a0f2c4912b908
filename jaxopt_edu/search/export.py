"""A study as files, each written whole or not at all."""

import csv
import io
import os
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.search.loading import load_study
from jaxopt_edu.search.rounds import ROUNDS
from jaxopt_edu.search.store import RESULTS
from jaxopt_edu.search.study import Study
from jaxopt_edu.storage.descriptions import put
from jaxopt_edu.storage.files import strict, write_json, write_text
from jaxopt_edu.storage.formats import EXPERIMENT, STUDY
from jaxopt_edu.storage.named import describe, unnamed
from jaxopt_edu.values.pytrees import show

CONFIRM = "confirm"  # the directory of the confirmation, within that of the sweep
OURS = {
    "trials.csv", "best.json", "confirm.csv", "study.json", "curves.png", "landscape.png",
    "report.html", "sweep.json", RESULTS, "lanes", ROUNDS, CONFIRM, ".lock", "model.jo", "fit.json",
    "checkpoint.npz",
}  # fmt: skip


def save_study(
    study: Study,
    directory: str | Path,
    *,
    arguments: Any = None,
    confirmed: Study | None = None,
) -> None:
    """Writes the table, the best experiment and the circumstances of a study into a directory.

    trials.csv: one row a trial, the columns of the study's table. best.json: the best experiment
    (`load_experiment` makes it again), its trial, seed, steps, tile and scores. study.json: the
    arguments, versions, devices, seconds and compilations.
    confirmed: what `study.confirm()` gave. Then best.json is of its winner, with the means and
        intervals of the fresh seeds, and confirm.csv is its table.
    Where no trial has a score there is no best.json.
    Warns where best.json cannot name a part (a lambda, data from arrays), and where it cannot be
    written, as a store names a class that is not imported.
    """
    if not isinstance(study, Study):
        raise TypeError(f"study = {show(study)[:60]}: wanted a Study, as jo.sweep gives it")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    write_text(directory / "trials.csv", as_csv(study))
    _write_best(study, directory, confirmed)
    if confirmed is not None and confirmed.scored:
        write_text(directory / "confirm.csv", as_csv(confirmed))
    else:
        (directory / "confirm.csv").unlink(missing_ok=True)
    write_json(directory / "study.json", strict(study_json(study, arguments)))


def _write_best(study: Study, directory: Path, confirmed: Study | None) -> None:
    """best.json, where there is a best trial and its experiment is known."""
    path = directory / "best.json"
    if not study.scored:  # one of an earlier sweep must not stay
        path.unlink(missing_ok=True)
        return
    missing = study.batches[study.place(winner_of(study, confirmed))[0]].unnamed.get("")
    if missing is None:
        write_json(path, best_json(study, confirmed))
    else:
        warnings.warn(f"best.json is not written: {missing}", stacklevel=3)


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


def load_confirmed(study: Study, directory: str | Path) -> Study | None:
    """The confirmation that lies beside a stored study, if it is one of this and finished."""
    directory = Path(directory) / CONFIRM
    if not (directory / RESULTS).exists():
        return None
    found = load_study(directory)
    of = found.columns["of"].tolist()
    fits = all(0 <= trial < len(study) for trial in of) and all(
        study.hyperparameters(trial) == found.hyperparameters(i) for i, trial in enumerate(of)
    )
    return found if fits and found.scored and not found.info["interrupted"] else None


def winner_of(study: Study, confirmed: Study | None) -> int:
    """The best trial of a study: the one that the confirmation found, where there is one."""
    if confirmed is None or not confirmed.scored:
        return study.best_trial
    return int(confirmed.columns["of"][confirmed.best_trial])


def confirmed_scores(confirmed: Study, trial: int) -> dict[str, dict[str, float | None]]:
    """Mean and interval over the fresh seeds of each score of a trial of a confirmation."""
    found = {name: confirmed.interval(trial, name)._asdict() for name in confirmed.finals}
    return {
        name: {k: x if x == x else None for k, x in bounds.items()}
        for name, bounds in found.items()
    }


def best_json(study: Study, confirmed: Study | None = None) -> dict[str, Any]:
    """What it takes to make the best trial again, and its scores."""
    trial = winner_of(study, confirmed)
    again = None
    if confirmed is not None and confirmed.scored:
        again = {
            "seeds": list(dict.fromkeys(seed for seed, _ in confirmed.repeats)),
            "scores": confirmed_scores(confirmed, confirmed.best_trial),
        }
    description = describe(study.best if again is None or confirmed is None else confirmed.best)
    for place, was in study.batches[study.place(trial)[0]].unnamed.items():
        description = put(description, place, {"unnamed": was})
    for place, was in unnamed(description).items():
        warnings.warn(
            f"best.json cannot name {place} = {was}: give it to load_experiment again, {place}=...",
            stacklevel=3,
        )
    return {
        "format": EXPERIMENT,
        "trial": trial,
        "hyperparameters": study.hyperparameters(trial),
        "scores": study.scores(trial),
        "confirmed": again,
        "seed": study.seed,
        "steps": study.steps,
        "tile": study.tiles[study.place(trial)[0]],
        "experiment": description,
    }


def study_json(study: Study, arguments: Any = None) -> dict[str, Any]:
    """The circumstances of a study."""
    asked = {
        "steps": study.steps,
        "seed": study.seed,
        "metric": study.metric,
        "mode": study.mode,
        "rank_by": study.rank_by,
        "split": study.split,
        "tiles": list(study.tiles),
    }
    return {"format": STUDY, "arguments": arguments or asked, **asked, **study.info}


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


def check_directory(path: str | Path, overwrite: bool, name: str) -> None:
    """ValueError where a directory is a file, or holds something to be kept.

    name: the argument by which the user gave it.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise ValueError(f"{name} {path} is a file: wanted a directory")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise ValueError(f"{name} {path} holds something already; --overwrite replaces it")
    foreign = [p.name for p in path.iterdir() if p.name not in OURS] if path.is_dir() else []
    if foreign:
        raise ValueError(
            f"--overwrite: {path} holds {foreign[0]!r}, which is none of our files: delete it, or "
            "give another directory"
        )
