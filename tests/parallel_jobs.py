"""Trainings by name, for one process or for a job of several: python parallel_jobs.py OUT STORE."""

import os
import signal
import sys

import jax
import numpy as np

import jaxopt_edu as jo

DATA = jo.data.load("wine", seed=0)  # 107 rows to train on


def training(optimizer, batch_size=None, dropout=None):
    return jo.Training(
        model=jo.models.MLP((13, 16, 3), "tanh", dropout=dropout),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=optimizer,
        regularizer=jo.L2(1e-3),
        data=jo.data.load("wine", seed=0),  # in the floats that JAX computes in
        batch_size=batch_size,
    )


def shares(process=0, count=1, die_at=None):
    """Batches of 32 rows of an epoch, the last one of 11: the share of one of several processes."""
    for i, start in enumerate(range(0, 107, 32)):
        if i == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        rows = np.arange(start, min(start + 32, 107))[process::count]
        yield DATA.train.x[rows], DATA.train.y[rows]


def fit(name, **more):
    """A training by name, 60 steps of it."""
    with jax.enable_x64(name.endswith("64")):
        experiment, given = asked(name.removesuffix("64"))
        return jo.fit(experiment, 60, seed=1, progress=False, **given | more)


def asked(name):
    """An experiment by name, and what else `fit` is given."""
    return {
        "adam": (training(jo.adam(1e-3), 30, dropout=0.1), {}),
        "sgd": (training(jo.sgd(0.1, momentum=0.9)), {}),
        "parts": (training(jo.adam(1e-3), 30), {"accumulate": 3}),
        "stream": (training(jo.adam(1e-3)), {"batches": shares}),
    }[name]


def params(run):
    return np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(run.params)])


NAMES = ("adam", "adam64", "sgd", "sgd64", "parts", "stream")


def main(out, store):
    process, count = jax.process_index(), jax.process_count()
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    die = process == 1 and "KILL" in os.environ
    epochs = iter(range(100))  # of the stream: in its 8th, the second process may die

    def mine():
        return shares(process, count, die_at=2 if die and next(epochs) == 7 else None)

    names = os.environ.get("ONLY", ",".join(NAMES)).split(",")
    runs = {
        name: fit(name, mesh=mesh, **{"batches": mine, "store": store} if name == "stream" else {})
        for name in names
    }
    if process == 0:
        m = runs["stream"].state.optimizer.m[0]["w"]
        found = {name: params(run) for name, run in runs.items()}
        found |= {f"{name} scores": list(run.evaluate().values()) for name, run in runs.items()}
        np.savez(out, share=m.addressable_shards[0].data.size / m.size, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
