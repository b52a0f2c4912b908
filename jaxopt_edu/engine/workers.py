"""Workers: a thread for each core (CPU) or accelerator of this process, fed by a queue."""

import os
import queue
import signal
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxopt_edu.train.placement import Placement


class Worker(NamedTuple):
    """Which of the workers of all processes, and the device it works on; None: those of a mesh.

    timed: whether it may decide by the clock: not where other processes must decide likewise.
    """

    number: int
    device: Any
    timed: bool = True


class Interrupts:
    """While entered in the main thread, Ctrl-C is heard, to be acted on between two steps.

    heard: whether it was. A second one interrupts at once.
    """

    def __init__(self):
        self._heard = threading.Event()
        self._handler: Any = None

    def __enter__(self) -> "Interrupts":
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self._handler = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)

    @property
    def heard(self) -> bool:
        return self._heard.is_set()

    def _hear(self, *_: Any) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self._heard.set()


class Workers:
    """Threads that run task(job, worker) on what is put in, one for each core or accelerator.

    most: no more of them than this, the first ones: a lone tile stays on one device, and is worked
    on in the thread that calls `get`.

    While entered in the main thread, Ctrl-C is heard by the next `get`, between two segments and
    not in the middle of something; a second one interrupts at once.
    """

    def __init__(
        self, task: Callable[[Any, Worker], None], placement: Placement, most: int | None = None
    ):
        self._todo: queue.SimpleQueue = queue.SimpleQueue()
        self._done: queue.SimpleQueue = queue.SimpleQueue()
        self._task = task
        self._stop = threading.Event()
        self._interrupts = Interrupts()
        workers = workers_of(placement)[:most]
        self._lone = workers[0] if most == 1 else None  # nothing to do meanwhile
        # JAX keeps both settings for each thread
        settings = (jax.enable_x64.value, jax.default_matmul_precision.value)
        self._threads = [
            threading.Thread(target=self._run, args=(worker, *settings), daemon=True)
            for worker in ([] if self._lone else workers)
        ]

    def __enter__(self) -> "Workers":
        self._interrupts.__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._interrupts.__exit__()
        self._stop.set()
        for _thread in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()

    def put(self, job: Any) -> None:
        """Queues a job."""
        self._todo.put(job)

    def get(self) -> Any:
        """The next job that is done; raises what its task raised."""
        while True:
            if self._interrupts.heard:
                raise KeyboardInterrupt
            if self._lone is not None:
                job = self._todo.get()
                with jax.default_device(self._lone.device):
                    self._task(job, self._lone)
                return job
            try:
                job, error = self._done.get(timeout=0.2)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            return job

    def _run(self, worker: Worker, x64: bool, precision: Any) -> None:
        with (
            jax.enable_x64(x64),
            jax.default_matmul_precision(precision),
            jax.default_device(worker.device),
        ):
            while (job := self._todo.get()) is not None and not self._stop.is_set():
                try:
                    self._task(job, worker)
                    self._done.put((job, None))
                except BaseException as error:
                    self._done.put((job, error))


def workers_of(placement: Placement) -> list[Worker]:
    """The workers of this process: one for each of its cores or accelerators, or for a mesh."""
    if placement.mesh is not None:
        return [Worker(0, None, timed=jax.process_count() == 1)]
    devices = worker_devices()
    first = jax.process_index() * len(devices)
    return [Worker(i, device) for i, device in enumerate(devices, first)]


def worker_devices() -> list:
    """The device of each worker: every accelerator once, or the CPU once for each core."""
    devices = jax.local_devices()
    if devices[0].platform == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        devices = devices * -(-cores // len(devices))
    return devices
