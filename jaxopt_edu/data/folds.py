"""K folds of the same examples: rows are renumbered, and copied only where they must differ."""

import dataclasses
import hashlib
import weakref
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.dataset import Data, Part, Rows
from jaxopt_edu.data.labels import mark_of
from jaxopt_edu.data.prepared import for_fold, marked, read_only
from jaxopt_edu.data.refitting import Refit, refit
from jaxopt_edu.values.asides import UNTOLD
from jaxopt_edu.values.pytrees import Constant, aside, check_seed, pytree, static

__all__ = ["Folds", "k_fold"]

Pair = tuple[ndarray, ndarray]  # rows to train on, rows to validate on


@pytree
class Folds(Constant):
    """Data whose training and validation part are one pool, of which each fold leaves out a part.

    `at(k)` is fold k as `Data`; k may be traced, so one program serves all folds. Folds of unequal
    size are padded; padding has weight 0. `of` is the data before they were split.

    The preparation is fitted to the training rows of each fold, and its validation rows and the
    test part are prepared by that. Where folds differ in a shift and a scale only, pool and test
    hold all rows once; otherwise (stacked) the rows of fold 0, then those of fold 1, and so on.
    """

    pool: Part
    test: Part
    train_rows: Any  # (folds, largest training part)
    validation_rows: Any  # (folds, largest validation part)
    test_rows: Any  # (folds, test part) where stacked, else None
    train_counts: Any  # (folds,), or None where all are equal
    validation_counts: Any
    shift: Any  # (folds, features...), or None
    scale: Any
    task: str = static()
    n_classes: int | None = static()
    stacked: bool = static()
    of: Data = aside()
    made: Refit = aside()  # what was fitted to each fold
    seed: int = aside()
    stratified: bool = aside()
    given: str | None = aside(default=None)  # a hash of the rows, where they were given

    def __len__(self) -> int:
        return len(self.train_rows)

    def at(self, k: Any) -> Data:
        """Fold k: trained on all of the pool but a part, validated on that part."""

        k = int(k) if isinstance(k, np.integer) else k
        known = isinstance(k, int) and self.of is not UNTOLD

        def of_fold(x):
            return None if x is None else x[k] if isinstance(k, int) else jnp.asarray(x)[k]

        source, given = self.source, ()
        if known:
            source = dataclasses.replace(source, fitted=self.made.fits[k])
            given = self._given(k)
        mark = source.mark if known else None

        def part(of, rows, counts=None):
            own = (rows, counts, self.shift, self.scale)
            return Rows(for_fold(of.x, mark), of.y, *map(of_fold, own))

        parts = (
            part(self.pool, self.train_rows, self.train_counts),
            part(self.pool, self.validation_rows, self.validation_counts),
            part(self.test, self.test_rows),
        )
        return Data(
            *parts, source, self.task, self.n_classes, self.features, self.targets, self.labels,
            given,
        )  # fmt: skip

    def _given(self, k: int) -> tuple:
        """The rows of a fold's parts as they were given, for folds of a fold."""
        if self.made.given is None:
            return ()
        pool, test = self.made.given
        return (*(pool._replace(rows=rows) for rows in self._pair(k)), test)

    source = property(lambda self: self._of("source"))
    features = property(lambda self: self._of("features"))
    targets = property(lambda self: self._of("targets"))
    labels = property(lambda self: self._of("labels"))

    def _of(self, name: str) -> Any:
        """A field of the data that were split, which a compiled function is not told."""
        return self.of if self.of is UNTOLD else getattr(self.of, name)

    def pairs(self) -> list[Pair]:
        """(rows to train on, rows to validate on) of each fold: what scikit-learn takes as cv."""
        return list(map(self._pair, range(len(self))))

    def _pair(self, k: int) -> Pair:
        n = len(self.pool.y) // (len(self) if self.stacked else 1)
        return (
            _unpadded(self.train_rows, self.train_counts, k) % n,
            _unpadded(self.validation_rows, self.validation_counts, k) % n,
        )

    @property
    def smallest(self) -> int:
        """The fold with the fewest examples to train on."""
        return 0 if self.train_counts is None else int(np.argmin(self.train_counts))

    def __eq__(self, other):
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self) -> tuple:
        return self.of, len(self), self.seed, self.stratified, self.given

    def __repr__(self):
        if self.given is not None:
            return f"k_fold({self.of!r}, {len(self)} given, {self.given[:8]})"
        return f"k_fold({self.of!r}, {len(self)}, seed={self.seed})"


def k_fold(
    data: Data | Folds,
    folds: int | Iterable[Pair],
    *,
    seed: int = 0,
    stratified: bool | None = None,
) -> Folds:
    """Splits the training and validation part into folds; the test part stays apart.

    folds: how many; or which: pairs (rows to train on, rows to validate on) of `data.pool`, as
        scikit-learn's splitters give them: StratifiedKFold(5).split(*data.pool).
    Of a number of folds, each example is in the validation part of one and in the training part
    of all others. They are dealt after shuffling.
    stratified: whether every class has in each fold its share, to within one example; by default
    so for a classification.
    What `prepare` fits (means, categories, fills) is fitted to the training rows of each fold; its
    validation rows and the test part are prepared by that. The columns stay `data.features`: a
    category that a fold does not train on is all zeros, one that the training part lacks unknown.
    A shift and a scale (standardize, min_max) take two numbers a feature and fold; other
    preparations take rows of its own for each fold, at most 2 GiB in all.
    Errors: ValueError where there are fewer than 2 folds, or more than examples (of a class), or
        where a given row is not in the pool or comes twice in a fold, where a fold cannot be
        prepared or all take too much, or where data do not know what they were before they were
        prepared; TypeError for folds that are neither a number nor pairs.

    >>> import jaxopt_edu as jo
    >>> data = jo.data.load("wine")
    >>> folds = jo.data.k_fold(data, 5)
    >>> len(folds), folds.at(0).validation.size, folds.test.size
    (5, 29, 35)
    >>> halves = list(range(70)), list(range(70, 143))
    >>> jo.data.k_fold(data, [halves, halves[::-1]]).at(1).train.size
    73
    """
    if not isinstance(data, Data | Folds):
        raise TypeError(f"data = {type(data).__name__}: wanted a Data, as from_arrays(x, y) makes")
    data = data.of if isinstance(data, Folds) else data
    asked, y, seed = as_folds(folds), data.pool_targets, check_seed(seed, None)
    if isinstance(asked, int):
        stratified = data.task == "classification" if stratified is None else stratified
        if stratified and data.task != "classification":
            raise ValueError("stratified: only a classification has classes")
        given = None
    else:
        if stratified is not None:
            raise ValueError("stratified: the folds are given, so it cannot be chosen")
        check_pairs(asked, len(y))
        given, seed, stratified = _hash(asked), 0, False
    key = (given or asked, seed, stratified)
    known, at, made = _last[0]
    found = made() if known() is data and at == key else None
    if found is None:
        found = _made(data, y, asked, *key[1:], given)
        _last[0] = (weakref.ref(data), key, weakref.ref(found))
    return found


_last: list[Any] = [(lambda: None, None, lambda: None)]  # each batch of a sweep's trials asks anew


def _made(
    data: Data, y: ndarray, asked: Any, seed: int, stratified: bool, given: str | None
) -> Folds:
    if given is None:
        of = fold_numbers(y if stratified else np.zeros(len(y), int), asked, seed)
        asked = [(np.flatnonzero(of != k), np.flatnonzero(of == k)) for k in range(asked)]
    rows = refit(data, [train for train, _ in asked])
    train, train_counts = _padded([train for train, _ in asked])
    validation, validation_counts = _padded([held for _, held in asked])
    y_test, test_rows = np.asarray(data.test.y), None
    if rows.stacked:
        first = np.arange(len(asked), dtype=np.int32)[:, None]
        train, validation = train + first * len(y), validation + first * len(y)
        test_rows = first * len(y_test) + np.arange(len(y_test), dtype=np.int32)
        y, y_test = np.tile(y, len(asked)), np.tile(y_test, len(asked))
    y, y_test = (marked(a, mark_of(data.labels)) for a in (y, y_test))
    made = Folds(
        Part(rows.pool, y), Part(rows.test, y_test), train, validation, test_rows, train_counts,
        validation_counts, rows.shift, rows.scale, data.task, data.n_classes, rows.stacked, data,
        rows, seed, stratified, given,
    )  # fmt: skip
    for array in jax.tree.leaves(made):
        read_only(array)
    return made


def as_folds(folds: Any) -> int | list[Pair]:
    """A number of folds, or pairs of arrays of rows; ValueError where there are fewer than 2."""
    if isinstance(folds, int | np.integer):
        if folds < 2:
            raise ValueError(f"folds = {folds}: wanted at least 2")
        return int(folds)
    if not isinstance(folds, Iterable) or isinstance(folds, str):
        raise TypeError(
            f"folds = {folds!r}: wanted a number, or pairs (rows to train on, rows to validate on)"
        )
    pairs = []
    for pair in folds:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError("folds: wanted a pair (rows to train on, rows to validate on) for each")
        pairs.append((np.asarray(pair[0]), np.asarray(pair[1])))
    if len(pairs) < 2:
        raise ValueError(f"folds: {len(pairs)} given, wanted at least 2")
    return pairs


def check_pairs(pairs: list[Pair], n: int) -> None:
    """ValueError where given folds are not made of rows 0 to n - 1, each at most once."""
    for k, pair in enumerate(pairs):
        for name, rows in zip(("training", "validation"), pair, strict=True):
            if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu":
                raise ValueError(
                    f"folds: the {name} rows of fold {k} are {rows.dtype} of shape {rows.shape}: "
                    "wanted row numbers"
                )
            outside = rows[(rows < 0) | (rows >= n)]
            if len(outside):
                raise ValueError(
                    f"folds: the {name} part of fold {k} has row {outside[0]}; the pool has {n}"
                )
        rows, counts = np.unique(np.concatenate(pair), return_counts=True)
        if counts.max() > 1:
            raise ValueError(f"folds: row {rows[counts > 1][0]} comes twice in fold {k}")


def fold_numbers(labels: ndarray, folds: int, seed: int) -> ndarray:
    """The fold of each row: of every label equally many in each fold, to within one.

    The rows of a label are shuffled and dealt out like cards; the next label goes on where the
    last one stopped, so that the sizes of the folds differ by at most one.
    """
    values, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        what = f"of class {values[counts.argmin()]} " if len(values) > 1 else ""
        raise ValueError(f"folds = {folds}: there are only {counts.min()} examples {what}to train")
    order = np.argsort(np.random.PCG64((seed, 2)).random_raw(len(labels)), kind="stable")
    order = order[np.argsort(labels[order], kind="stable")]
    of = np.empty(len(labels), int)
    of[order] = np.arange(len(labels)) % folds
    return of


def _hash(pairs: list[Pair]) -> str:
    rows = [part.astype(np.int64) for pair in pairs for part in pair]
    sizes = np.array([len(part) for part in rows])
    return hashlib.sha256(b"".join(x.tobytes() for x in (sizes, *rows))).hexdigest()


def _padded(parts: list[ndarray]) -> tuple[ndarray, ndarray | None]:
    """Rows of equal length, and how many of each count; None where that is all of them."""
    counts = np.array([len(part) for part in parts], np.int32)
    width = counts.max()
    rows = np.stack([np.pad(part, (0, width - len(part))) for part in parts]).astype(np.int32)
    return rows, None if (counts == width).all() else counts


def _unpadded(rows: Any, counts: Any, k: int) -> ndarray:
    """The rows of fold k without what `_padded` added."""
    return np.asarray(rows[k])[: None if counts is None else counts[k]]
