"""What kinds of values an array holds, which of them are missing, and where."""

import datetime
import decimal
import functools
import numbers
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["OddValues", "is_missing", "kinds_in", "of_one_kind", "word_of"]

BOOLS, NUMBERS, STRINGS, BYTES, MISSING = "bools", "numbers", "strings", "bytes", "missing values"
DATES, SPANS, COMPLEX = "dates", "time spans", "complex numbers"
WAYS = {
    DATES: "make numbers of them, such as days: (d - d.min()) / np.timedelta64(1, 'D')",
    SPANS: "make numbers of them, such as days: d / np.timedelta64(1, 'D')",
    COMPLEX: "give the real and the imaginary part as two columns",
    STRINGS: "one_hot encodes categories",
    MISSING: "prepare=('impute', ...) fills them",
}


class OddValues(TypeError, ValueError):
    """Values that are not what they should be: in which column and row of what was given."""

    def __init__(self, what: str, column: Any, row: int, value: Any, holds: str, way: str):
        self.column, self.row, self.value, self.holds, self.way = column, row, value, holds, way
        column = "" if column is None else f" column {column!r}"
        shown = "missing" if _absent(value) else _shown(value)
        super().__init__(f"{what}{column} holds {holds} ({shown} in row {row}); {way}")

    def moved(self, what: str, column: Any, row: int) -> "OddValues":
        """The same about another place."""
        return OddValues(what, column, row, self.value, self.holds, self.way)


def _shown(value: Any) -> str:
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= 60 else f"{text[:40]}..."


# ------------------------------------------------------------------------------- what is in there


def is_missing(x: Any) -> ndarray:
    """Where x is NaN, None, NaT or NA."""
    x = np.asarray(x)
    if x.dtype != object:
        return x != x
    return np.fromiter(map(_absent, x.flat), bool, x.size).reshape(x.shape)


def _absent(v: Any) -> bool:
    try:
        return v is None or v is np.ma.masked or bool(v != v)
    except (TypeError, ValueError):  # pandas' NA does not say whether it differs from itself
        return type(v).__name__ == "NAType"


def word_of(value: Any) -> str:
    """What values like this one are called."""
    kind: Any = type(value)
    return _word(kind)


@functools.cache
def _word(kind: Any) -> str:
    if issubclass(kind, datetime.timedelta | np.timedelta64):
        return SPANS
    if issubclass(kind, datetime.date | np.datetime64) or kind.__name__ in ("Period", "NaTType"):
        return DATES
    for word, types in _WORDS:
        if issubclass(kind, types):
            return word
    return f"values of type {kind.__name__}"


_WORDS: tuple[tuple[str, Any], ...] = (
    (BOOLS, bool | np.bool_),
    (NUMBERS, numbers.Real | decimal.Decimal | np.integer | np.floating),
    (COMPLEX, numbers.Complex | np.complexfloating),
    (STRINGS, str),
    (BYTES, bytes),
)
_OF_DTYPE = {"b": BOOLS, "i": NUMBERS, "u": NUMBERS, "f": NUMBERS, "U": STRINGS, "S": BYTES}


def kinds_in(a: ndarray) -> dict[str, int]:
    """The kinds of values in an array, missing ones apart, and the first place of each."""
    if a.dtype.kind in _OF_DTYPE:
        missing = np.flatnonzero(is_missing(a))
        found = {_OF_DTYPE[a.dtype.kind]: 0} if missing.size < a.size else {}
        return found | ({MISSING: int(missing[0])} if missing.size else {})
    places: dict[str, int] = {}
    for i, v in enumerate(a.flat):
        word = word_of(v)
        places.setdefault(MISSING if word != DATES and _absent(v) else word, i)
    return places


def of_one_kind(who: str, what: str, a: ndarray, column: Any = None, missing: bool = False) -> str:
    """The kind of the values in a column: strings, numbers, bools or bytes.

    Errors: OddValues for values of several kinds, of another kind, or missing where they may not.
    """
    found = kinds_in(a)
    gap = found.pop(MISSING, None)
    if gap is not None and not missing:
        way = f"{who} wants none" + ("" if column is None else f": {WAYS[MISSING]}")
        raise OddValues(what, column, gap, None, MISSING, way)
    if set(found) <= {BOOLS, NUMBERS}:
        return NUMBERS if NUMBERS in found else BOOLS
    if len(found) > 1:
        last = max(found, key=lambda word: found[word])
        way = f"{who} wants one kind, such as column.astype(str)"
        raise OddValues(what, column, found[last], a.flat[found[last]], " and ".join(found), way)
    [(kind, place)] = found.items()
    if kind not in (STRINGS, BYTES):
        way = WAYS.get(kind, "wanted numbers, strings or bools")
        raise OddValues(what, column, place, a.flat[place], kind, way)
    return kind
