"""Raw data, and what must be true of them before anything else is done."""

import hashlib
import math
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.labels import labels_of, made_up, names_of, numbered
from jaxopt_edu.values.kinds import DATES, WAYS, OddValues, is_missing, kinds_in
from jaxopt_edu.values.pytrees import resolve_among

Pair = tuple[ndarray, ndarray]


class Raw(NamedTuple):
    """Data as they come: examples and targets, which may bring parts of their own."""

    x: ndarray
    y: ndarray
    features: tuple[str, ...]
    targets: tuple[str, ...]  # names of the classes, or of what is predicted; () where not known
    task: str  # "classification" or "regression"
    validation: Pair | None = None
    test: Pair | None = None
    labels: tuple[Any, ...] = ()  # the classes as they were given, once they are known

    def pairs(self) -> dict[str, Pair]:
        """The pairs of x and y, by what an error calls them."""
        own = {"validation ": self.validation, "test ": self.test}
        return {"": (self.x, self.y)} | {k: v for k, v in own.items() if v is not None}

    def sha256(self) -> str:
        """The hash of all arrays and of the task."""
        digest = hashlib.sha256(self.task.encode())
        for array in (a for pair in self.pairs().values() for a in pair):
            digest.update(f"{array.dtype.str}{array.shape}".encode())
            digest.update(
                repr(array.tolist()).encode() if array.dtype == object else array.tobytes()
            )
        return digest.hexdigest()


def checked(raw: Raw, fills: bool) -> Raw:
    """raw with its labels as integers from 0; fills: missing values may be in x.

    Errors: ValueError or TypeError that says which array is wrong, in what, and what was wanted.
    """
    resolve_among("task", raw.task, ("classification", "regression"))
    for part, (x, y) in raw.pairs().items():
        _check_shapes(part, x, y, raw.x)
        check_values(f"{part}x", x, fills, raw.features)
        check_values(f"{part}y", y, False, ())
    return _regression(raw) if raw.task == "regression" else _classification(raw)


def _check_shapes(part: str, x: ndarray, y: ndarray, first: ndarray) -> None:
    if x.ndim < 2:
        raise ValueError(
            f"{part}x has shape {x.shape}: wanted (examples, features); x[:, None] is one feature"
        )
    if y.ndim < 1 or len(x) != len(y):
        raise ValueError(f"{part}x has shape {x.shape}, but {part}y {y.shape}: one row for each")
    if x.shape[1:] != first.shape[1:]:
        raise ValueError(f"{part}x has shape {x.shape}, but x {first.shape}: the same features")
    if 0 in x.shape:
        raise ValueError(f"{part}x has shape {x.shape}: there is nothing in it")


def check_values(what: str, a: ndarray, fills: bool, names: tuple[str, ...]) -> None:
    """ValueError where a holds infinity, or a missing value that nothing fills."""
    if a.dtype.kind not in "fO":
        return
    found = {"infinity": _infinite(a)}
    if not fills:
        found["missing values (NaN)"] = is_missing(a)
    for word, wrong in found.items():
        if wrong.any():
            where = np.argwhere(wrong)
            if a.ndim == 2 and a.dtype == object and DATES in kinds_in(a[:, where[0][1]]):
                row, j = where[0]
                raise OddValues(what, names[j], int(row), None, f"missing {DATES}", WAYS[DATES])
            rows = len(np.unique(where[:, 0]))
            hint = "; prepare=('impute', ...) fills them" if a.ndim > 1 and word[0] == "m" else ""
            column = f", column {where[0][1]}" if a.ndim > 1 else ""
            column += f" ({names[where[0][1]]!r})" if a.ndim == 2 and names else ""
            raise ValueError(
                f"{what} holds {word} in {rows} of {len(a)} rows, "
                f"first in row {where[0][0]}{column}{hint}"
            )


def _infinite(a: ndarray) -> ndarray:
    if a.dtype != object:
        return np.isinf(a)
    return np.frompyfunc(lambda v: isinstance(v, float) and math.isinf(v), 1, 1)(a).astype(bool)


def _regression(raw: Raw) -> Raw:
    for part, (_, y) in raw.pairs().items():
        if y.dtype.kind not in "fiub":
            raise TypeError(f"{part}y holds {y.dtype}: a regression wants numbers")
    return raw._replace(targets=raw.targets or made_up(raw.y[0].size))


# ------------------------------------------------------------------------------------- labels


def _classification(raw: Raw) -> Raw:
    """raw with labels 0 to K - 1, and the names of the K classes."""
    for part, (_, y) in raw.pairs().items():
        if y.ndim != 1:
            way = "y[:, 0]" if y.shape[1:] == (1,) else "np.argmax(y, 1) of rows with a single 1"
            raise ValueError(f"{part}y has shape {y.shape}: wanted one label a row, (n,), as {way}")
    labels = labels_of("y", raw.y, raw.targets)
    new = [(x, numbered(f"{part}y", y, labels)) for part, (x, y) in raw.pairs().items()]
    own = iter(new[1:])
    return raw._replace(
        y=new[0][1],
        targets=raw.targets or names_of(labels),
        validation=raw.validation and next(own),
        test=raw.test and next(own),
        labels=labels,
    )
