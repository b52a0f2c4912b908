"""Preparation equals scikit-learn's and pandas', sees the training part only, and is a value."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import jaxopt_edu.data as data
from jaxopt_edu.data.pipelines import RECIPES, preparation_of, to_json

PLAIN = [RECIPES[name]() for name in RECIPES if name not in ("on", "select")]
COMBINED = [
    data.impute("median"),
    data.impute("most_frequent"),
    data.on((0, 2), data.min_max()),
    data.select((3, 0)),
    data.pipeline("impute", data.on((1,), data.standardize())),
    data.pipeline(),
]


def table(seed, holes=0.0):
    random = np.random.default_rng(seed)
    x = random.normal(3, 10, (40, 5))
    x[:, 1] = 7.1  # constant
    x[:, 2] = random.integers(0, 4, 40)
    x[:, 3] *= 1e6
    x[random.random(x.shape) < holes] = np.nan
    return x


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("holes", [0.0, 0.2])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(data.standardize(), StandardScaler()), (data.min_max(), MinMaxScaler())],
)
def test_scaling_is_scikit_learns(ours, theirs, holes):
    x, new = table(0, holes), table(1, holes)
    assert_same(ours.fit(x).apply(new), theirs.fit(x).transform(new))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int64, np.float16, np.float32, bool])
def test_scaling_is_in_float64(dtype):
    x = np.random.default_rng(0).integers(-128, 256, (30, 3)).astype(dtype)
    for ours, theirs in ((data.standardize(), StandardScaler()), (data.min_max(), MinMaxScaler())):
        got = ours.fit(x).apply(x)
        assert got.dtype == np.float64
        assert_same(got, theirs.fit_transform(x.astype(float)))


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_imputation_is_scikit_learns(strategy):
    x, new = table(0, 0.3), table(1, 0.3)
    theirs = SimpleImputer(strategy=strategy).fit(x)
    assert_same(data.impute(strategy).fit(x).apply(new), theirs.transform(new))


def test_imputation_of_categories():
    x = np.array([["a", 1.0], ["b", None], [None, 3.0], ["b", 3.0]], object)
    filled = data.impute("most_frequent").fit(x).apply(x)
    theirs = SimpleImputer(strategy="most_frequent", missing_values=None).fit_transform(x)
    assert filled.tolist() == theirs.tolist()
    assert filled.tolist() == [["a", 1.0], ["b", 3.0], ["b", 3.0], ["b", 3.0]]


def test_imputation_wants_a_value():
    with pytest.raises(ValueError, match="column 1 has no value in the training part"):
        data.impute().fit([[1.0, np.nan], [2.0, np.nan]])
    with pytest.raises(ValueError, match="did you mean 'median'"):
        data.impute("medain")


@pytest.mark.parametrize("kind", [str, int, float, object])
def test_one_hot_is_scikit_learns(kind):
    random = np.random.default_rng(0)
    x, new = random.integers(0, 4, (30, 2)).astype(kind), random.integers(0, 6, (30, 2))
    theirs = OneHotEncoder(sparse_output=False, handle_unknown="ignore").fit(x)
    ours = data.one_hot().fit(x)
    np.testing.assert_array_equal(ours.apply(new.astype(kind)), theirs.transform(new.astype(kind)))
    assert len(ours.names(("a", "b"))) == ours.apply(x).shape[1]


def test_drop_duplicates_is_pandas():
    random = np.random.default_rng(0)
    x = random.integers(0, 3, (60, 2)).astype(float)
    x[random.random(x.shape) < 0.2] = np.nan
    y = random.integers(0, 2, 60)
    frame = pd.DataFrame(np.column_stack([x, y]))
    rows = data.drop_duplicates().rows(x, y)
    assert rows.tolist() == frame.drop_duplicates().index.tolist()
    assert data.drop_duplicates().fit(x).apply(x) is x  # later rows all stay


def test_pipeline_fits_each_step_on_what_the_last_one_made():
    x, new = table(0, 0.2), table(1, 0.2)
    ours = data.pipeline("impute", "standardize").fit(x)
    imputer = SimpleImputer().fit(x)
    scaler = StandardScaler().fit(imputer.transform(x))
    assert_same(ours.apply(new), scaler.transform(imputer.transform(new)))


def test_on_leaves_other_columns_in_their_place():
    x = np.array([["red", 1.0], ["blue", 3.0], ["red", 5.0]], object)
    steps = data.pipeline(data.on((0,), data.one_hot()), data.on((2,), data.min_max()))
    fitted = steps.fit(x)
    want = [[0, 1, 0], [1, 0, 0.5], [0, 1, 1]]
    assert fitted.apply(x).astype(float).tolist() == want
    assert fitted.names(("colour", "size")) == ("colour=blue", "colour=red", "size")
    with pytest.raises(ValueError, match="column 5 of a table with 2"):
        data.on((5,), data.min_max()).fit(x)


def test_strings_are_no_numbers():
    with pytest.raises(TypeError, match="'red'.*one_hot"):
        data.standardize().fit([["red"], ["blue"]])
    with pytest.raises(ValueError, match=r"got shape \(2,\)"):
        data.one_hot().fit(["red", "blue"])


@pytest.mark.parametrize("value", PLAIN + COMBINED, ids=repr)
def test_preparations_are_values(value):
    assert eval(repr(value), vars(data)) == value
    assert pickle.loads(pickle.dumps(value)) == value
    assert len({value, pickle.loads(pickle.dumps(value))}) == 1
    assert preparation_of(json.loads(json.dumps(to_json(value)))) == value
    assert sum(value == other for other in PLAIN + COMBINED) == 1
    fitted = value.fit(table(0))
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.apply(table(1)), fitted.apply(table(1)))


@pytest.mark.parametrize("value", PLAIN + COMBINED, ids=repr)
def test_names_go_with_columns(value):
    fitted = value.fit(table(0))
    names = fitted.names(("a", "b", "c", "d", "e"))
    assert len(names) == len(set(names)) == fitted.apply(table(1)).shape[1]


def test_names_of_preparations():
    assert preparation_of("min_max") == data.min_max()
    assert preparation_of(None) == data.pipeline()
    assert preparation_of(("impute", "standardize")) == data.pipeline("impute", "standardize")
    with pytest.raises(ValueError, match="did you mean 'standardize'"):
        preparation_of("standardise")
    with pytest.raises(TypeError, match="3 is no preparation"):
        preparation_of(3)


def test_a_preparation_of_ones_own():
    class Half(data.Preparation):
        def fit(self, x):
            return data.on((), self).fit(x)

    assert preparation_of(half := Half()) is half
    with pytest.raises(TypeError, match="cannot be written down"):
        to_json(half)
