"""A resumable, endless stream of batches from any iterable."""

import base64
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.values.arrays import plain
from jaxopt_edu.values.kinds import is_missing


class Position(NamedTuple):
    """How far a stream was read: so many batches, of at most so many rows.

    state: what the stream says of itself where it can go back to it, as JSON; else None.
    """

    batches: int = 0
    rows: int = 0
    state: Any = None


class Stream:
    """An iterable, or a function that makes one; it begins again where it ends.

    Errors: ValueError, from `next`, where it is empty, or ends and cannot begin again.
    """

    def __init__(self, batches: Any):
        self._batches, self._iterator = batches, None
        self._epoch = 0  # batches since it began
        self.count = 0  # batches in all

    def next(self) -> Any:
        """The next batch."""
        try:
            batch = next(self._begun())
        except StopIteration:
            if not self._epoch:
                raise ValueError("batches: there are none") from None
            if self._iterator is self._batches:
                raise ValueError(
                    f"batches: they ended after {self.count}, and an iterator cannot begin again: "
                    "give an iterable, or a function that makes one"
                ) from None
            self._iterator, self._epoch = None, 0
            return self.next()
        self._epoch, self.count = self._epoch + 1, self.count + 1
        return batch

    def _begun(self) -> Any:
        """The iterator over its batches."""
        if self._iterator is None:
            again = hasattr(self._batches, "__iter__")
            self._iterator = iter(self._batches if again else self._batches())
        return self._iterator

    # ------------------------------------------------------------------------- going to a place

    def state(self) -> Any:
        """What brings it back to where it is, as JSON; None where only reading again does."""
        get, _ = self._get_and_set()
        return None if get is None else _to_json(get())

    def go_to(self, position: Position) -> None:
        """Goes where a training left it: to its state, or by reading as many batches again."""
        if position.state is None:
            while self.count < position.batches:
                self.next()
            return
        _, put = self._get_and_set()
        if put is None:
            raise ValueError("batches: those of the store had a state to go back to; these do not")
        put(_from_json(position.state))
        self.count = self._epoch = position.batches

    def _get_and_set(self) -> tuple[Callable | None, Callable | None]:
        """What gives its state and puts it back, where it has one: torchdata's way, Grain's."""
        if hasattr(self._batches, "load_state_dict"):
            return self._batches.state_dict, self._batches.load_state_dict
        begun = self._begun()
        return getattr(begun, "get_state", None), getattr(begun, "set_state", None)


def _to_json(state: Any) -> dict[str, Any]:
    """A state as JSON; TypeError where it holds what JSON cannot."""
    if isinstance(state, bytes):
        return {"bytes": base64.b64encode(state).decode()}
    try:
        return {"json": json.loads(json.dumps(state))}
    except TypeError as error:
        raise TypeError(
            f"batches: no store can keep their state ({error}); from a function that makes them, "
            "batches=lambda: iter(...), they are read again up to their place"
        ) from error


def _from_json(state: dict[str, Any]) -> Any:
    return base64.b64decode(state["bytes"]) if "bytes" in state else state["json"]


# ------------------------------------------------------------------------------ one of its batches


def pair_like(data: Data, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a batch, as those of the data are; ValueError or TypeError where they differ."""
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        kind = "an array" if isinstance(batch, np.ndarray) else f"a {type(batch).__name__}"
        raise TypeError(f"batches: one is {kind}: wanted pairs (x, y)")
    x, y = map(_part_like, data.train[:2], "xy", batch)
    classes = data.n_classes
    if classes is not None and len(wrong := np.flatnonzero((y < 0) | (y >= classes))):
        raise ValueError(
            f"batches: y holds the label {y[wrong[0]]} in row {wrong[0]}: wanted class "
            f"numbers, 0 to {classes - 1} (the data's labels are numbered in their order)"
        )
    if len(x) != len(y) or not len(x):
        raise ValueError(
            f"batches: one has {len(x)} rows in x, {len(y)} in y: wanted as many, at least 1"
        )
    return x, y


def _part_like(like: np.ndarray, name: str, given: Any) -> np.ndarray:
    """x or y of a batch, in the dtype of the data."""
    found = plain(f"batches: {name}", given)
    if found.ndim == 0 or found.shape[1:] != like.shape[1:]:
        wanted = f"(rows, {', '.join(map(str, like.shape[1:]))})"
        raise ValueError(f"batches: {name} has shape {found.shape}: wanted {wanted}")
    if not np.can_cast(found.dtype, like.dtype, "same_kind"):
        raise TypeError(f"batches: {name} is {found.dtype}: wanted {like.dtype}")
    if is_missing(found).any():
        row = np.argwhere(is_missing(found))[0, 0]
        raise ValueError(f"batches: {name} holds missing values, first in row {row}")
    return found.astype(like.dtype, copy=False)
