"""Does Optuna's TPE in batches of 64 find better trials than random search?

An MLP 64-32-10 on scikit-learn's handwritten digits, batch size 32, 512 trials of 2,000 steps, six
numbers: learning rate, b1 and b2 of Adam, the norm that gradients are clipped to, dropout and the
weight of an L2 penalty. For each seed every arm searches once, in turn; the winner is the trial of
least validation loss.
"""

import tempfile
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from _common import missing, say
from _report import arguments, publish, seconds

import jaxopt_edu as jo
from jaxopt_edu.values.space import groups

SAMPLERS = {
    "random": ("independent points", lambda batch: jo.Random()),
    "tpe": ("TPE, each number by itself", lambda batch: jo.optuna("tpe", batch=batch)),
    "tpe-joint": (
        "TPE, all numbers together, Optuna's own default",
        lambda batch: jo.optuna("tpe", batch=batch, multivariate=True),
    ),
}


@dataclass
class Searches:
    """What one arm found and took, a number for each seed."""

    name: str
    samples: list[float] = field(default_factory=list)  # seconds of a sweep
    compiling: list[float] = field(default_factory=list)  # of these
    sampling: list[float] = field(default_factory=list)  # of these
    losses: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    last: Any = None

    def as_dict(self) -> dict[str, Any]:
        return {"arm": self.name} | {
            k: v for k, v in vars(self).items() if k not in ("name", "last")
        }


def main() -> None:
    options = arguments(__doc__, tuple(SAMPLERS))
    trials, batch, steps = (16, 8, 20) if options.quick else (512, 64, 2000)
    if absent := missing("optuna"):
        raise SystemExit(f"this benchmark is about {absent}, which is not installed")
    arms = [Searches(name) for name in options.arms]
    for seed in range(options.repeats):
        for arm in arms:
            say(f"seed {seed}: {arm.name}")
            search(arm, trials, batch, steps, seed)
    notes = [
        f"{trials} trials of {steps:,} steps; medians of {options.repeats} seeds, with quartiles.",
        "time: of the whole sweep, less compilation. sampler: what of it is asking for points and "
        "telling scores, measured by doing so once more; the points came out the same.",
        *(f"{name}: {what}." for name, (what, _) in SAMPLERS.items()),
        loaded(arms[-1].last),
    ]
    results = {"trials": trials, "batch": batch, "steps": steps,
               "rows": [arm.as_dict() for arm in arms]}  # fmt: skip
    publish(__doc__, options, {"MLP 64-32-10 on digits": lines(arms)}, results, notes)


def lines(arms: list[Searches]) -> list[dict[str, str]]:
    def quartiles(x):
        return "{:.4f} to {:.4f}".format(*np.percentile(x, [25, 75]))

    base = np.asarray(arms[0].losses)
    return [
        {
            "arm": arm.name,
            "winner's validation loss": f"{np.median(arm.losses):.4f}",
            "quartiles": quartiles(arm.losses),
            f"ratio to {arms[0].name}'s": f"{np.median(arm.losses / base):.3f}",
            "better in": f"{np.sum(arm.losses < base)} of {len(base)}",
            "its test accuracy": f"{np.median(arm.accuracies):.4f}",
            "time": seconds(float(np.median(np.subtract(arm.samples, arm.compiling)))),
            "sampler": seconds(float(np.median(arm.sampling))),
        }
        for arm in arms
    ]


def space(seed: int) -> jo.Training:
    return jo.Training(
        model=jo.models.MLP((64, 32, 10), dropout=jo.uniform(0.0, 0.5)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.chain(
            jo.clip_by_global_norm(jo.log_uniform(0.1, 10.0)),
            jo.adam(jo.log_uniform(1e-4, 1e-1), jo.uniform(0.5, 0.99), jo.uniform(0.9, 0.9999)),
        ),
        regularizer=jo.L2(jo.log_uniform(1e-6, 1e-2)),
        data=jo.data.load("digits", seed=seed),
        batch_size=32,
    )


def search(arm: Searches, trials: int, batch: int, steps: int, seed: int) -> None:
    """One more sweep of an arm."""
    sampler, where = SAMPLERS[arm.name][1](batch), space(seed)
    began = time.perf_counter()
    study = jo.sweep(where, trials, steps=steps, seed=seed, sampler=sampler, progress=False)
    arm.samples.append(time.perf_counter() - began)
    arm.compiling.append(study.info["compile_seconds"])
    arm.sampling.append(again(study, sampler))
    arm.losses.append(study.scores()["rank_loss"])
    arm.accuracies.append(study.scores()["test_accuracy"])
    arm.last = study


def again(study: jo.Study, sampler: Any) -> float:
    """Seconds that the sampler takes to ask for all points and to be told all scores."""
    scores = study.columns["rank_loss"]
    began = time.perf_counter()
    asking = sampler.start(groups(study.space), len(study), study.seed, "min")
    for first in range(0, len(study), asking.batch):
        mine = slice(first, min(first + asking.batch, len(study)))
        for (name, _), x in asking.ask(mine.stop - first).items():
            np.testing.assert_array_equal(x, study.columns[name][mine])
        asking.tell(scores[mine])
    return time.perf_counter() - began


def loaded(study: jo.Study) -> str:
    """A note on what Optuna finds in a storage that a study was written to."""
    import optuna

    with tempfile.TemporaryDirectory() as directory:
        url = f"sqlite:///{directory}/study.db"
        began = time.perf_counter()
        jo.to_optuna(study, url, "digits")
        took = time.perf_counter() - began
        found = len(optuna.load_study(study_name="digits", storage=url).trials)
    return (
        f"optuna.load_study finds {found} of {len(study)} trials in SQLite; writing them took "
        f"{seconds(took / len(study))} a trial."
    )


if __name__ == "__main__":
    main()
