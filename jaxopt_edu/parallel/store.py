"""A training on disk: what was asked for, and how far it came.

    fit.json        what was asked; written once
    checkpoint.npz  the state, the best state, the history and the place in the stream after the
                    last evaluation
    .lock           held by the process that writes

A checkpoint holds whole arrays, as bytes, wherever their shares were: a training may go on with
more devices, or fewer.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu import exchange, tree
from jaxopt_edu.disk import (
    Asked,
    as_before,
    check_format,
    from_text_array,
    plain,
    plain_shape,
    read_arrays,
    readable,
    text_array,
)
from jaxopt_edu.engine import Settings
from jaxopt_edu.files import write_arrays
from jaxopt_edu.fingerprint import Fingerprint
from jaxopt_edu.history import RUNNING, History
from jaxopt_edu.parallel.layout import Layout
from jaxopt_edu.parallel.source import Position
from jaxopt_edu.parallel.steps import gathered
from jaxopt_edu.programs import ALIVE, Lane

ASKED = Asked("fit", "fit.json", 3, older=(1, 2))
CHECKPOINT = "checkpoint.npz"


@dataclass
class Way:
    """How far a training came."""

    lane: Lane
    history: History
    t: int = 0
    status: str = RUNNING
    died: int = 0
    reason: int = ALIVE
    best: Any = None  # the best state, where patience asks for it
    position: Position = Position()

    def go_on(self, settings: Settings, fresh: History) -> None:
        """Makes of the way to fewer steps one to those of the settings, evaluated as they say."""
        kept = [
            (t, row)
            for t, row in zip(self.history.steps, self.history.rows, strict=True)
            if t in settings.stops or (t == self.t and self.status == "converged")
        ]
        if len(kept) < len(self.history.steps):
            self.history = History(fresh.metric, fresh.sign, fresh.patience)
            for t, row in kept:
                self.history.note(t, row)
        ended = self.t in settings.stops if self.status == "diverged" else self.t >= settings.steps
        if self.status in ("finished", "diverged") and not ended:
            self.status = RUNNING


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

    def __init__(self, directory: Path, layout: Layout):
        self.directory, self._layout = directory, layout
        self.saved = 0  # the step of the last checkpoint

    def write(self, way: Way) -> None:
        """A checkpoint, whole or not at all; all processes of a job call this."""
        lane, best = gathered(self._layout, (way.lane, way.best))
        states = _of_all(way.position.state)
        about = {
            "format": ASKED.format, "t": way.t, "status": way.status, "died": way.died,
            "reason": way.reason, "history": dataclasses.asdict(way.history),
            "stream": [way.position.batches, way.position.rows, states],
        }  # fmt: skip
        if jax.process_index() == 0:
            arrays = {f"lane/{i}": _bytes(x) for i, x in enumerate(tree.leaves(lane))}
            arrays |= {f"best/{i}": _bytes(x) for i, x in enumerate(tree.leaves(best))}
            write_arrays(self.directory / CHECKPOINT, {"about": text_array(about), **arrays})
        self.saved = way.t

    def read(self, like: Lane, streamed: bool) -> Way | None:
        """How far the training came, or None where it has no checkpoint; like gives shapes."""
        path = self.directory / CHECKPOINT
        if not path.exists():
            return None
        arrays = read_arrays(path)
        with readable(path):
            about = from_text_array(arrays.pop("about"))
            version, history = about["format"], History(**about["history"])
            batches, rows, states = about["stream"]
        check_format(path, version, (ASKED.format,))
        if streamed and len(states) != exchange.processes():
            raise ValueError(
                f"store {self.directory}: its batches came from {len(states)} processes, this job "
                f"has {exchange.processes()}"
            )
        with readable(path):
            lane = self._put(like, arrays, "lane")
            best = self._put(like.state, arrays, "best") if "best/0" in arrays else None
            position = Position(batches, rows, states[jax.process_index()] if streamed else None)
            way = Way(lane, history, best=best, position=position)
            way.t, way.status = about["t"], about["status"]
            way.died, way.reason = about["died"], about["reason"]
        self.saved = way.t
        return way

    def _put(self, like: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
        """The tree of this name, each leaf where it lives."""
        homes = self._layout.homes_of_lane(like) if name == "lane" else self._layout.homes(like)
        leaves, structure = jax.tree.flatten(like)
        found = [
            _from_bytes(arrays[f"{name}/{i}"], x, home)
            for i, (x, home) in enumerate(zip(leaves, tree.leaves(homes), strict=True))
        ]
        return jax.tree.unflatten(structure, found)


@contextlib.contextmanager
def opened(
    directory: Any, asked: dict[str, Any], identity: Fingerprint, layout: Layout
) -> Iterator[Store | None]:
    """The store of a training with these arguments, new or as it was left; None for None."""
    if directory is None:
        yield None
        return
    directory = Path(directory)
    ASKED.check(
        directory, asked, identity, grows
    )  # in every process, so that each says what is wrong
    exchange.barrier("store checked")
    with contextlib.ExitStack() as stack:
        if jax.process_index() == 0:
            stack.enter_context(ASKED.opened(directory, asked, identity, grows))
        exchange.barrier("store opened")
        yield Store(directory, layout)


def _of_all(state: Any) -> list[Any]:
    """The states of the streams of all processes."""
    text = text_array(state)
    counts = exchange.everyone(np.array(len(text))).tolist()
    return [from_text_array(x) for x in exchange.gathered(text[:, None], counts)]


def _bytes(x: Any) -> np.ndarray:
    return np.ascontiguousarray(plain(x)).reshape(-1).view(np.uint8)


def _from_bytes(found: np.ndarray, like: Any, home: Any) -> jax.Array:
    """The inverse of `_bytes`; ValueError where there are more bytes, or fewer, than like has."""
    shape = plain_shape(like)
    x = found.view(shape.dtype).reshape(shape.shape)
    array = jax.make_array_from_callback(x.shape, home, lambda index: x[index])
    return as_before(array, like)
