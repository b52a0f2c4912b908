"""Rows of what the user gave that make up a part: prepared, with errors in the user's own terms."""

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.columns import Columns
from jaxopt_edu.data.preparation import Fitted, Preparation, real
from jaxopt_edu.data.prepared import prepared_by
from jaxopt_edu.values.kinds import OddValues, is_missing

__all__ = ["Chosen", "prepared_rows"]

BLOCK = 1024  # rows that are prepared at a time


class Chosen(NamedTuple):
    """Some rows of arrays x and y, as they were given."""

    what: str  # what an error calls x
    names: tuple[str, ...]  # of its columns
    x: ndarray
    y: ndarray
    rows: ndarray

    def fit(self, preparation: Preparation) -> Fitted:
        """The preparation fitted to these rows."""
        x = self.x[self.rows]
        try:
            return preparation.fit_named(x, self.names)
        except OddValues as error:
            raise self._placed(error, x, 0) from None

    def prepared(self, fitted: Fitted, names: tuple[str, ...]) -> ndarray:
        """These rows after a fitted preparation, block by block, in the float type of JAX.

        names: of the columns afterwards.
        """
        blocks = []
        for i in range(0, max(len(self.rows), 1), BLOCK):
            x = self.x[self.rows[i : i + BLOCK]]
            try:
                with np.errstate(over="ignore"):
                    blocks.append(real(fitted.apply(x)))
            except OddValues as error:
                raise self._placed(error, x, i) from None
        x = np.concatenate(blocks)
        finite = np.isfinite(x)
        if not finite.all():
            raise self._not_finite(x, finite, names)
        return x

    def _not_finite(self, x: ndarray, finite: ndarray, names: tuple[str, ...]) -> ValueError:
        row, *place = np.argwhere(~finite)[0].tolist()
        value = x[(row, *place)]
        where = f", column {names[place[0]]!r}" if x.ndim == 2 and place[0] < len(names) else ""
        found = (
            "a missing value (NaN)" if np.isnan(value) else "infinity or a number beyond float32"
        )
        return ValueError(
            f"{self.what} holds NaN, infinity or numbers beyond float32 after its preparation: "
            f"{found} in row {self.rows[row]}{where}"
        )

    def _placed(self, error: OddValues, x: ndarray, first: int) -> OddValues:
        """The error with the name of the column and the row that the user gave.

        x: the rows that were looked at, beginning with the `first` of these.
        """
        if x.ndim != 2 or error.row >= len(x):
            return error
        row = int(self.rows[first + error.row])
        if error.column in self.names:
            return error.moved(self.what, error.column, row)
        columns = [j for j, v in enumerate(x[error.row].tolist()) if _same(v, error.value)]
        return error.moved(self.what, self.names[columns[0]], row) if columns else error


def prepared_rows(
    what: str, x: Any, columns: Columns, fitted: Fitted, features: tuple[str, ...]
) -> ndarray:
    """Rows as they were given, by the names of their columns, after a fitted preparation."""
    if prepared_by(x) not in (None, columns.by):
        raise ValueError(f"{what}: these rows were prepared already (np.asarray forgets it)")
    rows = columns.rows(x, what)
    whole = Chosen(what, columns.names, rows, rows, np.arange(len(rows)))
    return whole.prepared(fitted, features)


def _same(v: Any, w: Any) -> bool:
    if isinstance(w, np.generic) and not isinstance(w, np.datetime64 | np.timedelta64):
        w = w.item()
    missing = is_missing(np.array([v, w], object))
    return bool(missing.all()) or (not missing.any() and type(v) is type(w) and bool(v == w))
