"""Rows that were prepared already: arrays that remember it, and rows that look like it."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["Prepared", "for_fold", "look_prepared", "marked", "of_fold", "prepared_by", "read_only"]

CHANGED = "arithmetic"  # the mark of what was computed from prepared rows
OF_FOLDS = "folds"  # begins the mark of rows that a fold has yet to shift and scale


class Prepared(ndarray):
    """An array whose rows were prepared, and which remembers by what.

    by: the mark of the source (`Source.mark`). Slices, rows picked by index or joined, reshaped
    arrays and copies in another precision keep it. What arithmetic makes of them, arrays that were
    written into, and rows whose features were picked or moved are marked as `CHANGED`; np.asarray
    gives an array without a mark. row: the shape of a row, the last axes.
    """

    by: str | None
    row: tuple[int, ...]

    def __array_finalize__(self, other: Any) -> None:
        self.by, self.row = getattr(other, "by", None), getattr(other, "row", ())
        if self.by is not None:
            same = self.shape[self.ndim - len(self.row) :] == self.row
            if not same or self.dtype.kind != other.dtype.kind:
                self.by = CHANGED

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if out is not None:
            kwargs["out"] = tuple(map(_plain, out))
        found = getattr(ufunc, method)(*map(_plain, inputs), **kwargs)
        for written in out or (inputs[:1] if method == "at" else ()):
            _write(written)
        if out is not None and len(out) == 1 and isinstance(out[0], Prepared):
            return out[0]
        if isinstance(found, ndarray) and found.ndim > 0 and found.dtype.kind == "f":
            return marked(found, CHANGED)
        return found

    def __array_function__(self, func, types, args, kwargs):
        found = super().__array_function__(func, types, args, kwargs)
        if func in _WRITERS:
            _write(args[0] if args else next(iter(kwargs.values())))
        _write(kwargs.get("out"))
        if func is np.concatenate and "out" not in kwargs:
            return _joined(found, *args, **kwargs)
        if isinstance(found, Prepared) and (found.by is None or func in _COMPUTED):
            found.by = CHANGED
        return found

    def __array_wrap__(self, array, context=None, return_scalar=False):
        return array[()] if return_scalar else marked(np.asarray(array), self.by and CHANGED)

    def __getitem__(self, index):
        found = super().__getitem__(index)
        by_row = not isinstance(index, tuple) and self.ndim > len(self.row) and np.ndim(index) < 2
        return found if by_row else _checked(self, found, lambda grid: grid[index])

    def reshape(self, *shape, **options):
        found = super().reshape(*shape, **options)
        if self.by in (None, CHANGED):
            return found
        sizes = [math.prod(found.shape[i:]) for i in range(found.ndim, -1, -1)]
        if options.get("order", "C") != "C" or math.prod(self.row) not in sizes:
            found.by = CHANGED
        elif found.shape[found.ndim - len(self.row) :] != self.row:
            found.by = self.by
            found.row = found.shape[found.ndim - sizes.index(math.prod(self.row)) :]
        return found

    T = property(lambda self: self.transpose())
    mT = property(lambda self: self.swapaxes(-1, -2))

    @property
    def flat(self):
        if self.flags.writeable:  # what is written through it is not seen
            _write(self)
        return super().flat

    @flat.setter
    def flat(self, values):
        self[...] = np.reshape(values, self.shape)

    def __reduce__(self):
        return marked, (np.asarray(self), self.by, self.row)

    def __repr__(self):
        return repr(np.asarray(self))


_WRITERS = {np.copyto, np.put, np.place, np.putmask, np.fill_diagonal}
_COMPUTED = {np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.dot, np.inner}


def _picking(name: str) -> Any:
    """A method of arrays that picks or moves entries; the mark stays where features stay."""
    method = getattr(ndarray, name)

    def pick(self, *args, **kwargs):
        found = method(self, *args, **kwargs)
        _write(kwargs.pop("out", None))
        return _checked(self, found, lambda grid: getattr(grid, name)(*args, **kwargs))

    return pick


def _computing(name: str) -> Any:
    """A method of arrays that gives other numbers."""
    method = getattr(ndarray, name)

    def compute(self, *args, **kwargs):
        found = method(self, *args, **kwargs)
        _write(kwargs.get("out"))
        return marked(np.asarray(found), self.by and CHANGED) if np.ndim(found) else found

    return compute


def _writing(name: str) -> Any:
    """A method of arrays that writes into them."""
    method = getattr(ndarray, name)

    def write(self, *args, **kwargs):
        found = method(self, *args, **kwargs)
        _write(self)
        return found

    return write


for _name in ("take", "repeat", "compress", "transpose", "swapaxes"):
    setattr(Prepared, _name, _picking(_name))
for _name in ("__setitem__", "fill", "put", "sort", "partition", "setfield"):
    setattr(Prepared, _name, _writing(_name))
for _name in ("dot", "byteswap"):
    setattr(Prepared, _name, _computing(_name))


def _checked(x: Prepared, found: Any, pick: Callable[[ndarray], ndarray]) -> Any:
    """What was picked of x, marked as changed unless each feature is where it was."""
    if isinstance(found, Prepared) and found.by not in (None, CHANGED):
        row = np.arange(math.prod(x.row)).reshape(x.row)
        places = pick(np.broadcast_to(row, x.shape))  # takes no memory of its own before
        same = places.shape[places.ndim - len(x.row) :] == x.row
        if not same or not (places == row).all():
            found.by = CHANGED
    return found


def _joined(found: ndarray, arrays: Any, axis: int | None = 0, **_: Any) -> ndarray:
    """Joined rows: of one preparation if all were, else changed."""
    first = next(x for x in arrays if isinstance(x, Prepared))
    key = first.by, first.row
    same = all(isinstance(x, Prepared) and (x.by, x.row) == key for x in arrays)
    by = first.by if same and axis == 0 and first.ndim > len(first.row) else CHANGED
    return marked(np.asarray(found), by, first.row)


def _write(x: Any) -> None:
    """Marks an array that was written into, and those that it is a view of."""
    while isinstance(x, Prepared):
        x.by = x.by and CHANGED
        x = x.base


def _plain(x: Any) -> Any:
    return x.view(ndarray) if isinstance(x, Prepared) else x


def marked(x: ndarray, by: str | None, row: tuple[int, ...] | None = None) -> ndarray:
    """The same numbers as prepared rows of this mark; x itself where there is none.

    row: the shape of a row; None: the axes of x after the first, or those that it knows.
    """
    if by is None:
        return x
    new = x.view(Prepared)
    new.by = by
    new.row = row if row is not None else getattr(x, "row", x.shape[1:])
    return new


def read_only(x: ndarray) -> ndarray:
    """The array, which nobody writes into any more: several hold it."""
    x.setflags(write=False)
    return x


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
