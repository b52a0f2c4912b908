"""Deprecated names: for one version the old name works and warns, in the next it is gone.

CHANGELOG.md names each of them. `renamed` is for names that are read as strings, such as those of
hyperparameters; functions, arguments and attributes of modules have theirs below.
"""

import functools
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
RENAMED: list["Renamed"] = []
INNER = {"jaxopt_edu", "jax", "importlib"}  # theirs is no line of a user's


@dataclass(frozen=True)
class Renamed:
    """An old name and its new one; since: the version that has both."""

    old: str
    new: str
    since: str

    @property
    def gone(self) -> str:
        """The version that has the new name only: the next minor one."""
        major, minor, *_ = self.since.split(".")
        return f"{major}.{int(minor) + 1}.0"

    def warn(self, rest: str = "") -> None:
        """A DeprecationWarning at the line, outside this package, that uses the old name.

        rest: what follows both names, as `.learning_rate` follows that of an optimizer.
        """
        frame = sys._getframe(1)
        while str(frame.f_globals.get("__name__")).split(".")[0] in INNER and frame.f_back:
            frame = frame.f_back
        both = f"{self.old}{rest} is called {self.new}{rest} now"
        said = f"{both}; the old name goes away in {self.gone}"
        names = frame.f_globals
        place = frame.f_code.co_filename, frame.f_lineno, names.get("__name__")
        seen = names.setdefault("__warningregistry__", {})
        warnings.warn_explicit(said, DeprecationWarning, *place, seen)


def renamed(old: str, new: str, since: str) -> Renamed:
    """A name that has changed; where the old one is read, call its `warn`."""
    RENAMED.append(Renamed(old, new, since))
    return RENAMED[-1]


def renamed_function(old: str, call: Callable[P, T], since: str) -> Callable[P, T]:
    """The function under its old name: `fedavg = renamed_function("fedavg", fed_avg, "0.2.0")`."""
    name = renamed(old, call.__name__, since)

    @functools.wraps(call)
    def under_old_name(*args: P.args, **arguments: P.kwargs) -> T:
        name.warn()
        return call(*args, **arguments)

    return under_old_name


def renamed_argument(old: str, new: str, since: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorates a function, or the `__init__` of a class, whose argument old is called new now."""

    def decorate(call: Callable[P, T]) -> Callable[P, T]:
        owner = call.__qualname__.split("<locals>.")[-1].removesuffix(".__init__")
        name = renamed(f"{owner}({old}=)", f"{new}=", since)

        @functools.wraps(call)
        def under_both_names(*args: P.args, **arguments: P.kwargs) -> T:
            if old in arguments and new in arguments:
                raise TypeError(f"{owner}: {old}= and {new}= are one argument; give {new}=")
            if old in arguments:
                name.warn()
                arguments[new] = arguments.pop(old)
            return call(*args, **arguments)

        return under_both_names

    return decorate


def gone_arguments(instead: dict[str, str]) -> Callable[[type[T]], type[T]]:
    """Decorates a class that has lost arguments: TypeError that says what to do instead."""

    def decorate(cls: type[T]) -> type[T]:
        kind: Any = cls
        call = kind.__init__

        @functools.wraps(call)
        def without(*args: Any, **arguments: Any) -> None:
            for old in instead.keys() & arguments.keys():
                raise TypeError(instead[old])
            call(*args, **arguments)

        kind.__init__ = without
        return cls

    return decorate


def renamed_attributes(
    module: str, since: str, gone: dict[str, str] | None = None, **names: str
) -> Callable[[str], Any]:
    """A module's `__getattr__`, for old=new: `__getattr__ = renamed_attributes(__name__, ...)`.

    gone: what to say of names that have no new one.
    Write it under `if not TYPE_CHECKING:`, or type checkers take every attribute for one.
    """
    known = {old: renamed(f"{module}.{old}", new, since) for old, new in names.items()}

    def attribute(name: str) -> Any:
        if name not in known:
            message = (gone or {}).get(name, f"module {module!r} has no attribute {name!r}")
            raise AttributeError(message, name=name, obj=sys.modules[module])
        known[name].warn()
        return getattr(sys.modules[module], known[name].new)

    return attribute
