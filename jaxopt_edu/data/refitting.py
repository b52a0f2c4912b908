"""Preparations fitted anew to the training rows of every fold.

Where all that differs between folds is a shift and a scale, the rows are stored once and each fold
has its two numbers a feature; otherwise each fold has rows of its own.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.chosen import Chosen
from jaxopt_edu.data.dataset import Data, counted
from jaxopt_edu.data.pipelines import FittedOn, FittedPipeline
from jaxopt_edu.data.preparation import Fitted, Scaled, numbers, real
from jaxopt_edu.data.prepared import OF_FOLDS, marked
from jaxopt_edu.values.pytrees import pytree, show, static

__all__ = ["MOST_BYTES", "Refit", "refit"]

MOST_BYTES = 2**31  # of the arrays of all folds together
Affine = tuple[Any, Any]  # (shift, scale): x becomes (x - shift) / scale


class Refit(NamedTuple):
    """The rows of all folds, x of the pool and of the test part, and what was fitted to each.

    With shift and scale (folds, features...), fold k sees (x - shift[k]) / scale[k]; stacked: the
    arrays hold the rows of fold 0, then those of fold 1, and so on.
    """

    pool: ndarray
    test: ndarray
    fits: tuple[Fitted, ...]
    given: tuple[Chosen, Chosen] | None = None  # pool and test part as they were given
    shift: ndarray | None = None
    scale: ndarray | None = None
    stacked: bool = False


def refit(data: Data, train_rows: Sequence[ndarray]) -> Refit:
    """The preparation of the data fitted to rows of the pool, for each fold.

    Errors: ValueError where a fit fails (naming the fold), where the columns of the folds cannot be
        matched, and where folds need arrays of their own that are too large together.
    """
    pool, test = data.pool.x, np.asarray(data.test.x)
    if not _steps(data.source.fitted):
        return Refit(pool, test, (data.source.fitted,) * len(train_rows))
    given = _given(data)
    fits = [_fit(data, given, rows, k) for k, rows in enumerate(train_rows)]
    fits = [_aligned(data, given, fitted) for fitted in fits]
    same, rest = _shared([_steps(fitted) for fitted in fits])
    affine = [_affine(steps) for steps in rest]
    first = FittedPipeline(tuple(same))
    if all(a is not None for a in affine):
        return _scaled(data, given, first, affine, fits)
    return _stacked(data, given, fits)


def _given(data: Data) -> Chosen:
    """The rows of the pool as they were given; ValueError where they are not those of the data."""
    if not data.given:
        raise ValueError(
            f"folds: these data do not know what they were before {show(data.source.preparation)}, "
            "which is to be fitted to each fold: make them by from_arrays"
        )
    train, validation, test = data.given
    names, fitted = train.names, data.source.fitted
    parts = (train, data.train), (validation, data.validation), (test, data.test)
    for chosen, part in parts:
        x = counted(part)[0]
        if len(chosen.rows) != len(x) or not _close(chosen.prepared(fitted, ()), x):
            raise ValueError(
                "folds: the rows that the data were made from have changed since, or the data "
                f"have; {show(data.source.preparation)} cannot be fitted to each fold: make the "
                "data again by from_arrays"
            )
    x = np.concatenate([c.x[c.rows] for c in (train, validation)])
    return Chosen("x", names, x, data.pool.y, np.arange(len(x)))


def _close(x: ndarray, y: ndarray) -> bool:
    return x.shape == y.shape and np.allclose(x, y, rtol=1e-4, atol=1e-4)


def _fit(data: Data, given: Chosen, rows: ndarray, k: int) -> Fitted:
    try:
        return given._replace(rows=rows).fit(data.source.preparation)
    except (TypeError, ValueError) as error:
        raise ValueError(f"fold {k}: {error}") from error


# ---------------------------------------------------------------------------------- one after one


def _steps(fitted: Any) -> list[Any]:
    """What a fitted preparation does, one step after another, without what does nothing."""
    if isinstance(fitted, FittedPipeline):
        return [step for part in fitted.parts for step in _steps(part)]
    idle = type(fitted) is Fitted
    if isinstance(fitted, FittedOn):
        idle = all(type(part) is Fitted for part in fitted.parts)
    return [] if idle else [fitted]


def _shared(steps: list[list[Any]]) -> tuple[list[Any], list[list[Any]]]:
    """The first steps that are the same in all folds, and the others of each fold."""
    n = 0
    while all(len(s) > n for s in steps) and all(s[n] == steps[0][n] for s in steps[1:]):
        n += 1
    return steps[0][:n], [s[n:] for s in steps]


def _affine(steps: list[Any]) -> Affine | None:
    """The shift and the scale that some steps come to; None where they do more than that."""
    shift, scale = np.zeros(()), np.ones(())
    for step in steps:
        own = _of_step(step)
        if own is None:
            return None
        shift, scale = shift + scale * own[0], scale * own[1]
    return shift, scale


def _of_step(step: Any) -> Affine | None:
    if type(step) is Fitted:
        return np.zeros(()), np.ones(())
    if type(step) is Scaled:
        return np.asarray(step.shift), np.asarray(step.scale)
    if isinstance(step, FittedPipeline):
        return _affine(list(step.parts))
    if isinstance(step, FittedOn):
        found = [_of_step(part) for part in step.parts]
        parts = [part for part in found if part is not None]
        if len(parts) == len(found):
            shifts, scales = ([np.ravel(part[i])[0] for part in parts] for i in (0, 1))
            return np.array(shifts), np.array(scales)
    return None


def _scaled(
    data: Data, given: Chosen, first: Fitted, affine: list[Any], fits: list[Fitted]
) -> Refit:
    """The rows once, near mean 0 and variance 1, and what each fold makes of them."""
    shape = np.shape(first.apply(given.x[:1]))[1:]
    shifts, scales = (np.stack([np.broadcast_to(a[i], shape) for a in affine]) for i in (0, 1))
    m, s = shifts.mean(0), scales.mean(0)
    common, test = FittedPipeline((first, Scaled(m, s))), data.given[2]
    x, x_test = (marked(c.prepared(common, data.features), OF_FOLDS) for c in (given, test))
    shift, scale = real((shifts - m) / s), real(scales / s)
    return Refit(x, x_test, tuple(fits), (given, test), shift, scale)


def _stacked(data: Data, given: Chosen, fits: list[Fitted]) -> Refit:
    """The rows of each fold, one fold after another."""
    like, test = np.asarray(data.train.first(1)[0]), data.given[2]
    size = len(fits) * (len(given.rows) + len(test.rows)) * like.nbytes
    if size > MOST_BYTES:
        raise ValueError(
            f"folds = {len(fits)}: {show(data.source.preparation)} is fitted to each fold and more "
            f"than a shift and a scale, so each has rows of its own: {size / 2**30:.1f} GiB, above "
            f"{MOST_BYTES / 2**30:g}; wanted fewer folds or rows, or data prepared beforehand"
        )
    pool, rest = (
        np.concatenate([chosen.prepared(fitted, data.features) for fitted in fits])
        for chosen in (given, test)
    )
    pool, rest = marked(pool, OF_FOLDS), marked(rest, OF_FOLDS)
    return Refit(pool, rest, tuple(fits), (given, test), stacked=True)


# ---------------------------------------------------------------------------------------- columns


@pytree
class Aligned(Fitted):
    """Columns in another order: where each one was, or -1 for one of zeros."""

    columns: tuple[int, ...] = static()

    def apply(self, x):
        return np.where(np.array(self.columns) < 0, 0.0, numbers(x)[:, list(self.columns)])


def _aligned(data: Data, given: Chosen, fitted: Fitted) -> Fitted:
    """The fitted preparation with the columns that the data have, by name."""
    shape, wanted = np.shape(fitted.apply(given.x[:1]))[1:], data.features
    names, width = fitted.names(given.names), np.shape(data.train.x)[1:]
    if len(shape) != 1 or len(names) != shape[0] or len(wanted) != width[0]:
        if shape != width:
            raise ValueError(
                f"folds: {show(data.source.preparation)} gives a fold features of shape {shape}, "
                f"and the training part {width}: wanted the same, or names of all columns"
            )
        return fitted
    if names == wanted:
        return fitted
    place = {name: j for j, name in enumerate(names)}
    return FittedPipeline((fitted, Aligned(tuple(place.get(name, -1) for name in wanted))))
