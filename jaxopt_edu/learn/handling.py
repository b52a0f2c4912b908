"""`check_split` and `check_batches`: what a student does with data, held to what it must keep."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from jaxopt_edu.learn.check_results import CheckResult

ROWS = 120
LEAST = 0.02  # by how much a mean must be off to be told from rounding


def check_split(split: Callable, /, seed: int = 0) -> CheckResult:
    """Holds a split of data to its laws: no row twice, none lost, classes kept, nothing leaks.

    split: a function of x (n, d) and y (n,), and of seed if it asks for one. It gives two or three
        parts, (x, y) each: train and test, or train, validation and test. It may scale: what is
        scaled by numbers of more than the training part leaks.

    >>> import jaxopt_edu as jo
    >>> def split(x, y):
    ...     x = (x - x.mean(0)) / x.std(0)
    ...     return (x[:80], y[:80]), (x[80:], y[80:])
    >>> print(jo.learn.check_split(split).message[:59])
    it leaks: x is scaled by the mean and deviation of all rows
    """
    x, y = _table(seed)
    asked = inspect.signature(split).parameters
    try:
        parts = [
            tuple(map(np.asarray, p))
            for p in split(x, y, **{"seed": seed} if "seed" in asked else {})
        ]
        shapes = [(a.shape, b.shape) for a, b in parts]
    except Exception as error:
        return _no(
            f"the split does not run, or gives no pairs (x, y): {type(error).__name__}: {error}"
        )
    if len(parts) not in (2, 3) or any(a[1:] != (x.shape[1],) or b != a[:1] for a, b in shapes):
        return _no(
            f"it gives {shapes}: wanted 2 or 3 parts (x, y) of {x.shape[1]} columns, as many y as x"
        )
    rows = sum(len(b) for _, b in parts)
    if rows != ROWS:
        what = f"{rows - ROWS} rows come twice" if rows > ROWS else f"{ROWS - rows} rows are lost"
        return _no(f"the parts have {rows} rows, the data {ROWS}: {what}")
    numbers = _numbers([a for a, _ in parts], x)
    if numbers is None:
        return _no(
            "rows are changed, not only scaled column by column: they are not those of the data"
        )
    if len(set(np.concatenate(numbers).tolist())) < ROWS:
        return _no("a row stands in two parts: what is tested on was trained on")
    if any((y[rows] != b).any() for rows, (_, b) in zip(numbers, parts, strict=True)):
        return _no(
            "the targets do not stand beside their rows: x was shuffled without y, or otherwise"
        )
    return _leaks(x, numbers, parts) or _strata(y, numbers) or CheckResult(
        True, None, f"right: {len(parts)} parts of {', '.join(str(len(r)) for r in numbers)} rows"
    )  # fmt: skip


def _no(message: str) -> CheckResult:
    return CheckResult(False, None, message)


def _table(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows in order of their class, each column of another scale, numbers all different."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [ROWS // 2, ROWS // 3, ROWS - ROWS // 2 - ROWS // 3])
    x = rng.normal(size=(ROWS, 4)) * [1, 10, 100, 0.1] + [0, 5, -30, 2] + y[:, None]
    return x, y


def _numbers(parts: list[np.ndarray], x: np.ndarray) -> list[np.ndarray] | None:
    """Which rows each part has, scaled column by column in whatever way; None where unclear."""
    found = [_rows(part[:, 0], x[:, 0]) for part in parts]
    for part, rows in zip(parts, found, strict=True):
        if rows is None or not all(_fits(part[:, k], x[rows, k]) for k in range(x.shape[1])):
            return None
    return [rows for rows in found if rows is not None]


def _rows(a: np.ndarray, b: np.ndarray) -> np.ndarray | None:
    """The places in b of which a holds scale b + shift, for one scale and shift that are unknown.

    Two numbers of a, taken for any two of b, tell both; the others then say whether it was these.
    """
    order = np.argsort(b)
    i, j = np.argmin(a), np.argmax(a)
    p, q = (g.ravel() for g in np.meshgrid(np.arange(len(b)), np.arange(len(b)), indexing="ij"))
    p, q = p[p != q], q[p != q]
    if a[i] == a[j]:
        return None
    scale = (b[q] - b[p]) / (a[j] - a[i])
    back = b[p][:, None] + scale[:, None] * (a - a[i])  # what the part would be in the data
    at = np.clip(np.searchsorted(b[order], back), 1, len(b) - 1)
    near = np.where(back - b[order][at - 1] < b[order][at] - back, at - 1, at)
    off = np.max(abs(b[order][near] - back), axis=1)
    best = int(np.argmin(off))
    return order[near[best]] if off[best] < 1e-4 * np.ptp(b) / len(b) else None


def _fits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether a is scale b + shift."""
    return bool(
        np.allclose(np.polyval(np.polyfit(b, a, 1), b), a, rtol=1e-4, atol=1e-4 * np.ptp(a))
    )


def _leaks(x: np.ndarray, numbers: list, parts: list) -> CheckResult | None:
    train, everything = x[numbers[0]], x
    a = parts[0][0]
    scale = np.array([np.polyfit(train[:, k], a[:, k], 1) for k in range(x.shape[1])])
    if np.allclose(scale, [1, 0], atol=1e-6):
        return None
    centre = -scale[:, 1] / scale[:, 0]
    off = np.max(abs(centre - train.mean(0)) / train.std(0))
    of_all = np.max(abs(centre - everything.mean(0)) / everything.std(0))
    if off > LEAST and of_all < off:
        return _no(
            "it leaks: x is scaled by the mean and deviation of all rows, those of the test part "
            "among them; split first, and scale by numbers of the training part"
        )
    for part, rows in zip(parts[1:], numbers[1:], strict=True):
        own = np.array([np.polyfit(x[rows, k], part[0][:, k], 1) for k in range(x.shape[1])])
        if not np.allclose(own, scale, rtol=1e-4, atol=1e-6):
            return _no(
                "the test part is scaled by numbers of its own: one number then means two things; "
                "use the mean and deviation of the training part for all parts"
            )
    return None


def _strata(y: np.ndarray, numbers: list) -> CheckResult | None:
    """A verdict where a part lacks a class, as one of sorted rows does."""
    for place, rows in enumerate(numbers):
        missing = set(y.tolist()) - set(y[rows].tolist())
        if missing:
            part = ("the training part", "the second part", "the third part")[place]
            return _no(
                f"{part} has no example of class {min(missing)}: shuffle, or split each class"
            )
    return None


# ---------------------------------------------------------------------------------------- batches


def check_batches(batches: Callable, /, seed: int = 0) -> CheckResult:
    """Holds batches to their laws: every row once an epoch, another order in the next one.

    batches: a function that asks by name for n (examples), batch_size, epoch and seed, and gives
        the batches of that epoch, arrays of row numbers. The last one may be smaller, or left out
        where n is no multiple of batch_size.

    >>> import jaxopt_edu as jo
    >>> jo.learn.check_batches(lambda n, batch_size: np.arange(n - n % 4).reshape(-1, batch_size))
    the second epoch has the order of the first: shuffle anew in each (it was asked for no epoch)
    """
    asked = inspect.signature(batches).parameters

    def ask(n: int, size: int, epoch: int) -> list[np.ndarray]:
        given = {"n": n, "batch_size": size, "epoch": epoch, "seed": seed}
        unknown = [k for k, p in asked.items() if k not in given and p.default is p.empty]
        if unknown:
            raise TypeError(f"it asks for {', '.join(unknown)}; there are {', '.join(given)}")
        found: Iterable[Any] = batches(**{k: x for k, x in given.items() if k in asked})
        return [np.asarray(batch) for batch in found]

    try:
        first, second, uneven = ask(24, 4, 0), ask(24, 4, 1), ask(26, 4, 0)
    except Exception as error:
        return _no(f"it does not run: {type(error).__name__}: {error}")
    for n, found in ((24, first), (26, uneven)):
        if wrong := _rows_of(found, n, 4):
            return _no(wrong)
    if all(np.array_equal(a, b) for a, b in zip(first, second, strict=True)):
        why = "" if "epoch" in asked else " (it was asked for no epoch)"
        return _no(f"the second epoch has the order of the first: shuffle anew in each{why}")
    if np.array_equal(np.concatenate(first), np.arange(24)):
        return _no("the first epoch has the order of the data, sorted as they may be: shuffle")
    return CheckResult(True, None, "right: every row once an epoch, another order in each")


def _rows_of(found: list[np.ndarray], n: int, size: int) -> str:
    """What is wrong with the batches of an epoch, or ""."""
    if not found or any(b.ndim != 1 or not np.issubdtype(b.dtype, np.integer) for b in found):
        return "wanted batches that are arrays of row numbers, one axis each"
    rows = np.concatenate(found)
    if rows.min() < 0 or rows.max() >= n:
        return f"of {n} examples it takes row {rows.max() if rows.max() >= n else rows.min()}"
    if len(set(rows.tolist())) < len(rows):
        return f"of {n} examples in batches of {size}, a row comes twice: draw without replacement"
    sizes = [len(b) for b in found]
    if any(k != size for k in sizes[:-1]) or sizes[-1] > size:
        return f"of {n} examples it makes batches of {sizes}: wanted {size}, the last one at most"
    if n - len(rows) not in (0, n % size):
        return f"of {n} examples in batches of {size}, {n - len(rows)} are left out in an epoch"
    return ""
