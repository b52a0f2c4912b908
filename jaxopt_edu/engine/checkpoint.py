"""Checkpoints of a running fit: its request, and the state to resume from.

    fit.json        what was asked; written once
    checkpoint.npz  the lane, the history and the place in the stream after the last evaluation
    .lock           held by the process that writes

A checkpoint holds whole arrays by their place in the state, wherever their shares were: a training
may go on with more devices, or fewer.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.history import History
from jaxopt_edu.engine.lane_arrays import from_arrays, to_arrays
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.stream import Position
from jaxopt_edu.engine.tiles import EvalPlan, Tile
from jaxopt_edu.storage.disk import (
    Manifest,
    check_format,
    from_text_array,
    read_arrays,
    readable,
    text_array,
)
from jaxopt_edu.storage.files import write_arrays
from jaxopt_edu.storage.identity import Fingerprint

ASKED = Manifest("fit", "fit.json", 4)
CHECKPOINT = "checkpoint.npz"


def grows(there: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """What a store was asked for, as a training of more steps where it can become one.

    Its result is that of a training that was asked for all of them: so evaluations up to now must
    be there, and patience must have seen no others.
    Errors: ValueError that says why it cannot go on.
    """
    old, new = there["steps"], here["steps"]
    if old == new or not {"evaluations", "patience"} <= there.keys() & here.keys():
        return there
    if new < old:
        raise ValueError(f"steps was {old}, now {new}: a training goes on with more steps only")
    known, wanted = set(there["evaluations"]), {t for t in here["evaluations"] if t <= old}
    every = f"eval_every={min(known)} goes on"
    if wanted - known:
        raise ValueError(
            f"steps was {old}, now {new}: they want an evaluation at step {min(wanted - known)}, "
            f"where there was none: {every}"
        )
    if there["patience"] is not None and known - wanted:
        raise ValueError(
            f"steps was {old}, now {new}: patience has counted the evaluation at step "
            f"{min(known - wanted)}, which is none of theirs: {every} if {old} is a multiple of it"
        )
    return there | {"steps": new, "evaluations": here["evaluations"]}


class Store:
    """A directory in which process 0 of a job writes what all of them read."""

    def __init__(self, directory: Path):
        self.directory = directory
        self.saved = 0  # the step of the last checkpoint

    def write(self, tile: Tile, history: History, position: Position) -> None:
        """A checkpoint, whole or not at all; all processes of a job call this."""
        arrays = to_arrays(tile.lanes, tile.spec.placement)
        states = _of_all(position.state)
        about = {
            "format": ASKED.format, "t": tile.t, "steps": history.steps, "rows": history.rows,
            "status": int(tile.status[0]), "ended": int(tile.ended[0]),
            "stream": [position.batches, position.rows, states],
        }  # fmt: skip
        if jax.process_index() == 0:
            write_arrays(self.directory / CHECKPOINT, {"about": text_array(about), **arrays})
        self.saved = tile.t

    def read(self, tile: Tile, history: History, streamed: bool) -> Position:
        """Puts the training where its checkpoint has it, if there is one."""
        path = self.directory / CHECKPOINT
        if not path.exists():
            return Position()
        arrays = read_arrays(path)
        with readable(path):
            about = from_text_array(arrays.pop("about"))
            version = about["format"]
        check_format(path, version, (ASKED.format,))
        with readable(path):
            batches, rows, states = about["stream"]
            tile.lanes, tile.t = from_arrays(arrays, tile.program.lanes, tile.width), about["t"]
            tile.status, tile.ended = np.array([about["status"]]), np.array([about["ended"]])
            history.steps, history.rows = list(about["steps"]), list(about["rows"])
        if streamed and len(states) != collectives.processes():
            raise ValueError(
                f"store {self.directory}: its batches came from {len(states)} processes, this job "
                f"has {collectives.processes()}"
            )
        self.saved = tile.t
        return Position(batches, rows, states[jax.process_index()] if streamed else None)


def go_on(tile: Tile, history: History, settings: EvalPlan) -> None:
    """Makes of a training of fewer steps one of those of the settings, evaluated as they say.

    What an evaluation that is none of theirs has found out about the state is forgotten.
    """
    if not history.steps:
        return
    ended = int(tile.ended[0])
    if tile.status[0] == Status.STATE_NOT_FINITE and ended not in settings.stops:
        tile.status, tile.ended = np.array([Status.RUNNING]), np.array([0])
        zero = np.zeros(1, np.int32)
        tile.lanes = tile.lanes._replace(status=zero, ended=zero)
    kept = [k for k, t in enumerate(history.steps) if t in settings.stops or t == ended]
    history.steps = [history.steps[k] for k in kept]
    history.rows = [history.rows[k] for k in kept]


@contextlib.contextmanager
def opened(directory: Any, asked: dict[str, Any], identity: Fingerprint) -> Iterator[Store | None]:
    """The store of a training with these arguments, new or as it was left; None for None."""
    if directory is None:
        yield None
        return
    directory = Path(directory)
    ASKED.check(
        directory, asked, identity, grows
    )  # in every process, so that each says what is wrong
    collectives.barrier("store checked")
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(ASKED.opened(directory, asked, identity, grows))
        collectives.barrier("store opened")
        yield Store(directory)


def _of_all(state: Any) -> list[Any]:
    """The states of the streams of all processes."""
    text = text_array(state)
    counts = collectives.all_gather(np.array(len(text))).tolist()
    return [from_text_array(x) for x in collectives.gather_rows(text[:, None], counts)]
