"""Tables of any make are read column by column: names, order, masks and missing values."""

import numpy as np
import pandas as pd
import pytest

import jaxopt_edu as jo
from jaxopt_edu.data.columns import kinds_of, read_table

A, B = np.array([1.0, np.nan, 3.0]), np.array(["x", None, "y"], object)


class Polars:
    """What polars' data frames have in common with ours."""

    columns = ("a", "b")

    def __getitem__(self, name):
        return {"a": A, "b": B}[name]


class PyArrow(Polars):
    columns = (A, B)
    column_names = ("a", "b")


TABLES = {
    "polars": Polars(),
    "pyarrow": PyArrow(),
    "masked": {"a": np.ma.masked_equal([1, 2, 3], 2), "b": ["x", None, "y"]},
    "nullable": {"a": pd.array([1, None, 3], "Int64"), "b": pd.array(B, "string")},
    "records": [{"a": 1, "b": "x"}, {"b": pd.NA, "a": None}, {"b": "y", "a": 3}],
    "categories": pd.DataFrame({"a": A, "b": pd.Categorical(B)}),
}


@pytest.mark.parametrize("make", TABLES)
def test_columns_keep_names_and_what_is_missing(make):
    table, names = read_table(TABLES[make])
    assert names == ("a", "b") and kinds_of(table) == ("numbers", "strings")
    np.testing.assert_array_equal(table[:, 0].astype(float), A)
    assert table[:, 1].tolist() == ["x", None, "y"]


def test_one_row_is_a_table():
    for row in ({"a": 1, "b": "x"}, pd.DataFrame({"a": [1], "b": ["x"]}).to_records(False)[0]):
        table, names = read_table(row)
        assert names == ("a", "b") and table.tolist() == [[1, "x"]]
    table, _ = read_table({"a": np.ma.masked, "b": "x"})
    assert table.tolist() == [[None, "x"]]


def test_an_unknown_category_is_told_by_its_own_column_and_row():
    table = pd.DataFrame({"a": ["p", "q"] * 1000, "b": ["q", "r"] * 1000})
    strict = jo.data.one_hot(unknown="error")
    y = np.arange(2000) % 2
    for prepare in (strict, jo.data.on(["a", "b"], strict)):
        data = jo.data.from_arrays(table, y, prepare=prepare)
        wrong = table.copy()
        wrong.loc[1501, ["a", "b"]] = "p"  # known in a
        with pytest.raises(ValueError, match="column 'b' holds an unknown .* .'p' in row 1501"):
            data.prepare(wrong)


def test_text_that_ends_in_nul_is_kept():
    table = pd.DataFrame({"a": ["p", "p\0"] * 10})
    data = jo.data.from_arrays(table, np.arange(20) % 2, prepare="one_hot")
    assert data.features == ("a=p", "a=p\0")
    np.testing.assert_array_equal(data.prepare(table[:2]), np.eye(2))


FLOATS = np.array([0.1, 1.1, 2.1, 1 / 3, 0.5])
PRECISIONS = [float, np.float32, np.float16]


@pytest.mark.parametrize("unknown", ["ignore", "error"])
@pytest.mark.parametrize("fitted", PRECISIONS)
@pytest.mark.parametrize("given", PRECISIONS)
def test_categories_of_two_precisions_are_compared_in_the_coarser_one(unknown, fitted, given):
    encoded = jo.data.one_hot(unknown).fit(FLOATS[:, None].astype(fitted))
    rows = FLOATS[:, None].astype(given)
    for x in (rows, rows.astype(float), rows.astype(object)):  # what tables of kinds make of them
        np.testing.assert_array_equal(encoded.apply(x)[np.argsort(FLOATS)], np.eye(5))


def test_other_numbers_are_no_category():
    encoded = jo.data.one_hot().fit([[0.5], [0.1]])
    assert not encoded.apply([[0.5000000001], [0.1000001], [0.0]]).any()
