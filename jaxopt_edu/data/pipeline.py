"""Preparations combined: for some columns, one after another, and how they are written down."""

import dataclasses
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.duplicates import DropDuplicates
from jaxopt_edu.data.preparation import (
    Fitted,
    Impute,
    MinMax,
    OneHot,
    Preparation,
    Standardize,
    table,
)
from jaxopt_edu.kinds import OddValues
from jaxopt_edu.value import nearest, pytree, static

__all__ = ["On", "Pipeline", "Select", "on", "pipeline", "select"]


@pytree
class FittedOn(Fitted):
    """A fitted value for each of some columns; the others stay as they are."""

    parts: Any

    def apply(self, x):
        columns = np.split(table(x), np.shape(x)[1], axis=1)
        pairs = enumerate(zip(self.parts, columns, strict=True))
        return np.concatenate([_of_column(j, part.apply, c) for j, (part, c) in pairs], axis=1)

    def names(self, names):
        pairs = zip(self.parts, names, strict=True)
        return tuple(new for part, name in pairs for new in part.names((name,)))


@pytree
class On(Preparation):
    """A preparation for some columns only; what it makes of each stands in that column's place."""

    columns: tuple[int, ...] = static()
    preparation: Any = static()

    @property
    def fills(self):
        return self.preparation.fills

    def fit(self, x):
        x = table(x)
        wrong = [c for c in self.columns if not 0 <= c < x.shape[1]]
        if wrong:
            raise ValueError(f"on: column {wrong[0]} of a table with {x.shape[1]} columns")
        return FittedOn(
            tuple(
                _of_column(j, self.preparation.fit, x[:, [j]]) if j in self.columns else Fitted()
                for j in range(x.shape[1])
            )
        )


def _of_column(j: int, f: Callable[[Any], Any], x: ndarray) -> Any:
    """f(x) of a table that is column j of another."""
    try:
        return f(x)
    except OddValues as error:
        raise error.moved("x", j, error.row) from None


def on(columns: Iterable[int], preparation: Any) -> On:
    """A preparation, given as a value or by name, for some columns only.

    What it makes of each of them stands in that column's place; the others stay as they are.
    Errors: ValueError for an unknown name, and in `fit` for a column that x does not have.

    >>> import jaxopt_edu as jo
    >>> jo.data.on([1], "min_max").fit([[1.0, 2.0], [3.0, 4.0]]).apply([[7.0, 3.0]])
    array([[7. , 0.5]])
    """
    return On(tuple(columns), preparation_of(preparation))


@pytree
class Selected(Fitted):
    """Some of the columns, in this order."""

    columns: tuple[int, ...] = static()

    def apply(self, x):
        return table(x)[:, list(self.columns)]

    def names(self, names):
        return tuple(names[c] for c in self.columns)


@pytree
class Select(Preparation):
    """Some columns only, such as those that a selection of features has kept."""

    columns: tuple[int, ...] = static()

    def fit(self, x):
        width = table(x).shape[1]
        wrong = [c for c in self.columns if c >= width]
        if wrong:
            raise ValueError(f"select: column {wrong[0]} of a table with {width} columns")
        return Selected(self.columns)


def select(columns: Iterable[int]) -> Select:
    """A preparation that keeps some columns and drops the others.

    Errors: TypeError where columns are no integers; ValueError where there is none, one is
        negative or comes twice, and in `fit` for a column that x does not have.

    >>> import jaxopt_edu as jo
    >>> jo.data.select([2, 0]).fit([[1.0, 2.0, 3.0]]).apply([[4.0, 5.0, 6.0]])
    array([[6., 4.]])
    """
    kept = tuple(operator.index(c) for c in columns)
    if not kept or min(kept) < 0 or len(set(kept)) < len(kept):
        raise ValueError(f"columns = {kept}: wanted different numbers from 0, at least one")
    return Select(kept)


@pytree
class FittedPipeline(Fitted):
    """Fitted values one after another."""

    parts: Any

    def apply(self, x):
        for part in self.parts:
            x = part.apply(x)
        return x

    def names(self, names):
        for part in self.parts:
            names = part.names(names)
        return names


@pytree
class Pipeline(Preparation):
    """Preparations one after another, each fitted on what the ones before it made."""

    preparations: tuple[Any, ...] = static()

    @property
    def fills(self):
        return any(p.fills for p in self.preparations)

    def rows(self, x, y):
        kept = np.arange(len(x))
        for p in self.preparations:
            kept = kept[p.rows(x[kept], y[kept])]
        return kept

    def apart(self, x, y, part):
        kept = np.arange(len(x))
        for p in self.preparations:
            kept = kept[p.apart(x[kept], y[kept], part)]
        return kept

    def fit(self, x):
        fitted = []
        for p in self.preparations:
            fitted.append(p.fit(x))
            x = fitted[-1].apply(x)
        return FittedPipeline(tuple(fitted))

    def __repr__(self):
        return f"pipeline({', '.join(map(repr, self.preparations))})"


def pipeline(*preparations: Any) -> Pipeline:
    """Preparations one after another, given as values or by name.

    Errors: ValueError for an unknown name, TypeError for what is no preparation.

    >>> import jaxopt_edu as jo
    >>> jo.data.pipeline(jo.data.impute("median"), "standardize")
    pipeline(Impute(strategy='median'), Standardize())
    """
    return Pipeline(tuple(map(preparation_of, preparations)))


RECIPES = {
    "standardize": Standardize,
    "min_max": MinMax,
    "impute": Impute,
    "one_hot": OneHot,
    "drop_duplicates": DropDuplicates,
    "on": On,
    "select": Select,
}


def preparation_of(spec: Any) -> Preparation:
    """The preparation that a value, name, tuple, `None` or JSON form means."""
    if isinstance(spec, Preparation):
        return spec
    if spec is None:
        return pipeline()
    if isinstance(spec, list | tuple):
        return pipeline(*spec)
    name, arguments = next(iter(spec.items())) if isinstance(spec, dict) else (spec, {})
    if not isinstance(name, str):
        raise TypeError(f"prepare = {spec!r} is no preparation; there are {', '.join(RECIPES)}")
    if name not in RECIPES:
        raise ValueError(f"prepare = {name!r} is unknown; {nearest(name, RECIPES)}")
    return RECIPES[name](**{key: _decode(key, value) for key, value in arguments.items()})


def _decode(key: str, value: Any) -> Any:
    if key == "preparation":
        return preparation_of(value)
    return tuple(value) if isinstance(value, list) else value


def to_json(p: Any) -> Any:
    """What JSON can hold and `preparation_of` reads."""
    if isinstance(p, Pipeline):
        return [to_json(q) for q in p.preparations] or None
    names = [name for name, cls in RECIPES.items() if type(p) is cls]
    if not names:
        raise TypeError(f"{p!r} cannot be written down: only the preparations of this library can")
    fields = {f.name: getattr(p, f.name) for f in dataclasses.fields(p)}
    arguments = {k: to_json(v) if isinstance(v, Preparation) else v for k, v in fields.items()}
    return {names[0]: arguments} if arguments else names[0]
