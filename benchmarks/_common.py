"""What the benchmarks share: arms timed in turn, arms in processes of their own, measured peaks.

An arm is one way to do the work. All arms of a comparison run in turn, ABCABC..., so that what
disturbs the machine disturbs them alike; a figure is the median of the repeats, with quartiles.
"""

import argparse
import atexit
import functools
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # leave the peers GPU memory

import jax
import jax.numpy as jnp
import numpy as np

# --------------------------------------------------------------------------------------- arms


@dataclass
class Arm:
    """One way to do the work: `make()` sets it up, and what that returns does `units` of it a call.

    Samples are the seconds of one call; `first` is the first call, which compiles or warms up.
    """

    name: str
    what: str
    make: Callable[[], Callable[[], Any]]
    needs: tuple[str, ...] = ()
    units: int = 1
    calls: int = 1  # in one sample
    first: float = math.nan
    samples: list[float] = field(default_factory=list)
    last: Any = None  # what the last call returned

    def clock(self, run: Callable[[], Any]) -> float:
        """Seconds of one sample."""
        began = time.perf_counter()
        for _ in range(self.calls):
            self.last = run()
        wait(self.last)
        return time.perf_counter() - began

    def sample(self, run: Callable[[], Any], seconds: float) -> None:
        """One more sample, of as many calls as last at least half as long as that."""
        while (took := self.clock(run)) < seconds / 2:
            self.calls = math.ceil(self.calls * seconds / took)
        self.samples.append(took / self.calls)

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """The first quartile, the median and the third quartile of the samples."""
        low, median, high = np.percentile(self.samples, [25, 50, 75])
        return float(low), float(median), float(high)

    @property
    def median(self) -> float:
        return self.quartiles[1]

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.median

    @property
    def rates(self) -> str:
        """The quartiles of the units a second."""
        fast, _, slow = self.quartiles
        return f"{self.units / slow:,.0f} to {self.units / fast:,.0f}"

    @property
    def compiling(self) -> float:
        """How much longer the first call took."""
        return max(self.first - self.median, 0.0)

    def as_dict(self) -> dict[str, Any]:
        low, median, high = self.quartiles
        return {
            "arm": self.name, "what": self.what, "units": self.units, "calls": self.calls,
            "seconds": {"q1": low, "median": median, "q3": high}, "samples": self.samples,
            "units_per_second": self.rate, "compile_seconds": self.compiling,
        }  # fmt: skip


def measure(arms: Iterable[Arm], options: argparse.Namespace) -> list[Arm]:
    """The arms that were asked for and can run here, timed in turn; the absent ones are named."""
    ready = []
    for arm in arms:
        if arm.name not in options.arms:
            continue
        if absent := missing(*arm.needs):
            options.skipped[arm.name] = f"skipped: {absent} is not installed"
            continue
        ready.append((arm, arm.make()))
    say(f"timing {', '.join(arm.name for arm, _ in ready)}")
    for arm, run in ready:
        arm.first = arm.clock(run)
    for _ in range(options.repeats):
        for arm, run in ready:
            arm.sample(run, options.seconds)
    return [arm for arm, _ in ready]


def missing(*packages: str) -> str:
    """The first of these packages that is not installed, or nothing."""
    return next((p for p in packages if importlib.util.find_spec(p) is None), "")


def wait(out: Any) -> None:
    """Until what was started is done."""
    jax.block_until_ready(out)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.synchronize()


def slower(arms: list[Arm], than: str) -> dict[str, str]:
    """How many times slower each arm is than one of them."""
    base = {arm.name: arm.rate for arm in arms}.get(than)
    return {arm.name: f"{base / arm.rate:.2f}" if base else "" for arm in arms}


def say(line: str) -> None:
    """What goes on, on the error stream."""
    print(f"  {line}", file=sys.stderr, flush=True)


# -------------------------------------------------------------------- arms in their own process


class Child:
    """Another process of the same script, which does the work of one arm whenever it is called."""

    def __init__(self, arm: str, options: argparse.Namespace, **environment: str):
        command = [sys.executable, sys.argv[0], "--serve", arm, *["--quick"] * options.quick]
        self.arm = arm
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
        )  # fmt: skip
        atexit.register(self.close)
        self.answer()  # it says when it is ready

    def __call__(self) -> Any:
        self.ask()
        return self.answer()

    def ask(self) -> None:
        self.process.stdin.write("run\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of arm {self.arm} ended; what it said is above")
        return json.loads(line)

    def close(self) -> None:
        self.process.communicate()


def serve(run: Callable[[], float]) -> None:
    """The other side of `Child`: answers every line with what a call of run returns."""
    answers, sys.stdout = sys.stdout, sys.stderr
    print("null", file=answers, flush=True)
    for _ in sys.stdin:
        print(json.dumps(run()), file=answers, flush=True)


# ------------------------------------------------------------------------------ measured peaks


def matmul_peak(options: argparse.Namespace) -> tuple[float, str]:
    """FLOP/s of the best float32 square product, with all cores, and which one it was."""
    found = {}
    sizes = (512, 1024, 1536, 2048) if on_cpu() else (2048, 4096, 8192)
    for n in (256, 512) if options.quick else sizes:
        x = np.random.default_rng(0).standard_normal((n, n), np.float32)
        a = jax.device_put(x)
        runs = {"jax": functools.partial(jax.jit(jnp.dot), a, a)}
        if not missing("torch"):
            b = to_torch(x)
            runs["torch"] = functools.partial(b.mm, b)
        found |= {f"{name}, n = {n}": 2 * n**3 / _best(f, options) for name, f in runs.items()}
    return _largest(found)


def copy_bandwidth(options: argparse.Namespace) -> tuple[float, str]:
    """Bytes/s, read and written, of the best copy of one long array into another."""
    x = np.ones(10**5 if options.quick else 4 * 10**7, np.float32)
    source, target = jax.device_put(x), jnp.zeros(x.shape)
    copy = jax.jit(lambda source, target: -source, donate_argnums=1, keep_unused=True)

    def in_jax():
        nonlocal target
        target = copy(source, target)
        return target

    runs = {"jax": in_jax}
    if not missing("torch"):
        a = to_torch(x)
        runs["torch"] = functools.partial(a.clone().copy_, a)
    size = f"{x.size:,} floats"
    return _largest({f"{k}, {size}": 2 * x.nbytes / _best(f, options) for k, f in runs.items()})


def on_cpu() -> bool:
    """Whether JAX works on the CPU."""
    return jax.default_backend() == "cpu"


def to_torch(x: Any) -> Any:
    """A tensor, on the GPU where there is one."""
    import torch

    return torch.tensor(x, device=_torch_device())


@functools.cache
def _torch_device() -> str:
    """The GPU where there is one, told that products may be in TF32, as JAX's are there."""
    import torch

    if not torch.cuda.is_available():
        return "cpu"
    torch.set_float32_matmul_precision("high")
    return "cuda"


def _best(run: Callable[[], Any], options: argparse.Namespace) -> float:
    """The least seconds a call takes."""
    arm = Arm("peak", "", lambda: run)
    arm.clock(run)
    for _ in range(5):
        arm.sample(run, options.seconds / 4)
    return min(arm.samples)


def _largest(found: dict[str, float]) -> tuple[float, str]:
    which = max(found, key=lambda name: found[name])
    return found[which], which
