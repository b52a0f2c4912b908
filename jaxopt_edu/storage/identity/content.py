"""What containers, arrays, tables and data are: their content."""

import enum
import io
import operator
import types
import weakref
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.data.folds import Folds
from jaxopt_edu.storage.identity.code import sha
from jaxopt_edu.storage.identity.objects import kind
from jaxopt_edu.storage.identity.walk import PLAIN, Note, Walk, plain, short


def sequence(walk: Walk, x: Any, place: str) -> None:
    if hasattr(x, "_fields"):
        kind(walk, type(x), place)
        walk.values(zip(x._fields, x, strict=True), place)
    elif all(type(y) in PLAIN for y in x):
        walk.parts[place] = short(f"({', '.join(map(plain, x))})", type(x).__name__)
    else:
        walk.parts[place] = f"{type(x).__name__} of {len(x)}"
        walk.values(((str(i), y) for i, y in enumerate(x)), place)


def mapping(walk: Walk, x: Any, place: str) -> None:
    named = sorted(((walk.key(k), v) for k, v in x.items()), key=operator.itemgetter(0))
    if all(type(v) in PLAIN for v in x.values()):
        shown = ", ".join(f"{k!r}: {plain(v)}" for k, v in named)
        walk.parts[place] = short(f"{{{shown}}}", "dict")
    else:
        walk.parts[place] = f"dict of {len(x)}"
        walk.values(named, place)


def unordered(walk: Walk, x: Any, place: str) -> None:
    walk.parts[place] = short(", ".join(sorted(map(repr, map(walk.key, x)))), type(x).__name__)


def enumeration(walk: Walk, x: Any, place: str) -> None:
    shown = f" = {plain(x.value)}" if type(x.value) in PLAIN else ""
    walk.parts[place] = f"{type(x).__qualname__}.{x.name}{shown}"


# ------------------------------------------------------------------------------------ arrays


def array(walk: Walk, x: Any, place: str) -> None:
    walk.parts[place] = _hashed(walk, x)


def _hashed(walk: Walk, x: Any) -> str:
    """`of_array`, once for each array."""
    if id(x) not in walk.known:
        walk.known[id(x)] = of_array(x), x
    return walk.known[id(x)][0]


def of_array(x: Any) -> str:
    """An array as dtype, shape and a hash of its bytes."""
    if isinstance(x, jax.core.Tracer):
        return f"tracer {x.aval}"
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        return f"keys {jax.random.key_impl(x)} {of_array(jax.random.key_data(x))}"
    hidden = f" masked {sha(np.ma.getmaskarray(x).tobytes())}" if np.ma.isMA(x) else ""
    x = np.where(np.ma.getmaskarray(x), 0, x.data) if np.ma.isMA(x) else np.asarray(x)
    content: str | bytes = repr(x.tolist()) if x.dtype.hasobject else x.tobytes()
    return f"array {x.dtype.name}{list(x.shape)}{hidden} {sha(content)}"


def number(walk: Walk, x: Any, place: str) -> None:
    """A number of NumPy: where Python has the same one, that."""
    if isinstance(x, np.bool_ | np.int64 | np.float64 | np.str_ | np.bytes_):
        walk.value(x.item(), place)
    else:
        walk.parts[place] = f"{x.dtype.name} {x!s}"


def dtype(walk: Walk, x: Any, place: str) -> None:
    walk.parts[place] = f"dtype {x.name}"


class _Table(type):
    def __instancecheck__(cls, x: Any) -> bool:
        return type(x).__module__.partition(".")[0] == "pandas" and hasattr(x, "to_numpy")


class Tables(metaclass=_Table):
    """Tables and columns of pandas, which need not be imported to know them."""


def table(walk: Walk, x: Any, place: str) -> None:
    """Names and values of columns; the index where it says more than 0, 1, 2, ..."""
    walk.parts[place] = f"{type(x).__name__} {x.shape}"
    columns = x.items() if hasattr(x, "columns") else [("", x)]
    parts = [(str(name), np.asarray(column)) for name, column in columns]
    index = np.asarray(getattr(x, "index", np.arange(len(x))))
    if not np.array_equal(index, np.arange(len(x))):
        parts.append(("index", index))
    walk.values(parts, place)


def data(walk: Walk, x: Any, place: str) -> None:
    """Raw content, split seed, shares and preparation; never a path or a name."""
    walk.parts[place] = type(x).__name__
    names = ("sha256", "seed", "validation", "test", "preparation")
    walk.values(((name, getattr(x.source, name)) for name in names), place)
    if isinstance(x, Folds):
        walk.values({"folds": len(x), "folds seed": x.seed, "given": x.given}.items(), place)
    leaves = [_hashed(walk, leaf) for leaf in jax.tree.leaves(x)]
    full = f"{place}.arrays" if place else "arrays"
    walk.parts[full] = f"array of {len(leaves)} parts {sha(repr(leaves))}"


def file(walk: Walk, x: Any, place: str) -> None:
    walk.cannot("an open file", place)


def cache(walk: Walk, x: Any, place: str) -> None:
    walk.parts[place] = type(x).__name__


KINDS: list[tuple[Any, Note]] = [
    (enum.Enum, enumeration),
    ((Data, Folds), data),
    (np.generic, number),
    ((np.ndarray, jax.Array), array),
    (np.dtype, dtype),
    (io.IOBase, file),
    ((weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet), cache),
    (Tables, table),
    ((list, tuple), sequence),
    ((dict, types.MappingProxyType), mapping),
    ((set, frozenset), unordered),
]
