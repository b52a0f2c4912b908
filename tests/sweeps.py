"""Sweeps by name, also in processes of their own that tests kill: python sweeps.py DIR KIND."""

import dataclasses
import sys

import jax
import numpy as np

import jaxopt_edu as jo

BASE = jo.Training(
    model=jo.models.MLP((13, 8, 3), dropout=0.1),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)),
    data=jo.data.load("wine", seed=0),
    regularizer=jo.L2(1e-4),
    batch_size=16,
)
SGD = jo.sgd(jo.log_uniform(0.01, 1e4))  # some of them diverge
TWO = dataclasses.replace(BASE, optimizer=jo.one_of(BASE.optimizer, SGD))
RUNGS = {"halving": jo.halving(2, 25), "population": jo.population(40)}
KINDS = {
    "plain": {"space": TWO},
    "halving": {"space": BASE, "rungs": jo.halving(2, 2500)},
    "population": {"space": BASE, "rungs": jo.population(3500)},
    "tpe": {"space": TWO, "sampler": jo.optuna("tpe", batch=4, n_startup_trials=4)},
    "folds": {
        "space": TWO,
        "trials": 6,
        "folds": 3,
        "steps": 2_000,
        "rungs": jo.hyperband(2, 250),
    },
}


def run(kind, store=None, **more):
    arguments = {"trials": 12, "steps": 20_000, "tile": 4, "store": store} | KINDS[kind] | more
    return jo.sweep(**arguments)


def same(one, other):
    """Whether two studies are equal bit for bit, times excluded."""
    columns = {**one.columns, **{f"curve {k}": x for k, x in one.lanes.items()}}
    others = {**other.columns, **{f"curve {k}": x for k, x in other.lanes.items()}}
    assert list(columns) == list(others)
    for name, x in columns.items():
        exact = x.dtype.kind == "f"
        same_bits = x.tobytes() == others[name].tobytes() if exact else (x == others[name]).all()
        assert same_bits, (name, x, others[name])


def distributed(port, process, kind, out):
    """One of two processes of a job; writes its table."""
    jax.distributed.initialize(f"127.0.0.1:{port}", num_processes=2, process_id=process)
    study = run(kind, steps=200, rungs=RUNGS.get(kind))
    arrays = {k: np.asarray(x).astype(str) for k, x in study.columns.items()}
    np.savez(out, processes=study.info["processes"], **arrays)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        run(sys.argv[2], sys.argv[1])
    else:
        distributed(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])
