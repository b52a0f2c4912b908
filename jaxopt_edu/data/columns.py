"""Tables of rows: whose columns have names, and in which order a preparation wants them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu import arrays
from jaxopt_edu.arrays import plain
from jaxopt_edu.data.prepared import prepared_by
from jaxopt_edu.value import nearest

__all__ = ["Columns", "by_name", "column_names", "kinds_of", "read_table"]

Names = tuple[str, ...]
TEXT, NUMBERS, MIXED = "text", "numbers", "text and numbers"
KINDS = dict.fromkeys("biuf", NUMBERS) | dict.fromkeys("US", TEXT)  # by the kind of a dtype


@dataclass(frozen=True)
class Columns:
    """What the rows of a table were: names of the columns, and the shape of a row.

    named: whether the names are known, and not x0, x1, ... for want of any. by: the mark of rows
    that were prepared for other data and are raw here. kinds: what each column held, TEXT or
    NUMBERS, None where that is not known.
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
        """TypeError where text stands for numbers, or numbers for text: 7 is not "7"."""
        if TEXT not in self.kinds and array.dtype.kind in "biuf":
            return
        for j, (wanted, found) in enumerate(zip(self.kinds, kinds_of(array), strict=False)):
            if wanted is not None and found not in (None, wanted):
                value = next(v for v in array[:, j].tolist() if _kind(v) != wanted)
                raise TypeError(
                    f"{what}: column {self.names[j]!r} holds {value!r}: wanted {wanted}, as the "
                    "training part"
                )

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
    """What each column of a table holds; () where it is no table."""
    if array.ndim != 2:
        return ()
    if array.dtype.kind != "O":
        return (KINDS.get(array.dtype.kind),) * array.shape[1]
    found = [{_kind(v) for v in column.tolist()} - {None} for column in array.T]
    return tuple(kinds.pop() if len(kinds) == 1 else MIXED if kinds else None for kinds in found)


def _kind(v: Any) -> str | None:
    if isinstance(v, str | bytes):
        return TEXT
    return NUMBERS if isinstance(v, int | float | np.number | np.bool_) and v == v else None


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
    names = column_names(x)
    if isinstance(x, Mapping):
        return _in_columns({str(k): plain(what, _listed(v)) for k, v in x.items()}, what), names
    if isinstance(x, list | tuple) and len(x) and isinstance(x[0], Mapping):
        return _records(x, names, what), names
    if hasattr(x, "column_names") and names:
        return _in_columns({name: plain(what, x[name]) for name in names}, what), names
    return plain(what, x), names


def _listed(column: Any) -> Any:
    return [column] if isinstance(column, str | bytes) or np.ndim(column) == 0 else column


def _in_columns(columns: dict[str, ndarray], what: str) -> ndarray:
    lengths = {name: np.shape(c) for name, c in columns.items()}
    if len(set(lengths.values())) > 1 or any(len(shape) != 1 for shape in lengths.values()):
        shown = ", ".join(f"{name!r} {shape}" for name, shape in list(lengths.items())[:5])
        raise ValueError(f"{what} has columns of shapes {shown}: wanted one value for each row")
    rows = [c.astype(object) for c in columns.values()]
    return plain(what, np.stack(rows, 1) if rows else np.empty((0, 0)))


def _records(rows: Any, names: Names, what: str) -> ndarray:
    for i, row in enumerate(rows):
        given = tuple(map(str, row)) if isinstance(row, Mapping) else ()
        if set(given) != set(names):
            other = [n for n in (*names, *given) if (n in names) != (n in given)]
            raise ValueError(f"{what}: row {i} and row 0 have other columns: {_shown(other)}")
    by_name = [{str(k): v for k, v in row.items()} for row in rows]
    return _in_columns({n: plain(what, [row[n] for row in by_name]) for n in names}, what)
