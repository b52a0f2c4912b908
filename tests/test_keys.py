"""Random keys: derived in one place, and as they have always been."""

import ast
from itertools import combinations
from pathlib import Path

import jax
import numpy as np
import pytest
from jax import random

import jaxopt_edu as jo
from jaxopt_edu.values import keys

ROOT = Path(jo.__file__).parent
SEED, T = 7, 3


def words(key):
    return np.asarray(random.key_data(key)).tolist()


# the two words of each key of seed 7 at step 3, as version 0.1.0 drew them
DRAWN = {
    "weights": (lambda: keys.weights(SEED), lambda: random.fold_in(random.key(7), 0)),
    "order": (lambda: keys.order(SEED), lambda: random.fold_in(random.key(7), 1)),
    "batch": (lambda: keys.batch(random.key(2)), lambda: random.fold_in(random.key(2), 0)),
    "dropout": (
        lambda: keys.dropout(random.key(2), T),
        lambda: random.fold_in(random.fold_in(random.key(2), 1), 3),
    ),
    "augment": (
        lambda: keys.augment(random.key(2), T),
        lambda: random.fold_in(random.fold_in(random.key(2), 2), 3),
    ),
    "private": (
        lambda: jax.numpy.stack(keys.private(random.key(2), T)),
        lambda: random.split(random.fold_in(random.key(2), 3), 4),
    ),
    "federated": (
        lambda: jax.numpy.stack(keys.federated(random.key(2), T)),
        lambda: random.split(random.fold_in(random.key(2), 3), 4),
    ),
}


@pytest.mark.parametrize("name", DRAWN)
def test_keys_are_those_of_earlier_versions(name):
    ours, before = DRAWN[name]
    assert words(ours()) == words(before())


def test_no_two_uses_share_a_key():
    order = keys.order(SEED)
    used = {
        "weights": keys.weights(SEED), "order": order, "batch": keys.batch(order),
        "dropout": keys.dropout(order, T), "augment": keys.augment(order, T),
        **{f"private.{k}": x for k, x in keys.private(order, T)._asdict().items()},
    }  # fmt: skip
    for a, b in combinations(used, 2):
        assert words(used[a]) != words(used[b]), (a, b)


def test_a_step_of_the_trainings_draws_by_these_keys():
    """Weights and order of a fit are those of its seed."""
    experiment = jo.Training(
        model=jo.models.Linear(4, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(0.0), data=jo.data.load("iris"), batch_size=8,
    )  # fmt: skip
    got = jo.fit(experiment, steps=1, seed=SEED).params
    want = experiment.model.init(random.fold_in(random.key(SEED), 0))
    assert all(jax.tree.leaves(jax.tree.map(lambda a, b: bool((a == b).all()), got, want)))
    x, _, _ = experiment.batch(np.int32(T), keys.order(SEED))
    rows = jo.data.batch_indices(
        random.fold_in(random.fold_in(random.key(SEED), 1), 0), T, len(experiment.data.train.x), 8
    )
    assert np.array_equal(x, experiment.data.train.x[rows])


def derivations(path):
    """(line, what) for each fold of a whole number that is written out into a key."""
    for node in ast.walk(ast.parse(path.read_text())):
        folds = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("random.fold_in")
        if folds and isinstance(node.args[1], ast.Constant):
            yield node.lineno, ast.unparse(node)


def test_no_other_file_numbers_its_keys():
    """A model may: the key that it is given is its own."""
    own = {ROOT / "values" / "keys.py", *(ROOT / "nn" / "models").rglob("*.py")}
    others = {p: list(derivations(p)) for p in ROOT.rglob("*.py") if p not in own}
    assert not {p: found for p, found in others.items() if found}
