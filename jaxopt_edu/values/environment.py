"""What a result depends on beside the code: versions of packages, and the devices."""

import functools
import platform
from importlib import metadata

import jax


def versions() -> dict[str, str]:
    """Python, the machine, and the packages whose numbers a result depends on."""
    packages = ("jaxopt_edu", "jax", "jaxlib", "numpy", "scipy")
    found = {"python": platform.python_version(), "platform": platform.platform()}
    return found | {name: _version(name) for name in packages}


@functools.cache
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def devices() -> list[str]:
    """The devices of this process, by kind."""
    return [f"{d.platform}:{d.id} ({d.device_kind})" for d in jax.local_devices()]
