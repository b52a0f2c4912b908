"""Data that say less about people: coarse numbers, and names replaced by keyed pseudonyms."""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.arrays import finite_table
from jaxopt_edu.values.pytrees import check_count


def k_anonymous(x: Any, k: int) -> ndarray:
    """Numbers so coarse that every row is shared by at least k people.

    Formula: rows are cut in two as near to the median as ties allow, in the column with the widest
        range (in units of its range over all rows), as long as both keep k rows; each group then
        shows its mean.
    Shapes: x (n, columns) -> (n, columns), float64.
    It hides who is who among k, not what all k have in common; noise does (`noisy_gradient`).
    Errors: ValueError or TypeError where x is no table of finite numbers (naming column and row),
        or k is not in 1 to n.
    Source: Samarati & Sweeney 1998 for k-anonymity; LeFevre, DeWitt & Ramakrishnan 2006 (ICDE),
        Mondrian, for the splits.

    >>> import jaxopt_edu as jo
    >>> jo.privacy.k_anonymous([[20.0], [22.0], [60.0], [64.0], [65.0]], k=2).ravel()
    array([21., 21., 63., 63., 63.])
    """
    x = finite_table("x", x)
    if not (np.abs(x) < 1e300).all():
        raise ValueError("x: wanted a table (rows, columns) of finite numbers below 1e300")
    check_count("k", k)
    if k > len(x):
        raise ValueError(f"k = {k}: wanted 1 to {len(x)}, the number of rows")
    unit = np.where(np.ptp(x, axis=0) > 0, np.ptp(x, axis=0), 1)
    coarse, groups = np.empty_like(x), [np.arange(len(x))]
    while groups:
        rows = groups.pop()
        halves = _halves(x, rows, k, unit)
        groups += halves
        if not halves:
            coarse[rows] = x[rows].mean(axis=0)
    return coarse


def _halves(x: ndarray, rows: ndarray, k: int, unit: ndarray) -> list[ndarray]:
    """The rows cut as near to the middle of the widest column as it allows, or nothing."""
    for column in np.argsort(-np.ptp(x[rows], axis=0) / unit, kind="stable"):
        values, counts = np.unique(x[rows, column], return_counts=True)
        below = np.cumsum(counts)[:-1]  # rows below each value but the least
        fits = (k <= below) & (below <= len(rows) - k)
        if fits.any():
            best = np.argmin(np.where(fits, np.abs(below - len(rows) / 2), np.inf))
            lower = x[rows, column] < values[best + 1]
            return [rows[lower], rows[~lower]]
    return []


def pseudonyms(values: Iterable[Any], key: bytes, *, digits: int = 16) -> list[str]:
    """A pseudonym for each value: equal for equal ones, and meaningless without the key.

    Formula: the first hexadecimal digits of HMAC-SHA256(key, the value as text in UTF-8)
    Who has the key can try all values and so find the names again: keep it as secret as they are,
    or throw it away. A hash without a key can be tried by anyone.
    digits: 4 bits each; n different values share one by chance with probability
        n^2 / (2 16^digits).
    Errors: TypeError where key is no bytes; ValueError for a key below 16 bytes, or digits that are
        not in 1 to 64.
    Source: RFC 2104.

    >>> import jaxopt_edu as jo
    >>> jo.privacy.pseudonyms(["Ada", "Alan", "Ada"], b"a key of 16 bytes", digits=6)
    ['f41d8c', 'c0f099', 'f41d8c']
    """
    if not isinstance(key, bytes):
        raise TypeError(f"key is {type(key).__name__}: wanted bytes, such as secrets.token_bytes()")
    if len(key) < 16:
        raise ValueError(f"key has {len(key)} bytes: wanted at least 16")
    if isinstance(values, str | bytes):
        raise TypeError(f"values = {values!r}: wanted several, such as a list")
    check_count("digits", digits)
    if digits > 64:
        raise ValueError(f"digits = {digits}: wanted 1 to 64")
    codes = (hmac.new(key, str(value).encode(), hashlib.sha256) for value in values)
    return [code.hexdigest()[:digits] for code in codes]
