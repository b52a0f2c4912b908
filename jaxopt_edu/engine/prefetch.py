"""Prefetching: a thread reads batches ahead and puts them on the training's devices."""

import math
import queue
import threading
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.streams import Position, Stream, pair_like
from jaxopt_edu.engine.collectives import check_same
from jaxopt_edu.train import Batch
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.train.placement import Placement


@dataclass
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

    source: Stream
    placement: Placement
    trainings: list[Any]
    stops: tuple[int, ...]
    ahead: int
    position: Position

    def __post_init__(self) -> None:
        multiple = math.lcm(*(training.estimator.multiple for training in self.trainings))
        self._multiple = multiple * self.placement.local_devices  # of rows
        self._mixing = any(map(mixes_rows, self.trainings))
        self._closed, self._rows = False, self.position.rows
        self._found: queue.SimpleQueue = queue.SimpleQueue()
        self._room = threading.Semaphore(self.ahead)
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
        batch, position = found
        if not self.position.batches:
            check_same("the number of rows in the first of the batches", position.rows)
        self.position = position
        return batch

    # ------------------------------------------------------------------------------ its thread

    def _run(self, x64: bool) -> None:
        with jax.enable_x64(x64):
            try:
                self.source.go_to(self.position)
                while not self._closed:
                    found = self._read()
                    self._room.acquire()
                    self._found.put(found)
            except BaseException as error:
                error.add_note(f"in batches=, after {self.source.count} batches")
                self._found.put(error)

    def _read(self) -> tuple[Batch, Position]:
        """The next batch, on its devices, and the position after it."""
        x, y = pair_like(self.trainings[0].data, self.source.next())
        n, self._rows = len(y), self._rows or len(y)
        if n > self._rows:
            raise ValueError(f"batches: one of {n} rows after one of {self._rows}")
        rows = self._rows + -self._rows % self._multiple
        if n < rows and self._mixing:
            raise ValueError(
                f"batches: one of {n} rows, where all are to have {rows}: the model mixes "
                "examples, as BatchNorm does, so that padding would be mixed in"
            )
        if n < rows:  # the last one again, of weight 0
            x, y = (np.take(part, range(rows), axis=0, mode="clip") for part in (x, y))
        weights = (np.arange(rows) < n).astype(jax.dtypes.canonicalize_dtype(float))
        batch = Batch(*map(self._on_devices, (x, y, weights)))
        state = self.source.state() if self.source.count in self.stops else None
        return batch, Position(self.source.count, self._rows, state)

    def _on_devices(self, x: np.ndarray) -> jax.Array:
        if self.placement.mesh is None:
            return jax.numpy.asarray(x)
        shape = (jax.process_count() * len(x), *x.shape[1:])
        return jax.make_array_from_process_local_data(self.placement.by_rows, x, shape)
