"""The command `predict`, and what `fit --out` leaves: a trained model as a file."""

import argparse
import csv
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.cli.directories import beside, check_directory, take_place
from jaxopt_edu.data.columns import Columns
from jaxopt_edu.engine.history import Run
from jaxopt_edu.storage.files import csv_text, write_json, write_text
from jaxopt_edu.storage.model_file import load_model
from jaxopt_edu.storage.saved import SavedModel
from jaxopt_edu.values.kinds import STRINGS

MODEL = "model.jo"  # in the directory of a fit


def predict_arguments(command: argparse.ArgumentParser) -> None:
    """The options of `predict`."""
    add = command.add_argument
    add(
        "model", metavar="MODEL", help="a file that Run.save or `fit --out` wrote, or its directory"
    )
    add("rows", metavar="ROWS.csv", help="rows with a header that names the columns")
    add("--out", metavar="F", help="the CSV to write (default: standard output)")
    add("--overwrite", action="store_true", help="replace what --out holds")
    add("--proba", action="store_true", help="a column with the probability of each class")


def run_predict(options: Any) -> tuple[Any, int]:
    """Reads rows by the names of their columns, and writes one answer for each."""
    path = Path(options.model)
    out = None if options.out is None else Path(options.out)
    if out is not None and out.exists() and not (options.overwrite and out.is_file()):
        raise ValueError(f"--out {out} is there already; --overwrite replaces a file")
    model = load_model(path / MODEL if path.is_dir() else path)
    header, rows = answers(model, read_csv(options.rows, model.columns), options.proba)
    if out is not None:
        write_text(out, csv_text(header, rows))
    if options.json:
        told = {"rows": len(rows), "columns": header}
        return told | ({"out": str(out)} if out is not None else {"values": rows}), 0
    if out is not None:
        return f"{len(rows)} rows: {out}", 0
    return csv_text(header, rows).removesuffix("\n"), 0


def answers(model: SavedModel, rows: Any, proba: bool) -> tuple[list[str], list[list]]:
    """A header, and a row of values for each row."""
    found = model.predict_proba(rows) if proba else model.predict(rows)
    if proba or found.ndim == 2:
        return list(model.targets), found.tolist()
    return ["prediction"], found[:, None].tolist()


def keep(run: Run, answer: dict[str, Any], options: Any) -> dict[str, Any]:
    """Writes what a fit came to into the directory of --out; the answer, and where it is."""
    if options.out is None:
        return answer
    directory = Path(options.out)
    writing = beside(directory) if options.overwrite else directory
    writing.mkdir(parents=True, exist_ok=True)
    arguments = {k: v for k, v in vars(options).items() if k != "run"}
    write_json(writing / "fit.json", {"format": 1, "arguments": arguments, **answer})
    run.save(writing / MODEL)
    if writing != directory:
        take_place(writing, directory)
    return answer | {"directory": str(directory), "model": str(directory / MODEL)}


def check_out(options: Any) -> None:
    """ValueError where the directory of --out holds something to be kept."""
    if options.out is not None:
        check_directory(options.out, options.overwrite, "--out")
    elif options.overwrite:
        raise ValueError("--overwrite: there is no --out to replace")


# ------------------------------------------------------------------------------------------ CSV


def read_csv(path: str | os.PathLike, columns: Columns) -> dict[str, ndarray]:
    """The columns of a CSV file with a header, by name: text where it was text in training.

    Empty cells are missing values. Numbers are read as Python reads them; the file is UTF-8, with
    or without a byte order mark.
    Errors: ValueError that names the file, and the line and column where one is wrong.
    """
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            header, *lines = _lines(file)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no CSV file in UTF-8: {error}") from None
    except ValueError:
        raise ValueError(f"{path} is empty: wanted a header and rows") from None
    names = [name.strip() for name in header[1]]
    _check_header(path, names, columns.names)
    for number, cells in lines:
        if len(cells) != len(names):
            raise ValueError(
                f"{path}: line {number} has {len(cells)} cells, the header {len(names)}"
            )
    known = columns.names if columns.named or set(names) == set(columns.names) else tuple(names)
    texts = {n for n, kind in zip(known, columns.kinds, strict=False) if kind == STRINGS}
    return {
        name: _column(path, name, [(n, cells[j]) for n, cells in lines], name in texts)
        for j, name in enumerate(names)
    }


def _lines(file: Any) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, each with its number in the file."""
    reader = csv.reader(file, strict=True)
    return [(reader.line_num, cells) for cells in reader if cells]


def _check_header(path: Any, names: list[str], known: tuple[str, ...]) -> None:
    other = [sep for sep in (";", "\t", "|") if len(names) == 1 and sep in names[0]]
    if other and names[0] not in known:
        raise ValueError(f"{path}: its cells are separated by {other[0]!r}: wanted ','")
    twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
    if twice:
        raise ValueError(f"{path}: the header names {twice[0]!r} twice")
    if all(_number(name) is not None for name in names):
        raise ValueError(f"{path}: its first line holds numbers: wanted the names of the columns")


def _column(path: Any, name: str, cells: list[tuple[int, str]], text: bool) -> ndarray:
    if text:
        return np.array([cell or None for _, cell in cells], object)
    values = []
    for line, cell in cells:
        number = float("nan") if not cell.strip() else _number(cell)
        if number is None:
            raise ValueError(f"{path}: line {line}, column {name!r}: {cell!r} is no number")
        values.append(number)
    return np.array(values, float)


def _number(cell: str) -> float | None:
    """The number that a cell holds; of yes and no as Python and R write them, 1 and 0."""
    word = cell.strip().lower()
    if word in ("true", "false"):
        return float(word == "true")
    try:
        return float(word) if "_" not in word else None
    except ValueError:
        return None
