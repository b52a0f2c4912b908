"""From raw arrays to data: checked, split, prepared on the training part."""

import dataclasses
import operator
import os
from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.columns import Columns, kinds_of, read_table
from jaxopt_edu.data.dataset import SHARE, Data, Part, Source, real
from jaxopt_edu.data.pipeline import preparation_of, to_json
from jaxopt_edu.data.preparation import Fitted, is_missing
from jaxopt_edu.data.prepared import marked
from jaxopt_edu.data.raw import Pair, Raw, checked
from jaxopt_edu.data.sources import read
from jaxopt_edu.data.split import split

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
    raw = read(name, _seed(seed), path)
    source = Source(
        name,
        _seed(seed),
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
        (integers from 0, strings, bools) for labels.
    features, targets: names of the columns of x and of the classes (or of the columns of y); from
        a data frame those of x are its own.
    Shapes: x (n, features...), y (n,) labels or (n, ...) targets.
    Errors: ValueError for lengths that differ, labels that are not 0 to K - 1, NaN or infinity
        (with row and column), shares that leave a part or a class of it empty.

    >>> import jaxopt_edu as jo
    >>> import numpy as np
    >>> x, y = np.arange(20.0).reshape(10, 2), np.array(["no", "yes"] * 5)
    >>> data = jo.data.from_arrays(x, y, name="mine")
    >>> data.targets, data.train.y, data.source.sizes
    (('no', 'yes'), array([1, 0, 1, 1, 0, 0], dtype=int32), (6, 2, 2))
    """
    array, own_names = read_table(x, "x")
    names = _columns(array.shape, features, own_names)
    columns = Columns.of(x, array, names, len(features) > 0)
    own = (
        _pair("validation", validation, columns),
        _pair("test", test, columns),
    )
    y = _targets(y)
    task = task or ("regression" if y.dtype.kind == "f" else "classification")
    raw = Raw(array, y, names, tuple(targets), task, *own)
    source = Source(
        name,
        _seed(seed),
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


def _targets(y: Any) -> ndarray:
    """Targets as an array, those in a column of objects as what they all are."""
    y = np.asarray(y)
    return np.asarray(y.tolist()) if y.dtype == object and not is_missing(y).any() else y


def _pair(name: str, part: Any, columns: Columns) -> Pair | None:
    """The arrays of a ready-made part, columns in the order of x; None for a share."""
    if not isinstance(part, tuple | list):
        return None
    if len(part) != 2:
        raise ValueError(f"a ready-made part is a pair (x, y), got {len(part)} things")
    return columns.ordered(part[0], f"{name} x"), _targets(part[1])


def _columns(shape: tuple[int, ...], features: Any, own: tuple[str, ...]) -> tuple[str, ...]:
    """The names of the columns of a table: those given, its own, or x0, x1, ..."""
    if len(shape) != 2:
        return tuple(features)
    names = features if len(features) else own or [f"x{j}" for j in range(shape[1])]
    if len(names) != shape[1]:
        raise ValueError(f"features names {len(names)} columns, but x has {shape[1]}")
    return tuple(map(str, names))


def _seed(seed: Any) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if number < 0:
        raise ValueError(f"seed = {seed!r}: wanted an integer from 0")
    return number


def _share(name: str, share: Any) -> float:
    if not isinstance(share, int | float | np.number) or not 0 <= share < 1:
        raise ValueError(f"{name} = {share!r}: wanted a share of the data in [0, 1)")
    return float(share)


# --------------------------------------------------------------------------- splitting, preparing


def _make(raw: Raw, source: Source) -> Data:
    shares = _shares(raw, source)
    raw = checked(raw, source.preparation.fills)
    kept = source.preparation.rows(raw.x, raw.y)
    x, y = raw.x[kept], raw.y[kept]
    labels = y if raw.task == "classification" else None
    rows = split(len(y), shares, source.seed, labels, raw.targets)
    cut = [(x[i], y[i]) for i in rows]
    train = cut.pop(0)
    validation = raw.validation or cut.pop(0)
    return _prepared([train, validation, raw.test or cut.pop(0)], raw, source)


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


def _prepared(pairs: list[Pair], raw: Raw, source: Source) -> Data:
    """The three parts after a preparation that has seen the first one only."""
    fitted = source.preparation.fit_named(pairs[0][0], raw.features)
    source = dataclasses.replace(source, fitted=fitted)
    kind = np.int32 if raw.task == "classification" else jnp.result_type(float)
    train, validation, test = (
        Part(marked(_applied(fitted, x), source.mark), y.astype(kind)) for x, y in pairs
    )
    sizes = (len(train.y), len(validation.y), len(test.y))
    source = dataclasses.replace(source, sizes=sizes)
    classes = len(raw.targets) if raw.task == "classification" else None
    names = fitted.names(raw.features)
    return Data(train, validation, test, source, raw.task, classes, names, raw.targets, raw.labels)


def _applied(fitted: Fitted, x: ndarray) -> ndarray:
    """x after its preparation, block by block, in float32 (float64 where JAX is told to use it)."""
    starts = range(0, max(len(x), 1), 1024)
    with np.errstate(over="ignore"):
        blocks = [real(fitted.apply(x[i : i + 1024])) for i in starts]
    x = np.concatenate(blocks)
    if not np.isfinite(x).all():
        raise ValueError("x holds NaN, infinity or numbers beyond float32 after its preparation")
    return x
