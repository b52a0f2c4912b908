"""K folds of the same examples: rows are renumbered, nothing is copied."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.dataset import Data, Part, Rows, Source
from jaxopt_edu.value import Constant, pytree, static

__all__ = ["Folds", "k_fold"]


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
    source: Source = static()
    task: str = static()
    n_classes: int | None = static()
    features: tuple[str, ...] = static()
    targets: tuple[str, ...] = static()
    seed: int = static()
    stratified: bool = static()

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
        )  # fmt: skip

    def __eq__(self, other):
        return type(self) is type(other) and self._key() == other._key()

    def __hash__(self):
        return hash(self._key())

    def _key(self) -> tuple:
        return self.source, len(self), self.seed, self.stratified

    def __repr__(self):
        return f"k_fold({self.source!r}, {len(self)}, seed={self.seed})"


def k_fold(data: Data, folds: int, *, seed: int = 0, stratified: bool | None = None) -> Folds:
    """Splits the training and validation part into folds; the test part stays apart.

    Each example is in the validation part of one fold and in the training part of all others.
    stratified: whether every class has in each fold its share, to within one example; by default
    so for a classification. What was fitted to the training part (`prepare`) stays as it is.
    Errors: ValueError where there are fewer than 2 folds, or more than examples (of a class).

    >>> import jaxopt_edu as jo
    >>> folds = jo.data.k_fold(jo.data.load("wine"), 5)
    >>> len(folds), folds.at(0).validation.size, folds.test.size
    (5, 29, 35)
    """
    x, y = (
        np.concatenate([np.asarray(data.train[i]), np.asarray(data.validation[i])]) for i in (0, 1)
    )
    stratified = data.task == "classification" if stratified is None else stratified
    if stratified and data.task != "classification":
        raise ValueError("stratified: only a classification has classes")
    of = fold_numbers(y if stratified else np.zeros(len(y), int), folds, seed)
    train, train_counts = _padded([np.flatnonzero(of != k) for k in range(folds)])
    validation, validation_counts = _padded([np.flatnonzero(of == k) for k in range(folds)])
    return Folds(
        Part(x, y), data.test, train, validation, train_counts, validation_counts,
        data.source, data.task, data.n_classes, data.features, data.targets, seed, stratified,
    )  # fmt: skip


def fold_numbers(labels: ndarray, folds: int, seed: int) -> ndarray:
    """The fold of each row: of every label equally many in each fold, to within one.

    The rows of a label are shuffled and dealt out like cards; the next label goes on where the
    last one stopped, so that the sizes of the folds differ by at most one.
    """
    if folds < 2:
        raise ValueError(f"folds = {folds}: wanted at least 2")
    values, counts = np.unique(labels, return_counts=True)
    if counts.min() < folds:
        what = f"of class {values[counts.argmin()]} " if len(values) > 1 else ""
        raise ValueError(f"folds = {folds}: there are only {counts.min()} examples {what}to train")
    order = np.argsort(np.random.PCG64((seed, 2)).random_raw(len(labels)), kind="stable")
    order = order[np.argsort(labels[order], kind="stable")]
    of = np.empty(len(labels), int)
    of[order] = np.arange(len(labels)) % folds
    return of


def _padded(parts: list[ndarray]) -> tuple[ndarray, ndarray | None]:
    """Rows of equal length, and how many of each count; None where that is all of them."""
    counts = np.array([len(part) for part in parts], np.int32)
    width = counts.max()
    rows = np.stack([np.pad(part, (0, width - len(part))) for part in parts]).astype(np.int32)
    return rows, None if (counts == width).all() else counts
