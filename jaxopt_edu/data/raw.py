"""Raw data and what must be true of them before anything else is done."""

import hashlib
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.preparation import missing

__all__ = ["Raw"]

Pair = tuple[ndarray, ndarray]


class Raw(NamedTuple):
    """Data as they come. Labels are integers from 0, or anything where targets is empty."""

    x: ndarray
    y: ndarray
    features: tuple[str, ...]
    targets: tuple[str, ...]  # names of the classes, or of what is predicted
    task: str  # "classification" or "regression"
    validation: Pair | None = None  # parts of their own, where there are
    test: Pair | None = None

    def pairs(self) -> dict[str, Pair]:
        given = {"validation ": self.validation, "test ": self.test}
        return {"": (self.x, self.y)} | {k: v for k, v in given.items() if v is not None}

    def sha256(self) -> str:
        digest = hashlib.sha256(self.task.encode())
        for pair in self.pairs().values():
            for a in pair:
                digest.update(f"{a.dtype.str}{a.shape}".encode())
                plain = a.dtype != object
                digest.update(np.ascontiguousarray(a) if plain else repr(a.tolist()).encode())
        return digest.hexdigest()


def checked(raw: Raw, fills: bool) -> Raw:
    """raw, its labels encoded; fills: whether the preparation fills missing values."""
    for part, (x, y) in raw.pairs().items():
        if x.ndim < 2:
            raise ValueError(f"{part}x has shape {x.shape}: wanted (examples, features)")
        if len(x) != len(y):
            raise ValueError(f"{part}x has {len(x)} rows, but {part}y has {np.shape(y)[:1]}")
        if x.shape[1:] != raw.x.shape[1:]:
            raise ValueError(f"{part}x has shape {x.shape}, but x has shape {raw.x.shape}")
        _check_finite(f"{part}x", x, raw.features, fills)
