"""Directories of the user's cache, into which nobody else may write."""

import contextlib
import os
import stat
import sys
from pathlib import Path


def private(name: str) -> Path | None:
    """A directory of this name in the user's cache, made where it is not there.

    None where it cannot be made or written, or where another user could have written there.
    """
    try:
        ours = user_cache() / "jaxopt_edu"
        found = ours / name
        ours.parent.mkdir(parents=True, exist_ok=True)
        for path in (ours, found):
            with contextlib.suppress(FileExistsError):
                path.mkdir(mode=0o700)
            if not is_private(path):
                return None
    except (OSError, RuntimeError):  # no home, a read-only one, a file in the way
        return None
    return found if os.access(found, os.R_OK | os.W_OK | os.X_OK) else None


def user_cache() -> Path:
    """Where programs of this platform keep what can be made again."""
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"])
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    given = os.environ.get("XDG_CACHE_HOME", "")
    return Path(given) if os.path.isabs(given) else Path.home() / ".cache"


def is_private(path: Path) -> bool:
    """Whether it is a directory of this user into which no other may write."""
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        return False
    if not hasattr(os, "getuid"):  # Windows: a user's directory is closed to others
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
