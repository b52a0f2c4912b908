"""What users hand over as data: features, targets and ready-made parts, made plain arrays."""

from typing import Any

from numpy import ndarray

from jaxopt_edu.arrays import floats, plain
from jaxopt_edu.data.columns import Columns, column_names
from jaxopt_edu.data.raw import Pair
from jaxopt_edu.kinds import is_missing, of_one_kind

__all__ = ["columns_of", "pair_of", "targets_of"]


def targets_of(what: str, y: Any, task: str | None = None) -> ndarray:
    """Targets as an array; a table of one column that brings its name is that column.

    Errors: OddValues for dates and for strings among numbers; see `plain`.
    """
    names = column_names(y)
    y = plain(what, y)
    if names and len(names) == 1 and y.ndim == 2:
        y = y[:, 0]
    if y.dtype != object:
        return y
    if task == "regression":
        return floats(what, y)
    if not is_missing(y).any():
        of_one_kind("a column of labels", what, y)
    return y


def pair_of(name: str, part: Any, task: str | None, columns: Columns) -> Pair | None:
    """The arrays of a ready-made part, its columns in the order of those of x; None for a share."""
    if not isinstance(part, tuple | list):
        return None
    if len(part) != 2:
        raise ValueError(f"a ready-made part is a pair (x, y), got {len(part)} things")
    return columns.ordered(part[0], f"{name} x"), targets_of(f"{name} y", part[1], task)


def columns_of(x: Any, shape: tuple[int, ...], features: Any) -> tuple[str, ...]:
    """The names of the columns of a table: those given, its own, or x0, x1, ..."""
    if len(shape) != 2:
        return tuple(features)
    names = tuple(map(str, features)) or column_names(x)
    names = names or tuple(f"x{j}" for j in range(shape[1]))
    if len(names) != shape[1]:
        raise ValueError(f"features names {len(names)} columns, but x has {shape[1]}")
    twice = [name for j, name in enumerate(names) if name in names[:j]]
    if twice:
        raise ValueError(f"x has two columns named {twice[0]!r}: wanted a name of its own for each")
    return names
