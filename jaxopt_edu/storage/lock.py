"""One writer at a time: a lock that ends with the process that holds it."""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

NAME = ".lock"


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Holds the lock of a directory, which the system lets go of however the process ends.

    Where there is none of the system's (`fcntl`), the lock is a file that names the process and
    its machine; one whose process is gone is taken over.
    Errors: BlockingIOError that names the holder; OSError for a directory that cannot be written.
    """
    path = directory / NAME
    try:
        import fcntl
    except ImportError:
        with _lock_file(path):
            yield
        return
    with _opened(path) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(directory, file.read(4096).decode(errors="replace")) from None
        except OSError as error:
            raise OSError(error.errno, f"cannot lock {directory}: {error.strerror}") from error
        file.truncate(0)
        file.write(me().encode())
        file.flush()
        yield


def me() -> str:
    """This process, as a message names it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _opened(path: Path):
    try:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666), "a+b")
    except OSError as error:
        raise _cannot_write(path.parent, error) from error
    file.seek(0)
    return file


def _cannot_write(directory: Path, error: OSError) -> OSError:
    why = f"cannot write store {directory}: {error.strerror}; load_study reads a store as it is"
    return type(error)(error.errno, why)


def _in_use(directory: Path, owner: str) -> BlockingIOError:
    return BlockingIOError(f"store {directory} is in use by {owner.strip() or 'another process'}")


# ------------------------------------------------------------------------- without `fcntl`


@contextlib.contextmanager
def _lock_file(path: Path) -> Iterator[None]:
    path = path.with_name(f"{path.name}.held")
    mine = json.dumps({"process": os.getpid(), "host": socket.gethostname()})
    try:
        number = _made(path)
    except FileExistsError:
        holder = _holder(path)
        if holder is None or _lives(holder):
            raise _in_use(path.parent, _words(holder, path)) from None
        path.unlink(missing_ok=True)
        try:
            number = _made(path)
        except FileExistsError:  # another one took it over at the same time
            raise _in_use(path.parent, _words(_holder(path), path)) from None
    with os.fdopen(number, "w") as file:
        file.write(mine)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _made(path: Path) -> int:
    try:
        return os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        raise
    except OSError as error:
        raise _cannot_write(path.parent, error) from error


def _holder(path: Path) -> dict | None:
    try:
        found = json.loads(path.read_text())
        return {"process": int(found["process"]), "host": str(found["host"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _words(holder: dict | None, path: Path) -> str:
    if holder is None:
        return f"another process (delete {path.name} if there is none)"
    return f"process {holder['process']} on {holder['host']} (or delete {path.name})"


def _lives(holder: dict) -> bool:
    """Whether a process may be alive; of another machine nobody here knows."""
    if holder["host"] != socket.gethostname():
        return True
    return _process_lives(holder["process"])


def _process_lives(process: int) -> bool:
    if os.name == "nt":
        return _lives_on_windows(process)
    try:
        os.kill(process, 0)  # signal 0 asks only
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _lives_on_windows(process: int) -> bool:
    """There a signal 0 would end the process, so its handle is asked for instead."""
    import ctypes

    kernel = vars(ctypes)["windll"].kernel32
    handle = kernel.OpenProcess(0x1000, False, process)
    if not handle:
        return kernel.GetLastError() == 5  # it is there, and somebody else's
    code = ctypes.c_ulong()
    kernel.GetExitCodeProcess(handle, ctypes.byref(code))
    kernel.CloseHandle(handle)
    return code.value == 259
