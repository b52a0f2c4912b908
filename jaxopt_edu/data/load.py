"""From raw arrays to data: checked, split, prepared on the training part."""

import dataclasses
import hashlib
import os
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.dataset import Data, Part, Source
from jaxopt_edu.data.pipeline import preparation_of, to_json
from jaxopt_edu.data.preparation import Preparation
from jaxopt_edu.data.sources import Raw, read
from jaxopt_edu.data.split import split

__all__ = ["from_arrays", "load", "source_to_json"]


def load(
    name: str,
    seed: int = 0,
    path: Any = None,
    *,
    validation: float = 0.2,
    test: float = 0.2,
    prepare: Any = "standardize",
    sha256: str | None = None,
) -> Data:
    """Real data by name (see `datasets`), split and prepared.

    >>> import jaxopt_edu as jo
    >>> digits = jo.data.load("digits", seed=0)
    >>> digits, digits.train.x.shape, digits.n_classes
    (load('digits', seed=0), (1078, 64), 10)
    """
    raw = read(name, seed, path)
    source = Source(
        name, seed, preparation_of(prepare), validation, test, _hash(raw), (0, 0, 0), True,
        None if path is None else os.path.abspath(path),
    )
    if sha256 not in (None, source.sha256):
        raise ValueError(
            f"{name}: the data are not those described: their sha256 is {source.sha256}, "
            f"wanted {sha256}"
        )
    labels = raw.y if raw.task == "classification" else None
    kept = source.preparation.rows(raw.x, raw.y)
    if raw.test is None:
        shares = (1 - validation - test, validation, test)
    else:
        shares = (1 - validation / (1 - test), validation / (1 - test))
    rows = split(shares, None if labels is None else labels[kept], len(kept), seed)
    pairs = [(raw.x[kept][i], raw.y[kept][i]) for i in rows]
    if raw.test is not None:
        pairs.append(raw.test)
    return _prepared(pairs, source, raw)


def _prepared(pairs: list, source: Source, raw: Raw) -> Data:
    fitted = source.preparation.fit(pairs[0][0])
    real = jnp.result_type(float)
    kind = np.int32 if raw.task == "classification" else real
    parts = [Part(fitted.apply(x).astype(real), y.astype(kind)) for x, y in pairs]
    source = dataclasses.replace(source, sizes=tuple(len(p.y) for p in parts))
    n_classes = len(raw.targets) if raw.task == "classification" else None
    return Data(*parts, source, raw.task, n_classes, fitted.names(raw.features), raw.targets)


def _hash(raw: Raw) -> str:
    digest = hashlib.sha256()
    for a in (raw.x, raw.y, *(raw.test or ())):
        digest.update(f"{a.dtype.str}{a.shape}".encode())
        digest.update(np.ascontiguousarray(a).tobytes())
    return digest.hexdigest()


def from_arrays(x, y, *, seed=0): ...
def source_to_json(source): ...
