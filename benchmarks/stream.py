"""Does a stream larger than memory train in bounded memory, and go on at the right batch?

Synthetic batches of 4 MiB, made one by one, train an MLP in a process of its own, which reports
the most memory that it held beyond what it held before the first batch, compilation included. A
second process is killed with SIGKILL half-way and started again; its params are compared with those
of the one that was left alone.
"""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import say
from _report import arguments, publish

import jaxopt_edu as jo

ROWS, FEATURES, CLASSES = 1024, 1024, 10
BATCH = 4 * ROWS * (FEATURES + 1)  # bytes
ALLOWED = 10**9  # bytes beyond those before the first batch


class Stream:
    """Batch i is made from the seed i; all of them would not fit into the memory allowed."""

    def __init__(self, die_at: int | None = None):
        self.place, self.made, self.die_at = 0, 0, die_at

    def __iter__(self):
        return self

    def __next__(self):
        if self.place == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        rng = np.random.default_rng(self.place)
        x = rng.standard_normal((ROWS, FEATURES), np.float32)
        self.place, self.made = self.place + 1, self.made + 1
        return x, np.argmax(x[:, :CLASSES], axis=1)

    def get_state(self):
        return self.place

    def set_state(self, place):
        self.place = place


def main() -> None:
    options = arguments(__doc__, ("whole", "again"))
    steps = 64 if options.quick else 512
    with tempfile.TemporaryDirectory() as directory:
        whole, killed = Path(directory) / "whole", Path(directory) / "killed"
        say(f"{steps} batches")
        found = {"left alone": in_process(steps, whole)}
        say("killed half-way, started again")
        in_process(steps, killed, steps // 2)
        found["started again"] = in_process(steps, killed)
    same = len({one["params"] for one in found.values()}) == 1
    bounded = all(one["extra"] < ALLOWED for one in found.values())
    rows = [
        {
            "process": name, "batches made": f"{one['made']}",
            "streamed": f"{one['made'] * BATCH / 1e9:.2f} GB",
            "memory before": f"{one['before'] / 1e9:.2f} GB",
            "most beyond it": f"{one['extra'] / 1e9:.2f} GB",
        }
        for name, one in found.items()
    ]  # fmt: skip
    notes = [
        f"Params after {steps} steps: {'equal bit for bit' if same else 'DIFFERENT'}.",
        f"Less than 1 GB of extra memory: {'yes' if bounded else 'NO'}.",
    ]
    publish(
        __doc__, options, {"Memory": rows}, {"streamed": steps * BATCH, "processes": found}, notes
    )
    if not (same and bounded):
        raise SystemExit(1)


def in_process(steps: int, store: Path, die_at: int = -1) -> dict[str, Any]:
    """What a process that trains from a stream says at its end; nothing where it is to die."""
    command = [sys.executable, __file__, "run", str(steps), str(store), str(die_at)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    wanted = 0 if die_at < 0 else -signal.SIGKILL
    if done.returncode != wanted:
        raise RuntimeError(f"the process ended with {done.returncode}: what it said is above")
    return {} if done.returncode else json.loads(done.stdout)


def run(steps: int, store: Path, die_at: int) -> None:
    stream = Stream()
    x, y = next(stream)
    experiment = jo.Training(
        model=jo.models.MLP((FEATURES, 128, CLASSES)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(1e-3),
        data=jo.data.from_arrays(x[:256], y[:256], prepare=None),
    )
    stream = Stream(die_at)
    before = resident()
    trained = jo.fit(experiment, steps, batches=stream, store=store, progress=False)
    most = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    params = b"".join(np.asarray(x).tobytes() for x in jax.tree.leaves(trained.params))
    digest = hashlib.sha256(params).hexdigest()
    told = {"made": stream.made, "before": before, "extra": most - before, "params": digest}
    print(json.dumps(told))


def resident() -> int:
    """Bytes of memory that this process holds."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        run(int(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
