"""What a result depends on beside the code: packages, their versions, and the devices."""

import functools
import importlib.util
import platform
from importlib import metadata

import jax

INSTALL = {
    "optuna": "jaxopt_edu[optuna]",
    "cmaes": "jaxopt_edu[optuna]",
    "cryptography": "jaxopt_edu[privacy]",
    "dp_accounting": "jaxopt_edu[privacy]",
    "sklearn": "scikit-learn",
}


def need(what: str, *packages: str) -> None:
    """ImportError that says what to install, where one of the packages is absent."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            install = INSTALL.get(package, package)
            raise ImportError(f"{what} needs {package}: pip install '{install}'")


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
