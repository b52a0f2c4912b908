"""How does the time of a study grow with its trials?

10,000 and 100,000 trainings of a line, 16 steps each, at random, with median stopping, and with
Hyperband: the sweep, its table, its rows, its pictures and its page, each size in a process of its
own. Linear growth is a factor of 10.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

PICTURES = ("curves", "landscape", "history", "importance", "parallel", "slices", "timeline",
            "contour", "divergence", "rungs")  # fmt: skip
ARMS = ("random", "median", "hyperband")
SIZES = (10_000, 100_000)


def main() -> None:
    import numpy as np
    from _common import say
    from _report import arguments, publish, seconds

    options = arguments(__doc__, ARMS)
    few, many = (100, 1000) if options.quick else SIZES
    rows: list[dict[str, Any]] = []
    for arm in options.arms:
        found: dict[int, list[dict[str, float]]] = {few: [], many: []}
        for _ in range(options.repeats):
            for count, samples in found.items():
                say(f"{arm}, {count:,} trials")
                samples.append(in_a_process(arm, count))
        rows += [
            {"arm": arm, "part": part}
            | {str(n): float(np.median([one[part] for one in x])) for n, x in found.items()}
            for part in found[few][0]
        ]
    lines, memory = [], []
    for row in rows:
        small, large = row[str(few)], row[str(many)]
        head = {"arm": row["arm"], "part": row["part"]}
        if row["part"] == "memory":
            memory.append(
                head | {f"{n:,}": f"{x:,.0f} MiB" for n, x in ((few, small), (many, large))}
            )
        else:
            took = {f"{few:,}": seconds(small), f"{many:,}": seconds(large)}
            lines.append(head | took | {"growth": f"{large / small:.1f}"})
    notes = [
        f"Medians of {options.repeats} processes. memory: the most that a process held.",
        "growth: how many times as long ten times as many trials take.",
    ]
    tables = {"Seconds": lines, "Memory": memory}
    publish(__doc__, options, tables, {"rows": rows}, notes)


def in_a_process(arm: str, count: int) -> dict[str, float]:
    """The seconds of the parts, and the memory, of a fresh process."""
    command = [sys.executable, __file__, "--count", arm, str(count)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{arm}, {count} trials:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def parts_of(arm: str, count: int) -> dict[str, float]:
    """The seconds of the parts of a study, and the memory of this process in MiB."""
    import jaxopt_edu as jo

    warnings.filterwarnings("ignore", "rungs: ")  # they judge noise: it is the host that is timed
    parts: dict[str, float] = {}

    def timed(name, f, *args):
        began = time.perf_counter()
        out = f(*args)
        parts[name] = parts.get(name, 0) + time.perf_counter() - began
        return out

    space = jo.Training(
        model=jo.models.Linear(1),
        loss=jo.losses.squared_error,
        optimizer=jo.sgd(jo.log_uniform(1e-3, 1.0), momentum=jo.uniform(0.0, 0.9)),
        data=jo.data.load("linear"),
        batch_size=8,
    )
    rungs = {"random": None, "median": jo.median_stopping(4), "hyperband": jo.hyperband(3, 2)}[arm]

    def swept(trials):
        return jo.sweep(
            space, trials, steps=16, eval_every=4, rungs=rungs, tile=256, progress=False
        )

    swept(64)  # compiles
    study = timed("sweep", swept, count)
    timed("table", study.to_pandas)
    timed("rows", lambda: [study.row(trial) for trial in range(len(study))])
    picture = Path(tempfile.mkdtemp()) / "picture.png"
    for name in PICTURES:
        figure = timed("pictures", getattr(jo.plot, f"plot_{name}"), study)
        timed("pictures", jo.plot.save, figure, picture)
    shutil.rmtree(picture.parent)
    timed("page", jo.report.report_html, study)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return parts | {"memory": held / (2**20 if sys.platform == "darwin" else 2**10)}


if __name__ == "__main__":
    if "--count" in sys.argv:
        print(json.dumps(parts_of(sys.argv[2], int(sys.argv[3]))))
    else:
        main()
