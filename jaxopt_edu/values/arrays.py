"""Arrays as users have them, made plain NumPy arrays, or refused with what is where.

Masks, nullable dtypes and categories become values and missing ones (NaN, None); a data frame or a
structured array becomes a table. Nothing is dropped, parsed or rounded without a word.
"""

import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from numpy import ndarray

from jaxopt_edu.values.kinds import (
    BOOLS,
    DATES,
    MISSING,
    NUMBERS,
    STRINGS,
    WAYS,
    OddValues,
    is_missing,
    kinds_in,
    word_of,
)

__all__ = ["column_names", "finite_table", "floats", "joined", "plain"]

EXACT = 2**53  # beyond it not every integer is a float64


def plain(what: str, x: Any) -> ndarray:
    """x as an array of bools, numbers or strings, or of objects where those are mixed or missing.

    Missing values are NaN among numbers and None elsewhere.
    Errors: TypeError for what is no array: sparse matrices, dicts, strings, traced arrays;
        ValueError for rows of unequal length.
    """
    _check_container(what, x)
    columns = _columns(x)
    if columns is not None:
        return joined([_settled(_extracted(c)) for c in columns], len(x))
    if isinstance(x, list | tuple) and any(map(_is_masked, x)):
        x = _unmasked(x)
    return _settled(_extracted(x, what))


def _is_masked(x: Any) -> bool:
    inner = isinstance(x, list | tuple) and any(v is np.ma.masked for v in x)
    return inner or isinstance(x, np.ma.MaskedArray)


def _unmasked(x: Any) -> Any:
    """Nested lists with None for what is masked in them."""
    if isinstance(x, np.ma.MaskedArray):
        return _extracted(x).tolist()
    return list(map(_unmasked, x)) if isinstance(x, list | tuple) else x


def _check_container(what: str, x: Any) -> None:
    if isinstance(x, jax.core.Tracer):
        raise TypeError(f"{what} is traced: wanted an array outside of compiled functions")
    dense = next((name for name in ("toarray", "todense") if hasattr(x, name)), None)
    if dense is not None:
        raise TypeError(
            f"{what} is a sparse matrix, {type(x).__name__}: wanted a dense array, as its "
            f"{dense}() makes one"
        )
    if x is None or isinstance(x, dict | set | frozenset | str | bytes | Iterator):
        raise TypeError(f"{what} is {type(x).__name__}: wanted an array, a list or a data frame")


def column_names(x: Any) -> tuple[str, ...] | None:
    """The names that the columns of a table bring along; those of several levels by dots."""
    names = getattr(x, "columns", None)
    if names is None:
        names = getattr(getattr(x, "dtype", None), "names", None)
    if names is None or callable(names):
        return None
    return tuple(".".join(map(str, n)) if isinstance(n, tuple) else str(n) for n in names)


def _columns(x: Any) -> list[Any] | None:
    """The columns of a data frame that is not of one plain dtype, or of a structured array."""
    fields = getattr(getattr(x, "dtype", None), "names", None)
    if fields:
        x = x if isinstance(x, np.ma.MaskedArray) else np.asarray(x)
        return [x[name] for name in fields]
    if not hasattr(x, "iloc") or not hasattr(x, "dtypes") or np.ndim(x) != 2 or not len(x.dtypes):
        return None
    if {isinstance(d, np.dtype) and d.kind in "biuf" and d for d in x.dtypes} == {x.dtypes.iloc[0]}:
        return None
    return [x.iloc[:, j] for j in range(x.shape[1])]


def _extracted(x: Any, what: str = "x") -> ndarray:
    """An array of whatever dtype, masked values already missing."""
    dtype = getattr(x, "dtype", None)
    if isinstance(x, np.ma.MaskedArray):
        if not np.ma.getmaskarray(x).any():
            return np.asarray(x.data)
        a = _boxed(x.data)
        a[np.ma.getmaskarray(x)] = None
        return a
    try:
        if dtype is not None and not isinstance(dtype, np.dtype) and hasattr(x, "to_numpy"):
            return np.asarray(x, object)  # pandas' nullable dtypes, categories, dates with a zone
        a = np.asarray(x)
        return np.asarray(x, object) if isinstance(x, list | tuple) and _changed(a) else a
    except ValueError as error:
        raise ValueError(f"{what}{_ragged(x)}: {error}") from None


def _changed(a: ndarray) -> bool:
    """Whether making one array of a list may have changed values: numbers to text, large ids."""
    kind = a.dtype.kind
    return kind in "US" or kind == "f" and bool((np.abs(a) > EXACT).any())


def _ragged(x: Any) -> str:
    """Which rows have unequal lengths."""
    sizes = [np.size(row) for row in x] if isinstance(x, list | tuple) else []
    other = next((i for i, n in enumerate(sizes) if n != sizes[0]), None)
    return (
        "" if other is None else f" has {sizes[0]} values in row 0, {sizes[other]} in row {other}"
    )


def _boxed(a: ndarray) -> ndarray:
    """The array as one of objects; dates stay dates (`astype` makes integers of some)."""
    if a.dtype.kind not in "mM":
        return a.astype(object)
    box = np.empty(a.size, object)
    for i, v in enumerate(a.flat):
        box[i] = v
    return box.reshape(a.shape)


def _settled(a: ndarray) -> ndarray:
    """An array in one of the dtypes that `plain` gives."""
    kind = a.dtype.kind
    if kind in "biuUS":
        return a
    if kind == "f":
        return a.astype(float) if a.dtype.itemsize > 8 else a
    if kind == "V" and jax.dtypes.issubdtype(a.dtype, np.number):  # bfloat16 and its kin
        return a.astype(np.float32)
    if kind != "O":
        return _boxed(a)
    if a.ndim != 2:
        return _from_objects(a)
    return joined([_from_objects(column) for column in a.T], len(a))


def _from_objects(a: ndarray) -> ndarray:
    """Objects as numbers, bools or strings, where they are of one kind."""
    missing = is_missing(a)
    found = set(map(word_of, a[~missing]))
    if not found:
        return a
    if found == {BOOLS} and not missing.any():
        return a.astype(bool)
    if found <= {BOOLS, NUMBERS}:
        return _numbers(a, missing)
    if found == {STRINGS} and not missing.any() and not any(v.endswith("\0") for v in a.flat):
        return np.array(a.tolist())  # which drops NUL at the end
    a = a.copy()
    if DATES not in found:
        a[missing] = None
    return a


def _numbers(a: ndarray, missing: ndarray) -> ndarray:
    """Objects that are numbers; integers that no dtype holds exactly stay objects."""
    integers = [v for v in a.flat if isinstance(v, int | np.integer)]
    if len(integers) == a.size:
        for dtype in (np.int64, np.uint64):
            try:
                return np.array(a.tolist(), dtype)
            except OverflowError:
                continue
        return a
    if any(abs(int(v)) > EXACT for v in integers):
        return a
    out = np.full(a.shape, np.nan)
    out[~missing] = [float(v) for v in a[~missing]]
    return out


def joined(columns: list[ndarray], n: int) -> ndarray:
    """Columns of n values as a table: of numbers, or of objects where that would change one."""
    kinds = {c.dtype.kind for c in columns}
    if columns and (len(kinds) == 1 and kinds <= set("bU") or kinds <= set("biuf")):
        dtype = np.result_type(*columns)
        integers = [c for c in columns if c.dtype.kind in "iu" and c.size and dtype.kind == "f"]
        if not any(max(abs(int(c.min())), abs(int(c.max()))) > EXACT for c in integers):
            return np.stack(columns, axis=1).astype(dtype, copy=False)
    table = np.empty((n, len(columns)), object)
    for j, column in enumerate(columns):
        if column.dtype.kind == "S":
            column = np.char.decode(column, "utf-8", "backslashreplace")
        table[:, j] = column if column.dtype == object else column.tolist()
    return table


def floats(what: str, x: Any, names: tuple[Any, ...] = ()) -> ndarray:
    """x as float64, or as the integers that it holds (no copy of a large set of images).

    Errors: OddValues (a TypeError) for what is no number, with its column and row.
    """
    x = plain(what, x)
    if x.dtype.kind in "iu":
        return x
    if x.dtype.kind in "bf":
        return np.asarray(x, float)
    columns = x.T if x.ndim == 2 else [x]
    for j, column in enumerate(columns):
        name = None if x.ndim != 2 else names[j] if names else j
        _check_numbers(what, column, name)
        _check_size(what, column, name)
    return np.asarray(x, float)


def finite_table(what: str, x: Any) -> ndarray:
    """x as a table of float64; an error with column and row for what is missing or infinite."""
    names = column_names(x) or ()
    x = np.asarray(floats(what, x, names), float)
    if x.ndim != 2:
        raise ValueError(f"{what} has shape {x.shape}: wanted a table (rows, columns)")
    wrong = np.argwhere(~np.isfinite(x))
    if len(wrong):
        row, j = wrong[0].tolist()
        held = MISSING if np.isnan(x[row, j]) else "infinity"
        raise OddValues(
            what, names[j] if names else j, row, x[row, j], held, "wanted finite numbers"
        )
    return x


def _check_numbers(what: str, column: ndarray, name: Any) -> None:
    found = kinds_in(column)
    for word, place in found.items():
        if word in (BOOLS, NUMBERS) or word == MISSING and DATES not in found:
            continue
        value = column.flat[place]
        if word == STRINGS:
            first = _first_word(column)
            if first is None:
                continue
            place, value = first, column.flat[first]
        way = f": {WAYS[word]}" if word in WAYS else ""
        raise OddValues(what, name, place, value, word, f"wanted a table of numbers{way}")


def _check_size(what: str, column: ndarray, name: Any) -> None:
    """OddValues where an integer is larger than any float."""
    for i, v in enumerate(column.flat):
        if isinstance(v, int) and abs(v) > sys.float_info.max:
            raise OddValues(what, name, i, v, "numbers beyond float64", "wanted smaller ones")


def _first_word(column: ndarray) -> int | None:
    """The first string that is no number."""
    for i, v in enumerate(column.flat):
        try:
            float(v) if isinstance(v, str) else 0
        except ValueError:
            return i
    return None
