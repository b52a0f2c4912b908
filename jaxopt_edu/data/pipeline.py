"""Several preparations one after another, and how a preparation is written down."""

import dataclasses
from typing import Any

import numpy as np

from jaxopt_edu.data.preparation import (
    DropDuplicates,
    Fitted,
    Impute,
    MinMax,
    On,
    OneHot,
    Preparation,
    Standardize,
)
from jaxopt_edu.value import nearest, pytree, static

__all__ = ["Pipeline", "pipeline", "preparation_of"]


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


def to_json(p: Preparation) -> Any:
    """What JSON can hold and `preparation_of` reads."""
    if isinstance(p, Pipeline):
        return [to_json(q) for q in p.preparations] or None
    names = [name for name, cls in RECIPES.items() if type(p) is cls]
    if not names:
        raise TypeError(f"{p!r} cannot be written down: only the preparations of this library can")
    fields = {f.name: getattr(p, f.name) for f in dataclasses.fields(p)}  # type: ignore[arg-type]
    arguments = {k: to_json(v) if isinstance(v, Preparation) else v for k, v in fields.items()}
    return {names[0]: arguments} if arguments else names[0]
