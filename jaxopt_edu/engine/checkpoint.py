"""Checkpoints: a tile on disk, with what is known of its trials and its place in a stream.

    lanes/<stage>-<tile>.npz    arrays of the lanes by tree path, whole wherever their shares were

So a training may go on with more devices, or fewer. A fit has one, a sweep one for each tile of the
stage that is under way.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.streams import Position
from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.lane_arrays import put_arrays, to_arrays
from jaxopt_edu.engine.tiles import Segment, Tile
from jaxopt_edu.storage.disk import (
    Manifest,
    check_format,
    from_text_array,
    read_arrays,
    readable,
    text_array,
)
from jaxopt_edu.storage.files import clean, write_arrays
from jaxopt_edu.storage.identity import fingerprints

LANES, FORMAT = "lanes", 3


@contextlib.contextmanager
def opened(
    manifest: Manifest, directory: Any, asked: dict[str, Any], values: dict[str, Any], grows: Any
) -> Iterator[Path | None]:
    """The directory of a store, new or as it was left, which process 0 writes; None for None.

    values: the arguments that are told apart by what they are (`fingerprint`), by their names;
        others by what they were asked for. grows: see `Manifest.check`.
    Errors: ValueError, in all processes, where it holds something else, or what was asked with
        other arguments; BlockingIOError where another process is writing it.
    """
    if directory is None:
        yield None
        return
    directory, identity = Path(directory), fingerprints(values)
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(manifest.opened(directory, asked, identity, grows))
            clean(directory / LANES)
        else:  # each says what is wrong
            manifest.check(directory, asked, identity, grows)
        collectives.barrier("store opened")
        yield directory


def lanes_path(directory: Path, stage: int = 0, tile: int = 0, end: str = "") -> Path:
    """Where a tile of a stage is written."""
    return directory / LANES / f"{stage:05d}-{tile:05d}{end}.npz"


def write_tile(
    path: Path, tile: Tile, rows: dict[str, np.ndarray], position: Position | None = None
) -> None:
    """A tile as far as it has come, whole or not at all, with arrays of what is known of it.

    On a mesh all processes call this, and process 0 writes.
    """
    if position is not None:
        position = position._replace(state=_of_all(position.state))
    told = {
        "format": np.array(FORMAT), "t": np.array(tile.t), "status": tile.status,
        "ended": tile.ended, "segments": np.array(tile.segments, float),
        "stream": text_array(position),
    }  # fmt: skip
    if tile.lanes is not None:
        told |= to_arrays(tile)
    if jax.process_index() == 0 or tile.spec.placement.mesh is None:
        path.parent.mkdir(exist_ok=True)
        write_arrays(path, told | {f"rows/{name}": x for name, x in rows.items()})


def read_tile(path: Path, tile: Tile) -> tuple[dict[str, np.ndarray], Position]:
    """Puts a tile where it was; what was known of it, and where its stream goes on."""
    found = read_arrays(path)
    check_format(path, int(found.get("format", 1)), (FORMAT,))
    with readable(path):
        position = Position(*(from_text_array(found["stream"]) or ()))
        tile.t, tile.status, tile.ended = int(found["t"]), found["status"], found["ended"]
        tile.segments = [Segment._make(row) for row in found["segments"].tolist()]
        if any(name.startswith("lanes") for name in found):
            put_arrays(tile, found)
        rows = {n.removeprefix("rows/"): x for n, x in found.items() if n.startswith("rows/")}
    if position.state is None:
        return rows, position
    if len(position.state) != collectives.processes():
        raise ValueError(
            f"store {path.parent.parent}: its batches came from {len(position.state)} processes, "
            f"this job has {collectives.processes()}"
        )
    return rows, position._replace(state=position.state[jax.process_index()])


def _of_all(state: Any) -> list[Any]:
    """The states of the streams of all processes."""
    text = text_array(state)
    counts = collectives.all_gather(np.array(len(text))).tolist()
    return [from_text_array(x) for x in collectives.gather_rows(text[:, None], counts)]
