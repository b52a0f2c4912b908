"""Do trials that diverge touch the others, or hold them up?

256 trainings of an MLP 64-32-10 with SGD on scikit-learn's digits, 2,000 steps; in a second sweep
every tenth has a learning rate of a million. The others must be equal bit for bit, all deaths
listed, and the second sweep at most 5% longer than the first. Both run in turn.
"""

from typing import Any

import numpy as np
from _common import Arm, measure
from _report import arguments, publish

import jaxopt_edu as jo

ARMS = ("sane", "diverging")
EVERY, SANE, INSANE = 10, 0.05, 1e6


def main() -> None:
    options = arguments(__doc__, ARMS)
    trials, steps = (20, 40) if options.quick else (256, 2000)
    bad = np.arange(trials) % EVERY == EVERY // 2
    rates = np.geomspace(1e-3, 0.3, trials)
    sane = np.where(bad, SANE, rates)

    def arm(name: str, chosen: Any) -> Arm:
        space = experiment(chosen)
        what = "jo.sweep, progress off"
        return Arm(name, what, lambda: lambda: jo.sweep(space, steps=steps, progress=False),
                   units=trials * steps)  # fmt: skip

    timed = measure([arm("sane", sane), arm("diverging", np.where(bad, INSANE, rates))], options)
    one, other = (arm.last for arm in timed)
    names = [n for n, x in one.columns.items() if x.dtype.kind == "f"]
    equal = all(np.array_equal(one.columns[n][~bad], other.columns[n][~bad]) for n in names)
    died = other.columns["status"] == "diverged"
    ratio = timed[1].median / timed[0].median
    rows = [
        {"arm": arm.name, "model-steps/s": f"{arm.rate:,.0f}", "quartiles": arm.rates,
         "time / sane": f"{arm.median / timed[0].median:.3f}",
         "diverged": f"{arm.last.diverged}"} for arm in timed
    ]  # fmt: skip
    steps_of_death = np.unique(other.columns["steps"][died]).tolist()
    notes = [
        f"The other {(~bad).sum()} trials are {'equal' if equal else 'NOT equal'} bit for bit.",
        f"Of {bad.sum()} trials that were to diverge {died[bad].sum()} are listed, of the others "
        f"{died[~bad].sum()}; they died at the steps {steps_of_death}.",
    ]
    results = {"rows": [a.as_dict() for a in timed], "equal": bool(equal), "ratio": ratio}
    publish(__doc__, options, {"Two sweeps": rows}, results, notes)
    if not equal or not (died == bad).all():
        raise SystemExit(1)


def experiment(rates: np.ndarray) -> jo.Training:
    import jax

    return jo.Training(
        model=jo.models.MLP((64, 32, 10)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jax.vmap(jo.sgd)(rates.astype(np.float32)),
        data=jo.data.load("digits", seed=0),
        batch_size=32,
    )


if __name__ == "__main__":
    main()
