"""Tables of rows: whose columns have names, and in which order a preparation wants them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.prepared import prepared_by
from jaxopt_edu.values import arrays
from jaxopt_edu.values.arrays import joined, plain
from jaxopt_edu.values.kinds import BOOLS, MISSING, NUMBERS, OddValues, kinds_in
from jaxopt_edu.values.pytrees import nearest

__all__ = ["Columns", "by_name", "column_names", "kinds_of", "read_table"]

Names = tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """What the rows of a table were: names of the columns, and the shape of a row.

    named: whether the names are known, and not x0, x1, ... for want of any. by: the mark of rows
    that were prepared for other data and are raw here. kinds: what each column held (numbers,
    strings, bytes), None where that is not known.
    """

    names: Names = ()
    shape: tuple[int, ...] | None = None
    named: bool = False
    by: str | None = None
    kinds: tuple[str | None, ...] = ()

    @classmethod
    def of(cls, x: Any, array: ndarray, names: Names, given: bool) -> "Columns":
        """The columns of a table x, which as an array is that one; names: those it is to have,
        given or made up where it has none."""
        own = column_names(x) if array.ndim == 2 else ()
        return cls(
            own or names, array.shape[1:], bool(own or given), prepared_by(x), kinds_of(array)
        )

    def rows(self, x: Any, what: str = "rows") -> ndarray:
        """A table as an array whose columns stand in the order of the names.

        Errors: ValueError that names the columns that are missing or unknown, or says how many
            there are and were to be.
        """
        array = self.ordered(x, what)
        if self.shape is not None and array.shape[1:] != self.shape:
            raise ValueError(_other_shape(what, array.shape, self.shape))
        self._check_kinds(array, what)
        return array

    def _check_kinds(self, array: ndarray, what: str) -> None:
        """OddValues where strings stand for numbers, or numbers for strings: 7 is not "7"."""
        if {*self.kinds} <= {NUMBERS, None} and array.dtype.kind in "biuf":
            return
        for j, wanted in enumerate(self.kinds):
            found = _kinds_and_rows(array[:, j]) if wanted is not None else {}
            other = {row: kind for kind, row in found.items() if kind != wanted}
            if other:
                row, way = min(other), f"wanted {wanted}, as in the training part"
                raise OddValues(what, self.names[j], row, array[row, j], other[row], way)

    def ordered(self, x: Any, what: str) -> ndarray:
        """A table as an array, by name where its columns and ours have names; else as it is."""
        array, names = read_table(x, what)
        if not names:
            return array
        if array.ndim == 1:  # one row of a data frame
            array = array[None]
        if self.named or set(names) == set(self.names):
            return array[:, self._order(names, what)]
        return array

    def _order(self, names: Names, what: str) -> list[int]:
        if names == self.names:
            return list(range(len(names)))
        missing = [n for n in self.names if n not in names]
        unknown = [n for n in names if n not in self.names]
        twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
        if missing or unknown or twice or len(names) != len(self.names):
            told = {"missing": missing, "unknown": unknown, "given twice": twice}
            found = "; ".join(f"{word}: {_shown(those)}" for word, those in told.items() if those)
            hint = ""
            if len(unknown) == 1 and missing:
                hint = f" ({unknown[0]!r}: {nearest(unknown[0], missing)})"
            raise ValueError(f"{what}: columns {found}{hint}; wanted {_shown(self.names, 10)}")
        place = {name: j for j, name in enumerate(names)}
        return [place[name] for name in self.names]


def _other_shape(what: str, found: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    shown = ", ".join(map(str, ("rows", *wanted)))
    if found == wanted:
        return f"{what} has shape {found}: wanted ({shown}); one row is x[None]"
    if len(wanted) == 1 and len(found) == 2:
        return f"{what} has {found[1]} columns: wanted {wanted[0]}, as the training part"
    return f"{what} has shape {found}: wanted ({shown}), as the training part"


def _shown(names: Any, most: int = 5) -> str:
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def kinds_of(array: ndarray) -> tuple[str | None, ...]:
    """What each column of a table holds, None for several kinds or nothing; () for no table."""
    if array.ndim != 2:
        return ()
    found = [list(_kinds_and_rows(column)) for column in array.T]
    return tuple(kinds[0] if len(kinds) == 1 else None for kinds in found)


def _kinds_and_rows(column: ndarray) -> dict[str, int]:
    """The kinds of values in a column, and the first row of each; bools are numbers."""
    found = kinds_in(column)
    found.pop(MISSING, None)
    if BOOLS in found:
        found[NUMBERS] = min(found.pop(BOOLS), found.get(NUMBERS, len(column)))
    return found


def by_name(x: Any, names: Names) -> Any:
    """x with its columns in the order of these names, where there are any and it has names."""
    return Columns(names, named=True).ordered(x, "x") if names else x


# ------------------------------------------------------------------------------ reading a table


def column_names(x: Any) -> Names:
    """The names of the columns of a table that has them: a data frame, records, one named row."""
    if isinstance(x, Mapping):
        return tuple(map(str, x))
    if isinstance(x, list | tuple) and len(x) and isinstance(x[0], Mapping):
        return tuple(map(str, x[0]))
    if hasattr(x, "column_names") and not callable(x.column_names):  # pyarrow's
        return tuple(map(str, x.column_names))
    if getattr(x, "ndim", None) == 1 and hasattr(x, "index") and not callable(x.index):
        names = tuple(x.index)  # a row of a data frame
        return names if all(isinstance(name, str) for name in names) else ()
    return arrays.column_names(x) or ()


def read_table(x: Any, what: str = "rows") -> tuple[ndarray, Names]:
    """A table as an array, mixed columns as objects, and the names of its columns, () if none."""
    x = np.atleast_1d(x) if isinstance(x, np.void) else x  # one row of a structured array
    names = column_names(x)
    if isinstance(x, Mapping):
        return _in_columns(dict(zip(names, map(_listed, x.values()), strict=True)), what), names
    if isinstance(x, list | tuple) and len(x) and isinstance(x[0], Mapping):
        return _in_columns(_of_records(x, names, what), what), names
    if names and getattr(x, "ndim", 2) == 2 and not hasattr(x, "iloc"):  # of pyarrow and polars
        return _in_columns({name: x[name] for name in names}, what), names
    return plain(what, x), names


def _listed(column: Any) -> Any:
    """A column as it is; a single value, of one row, as a column."""
    single = isinstance(column, str | bytes) or not hasattr(column, "__len__")
    return [column] if single or getattr(column, "ndim", 1) == 0 else column


def _in_columns(columns: dict[str, Any], what: str) -> ndarray:
    found = {name: plain(f"{what} column {name!r}", c) for name, c in columns.items()}
    lengths = {name: c.shape for name, c in found.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        shown = ", ".join(f"{name!r} {shape}" for name, shape in list(lengths.items())[:5])
        raise ValueError(f"{what} has columns of shapes {shown}: wanted one value for each row")
    return joined(list(found.values()), *next(iter(lengths.values()), (0,)))


def _of_records(rows: Any, names: Names, what: str) -> dict[str, list]:
    columns: dict[str, list] = {name: [] for name in names}
    for i, row in enumerate(rows):
        values = row.values() if isinstance(row, Mapping) else ()
        given = dict(zip(map(str, row) if values else (), values, strict=True))
        if set(given) != set(names):
            other = [n for n in (*names, *given) if (n in names) != (n in given)]
            raise ValueError(f"{what}: row {i} and row 0 have other columns: {_shown(other)}")
        for name, value in given.items():
            columns[name].append(value)
    return columns
