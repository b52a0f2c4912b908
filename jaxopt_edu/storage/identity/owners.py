"""Whose a module is: a library's, with its version, or the user's own."""

import ast
import functools
import importlib.util
import sys
import sysconfig
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from jaxopt_edu.storage.identity.code import sha

PACKAGE = __name__.partition(".")[0]


def library(module: str | None) -> str | None:
    """The library that a module belongs to; None for the user's own.

    A library is what is installed (in site-packages), Python's own modules, and this package.
    """
    top = (module or "").partition(".")[0]
    owner = "installed" if top == PACKAGE else _owner(top) if top else "user"
    return {"Python": "Python", "installed": top, "user": None}[owner]


@functools.cache
def versions(module: str) -> dict[str, str]:
    """The version of a library's module.

    Where this package is not installed but a clone, which its user may edit: also a hash of what
    the module's file says, as this version of Python reads it.
    """
    name, python = library(module), f"{sys.version_info.major}.{sys.version_info.minor}"
    if name is None:
        return {}
    told = {name: python if name == "Python" else _version(name)}
    file = _file_of(module) if is_clone(module) else None
    return told if file is None else told | {module: f"{file_digest(file)}@{python}"}


@functools.cache
def is_clone(module: str) -> bool:
    """Whether a module is of this package, in a clone that may be edited."""
    file = _file_of(PACKAGE) if module.partition(".")[0] == PACKAGE else None
    return file is not None and not _installed(file)


def is_own(module: str) -> bool:
    """Whether a module is the user's own."""
    top = module.partition(".")[0]
    return top != PACKAGE and _owner(top) == "user"


@functools.cache
def _owner(top: str) -> str:
    file = _file_of(top)
    if file is None:
        python = top in sys.builtin_module_names or top in sys.stdlib_module_names
        return "Python" if python and top != "__main__" else "user"
    if _installed(file):
        return "installed"
    return "Python" if _standard(file) else "user"


def _file_of(name: str) -> str | None:
    """The file, or a directory, that a module comes from."""
    module = sys.modules.get(name)
    if module is None:
        try:
            spec = importlib.util.find_spec(name)
        except (ImportError, ValueError, AttributeError):
            return None
        origin = None if spec is None else spec.origin
        return origin if spec is not None and spec.has_location else None
    path = getattr(module, "__file__", None)
    return path or next(iter(getattr(module, "__path__", ())), None)


def _under(file: str, names: tuple[str, ...]) -> bool:
    paths = sysconfig.get_paths()
    places = [Path(paths[name]) for name in names if name in paths]
    places += [place.resolve() for place in places]
    both = Path(file), Path(file).resolve()
    return any(path.is_relative_to(place) for path in both for place in places)


def _installed(file: str) -> bool:
    named = {"site-packages", "dist-packages"} & set(Path(file).parts)
    return bool(named) or _under(file, ("purelib", "platlib"))


def _standard(file: str) -> bool:
    return _under(file, ("stdlib", "platstdlib"))


def _version(top: str) -> str:
    found = getattr(sys.modules.get(top), "__version__", None)
    if isinstance(found, str):
        return found
    try:
        return metadata.version(top)
    except metadata.PackageNotFoundError:
        names = _distributions().get(top, [])
        return metadata.version(names[0]) if names else "of no known version"


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def file_digest(file: str) -> str:
    """A hash of what a file of Python says, whatever its comments and docstrings."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return "unreadable"
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_docstring(body[0]):
            del body[0]
    return sha(ast.dump(tree))


def _is_docstring(node: ast.AST) -> bool:
    match node:
        case ast.Expr(value=ast.Constant(value=str())):
            return True
    return False


def own_module(name: str) -> str | None:
    """The file of a module of the user's own; None for a library's, or where there is none."""
    file = _file_of(name) if is_own(name) else None
    if file is None or Path(file).is_dir():
        return None
    return file
