"""Preparation: what a table goes through before a model sees it, fitted on the training part.

`fit(x)` looks at the training part and returns a fitted value; its `apply(x)` transforms any
part, and its `names(names)` names the new columns. `rows(x, y)` says which rows stay, before the
split. Everything here is NumPy, in float64.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.columns import by_name, column_names
from jaxopt_edu.value import pytree, recipe, static

__all__ = [
    "Preparation",
    "Fitted",
    "Impute",
    "OneHot",
    "DropDuplicates",
    "impute",
    "one_hot",
    "drop_duplicates",
]

Names: TypeAlias = tuple[str, ...]


def numbers(x: Any) -> ndarray:
    """x as float64, or as the integers that it holds (no copy of a large set of images)."""
    x = np.asarray(x)
    try:
        return x if x.dtype.kind in "iu" else np.asarray(x, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"wanted a table of numbers: {error}; one_hot encodes categories") from None


def table(x: Any) -> ndarray:
    """x as rows and columns, whatever they hold."""
    x = np.asarray(x)
    if x.ndim != 2:
        raise ValueError(f"wanted a table (rows, columns), got shape {x.shape}")
    return x


def check_columns(x: ndarray, wanted: tuple[int, ...]) -> None:
    """ValueError unless rows have the shape of those that were fitted."""
    if wanted and x.shape[1:] != wanted:
        shown = ", ".join(map(str, ("rows", *wanted)))
        raise ValueError(f"x has shape {x.shape}: wanted ({shown}), as what was fitted")


def is_missing(x: Any) -> ndarray:
    """Where x is NaN or None."""
    x = np.asarray(x)
    if x.dtype != object:
        return x != x
    return np.fromiter(map(_absent, x.flat), bool, x.size).reshape(x.shape)


def _absent(v: Any) -> bool:
    try:
        return v is None or bool(v != v)
    except TypeError:  # pandas' NA does not say whether it differs from itself
        return True


@pytree
class Fitted:
    """A preparation that has seen the training part; as it stands, it changes nothing."""

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

    def fit(self, x: Any) -> Fitted:
        return Fitted()

    def fit_named(self, x: Any, names: Names) -> Fitted:
        """`fit` of a table whose columns have these names."""
        return self.fit(x)


# ------------------------------------------------------------------------------- missing values


@pytree
class Filled(Fitted):
    """x with fill in the place of missing values."""

    fill: Any = static()
    columns: Names = static(default=())

    def apply(self, x):
        x = table(by_name(x, self.columns))
        check_columns(x, (len(self.fill),))
        return np.where(is_missing(x), np.asarray(self.fill, x.dtype), x)


def _most_frequent(column: ndarray) -> Any:
    values, counts = np.unique(column, return_counts=True)
    return values[np.argmax(counts)]


STATISTICS = {
    "mean": lambda column: np.mean(numbers(column)),
    "median": lambda column: np.median(numbers(column)),
    "most_frequent": _most_frequent,
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
        statistic = STATISTICS[self.strategy]
        columns = zip(x.T, present.T, strict=True)
        return Filled(tuple(statistic(c[there]) for c, there in columns), names)


impute = recipe("impute", Impute)


# ------------------------------------------------------------------------------------ categories


UNKNOWN = ("ignore", "error")


@pytree
class Encoded(Fitted):
    """One column of 0 and 1 for each category of each column.

    unknown: whether other categories are all zeros ("ignore") or an error, for which columns may
    have names.
    """

    categories: Any = static()
    unknown: str = static(default="ignore", among=UNKNOWN)
    columns: Names = static(default=())

    def apply(self, x):
        x = table(by_name(x, self.columns))
        check_columns(x, (len(self.categories),))
        if self.unknown == "error":
            self._check(x)
        columns = zip(x.T, self.categories, strict=True)
        return np.concatenate(
            [np.stack([column == c for c in known], axis=1) for column, known in columns], axis=1
        ).astype(float)

    def _check(self, x):
        for j, (column, known) in enumerate(zip(x.T, self.categories, strict=True)):
            other = np.flatnonzero(~np.isin(column.astype(object), np.array(known, object)))
            if other.size:
                name = repr(self.columns[j]) if self.columns else str(j)
                value = column[other[0]]
                raise ValueError(
                    f"one_hot: column {name} holds {value!r} in row {other[0]}, which the training "
                    f"part does not hold: {', '.join(map(repr, known[:10]))}"
                )

    def names(self, names):
        pairs = zip(names, self.categories, strict=True)
        return tuple(f"{name}={c}" for name, known in pairs for c in known)


@pytree
class OneHot(Preparation):
    """Every column is a category and becomes one column of 0 and 1 for each of its values.

    The values are those of the training part, sorted.
    unknown: what becomes of a value that it does not hold: all zeros ("ignore"), or a ValueError
        that names its column ("error").
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
        known = tuple(tuple(np.unique(column).tolist()) for column in table(x).T)
        return Encoded(known, self.unknown, tuple(names))


one_hot = recipe("one_hot", OneHot)


# ------------------------------------------------------------------------------------------ rows


@pytree
class DropDuplicates(Preparation):
    """Of rows with equal features and target, the first stays: none is in two parts.

    This happens before the split; later rows (`apply`) all stay. Missing values equal each other.
    Agrees with: pandas.DataFrame.drop_duplicates, exactly.

    >>> import jaxopt_edu as jo
    >>> import numpy as np
    >>> jo.data.drop_duplicates().rows(np.array([[1], [2], [1], [1]]), np.array([0, 0, 0, 1]))
    array([0, 1, 3])
    """

    def rows(self, x, y):
        first: dict[tuple, int] = {}
        for i, row in enumerate(zip(_plain(x), _plain(y), strict=True)):
            first.setdefault(row, i)
        return np.array(list(first.values()))


drop_duplicates = recipe("drop_duplicates", DropDuplicates)


def _plain(x: ndarray) -> list[tuple]:
    """Rows as tuples of values that compare equal, missing ones too."""
    x = np.asarray(x).reshape(len(x), -1)
    x = x.astype(object)
    x[is_missing(x)] = None
    return list(map(tuple, x))
