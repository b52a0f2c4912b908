"""A study as files, each written whole or not at all."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.search.study import Study
from jaxopt_edu.storage.descriptions import put
from jaxopt_edu.storage.files import csv_text, strict, write_json, write_text
from jaxopt_edu.storage.formats import EXPERIMENT, STUDY
from jaxopt_edu.storage.named import describe, unnamed
from jaxopt_edu.values.pytrees import show

TOLD = ("steps", "seed", "metric", "mode", "rank_by", "split", "tiles")  # in study.json


def save_study(
    study: Study, directory: str | Path, *, arguments: Any = None, confirmed: Study | None = None
) -> None:
    """Writes the table, the best experiment and the circumstances of a study into a directory.

    trials.csv: one row a trial, the columns of the study's table. best.json: the best experiment
    (`load_experiment` makes it again), its trial, seed, steps, tile and scores. study.json: the
    arguments, versions, devices, seconds and compilations.
    confirmed: what `study.confirm()` gave. Then best.json is of its winner, with the means and
        intervals of the fresh seeds, and confirm.csv is its table.
    Where no trial has a score there is no best.json.
    Warns where best.json cannot name a part (a lambda, data from arrays), and where it is not
    written, as a store names a class that is not imported, or no part that holds a number.
    """
    if not isinstance(study, Study):
        raise TypeError(f"study = {show(study)[:60]}: wanted a Study, as jo.sweep gives it")
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if confirmed is not None and not confirmed.scored:
        confirmed = None
    write_text(directory / "trials.csv", as_csv(study))
    _write_best(study, directory / "best.json", confirmed)
    if confirmed is None:
        (directory / "confirm.csv").unlink(missing_ok=True)
    else:
        write_text(directory / "confirm.csv", as_csv(confirmed))
    told = {name: getattr(study, name) for name in TOLD}
    about = {"format": STUDY, "arguments": arguments or told, **told, **study.info}
    write_json(directory / "study.json", strict(about))


def _write_best(study: Study, path: Path, confirmed: Study | None) -> None:
    """best.json, where there is a best trial and its experiment is known.

    Else none: one of an earlier sweep must not stay.
    """
    if not study.scored:
        path.unlink(missing_ok=True)
        return
    try:
        best = (study if confirmed is None else confirmed).best
    except ValueError as error:  # of a store that could not name it
        path.unlink(missing_ok=True)
        warnings.warn(f"best.json is not written: {error}", stacklevel=3)
        return
    write_json(path, best_json(study, best, confirmed))


def as_csv(study: Study) -> str:
    """The table, one row a trial in the order of their numbers; empty cells for no value."""
    columns = {"trial": np.arange(len(study))} | study.columns
    return csv_text(columns, zip(*map(_cells, columns.values()), strict=True))


def _cells(column: np.ndarray) -> list:
    """Python values, None where there is none: csv leaves such cells empty."""
    return [x if x == x else None for x in column.tolist()]


def winner_of(study: Study, confirmed: Study | None) -> int:
    """The best trial of a study: the one that its confirmation found, where there is one."""
    if confirmed is None:
        return study.best_trial
    return int(confirmed.columns["of"][confirmed.best_trial])


def fresh_scores(confirmed: Study) -> dict[str, Any]:
    """The fresh seeds of a confirmation; mean and interval over them of each score of its best."""
    best = {n: confirmed.interval(confirmed.best_trial, n)._asdict() for n in confirmed.finals}
    scores = {n: {k: x if x == x else None for k, x in of.items()} for n, of in best.items()}
    return {"seeds": list(dict.fromkeys(seed for seed, _ in confirmed.repeats)), "scores": scores}


def best_json(study: Study, best: Any, confirmed: Study | None = None) -> dict[str, Any]:
    """What it takes to make the best trial again, whose experiment is `best`, and its scores."""
    trial = winner_of(study, confirmed)
    place, _ = study.place(trial)
    description = describe(best)
    for part, was in study.batches[place].unnamed.items():
        description = put(description, part, {"unnamed": was})
    for part, was in unnamed(description).items():
        warnings.warn(
            f"best.json cannot name {part} = {was}: give it to load_experiment again, {part}=...",
            stacklevel=4,
        )
    return {
        "format": EXPERIMENT,
        "trial": trial,
        "hyperparameters": study.hyperparameters(trial),
        "scores": study.scores(trial),
        "confirmed": None if confirmed is None else fresh_scores(confirmed),
        "seed": study.seed,
        "steps": study.steps,
        "tile": study.tiles[place],
        "experiment": description,
    }
