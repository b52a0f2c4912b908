"""Sweeps and fits for whatever devices and processes there are: python device_jobs.py OUT STORE."""

import json
import os
import signal
import sys

import jax
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.search.driver import SweepDriver

SPACE = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.one_of(
        jo.adam(jo.log_uniform(1e-4, 1e-1)), jo.sgd(jo.log_uniform(1e-3, 1e3))
    ),
    data=jo.data.load("iris"),
    batch_size=8,
)  # fmt: skip
LONE = jo.replace(SPACE, optimizer=jo.adam(1e-2))
SWEEPS = {
    "plain": {},
    "folds": {"folds": 3, "seeds": 2},
    "halving": {"rungs": jo.halving(2, 25)},
    "population": {"rungs": jo.population(50)},
}


def sweep(name, store=None):
    return jo.sweep(SPACE, 13, steps=200, tile=4, store=store, **SWEEPS[name])


def told(study):
    """All that a study says, but for times and what depends on them: how long a segment is."""
    counts = ("trials", "diverged", "stopped", "useful_lane_steps", "executed_lane_steps")
    curves = {
        name: [list(map(repr, row)) for row in x.tolist()] for name, x in study.curves.items()
    }
    useful = np.bincount(study.timeline["structure"], study.timeline["useful"])
    return {
        "table": study.to_pandas().to_csv(),
        "columns": list(study.columns),
        "curves": list(curves.items()),
        "counts": [study.info[name] for name in counts],
        "useful": useful.tolist(),
    }


def everything(store):
    """By name: what sweeps, what is loaded of them, and what works on one experiment."""
    found = {}
    for name in SWEEPS:
        where = None if store is None else f"{store}/{name}"
        study = sweep(name, where)
        found[name] = told(study)
        if where is not None:
            found[name, "loaded"] = told(jo.load_study(where))
        found[name, "again"] = repr(study.rerun(study.best_trial))
    found["fit"] = repr(jo.fit(LONE, 100, patience=3, train_curve=True).scores)
    found["rates"] = repr(jo.find_learning_rate(LONE, 50, rates=8).suggested)
    found["folds"] = repr(jo.cross_validate(LONE, 3, steps=50))
    found["race"] = repr(jo.race("booth", ["sgd", "adam"], steps=20, scans=8))
    return {str(name): x for name, x in found.items()}


def dies(merge):
    """Course._merge, before which process 1 of the job is killed at the second stage."""

    def merge_or_die(self):
        if self.stage == 1 and jax.process_index() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        merge(self)

    return merge_or_die


def main(out, store):
    if os.environ.get("KILL"):
        SweepDriver._merge = dies(SweepDriver._merge)
        sweep("halving", store)
    only = os.environ.get("ONLY")
    found = told(sweep(only, store)) if only else everything(store)
    if jax.process_index() == 0:
        with open(out, "w") as file:
            json.dump({"devices": jax.device_count(), "found": found}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
