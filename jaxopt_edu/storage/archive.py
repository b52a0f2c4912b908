"""Files that hold a description in JSON and plain arrays, and are safe to read from anyone.

A file is an uncompressed zip of `content.json` and of arrays `0.npy`, `1.npy`, ..., in NumPy's own
format. Nothing in it is executed, no path in it is followed, and no array is made before its size
was compared with the bytes that are there.
"""

import contextlib
import dataclasses
import io
import json
import math
import os
import struct
import tokenize
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy import ndarray

from jaxopt_edu.data.preparation import Fitted
from jaxopt_edu.storage.files import to_json, write_bytes
from jaxopt_edu.values.pytrees import show

CONTENT = "content.json"
SMALL = ("bfloat16", "int4", "uint4", *(n for n in dir(jnp) if n.startswith("float8_")))
NOT_NUMPYS = {name: getattr(jnp, name) for name in SMALL}  # what NumPy has no format for
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal contents are equal files
WRONG = (
    zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, RuntimeError, struct.error,
    NotImplementedError, OverflowError, MemoryError, RecursionError, SyntaxError,
    tokenize.TokenError, IndexError, AttributeError,
)  # fmt: skip


def write_archive(path: Any, content: dict[str, Any], arrays: list[ndarray]) -> None:
    """Writes a file whole or not at all. Errors: OSError, TypeError for an array of objects."""
    check_path(path)
    members = {CONTENT: to_json(content, indent=1).encode()}
    members |= {f"{i}.npy": _as_npy(x) for i, x in enumerate(arrays)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, held in members.items():
            file.writestr(zipfile.ZipInfo(name, EPOCH), held)
    write_bytes(Path(path), out.getvalue())


def read_archive(path: Any) -> tuple[dict[str, Any], list[ndarray]]:
    """The description and the arrays of a file.

    Errors: ValueError that names the file where it is none of these, damaged, or claims more than
        it holds; OSError where it cannot be opened.
    """
    check_path(path)
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        with damaged(path), zipfile.ZipFile(file) as zipped:
            members = _checked(zipped.infolist(), size)
            content = json.loads(zipped.read(members[0]))
            if not isinstance(content, dict):
                raise ValueError(f"{CONTENT} holds no object")
            return content, [_from_npy(zipped.read(info)) for info in members[1:]]


def check_path(path: Any) -> None:
    """TypeError unless it names a file."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path = {type(path).__name__} {path!r:.40}: wanted the name of a file")


@contextlib.contextmanager
def damaged(path: Any) -> Iterator[None]:
    """Says of which file it is that something is wrong with what it holds."""
    try:
        yield
    except WRONG as error:
        told = f"{error}" or type(error).__name__
        raise ValueError(f"{path} holds no model, or is damaged: {told}") from error


def _checked(infos: list[zipfile.ZipInfo], size: int) -> list[zipfile.ZipInfo]:
    """The members in order: the description, then the arrays.

    As nothing is compressed, all together are no larger than the file.
    """
    names = [info.filename for info in infos]
    wanted = [CONTENT, *(f"{i}.npy" for i in range(len(names) - 1))]
    if set(names) != set(wanted) or len(names) != len(wanted):
        other = next((n for n in names if n not in wanted or names.count(n) > 1), names[0])
        raise ValueError(f"it holds {other!r}, not {CONTENT} and arrays only")
    for info in infos:
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            raise ValueError(f"{info.filename} is compressed")
    if sum(info.file_size for info in infos) > size:
        raise ValueError("its parts claim to be larger than it is")
    by_name = {info.filename: info for info in infos}
    return [by_name[name] for name in wanted]


# ------------------------------------------------------------------------------------- arrays


def _as_npy(x: ndarray) -> bytes:
    x = np.asarray(x)
    if x.dtype.kind not in "biufc":
        raise TypeError(f"an array of {x.dtype} is no array of numbers")
    out = io.BytesIO()
    np.lib.format.write_array(out, np.ascontiguousarray(x).reshape(x.shape), allow_pickle=False)
    return out.getvalue()


def _from_npy(held: bytes) -> ndarray:
    file = io.BytesIO(held)
    version = np.lib.format.read_magic(file)
    if version != (1, 0):
        raise ValueError(f"an array has the header {version}: wanted (1, 0)")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(file)
    there = len(held) - file.tell()
    if dtype.kind not in "biufc" or dtype.hasobject:
        raise ValueError(f"an array of {dtype} is no array of numbers")
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != there:
        raise ValueError(f"an array claims the shape {shape} of {dtype}, in {there} bytes")
    x = np.frombuffer(held, dtype, offset=file.tell())
    return x.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))


def to_plain(x: Any) -> tuple[ndarray, dict[str, Any]]:
    """An array as one that NumPy can write, and what it takes to make it again.

    Typed random keys are written as their words, the small floats of machine learning as the
    integers that have their bits.
    """
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        return np.asarray(jax.random.key_data(x)), {"key": str(jax.random.key_impl(x))}
    array = np.asarray(x, jax.dtypes.canonicalize_dtype(x.dtype))
    told = {"dtype": array.dtype.name}
    if array.dtype.name in NOT_NUMPYS:
        return array.view(f"u{array.dtype.itemsize}"), told
    return array, told


def from_plain(array: ndarray, told: dict[str, Any], shape: tuple[int, ...]) -> Any:
    """The inverse of `to_plain`, for what is to have this shape."""
    if "key" in told:
        made: Any = jax.random.wrap_key_data(jnp.asarray(array), impl=str(told["key"]))
    else:
        dtype = np.dtype(NOT_NUMPYS.get(told["dtype"], array.dtype))
        if (dtype.name, dtype.itemsize) != (told["dtype"], array.dtype.itemsize):
            raise ValueError(f"an array of {array.dtype} cannot be {told['dtype']!r}")
        made = jnp.asarray(array.view(dtype))
        if made.dtype != dtype:
            raise ValueError(f"it holds {dtype.name}, which wants jax_enable_x64")
    if made.shape != shape:
        raise ValueError(f"it has shape {made.shape}, where the model has {shape}")
    return made


# ---------------------------------------------------------------------------- what rows go through


def _kinds() -> dict[str, Any]:
    """The fitted preparations of this library by name."""
    found, new = {}, [Fitted]
    while new:
        kind = new.pop()
        new += kind.__subclasses__()
        if kind.__module__.startswith("jaxopt_edu.data."):
            found[kind.__name__] = kind
    return found


def encoded(x: Any, arrays: list) -> Any:
    """A fitted preparation, labels or names as JSON; arrays of numbers go to the others."""
    if x is None or isinstance(x, bool | str) or (isinstance(x, int) and type(x) is int):
        return x
    if isinstance(x, float):
        return float(x) if math.isfinite(x) else {"float": repr(float(x))}
    if isinstance(x, bytes):
        return {"bytes": x.hex()}
    if isinstance(x, tuple):
        return {"tuple": [encoded(part, arrays) for part in x]}
    if isinstance(x, np.generic) and x.dtype.kind in "biufU":
        return encoded(x.item(), arrays)
    if isinstance(x, jax.Array | np.ndarray) and np.asarray(x).dtype.kind in "biuf":
        arrays.append(np.asarray(x))
        return {"array": len(arrays) - 1}
    if _kinds().get(type(x).__name__) is type(x):
        fields = {f.name: encoded(getattr(x, f.name), arrays) for f in dataclasses.fields(x)}
        return {"fitted": type(x).__name__, "fields": fields}
    raise TypeError(f"save: {show(x)} of type {type(x).__name__} cannot be written into a file")


def decoded(x: Any, arrays: list) -> Any:
    """The inverse of `encoded`."""
    if not isinstance(x, dict):
        if isinstance(x, list):
            raise ValueError("a list stands where none belongs")
        return x
    if "fitted" in x:
        fields = {name: decoded(part, arrays) for name, part in x["fields"].items()}
        return _kinds()[x["fitted"]](**fields)
    [(kind, held)] = x.items()
    if kind == "tuple":
        return tuple(decoded(part, arrays) for part in held)
    if kind == "array" and type(held) is int and held >= 0:
        return arrays[held]
    if kind == "float" and held in ("nan", "inf", "-inf"):
        return float(held)
    if kind == "bytes":
        return bytes.fromhex(held)
    raise ValueError(f"it holds {kind!r}, which is unknown")
