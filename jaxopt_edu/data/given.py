"""What users hand over as data: features, targets and ready-made parts, made plain arrays."""

from typing import Any

from numpy import ndarray

from jaxopt_edu.data.columns import Columns, column_names
from jaxopt_edu.data.raw import Pair
from jaxopt_edu.values.arrays import floats, plain
from jaxopt_edu.values.kinds import is_missing, of_one_kind

__all__ = ["check_index", "columns_of", "pair_of", "target_names", "targets_of"]


def targets_of(
    what: str, y: Any, task: str | None = None, targets: tuple[str, ...] = ()
) -> ndarray:
    """Targets as an array; a single column is (n,): of a table with names, or of a regression.

    targets: the names that columns of a regression are to have, and their order; () asks nothing.
    Errors: ValueError that names columns that are missing or unknown; OddValues for dates and for
        strings among numbers; see `plain`.
    """
    names = _column_names(y)
    y = Columns(targets, named=True).ordered(y, what) if targets and names else plain(what, y)
    numbers = task == "regression" or (task is None and y.dtype.kind == "f")
    if y.ndim == 2 and y.shape[1] == 1 and (len(names) == 1 or numbers):
        y = y[:, 0]
    if y.dtype != object:
        return y
    if task == "regression":
        return floats(what, y)
    if not is_missing(y).any():
        of_one_kind("a column of labels", what, y)
    return y


def target_names(y: Any) -> tuple[str, ...]:
    """The names that numbers to be predicted bring along: those of columns, or of a series."""
    name = getattr(y, "name", None)
    if isinstance(name, str):
        return (name,) if name else ()
    return _column_names(y)


def _column_names(y: Any) -> tuple[str, ...]:
    """The names of the columns of targets; a series has an index of rows instead."""
    return () if hasattr(y, "iloc") and y.ndim == 1 else column_names(y)


def check_index(x: Any, y: Any, x_name: str = "x", y_name: str = "y") -> None:
    """ValueError where x and y, with an index each, have the same one in another order."""
    mine, theirs = (getattr(a, "index", None) if hasattr(a, "iloc") else None for a in (x, y))
    if mine is None or theirs is None or len(mine) != len(theirs) or mine.equals(theirs):
        return
    if set(mine) == set(theirs):
        raise ValueError(
            f"{x_name} and {y_name} have the same index in another order: wanted each row beside "
            "its own, as y.loc[x.index]; y.to_numpy() has no index, where the order is meant"
        )


def pair_of(
    name: str, part: Any, task: str | None, columns: Columns, targets: tuple[str, ...] = ()
) -> Pair | None:
    """The arrays of a ready-made part, columns in the order of those of x and y; None for a share.

    targets: the names of the columns of y, where they have any.
    """
    if not isinstance(part, tuple | list):
        return None
    if len(part) != 2:
        raise ValueError(f"a ready-made part is a pair (x, y), got {len(part)} things")
    check_index(part[0], part[1], f"{name} x", f"{name} y")
    return columns.ordered(part[0], f"{name} x"), targets_of(f"{name} y", part[1], task, targets)


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
