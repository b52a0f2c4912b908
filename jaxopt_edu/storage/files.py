"""Files: written whole or not at all, all in one way; JSON that is JSON.

A file is written under a temporary name beside its own, flushed to the disk, renamed, and the
directory flushed: after a crash there is the old one or the new one. Who may read it is decided by
the process's umask, as for any file.
"""

import contextlib
import csv
import io
import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

PART = ".part"  # how the name of a file ends that is being written
_counter = itertools.count()


@contextlib.contextmanager
def whole(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file to write, which takes its name when it is complete.

    Errors: OSError that names the file, such as for a full or read-only disk; then nothing is
        left behind and what was there stays.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{next(_counter)}{PART}")
    try:
        number = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | _BINARY, 0o666)
        with os.fdopen(number, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _flush_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise type(error)(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


_BINARY = getattr(os, "O_BINARY", 0)  # where text files are another kind


def _flush_directory(directory: Path) -> None:
    """Makes a renaming last; systems that cannot open a directory do without."""
    with contextlib.suppress(OSError):
        number = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Writes a file whole or not at all."""
    with whole(path) as file:
        file.write(content)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text in UTF-8, whole or not at all."""
    write_bytes(path, text.encode())


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Writes a value as JSON, whole or not at all."""
    write_text(path, to_json(value, indent=2) + "\n")


def write_arrays(path: str | os.PathLike[str], arrays: dict[str, Any]) -> None:
    """Writes arrays, whole or not at all."""
    with whole(path) as file:
        np.savez(file, **arrays)


def clean(directory: Path) -> None:
    """Deletes what a process that was killed while it wrote has left."""
    for path in directory.glob(f".*{PART}"):
        path.unlink(missing_ok=True)


def csv_text(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table as CSV, quoted where it must be; None is an empty cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


# -------------------------------------------------------------------------------------- JSON


def to_json(value: Any, **form: Any) -> str:
    """JSON in which a NumPy number is the number that it is, and NaN is {"float": "nan"}."""
    return json.dumps(_strict(value), allow_nan=False, **form)


def from_json(text: str | bytes) -> Any:
    """The inverse of `to_json`; it reads the word NaN too, which older files hold."""
    return json.loads(text, object_hook=_number)


def strict(answer: Any) -> Any:
    """What every reader of JSON understands: null for numbers that are not finite, else a text."""
    if isinstance(answer, dict):
        return {str(key): strict(x) for key, x in answer.items()}
    if isinstance(answer, list | tuple):
        return [strict(x) for x in answer]
    if isinstance(answer, np.ndarray | np.generic):
        return strict(answer.tolist())
    if isinstance(answer, float) and not math.isfinite(answer):
        return None
    return answer if isinstance(answer, str | int | float | bool | None) else str(answer)


def _strict(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, dict):
        return {key: _strict(x) for key, x in value.items()}
    return [_strict(x) for x in value] if isinstance(value, list | tuple) else value


def _number(found: dict) -> Any:
    if found.keys() == {"float"} and found["float"] in ("nan", "inf", "-inf"):
        return float(found["float"])
    return found
