"""`check_split` and `check_batches`: what a student does with data, held to what it must keep."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxopt_edu.learn.calling import NotRun, as_numbers, call, check_function, takes
from jaxopt_edu.learn.check_results import CheckResult

ROWS = 120


def check_split(split: Callable[..., object], /, seed: int = 0) -> CheckResult:
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
    check_function("split", split)
    x, y = _table(seed)
    try:
        parts = _parts(call(split, {"x": x, "y": y, "seed": seed}), x.shape[1])
    except NotRun as error:
        return _no(str(error))
    rows = sum(len(b) for _, b in parts)
    if rows != ROWS:
        what = f"{rows - ROWS} rows come twice" if rows > ROWS else f"{ROWS - rows} rows are lost"
        return _no(f"the parts have {rows} rows, the data {ROWS}: {what}")
    numbers = _numbers([a for a, _ in parts], x)
    if numbers is None:
        return _no(
            "it cannot be followed: rows are changed, not only scaled column by column; give the "
            "split without that, or rows that are not those of the data are the mistake"
        )
    if len(set(np.concatenate(numbers).tolist())) < ROWS:
        return _no("a row stands in two parts: what is tested on was trained on")
    if any((y[rows] != b).any() for rows, (_, b) in zip(numbers, parts, strict=True)):
        return _no("the targets do not stand beside their rows: x was shuffled without y, or so")
    wrong = _leaks(x, numbers, parts) or _strata(y, numbers)
    told = f"{len(parts)} parts of {', '.join(str(len(r)) for r in numbers)} rows"
    return _no(wrong) if wrong else CheckResult(True, None, f"right: {told}")


def _parts(found: Any, columns: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The parts as pairs of arrays. Errors: NotRun."""
    try:
        parts = [(as_numbers("x", a).astype(float), np.asarray(b)) for a, b in found]
    except (TypeError, ValueError):
        raise NotRun("it gives no pairs (x, y), one for each part") from None
    shapes = [(a.shape, b.shape) for a, b in parts]
    if len(parts) not in (2, 3) or any(a[1:] != (columns,) or b != a[:1] for a, b in shapes):
        wanted = f"2 or 3 parts (x, y) of {columns} columns, as many y as x"
        raise NotRun(f"it gives shapes {shapes}: wanted {wanted}")
    if any(len(b) < 2 for _, b in parts):
        raise NotRun("a part has less than two rows")
    return parts


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


def _leaks(x: np.ndarray, numbers: list, parts: list) -> str:
    """What leaks: the parts are scaled by a statistic of all rows, or each by its own; or ""."""
    found = [_scales(part, x[rows]) for (part, _), rows in zip(parts, numbers, strict=True)]
    train = found[0]
    if any(not np.allclose(one, train, rtol=1e-3, atol=1e-6) for one in found[1:]):
        return (
            "the test part is scaled by numbers of its own: one number then means two things; use "
            "those of the training part for all parts"
        )
    for name, statistic in STATISTICS.items():
        by_all, by_train = statistic(x), statistic(x[numbers[0]])
        if _is(train, by_all) and not _is(train, by_train):
            return (
                f"it leaks: x is scaled by the {name} of all rows, those of the test part among "
                "them; split first, and scale by numbers of the training part"
            )
    return ""


# (shift, scale) of a column: (x - shift) / scale is what it becomes
STATISTICS: dict[str, Callable[[np.ndarray], tuple]] = {
    "mean and deviation": lambda x: (x.mean(0), x.std(0)),
    "mean and deviation (n - 1)": lambda x: (x.mean(0), x.std(0, ddof=1)),
    "mean": lambda x: (x.mean(0), np.ones(x.shape[1])),
    "least and greatest number": lambda x: (x.min(0), np.ptp(x, axis=0)),
    "least and greatest number, to [-1, 1],": lambda x: (
        (x.min(0) + x.max(0)) / 2, np.ptp(x, axis=0) / 2,
    ),
    "median and quartiles": lambda x: (
        np.median(x, 0), np.subtract(*np.percentile(x, [75, 25], axis=0)),
    ),
    "greatest absolute number": lambda x: (np.zeros(x.shape[1]), abs(x).max(0)),
    "deviation": lambda x: (np.zeros(x.shape[1]), x.std(0)),
}  # fmt: skip


def _scales(part: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(columns, 2): slope and offset by which rows of the data became those of a part."""
    return np.array([np.polyfit(rows[:, k], part[:, k], 1) for k in range(rows.shape[1])])


def _is(scales: np.ndarray, statistic: tuple) -> bool:
    shift, scale = statistic
    wanted = np.stack([1 / scale, -shift / scale], 1)
    return bool(np.allclose(scales, wanted, rtol=1e-3, atol=1e-6))


def _strata(y: np.ndarray, numbers: list) -> str:
    """Which part lacks a class, as one of sorted rows does; or ""."""
    for place, rows in enumerate(numbers):
        missing = set(y.tolist()) - set(y[rows].tolist())
        if missing:
            part = ("the training part", "the second part", "the third part")[place]
            return f"{part} has no example of class {min(missing)}: shuffle, or split each class"
    return ""


# ---------------------------------------------------------------------------------------- batches


def check_batches(batches: Callable[..., object], /, seed: int = 0) -> CheckResult:
    """Holds batches to their laws: every row once an epoch, another order in the next one.

    batches: a function that asks by name for n (examples), batch_size, epoch and seed, and gives
        the batches of that epoch, arrays of row numbers. The last one may be smaller, or left out
        where n is no multiple of batch_size.

    >>> import numpy as np
    >>> import jaxopt_edu as jo
    >>> jo.learn.check_batches(lambda n, batch_size: np.arange(n - n % 4).reshape(-1, batch_size))
    the second epoch has the order of the first: shuffle anew in each (it does not ask for epoch)
    """
    check_function("batches", batches)

    def ask(n: int, size: int, epoch: int, seed: int = seed) -> list[np.ndarray]:
        given = {"n": n, "batch_size": size, "epoch": epoch, "seed": seed}
        found = call(lambda: list(call(batches, given)), {})
        return [as_numbers("a batch", batch) for batch in found]

    try:
        first, second, uneven = ask(24, 4, 0), ask(24, 4, 1), ask(26, 4, 0)
        again, other = ask(24, 4, 0), ask(24, 4, 0, seed + 1)
    except NotRun as error:
        return _no(str(error))
    if not _same(first, again):
        return _no(
            "the same epoch and seed gave another order the second time: draw from "
            "np.random.default_rng((seed, epoch)), so that a training can be run again"
        )
    for n, found in ((24, first), (26, uneven)):
        if wrong := _rows_of(found, n, 4):
            return _no(wrong)
    if wrong := _rows_of(second, 24, 4):
        return _no(f"in the second epoch: {wrong}")
    if _same(first, second):
        why = "" if takes(batches)("epoch") else " (it does not ask for epoch)"
        return _no(f"the second epoch has the order of the first: shuffle anew in each{why}")
    if {frozenset(b.tolist()) for b in first} == {frozenset(b.tolist()) for b in second}:
        return _no("batches hold the same rows in each epoch: shuffle all rows, not batches")
    if np.array_equal(np.concatenate(first), np.arange(24)):
        return _no("the first epoch has the order of the data, sorted as they may be: shuffle")
    if takes(batches)("seed") and _same(first, other):
        return _no("another seed gives the same order: it asks for seed and does not use it")
    left = 26 - sum(map(len, uneven))
    told = f" (the last {left} of 26 are left out)" if left else ""
    return CheckResult(True, None, f"right: every row once an epoch{told}, another order in each")


def _same(first: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, other, strict=False))


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
