"""K folds of the same examples: rows are renumbered, nothing is copied."""

import hashlib
from collections.abc import Iterable
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.dataset import Data, Part, Rows, Source
from jaxopt_edu.value import Constant, aside, pytree, static

__all__ = ["Folds", "k_fold"]

Pair = tuple[ndarray, ndarray]  # rows to train on, rows to validate on


@pytree
class Folds(Constant):
    """Data whose training and validation part are one pool, of which each fold leaves out a part.

    `at(k)` is fold k as `Data`; k may be traced, so one program serves all folds. Folds of unequal
    size are padded; padding has weight 0.
    """

    pool: Part
    test: Part
    train_rows: Any  # (folds, largest training part)
    validation_rows: Any  # (folds, largest validation part)
    train_counts: Any  # (folds,), or None where all are equal
    validation_counts: Any
    source: Source = aside()
    task: str = static()
    n_classes: int | None = static()
    features: tuple[str, ...] = aside()
    targets: tuple[str, ...] = aside()
    seed: int = aside()
    stratified: bool = aside()
    given: str | None = aside(default=None)  # a hash of the rows, where they were given
    labels: tuple[Any, ...] = aside(default=())

    def __len__(self) -> int:
        return len(self.train_rows)

    def at(self, k: Any) -> Data:
        """Fold k: trained on all of the pool but a part, validated on that part."""

        def part(rows, counts):
            count = None if counts is None else of_fold(counts)
            return Rows(self.pool.x, self.pool.y, of_fold(rows), count)

        def of_fold(x):
            return x[k] if isinstance(k, int) else jnp.asarray(x)[k]

        return Data(
            part(self.train_rows, self.train_counts),
            part(self.validation_rows, self.validation_counts),
            self.test, self.source, self.task, self.n_classes, self.features, self.targets,
            self.labels,
        )  # fmt: skip

    def pairs(self) -> list[Pair]:
        """(rows to train on, rows to validate on) of each fold: what scikit-learn takes as cv."""
        return list(
            zip(
                _unpadded(self.train_rows, self.train_counts),
                _unpadded(self.validation_rows, self.validation_counts),
                strict=True,
            )
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
        return self.source, len(self), self.seed, self.stratified, self.given

    def __repr__(self):
        if self.given is not None:
            return f"k_fold({self.source!r}, {len(self)} given, {self.given[:8]})"
        return f"k_fold({self.source!r}, {len(self)}, seed={self.seed})"


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
    so for a classification. What was fitted to the training part (`prepare`) stays as it is.
    Errors: ValueError where there are fewer than 2 folds, or more than examples (of a class), or
        where a given row is not in the pool or comes twice in a fold; TypeError for folds that
        are neither a number nor pairs.

    >>> import jaxopt_edu as jo
    >>> data = jo.data.load("wine")
    >>> folds = jo.data.k_fold(data, 5)
    >>> len(folds), folds.at(0).validation.size, folds.test.size
    (5, 29, 35)
    >>> halves = list(range(70)), list(range(70, 143))
    >>> jo.data.k_fold(data, [halves, halves[::-1]]).at(1).train.size
    73
    """
    pool, asked = data.pool, as_folds(folds)
    if isinstance(asked, int):
        stratified = data.task == "classification" if stratified is None else stratified
        if stratified and data.task != "classification":
            raise ValueError("stratified: only a classification has classes")
        labels = pool.y if stratified else np.zeros(len(pool.y), int)
        of = fold_numbers(labels, asked, seed)
        pairs = [(np.flatnonzero(of != k), np.flatnonzero(of == k)) for k in range(asked)]
        given = None
    else:
        if stratified is not None:
            raise ValueError("stratified: the folds are given, so it cannot be chosen")
        check_pairs(asked, len(pool.y))
        pairs, given, seed, stratified = asked, _hash(asked), 0, False
    train, train_counts = _padded([train for train, _ in pairs])
    validation, validation_counts = _padded([held for _, held in pairs])
    return Folds(
        pool, data.test, train, validation, train_counts, validation_counts, data.source,
        data.task, data.n_classes, data.features, data.targets, seed, stratified, given,
        data.labels,
    )  # fmt: skip


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


def _unpadded(rows: Any, counts: Any) -> list[ndarray]:
    """The inverse of `_padded`."""
    rows = list(np.asarray(rows))
    return rows if counts is None else [row[:n] for row, n in zip(rows, counts, strict=True)]
