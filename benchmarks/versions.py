"""Is this checkout as fast as another one?

Arms of benchmarks/fit, sweep, grid, models and federated, each in two processes that differ in the
checkout of jaxopt_edu alone, called in turn: this, other, other, this, ... The first call of each
compiles; a ratio is the median over the pairs of calls of this / other, above 1 where this is
slower. OTHER=path/of/the/other/checkout names it; without it both are this one, which shows what
the machine adds.
"""

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import Child, say, serve
from _mlp import digits, experiment, mnist_shaped
from _report import HERE, arguments, commit, publish, seconds
from federated import averaging
from models import MODELS, space_of
from sweep import ours as swept

import jaxopt_edu as jo

CELLS = {"1x16": (1, 16), "64x16": (64, 16), "256x64": (256, 64), "16x256": (16, 256)}
ARMS = (
    "fit-mnist", "fit-digits", "fit-curve", "fit-short", "sweep-mnist", "sweep-digits",
    "sweep-curve", "sweep-sgd", *(f"grid-{cell}" for cell in CELLS),
    *(f"models-{name}" for name in MODELS), "federated", "federated-10", "private",
)  # fmt: skip


def main() -> None:
    options = arguments(__doc__, ARMS)
    if options.serve:
        return serve(timed(work_of(options.serve, options.quick)))
    other = Path(os.environ.get("OTHER", HERE.parent)).resolve()
    trees = {"this": HERE.parent, "other": other}
    rows = [measured(arm, trees, options) for arm in options.arms]
    lines = [
        {
            "arm": row["arm"],
            "this": seconds(np.median(row["this"])),
            "other": seconds(np.median(row["other"])),
            "this / other": f"{row['ratio']:.3f}",
            "quartiles": "{:.3f} to {:.3f}".format(*row["quartiles"]),
            "first call": seconds(row["first"]["this"]),
            "of other": seconds(row["first"]["other"]),
        }
        for row in rows
    ]
    ratios = [row["ratio"] for row in rows]
    firsts = [row["first"]["this"] / row["first"]["other"] for row in rows]
    notes = [
        f"other: {commit(other)}; this: {commit(HERE.parent)}.",
        f"this / other over all arms: median {np.median(ratios):.3f}, worst {max(ratios):.3f}; "
        f"of first calls: median {np.median(firsts):.3f}.",
        f"{options.repeats} pairs of calls an arm; first call: with compilation, one each.",
    ]
    publish(__doc__, options, {"Seconds of a call": lines}, {"rows": rows}, notes)


def measured(arm: str, trees: dict[str, Path], options: Any) -> dict[str, Any]:
    """The calls of an arm in both checkouts, in turn."""
    say(arm)
    children = {name: Child(arm, options, PYTHONPATH=str(tree)) for name, tree in trees.items()}
    first = {name: child() for name, child in children.items()}
    calls: dict[str, list[float]] = {name: [] for name in children}
    for pair in range(options.repeats):
        for name in list(children)[:: 1 if pair % 2 else -1]:
            calls[name].append(children[name]())
    for child in children.values():
        child.close()
    ratios = np.divide(calls["this"], calls["other"])
    low, ratio, high = np.percentile(ratios, [25, 50, 75])
    return {"arm": arm, "first": first, "ratio": ratio, "quartiles": (low, high), **calls}


def timed(run: Any) -> Any:
    """The seconds that a call takes."""

    def clock() -> float:
        began = time.perf_counter()
        run()
        return time.perf_counter() - began

    return clock


# ---------------------------------------------------------------------------------------- arms


def work_of(arm: str, quick: bool) -> Any:
    """What a call of an arm does."""
    kind, _, which = arm.partition("-")
    scale = 0.02 if quick else 1.0

    def steps(n: int) -> int:
        return max(5, int(n * scale))

    if kind == "fit":
        work = mnist_shaped(steps(600), 60_000) if which == "mnist" else digits(steps(8000))
        told = {"short": {"steps": 5}, "curve": {"eval_every": steps(40)}}.get(which, {})
        return fitted(experiment(work, jo.adam(1e-3)), **{"steps": work.steps} | told)
    if kind == "sweep":
        work = mnist_shaped(steps(20), 60_000) if which == "mnist" else digits(steps(200))
        every = max(1, work.steps // 20) if which == "curve" else None
        return swept(work, 128, every, jo.sgd if which == "sgd" else jo.adam)
    if kind == "grid":
        count, width = CELLS[which]
        work = digits(steps(150_000 / (1 + width / 40) / count))
        return swept(replace(work, sizes=(64, width, 10)), count)
    if kind == "models":
        space, n = space_of(MODELS[which], seed=0), steps(200)
        return lambda: jo.sweep(space, 8, steps=n, eval_every=n, progress=False)
    if kind == "federated":
        one = averaging(40)
        return fitted(jo.replace(one, at_a_time=int(which)) if which else one, steps(20))
    one = jo.privacy.PrivateTraining(
        model=jo.models.MLP((64, 32, 10)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(0.1),
        data=jo.data.load("digits"),
        batch_size=16,
        max_norm=1.0,
        noise_multiplier=1.0,
    )
    return fitted(one, steps(300))


def fitted(one: Any, steps: int, **options: Any) -> Any:
    return lambda: jax.block_until_ready(jo.fit(one, steps, progress=False, **options).state)


if __name__ == "__main__":
    sys.exit(main())
