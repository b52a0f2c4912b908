"""Seeds: an integer of a stated range, each with a stream of its own, or refused by name."""

import functools

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli import program
from jaxopt_edu.diagnosis.shift import find_shift
from jaxopt_edu.values.pytrees import check_seed

LINE = jo.Training(
    model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    data=jo.data.load("linear"), batch_size=8,
)  # fmt: skip
SPACE = jo.replace(LINE, learning_rate=jo.uniform(0.01, 0.1))
TABLE, LABELS = np.arange(40.0).reshape(20, 2) % 7, np.arange(20) % 2
LEARNT = jo.Training(
    model=jo.models.Linear(10), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.2),
    data=jo.data.load("diabetes"),
)  # fmt: skip


@functools.cache
def learnt():
    return jo.fit(LEARNT, 3)


OF_JAX = {  # from 0 to 2^32 - 1
    "fit": lambda s: jo.fit(LINE, 3, seed=s),
    "sweep": lambda s: jo.sweep(SPACE, 2, steps=3, seed=s),
    "tune": lambda s: jo.tune(SPACE, steps=3, updates=1, starts=1, seed=s),
    "hypergradient": lambda s: jo.hypergradient(LINE, 3, seed=s),
    "cross_validate": lambda s: jo.cross_validate(LINE, 3, steps=3, seed=s),
    "find_learning_rate": lambda s: jo.find_learning_rate(LINE, steps=3, seed=s),
    "find_batch_size": lambda s: jo.find_batch_size(LINE, epochs=1, seed=s),
    "l1_path": lambda s: jo.l1_path(LEARNT, [1.0], steps=3, seed=s),
    "rank_features": lambda s: jo.rank_features(learnt(), seed=s),
    "RandomFeatures": lambda s: jo.models.RandomFeatures(2, gamma=1.0, seed=s),
}
OF_NUMPY = {  # of any size
    "load": lambda s: jo.data.load("iris", seed=s),
    "from_arrays": lambda s: jo.data.from_arrays(TABLE, LABELS, seed=s),
    "k_fold": lambda s: jo.data.k_fold(jo.data.load("iris"), 3, seed=s),
    "dirichlet_split": lambda s: jo.federated.dirichlet_split(LABELS, 3, 1.0, seed=s),
    "sample": lambda s: jo.sample(SPACE, 4, seed=s),
    "sobol": lambda s: jo.sample(SPACE, 4, seed=s, sampler="sobol"),
    "optuna": lambda s: jo.optuna("tpe").make(s),
    "find_shift": lambda s: find_shift(TABLE, TABLE, seed=s),
}
WRONG = (1.9, 1.0, "7", None, True, -1, np.float32(3), [1], np.int64(-5))


@pytest.mark.parametrize("name", [*OF_JAX, *OF_NUMPY])
def test_what_is_no_seed_is_refused_by_name(name):
    take = (OF_JAX | OF_NUMPY)[name]
    for wrong in (*WRONG, *((2**32, 2**40, 10**30) if name in OF_JAX else ())):
        with pytest.raises(ValueError, match=r"seed = .*: wanted an integer from 0"):
            take(wrong)


def test_so_is_a_last_seed_out_of_range():
    with pytest.raises(ValueError, match="the first seed = 4294967295: wanted.*to 4294967294"):
        jo.sweep(SPACE, 2, steps=3, seed=2**32 - 1, seeds=2)
    with pytest.raises(ValueError, match="key = 4294967296: wanted an integer"):
        jo.add_noise(0.1, 0.5, key=2**32)
    with pytest.raises(ValueError, match="key = 1.5: wanted an integer"):
        jo.add_noise(0.1, 0.5, key=1.5)
    with pytest.raises(ValueError, match="seed is float32.*wanted an integer"):
        jo.hypergradient(LINE, 3, seed=jax.numpy.ones(5))


def test_seeds_of_any_size_have_streams_of_their_own():
    seeds = (0, 1, 2**31 - 1, 2**31, 2**32 - 1)
    runs = {s: jo.fit(LINE, 1, seed=s).params["w"].item() for s in seeds}
    assert len(set(runs.values())) == len(seeds)
    assert jo.fit(LINE, 1, seed=np.int64(1)).params["w"].item() == runs[1]
    assert jo.hypergradient(LINE, 2, seed=2**32 - 1)[0] != jo.hypergradient(LINE, 2, seed=0)[0]
    for large in (2**32, 2**40 + 1, 10**30):
        small = large % 2**32
        draws = [jo.optuna("random").make(s)._rng.rng.random() for s in (large, small)]
        assert draws[0] != draws[1]
        assert (
            jo.data.load("iris", seed=large).train.y != jo.data.load("iris", seed=small).train.y
        ).any()
        first, second = (
            jo.sample(SPACE, 4, seed=s).optimizer.learning_rate for s in (large, small)
        )
        assert (first != second).any()


def test_a_seed_is_taken_as_it_was():
    assert [check_seed(s) for s in (0, np.uint32(7), np.int64(2**32 - 1))] == [0, 7, 2**32 - 1]
    assert check_seed(10**30, None) == 10**30


@pytest.mark.parametrize("words", [
    ("fit", "iris", "--steps", "5", "--seed", "4294967296"),
    ("fit", "iris", "--steps", "5", "--seed", "-1"),
])  # fmt: skip
def test_the_command_line_says_so_in_a_line(words, capsys):
    assert program.main(list(words)) == 2
    said = capsys.readouterr().err
    assert said.startswith("jaxopt-edu: seed = ") and said.count("\n") == 1
