"""A sweep on disk: what was asked, what is known, and the lanes on their way.

    sweep.json    what was asked; written once
    results.npz   the record of all finished stages, and the numbers of the trials
    rounds/       those of rounds that are over, where there are several; until it is finished
    lanes/        one file for each tile of the stage that is under way
    .lock         held by the process that writes

Every file is written under a temporary name and renamed. A stage's lanes are written before
results.npz names the stage, and those of the stage before are deleted after it does.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.data.streams import Position
from jaxopt_edu.engine import checkpoint
from jaxopt_edu.engine.tiles import Tile
from jaxopt_edu.search import rounds
from jaxopt_edu.search.fields import sweep_metadata
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.search.rounds import Arrays, Contents
from jaxopt_edu.search.schedulers import Exploit
from jaxopt_edu.storage import disk
from jaxopt_edu.storage.files import clean, write_arrays
from jaxopt_edu.storage.formats import newer_asked, newer_results
from jaxopt_edu.storage.named import describe

FORMAT, OLDER = 5, (1, 2, 3, 4)  # of sweep.json and results.npz
LANES_EVERY = 1.0  # seconds after which the lanes of a tile are written again
RESULTS = "results.npz"


ASKED = disk.Manifest(
    "sweep", "sweep.json", FORMAT, OLDER, others=(checkpoint.LANES, rounds.ROUNDS),
    instead="load_study reads it as it is; to sweep anew, give another directory",
    converted=newer_asked,
)  # fmt: skip


class Store:
    """A directory that one process writes; others may read it meanwhile."""

    def __init__(self, directory: Path):
        self.directory, self.lanes = directory, directory / checkpoint.LANES
        self._written: dict[tuple[int, int], float] = {}
        self._opened = time.perf_counter()

    # ------------------------------------------------------------------------------ the record

    def write_record(self, driver: Any, finished: bool) -> None:
        """The record of all stages so far; deletes the lanes of those that are over.

        Rounds that are over are filed, and the last file holds the rest; or all, in the end.
        """
        record = driver.record
        if record.filed.trials < record.over < driver.plan.total:
            rounds.write_round(self.directory, driver)
        filed = rounds.Filed() if finished else record.filed
        about = {
            "format": FORMAT,
            **sweep_metadata(driver),
            "stage": driver.stage,
            "finished": finished,
            "seconds": time.perf_counter() - record.began,
            "widths": {str(k): w for k, w in driver.widths.items()},
            "structures": {
                str(k): {"labels": b.labels, "template": describe(b.template)}
                for k, b in driver.batches.items()
            },  # for those who read a store without having made the space
            "moves": rounds.moves(driver, filed),
            "filed": asdict(filed),
        }
        told = {"about": disk.text_array(about), **rounds.rows(driver, filed, driver.asked)}
        write_arrays(self.directory / RESULTS, told)
        for path in self.lanes.glob("[0-9]*"):  # not what a process is writing now
            if not path.name.startswith(f"{driver.stage:05d}-"):
                path.unlink(missing_ok=True)
        if finished:
            rounds.forget(self.directory)
            if self.lanes.exists():
                self.lanes.rmdir()

    def clear(self) -> None:
        """Deletes all but what was asked."""
        for path in [self.directory / RESULTS, *self.lanes.glob("*")]:
            path.unlink(missing_ok=True)
        rounds.forget(self.directory)

    # ------------------------------------------------------------------------------- the lanes

    def keep_lanes(self, driver: Any, tiles: dict[int, Tile]) -> None:
        """Writes tiles unless that was done within the last second.

        Not where other processes must do the same, as clocks differ.
        """
        what, now = (driver.stage, min(tiles)), time.perf_counter()
        if driver.placement.mesh is not None and jax.process_count() > 1:
            return
        if now - self._written.get(what, self._opened) > LANES_EVERY:
            self._written[what] = now
            self.write_lanes(driver, tiles)

    def write_lanes(self, driver: Any, tiles: dict[int, Tile]) -> None:
        """Tiles as far as they went, by their numbers, with what is known of their trials.

        Those that read a stream must go on from one step, so those of the step before are deleted
        after all are written.
        """
        stage, position = driver.stage, None if driver.feed is None else driver.feed.position
        end = "" if position is None else f"-{position.batches:09d}"
        before = self._streamed(stage) if end else []
        for i, tile in tiles.items():
            path = checkpoint.lanes_path(self.directory, stage, i, end)
            checkpoint.write_tile(path, tile, driver.record.rows(tile), position)
        for path in before:
            if jax.process_index() == 0 and not path.stem.endswith(end):
                path.unlink(missing_ok=True)

    def _streamed(self, stage: int) -> list[Path]:
        """The lanes of tiles that read one stream, named also by the batches they have read."""
        return list(self.lanes.glob(f"{stage:05d}-*-*.npz"))

    def _last(self, stage: int, count: int) -> str:
        """How the names of the last complete set of such tiles end; "" where there is none."""
        ends = [path.stem.split("-")[-1] for path in self._streamed(stage)]
        return max((f"-{end}" for end in ends if ends.count(end) == count), default="")

    def read_lanes(self, driver: Any, tiles: dict[int, Tile], needed: bool) -> Position:
        """Sets tiles to where they were; where they are not needed, those that are there.

        Returns where the stream is to go on.
        """
        read, position, end = [], Position(), self._last(driver.stage, len(tiles))
        for i, tile in tiles.items():
            path = checkpoint.lanes_path(self.directory, driver.stage, i, end)
            if needed or path.exists():
                rows, position = checkpoint.read_tile(path, tile)
                driver.record.put_rows(tile, rows)
                read.append(tile)
        driver.record.put_segments(read)
        return position


# ------------------------------------------------------------------------------- opening


@contextlib.contextmanager
def opened(
    directory: str | os.PathLike | None,
    asked: dict[str, Any],
    values: dict[str, Any],
    grows: Any = None,
) -> Iterator[Store | None]:
    """The store of a sweep with these arguments, new or as it was left: see `checkpoint.opened`."""
    with checkpoint.opened(ASKED, directory, asked, values, grows) as found:
        if found is not None and jax.process_index() == 0:
            clean(found / rounds.ROUNDS)
        yield None if found is None else Store(found)


# ------------------------------------------------------------------------------ results.npz


def read_results(directory: Path) -> Contents | None:
    """(about, arrays) of results.npz, or None where it was not written yet."""
    path = directory / RESULTS
    if not path.exists():
        return None
    about, arrays = _results(path)
    if not rounds.all_there(directory, about):  # it has been finished since
        about, arrays = _results(path)
    if about["format"] > 3:
        about, arrays = rounds.joined(directory, about, arrays)
    return (about, arrays) if about["format"] == FORMAT else newer_results(about, arrays)


def _results(path: Path) -> Contents:
    arrays = disk.read_arrays(path)
    with disk.readable(path):
        about = disk.from_text_array(arrays.pop("about"))
        version = about["format"]
    disk.check_format(path, version, (*OLDER, FORMAT))
    return about, arrays


def restore_record(record: Record, about: dict[str, Any], arrays: Arrays) -> None:
    """Puts what results.npz holds into a record."""
    for name, x in arrays.items():
        if name.startswith("record/"):
            record.arrays[name.removeprefix("record/")] = x
    record.segments = [tuple(row) for row in arrays["segments"].tolist()]
    record.moves = [(step, Exploit(*copy)) for step, *copy in about["moves"]]
    record.began -= about["seconds"]
    record.filed = rounds.filed_of(about)
