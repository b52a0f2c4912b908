"""How long does the bookkeeping of a sweep take, for each trial?

10,000 trials of an experiment with 8 numbers whose one step does nothing: what is left is sampling,
packing, dispatch, the record, the table, and the store where there is one. Compilation is taken
out; pages and pictures are not made. Optuna's samplers ask and are told in batches of 100.
"""

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import missing, say
from _report import arguments, publish, seconds

import jaxopt_edu as jo
from jaxopt_edu.search.export import as_csv
from jaxopt_edu.storage.files import write_text

ARMS = ("random", "sobol", "random-store", "sobol-store", "optuna-random", "optuna-tpe")
WANTED = 40e-6  # seconds a trial
NAMES = "abcdefgh"


@jo.pytree
class Nothing(jo.Experiment):
    """Eight numbers, and a step that does nothing."""

    a: Any
    b: Any
    c: Any
    d: Any
    e: Any
    f: Any
    g: Any
    h: Any

    def init(self, key):
        return sum(getattr(self, name) for name in NAMES)

    def step(self, state, t, key):
        return state, jo.Step()

    def score(self, state, split):
        return {"loss": state}


def main() -> None:
    options = arguments(__doc__, ARMS)
    trials = 200 if options.quick else 10_000
    space = Nothing(*(jo.log_uniform(1e-4, 1.0) for _ in NAMES))
    rows, results = [], []
    for name in options.arms:
        if name.startswith("optuna") and missing("optuna"):
            options.skipped[name] = "skipped: optuna is not installed"
            continue
        few = trials // 20 if name.startswith("optuna") else trials
        say(f"timing {name}")
        one(space, few, name)
        samples = [one(space, few, name) for _ in range(options.repeats)]
        each = float(np.median(samples))
        results.append({"arm": name, "trials": few, "samples": samples})
        rows.append({
            "arm": name, "trials": f"{few:,}", "a trial": seconds(each),
            "quartiles": " to ".join(seconds(x) for x in np.percentile(samples, [25, 75])),
            "of the wanted 40 us": f"{each / WANTED:.2f}",
        })  # fmt: skip
    notes = [
        "A trial: wall time of the call of jo.sweep, and of writing the table where there is a "
        "store, without compilation, over the number of trials."
    ]
    publish(__doc__, options, {"Bookkeeping": rows}, {"rows": results}, notes)


def one(space: Any, trials: int, name: str) -> float:
    """Seconds a trial of one sweep."""
    kind = name.split("-")[0]
    batch = min(100, trials // 2)
    sampler = jo.optuna(name.split("-")[1], batch=batch) if kind == "optuna" else kind
    directory = Path(tempfile.mkdtemp()) if name.endswith("store") else None
    began = time.perf_counter()
    study = jo.sweep(space, trials, steps=1, sampler=sampler, store=directory, progress=False)
    if directory is not None:
        write_text(directory / "trials.csv", as_csv(study))
    took = time.perf_counter() - began - study.info["compile_seconds"]
    if directory is not None:
        shutil.rmtree(directory)
    return took / trials


if __name__ == "__main__":
    main()
