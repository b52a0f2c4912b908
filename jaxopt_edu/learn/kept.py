"""Results that are kept on disk by what they are of, and read again where nothing changed."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.storage.archive import read_archive, write_archive
from jaxopt_edu.storage.identity import fingerprints
from jaxopt_edu.storage.private_places import private

DIRECTORY = "explored"  # of the user's cache


@dataclass(frozen=True)
class Kept:
    """Where a tree of arrays is kept; path: None where it is not.

    It is not kept where something in it has no identity (a generator, a file that is open), or
    where there is no directory that is the user's alone.
    """

    path: Path | None

    @classmethod
    def of(cls, cache: bool | str | Path, parts: Mapping[str, Any]) -> "Kept":
        """Kept in the user's cache (True), not at all (False), or in a directory."""
        if cache is False:
            return cls(None)
        if not isinstance(cache, bool | str | Path):
            raise TypeError(f"cache = {cache!r}: wanted True, False or a directory")
        if not isinstance(cache, bool) and Path(cache).exists() and not Path(cache).is_dir():
            raise NotADirectoryError(
                f"cache = {str(cache)!r} is a file: wanted True, False or a directory"
            )
        found = fingerprints(dict(parts))
        directory = private(DIRECTORY) if cache is True else Path(cache)
        if found.unknown or directory is None:
            return cls(None)
        directory.mkdir(parents=True, exist_ok=True)
        told = f"{found.digest} {jax.__version__} {jax.default_backend()} {jax.enable_x64.value}"
        return cls(directory / f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.zip")

    def read(self) -> Any:
        """The tree; None where there is none, or a damaged one."""
        if self.path is None or not self.path.exists():
            return None
        try:
            told, arrays = read_archive(self.path)
            return _tree(told["tree"], arrays)
        except (ValueError, KeyError, OSError):
            return None

    def write(self, tree: Any) -> None:
        """Writes the tree, whole or not at all; one of other things than dicts, lists and tuples
        of arrays is not kept."""
        arrays: list[np.ndarray] = []
        told = _told(tree, arrays)
        if self.path is not None and told is not None:
            write_archive(self.path, {"tree": told}, arrays)


def _told(x: Any, arrays: list[np.ndarray]) -> Any:
    """The tree as JSON, its arrays put with the others; None where it has something else in it."""
    if isinstance(x, np.ndarray):
        arrays.append(x)
        return {"array": len(arrays) - 1}
    if type(x) is dict and all(type(k) is str for k in x):
        parts = {k: _told(v, arrays) for k, v in x.items()}
        return None if None in parts.values() else {"dict": parts}
    if type(x) in (list, tuple):
        found = [_told(v, arrays) for v in x]
        return None if None in found else {type(x).__name__: found}
    return None


def _tree(told: dict, arrays: list) -> Any:
    [(kind, held)] = told.items()
    if kind == "array":
        return np.asarray(arrays[held])
    if kind == "dict":
        return {k: _tree(v, arrays) for k, v in held.items()}
    return {"list": list, "tuple": tuple}[kind](_tree(v, arrays) for v in held)
