"""Workers: a thread for each core (CPU) or accelerator of this process, fed by a queue."""

import contextlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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


def on_workers(
    task: Callable[[Any, Worker], Any], jobs: Sequence[Any], placement: Placement
) -> Iterator[Any]:
    """Runs task(job, worker) for each job and yields the job; what it returns is a job to queue.

    A lone job stays on one device, and is worked on in the thread that asks.
    Errors: what a task raises.
    """
    workers, going = workers_of(placement)[: len(jobs)], len(jobs)
    if going == 1:  # nothing to do meanwhile
        [job], [worker] = jobs, workers
        while job:
            with _at(worker.device):
                rest = task(job, worker)
            yield job
            job = rest
        return
    done: queue.SimpleQueue[Future] = queue.SimpleQueue()
    mine, others = threading.local(), iter(workers)
    # JAX keeps both settings for each thread
    x64, precision = jax.enable_x64.value, jax.default_matmul_precision.value

    def begin() -> None:
        mine.worker = next(others)

    def work(job: Any) -> tuple[Any, Any]:
        with (
            jax.enable_x64(x64),
            jax.default_matmul_precision(precision),
            _at(mine.worker.device),
        ):
            return job, task(job, mine.worker)

    pool = ThreadPoolExecutor(len(workers), initializer=begin)
    try:
        for job in jobs:
            pool.submit(work, job).add_done_callback(done.put)
        while going:
            job, rest = done.get().result()
            yield job
            if rest:
                pool.submit(work, rest).add_done_callback(done.put)
            else:
                going -= 1
    finally:
        pool.shutdown(cancel_futures=True)


def _at(device: Any) -> contextlib.AbstractContextManager[Any]:
    """On a device: nothing where JAX is there anyhow, so that what was traced before is known."""
    chosen = jax.default_device.value
    if chosen is None and device in (None, jax.local_devices()[0]):
        return contextlib.nullcontext()
    return jax.default_device(device)


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
