"""How many lanes one program carries."""

import math
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.lane import state_bytes
from jaxopt_edu.engine.workers import worker_devices

CPU_BYTES = 2**19  # what the lanes of a tile may keep busy in a core's cache
ACCELERATOR_BYTES = 2**30
CPU_LANES, ACCELERATOR_LANES = 256, 1024
SHARE = 0.8  # of a device's memory that programs may take
OVERHEAD = 0.5  # what a step of a tile costs besides its lanes, in lanes


Work = Sequence[tuple[int, int, int]]


def tile_width(experiment: Any, work: Work = ()) -> int:
    """How many lanes one program carries: a pure function of shapes, the backend and the work.

    On a CPU the states of a tile fit the cache of a core; on an accelerator there are enough of
    them to fill it. Powers of two, at most 256 or 1024.
    work: (groups, lanes, steps) of each stage of a run, where only lanes of one group share a
        tile; with it the width is the one with which the workers are done first, as few lanes
        would leave wide tiles half empty and cores idle.
    """
    lane = state_bytes(experiment)
    cpu = jax.default_backend() == "cpu"
    most, budget = (CPU_LANES, CPU_BYTES) if cpu else (ACCELERATOR_LANES, ACCELERATOR_BYTES)
    widest = min(most, 2 ** int(np.log2(max(budget / max(lane, 1), 1))))
    widths = [2**k for k in range(widest.bit_length())]
    workers = len(worker_devices())
    return min(reversed(widths), key=lambda width: makespan(width, work, workers))


def makespan(width: int, work: Work, workers: int) -> float:
    """How long the busiest worker takes, in the time that a lane takes for a step.

    Formula: sum over the stages of
        steps ceil(groups ceil(lanes / width) / workers) (width + OVERHEAD)
    """
    rounds = [steps * -(-groups * -(-lanes // width) // workers) for groups, lanes, steps in work]
    return sum(rounds) * (width + OVERHEAD)


def program_memory() -> float:
    """The bytes that one program may take: its share of what the device, or the machine, has."""
    devices = worker_devices()
    stats = devices[0].memory_stats() if devices[0].platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return SHARE * stats["bytes_limit"]
    names = getattr(os, "sysconf_names", {})
    if "SC_PHYS_PAGES" not in names:
        return math.inf
    return SHARE * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / len(devices)
