"""Preparation: what a table goes through before a model sees it, fitted on the training part.

`fit(x)` looks at the training part and returns a fitted value; its `apply(x)` transforms any
part, and its `names(names)` names the new columns. `rows(x, y)` says which rows stay, before the
split. Everything here is NumPy, in float64.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.arrays import floats, plain
from jaxopt_edu.data.columns import by_name, column_names
from jaxopt_edu.kinds import BOOLS, NUMBERS, OddValues, is_missing, of_one_kind, word_of
from jaxopt_edu.value import pytree, recipe, static

__all__ = [
    "Fitted", "Impute", "MinMax", "OneHot", "Preparation", "Standardize", "impute", "min_max",
    "one_hot", "standardize",
]  # fmt: skip

Names: TypeAlias = tuple[str, ...]


def numbers(x: Any) -> ndarray:
    """x as float64, or as the integers that it holds (no copy of a large set of images)."""
    return floats("x", x)


def real(x: Any) -> ndarray:
    """Numbers in the float type that JAX computes in: float32, or float64 where it is enabled."""
    return numbers(x).astype(jnp.result_type(float))


def table(x: Any) -> ndarray:
    """x as rows and columns, whatever they hold."""
    x = plain("x", x)
    if x.ndim != 2:
        raise ValueError(f"wanted a table (rows, columns), got shape {x.shape}")
    return x


def check_columns(x: ndarray, wanted: tuple[int, ...]) -> None:
    """ValueError unless rows have the shape of those that were fitted."""
    if wanted and x.shape[1:] != wanted:
        shown = ", ".join(map(str, ("rows", *wanted)))
        raise ValueError(f"x has shape {x.shape}: wanted ({shown}), as what was fitted")


@pytree
class Fitted:
    """A preparation that has seen the training part; as it stands, it changes nothing.

    Those that have a field `columns` were fitted to a table with these names, and put the columns
    of another table with names into their order.
    """

    @property
    def changes(self) -> bool:
        """Whether it may change a row."""
        return type(self) is not Fitted

    def apply(self, x: Any) -> Any:
        return x

    def names(self, names: Names) -> Names:
        return names


class Preparation:
    """Base of the preparations; as it stands, it changes nothing."""

    @property
    def fills(self) -> bool:
        """Whether missing values may come in."""
        return False

    def rows(self, x: ndarray, y: ndarray) -> ndarray:
        """Indices of the rows that stay."""
        return np.arange(len(x))

    def apart(self, x: ndarray, y: ndarray, part: tuple[ndarray, ndarray]) -> ndarray:
        """Indices of the rows that stay beside a part (x, y) that was given."""
        return np.arange(len(x))

    def fit(self, x: Any) -> Fitted:
        return Fitted()

    def fit_named(self, x: Any, names: Names) -> Fitted:
        """`fit` of an array whose columns have these names."""
        return self.fit(x)


# ------------------------------------------------------------------------------ scale and shift


@pytree
class Scaled(Fitted):
    """(x - shift) / scale"""

    shift: Any
    scale: Any
    columns: Names = static(default=())

    def apply(self, x):
        x = numbers(by_name(x, self.columns))
        check_columns(x, np.shape(self.shift))
        return (x - self.shift) / self.scale


@pytree
class Standardize(Preparation):
    """Mean 0 and variance 1 in every column.

    Formula: x' = (x - mean) / deviation, the deviation with 1/n; a constant column is only
        shifted. Missing values (NaN) are left out of both and stay missing.
    Shapes: x (n, ...) -> the same.
    Errors: TypeError where a column holds no numbers.
    Agrees with: sklearn.preprocessing.StandardScaler, 1e-12.

    >>> import jaxopt_edu as jo
    >>> jo.data.standardize().fit([[1.0], [3.0]]).apply([[5.0]])
    array([[3.]])
    """

    def fit(self, x):
        names, x = column_names(x), numbers(x)
        mean, variance = np.nanmean(x, axis=0, dtype=float), np.nanvar(x, axis=0, dtype=float)
        rounding = len(x) * np.finfo(float).eps
        constant = variance <= rounding * variance + (rounding * mean) ** 2
        return Scaled(mean, np.where(constant, 1, np.sqrt(variance)), names)


standardize = recipe("standardize", Standardize)


@pytree
class MinMax(Preparation):
    """Every column of the training part fills [0, 1]; other parts may leave it.

    Formula: x' = (x - min) / (max - min); a constant column is only shifted. Missing values
        (NaN) are left out of both and stay missing.
    Shapes: x (n, ...) -> the same.
    Errors: TypeError where a column holds no numbers.
    Agrees with: sklearn.preprocessing.MinMaxScaler, 1e-12.

    >>> import jaxopt_edu as jo
    >>> jo.data.min_max().fit([[1.0], [3.0]]).apply([[2.0]])
    array([[0.5]])
    """

    def fit(self, x):
        names, x = column_names(x), numbers(x)
        low, high = np.nanmin(x, axis=0).astype(float), np.nanmax(x, axis=0).astype(float)
        constant = high - low < 10 * np.finfo(float).eps
        return Scaled(low, np.where(constant, 1, high - low), names)


min_max = recipe("min_max", MinMax)


# ------------------------------------------------------------------------------- missing values


@pytree
class Filled(Fitted):
    """x with fill in the place of missing values."""

    fill: Any = static()
    columns: Names = static(default=())

    def apply(self, x):
        x = table(by_name(x, self.columns))
        check_columns(x, (len(self.fill),))
        missing = is_missing(x)
        return np.where(missing, np.asarray(self.fill, x.dtype), x) if missing.any() else x


def _most_frequent(column: ndarray) -> Any:
    values, counts = np.unique(column, return_counts=True)
    return values[np.argmax(counts)]


def _of_one_kind(column: ndarray, j: int) -> ndarray:
    of_one_kind("impute", "x", column, j, missing=True)
    return column


def _as_numbers(column: ndarray, j: int) -> ndarray:
    return floats("x", column[:, None], (j,))[:, 0]


STATISTICS: dict[str, tuple[Callable, Callable]] = {
    "mean": (_as_numbers, np.mean),
    "median": (_as_numbers, np.median),
    "most_frequent": (_of_one_kind, _most_frequent),
}


@pytree
class Impute(Preparation):
    """Missing values (NaN, None) become a statistic of the values that are there.

    Formula: per column the mean, the median, or the most frequent value (the smallest of several).
    Shapes: x (n, d) -> the same.
    Errors: ValueError for an unknown strategy or a column without any value in the training part.
    Agrees with: sklearn.impute.SimpleImputer, 1e-12.

    >>> import jaxopt_edu as jo
    >>> jo.data.impute("median").fit([[1.0], [2.0], [9.0]]).apply([[float("nan")]])
    array([[2.]])
    """

    strategy: str = static(default="mean", among=STATISTICS)

    @property
    def fills(self):
        return True

    def fit(self, x):
        names, x = column_names(x), table(x)
        present = ~is_missing(x)
        empty = np.flatnonzero(~present.any(axis=0))
        if empty.size:
            raise ValueError(f"impute: column {empty[0]} has no value in the training part")
        check, statistic = STATISTICS[self.strategy]
        columns = [check(column, j) for j, column in enumerate(x.T)]
        pairs = zip(columns, present.T, strict=True)
        return Filled(tuple(statistic(column[there]) for column, there in pairs), names)


impute = recipe("impute", Impute)


# ------------------------------------------------------------------------------------ categories


UNKNOWN = ("ignore", "error")


@pytree
class Encoded(Fitted):
    """One column of 0 and 1 for each category of each column; others as `unknown` says."""

    categories: Any = static()
    unknown: str = static(default="ignore", among=UNKNOWN)
    columns: Names = static(default=())

    def apply(self, x):
        x = table(by_name(x, self.columns))
        check_columns(x, (len(self.categories),))
        for j, (column, known) in enumerate(zip(x.T, self.categories, strict=True)):
            name = self.columns[j] if self.columns else j
            _check_kind(column, known, name)
            if self.unknown == "error":
                _check_known(column, known, name)
        columns = zip(x.T, self.categories, strict=True)
        return np.concatenate(
            [np.stack([_equal(column, c) for c in known], 1) for column, known in columns], axis=1
        ).astype(float)

    def names(self, names):
        pairs = zip(names, self.categories, strict=True)
        return tuple(f"{name}={c}" for name, known in pairs for c in known)


@pytree
class OneHot(Preparation):
    """Every column is a category and becomes one column of 0 and 1 for each of its values.

    The values are those of the training part, sorted.
    unknown: what becomes of a value that it does not hold: all zeros ("ignore"), or an error that
        names the column.
    Shapes: x (n, d) -> (n, number of values in all columns).
    Agrees with: sklearn.preprocessing.OneHotEncoder(handle_unknown="ignore"), exactly.

    >>> import jaxopt_edu as jo
    >>> jo.data.one_hot().fit([["red"], ["blue"]]).apply([["red"], ["green"]])
    array([[0., 1.],
           [0., 0.]])
    """

    unknown: str = static(default="ignore", among=UNKNOWN)

    def fit(self, x):
        return self.fit_named(x, column_names(x))

    def fit_named(self, x, names):
        x = table(x)
        for j, column in enumerate(x.T):
            of_one_kind("one_hot", "x", column, names[j] if names else j)
        known = tuple(tuple(np.unique(column).tolist()) for column in x.T)
        return Encoded(known, self.unknown, tuple(names))


def _equal(column: ndarray, category: Any) -> ndarray:
    """Where a column holds a category; NumPy's own text drops NUL at the end."""
    exact = column.dtype == object and isinstance(category, str | bytes)
    return column == (np.array(category, object) if exact else category)


def _check_known(column: ndarray, known: tuple, name: Any) -> None:
    """OddValues where a column holds a value that is none of the categories."""
    found = set(known)
    for row, value in enumerate(column.tolist()):
        if value not in found:
            way = f"the training part has {', '.join(map(repr, known[:10]))}"
            raise OddValues("x", name, row, value, "an unknown category", way)


def _check_kind(column: ndarray, known: tuple, name: Any) -> None:
    """TypeError where a column holds another kind than the categories, so that none could match."""
    kind, own = of_one_kind("one_hot", "x", column, name), word_of(known[0])
    if len(column) and kind != own and not {kind, own} <= {BOOLS, NUMBERS}:
        way = f"the training part has {own}, such as {known[0]!r}"
        raise OddValues("x", name, 0, column[0], kind, way)


one_hot = recipe("one_hot", OneHot)
