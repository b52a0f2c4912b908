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

    path: a directory with the four IDX files (train-images-idx3-ubyte and so on, gzipped or not),
    or an npz file with the four arrays.
    Errors: FileNotFoundError; ValueError that names the file, what is wrong and what was wanted.
    """
    path = Path(path)
    if path.is_dir():
        files = [_find(path, start) for start in FILES]
        arrays = [read_idx(file) for file in files]
    elif path.exists():
        files = [f"{path}: {name}" for name in NAMES]
        arrays = _read_npz(path)
    else:
        raise FileNotFoundError(f"{path}: there is no such file or directory")
    for file, array, dims in zip(files, arrays, (3, 1, 3, 1), strict=True):
        if array.ndim != dims:
            wanted = "images (n, rows, columns)" if dims == 3 else "labels (n,)"
            raise ValueError(f"{file}: wanted {wanted}, found shape {array.shape}")
    x, y, x_test, y_test = arrays
    for i, (images, labels) in enumerate(((x, y), (x_test, y_test))):
        if len(images) != len(labels):
            raise ValueError(
                f"{files[2 * i]} has {len(images)} images, "
                f"but {files[2 * i + 1]} has {len(labels)} labels"
            )
    if x.shape[1:] != x_test.shape[1:]:
        raise ValueError(f"{path}: images of {x.shape[1:]} to train, of {x_test.shape[1:]} to test")
    return x, y, x_test, y_test


def read_idx(file: Any) -> ndarray:
    """The array in an IDX file: two zero bytes, type, number of dimensions, sizes, values."""
    file = Path(file)
    raw = _bytes(file)
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in TYPES or not raw[3]:
        raise ValueError(f"{file}: no IDX file: it starts with {raw[:4].hex(' ') or 'nothing'}, "
                         "wanted 00 00, a type from 08 to 0e, the number of dimensions")
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
    """The file whose name starts so, plain or gzipped."""
    for file in sorted(directory.iterdir()):
        if file.name.startswith(start) and "ubyte" in file.name:
            return file
    raise FileNotFoundError(
        f"{directory}: there is no {start}-idx{3 if 'images' in start else 1}-ubyte (or .gz) in it"
    )


def _read_npz(file: Path) -> list[ndarray]:
    try:
        with np.load(file) as arrays:
            held = list(arrays)
            absent = [name for name in NAMES if name not in held]
            if not absent:
                return [arrays[name] for name in NAMES]
    except (ValueError, OSError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(
            f"{file}: not readable as npz with {', '.join(NAMES)}: {error}"
        ) from None
    raise ValueError(f"{file}: wanted arrays {', '.join(NAMES)}, found {', '.join(held)}")
