"""Compiled programs kept on disk for the command line, in a directory of the user's cache.

Reading a compiled program is executing it: so the directory is the user's own, nobody else may
write into it, and it is named by the versions and the processor that the programs were made for.
"""

import contextlib
import hashlib
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jaxlib
from jax.experimental.compilation_cache import compilation_cache

from jaxopt_edu.storage.private_places import private

SHORTEST = 0.05  # seconds of compiling from which on a program is kept


@contextlib.contextmanager
def kept_programs(wanted: bool = True) -> Iterator[Path | None]:
    """While entered, JAX keeps compiled programs on disk, and looks for them there.

    Yields the directory; None where there is none to be had, or the user chose one himself
    (JAX_COMPILATION_CACHE_DIR), or wants none (JAX_ENABLE_COMPILATION_CACHE=false). What cannot be
    read or written there is compiled, as if it were not there.
    """
    config: Any = jax.config
    free = config.jax_enable_compilation_cache and not config.jax_compilation_cache_dir
    found = private_directory() if free and wanted else None
    if found is None:
        yield None
        return
    settings = {
        "jax_compilation_cache_dir": str(found),
        "jax_persistent_cache_min_compile_time_secs": SHORTEST,
    }
    before = {name: getattr(config, name) for name in settings}
    try:
        for name, value in settings.items():
            config.update(name, value)
        compilation_cache.reset_cache()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation")
            yield found
    finally:
        for name, value in before.items():
            config.update(name, value)
        compilation_cache.reset_cache()


def private_directory() -> Path | None:
    """The directory for programs of these versions on this processor, made where it is not there.

    None where it cannot be made or written, or where another user could have put programs there.
    """
    return private(f"jax-{jax.__version__}-{jaxlib.__version__}-{_processor()}")


def _processor() -> str:
    """A digest of what compiled programs rely on: the kind of the processor and its features."""
    told = [platform.machine(), platform.processor(), platform.system()]
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        for name in ("model name", "flags", "Features", "CPU part"):
            told += sorted({line for line in lines if line.partition(":")[0].strip() == name})
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
