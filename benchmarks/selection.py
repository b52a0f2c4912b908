"""Is the winner of a sweep the best, or was it lucky?

The best of many noisy scores is chosen partly for its noise. Three rules rank the trials of a sweep
by their validation curves: the last score, the mean of the last fifth of the evaluations (tail),
the best. Each chooses its winner alone, among 288 trials; or, at the same work, its eight best of
256 trials are trained again with four fresh seeds (confirm), and their mean decides. 20 seeds of
the data's split, of the samples and of the initial weights; the spaces are those of `jaxopt-edu
sweep digits`, of the README's sweep and of `jaxopt-edu sweep breast_cancer`.

Judged by the test part, which chose nothing: the winner's test loss over the median of the ten best
by the same rule, all with the same seeds. 1 is as good as a typical one of the ten; a winner by
luck is above.
"""

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from _common import say
from _report import arguments, publish

import jaxopt_edu as jo
from jaxopt_edu.cli.presets import build
from jaxopt_edu.cli.program import parser

RULES = ("last", "tail", "best")
CONFIRMED = {"confirm": (8, 4), "confirm 8 x 2": (8, 2), "confirm 4 x 4": (4, 4)}  # trials, seeds
ARMS = (*RULES, "last confirm", "tail confirm", "best confirm", "tail confirm 8 x 2",
        "tail confirm 4 x 4")  # fmt: skip
TEN = 10


def main() -> None:
    options = arguments(__doc__, ARMS, seeds=tuple(range(20)))
    seeds = options.seeds[:1] if options.quick else options.seeds
    part = options.out / f"selection{'-quick' * options.quick}.part"
    found = read_rows(part)
    for seed in seeds:
        for name, make in SPACES.items():
            if any((row["space"], row["seed"]) == (name, seed) for row in found):
                continue
            found.append({"space": name, "seed": seed} | one(make(seed), seed, options.quick))
            say(f"{name}, seed {seed}: {shown(found[-1])}")
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(found))
    tables = {name: rows_of([r for r in found if r["space"] == name]) for name in SPACES}
    tables["Seconds"] = [seconds_of(name, [r for r in found if r["space"] == name])
                         for name in SPACES]  # fmt: skip
    notes = [
        f"Seeds {', '.join(map(str, seeds))}. {QUICK if options.quick else FULL} steps a trial.",
        "winner / ten best: test losses in the sweep, of the winner and (median) of the ten best "
        "by the rule; fresh: means over four seeds that the sweep did not see, of both. Median and "
        "largest over the seeds. (Of confirmed winners these four seeds chose, by validation.)",
        "confirm: the 8 best with 4 fresh seeds; 8 x 2, 4 x 4: so many trials and seeds.",
        "Without confirm a rule chooses among an eighth more trials.",
        "Seconds: of a confirmation of 8 x 4 and of the sweep of an eighth more trials, in one "
        "process, compiling left out.",
    ]
    publish(__doc__, options, tables, {"rows": found}, notes)
    part.unlink(missing_ok=True)


def read_rows(part: Path) -> list[dict[str, Any]]:
    """What a run that was broken off has found."""
    return json.loads(part.read_text()) if part.exists() else []


FULL, QUICK = 2000, 60


# ----------------------------------------------------------------------------------- the spaces


def command_line(data: str) -> Any:
    """The space of `jaxopt-edu sweep DATA --seed SEED`."""
    return lambda seed: build(
        parser().parse_args(["sweep", data, "--seed", str(seed)]), sampled=True
    )


def readme(seed: int) -> jo.Training:
    """The space of the README's sweep."""
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
    left = {t for study in (*fewer.values(), *studies.values()) for t in best_of(study, TEN)}
    left -= set(first.columns["of"].tolist())
    rest = [only(large, left).confirm(len(left), 4, progress=False)] if left else []
    again: dict[int, dict[str, np.ndarray]] = {}
    for study in (first, *rest):
        for i, trial in enumerate(study.columns["of"].tolist()):
            lanes = study.lanes["loss"][i]
            again[trial] = {
                "last": study.finals["validation_loss"][i], "tail": study.finals["rank_loss"][i],
                "best": lanes.min(-1), "test": study.finals["test_loss"][i],
            }  # fmt: skip
    out: dict[str, Any] = {"sweep seconds": took, "confirm seconds": confirming}
    for rule in RULES:
        out[rule] = judged(studies[rule], best_of(studies[rule], 1)[0], again)
        for how, (best, seeds) in CONFIRMED.items():
            if f"{rule} {how}" in ARMS:
                means = {t: again[t][rule][:seeds].mean() for t in best_of(fewer[rule], best)}
                winner = min(means, key=lambda t: np.nan_to_num(means[t], nan=np.inf))
                out[f"{rule} {how}"] = judged(fewer[rule], winner, again)
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


def judged(study: Any, winner: int, again: dict) -> dict[str, float]:
    """A winner's test loss, and over that of the ten best: in the sweep, and with fresh seeds."""
    ten, test = best_of(study, TEN), study.columns["test_loss"]
    fresh = {t: float(again[t]["test"].mean()) for t in {*ten, winner}}
    return {
        "trial": int(winner), "test loss": float(test[winner]), "fresh test loss": fresh[winner],
        "ratio": float(test[winner] / np.median(test[ten])),
        "fresh": float(fresh[winner] / np.median([fresh[t] for t in ten])),
    }  # fmt: skip


# ------------------------------------------------------------------------------------ the report


def shown(row: dict[str, Any]) -> str:
    return ", ".join(f"{arm} {row[arm]['ratio']:.3f}" for arm in ARMS)


def rows_of(found: list[dict[str, Any]]) -> list[dict[str, str]]:
    """Median and largest of each figure over the seeds, by arm."""
    rows = []
    for arm in ARMS if found else ():
        row = {"arm": arm}
        for key, head in (("ratio", "winner / ten best"), ("fresh", "fresh")):
            values = [r[arm][key] for r in found]
            row |= {head: f"{np.median(values):.3f}", f"{head}: largest": f"{max(values):.3f}"}
        for key in ("test loss", "fresh test loss"):
            row |= {key: f"{np.median([r[arm][key] for r in found]):.4f}"}
        rows.append(row)
    return rows


def seconds_of(name: str, found: list[dict[str, Any]]) -> dict[str, str]:
    shares = [r["confirm seconds"] / r["sweep seconds"] for r in found] or [np.nan]
    return {"space": name, "sweep": f"{np.median([r['sweep seconds'] for r in found]):.1f} s",
            "confirm / sweep": f"{np.median(shares):.3f}",
            "largest": f"{max(shares):.3f}"}  # fmt: skip


if __name__ == "__main__":
    main()
