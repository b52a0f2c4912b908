"""A sweep run by name in a process of its own, for the tests that kill it: python sweeps.py DIR KIND."""

import dataclasses
import sys

import jaxopt_edu as jo

BASE = jo.Training(
    model=jo.models.MLP((13, 8, 3), dropout=0.1),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)),
    data=jo.data.load("wine", seed=0),
    regularizer=jo.L2(1e-4),
    batch_size=16,
)
TWO = dataclasses.replace(
    BASE, optimizer=jo.one_of(jo.adam(jo.log_uniform(1e-4, 1e-1)), jo.sgd(jo.log_uniform(0.01, 1e4)))
)
KINDS = {
    "plain": {"space": TWO},
    "halving": {"space": TWO, "rungs": jo.halving(2, 2000)},
    "population": {"space": BASE, "rungs": jo.population(3000)},
    "folds": {"space": TWO, "folds": 3, "rungs": jo.hyperband(2, 2000)},
}


def run(kind, store=None, steps=12_000, trials=12, **more):
    arguments = KINDS[kind] | more
    space = arguments.pop("space")
    return jo.sweep(space, trials, steps=steps, tile=4, store=store, **arguments)


if __name__ == "__main__":
    run(sys.argv[2], sys.argv[1])
