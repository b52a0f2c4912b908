"""Studies that were never run, of any shape, for the tests of pictures and reports."""

import dataclasses

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.search.trials import TrialGroup

INFO = {"seconds": 1.5, "compilations": {"engine": 3, "other": 1}, "devices": ["cpu:0 (cpu)"]}


def made_up(n, numbers=2, choices=(), dead=(), mode="min", evaluations=5, scored=True, space=None):
    """A study of n trials whose score depends on its first number, or on its first choice.

    choices: how many values each choice of structure has; dead: the trials that diverged.
    """
    rng = np.random.default_rng(0)
    columns = {}
    for k, count in enumerate(choices):
        columns[f"part{k}"] = np.array([f"kind{i}" for i in rng.integers(count, size=n)], object)
    for k in range(numbers):
        columns[f"optimizer.number{k}"] = 10 ** rng.uniform(-4, 0, n)
    cost = rng.uniform(0.1, 0.2, n)
    if numbers:
        cost += np.log10(columns["optimizer.number0"] / 0.01) ** 2
    elif choices:
        cost += np.array([int(kind[4:]) for kind in columns["part0"]])
    dead = np.asarray(dead, int)
    scores = cost if mode == "min" else 1 / (1 + cost)
    curves = scores[:, None] + np.linspace(1, 0, evaluations) * (1 if mode == "min" else -0.1)
    scores[dead], curves[dead, 1:] = np.nan, np.nan
    status = np.full(n, "finished", object)
    status[dead] = "diverged"
    reasons = np.where(status == "diverged", "loss is not finite", "")
    steps = np.where(status == "diverged", 30, 100)
    table = columns | ({"validation_loss": scores} if scored else {})
    table |= {"status": status.astype(str), "steps": steps, "reason": reasons}
    labels = [name for name in columns if name.startswith("part")]
    kinds = list(zip(*(columns[name] for name in labels), strict=True)) or [()] * n
    batches = []
    for kind in dict.fromkeys(kinds):
        mine = np.array([i for i in range(n) if kinds[i] == kind])
        own = {name: x[mine] for name, x in columns.items() if name not in labels}
        batches.append(TrialGroup(space, own, dict(zip(labels, kind, strict=True)), mine))
    return Study(
        space, batches, table, {"loss": curves} if scored else {},
        np.linspace(100 / evaluations, 100, evaluations).astype(int), "loss", mode, "validation",
        100, 0, (4,) * len(batches), INFO,
    )  # fmt: skip


def halved(study, rungs=(10, 40), keep=4, brackets=1, repeats=1):
    """The study as if all but a keep-th of the trials alive had been stopped at each rung.

    brackets: the trials take turns to skip the first 0, 1, ... rungs. It has a timeline of two
    workers, and so many lanes for each trial.
    """
    n, sign = len(study), 1 if study.mode == "min" else -1
    evaluations = np.unique([*rungs, *study.evaluations])
    final = study.curves["loss"][:, -1:]
    fall = (
        np.log(evaluations[-1] / evaluations)
        * (0.3 + 0.02 * np.modf(np.arange(n) * 0.618)[0])[:, None]
    )
    died = study.columns["status"] == "diverged"
    curve = np.where(np.isfinite(final), final, study.curves["loss"][:, :1]) + sign * fall
    curve[died] = np.nan
    bracket, columns = np.arange(n) % brackets, dict(study.columns)
    status, steps = columns["status"].astype(object), np.where(died, 5, columns["steps"])
    for k, rung in enumerate(rungs):
        for mine in (np.flatnonzero((bracket == b) & (steps > rung)) for b in range(k + 1)):
            scores = sign * curve[mine, np.flatnonzero(evaluations == rung)[0]]
            stopped = mine[np.argsort(scores)][-(-len(mine) // keep) :]
            status[stopped], steps[stopped] = "stopped", rung
            curve[np.ix_(stopped, evaluations > rung)] = np.nan
    scored = np.isfinite(curve)
    last = curve[np.arange(n), curve.shape[1] - 1 - np.argmax(scored[:, ::-1], axis=1)]
    columns["validation_loss"] = np.where(status == "diverged", np.nan, last)
    columns |= {"status": status.astype(str), "steps": steps}
    if brackets > 1:
        columns = {"bracket": bracket} | columns
    lanes = curve[:, None] + 0.02 * np.linspace(-1, 1, repeats)[:, None]
    return dataclasses.replace(
        study, columns=columns, curves={"loss": curve}, evaluations=evaluations, rungs=rungs,
        repeats=tuple((0, fold) for fold in range(repeats)), lanes={"loss": lanes},
        timeline=timeline(study, steps, evaluations),
        info=study.info | {"executed_lane_steps": 123_456, "useful_lane_steps": 120_000},
    )  # fmt: skip


def timeline(study, steps, evaluations, width=8):
    """Segments of two workers in turn, as long as they have steps."""
    rows, clock = [], [0.0, 0.3]
    for first, last in zip((0, *evaluations), evaluations, strict=False):
        for structure, batch in enumerate(study.batches):
            trials = batch.trials[steps[batch.trials] > first]
            for start in range(0, len(trials), width):
                alive = int(np.sum(steps[trials[start : start + width]] >= last))
                worker = int(np.argmin(clock))
                began = clock[worker]
                clock[worker] += 0.01 * (last - first) * (1 + 0.5 * structure)
                useful = np.sum(np.minimum(steps[trials[start : start + width]], last) - first)
                rows.append((worker, began, clock[worker] - 0.002, first, last - first, width,
                             alive, structure, useful))  # fmt: skip
    names = ("worker", "start", "end", "first", "steps", "width", "alive", "structure", "useful")
    return {name: np.array(x) for name, x in zip(names, zip(*rows, strict=True), strict=True)}
