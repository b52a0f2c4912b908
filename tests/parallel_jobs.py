"""Trainings by name, for one process or for a job of several: python parallel_jobs.py OUT STORE."""

import os
import signal
import sys

import jax
import numpy as np

import jaxopt_edu as jo


def data():
    """178 rows of three classes; 107 to train on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(178, 16))
    y = np.argmax(x @ rng.normal(size=(16, 3)) + rng.normal(size=(178, 3)), axis=1)
    return jo.data.from_arrays(x, y, test=0.0, validation=71 / 178)


DATA = data()


def training(optimizer, batch_size=None, model=None):
    return jo.Training(
        model=model or jo.models.Linear(16, 3),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=optimizer,
        regularizer=jo.L2(1e-3),
        data=data(),  # in the floats that JAX computes in
        batch_size=batch_size,
    )


def shares(process=0, count=1, die_at=None):
    """Batches of 32 rows of an epoch, the last one of 11: the share of one of several processes."""
    for i, start in enumerate(range(0, 107, 32)):
        if i == die_at:
            os.kill(os.getpid(), signal.SIGKILL)
        rows = np.arange(start, min(start + 32, 107))[process::count]
        yield DATA.train.x[rows], DATA.train.y[rows]


def asked(name):
    """An experiment by name, and what else `fit` is given."""
    tanh = jo.models.MLP((16, 16, 3), "tanh", dropout=0.1)
    return {
        "sgd": (training(jo.sgd(0.1, momentum=0.9), 30, tanh), {}),
        "stream": (training(jo.adam(1e-3)), {"batches": shares, "accumulate": 2}),
    }[name]


def fit(name, **more):
    """A training by name, 60 steps of it; in float64 where the name ends so."""
    with jax.enable_x64(name.endswith("64")):
        experiment, given = asked(name.removesuffix("64"))
        return jo.fit(experiment, 60, seed=1, progress=False, **given | more)


def params(run):
    return np.concatenate([np.asarray(x).ravel() for x in jax.tree.leaves(run.params)])


def main(out, store, names):
    process, count = jax.process_index(), jax.process_count()
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    die = process == 1 and "KILL" in os.environ
    epochs = iter(range(100))  # of the stream: in its 8th, the second process may die

    def mine():
        return shares(process, count, die_at=2 if die and next(epochs) == 7 else None)

    if count > 1:
        refused()
    found = {}
    for name in names.split(","):
        more = {"batches": mine, "store": store} if name == "stream" else {}
        run = fit(name, mesh=mesh, **more)
        shared = max(jax.tree.leaves(run.state.optimizer), key=np.size)
        found[f"{name} share"] = shared.addressable_shards[0].data.size / shared.size
        found[f"{name} scores"] = list(run.evaluate().values())
        found[name] = params(run)
    if process == 0:  # what is a process's own needs no other
        np.savez(out, predictions=run.apply(DATA.train.x), **found)


def refused():
    """Prints why a mesh will not do for a job of several processes."""
    for mesh in (None, jax.make_mesh((1,), ("data",), devices=jax.local_devices()[:1])):
        try:
            fit("sgd", mesh=mesh, batches=[])
        except ValueError as error:
            print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
