"""The directories that commands write: new ones, or in the place of one that is overwritten."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from jaxopt_edu.search.loading import CONFIRM
from jaxopt_edu.search.rounds import ROUNDS
from jaxopt_edu.search.store import RESULTS

OURS = {
    "trials.csv", "best.json", "confirm.csv", "study.json", "curves.png", "landscape.png",
    "report.html", "sweep.json", RESULTS, "lanes", ROUNDS, CONFIRM, ".lock", "model.jo", "fit.json",
    "checkpoint.npz",
}  # fmt: skip


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


@contextlib.contextmanager
def undone(*made: Path) -> Iterator[None]:
    """Takes back, after an error, directories that were made for what was to come.

    Of those that hold nothing, and of hidden ones, which stand in for the one they were to replace.
    """
    try:
        yield
    except Exception:
        for path in made:
            if path.name.startswith(".") and path.is_dir():
                shutil.rmtree(path)
            for empty in (path, path.parent):
                with contextlib.suppress(OSError):
                    empty.rmdir()
        raise
