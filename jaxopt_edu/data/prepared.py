"""Rows that were prepared already: arrays that remember it, and rows that look like it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["Prepared", "for_fold", "look_prepared", "marked", "of_fold", "prepared_by"]

CHANGED = "arithmetic"  # the mark of what was computed from prepared rows
OF_FOLDS = "folds"  # begins the mark of rows that a fold has yet to shift and scale


class Prepared(ndarray):
    """An array whose rows were prepared, and which remembers by what.

    by: the mark of the source (`Source.mark`). Slices, rows picked by index, reshaped arrays and
    copies in another dtype keep it; what arithmetic makes of them is marked as `CHANGED`, and
    np.asarray gives an array without a mark.
    """

    by: str | None

    def __array_finalize__(self, other: Any) -> None:
        self.by = getattr(other, "by", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            kwargs["out"] = tuple(map(_plain, out))
        found = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        if isinstance(found, ndarray) and found.ndim > 0 and found.dtype.kind == "f":
            return marked(found, CHANGED)
        return found

    def __reduce__(self):
        return marked, (np.asarray(self), self.by)

    def __repr__(self):
        return repr(np.asarray(self))


def _plain(x: Any) -> Any:
    return x.view(ndarray) if isinstance(x, Prepared) else x


def marked(x: ndarray, by: str | None) -> ndarray:
    """The same numbers as prepared rows of this mark; x itself where there is none."""
    if by is None:
        return x
    new = x.view(Prepared)
    new.by = by
    return new


def prepared_by(x: Any) -> str | None:
    """The mark of prepared rows; None for any other value."""
    return x.by if isinstance(x, Prepared) else None


def for_fold(x: Any, by: str | None) -> Any:
    """Rows that all folds share, as those which become this fold's, of the given mark."""
    shared = isinstance(x, Prepared) and by is not None
    return marked(x, f"{OF_FOLDS} {by}") if shared else x


def of_fold(x: Any) -> str | None:
    """The mark of the rows that a fold makes of those it shares; None where that is not known."""
    by = prepared_by(x)
    return by.removeprefix(f"{OF_FOLDS} ") if by is not None and by != OF_FOLDS else None


def look_prepared(rows: ndarray, parts: Iterable[Any], dtype: Any = None) -> bool:
    """Whether half of the rows or more equal, number for number, rows of these prepared arrays.

    dtype: the one that the rows came in, where it held fewer digits. The first and the last row
    are looked for first: rows of other origin are found out by two comparisons.
    """
    held = [np.asarray(part) for part in parts]
    held = [part.reshape(len(part), -1) for part in held if part[0].size == rows[0].size]
    rows = rows.reshape(len(rows), -1)
    narrow = np.dtype(dtype or rows.dtype)
    for i, part in enumerate(held):
        if narrow.itemsize < part.dtype.itemsize:
            held[i] = part.astype(narrow).astype(part.dtype)
    ends = [rows[i].astype(part.dtype) for part in held[:1] for i in (0, -1)]
    if not any((part == row).all(1).any() for part in held for row in ends):
        return False
    known = {row for part in held for row in _bytes_of(part)}
    return 2 * sum(row in known for row in _bytes_of(rows.astype(held[0].dtype))) >= len(rows)


def _bytes_of(rows: ndarray) -> Iterable[bytes]:
    """The bytes of each row; of -0 those of 0."""
    return (row.tobytes() for row in np.ascontiguousarray(rows) + rows.dtype.type(0))
