"""The walk through a value: what stands where, in an order that the content alone decides."""

from collections.abc import Callable, Iterable
from typing import Any

from jaxopt_edu.storage.identity.code import sha
from jaxopt_edu.storage.identity.owners import library

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), type(NotImplemented))

Note = Callable[["Walk", Any, str], None]


class Walk:
    """The parts of one value by place.

    kinds: how the kinds of values are noted, the first that fits; rest: how anything else is.
    unknown: the places of what cannot be identified. modules: those of libraries in it. has_code:
    whether there is code of the user's own in it.
    """

    def __init__(self, kinds: Iterable[tuple[Any, Note]], rest: Note):
        self.parts: dict[str, str] = {}
        self.unknown: dict[str, str] = {}
        self.modules: set[str] = set()
        self.has_code = False
        self.inner = 0  # how deep inside functions of libraries
        self.open: dict[int, str] = {}  # objects that are being looked at
        self.known: dict[int, tuple[str, Any]] = {}  # arrays that were hashed
        self._kinds, self._rest = list(kinds), rest
        self._seen: dict[int, tuple[str, Any]] = {}

    def value(self, x: Any, place: str) -> None:
        """Notes what x is."""
        if type(x) in PLAIN:
            self.parts[place] = plain(x)
            return
        for kinds, note in self._kinds:
            if isinstance(x, kinds):
                note(self, x, place)
                return
        self._rest(self, x, place)

    def values(self, named: Iterable[tuple[str, Any]], place: str) -> None:
        """Notes parts by their names."""
        for name, x in named:
            self.value(x, f"{place}.{name}" if place else str(name))

    def library(self, module: str | None) -> str | None:
        """The library of a module, which is noted; None for the user's own."""
        of = library(module)
        if of is not None:
            self.modules.add(str(module))
        return of

    def met(self, x: Any, place: str) -> bool:
        """Whether this function or class was noted before; then it is named by that place."""
        if id(x) in self._seen:
            self.parts[place] = f"as {self._seen[id(x)][0]}"
            return True
        self._seen[id(x)] = place, x
        return False

    def cannot(self, what: str, place: str) -> None:
        """Notes what has no identity; inside libraries that is their business."""
        self.parts[place] = what
        if not self.inner:
            self.unknown[place] = what

    def key(self, x: Any) -> str:
        """A key of a dict, or a member of a set, as text."""
        if isinstance(x, str):
            return x
        alone = Walk(self._kinds, self._rest)
        alone.value(x, "")
        return alone.parts[""] if len(alone.parts) == 1 else sha(repr(sorted(alone.parts.items())))


def plain(x: Any) -> str:
    """A value of Python's own with its type."""
    return "None" if x is None else short(repr(x), type(x).__name__)


def short(text: str, kind: str) -> str:
    """A text as it is, or as a hash where it is long."""
    return f"{kind} {text if len(text) <= 70 else f'of {len(text)} characters {sha(text)}'}"


def kind_of(x: Any) -> str:
    """The class of an object with its module."""
    return f"{type(x).__module__}.{type(x).__qualname__}"
