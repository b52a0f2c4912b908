"""Is this checkout as fast as another one?

Arms of benchmarks/fit, sweep, grid, models and federated, each in two processes that differ in the
checkout of jaxopt_edu alone, called in turn: this, other, other, this, ... The first call of each
compiles; a ratio is the median over the pairs of calls of this / other, above 1 where this is
slower. OTHER=path/of/the/other/checkout names it; without it both are this one, which shows what
the machine adds.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np
from _common import Child, say, serve
from _mlp import Work, digits, experiment, mnist_shaped
from _report import HERE, arguments, publish, seconds

import jaxopt_edu as jo

LOW, HIGH = 1e-4, 1e-2
CELLS = {"1x16": (1, 16), "64x16": (64, 16), "256x64": (256, 64), "16x256": (16, 256)}
MODELS = {
    "linear": jo.models.Linear(64, 10),
    "cnn": jo.models.CNN((8, 8), 10, dropout=jo.uniform(0.0, 0.5)),
    "soft-tree": jo.models.SoftTree(64, 10, depth=4),
    "random-features": jo.models.RandomFeatures(64, 10, gamma=jo.log_uniform(0.001, 0.1)),
    "transformer": jo.models.Transformer(64, 10, tokens=8, dropout=jo.uniform(0.0, 0.5)),
}
ARMS = (
    "fit-mnist", "fit-digits", "fit-curve", "fit-short", "sweep-mnist", "sweep-digits",
    "sweep-curve", "sweep-sgd", *(f"grid-{cell}" for cell in CELLS),
    *(f"models-{name}" for name in MODELS), "federated", "federated-10", "private",
)  # fmt: skip


def main() -> None:
    options = arguments(__doc__, ARMS, **{"pairs": (5,)})
    if options.serve:
        return serve(timed(work_of(options.serve, options.quick)))
    other = Path(os.environ.get("OTHER", HERE.parent)).resolve()
    trees = {"this": HERE.parent, "other": other}
    pairs = 2 if options.quick else options.pairs[0]
    rows = [measured(arm, trees, options, pairs) for arm in options.arms]
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
        f"{pairs} pairs of calls an arm; first call: with compilation, one each.",
    ]
    publish(__doc__, options, {"Seconds of a call": lines}, {"rows": rows}, notes)


def measured(arm: str, trees: dict[str, Path], options: Any, pairs: int) -> dict[str, Any]:
    """The calls of an arm in both checkouts, in turn."""
    say(arm)
    children = {name: Child(arm, options, PYTHONPATH=str(tree)) for name, tree in trees.items()}
    first = {name: child() for name, child in children.items()}
    calls: dict[str, list[float]] = {name: [] for name in children}
    for pair in range(pairs):
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


def commit(tree: Path) -> str:
    git = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    return subprocess.run(git, capture_output=True, text=True).stdout.strip()


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
        one, run = experiment(work, jo.adam(1e-3)), {"steps": work.steps} | told
        return lambda: jo.fit(one, progress=False, **run).state.loss.block_until_ready()
    if kind == "sweep":
        work = mnist_shaped(steps(20), 60_000) if which == "mnist" else digits(steps(200))
        every = max(1, work.steps // 20) if which == "curve" else work.steps
        rule = jo.sgd if which == "sgd" else jo.adam
        space = experiment(work, rule(jo.log_uniform(LOW, HIGH)))
        return sweep(space, 128, work.steps, every)
    if kind == "grid":
        count, width = CELLS[which]
        n = steps(150_000 / (1 + width / 40) / count)
        work = digits(n)
        work = Work(work.name, (64, width, 10), work.x, work.y, n)
        rates = np.geomspace(LOW, HIGH, count).astype(np.float32)
        return sweep(experiment(work, jax.vmap(jo.adam)(rates)), None, n, n)
    if kind == "models":
        space = jo.Training(
            model=MODELS[which],
            loss=jo.losses.softmax_cross_entropy_with_integer_labels,
            optimizer=jo.adam(jo.log_uniform(3e-4, 3e-2)),
            regularizer=jo.L2(jo.log_uniform(1e-5, 1e-2)),
            data=jo.data.load("digits"),
            batch_size=32,
        )
        return sweep(space, 8, steps(200), steps(200))
    return descent(special(kind, which), steps(20 if kind == "federated" else 300))


def sweep(space: Any, trials: int | None, steps: int, every: int) -> Any:
    return lambda: jo.sweep(space, trials, steps=steps, eval_every=every, progress=False)


def descent(one: Any, steps: int) -> Any:
    return lambda: jo.fit(one, steps, progress=False).state.loss.block_until_ready()


def special(kind: str, which: str) -> Any:
    """A federated or a private training, as they are made in all versions."""
    data = jo.data.load("digits")
    common = {
        "model": jo.models.MLP((64, 32, 10)),
        "loss": jo.losses.softmax_cross_entropy_with_integer_labels,
        "data": data,
        "optimizer": jo.sgd(0.1),
        "batch_size": 16,
    }
    if kind == "private":
        return jo.privacy.PrivateTraining(max_norm=1.0, noise_multiplier=1.0, **common)
    clients = jo.federated.dirichlet_split(data.train.y, 40, alpha=0.5)
    one = jo.federated.fed_avg(clients=clients, epochs=1, **common)
    return jo.replace(one, at_a_time=int(which)) if which else one


if __name__ == "__main__":
    sys.exit(main())
