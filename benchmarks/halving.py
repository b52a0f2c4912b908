"""What do rungs save, and what do they find?

1,024 trials of an MLP 64-32-10 on scikit-learn's digits, 2,560 steps each, Adam with learning rate,
L2 and initial gain sampled: all at full length; and by successive halving with eta 4 and a first
rung at 40 steps (the default), or at 10, which ranks noise. Random search at equal work is the best
of as many full trainings as have the lane-steps that halving executed. Five seeds of the samples
and of the initial weights; all programs are compiled before anything is timed.
"""

import time
import warnings
from typing import Any

import numpy as np
from _common import say
from _report import arguments, publish

import jaxopt_edu as jo

ETA, FIRST, TOO_EARLY = 4, 40, 10
ARMS = ("full", "halving", "halving-early", "one")


def main() -> None:
    options = arguments(__doc__, ARMS)
    warnings.filterwarnings("ignore", "rungs: ")  # one arm judges too early on purpose
    trials, steps, seeds = (16, 160, 2) if options.quick else (1024, 2560, 5)
    first, early = (FIRST, TOO_EARLY) if not options.quick else (10, 3)
    space = search_space()
    policies = {"full": None, "halving": jo.halving(ETA, first),
                "halving-early": jo.halving(ETA, early)}  # fmt: skip
    tile = jo.sweep(space, trials, steps=steps, rungs=policies["halving"], eval_every=steps).tile
    found: list[dict[str, Any]] = []
    for seed in range(seeds):
        say(f"seed {seed}")
        studies, took = {}, {}
        for name, rungs in policies.items():
            began = time.perf_counter()
            studies[name] = jo.sweep(
                space, trials, steps=steps, seed=seed, rungs=rungs, tile=tile, eval_every=steps,
                progress=False,
            )  # fmt: skip
            took[name] = time.perf_counter() - began
        found.append({"seed": seed} | outcome(studies, took, steps))
    alone = one_after_another(space, 4 if options.quick else 16, steps)
    rows = [line(row) for row in found]
    medians = {k: float(np.median([row[k] for row in found])) for k in found[0] if k != "seed"}
    rows.append({"seed": "median"} | {k: v for k, v in line(medians | {"seed": 0}).items()
                                      if k != "seed"})  # fmt: skip
    factors = factor_table(medians, alone, trials * steps)
    notes = [
        f"Tile width {tile} in all arms; eta {ETA}; first rung at {first} and at {early} steps.",
        "loss: of the winner on the validation part; equal work: the winner's loss over that of "
        "random search with as many executed lane-steps; regret: the winner's loss minus that of "
        "all trials at full length.",
        "useful: executed over useful lane-steps, over the rungs with at least 64 survivors.",
        "The factors multiply to what a sweep saves over one training after another; the first two "
        "change no result, the third does. Masked: stopped lanes go on computing.",
    ]
    tables = {"Five seeds": rows, "Factors": factors}
    publish(__doc__, options, tables, {"rows": found, "one": alone, "factors": factors}, notes)


def search_space() -> jo.Training:
    return jo.Training(
        model=jo.models.MLP((64, 32, 10), gain=jo.log_uniform(0.3, 3.0)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)),
        regularizer=jo.L2(jo.log_uniform(1e-6, 1e-2)),
        data=jo.data.load("digits", seed=0),
        batch_size=32,
    )


def outcome(studies: dict[str, Any], took: dict[str, float], steps: int) -> dict[str, float]:
    """What the studies of one seed say."""
    full = studies["full"]
    losses = full.columns["validation_loss"]
    best = float(np.nanmin(losses))
    row: dict[str, float] = {"full loss": best, "full seconds": took["full"]}
    for name in ("halving", "halving-early"):
        study = studies[name]
        executed = study.info["executed_lane_steps"]
        winner = float(study.scores()["validation_loss"])
        equal = float(np.nanmin(losses[: max(1, executed // steps)]))
        row |= {
            f"{name} loss": winner,
            f"{name} equal work": winner / equal,
            f"{name} regret": winner - best,
            f"{name} fewer steps": full.info["executed_lane_steps"] / executed,
            f"{name} less time": took["full"] / took[name],
            f"{name} executed over useful": over_useful(study),
            f"{name} seconds": took[name],
        }
    return row


def over_useful(study: Any, least: int = 64) -> float:
    """Executed over useful lane-steps in the stages that at least so many trials entered."""
    line, steps = study.timeline, study.columns["steps"]
    entered = np.array([(steps > first).sum() for first in line["first"].tolist()])
    many = entered >= min(least, len(study) // ETA**2)
    return float((line["width"] * line["steps"])[many].sum() / line["useful"][many].sum())


def one_after_another(space: Any, count: int, steps: int) -> dict[str, float]:
    """Model-steps a second of one fit after another, with everything compiled."""
    batch = jo.sample(space, count, seed=0)
    each = [jo.replace(batch, **{name: float(x[i]) for name, x in numbers(batch)})
            for i in range(count)]  # fmt: skip
    jo.fit(each[0], steps, eval_every=steps, progress=False)
    began = time.perf_counter()
    for experiment in each:
        jo.fit(experiment, steps, eval_every=steps, progress=False)
    return {"rate": count * steps / (time.perf_counter() - began)}


def numbers(batch: Any) -> list:
    return [(name, x) for name, x in jo.hyperparameters(batch).items() if np.ndim(x) == 1]


def factor_table(medians: dict[str, float], alone: dict[str, float], lane_steps: int) -> list:
    rate = lane_steps / medians["full seconds"]
    factors = {
        "lanes: fit after fit / all at full length": rate / alone["rate"],
        "stopping: lane-steps at full length / executed": medians["halving fewer steps"],
        "compaction: masked (time of full length) / halving": medians["halving less time"],
    }
    factors["in all: fit after fit / halving"] = (
        factors["lanes: fit after fit / all at full length"] * medians["halving less time"]
    )
    return [{"factor": name, "times": f"{x:.1f}"} for name, x in factors.items()]


def line(row: dict[str, float]) -> dict[str, str]:
    out = {"seed": str(row["seed"]), "full loss": f"{row['full loss']:.4f}"}
    for name, short in (("halving", ""), ("halving-early", "early: ")):
        out |= {
            f"{short}loss": f"{row[f'{name} loss']:.4f}",
            f"{short}equal work": f"{row[f'{name} equal work']:.3f}",
            f"{short}regret": f"{row[f'{name} regret']:.4f}",
            f"{short}fewer steps": f"{row[f'{name} fewer steps']:.1f}",
            f"{short}less time": f"{row[f'{name} less time']:.1f}",
            f"{short}useful": f"{row[f'{name} executed over useful']:.2f}",
        }
    return out


if __name__ == "__main__":
    main()
