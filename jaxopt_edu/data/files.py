"""Reading MNIST-shaped data from local files: IDX, gzipped or not, or NumPy's npz."""

import gzip
import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy import ndarray

__all__ = ["read_idx", "read_mnist"]

NAMES = ("x_train", "y_train", "x_test", "y_test")
FILES = ("train-images", "train-labels", "t10k-images", "t10k-labels")
TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_mnist(path: Any) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """x_train, y_train, x_test, y_test: images (n, rows, columns) and labels (n,).

    path: a directory with the four IDX files (train-images-idx3-ubyte or train-images.idx3-ubyte
    and so on, gzipped or not, each in a directory of its name or not), or an npz file with the
    four arrays.
    Errors: FileNotFoundError; ValueError that names the file, what is wrong and what was wanted.
    """
    path = Path(path)
    if path.is_dir():
        files = [_find(path, start) for start in FILES]
        arrays = [read_idx(file) for file in files]
        names = list(map(str, files))
    elif path.exists():
        arrays = _read_npz(path)
        names = [f"{path}: {name}" for name in NAMES]
    else:
        raise FileNotFoundError(f"{path}: there is no such file or directory")
    x, y, x_test, y_test = arrays
    _check_pair(names[0], x, names[1], y)
    _check_pair(names[2], x_test, names[3], y_test)
    if x.shape[1:] != x_test.shape[1:]:
        raise ValueError(f"{names[2]}: images of {x_test.shape[1:]}, {names[0]}: of {x.shape[1:]}")
    return x, y, x_test, y_test


def _check_pair(of_x: str, x: ndarray, of_y: str, y: ndarray) -> None:
    if x.ndim != 3:
        raise ValueError(f"{of_x}: wanted images (n, rows, columns), found shape {x.shape}")
    if y.ndim != 1:
        raise ValueError(f"{of_y}: wanted labels (n,), found shape {y.shape}")
    for name, a in ((of_x, x), (of_y, y)):
        if a.dtype.kind not in "biuf":
            raise ValueError(f"{name}: wanted numbers, found {a.dtype}, such as {a.flat[:1]}")
    if len(x) != len(y):
        raise ValueError(f"{of_x} has {len(x)} images, but {of_y} has {len(y)} labels")
    wrong = np.flatnonzero(~np.isin(y, np.arange(10)))
    if wrong.size:
        raise ValueError(f"{of_y}: label {y[wrong[0]]} in place {wrong[0]}: wanted 0 to 9")


def read_idx(file: Any) -> ndarray:
    """The array in an IDX file: two zero bytes, type, number of dimensions, sizes, values."""
    file = Path(file)
    raw = _bytes(file)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES or not raw[3]:
        raise ValueError(
            f"{file}: no IDX file: it starts with {raw[:4].hex(' ') or 'nothing'}, "
            "wanted 00 00, a type from 08 to 0e, the number of dimensions"
        )
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise ValueError(f"{file}: truncated: {len(raw)} bytes, the header alone wants {start}")
    shape = tuple(np.frombuffer(raw, ">u4", raw[3], 4).tolist())
    dtype = np.dtype(TYPES[raw[2]])
    wanted = start + math.prod(shape) * dtype.itemsize
    if len(raw) != wanted:
        what = "truncated" if len(raw) < wanted else "too long"
        raise ValueError(f"{file}: {what}: {len(raw)} bytes, but an array {shape} wants {wanted}")
    return np.frombuffer(raw, dtype, offset=start).reshape(shape)


def _bytes(file: Path) -> bytes:
    raw = file.read_bytes()
    if raw[:2] != b"\x1f\x8b":
        return raw
    try:
        return gzip.decompress(raw)
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{file}: a gzip file that is truncated or damaged: {error}") from None


def _find(directory: Path, start: str) -> Path:
    """The file whose name starts so, plain or gzipped, there or in a directory named like it."""
    named = [p for p in sorted(directory.iterdir()) if p.name.startswith(start)]
    named = [p for p in named if "ubyte" in p.name]
    inside = [p for d in named if d.is_dir() for p in sorted(d.iterdir())]
    for file in (*named, *inside):
        if file.is_file() and file.name.startswith(start) and "ubyte" in file.name:
            return file
    raise FileNotFoundError(
        f"{directory}: there is no {start}-idx{3 if 'images' in start else 1}-ubyte (or .gz) in it"
    )


def _read_npz(file: Path) -> list[ndarray]:
    if not zipfile.is_zipfile(file):
        raise ValueError(
            f"{file}: no npz file, or a truncated one: wanted an npz with {', '.join(NAMES)}, "
            "or a directory with the four IDX files"
        )
    try:
        with np.load(file) as arrays:
            if set(NAMES) <= set(arrays):
                return [arrays[name] for name in NAMES]
            found = ", ".join(arrays) or "none"
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{file}: damaged, or no npz: {error}") from None
    raise ValueError(f"{file}: wanted arrays {', '.join(NAMES)}, found {found}")
