"""Atomic writes of arrays, and run directories with a single writer.

A store says in a JSON file what was asked for, and what the values in it were (`fingerprint`); the
same call finds it again, and a call with other arguments is told the first difference.
"""

import contextlib
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.storage.files import PART, clean, from_json, to_json, write_arrays, write_json
from jaxopt_edu.storage.identity.prints import Fingerprint
from jaxopt_edu.storage.lock import NAME as LOCK
from jaxopt_edu.storage.lock import locked

__all__ = [
    "Manifest", "StoreError", "as_before", "check_format", "from_text_array", "is_key", "plain",
    "plain_shape", "read_arrays", "readable", "text_array", "write_arrays",
]  # fmt: skip


class StoreError(ValueError):
    """A store holds what was asked with other arguments, by another version, or is damaged."""


def _as_it_is(asked: dict[str, Any], version: int) -> dict[str, Any]:
    return asked


@dataclass(frozen=True)
class Manifest:
    """The file of a store that says what was asked for.

    kind: of the store, in messages. format: the one that is written; older: those that can still
    be read. others: what a store may hold before it holds this file. instead: what to do with a
    store that is not gone on with. converted: (asked, format) -> what was asked, of an older
    format as one of today.
    """

    kind: str
    file: str
    format: int
    older: tuple[int, ...] = ()
    others: tuple[str, ...] = ()
    instead: str = "give another directory"
    converted: Callable = _as_it_is

    def read(self, directory: Path) -> dict[str, Any]:
        """What the store in a directory was asked for."""
        found = self.found(directory)
        return self.converted(found["asked"], found["format"])

    def found(self, directory: Path) -> dict[str, Any]:
        """The file as it is: format, asked and, but in older formats, identity."""
        path = directory / self.file
        if not path.exists():
            raise ValueError(f"{directory} holds no {self.kind}: there is no {self.file}")
        with readable(path):
            found = from_json(path.read_text())
            version, found["asked"] = found["format"], dict(found["asked"])
        instead = "" if self.older else self.instead
        check_format(path, version, (*self.older, self.format), instead)
        return found

    def check(
        self, directory: Path, asked: dict[str, Any], identity: Fingerprint, grows: Any = None
    ) -> None:
        """ValueError where a directory holds something else, or a store with other arguments.

        grows: (there, here) -> there, as what is asked for here where it may go on as that;
            ValueError that says why it cannot.
        """
        self._check_directory(directory)
        if (directory / self.file).exists():
            self._compare(directory, asked, identity, grows)

    def _check_directory(self, directory: Path) -> None:
        if directory.exists() and not directory.is_dir():
            raise ValueError(f"store {directory} is a file: wanted a directory")
        if directory.is_dir() and not (directory / self.file).exists():
            others = [p.name for p in directory.iterdir() if not self._mine(p.name)]
            if others:
                raise ValueError(
                    f"store {directory} holds {others[0]!r}, but no {self.kind} ({self.file})"
                )

    def _mine(self, name: str) -> bool:
        return name in self.others or name.startswith(LOCK) or name.endswith(PART)

    def _compare(
        self, directory: Path, asked: dict[str, Any], identity: Fingerprint, grows: Any
    ) -> None:
        found = self.found(directory)
        there, here, stored = found["asked"], from_json(to_json(asked)), found.get("identity")
        if stored is None:
            raise StoreError(
                f"store {directory} was written by an earlier version, which does not say what "
                f"functions and data it was made with: {self.instead}"
            )
        if found["format"] != self.format:
            raise StoreError(
                f"store {directory} was written by an earlier version, in format "
                f"{found['format']}, which this one does not go on with: {self.instead}"
            )
        head = f"store {directory} holds a {self.kind} with other arguments"
        if grows is not None:
            try:
                there = grows(there, here)
            except ValueError as error:
                raise StoreError(f"{head}: {error}") from None
        told = {name for name in here if _of(name, identity.parts)}  # by what they are
        for name in [*here, *(n for n in there if n not in here)]:
            if name not in told and there.get(name) != here.get(name):
                old, new = (json.dumps(asked.get(name)) for asked in (there, here))
                raise StoreError(f"{head}: {name} was {old}, now {new}")
        differs = identity.differs(stored)
        if differs is not None:
            raise StoreError(f"{head}: {differs}")

    @contextlib.contextmanager
    def opened(
        self,
        directory: Path,
        asked: dict[str, Any],
        identity: Fingerprint,
        grows: Callable | None = None,
    ) -> Iterator[None]:
        """Holds a store, new or as it was left, as its only writer.

        Warns of what cannot be identified. Errors: those of `check`; BlockingIOError where another
        process is writing it; OSError where it cannot be written.
        """
        self._check_directory(directory)
        _make(directory)
        with locked(directory):
            path = directory / self.file
            new = {"format": self.format, "asked": asked, "identity": identity.as_json()}
            if path.exists():
                self._compare(directory, asked, identity, grows)
            if not path.exists() or from_json(to_json(asked)) != self.read(directory):
                write_json(path, new)  # as asked, where it grows or was only written otherwise
            clean(directory)
            self._warn(directory, identity)
            yield

    def _warn(self, directory: Path, identity: Fingerprint) -> None:
        for place, what in identity.unknown.items():
            warnings.warn(
                f"store {directory} cannot tell whether {place} changes, {what}: where it does, "
                "give another store",
                stacklevel=6,
            )


def _of(name: str, parts: dict[str, str]) -> bool:
    return any(place == name or place.startswith((f"{name}.", f"{name} ")) for place in parts)


def _make(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"store {directory} is a file: wanted a directory") from None
    except NotADirectoryError:
        raise ValueError(f"store {directory} lies in a file: wanted a directory") from None
    except OSError as error:
        why = f"cannot make store {directory}: {error.strerror}"
        raise type(error)(error.errno, why) from error


def check_format(path: Path, version: Any, known: tuple[int, ...], instead: str = "") -> None:
    """ValueError unless this version reads that format; instead: what to do then."""
    if version not in known:
        last = f"this version reads {max(known)}"
        if len(known) > 1:
            last = f"this version reads {', '.join(map(str, known[:-1]))} and {known[-1]}"
        raise StoreError(f"{path} has format {version}: {last}{instead and '; '}{instead}")


# ------------------------------------------------------------------------------------- arrays


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file."""
    with readable(path), open(path, "rb") as file, np.load(file, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Says which file it was that could not be read."""
    try:
        yield
    except PermissionError:
        raise
    except (zipfile.BadZipFile, ValueError, KeyError, EOFError, TypeError, OSError) as error:
        why = str(error).partition(" If you trust")[0]  # NumPy's advice to unpickle
        raise StoreError(f"{path} is damaged or no part of a store: {why}") from error


def text_array(value: Any) -> np.ndarray:
    """A JSON value as an array, to be written beside others."""
    return np.frombuffer(to_json(value).encode(), np.uint8)


def from_text_array(x: np.ndarray) -> Any:
    """The inverse of `text_array`."""
    return from_json(bytes(x).decode())


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
    if not is_key(like):
        return x
    kind = jax.random.key_impl(jax.numpy.empty((0,), like.dtype))
    return jax.random.wrap_key_data(x, impl=kind)
