"""A resumable, endless stream of batches from any iterable."""

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple


class Position(NamedTuple):
    """How far a stream was read: so many batches, of at most so many rows.

    state: what the stream says of itself where it can go back to it, as JSON; else None.
    """

    batches: int = 0
    rows: int = 0
    state: Any = None


class Stream:
    """An iterable, or a function that makes one; it begins again where it ends.

    Errors: TypeError for anything else; ValueError, from `next`, where it is empty, or ends and
        cannot begin again.
    """

    def __init__(self, batches: Any):
        if not hasattr(batches, "__iter__") and not callable(batches):
            raise TypeError(
                f"batches = {batches!r}: wanted an iterable of pairs (x, y), or a function that "
                "makes one"
            )
        self._batches = batches
        self._iterator: Any = None
        self._epoch = 0  # batches since it began
        self.count = 0  # batches in all

    def next(self) -> Any:
        """The next batch."""
        try:
            batch = next(self._begun())
        except StopIteration:
            self._begin_again()
            return self.next()
        self._epoch, self.count = self._epoch + 1, self.count + 1
        return batch

    def _begun(self) -> Iterator:
        if self._iterator is None:
            again = hasattr(self._batches, "__iter__")
            self._iterator = iter(self._batches if again else self._batches())
        return self._iterator

    def _begin_again(self) -> None:
        if not self._epoch:
            raise ValueError("batches: there are none")
        if self._iterator is self._batches:
            raise ValueError(
                f"batches: they ended after {self.count}, and an iterator cannot begin again: "
                "give an iterable, or a function that makes one"
            )
        self._iterator, self._epoch = None, 0

    # ------------------------------------------------------------------------- going to a place

    def state(self) -> Any:
        """What brings it back to where it is, as JSON; None where only reading again does."""
        ask = self._asked_and_told()[0]
        return None if ask is None else _to_json(ask())

    def go_to(self, position: Position) -> None:
        """Goes where a training left it: to its state, or by reading as many batches again."""
        if position.state is None:
            while self.count < position.batches:
                self.next()
            return
        tell = self._asked_and_told()[1]
        if tell is None:
            raise ValueError("batches: those of the store had a state to go back to; these do not")
        tell(_from_json(position.state))
        self.count = self._epoch = position.batches

    def _asked_and_told(self) -> tuple[Callable | None, Callable | None]:
        """How its state is asked for and told to it, where it has one: torchdata's way, Grain's."""
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
