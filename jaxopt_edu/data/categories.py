"""Categories as columns of 0 and 1, one for each value of the training part."""

from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.columns import by_name, column_names
from jaxopt_edu.data.preparation import Fitted, Names, Preparation, check_columns, table
from jaxopt_edu.values.kinds import BOOLS, NUMBERS, OddValues, of_one_kind, word_of
from jaxopt_edu.values.pytrees import pytree, recipe, static

__all__ = ["OneHot", "one_hot"]

UNKNOWN = ("ignore", "error")
COARSER = (np.float32, np.float16)


@pytree
class Encoded(Fitted):
    """One column of 0 and 1 for each category of each column; others as `unknown` says."""

    categories: Any = static()
    unknown: str = static(default="ignore", among=UNKNOWN)
    columns: Names = static(default=())

    def apply(self, x):
        x = table(by_name(x, self.columns))
        check_columns(x, (len(self.categories),))
        given = list(map(_as_known, x.T, self.categories))
        for j, (column, known) in enumerate(zip(given, self.categories, strict=True)):
            name = self.columns[j] if self.columns else j
            _check_kind(column, known, name)
            if self.unknown == "error":
                _check_known(column, known, name)
        columns = zip(given, self.categories, strict=True)
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
        names the column. Floats of two precisions are compared in the coarser one.
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


def _as_known(column: ndarray, known: tuple) -> ndarray:
    """A column in which floats that are a category in the coarser precision are that category."""
    floats = [c for c in known if isinstance(c, float)]
    if not floats or column.dtype.kind not in "fO":
        return column
    values = column.tolist()
    others = {v for v in values if isinstance(v, float)}.difference(known)
    near: dict[float, float] = {}
    for coarse in COARSER:
        sure = column.dtype == coarse
        rounded = {_rounded(c, coarse): c for c in floats}
        own = {c for c in floats if _came_from(c, coarse)}
        for v in others - near.keys():
            if v in rounded and (sure or _came_from(v, coarse)):
                near[v] = rounded[v]
            elif _rounded(v, coarse) in own:
                near[v] = _rounded(v, coarse)
    if not near:
        return column.astype(float) if column.dtype.kind == "f" else column
    return np.array([near.get(v, v) for v in values], float if column.dtype.kind == "f" else object)


def _rounded(v: float, coarse: Any) -> float:
    with np.errstate(over="ignore"):
        return float(coarse(v))


def _came_from(v: float, coarse: Any) -> bool:
    """Whether v shows that it was of this precision: as one it has a shorter decimal form."""
    return _rounded(v, coarse) == v != float(str(coarse(v)))


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
