"""How long does one wait for a first result?

The README's experiment in a fresh process, with and without a cache of compiled programs: `fit`,
`sweep` (64 trials, 500 steps) with its table, a notebook cell that sweeps, shows the study and
draws it, and the command line's `sweep digits`. OTHER=path/of/another/checkout is measured in turn
with this one: this, other, other, this, ...; a ratio is the median over the pairs. Bytecode is
compiled before, as that of an installed package is. Programs that are compiled side by side share
the cores, so their seconds add up to more than the call takes.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CACHES = ("empty", "full")
ARMS = ("fit", "sweep", "notebook", "digits")
PARTS = {"jaxpr_trace_duration": "trace", "jaxpr_to_mlir_module_duration": "lower",
         "backend_compile_duration": "compile"}  # fmt: skip
TRACED = ("_walk", "init_lanes", "advance_lanes", "score_lanes")


def main() -> None:
    import numpy as np
    from _report import HERE, arguments, commit, publish, seconds

    options = arguments(__doc__, ARMS)
    other = Path(os.environ.get("OTHER", HERE.parent)).resolve()
    trees = {"this": HERE.parent, "other": other}
    rows, parts = [], []
    for arm in options.arms:
        for cache in CACHES:
            found = measured(arm, cache, trees, options)
            rows += [{"arm": arm, "cache": cache, "samples": found}]
            parts += [{"arm": arm, "cache": cache} | part for part in shares(found, seconds)]
    lines = []
    for row in rows:
        for what in ("process", "call"):
            took = {name: [x[what] for x in samples] for name, samples in row["samples"].items()}
            low, ratio, high = np.percentile(np.divide(took["this"], took["other"]), [25, 50, 75])
            row[f"ratio of {what}"] = ratio
            lines.append({
                "arm": row["arm"], "cache": row["cache"], "of": what,
                **{name: seconds(np.median(x)) for name, x in took.items()},
                "this / other": f"{ratio:.3f}", "quartiles": f"{low:.3f} to {high:.3f}",
            })  # fmt: skip
    notes = [
        f"other: {commit(other)}; this: {commit(HERE.parent)}.",
        f"{options.repeats} pairs of fresh processes an arm and cache; medians.",
        "process: from its start to its end; call: of fit, sweep or the command alone.",
    ]
    tables = {"Seconds until there is a result": lines, "Where they go": parts}
    publish(__doc__, options, tables, {"rows": rows}, notes)


def measured(arm: str, cache: str, trees: dict[str, Path], options: Any) -> dict[str, list[dict]]:
    """The seconds of an arm, by part, in fresh processes of both checkouts in turn."""
    from _common import say

    say(f"{arm}, cache {cache}")
    found: dict[str, list[dict]] = {name: [] for name in trees}
    with tempfile.TemporaryDirectory() as place:
        for name, tree in trees.items():  # compiles bytecode, and fills the cache
            child(arm, cache, tree, Path(place) / name, options.quick)
        for pair in range(options.repeats):
            for name in list(trees)[:: 1 if pair % 2 else -1]:
                found[name].append(
                    child(arm, cache, trees[name], Path(place) / name, options.quick)
                )
    return found


def child(arm: str, cache: str, tree: Path, place: Path, quick: bool) -> dict[str, float]:
    """The seconds that a fresh process takes, by part."""
    place.mkdir(exist_ok=True)
    env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {
        "PYTHONPATH": str(tree), "PYTHONPYCACHEPREFIX": str(place / "pyc"),
        "XDG_CACHE_HOME": str(place / "user"),
        "JAX_ENABLE_COMPILATION_CACHE": str(cache == "full").lower(),
    }  # fmt: skip
    if arm != "digits":
        env |= {"JAX_COMPILATION_CACHE_DIR": str(place / "programs"),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}  # fmt: skip
    began = time.perf_counter()
    command = [sys.executable, __file__, "--first", arm, *["--quick"] * quick]
    done = subprocess.run(command, env=env, cwd=place, capture_output=True, text=True)
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{arm} of {tree}:\n{done.stderr}")
    return {"process": took} | json.loads(done.stdout.splitlines()[-1])


def shares(found: dict[str, list[dict]], seconds: Any) -> list[dict[str, str]]:
    """A line for each part, in the order in which it comes."""
    import numpy as np

    names = dict.fromkeys(name for samples in found.values() for one in samples for name in one)
    lines = []
    for part in [name for name in names if name not in ("process", "call")]:
        took = {n: np.median([one.get(part, 0) for one in x]) for n, x in found.items()}
        lines.append({"part": part} | {n: seconds(x) if x else "-" for n, x in took.items()})
    return lines


# ----------------------------------------------------------------------------- a fresh process


def first(arm: str, quick: bool) -> dict[str, float]:
    """What a fresh process does, and the seconds of its parts."""
    parts: dict[str, float] = {}

    def timed(name, f, *args, **kwargs):
        began = time.perf_counter()
        try:
            return f(*args, **kwargs)
        finally:
            parts[name] = parts.get(name, 0) + time.perf_counter() - began

    jax = timed("import jax", __import__, "jax")
    jo = timed("import jaxopt_edu", __import__, "jaxopt_edu")

    def note(event, seconds, **about):
        part, name = PARTS.get(event.rpartition("/")[2]), str(about.get("fun_name", ""))
        name = name.removeprefix("jit(").removesuffix(")")
        if part == "compile":
            part = f"compile {name}" if name in TRACED else "compile others"
        elif name not in TRACED:
            return
        if part:
            parts[part] = parts.get(part, 0) + seconds

    jax.monitoring.register_event_duration_secs_listener(note)
    if arm == "digits":
        timed("call", command_line, jo, timed, quick)
        return parts
    experiment = timed("data and experiment", of_the_readme, jo)
    steps = 20 if quick else 500
    if arm == "fit":
        timed("call", jo.fit, experiment, steps, progress=False)
        return parts
    space = jo.replace(experiment, optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)))
    study = timed("call", jo.sweep, space, 64, steps=steps, progress=False)
    timed("table", study.to_pandas)
    if arm == "notebook":
        timed("page of the cell", study._repr_html_)
        timed("picture", lambda: jo.plot.plot_curves(study)._repr_png_())
    return parts


def of_the_readme(jo: Any) -> Any:
    """The experiment of the README's block."""
    return jo.Training(
        model=jo.models.MLP((64, 32, 10), dropout=0.1),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.chain(jo.clip_by_global_norm(1.0), jo.adam(1e-3)),
        regularizer=jo.L2(1e-4),
        data=jo.data.load("digits", seed=0),
        batch_size=32,
    )


def command_line(jo: Any, timed: Any, quick: bool) -> None:
    """`jaxopt-edu sweep digits`."""
    from jaxopt_edu.cli import main as run

    def clocked(name, f):
        return lambda *args, **kwargs: timed(name, f, *args, **kwargs)

    for module, name, part in (
        (jo.plot, "plot_curves", "pictures"), (jo.plot, "plot_landscape", "pictures"),
        (jo.plot, "save", "pictures"), (jo.report, "report_html", "page"),
    ):  # fmt: skip
        setattr(module, name, clocked(part, getattr(module, name)))
    small = ["--trials", "8", "--steps", "40"] if quick else []
    with tempfile.TemporaryDirectory() as out:
        assert run(["sweep", "digits", "--out", out, *small]) == 0


if __name__ == "__main__":
    if "--first" in sys.argv:
        print(json.dumps(first(sys.argv[2], "--quick" in sys.argv)))
    else:
        main()
