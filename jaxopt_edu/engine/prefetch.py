"""Prefetching: a thread reads batches ahead and puts them on the training's devices."""

import math
import queue
import threading
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.collectives import check_same, processes
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
        data = trainings[0].data
        multiple = math.lcm(*(training.estimator.multiple for training in trainings))
        self.position = position
        self._source, self._placement, self._like = source, placement, data.train
        self._multiple = multiple * placement.local_devices  # of rows
        self._stops, self._rows = frozenset(stops), position.rows
        self._queue: queue.Queue = queue.Queue(maxsize=ahead)
        self._closed, self._classes = threading.Event(), data.n_classes
        self._checked, self._padded = False, not any(map(mixes_rows, trainings))
        self._x64 = jax.enable_x64.value  # JAX keeps it for each thread
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Prefetcher":
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._closed.set()
        self._thread.join(timeout=1)  # it may be waiting for its iterable

    def next(self) -> Batch:
        """The next batch; `position` is then the one after it."""
        batch, position, error = self._queue.get()
        if error is not None:
            raise error
        if not self._checked:
            check_same("the number of rows in the first of the batches", position.rows)
            self._checked = True
        self.position = position
        return batch

    # ------------------------------------------------------------------------------ its thread

    def _run(self) -> None:
        with jax.enable_x64(self._x64):
            try:
                self._source.go_to(self.position)
                while not self._closed.is_set():
                    self._put((*self._read(), None))
            except BaseException as error:
                error.add_note(f"in batches=, after {self._source.count} batches")
                self._put((None, None, error))

    def _put(self, item: tuple) -> None:
        """Waits for a place in the queue, for as long as somebody may take it from there."""
        while not self._closed.is_set():
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue

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
        weights = (np.arange(rows) < n).astype(jax.dtypes.canonicalize_dtype(float))
        batch = Batch(*map(self._on_devices, (_stretched(x, rows), _stretched(y, rows), weights)))
        count = self._source.count
        state = self._source.state() if count in self._stops else None
        return batch, Position(count, self._rows, state)

    def _pair(self, batch: Any) -> tuple[np.ndarray, np.ndarray]:
        """x and y as arrays in the dtypes of the data."""
        if not isinstance(batch, tuple | list) or len(batch) != 2:
            kind = "an array" if isinstance(batch, np.ndarray) else f"a {type(batch).__name__}"
            raise TypeError(f"batches: one is {kind}: wanted pairs (x, y)")
        pair = []
        for name, found, like in zip("xy", batch, self._like[:2], strict=True):
            found = plain(f"batches: {name}", found)
            if found.ndim == 0 or found.shape[1:] != like.shape[1:]:
                wanted = f"(rows, {', '.join(map(str, like.shape[1:]))})"
                raise ValueError(f"batches: {name} has shape {found.shape}: wanted {wanted}")
            if not np.can_cast(found.dtype, like.dtype, "same_kind"):
                raise TypeError(f"batches: {name} is {found.dtype}: wanted {like.dtype}")
            if is_missing(found).any():
                row = np.argwhere(is_missing(found))[0, 0]
                raise ValueError(f"batches: {name} holds missing values, first in row {row}")
            pair.append(found.astype(like.dtype, copy=False))
        self._check_labels(found)
        if len(pair[0]) != len(pair[1]) or not len(pair[0]):
            raise ValueError(
                f"batches: one has {len(pair[0])} rows in x, {len(pair[1])} in y: wanted as many, "
                "at least 1"
            )
        return pair[0], pair[1]

    def _check_labels(self, y: np.ndarray) -> None:
        """ValueError for a label that is no class of the data."""
        if self._classes is None:
            return
        wrong = np.flatnonzero((y < 0) | (y >= self._classes))
        if len(wrong):
            raise ValueError(
                f"batches: y holds the label {y[wrong[0]]} in row {wrong[0]}: wanted class "
                f"numbers, 0 to {self._classes - 1} (the data's labels are numbered in their order)"
            )

    def _on_devices(self, x: np.ndarray) -> jax.Array:
        if self._placement.mesh is None:
            return jax.numpy.asarray(x)
        shape = (processes() * len(x), *x.shape[1:])
        return jax.make_array_from_process_local_data(self._placement.by_rows, x, shape)


def _stretched(x: np.ndarray, rows: int) -> np.ndarray:
    """x with its last row repeated until there are so many."""
    return np.concatenate([x, np.repeat(x[-1:], rows - len(x), axis=0)]) if rows > len(x) else x
