"""Rows that come twice: one stays, so that none is in two parts."""

from collections.abc import Iterator

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.preparation import Preparation
from jaxopt_edu.values.kinds import is_missing
from jaxopt_edu.values.pytrees import pytree, recipe

__all__ = ["DropDuplicates", "drop_duplicates"]


@pytree
class DropDuplicates(Preparation):
    """Of rows with equal features and target, the first stays: none is in two parts.

    This happens before the split; later rows (`apply`) all stay. Missing values equal each other.
    Ready-made parts stay in front: a test part as it was given; a validation part loses the rows
    that the test part has, and what is split or trained on those that either has. Floats of two
    precisions are compared in the coarser one.
    Agrees with: pandas.DataFrame.drop_duplicates, exactly.

    >>> import jaxopt_edu as jo
    >>> import numpy as np
    >>> jo.data.drop_duplicates().rows(np.array([[1], [2], [1], [1]]), np.array([0, 0, 0, 1]))
    array([0, 1, 3])
    """

    def rows(self, x, y):
        first: dict[tuple, int] = {}
        for i, row in enumerate(_rows(x, y)):
            first.setdefault(row, i)
        return np.array(list(first.values()))

    def apart(self, x, y, part):
        mine, theirs = _alike(x, part[0]), _alike(part[0], x)
        taken = set(_rows(theirs, _alike(part[1], y)))
        rows = enumerate(_rows(mine, _alike(y, part[1])))
        return np.array([i for i, row in rows if row not in taken], int)


drop_duplicates = recipe("drop_duplicates", DropDuplicates)


def _alike(x: ndarray, other: ndarray) -> ndarray:
    """x in the precision of the other, where that is the coarser one."""
    finer = x.dtype.kind == other.dtype.kind == "f" and x.dtype.itemsize > other.dtype.itemsize
    return x.astype(other.dtype) if finer else x


def _rows(x: ndarray, y: ndarray) -> Iterator[tuple]:
    return zip(_plain(x), _plain(y), strict=True)


def _plain(x: ndarray) -> list[tuple]:
    """Rows as tuples of values that compare equal, missing ones too."""
    x = np.asarray(x).reshape(len(x), -1)
    x = x.astype(object)
    x[is_missing(x)] = None
    return list(map(tuple, x))
