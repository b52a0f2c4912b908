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

from jaxopt_edu.data.columns import by_name, column_names
from jaxopt_edu.values.arrays import floats, plain
from jaxopt_edu.values.kinds import is_missing, of_one_kind
from jaxopt_edu.values.pytrees import pytree, recipe, static

__all__ = [
    "Fitted", "Impute", "MinMax", "Preparation", "Standardize", "impute", "min_max", "standardize",
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
        return self.fit_named(x, column_names(x))

    def fit_named(self, x, names):
        own, x = column_names(x), table(x)
        present = ~is_missing(x)
        empty = np.flatnonzero(~present.any(axis=0))
        if empty.size:
            column = repr(names[empty[0]]) if names else empty[0]
            raise ValueError(f"impute: column {column} has no value in the training part")
        check, statistic = STATISTICS[self.strategy]
        columns = [check(column, j) for j, column in enumerate(x.T)]
        pairs = zip(columns, present.T, strict=True)
        return Filled(tuple(statistic(column[there]) for column, there in pairs), own)


impute = recipe("impute", Impute)
