"""Preparations combined: for some columns, one after another, and how they are written down."""

import dataclasses
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.categories import OneHot
from jaxopt_edu.data.columns import by_name, column_names
from jaxopt_edu.data.duplicates import DropDuplicates
from jaxopt_edu.data.preparation import (
    Fitted,
    Impute,
    MinMax,
    Names,
    Preparation,
    Standardize,
    check_columns,
    table,
)
from jaxopt_edu.values.kinds import OddValues
from jaxopt_edu.values.pytrees import nearest, pytree, static

__all__ = ["On", "Pipeline", "Select", "on", "pipeline", "select"]


@pytree
class FittedOn(Fitted):
    """A fitted value for each of some columns; the others stay as they are."""

    parts: Any
    columns: Names = static(default=())

    @property
    def changes(self):
        return any(getattr(part, "changes", True) for part in self.parts)

    def apply(self, x):
        x = table(by_name(x, self.columns))
        check_columns(x, (len(self.parts),))
        columns = np.split(x, x.shape[1], axis=1)
        pairs = enumerate(zip(self.parts, columns, strict=True))
        return np.concatenate([_of_column(j, part.apply, c) for j, (part, c) in pairs], axis=1)

    def names(self, names):
        pairs = zip(self.parts, names, strict=True)
        return tuple(new for part, name in pairs for new in part.names((name,)))


@pytree
class On(Preparation):
    """A preparation for some columns only; what it makes of each stands in that column's place."""

    columns: tuple[int | str, ...] = static()
    preparation: Any = static()

    @property
    def fills(self):
        return self.preparation.fills

    def fit(self, x):
        return dataclasses.replace(self.fit_named(x, column_names(x)), columns=column_names(x))

    def fit_named(self, x, names):
        x, fit = table(x), self.preparation.fit_named
        chosen = positions("on", self.columns, x.shape[1], names)
        return FittedOn(
            tuple(
                _of_column(j, fit, x[:, [j]], names[j : j + 1]) if j in chosen else Fitted()
                for j in range(x.shape[1])
            )
        )


def _of_column(j: int, f: Callable, x: ndarray, *more: Any) -> Any:
    """f(x) of a table that is column j of another."""
    try:
        return f(x, *more)
    except OddValues as error:
        named = isinstance(error.column, str)
        raise error.moved("x", error.column if named else j, error.row) from None


def on(columns: Iterable[int | str], preparation: Any) -> On:
    """A preparation, given as a value or by name, for some columns only.

    columns: names or positions (from 0), those that the table has where the preparation comes to
        act: after one_hot of city there is a column city=paris.
    What it makes of each of them stands in that column's place; the others stay as they are.
    Errors: ValueError for an unknown name, and in `fit` for a column that x does not have;
        TypeError for a column that is neither a name nor a position.

    >>> import jaxopt_edu as jo
    >>> jo.data.on([1], "min_max").fit([[1.0, 2.0], [3.0, 4.0]]).apply([[7.0, 3.0]])
    array([[7. , 0.5]])
    >>> jo.data.on(["city"], "one_hot")
    On(columns=('city',), preparation=OneHot())
    """
    return On(_chosen("on", columns), preparation_of(preparation))


def _chosen(what: str, columns: Any) -> tuple[int | str, ...]:
    """Names and positions as they were given; TypeError for anything else."""
    if not isinstance(columns, Iterable):
        raise TypeError(f"{what}: columns = {columns!r}: wanted names or positions, such as [0, 2]")
    given = (columns,) if isinstance(columns, str) else tuple(columns)
    for c in given:
        if isinstance(c, bool | np.bool_) or not (isinstance(c, str) or hasattr(c, "__index__")):
            raise TypeError(f"{what}: column {c!r}: wanted a name or a position")
    return tuple(str(c) if isinstance(c, str) else operator.index(c) for c in given)


def positions(what: str, columns: Any, width: int, names: Names) -> tuple[int, ...]:
    """Where these columns stand in a table of that width, whose columns may have names."""
    found = []
    for c in columns:
        if isinstance(c, str):
            if c not in names:
                hint = nearest(c, names) if names else "the columns of the table have no names"
                raise ValueError(f"{what}: there is no column {c!r}; {hint}")
            if names.count(c) > 1:
                raise ValueError(f"{what}: {names.count(c)} columns are called {c!r}")
            c = names.index(c)
        if not 0 <= c < width:
            raise ValueError(f"{what}: column {c} of a table with {width} columns")
        found.append(c)
    return tuple(found)


@pytree
class Selected(Fitted):
    """Some of the columns, in this order."""

    columns: tuple[int, ...] = static()
    width: int | None = static(default=None)  # of the table that was fitted
    names_of_table: Names = static(default=())

    def apply(self, x):
        x = table(by_name(x, self.names_of_table))
        check_columns(x, () if self.width is None else (self.width,))
        return x[:, list(self.columns)]

    def names(self, names):
        return tuple(names[c] for c in self.columns)


@pytree
class Select(Preparation):
    """Some columns only, such as those that a selection of features has kept."""

    columns: tuple[int | str, ...] = static()

    def fit(self, x):
        return dataclasses.replace(
            self.fit_named(x, column_names(x)), names_of_table=column_names(x)
        )

    def fit_named(self, x, names):
        width = table(x).shape[1]
        kept = positions("select", self.columns, width, names)
        if len(set(kept)) < len(kept):
            raise ValueError(f"select: columns = {self.columns}: one comes twice")
        return Selected(kept, width)


def select(columns: Iterable[int | str]) -> Select:
    """A preparation that keeps some columns, by name or position, and drops the others.

    Errors: TypeError where columns are neither; ValueError where there is none, one is negative or
        comes twice, and in `fit` for a column that x does not have.

    >>> import jaxopt_edu as jo
    >>> jo.data.select([2, 0]).fit([[1.0, 2.0, 3.0]]).apply([[4.0, 5.0, 6.0]])
    array([[6., 4.]])
    """
    kept = _chosen("select", columns)
    numbers = [c for c in kept if isinstance(c, int)]
    if not kept or min(numbers, default=0) < 0 or len(set(kept)) < len(kept):
        raise ValueError(f"columns = {kept}: wanted different numbers from 0, at least one")
    return Select(kept)


@pytree
class FittedPipeline(Fitted):
    """Fitted values one after another."""

    parts: Any

    @property
    def changes(self):
        return any(getattr(part, "changes", True) for part in self.parts)

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
        names = column_names(x)
        for p in self.preparations:
            own = column_names(x)  # a data frame goes on until a preparation makes it an array
            fitted.append(p.fit(x) if own else p.fit_named(x, names))
            x, names = fitted[-1].apply(x), fitted[-1].names(names) if names else ()
        return FittedPipeline(tuple(fitted))

    def fit_named(self, x, names):
        fitted = []
        for p in self.preparations:
            fitted.append(p.fit_named(x, names))
            x, names = fitted[-1].apply(x), fitted[-1].names(names) if names else ()
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
    if isinstance(spec, dict) and spec and not {*spec} <= {*RECIPES}:
        parts = ", ".join(f"jo.data.on([{c!r}], {p!r})" for c, p in spec.items())
        raise ValueError(f"prepare = {spec!r}: for some columns wanted {parts}")
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
    if fields.get("unknown") == "ignore":  # not written when stores began
        del fields["unknown"]
    arguments = {k: to_json(v) if isinstance(v, Preparation) else v for k, v in fields.items()}
    return {names[0]: arguments} if arguments else names[0]
