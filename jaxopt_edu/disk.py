"""What stores are made of: arrays written whole or not at all, in a directory of one writer.

A store says in a JSON file, written once, what was asked for; the same call finds it again, and a
call with other arguments is told the first difference.
"""

import contextlib
import json
import os
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.describe import to_json, write_json

LOCK = ".lock"


@dataclass(frozen=True)
class Asked:
    """The file of a store that says what was asked for.

    kind: of the store, in messages. others: what a store may hold before it holds this file.
    """

    kind: str
    file: str
    format: int
    others: tuple[str, ...] = ()

    def read(self, directory: Path) -> dict[str, Any]:
        """What the store in a directory was asked for."""
        path = directory / self.file
        if not path.exists():
            raise ValueError(f"{directory} holds no {self.kind}: there is no {self.file}")
        with readable(path):
            found = json.loads(path.read_text())
            version, asked = found["format"], dict(found["asked"])
        self.check_format(path, version)
        return asked

    def check_format(self, path: Path, version: Any) -> None:
        """ValueError unless this version reads that format."""
        if version != self.format:
            raise ValueError(f"{path} has format {version}: this version reads {self.format}")

    def check(self, directory: Path, asked: dict[str, Any]) -> None:
        """ValueError where a directory holds something else, or a store with other arguments."""
        self._check_directory(directory)
        if (directory / self.file).exists():
            self._compare(directory, asked)

    def _check_directory(self, directory: Path) -> None:
        if directory.exists() and not directory.is_dir():
            raise ValueError(f"store {directory} is a file: wanted a directory")
        if directory.is_dir() and not (directory / self.file).exists():
            others = [p.name for p in directory.iterdir() if p.name not in (LOCK, *self.others)]
            if others:
                raise ValueError(
                    f"store {directory} holds {others[0]!r}, but no {self.kind} ({self.file})"
                )

    def _compare(self, directory: Path, asked: dict[str, Any]) -> None:
        there, here = self.read(directory), json.loads(to_json(asked))
        for name in [*here, *(n for n in there if n not in here)]:
            if there.get(name) != here.get(name):
                place, old, new = _difference(there.get(name), here.get(name), name)
                raise ValueError(
                    f"store {directory} holds a {self.kind} with other arguments: {place} was "
                    f"{old}, now {new}"
                )

    @contextlib.contextmanager
    def opened(self, directory: Path, asked: dict[str, Any]) -> Iterator[None]:
        """Holds a store, new or as it was left, as its only writer.

        Errors: those of `check`; BlockingIOError where another process is writing it.
        """
        self._check_directory(directory)
        directory.mkdir(parents=True, exist_ok=True)
        with locked(directory / LOCK):
            if (directory / self.file).exists():
                self._compare(directory, asked)
            else:
                write_json(directory / self.file, {"format": self.format, "asked": asked})
            for path in directory.glob(".*.part"):  # of a process that was killed while it wrote
                path.unlink(missing_ok=True)
            yield


def _difference(old: Any, new: Any, place: str) -> tuple[str, Any, Any]:
    """The first place at which two JSON values differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*new, *old]:
            if old.get(key) != new.get(key):
                return _difference(old.get(key), new.get(key), f"{place}.{key}")
    return place, json.dumps(old), json.dumps(new)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock that the system lets go of when the process ends, however it ends."""
    import fcntl

    with open(path, "a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read().strip() or "another process"
            raise BlockingIOError(f"store {path.parent} is in use by {owner}") from None
        file.truncate(0)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


# ------------------------------------------------------------------------------------- arrays


def write_arrays(path: Path, arrays: dict[str, Any]) -> None:
    """Writes arrays, whole or not at all."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        os.replace(temporary, path)
    except OSError as error:
        os.unlink(temporary)
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        os.unlink(temporary)
        raise


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file."""
    with readable(path), open(path, "rb") as file, np.load(file, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Says which file it was that could not be read."""
    try:
        yield
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, OSError) as error:
        raise ValueError(f"{path} is damaged or no part of a store: {error}") from error


def text_array(value: Any) -> np.ndarray:
    """A JSON value as an array, to be written beside others."""
    return np.frombuffer(to_json(value).encode(), np.uint8)


def from_text_array(x: np.ndarray) -> Any:
    """The inverse of `text_array`."""
    return json.loads(bytes(x).decode())


def is_key(x: Any) -> bool:
    """Whether an array is of typed random keys, which have no bytes of their own."""
    return jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def plain(x: Any) -> Any:
    """An array of numbers: the data of random keys, anything else as it is."""
    return jax.random.key_data(x) if is_key(x) else x


def plain_shape(x: Any) -> Any:
    """The shape and dtype of `plain(x)`."""
    return jax.eval_shape(plain, x) if is_key(x) else x


def as_before(x: Any, like: Any) -> Any:
    """The inverse of `plain`, for what was like this."""
    return jax.random.wrap_key_data(x) if is_key(like) else x
