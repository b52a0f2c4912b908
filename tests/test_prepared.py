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
    "ellipsis": lambda x: x[2:5, ...],
    "full slice": lambda x: x[[1, 2], :],
    "joined": lambda x: np.concatenate([x, x]),
    "stacked": lambda x: np.vstack([x[:2], x[5:]]),
    "reversed rows": lambda x: np.flip(x, 0),
    "repeated": lambda x: x.repeat(2, 0),
    "flat images": lambda x: x.reshape(-1, 3, 1).reshape(-1, 3),
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
    "columns reversed": lambda x: x[:, ::-1],
    "columns by number": lambda x: x[:, [1, 0, 2]],
    "columns by mask": lambda x: x[:, [True, True, False]],
    "columns taken": lambda x: x.take([2, 1, 0], axis=1),
    "columns by np": lambda x: np.take(x, [2, 1, 0], 1),
    "columns along": lambda x: np.take_along_axis(x, np.full(x.shape, 1), 1),
    "columns flipped": np.fliplr,
    "columns rolled": lambda x: np.roll(x, 1, 1),
    "columns deleted": lambda x: np.delete(x, 0, 1),
    "columns of one row": lambda x: x[0][::-1][None],
    "columns repeated": lambda x: x.repeat([2, 0, 1], axis=1),
    "columns compressed": lambda x: x.compress([False, True, True], axis=1),
    "transposed": lambda x: x[:3].T,
    "axes swapped": lambda x: np.swapaxes(x[:3], 0, 1),
    "axes moved": lambda x: np.moveaxis(x[:3], 0, 1),
    "other order": lambda x: x.reshape(3, -1, 3, order="F"),
    "sorted": lambda x: np.sort(x, axis=0),
    "product": lambda x: np.dot(x, np.eye(3)[::-1]),
    "product of its own": lambda x: x.dot(np.eye(3)),
    "inner": lambda x: np.inner(x, np.eye(3)),
    "orthogonal": lambda x: np.linalg.qr(x)[0],
    "matrix product": lambda x: x @ np.eye(3),
    "mixed": lambda x: np.concatenate([x, np.ones((2, 3))]),
    "integers": lambda x: x.astype(int),
    "like": np.zeros_like,
    "full like": lambda x: np.full_like(x, 1.0),
}
FORGET = {
    "asarray": np.asarray,
    "array": np.array,
    "compared": lambda x: x > 0,
    "sum": lambda x: x.sum(),
    "shuffled": np.random.default_rng(1).permutation,
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


def column_by_ufunc(x):
    np.add.at(x, [0], 1.0)


def written_through(x):
    view = x[2:5]
    view[0] = 0.0


def one_more(x):
    x += 1


WRITE = {
    "all": lambda x: x.__setitem__(slice(None), 0),
    "item": lambda x: x.__setitem__((0, 0), 0),
    "view": written_through,
    "flat": lambda x: x.flat.__setitem__(0, 1),
    "flat values": lambda x: setattr(x, "flat", np.zeros(x.size)),
    "augmented": one_more,
    "at": column_by_ufunc,
    "out": lambda x: np.multiply(X[: len(x)], 1, out=x, casting="same_kind"),
    "clip": lambda x: np.clip(x, 0, 1, out=x),
    "copyto": lambda x: np.copyto(x, X[: len(x)], casting="same_kind"),
    "copyto by name": lambda x: np.copyto(dst=x, src=0.0),
    "putmask": lambda x: np.putmask(x, x > 0, 0),
    "place": lambda x: np.place(x, x > 0, [0]),
    "put": lambda x: x.put([0], 1),
    "fill": lambda x: x.fill(0),
    "sort": lambda x: x.sort(0),
    "take": lambda x: np.take(X.astype(x.dtype), range(len(x)), 0, out=x, mode="clip"),
}


@pytest.mark.parametrize("how", WRITE)
def test_what_is_written_into_is_no_longer_prepared(how):
    x = ROWS.copy()
    WRITE[how](x)
    assert prepared_by(x) == CHANGED and prepared_by(ROWS) == MARK


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


@pytest.mark.parametrize("prepare", ["standardize", None, ("impute", "standardize")])
def test_nobody_writes_into_what_data_hand_out(prepare):
    x = np.where(X > 11, np.nan, X) if isinstance(prepare, tuple) else X
    for y in (np.arange(40) % 2, X[:, 0], np.arange(40) % 2 + 1):
        d = jo.data.from_arrays(x.copy(), y, prepare=prepare)
        folds = jo.data.k_fold(d, 3)
        fold = folds.at(1)
        arrays = [a for of in (d, folds) for a in jax.tree.leaves(of)]
        arrays += [a for part in (fold.train, fold.test, d.pool) for a in (part.x, part.y)]
        for a in arrays:
            with pytest.raises(ValueError, match="read-only"):
                a[0] = 0


def test_read_only_arrays_are_taken_as_others_are():
    plain = np.array(ROWS)
    assert not np.asarray(ROWS).flags.writeable
    np.testing.assert_array_equal(jax.device_put(ROWS), plain)
    x = jnp.asarray(ROWS)
    np.testing.assert_array_equal(x.at[0].set(0.0)[1:], plain[1:])
    np.testing.assert_array_equal(ROWS, plain)
