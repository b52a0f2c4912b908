"""Is the winner of a sweep the best, or was it lucky?

The best of many noisy scores is chosen partly for its noise. Three rules rank the trials of a sweep
by their validation curves: the last score, the mean of the last fifth of the evaluations (tail),
the best. Each chooses its winner alone, among 288 trials; or, at the same work, its eight best of
256 trials are trained again with four fresh seeds (confirm), and their mean decides. 20 seeds of
the data's split, of the samples and of the initial weights; the spaces are those of `jaxopt-edu
sweep digits`, of the README's first sweep and of `jaxopt-edu sweep breast_cancer`.

Judged by the test part, which chose nothing: the winner's test loss over the median of the ten best
by the same rule. 1 is as good as a typical one of the ten; a winner by luck is above.
"""

import dataclasses
import time
from typing import Any

import numpy as np
from _common import say
from _report import arguments, publish

import jaxopt_edu as jo
from jaxopt_edu.build import build
from jaxopt_edu.cli import parser

RULES = ("last", "tail", "best")
CONFIRMS = {"confirm 8 x 4": (8, 4), "confirm 4 x 8": (4, 8), "confirm 16 x 2": (16, 2)}
ARMS = (*RULES, *(f"{rule} {how}" for rule in ("tail", "last", "best") for how in CONFIRMS
                  if rule == "tail" or how == "confirm 8 x 4"))  # fmt: skip
TEN = 10


def main() -> None:
    options = arguments(__doc__, ARMS, seeds=tuple(range(20)))
    seeds = options.seeds[:2] if options.quick else options.seeds
    found: list[dict[str, Any]] = []
    try:
        for seed in seeds:
            for name, make in SPACES.items():
                found.append({"space": name, "seed": seed} | one(make(seed), seed, options.quick))
                say(f"{name}, seed {seed}: {shown(found[-1])}")
    except KeyboardInterrupt:
        say("interrupted: the report is about the seeds so far")
    tables = {name: rows_of([r for r in found if r["space"] == name]) for name in SPACES}
    tables["Seconds"] = [seconds_of(name, [r for r in found if r["space"] == name])
                         for name in SPACES]  # fmt: skip
    notes = [
        f"Seeds {', '.join(map(str, seeds))}. {QUICK if options.quick else FULL} steps a trial.",
        "winner / ten best: the winner's test loss over the median test loss of the ten best trials "
        "by the rule, as the command line reports it: of a confirmed winner the mean over its fresh "
        "seeds, of others that of the sweep.",
        "like for like: winner and ten best both with the scores of the sweep; fresh seeds: both "
        "with means over four seeds that the sweep did not see.",
        "Without confirm a rule chooses among an eighth more trials.",
        "Seconds: of a confirmation of 8 x 4 over those of the sweep of an eighth more trials, "
        "compiling left out of both, in one process.",
    ]
    publish(__doc__, options, tables, {"rows": found}, notes)


FULL, QUICK = 2000, 60


# ----------------------------------------------------------------------------------- the spaces


def command_line(data: str) -> Any:
    """The space of `jaxopt-edu sweep DATA --seed SEED`."""
    return lambda seed: build(
        parser().parse_args(["sweep", data, "--seed", str(seed)]), sampled=True
    )


def readme(seed: int) -> jo.Training:
    """The space of the README's first sweep."""
    return jo.Training(
        model=jo.models.MLP((64, 32, 10), dropout=0.1),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)),
        regularizer=jo.L2(jo.log_uniform(1e-6, 1e-2)),
        data=jo.data.load("digits", seed=seed),
        batch_size=32,
    )


SPACES = {
    "sweep digits": command_line("digits"),
    "README": readme,
    "sweep breast_cancer": command_line("breast_cancer"),
}


# ------------------------------------------------------------------------------- one comparison


def one(space: Any, seed: int, quick: bool) -> dict[str, Any]:
    """What each arm chooses in one space with one seed."""
    trials, steps = (16, QUICK) if quick else (256, FULL)
    more = trials * 9 // 8
    began = time.perf_counter()
    large = jo.sweep(space, more, steps=steps, seed=seed, tile=8, progress=False)
    took = time.perf_counter() - began - large.info["compile_seconds"]
    studies = {rule: ranked(large, rule) for rule in RULES}
    fewer = {rule: ranked(large, rule, trials) for rule in RULES}
    began = time.perf_counter()
    first = fewer["tail"].confirm(8, 4, progress=False)
    confirming = time.perf_counter() - began
    wanted = {t for s in (*studies.values(), *fewer.values()) for t in best_of(s, TEN)}
    wanted |= set(best_of(fewer["tail"], 16))
    left = wanted - set(first.columns["of"].tolist())
    rest = [only(large, left).confirm(len(left), 4, progress=False)] if left else []
    longer = only(large, set(best_of(fewer["tail"], 4))).confirm(4, 8, progress=False)
    fresh: dict[int, dict[str, np.ndarray]] = {}
    for study in (first, *rest, longer):
        for i, trial in enumerate(study.columns["of"].tolist()):
            fresh[trial] = {n: study.finals[n][i] for n in ("rank_loss", "validation_loss",
                                                            "test_loss")}  # fmt: skip
            # last and best rank the fresh lanes by their own rule
            fresh[trial] |= {"best": study.lanes["loss"][i].min(-1)}
    out: dict[str, Any] = {"sweep seconds": took, "confirm seconds": confirming}
    for rule in RULES:
        out[rule] = judged(studies[rule], best_of(studies[rule], 1)[0], None, fresh)
        for how, (best, count) in CONFIRMS.items():
            if f"{rule} {how}" in ARMS:
                column = {"last": "validation_loss", "tail": "rank_loss", "best": "best"}[rule]
                means = {t: fresh[t][column][:count].mean() for t in best_of(fewer[rule], best)}
                winner = min(means, key=lambda t: np.nan_to_num(means[t], nan=np.inf))
                out[f"{rule} {how}"] = judged(fewer[rule], winner, count, fresh)
    return out


def ranked(study: Any, rule: str, trials: int | None = None) -> Any:
    """The study ranked by a rule, of its first so many trials."""
    curves = study.curves["loss"]
    length = max(1, curves.shape[1] // 5)
    scores = {"last": study.columns["validation_loss"], "tail": curves[:, -length:].mean(1),
              "best": curves.min(1)}[rule]  # fmt: skip
    columns = study.columns | {"rank_loss": scores}
    columns = {name: x[:trials] for name, x in columns.items()}
    return dataclasses.replace(study, columns=columns, rank_by="tail")


def only(study: Any, trials: set[int]) -> Any:
    """The study as if no other trials had gone all steps."""
    mine = np.isin(np.arange(len(study)), list(trials))
    status = np.where(mine, study.columns["status"], "stopped")
    return dataclasses.replace(study, columns=study.columns | {"status": status})


def best_of(study: Any, count: int) -> list[int]:
    return study.order[:count].tolist()


def judged(study: Any, winner: int, seeds: int | None, fresh: dict) -> dict[str, float]:
    """A winner's test loss, and over that of the ten best. seeds: those that confirmed it."""
    ten, test = best_of(study, TEN), study.columns["test_loss"]
    means = {t: float(fresh[t]["test_loss"][: seeds or 4].mean()) for t in {*ten, winner}}
    own = float(test[winner]) if seeds is None else means[winner]
    typical = float(np.median(test[ten]))
    return {
        "trial": int(winner), "test loss": own, "ratio": own / typical,
        "like for like": float(test[winner]) / typical,
        "fresh": means[winner] / float(np.median([means[t] for t in ten])),
    }  # fmt: skip


# ------------------------------------------------------------------------------------ the report


def shown(row: dict[str, Any]) -> str:
    return ", ".join(f"{arm} {row[arm]['ratio']:.3f}" for arm in ARMS)


def rows_of(found: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Median and largest of each figure over the seeds, by arm."""
    rows = []
    for arm in ARMS if found else ():
        row = {"arm": arm, "test loss": f"{np.median([r[arm]['test loss'] for r in found]):.4f}"}
        for key, head in (("ratio", "winner / ten best"), ("like for like", "like for like"),
                          ("fresh", "fresh seeds")):  # fmt: skip
            values = [r[arm][key] for r in found]
            row |= {head: f"{np.median(values):.3f}", f"{head}: largest": f"{max(values):.3f}"}
        rows.append(row)
    return rows


def seconds_of(name: str, found: list[dict[str, Any]]) -> dict[str, str]:
    shares = [r["confirm seconds"] / r["sweep seconds"] for r in found] or [np.nan]
    return {"space": name, "sweep": f"{np.median([r['sweep seconds'] for r in found]):.1f} s",
            "confirm / sweep": f"{np.median(shares):.3f}",
            "largest": f"{max(shares):.3f}"}  # fmt: skip


if __name__ == "__main__":
    main()
