"""Data: loading, splitting, checks of what is given, files, and batches."""

import functools
import gzip
import json
import pickle
import struct
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn import datasets as sklearn_datasets

import jaxopt_edu.data as data
from jaxopt_edu.data.batches import batch_indices
from jaxopt_edu.values.names import hyperparameters

NAMES = [name for name in data.datasets() if name != "mnist"]
CLASSES = {"digits": 10, "breast_cancer": 2, "wine": 3, "iris": 3}


def parts(d):
    return d.train, d.validation, d.test


def everything(d):
    """All rows, sorted, with the target as last column."""
    rows = np.concatenate([np.column_stack([p.x, p.y]) for p in parts(d)])
    return rows[np.lexsort(rows.T)]


# ------------------------------------------------------------------------------------ by name


@pytest.mark.parametrize("name", NAMES)
def test_loaded_data_are_the_raw_data_in_three_parts(name):
    with jax.enable_x64(True):
        d = data.load(name, seed=3, prepare=None)
    x, y = getattr(sklearn_datasets, f"load_{name}", linear)(return_X_y=True)
    raw = np.column_stack([x, y])
    np.testing.assert_array_equal(everything(d), raw[np.lexsort(raw.T)])
    assert d.features == data.load(name, seed=3).features and len(d.features) == x.shape[1]
    assert d.n_classes == CLASSES.get(name)
    assert d.task == ("classification" if name in CLASSES else "regression")
    assert d.source.sizes == tuple(len(p.y) for p in parts(d))
    assert len(d.targets) == (d.n_classes or 1)


def linear(return_X_y):
    x, noise = np.random.default_rng(3).random((2, 1000))
    return x[:, None], 3 * x + noise


def test_the_linear_problem_is_linear():
    x, y = data.load("linear", prepare=None).train
    np.testing.assert_allclose(np.polyfit(x[:, 0], y, 1), [3, 0.5], atol=0.1)
    assert data.load("linear", seed=1) != data.load("linear", seed=2)


@pytest.mark.parametrize("name", NAMES)
def test_preparation_sees_the_training_part_only(name):
    with jax.enable_x64(True):
        raw, d = data.load(name, prepare=None), data.load(name)
    mean, deviation = raw.train.x.mean(0), raw.train.x.std(0)
    deviation[deviation == 0] = 1
    for before, after in zip(parts(raw), parts(d), strict=True):
        np.testing.assert_allclose(after.x, (before.x - mean) / deviation, rtol=1e-9, atol=1e-9)
        np.testing.assert_array_equal(before.y, after.y)
    np.testing.assert_array_equal(d.prepare(raw.test.x), d.test.x.astype(np.float32))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shares", [(0.2, 0.2), (0.15, 0.33), (0.1, 0.05)])
def test_every_class_has_its_share_to_within_one(seed, shares):
    for name in CLASSES:
        d = data.load(name, seed, validation=shares[0], test=shares[1])
        counts = np.array([np.bincount(p.y, minlength=d.n_classes) for p in parts(d)])
        wanted = np.outer([1 - sum(shares), *shares], counts.sum(0))
        assert (abs(counts - wanted) < 1).all()
        assert (abs((counts - wanted).sum(1)) <= 1).all()


def test_a_split_is_decided_by_its_seed():
    one, same, other = (data.load("digits", seed=s) for s in (1, np.int64(1), 2))
    jax.tree.map(np.testing.assert_array_equal, one, same)
    assert one == same and hash(one) == hash(same) and one != other
    assert not np.array_equal(one.train.y, other.train.y)
    runs = np.count_nonzero(np.diff(one.train.y)) / len(one.train.y)
    assert runs > 0.85  # not in the order of the classes


def test_dtypes_follow_jax():
    d = data.load("iris")
    assert d.train.x.dtype == np.float32 and d.train.y.dtype == np.int32
    with jax.enable_x64(True):
        d64 = data.load("iris")
    assert d64.train.x.dtype == np.float64 and d64.train.y.dtype == np.int32
    np.testing.assert_allclose(d.train.x, d64.train.x, rtol=1e-6)
    assert data.load("diabetes").train.y.dtype == np.float32


def test_scikit_learn_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'jaxopt_edu\[cli\]'"):
        data.load("digits")
    data.load("linear")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "digit"}, "dataset 'digit' is unknown; did you mean 'digits'"),
        ({"name": "mnist"}, "mnist is read from files"),
        ({"path": "x"}, "iris is not read from files, got path = 'x'"),
        ({"validation": 0.6, "test": 0.5}, "validation = 0.6 and test = 0.5 leave nothing"),
        ({"validation": 1}, r"validation = 1: wanted a share of the data in \[0, 1\)"),
        ({"test": "half"}, "test = 'half': wanted a share"),
        ({"validation": 0.01}, "class 'setosa' has 50 rows, too few for parts of 79% / 1% / 20%"),
        ({"seed": -1}, "seed = -1"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"prepare": "minmax"}, "did you mean 'min_max'"),
        ({"sha256": "0" * 64}, "iris: these are not the data described"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(**({"name": "iris"} | arguments))


# ------------------------------------------------------------------------------------ the value


OPTIONS = [
    {},
    {"seed": 5, "prepare": "min_max", "test": 0.3},
    {"validation": 0, "prepare": None},
    {"prepare": data.pipeline("drop_duplicates", data.on((0, 2), data.standardize()))},
]


@pytest.mark.parametrize("options", OPTIONS)
def test_data_can_be_made_again(options):
    d = data.load("iris", **options)
    stored = json.loads(json.dumps(data.source_to_json(d.source)))
    for again in (eval(repr(d), vars(data)), data.load(**stored), pickle.loads(pickle.dumps(d))):
        assert again == d and hash(again) == hash(d) and repr(again) == repr(d)
        jax.tree.map(np.testing.assert_array_equal, again, d)
    assert sum(d == data.load("iris", **other) for other in OPTIONS) == 1


def test_given_data_cannot_be_made_again():
    d = data.from_arrays(*sklearn_datasets.load_iris(return_X_y=True), name="flowers")
    assert repr(d) == f"Data('flowers', 90 / 30 / 30 examples, {d.source.sha256[:8]})"
    assert pickle.loads(pickle.dumps(d)) == d
    with pytest.raises(ValueError, match="data 'flowers' were given as arrays"):
        data.source_to_json(d.source)


def test_data_are_a_tree_of_six_arrays_and_no_hyperparameters():
    d = data.load("iris")
    assert [leaf.shape for leaf in jax.tree.leaves(d)] == [
        (90, 4),
        (90,),
        (30, 4),
        (30,),
        (30, 4),
        (30,),
    ]
    assert hyperparameters(d) == {}
    for leaf in (None, 0, object()):  # axes and what JAX puts in while it looks at a tree
        other = jax.tree.map(lambda _, leaf=leaf: leaf, d)
        assert other == d and repr(other) == "load('iris', seed=0)"
    axes = jax.tree.map(lambda _: None, d)
    total = jax.jit(jax.vmap(lambda d, s: s * d.train.x.sum(), in_axes=(axes, 0)))
    np.testing.assert_allclose(total(d, jnp.arange(3.0))[1], d.train.x.sum(), atol=1e-3)


# ---------------------------------------------------------------------------------- from arrays


def test_given_arrays_are_loaded_ones():
    for name in CLASSES:
        given = data.from_arrays(*getattr(sklearn_datasets, f"load_{name}")(return_X_y=True))
        jax.tree.map(np.testing.assert_array_equal, parts(given), parts(data.load(name)))
        assert given.n_classes == CLASSES[name]


def test_ready_made_parts_stay():
    x, y = sklearn_datasets.load_wine(return_X_y=True)
    train, validation, test = (x[::3], y[::3]), (x[1::3], y[1::3]), (x[2::3], y[2::3])
    with jax.enable_x64(True):
        d = data.from_arrays(*train, validation=validation, test=test)
        mean, deviation = train[0].mean(0), train[0].std(0)
        np.testing.assert_array_equal(d.validation.y, validation[1])
        np.testing.assert_allclose(d.test.x, (test[0] - mean) / deviation, rtol=1e-9, atol=1e-9)
        rest = data.from_arrays(*train, validation=0.25, test=test)
    assert rest.source.sizes == (45, 15, 59)
    assert len({d, rest, data.from_arrays(*train, validation=validation, test=train)}) == 3


def test_labels_may_be_strings_or_bools():
    x = np.zeros((20, 1))
    words = data.from_arrays(x, ["no", "yes"] * 10)
    assert words.targets == ("no", "yes") and words.n_classes == 2
    frame = pd.DataFrame({"size": np.arange(20), "kind": ["a", "b"] * 10, "ok": [True, False] * 10})
    from_frame = data.from_arrays(frame[["size"]], frame["kind"])
    assert from_frame.features == ("size",) and from_frame.targets == ("a", "b")
    assert data.from_arrays(frame[["size"]], frame["ok"]).targets == ("False", "True")
    named = data.from_arrays(x, [0, 1] * 10, targets=("no", "yes"))
    assert named.targets == ("no", "yes") and data.from_arrays(x, Y[:20]).targets == ("0", "1", "2")
    both = data.from_arrays(frame[["size", "kind"]], frame["ok"], prepare=data.on((1,), "one_hot"))
    assert both.features == ("size", "kind=a", "kind=b") and both.train.x.dtype == np.float32


KINDS = {
    "1-based": [1, 2, 3],
    "below zero": [-1, 1],
    "with gaps": [0, 1, 3],
    "large ids": [10**12, 10**15, 2**62],
    "strings": ["", "no", "yes"],
    "bytes": [b"a", b"b"],
    "bools": [False, True],
    "whole floats": [1.0, 2.0],
}


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_any_kind_are_classes_and_come_back(kind):
    known = KINDS[kind]
    given = [known[i % len(known)] for i in np.random.default_rng(0).permutation(30)]
    d = data.from_arrays(np.arange(30.0)[:, None], given, task="classification", prepare=None)
    assert d.labels == tuple(known) and list(map(type, d.labels)) == list(map(type, known))
    assert d.n_classes == len(known) and len(d.targets) == len(known)
    for x, y in parts(d):
        assert y.dtype == np.int32
        assert [d.labels[k] for k in y] == [given[int(row)] for row in x[:, 0]]
    assert data.load("linear").labels == () and data.load("iris").labels == (0, 1, 2)


def test_float_targets_are_a_regression():
    x, y = np.arange(20.0)[:, None], np.arange(20)
    assert data.from_arrays(x, y * 1.0).task == "regression"
    assert data.from_arrays(x, y % 2 * 1.0, task="classification").n_classes == 2
    whole = data.from_arrays(x, y, task="regression", validation=0, test=0)
    assert whole.source.sizes == (20, 0, 0) and whole.n_classes is None
    assert whole.test.x.shape == (0, 1)
    assert data.from_arrays(x, np.ones((20, 3))).targets == ("y0", "y1", "y2")


def test_duplicates_are_dropped_before_the_split():
    x = np.repeat(np.arange(40.0), 5)[:, None]
    d = data.from_arrays(x, x[:, 0] % 2, task="classification", prepare="drop_duplicates")
    assert sum(d.source.sizes) == 40
    assert len(np.unique(np.concatenate([p.x for p in parts(d)]))) == 40


def rows_of(part):
    return {(*np.ravel(x).tolist(), float(y)) for x, y in zip(part.x, part.y, strict=True)}


@pytest.mark.parametrize("kind", [np.float64, np.float32, object])
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_no_row_is_in_a_given_part_and_another(kind, task):
    """The test part stays as given, validation loses to it, and training loses to both."""
    x = np.random.default_rng(0).normal(size=(60, 3))
    x[7, 1] = x[3, 1] = np.nan  # row 7 is in the test part, as a missing value equals another
    y = (np.arange(60) % 2).astype(float)
    test, validation = (x[:20].astype(kind), y[:20]), (x[10:40].astype(kind), y[10:40])
    how = {"task": task, "prepare": data.pipeline("drop_duplicates", "impute")}
    d = data.from_arrays(x, y, test=test, validation=validation, **how)
    assert d.source.sizes == (20, 20, 20)
    assert not rows_of(d.train) & (rows_of(d.validation) | rows_of(d.test))
    assert not rows_of(d.validation) & rows_of(d.test)
    cut = data.from_arrays(x, y, test=test, **how)
    assert sum(cut.source.sizes) == 60 and cut.source.sizes[2] == 20
    assert not rows_of(cut.test) & (rows_of(cut.train) | rows_of(cut.validation))
    other = data.from_arrays(x, y, test=(test[0], 1 - test[1]), **how)  # other targets: other rows
    assert sum(other.source.sizes) == 80
    with pytest.raises(ValueError, match="validation: each of its rows is in the test part"):
        data.from_arrays(x, y, test=test, validation=(test[0][:5], test[1][:5]), **how)


def test_missing_values_are_filled_where_asked():
    x = np.random.default_rng(0).normal(size=(50, 2))
    x[3, 1] = np.nan
    d = data.from_arrays(x, x[:, 0], prepare=("impute", "standardize"))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(d))


X, Y = np.zeros((30, 2)), np.arange(30) % 3


def put(a, where, value):
    a = np.array(a, float)
    a[where] = value
    return a


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (X, Y[:-1], {}, r"x has shape \(30, 2\), but y \(29,\)"),
        (X[:, 0], Y, {}, r"x has shape \(30,\): wanted \(examples, features\)"),
        (X[:0], Y[:0], {}, "there is nothing in it"),
        (X, Y[:, None], {}, r"y has shape \(30, 1\): wanted one label a row"),
        (
            put(X, (4, 1), np.nan),
            Y,
            {},
            "x holds missing values .* 1 of 30 rows, first in row 4, c",
        ),
        (put(X, (4, 1), np.inf), Y, {"prepare": "impute"}, "x holds infinity in 1 of 30 rows"),
        (X, put(Y, 7, np.nan), {}, "y holds missing values .* in 1 of 30 rows, first in row 7"),
        (X, Y, {"test": (put(X, 0, np.nan), Y)}, "test x holds missing values"),
        (X.astype(object), np.array([None, 1] * 15), {}, "y holds missing values"),
        (put(X, (4, 1), 1e200), Y, {"prepare": None}, "numbers beyond float32"),
        (X, Y + 1, {"targets": ("a", "b")}, "y holds the label 2 in row 1: wanted an integer"),
        (X, Y - 1, {"test": (X, Y)}, "test y holds the label 2 in row 2, which is none of -1, 0"),
        (X, Y / 2, {"task": "classification"}, "y holds the label 0.5 in row 1: wanted whole"),
        (X, Y, {"targets": ("a", "b")}, "y holds the label 2 in row 2: wanted an integer from 0"),
        (X, Y, {"test": (X, Y + 1)}, "test y holds the label 3 in row 2"),
        (X, Y.astype(str), {"test": (X, ["7"] * 30)}, "test y holds the label '7' in row 0, which"),
        (X, Y * 0, {}, "y holds the label 0 only"),
        (X, (np.arange(30) > 27) * 1, {}, "class '1' has 2 rows, too few"),
        (X[:3], Y[:3] * 0.5, {}, "the data has 3 rows, too few for parts of 60% / 20% / 20%"),
        (X, Y, {"test": (X[:, :1], Y)}, r"test x has shape \(30, 1\), but x \(30, 2\)"),
        (X, Y, {"test": (X, Y, Y)}, r"a pair \(x, y\), got 3"),
        (X, Y, {"task": "ranking"}, "task = 'ranking' is unknown"),
        (X, Y, {"features": ("a",)}, "features names 1 columns, but x has 2"),
        (X, Y.astype(str), {"task": "regression"}, "a regression wants numbers"),
        (X.astype(str).astype(object) + "m", Y, {}, "column 'x0' holds strings .'0.0m' in row"),
    ],
)
def test_bad_arrays(x, y, options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        data.from_arrays(x, y, **options)


# ---------------------------------------------------------------------------------------- files


FILES = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
RANDOM = np.random.default_rng(0)
IMAGES = [RANDOM.integers(0, 256, (n, 4, 3), np.uint8) for n in (200, 50)]
LABELS = [np.arange(n, dtype=np.uint8) % 10 for n in (200, 50)]
ARRAYS = (IMAGES[0], LABELS[0], IMAGES[1], LABELS[1])
KEYS = ("x_train", "y_train", "x_test", "y_test")


def idx(a):
    return struct.pack(f">BBBB{a.ndim}I", 0, 0, 8, a.ndim, *a.shape) + a.tobytes()


@pytest.fixture
def directory(tmp_path):
    for name, a in zip(FILES, ARRAYS, strict=True):
        (tmp_path / f"{name}-ubyte").write_bytes(idx(a))
    return tmp_path


def test_mnist_from_files(directory, tmp_path_factory):
    plain = data.load("mnist", path=directory, prepare=None)
    np.testing.assert_array_equal(plain.test.x, IMAGES[1].reshape(50, 12))
    np.testing.assert_array_equal(plain.test.y, LABELS[1])
    assert plain.source.sizes == (150, 50, 50) and plain.n_classes == 10
    assert plain.features[:2] == ("pixel_0_0", "pixel_0_1")
    rows = np.concatenate([plain.train.x, plain.validation.x])
    want = IMAGES[0].reshape(200, 12)
    np.testing.assert_array_equal(rows[np.lexsort(rows.T)], want[np.lexsort(want.T)])
    other = tmp_path_factory.mktemp("other")
    for name, a in zip(FILES, ARRAYS, strict=True):
        (other / f"{name}-ubyte.gz").write_bytes(gzip.compress(idx(a)))
    np.savez(other / "mnist.npz", **dict(zip(KEYS, ARRAYS, strict=True)))
    for path in (other, str(other / "mnist.npz")):
        assert data.load("mnist", path=path, prepare=None) == plain
    assert eval(repr(plain), vars(data)) == plain
    with jax.enable_x64(True):
        d = data.load("mnist", path=directory)
    np.testing.assert_allclose(d.train.x.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(d.train.x.std(0), 1, rtol=1e-12)


@pytest.mark.parametrize("beside", [True, False])
def test_mnist_with_a_directory_for_each_file(beside, tmp_path, directory):
    for name, a in zip(FILES, ARRAYS, strict=True):
        (tmp_path / "k" / f"{name}-ubyte").mkdir(parents=True)
        inside = tmp_path / "k" / f"{name}-ubyte" / f"{name}-ubyte"
        file = tmp_path / "k" / f"{name.replace('-idx', '.idx')}-ubyte" if beside else inside
        file.write_bytes(idx(a))
    assert data.load("mnist", path=tmp_path / "k") == data.load("mnist", path=directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": LABELS[0].astype(str)}, "y_train: wanted numbers, found <U"),
        ({"y_test": LABELS[1] + 0.5}, "y_test: label 0.5 in place 0: wanted 0 to 9"),
        ({"x_test": IMAGES[1] + 1j}, "x_test: wanted numbers, found complex128"),
    ],
)
def test_arrays_of_mnist_that_hold_something_else(change, message, tmp_path):
    np.savez(tmp_path / "mnist.npz", **(dict(zip(KEYS, ARRAYS, strict=True)) | change))
    with pytest.raises(ValueError, match=message):
        data.load("mnist", path=tmp_path / "mnist.npz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (FILES[0], idx(ARRAYS[0])[:-5], "truncated: 2411 bytes, but an array .* wants 2416"),
        (FILES[0], idx(ARRAYS[0])[:9], "truncated: 9 bytes, the header alone wants 16"),
        (FILES[0], idx(ARRAYS[0]) + b"!", "too long: 2417 bytes"),
        (FILES[0], b"\x89PNG\r\n", "no IDX file: it starts with 89 50 4e 47"),
        (FILES[0], b"", "no IDX file: it starts with nothing"),
        (FILES[0], gzip.compress(idx(ARRAYS[0]))[:-20], "gzip file that is truncated or damaged"),
        (FILES[0], b"\x1f\x8b\x08 and no more gzip", "gzip file that is truncated or damaged"),
        (FILES[0], idx(LABELS[0]), r"wanted images \(n, rows, columns\), found shape \(200,\)"),
        (FILES[1], idx(IMAGES[0]), r"wanted labels \(n,\), found shape"),
        (FILES[1], idx(LABELS[0][:-1]), "has 200 images, but .* has 199 labels"),
        (FILES[3], idx(LABELS[1] + 1), "label 10 in place 9: wanted 0 to 9"),
        (FILES[2], idx(IMAGES[1][:, :2]), r"images of \(2, 3\), .* of \(4, 3\)"),
    ],
    ids=lambda value: "bytes" if isinstance(value, bytes) else None,
)
def test_damaged_idx_files(directory, name, content, message):
    (directory / f"{name}-ubyte").write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        data.load("mnist", path=directory)
    assert f"{name}-ubyte" in str(caught.value)


def test_missing_files(directory):
    (directory / f"{FILES[3]}-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="no t10k-labels-idx1-ubyte"):
        data.load("mnist", path=directory)
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such file"):
        data.load("mnist", path=directory / "nowhere")


def test_damaged_npz(tmp_path):
    file = tmp_path / "mnist.npz"
    held = dict(zip(KEYS, ARRAYS, strict=True))
    np.savez(file, **held)
    whole = file.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 3] ^= 255
    for content, message in (
        (whole[:-100], "no npz file, or a truncated one"),
        (b"just a text", "no npz file"),
        (idx(IMAGES[0]), "or a directory with the four IDX files"),
        (bytes(damaged), "damaged"),
    ):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            data.load("mnist", path=file)
        assert str(file) in str(caught.value)
    np.savez(file, x_train=IMAGES[0], labels=LABELS[0])
    with pytest.raises(ValueError, match="wanted arrays x_train, .* found x_train, labels"):
        data.load("mnist", path=file)
    np.savez(file, **held | {"y_test": np.array([None] * 50)})
    with pytest.raises(ValueError, match="damaged, or no npz"):
        data.load("mnist", path=file)


# -------------------------------------------------------------------------------------- batches


@functools.partial(jax.jit, static_argnames=("n", "batch_size", "count"))
def epochs(key, n, batch_size, count):
    """The rows of some epochs, (count, batches * batch_size)."""
    steps = jnp.arange(count * (n // batch_size))
    rows = jax.vmap(lambda t: batch_indices(key, t, n, batch_size))(steps)
    return rows.reshape(count, -1)


@pytest.mark.parametrize("n", [1, 2, 3, 97, 1257])
def test_an_epoch_of_single_rows_is_a_permutation(n):
    for seed in range(5):
        rows = np.sort(epochs(jax.random.key(seed), n, 1, 4), axis=1)
        np.testing.assert_array_equal(rows, np.tile(np.arange(n), (4, 1)))


@pytest.mark.parametrize(("n", "batch_size"), [(100, 32), (97, 96), (64, 64)])
def test_an_epoch_visits_each_row_once_at_most(n, batch_size):
    rows = np.asarray(epochs(jax.random.key(0), n, batch_size, 60))
    assert rows.dtype == np.int32 and rows.min() >= 0 and rows.max() < n
    assert all(len(set(epoch)) == n // batch_size * batch_size for epoch in rows.tolist())
    assert len({tuple(epoch) for epoch in rows.tolist()}) == 60
    assert set(rows.ravel().tolist()) == set(range(n))  # what is left out differs


def test_batches_are_the_same_wherever_they_are_computed():
    key = jax.random.key(0)
    want = np.asarray(epochs(key, 100, 32, 3)).reshape(9, 32)

    @jax.jit
    def loop(key):
        def write(t, out):
            return out.at[t].set(batch_indices(key, t, 100, 32))

        return jax.lax.fori_loop(0, 9, write, jnp.zeros((9, 32), jnp.int32))

    np.testing.assert_array_equal(loop(key), want)
    np.testing.assert_array_equal(batch_indices(key, 8, 100, 32), want[8])
    with jax.enable_x64(True):
        wide = jax.jit(batch_indices, static_argnums=(2, 3))(key, jnp.int64(8), 100, 32)
    assert wide.dtype == np.int32
    np.testing.assert_array_equal(wide, want[8])


def test_lanes_share_their_batches():
    def step(w, key, t):
        rows = batch_indices(key, t, 100, 32)
        return w * jnp.arange(100.0)[rows], rows

    lanes = jax.vmap(step, in_axes=(0, None, None), out_axes=(0, None))  # None: not batched
    out, rows = jax.jit(lanes)(jnp.ones(5), jax.random.key(0), 3)
    assert out.shape == (5, 32) and rows.shape == (32,)


def test_a_batch_larger_than_the_data():
    for batch_size in (0, 101):
        with pytest.raises(ValueError, match=f"batch_size = {batch_size}: wanted 1 to 100"):
            batch_indices(jax.random.key(0), 0, 100, batch_size)


def test_the_order_is_as_random_as_a_permutation():
    """Each statistic within 5 standard deviations of what uniform permutations have."""
    n, m = 60, 4000
    rows = np.asarray(epochs(jax.random.key(0), n, 1, m))
    fixed = (rows == np.arange(n)).sum(1)
    assert abs(fixed.mean() - 1) < 5 / np.sqrt(m)
    assert abs(fixed.var() - 1) < 5 * np.sqrt(3 / m)
    neighbours = (abs(np.diff(rows, axis=1)) == 1).sum(1)
    assert abs(neighbours.mean() - 2 * (n - 1) / n) < 5 * np.sqrt(2 / m)
    counts = np.zeros((n, n))
    np.add.at(counts, (np.broadcast_to(np.arange(n), rows.shape), rows), 1)
    chi = ((counts - m / n) ** 2).sum() / (m / n) * (n - 1) / n
    assert abs(chi - (n - 1) ** 2) < 5 * np.sqrt(2) * (n - 1)
    first = (rows[:, :16] < 20).sum(1)  # one class in a batch of 16: hypergeometric
    mean, variance = 16 / 3, 16 * (1 / 3) * (2 / 3) * (60 - 16) / (60 - 1)
    assert abs(first.mean() - mean) < 5 * np.sqrt(variance / m)
    assert abs(first.var() / variance - 1) < 5 * np.sqrt(2 / m)
