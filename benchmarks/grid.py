"""Is a sweep ever slower than a plain vmap, or than a loop?

K trainings of an MLP 64-width-10 with Adam, batch size 32, on scikit-learn's digits, each with its
own learning rate, for several K and widths: jo.sweep; one jax.jit(jax.vmap(train)) over all K; and
jax.jit(train) K times, train being one lax.scan with optax over batches drawn beforehand. Steps are
so many that a sample lasts about a second; where one step of all takes longer, ten.
"""

from typing import Any

import jax
import numpy as np
from _common import Arm, measure, on_cpu, say
from _mlp import Work, digits, experiment, train
from _report import arguments, publish

import jaxopt_edu as jo

ARMS = ("ours", "vmap", "loop")
COUNTS, WIDTHS = (1, 4, 16, 64, 256, 1024), (16, 64, 256, 1024)
CPU_RATE, ACCELERATOR_RATE = 150_000, 4_000_000  # guessed steps a second of the smallest model
LOW, HIGH = 1e-4, 1e-2


def main() -> None:
    options = arguments(__doc__, ARMS, counts=COUNTS, widths=WIDTHS)
    counts, widths = ((1, 4), (16,)) if options.quick else (options.counts, options.widths)
    rows, results = [], []
    for width in widths:
        for count in counts:
            say(f"width {width}, K = {count}")
            work = digits(steps_of(count, width, options.quick))
            work = Work(work.name, (64, width, 10), work.x, work.y, work.steps)
            timed = measure(arms(work, count), options)
            rows.append(line(width, count, work.steps, timed))
            about = {"width": width, "K": count, "steps": work.steps}
            results.append(about | {"rows": [arm.as_dict() for arm in timed]})
            jax.clear_caches()
    short = [row for row in rows if row["short"]]
    notes = [
        "model-steps a second, medians; ours / ...: how many times faster ours is; above 0.95 it "
        "is at most 5% slower.",
        f"{len(short)} of {len(rows)} cells fall short of 0.95 of the better of the two.",
    ]
    tables = {"Model-steps a second": rows}
    publish(__doc__, options, tables, {"workloads": results}, notes)


def steps_of(count: int, width: int, quick: bool) -> int:
    """Steps that all trainings take in about a second."""
    if quick:
        return 20
    rate = (CPU_RATE if on_cpu() else ACCELERATOR_RATE) / (1 + width / 40)
    return int(min(max(rate / count, 10), 20_000))


def line(width: int, count: int, steps: int, timed: list[Arm]) -> dict[str, str]:
    rate = {arm.name: arm.rate for arm in timed}
    ratios = {name: rate["ours"] / rate[name] for name in ("vmap", "loop") if name in rate}
    return {
        "width": f"{width}", "K": f"{count}", "steps": f"{steps:,}",
        **{arm.name: f"{arm.rate:,.0f}" for arm in timed},
        **{f"ours / {name}": f"{x:.2f}" for name, x in ratios.items()},
        "short": "*" if ratios and min(ratios.values()) < 0.95 else "",
    }  # fmt: skip


def arms(work: Work, count: int) -> list[Arm]:
    rates = np.geomspace(LOW, HIGH, count).astype(np.float32)
    data = [jax.device_put(a) for a in (work.x, work.y, work.rows())]
    units = count * work.steps

    def ours() -> Any:
        batch = experiment(work, jax.vmap(jo.adam)(rates))
        run = {"steps": work.steps, "eval_every": work.steps}
        return lambda: jo.sweep(batch, **run, progress=False)

    def vmap() -> Any:
        program = jax.jit(lambda r, *d: jax.vmap(lambda x: train(x, work.sizes, *d))(r))
        return lambda: program(rates, *data)

    def loop() -> Any:
        program = jax.jit(train, static_argnames="sizes")
        return lambda: [program(rate, work.sizes, *data) for rate in rates]

    return [
        Arm("ours", "jo.sweep", ours, units=units),
        Arm("vmap", "jax.jit(jax.vmap(train))", vmap, ("optax",), units=units),
        Arm("loop", "jax.jit(train), one after another", loop, ("optax",), units=units),
    ]


if __name__ == "__main__":
    main()
