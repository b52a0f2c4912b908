"""Studies that were never run, of any shape, for the tests of pictures and reports."""

import numpy as np

from jaxopt_edu.sweep import Study
from jaxopt_edu.sweep.sampling import Batch

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
        batches.append(Batch(space, own, dict(zip(labels, kind, strict=True)), mine))
    return Study(
        space, batches, table, {"loss": curves} if scored else {},
        np.linspace(100 / evaluations, 100, evaluations).astype(int), "loss", mode, "validation",
        100, 0, (4,) * len(batches), INFO,
    )  # fmt: skip
