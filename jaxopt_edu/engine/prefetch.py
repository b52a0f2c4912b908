"""Prefetching: a thread reads batches ahead and puts them on the training's devices."""

import math
import queue
import threading
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.collectives import check_same
from jaxopt_edu.engine.stream import Position, Stream
from jaxopt_edu.train import Batch
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.arrays import plain
from jaxopt_edu.values.kinds import is_missing


class Prefetcher:
    """A training's batches in their order, on their devices, some of them prefetched.

    In a job of several processes each brings its share of every batch. All shares have the rows
    of the first one, in every process; where a later one has fewer, rows of weight 0 are added.
    trainings: on the same data, all of which see these batches; where the model of one mixes
    examples, no rows may be added. ahead: how many batches may wait. stops: the steps after which
    the stream's state is needed. position: where to go on.

    Errors, from `next`: whatever the iterable raises, with a note that says at which batch; those
        of `Stream`; ValueError or TypeError for a batch that is not like the others.
    """

    def __init__(
        self,
        source: Stream,
        placement: Placement,
        trainings: list[Any],
        stops: tuple[int, ...],
        ahead: int,
        position: Position,
    ):
        multiple = math.lcm(*(training.estimator.multiple for training in trainings))
        self.position = position
        self._source, self._placement, self._data = source, placement, trainings[0].data
        self._multiple = multiple * placement.local_devices  # of rows
        self._stops, self._rows = frozenset(stops), position.rows
        self._checked, self._padded = False, not any(map(mixes_rows, trainings))
        self._found: queue.SimpleQueue = queue.SimpleQueue()
        self._room, self._closed = threading.Semaphore(ahead), False
        x64 = jax.enable_x64.value  # JAX keeps it for each thread
        self._thread = threading.Thread(target=self._run, args=(x64,), daemon=True)

    def __enter__(self) -> "Prefetcher":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._closed = True
        self._room.release()
        self._thread.join(timeout=1)  # it may be waiting for its iterable

    def next(self) -> Batch:
        """The next batch; `position` is then the one after it."""
        found = self._found.get()
        if isinstance(found, BaseException):
            raise found
        self._room.release()
        batch, self.position = found
        if not self._checked:
            check_same("the number of rows in the first of the batches", self.position.rows)
            self._checked = True
        return batch

    # ------------------------------------------------------------------------------ its thread

    def _run(self, x64: bool) -> None:
        with jax.enable_x64(x64):
            try:
                self._source.go_to(self.position)
                while not self._closed:
                    found = self._read()
                    self._room.acquire()
                    self._found.put(found)
            except BaseException as error:
                error.add_note(f"in batches=, after {self._source.count} batches")
                self._found.put(error)

    def _read(self) -> tuple[Batch, Position]:
        """The next batch, on its devices, and the position after it."""
        x, y = self._pair(self._source.next())
        n, self._rows = len(y), self._rows or len(y)
        if n > self._rows:
            raise ValueError(f"batches: one of {n} rows after one of {self._rows}")
        rows = self._rows + -self._rows % self._multiple
        if n < rows and not self._padded:
            raise ValueError(
                f"batches: one of {n} rows, where all are to have {rows}: the model mixes "
                "examples, as BatchNorm does, so that padding would be mixed in"
            )
        if n < rows:  # the last one again, of weight 0
            x, y = (np.take(part, range(rows), axis=0, mode="clip") for part in (x, y))
        weights = (np.arange(rows) < n).astype(jax.dtypes.canonicalize_dtype(float))
        batch = Batch(*map(self._on_devices, (x, y, weights)))
        count = self._source.count
        state = self._source.state() if count in self._stops else None
        return batch, Position(count, self._rows, state)

    def _pair(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """x and y as arrays in the dtypes of the data."""
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            kind = "an array" if isinstance(batch, np.ndarray) else f"a {type(batch).__name__}"
            raise TypeError(f"batches: one is {kind}: wanted pairs (x, y)")
        x, y = map(_part, "xy", batch, self._data.train[:2])
        classes = self._data.n_classes
        wrong = [] if classes is None else np.flatnonzero((y < 0) | (y >= classes))
        if len(wrong):
            raise ValueError(
                f"batches: y holds the label {y[wrong[0]]} in row {wrong[0]}: wanted class "
                f"numbers, 0 to {classes - 1} (the data's labels are numbered in their order)"
            )
        if len(x) != len(y) or not len(x):
            raise ValueError(
                f"batches: one has {len(x)} rows in x, {len(y)} in y: wanted as many, at least 1"
            )
        return x, y

    def _on_devices(self, x: np.ndarray) -> jax.Array:
        if self._placement.mesh is None:
            return jax.numpy.asarray(x)
        shape = (jax.process_count() * len(x), *x.shape[1:])
        return jax.make_array_from_process_local_data(self._placement.by_rows, x, shape)


def _part(name: str, given: Any, like: np.ndarray) -> np.ndarray:
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
