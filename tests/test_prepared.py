"""Rows that a `Data` hands out know that they are prepared, wherever they go."""

import copy
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import jaxopt_edu as jo
from jaxopt_edu.data.prepared import CHANGED, look_prepared, marked, prepared_by

X = np.random.default_rng(0).normal(5, 3, (40, 3))
DATA = jo.data.from_arrays(X, np.arange(40) % 2)
ROWS, MARK = DATA.train.x, DATA.source.mark

KEEP = {
    "slice": lambda x: x[2:9],
    "stride": lambda x: x[::-2],
    "rows": lambda x: x[[3, 1, 1]],
    "mask": lambda x: x[x[:, 0] > 0],
    "one": lambda x: x[0][None],
    "reshaped": lambda x: x.reshape(-1, 1, 3),
    "float64": lambda x: x.astype(float),
    "copy": lambda x: x.copy(),
    "take": lambda x: x.take([1, 2], 0),
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "deepcopy": lambda x: copy.deepcopy(x),
}
CHANGE = {
    "plus": lambda x: x + 0.1,
    "times": lambda x: 2 * x,
    "difference": lambda x: x - x.mean(0),
    "ufunc": lambda x: np.maximum(x, 0),
    "in place": lambda x: np.add(x, 1, out=x.copy()),
}
FORGET = {
    "asarray": np.asarray,
    "array": np.array,
    "compared": lambda x: x > 0,
    "sum": lambda x: x.sum(),
    "shuffled": np.random.default_rng(1).permutation,
    "joined": lambda x: np.concatenate([x, x]),
    "frame": lambda x: pd.DataFrame(x).to_numpy(),
    "jax": jnp.asarray,
    "jax sum": lambda x: x + jnp.ones(3),
}


@pytest.mark.parametrize("how", KEEP)
def test_rows_that_are_picked_stay_prepared(how):
    assert prepared_by(KEEP[how](ROWS)) == MARK


@pytest.mark.parametrize("how", CHANGE)
def test_rows_that_are_computed_are_known_as_that(how):
    assert prepared_by(CHANGE[how](ROWS)) == CHANGED


@pytest.mark.parametrize("how", FORGET)
def test_what_holds_no_rows_any_more_knows_nothing(how):
    assert prepared_by(FORGET[how](ROWS)) is None


def test_they_are_arrays_everywhere_else(tmp_path):
    plain = np.asarray(ROWS)
    np.save(tmp_path / "x.npy", ROWS)
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), plain)
    assert repr(ROWS) == repr(plain)
    double = jax.jit(lambda x: 2 * x, donate_argnums=0)
    np.testing.assert_array_equal(double(jnp.asarray(ROWS)), 2 * plain)
    f = jax.jit(lambda x: x.sum())
    assert f(ROWS) == f(plain) and f._cache_size() == 1
    constant = jax.jit(lambda i: jnp.asarray(ROWS)[i])
    np.testing.assert_array_equal(constant(3), plain[3])


def test_marks_are_those_of_equal_data_only():
    again = jo.data.from_arrays(X, np.arange(40) % 2)
    assert again == DATA and again.source.mark == MARK
    others = [
        jo.data.from_arrays(X, np.arange(40) % 2, seed=1),
        jo.data.from_arrays(X, np.arange(40) % 2, prepare="min_max"),
        jo.data.from_arrays(X + 1, np.arange(40) % 2),
    ]
    assert len({MARK, *(data.source.mark for data in others)}) == 4
    folds = jo.data.k_fold(DATA, 2)
    assert folds.pool.x.by == folds.test.x.by == "folds"
    assert len({MARK, folds.at(0).source.mark, folds.at(1).source.mark}) == 3
    assert prepared_by(DATA.prepare(X)) == MARK


def test_data_that_nothing_prepares_are_as_given():
    for nothing in (None, "drop_duplicates", ()):
        raw = jo.data.from_arrays(X, np.arange(40) % 2, prepare=nothing)
        assert raw.source.mark is None and type(raw.train.x) is np.ndarray
        np.testing.assert_array_equal(raw.prepare(raw.test.x), raw.test.x)


def test_nothing_is_prepared_twice():
    with pytest.raises(ValueError, match="prepared already"):
        DATA.prepare(DATA.test.x)
    nested = jo.data.from_arrays(DATA.train.x, DATA.train.y)  # raw for these data
    assert prepared_by(nested.prepare(DATA.test.x)) == nested.source.mark


def test_rows_are_looked_up_by_their_numbers():
    parts = [np.asarray(ROWS), np.asarray(DATA.test.x)]
    assert look_prepared(np.asarray(ROWS)[[5, 2]].astype(float), parts)
    assert look_prepared(np.concatenate(parts), parts)
    assert look_prepared(np.concatenate([parts[1], X[:2]]), parts)
    assert not look_prepared(X, parts)
    zeros = marked(np.zeros((2, 3), np.float32), "mark")
    assert look_prepared(-np.asarray(zeros), [zeros])
