"""From raw arrays to data: checked, split, prepared on the training part."""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.chosen import Chosen
from jaxopt_edu.data.columns import Columns, kinds_of, read_table
from jaxopt_edu.data.dataset import SHARE, Data, Part, Source
from jaxopt_edu.data.given import check_index, columns_of, pair_of, target_names, targets_of
from jaxopt_edu.data.labels import mark_of, warn_of_counts
from jaxopt_edu.data.pipelines import preparation_of, to_json
from jaxopt_edu.data.prepared import marked, read_only
from jaxopt_edu.data.raw import Pair, Raw, checked
from jaxopt_edu.data.sources import read
from jaxopt_edu.data.splitting import split
from jaxopt_edu.values.arrays import plain
from jaxopt_edu.values.pytrees import check_seed

__all__ = ["from_arrays", "load", "source_to_json"]


def load(
    name: str,
    seed: int = 0,
    path: Any = None,
    *,
    validation: float = SHARE,
    test: float = SHARE,
    prepare: Any = "standardize",
    sha256: str | None = None,
) -> Data:
    """Real data by name (`datasets` lists them): split, and prepared on the training part.

    digits, breast_cancer, wine, iris and diabetes are scikit-learn's copies; linear is
    y = 3 x + U(0, 1) at 1,000 points x from U(0, 1), made from the seed; mnist is read from path:
    a directory with the four IDX files, gzipped or not, or an npz with x_train, y_train, x_test
    and y_test, pixels in rows. Its test part is the file's own, and the two other parts share the
    rest in their proportion (45,000 and 15,000).

    validation, test: the shares of the rows in these parts; 0 is an empty part. Every class has
        in each part its share of its members, to within one; a regression is split at random. The
        seed decides, and nothing else.
    prepare: a preparation (value, name, or a tuple of them) or None.
    sha256: what the raw arrays must hash to (`source_to_json` gives it); None asks nothing.
    Errors: ValueError for an unknown name, shares that leave a part or a class of it empty, a file
        that is not what it should be, another sha256; FileNotFoundError; ImportError where
        scikit-learn is needed and missing.

    >>> import jaxopt_edu as jo
    >>> digits = jo.data.load("digits", seed=0)
    >>> digits, digits.train.x.shape, digits.n_classes
    (load('digits', seed=0), (1078, 64), 10)
    """
    raw = read(name, check_seed(seed, None), path)
    source = Source(
        name,
        check_seed(seed, None),
        preparation_of(prepare),
        _share("validation", validation),
        _share("test", test),
        raw.sha256(),
        loaded=True,
        path=None if path is None else os.path.abspath(path),
        columns=Columns(raw.features, raw.x.shape[1:], named=True, kinds=kinds_of(raw.x)),
    )
    if sha256 not in (None, source.sha256):
        raise ValueError(
            f"{name}: these are not the data described: sha256 {source.sha256}, not {sha256}"
        )
    return _make(raw, source)


def from_arrays(
    x: Any,
    y: Any,
    *,
    seed: int = 0,
    validation: Any = SHARE,
    test: Any = SHARE,
    name: str = "arrays",
    task: str | None = None,
    prepare: Any = "standardize",
    features: tuple[str, ...] = (),
    targets: tuple[str, ...] = (),
) -> Data:
    """The user's own data: split and prepared as by `load`, or with ready-made parts.

    validation, test: a share of the rows, or a pair (x, y) that is that part.
    task: "classification" or "regression"; None takes float targets for a regression, others
        (integers of any size, strings, bools) for labels, and warns where integers look like
        counts.
    features, targets: names of the columns of x and of the classes (or of the columns of y); from
        a data frame, or a series of numbers to predict, they are its own. The classes are the
        labels in order; integers that targets names are taken from 0 where they all are below its
        length.
    Masked values, None, NA and NaN are missing ones. Nullable dtypes, categories, decimals, and
    columns of objects that are all numbers are what they hold.
    Shapes: x (n, features...), y (n,) labels or (n, ...) targets; (n, 1) targets become (n,).
    Errors: ValueError or TypeError with column and row for missing values that no preparation
        fills, infinity, dates, complex numbers, strings among numbers, and for labels that the
        training part lacks; for sparse matrices, lengths that differ, columns of one name, an
        index that x and y have in another order, shares that leave a part or a class of it empty.

    >>> import jaxopt_edu as jo
    >>> import numpy as np
    >>> x, y = np.arange(20.0).reshape(10, 2), np.array(["no", "yes"] * 5)
    >>> data = jo.data.from_arrays(x, y, name="mine")
    >>> data.targets, data.train.y, data.source.sizes
    (('no', 'yes'), array([1, 0, 1, 1, 0, 0], dtype=int32), (6, 2, 2))
    """
    rows = plain("x", x) if isinstance(x, Mapping) else read_table(x, "x")[0]
    names = columns_of(x, rows.shape, features)
    columns = Columns.of(x, rows, names, len(features) > 0)
    check_index(x, y)
    labels = targets_of("y", y, task)
    kind = task or ("regression" if labels.dtype.kind == "f" else "classification")
    named = target_names(y) if kind == "regression" else ()
    if named and set(named) == set(targets):  # names of its own, in the order that is asked for
        labels, named = targets_of("y", y, task, tuple(targets)), tuple(targets)
    known = named or (tuple(targets) if kind == "regression" else ())
    own = (
        pair_of("validation", validation, kind, columns, known),
        pair_of("test", test, kind, columns, known),
    )
    targets = tuple(targets) or named
    if task is None and kind == "classification":
        warn_of_counts(labels)
    raw = Raw(rows, labels, names, tuple(targets), kind, *own)
    source = Source(
        name,
        check_seed(seed, None),
        preparation_of(prepare),
        None if raw.validation else _share("validation", validation),
        None if raw.test else _share("test", test),
        raw.sha256(),
        loaded=False,
        columns=columns,
    )
    return _make(raw, source)


def source_to_json(source: Source) -> dict[str, Any]:
    """What JSON can hold: `load(**source_to_json(data.source))` makes the data again.

    The hash is in it, so that `load` refuses data that have changed.
    Errors: ValueError for data given as arrays; TypeError for a preparation of one's own.
    """
    arguments = source.arguments() | {"sha256": source.sha256}
    if "prepare" in arguments:
        arguments["prepare"] = to_json(source.preparation)
    return arguments


def _share(name: str, share: Any) -> float:
    if not isinstance(share, int | float | np.number) or not 0 <= share < 1:
        raise ValueError(f"{name} = {share!r}: wanted a share of the data in [0, 1)")
    return float(share)


# --------------------------------------------------------------------------- splitting, preparing


def _make(raw: Raw, source: Source) -> Data:
    shares = _shares(raw, source)
    raw = checked(raw, source.preparation.fills)
    kept = source.preparation.rows(raw.x, raw.y)
    for part in (raw.test, raw.validation):
        if part is not None:
            kept = kept[source.preparation.apart(raw.x[kept], raw.y[kept], part)]
    labels = raw.y[kept] if raw.task == "classification" else None
    rows = [kept[i] for i in split(len(kept), shares, source.seed, labels, raw.targets)]
    own = [Chosen("x", raw.features, raw.x, raw.y, i) for i in rows]
    train = own.pop(0)
    validation = _apart(raw, raw.validation, source) if raw.validation else own.pop(0)
    test = Chosen("test x", raw.features, *raw.test, _all(raw.test)) if raw.test else own.pop(0)
    return _prepared([train, validation, test], raw, source)


def _apart(raw: Raw, part: Pair, source: Source) -> Chosen:
    """A ready-made validation part, without rows that a ready-made test part has as well."""
    rows = source.preparation.apart(*part, raw.test) if raw.test else _all(part)
    if not rows.size:
        raise ValueError("validation: each of its rows is in the test part as well")
    return Chosen("validation x", raw.features, *part, rows)


def _all(part: Pair) -> ndarray:
    return np.arange(len(part[1]))


def _shares(raw: Raw, source: Source) -> list[float]:
    """The shares of train and of each part that is to be cut from raw.x."""
    shares = {"validation": source.validation, "test": source.test}
    given = {name: share for name, share in shares.items() if share is not None}
    if sum(given.values()) >= 1:
        shown = " and ".join(f"{name} = {share}" for name, share in given.items())
        raise ValueError(f"{shown} leave nothing to train on")
    train = 1 - sum(given.values())
    if raw.test:  # the others share the rest
        given.pop("test", None)
    cut = [train, *given.values()]
    return [share / sum(cut) for share in cut]


def _prepared(parts: list[Chosen], raw: Raw, source: Source) -> Data:
    """The three parts after a preparation that has seen the first one only."""
    fitted = parts[0].fit(source.preparation)
    names = fitted.names(raw.features)
    source = dataclasses.replace(source, fitted=fitted, sizes=tuple(len(p.rows) for p in parts))
    kind = np.int32 if raw.task == "classification" else jnp.result_type(float)
    train, validation, test = (
        Part(
            marked(read_only(part.prepared(fitted, names)), source.mark),
            marked(read_only(part.y[part.rows].astype(kind)), mark_of(raw.labels)),
        )
        for part in parts
    )
    classes = len(raw.targets) if raw.task == "classification" else None
    return Data(
        train, validation, test, source, raw.task, classes, names, raw.targets, raw.labels,
        tuple(parts),
    )  # fmt: skip
