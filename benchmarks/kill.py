"""Does a sweep that is killed at any moment go on to the same study, bit for bit?

Twenty sweeps, with halving, a population, folds or nothing, each in a process of its own that is
killed with SIGKILL at a random moment, started again and killed again, until it comes to its end;
then every column and every curve is compared with those of a sweep that was left alone.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import say
from _report import arguments, publish

import jaxopt_edu as jo

ARMS = ("plain", "halving", "population", "folds")
KILLS = 3  # of one sweep, at most


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "run":
        return run(sys.argv[2], int(sys.argv[3]), Path(os.environ["STORE"])) and None
    options = arguments(__doc__, ARMS)
    count, steps = (2, 2_000) if options.quick else (20, 60_000)
    rng = np.random.default_rng(0)
    whole = {kind: run(kind, steps, None) for kind in options.arms}
    rows, results = [], []
    for i in range(count):
        kind = options.arms[i % len(options.arms)]
        say(f"sweep {i}: {kind}")
        with tempfile.TemporaryDirectory() as directory:
            moments = killed(kind, steps, Path(directory) / "store", rng, options.quick)
            study = run(kind, steps, Path(directory) / "store")
        different = differences(study, whole[kind])
        rows.append({
            "sweep": f"{i} {kind}", "killed after": ", ".join(f"{s:.1f} s" for s in moments),
            "columns and curves": f"{len(tables(study))}", "different": f"{len(different)}",
        })  # fmt: skip
        results.append({"kind": kind, "moments": moments, "different": different})
    failed = sum(bool(row["different"]) for row in results)
    notes = [f"{count - failed} of {count} are equal bit for bit, times excluded."]
    publish(__doc__, options, {"Killed": rows}, {"rows": results}, notes)
    if failed:
        raise SystemExit(1)


def run(kind: str, steps: int, store: Path | None) -> Any:
    base = jo.Training(
        model=jo.models.MLP((64, 16, 10), dropout=0.1),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.one_of(jo.adam(jo.log_uniform(1e-4, 1e-1)), jo.sgd(jo.log_uniform(0.01, 1e4))),
        data=jo.data.load("digits", seed=0),
        batch_size=32,
    )
    policies: dict[str, dict[str, Any]] = {
        "plain": {},
        "halving": {"rungs": jo.halving(4, steps // 16)},
        "population": {"rungs": jo.population(steps // 8)},
        "folds": {"rungs": jo.hyperband(2, steps // 8), "folds": 3, "trials": 6},
    }
    asked = {"trials": 16, "steps": steps, "tile": 4, "store": store} | policies[kind]
    return jo.sweep(base, **asked, progress=False)


def killed(kind: str, steps: int, store: Path, rng: Any, quick: bool) -> list[float]:
    """Starts the sweep and kills it, up to KILLS times; after how many seconds each time."""
    moments: list[float] = []
    command = [sys.executable, __file__, "run", kind, str(steps)]
    for _ in range(1 if quick else KILLS):
        with subprocess.Popen(command, env=os.environ | {"STORE": str(store)}) as child:
            while child.poll() is None and not (store / "sweep.json").exists():
                time.sleep(0.01)
            began = time.perf_counter()
            wait = rng.uniform(0, 2 if quick else 12)
            while child.poll() is None and time.perf_counter() - began < wait:
                time.sleep(0.01)
            if child.poll() is not None:
                return moments
            child.send_signal(signal.SIGKILL)
        moments.append(wait)
    return moments


def tables(study: Any) -> dict[str, np.ndarray]:
    return {**study.columns, **{f"curve {name}": x for name, x in study.lanes.items()}}


def differences(study: Any, whole: Any) -> list[str]:
    """The columns and curves whose bits differ."""
    mine, theirs = tables(study), tables(whole)
    return [
        name for name in {**mine, **theirs}
        if name not in mine or name not in theirs
        or mine[name].astype(str if mine[name].dtype == object else mine[name].dtype).tobytes()
        != theirs[name].astype(str if mine[name].dtype == object else mine[name].dtype).tobytes()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
