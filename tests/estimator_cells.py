"""Estimators by name, small enough to be written out by hand, and the table of the guide.

As a script, for what needs devices or processes of its own: python estimator_cells.py OUT NAME.
"""

import sys
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo

STEPS, EVERY, SEED = 50, 10, 3
ROWS, BATCH = 48, 8
RATE, MOMENTUM, DECAY = 0.3, 0.5, 0.02
PARTS, RHO, NORM, NOISE = 3, 0.1, 0.6, 0.3
LOCAL_RATE, LOCAL_BATCH, EPOCHS, MU, UPDATE_NORM = 0.2, 4, 2, 0.1, 0.3
OWNERS = np.repeat(np.arange(6), [3, 5, 7, 8, 12, 13])


# ------------------------------------------------------------------------------- the trainings


def data():
    """48 rows of 4 numbers in two classes to train on, 24 to validate."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(72, 4))
    y = (x @ [1.0, -1.0, 0.5, 0.0] + 0.5 * rng.normal(size=72) > 0).astype(int)
    apart = {"validation": (x[ROWS:], y[ROWS:]), "test": 0.0}
    return jo.data.from_arrays(x[:ROWS], y[:ROWS], prepare=None, **apart)


with jax.enable_x64(True):
    X, Y = data().train  # in the order that a training has them in
CLIENTS = jo.federated.Clients.of([np.flatnonzero(k == OWNERS) for k in range(6)])
ROUNDS = {
    "clients": CLIENTS, "local": jo.sgd(LOCAL_RATE), "epochs": EPOCHS, "batch_size": LOCAL_BATCH,
    "clients_per_round": 3, "mu": MU,
}  # fmt: skip
ESTIMATORS = {
    "plain": jo.Plain(),
    "in parts": jo.InParts(PARTS),
    "sharpness": jo.Sharpness(RHO),
    "private": jo.Private(NORM, NOISE, microbatch=5),
    "federated": jo.Federated(**ROUNDS),
    "federated, private": jo.Federated(**ROUNDS, max_norm=UPDATE_NORM, noise_multiplier=NOISE),
}
SWEPT = {  # the numbers of each estimator, or that of its optimizer where it has none
    "plain": {"optimizer.learning_rate": [0.1, 0.2, RATE]},
    "in parts": {"optimizer.learning_rate": [0.1, 0.2, RATE]},
    "sharpness": {"estimator.rho": [0.0, 0.05, RHO]},
    "private": {
        "estimator.max_norm": [NORM, 0.3, 2.0], "estimator.noise_multiplier": [NOISE, 0.0, 0.6],
    },
    "federated": {
        "estimator.local.learning_rate": [LOCAL_RATE, 0.1, 0.3], "estimator.mu": [MU, 0.0, 0.5],
    },
    "federated, private": {
        "estimator.max_norm": [UPDATE_NORM, 0.1, 1.0],
        "estimator.noise_multiplier": [NOISE, 0.0, 0.6],
    },
}  # fmt: skip


WITH_STATE = "model with state"


@jo.pytree
class Centered:
    """A linear model of how far x is from its running mean, masked by keys that it keeps."""

    stateful = True

    def init(self, key):
        params = {"b": jnp.zeros(2), "w": jax.random.normal(key, (2, 4))}
        return params, {"mean": jnp.zeros(4), "seen": 0, "key": key}

    def apply(self, params, state, x, key=None):
        centered = x - state["mean"]
        if key is not None:
            mean = 0.9 * state["mean"] + 0.1 * x.mean(0)
            own, mask = jax.random.split(state["key"])
            centered *= jax.random.bernoulli(mask, 0.8, x.shape)
            state = {"mean": mean, "seen": state["seen"] + 1, "key": own}
        return centered @ params["w"].T + params["b"], state


def training(name, **changes):
    """A training by the name of its estimator, in the floats that JAX computes in."""
    drawn_by_clients = name.startswith("federated")
    network = jo.models.MLP((4, 3, 2), activation="tanh")
    parts = {
        "model": Centered() if name == WITH_STATE else network,
        "loss": jo.losses.softmax_cross_entropy_with_integer_labels,
        "optimizer": jo.sgd(RATE, momentum=MOMENTUM),
        "regularizer": jo.L2(DECAY),
        "data": data(),
        "batch_size": None if drawn_by_clients else BATCH,
    }  # fmt: skip
    return jo.Training(**parts | changes, estimator=ESTIMATORS.get(name, jo.Plain()))


def fit(name, experiment=None, **more):
    """50 steps of a training, scored five times."""
    experiment = training(name) if experiment is None else experiment
    given = {"seed": SEED, "eval_every": EVERY, "progress": False} | more
    return jo.fit(experiment, STEPS, **given)


def sweep(name, **more):
    """Three trials with other numbers each, side by side."""
    batch = jo.replace(training(name), **{n: np.array(x) for n, x in SWEPT[name].items()})
    given = {"seed": SEED, "eval_every": EVERY, "progress": False, "tile": 2} | more
    return jo.sweep(batch, steps=STEPS, **given)


def params(run):
    """All params as one vector."""
    return np.concatenate([np.ravel(x) for x in jax.tree.leaves(run.params)])


# -------------------------------------------------------------------------- the table of the docs


class Column(NamedTuple):
    """A column of the table: the test of its cells, and what they hold to."""

    test: str
    holds: str


COLUMNS = {
    "one device": Column("test_one_device_is_the_loop_written_out", "1e-12"),
    "mesh of 4 and 8": Column("test_meshes_are_one_device", "1e-12"),
    "two processes": Column("test_two_processes_are_one", "1e-12, sweeps bit for bit"),
    "sweep over its numbers": Column("test_a_sweep_is_a_loop_of_fits", "1e-12"),
    "kill and resume": Column("test_killed_it_goes_on", "bit for bit"),
    "hypergradient": Column("test_hypergradients_are_differences_of_fits", "1e-6 of the slope"),
    "stream": Column("test_a_stream_is_the_loop_on_its_batches", "1e-12"),
}
REFUSED = {(name, "stream") for name, e in ESTIMATORS.items() if e.private_draw}


def cells(column):
    """The estimators that a column's test goes through."""
    return [name for name in ESTIMATORS if (name, column) not in REFUSED]


def is_slow(name, column):
    """Whether a cell is tested in the second tier: it starts processes, or compiles for long."""
    if column in ("mesh of 4 and 8", "two processes", "kill and resume"):
        return True
    if column == "hypergradient":
        return name != "plain"
    return column != "one device" and ("federated" in name or name == "in parts")


def test_of(name, column):
    """The test of a cell, as pytest is told it."""
    refused = (name, column) in REFUSED
    test = "test_what_cannot_go_together_is_refused" if refused else COLUMNS[column].test
    return f"{test}[{name}]"


test_of.__test__ = False


def table():
    """The table of docs/guides/estimators.md, and below it the test of each cell."""
    lines = [f"| | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]
    links = []
    for i, name in enumerate(ESTIMATORS, 1):
        row = []
        for j, (column, told) in enumerate(COLUMNS.items(), 1):
            holds = "refused" if (name, column) in REFUSED else told.holds
            row.append(f"[{holds}][{i}.{j}]")
            test = test_of(name, column)
            links.append(f'[{i}.{j}]: ../../tests/test_estimators_table.py "{test}"')
        lines.append(f"| {name} | {' | '.join(row)} |")
    return "\n".join([*lines, "", *links])


# ---------------------------------------------------- what devices and processes of its own run


def main(out, name):
    """One estimator over all devices, and over half of them where there is one process only."""
    found, count, devices = {}, jax.process_count(), jax.devices()
    halves = [devices] if count > 1 else [devices[: len(devices) // 2], devices]
    with jax.enable_x64(True):
        for some in halves:
            mesh = jax.make_mesh((len(some),), ("data",), devices=some)
            found[f"fit over {len(some)}"] = params(fit(name, mesh=mesh))
        study = sweep(name, mesh=None if count > 1 else mesh)  # processes share its tiles
        found["sweep"] = study.columns["validation_loss"]
    if count == 1:
        found["fit in float32"] = params(fit(name, mesh=mesh))
    if jax.process_index() == 0:
        np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
