"""Objects of other libraries as dicts of arrays, and back."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import jax

__all__ = ["Outline", "forget", "outline", "remembered"]

T = TypeVar("T")
ABSENT = object()
_caches: list[Any] = []


def remembered(f: Callable[..., T]) -> Callable[..., T]:
    """f, which keeps its results for the functions that it was called with, until `forget`."""
    cached = functools.lru_cache(maxsize=128)(f)
    _caches.append(cached)
    return cached


def forget() -> None:
    """Forgets how objects are built: functions that make them may have been edited."""
    for cached in _caches:
        cached.cache_clear()


@dataclass(frozen=True)
class Outline:
    """How an object is built: its structure, and for each leaf its place and where it belongs.

    groups: of each leaf the name of the dict that it goes into, such as "params"; None where it is
        a constant, which is kept here.
    """

    structure: Any
    places: tuple[tuple[Any, ...], ...]
    groups: tuple[str | None, ...]
    constants: tuple[Any, ...]

    def split(self, leaves: list) -> dict[str, Any]:
        """The leaves as nested dicts, one for each group."""
        found: dict[str, Any] = {}
        for group, place, leaf in zip(self.groups, self.places, leaves, strict=True):
            if group is not None:
                _put(found.setdefault(group, {}), place, leaf)
        return found

    def join(self, groups: dict[str, Any], constants: Any = None) -> Any:
        """The object with these leaves in the places of its own."""
        kept = self.constants if constants is None else constants
        rows = zip(self.groups, self.places, kept, strict=True)
        leaves = [own if g is None else _take(groups[g], place) for g, place, own in rows]
        return jax.tree.unflatten(self.structure, leaves)


def outline(structure: Any, paths: list, leaves: list, groups: list[str | None]) -> Outline:
    """The outline of a tree with these paths of leaves, which belong into these groups."""
    places = tuple(tuple(map(_key, path)) for path in paths)
    rows = zip(leaves, groups, strict=True)
    constants = tuple(leaf if group is None else ABSENT for leaf, group in rows)
    return Outline(structure, places, tuple(groups), constants)


def _key(entry: Any) -> Any:
    """An entry of a path as a key of a dict: a name, or a number in a sequence."""
    key = getattr(entry, "name", getattr(entry, "key", getattr(entry, "idx", entry)))
    return key if isinstance(key, int | str) else str(key)


def _put(tree: dict, place: tuple, leaf: Any) -> None:
    for key in place[:-1]:
        tree = tree.setdefault(key, {})
    tree[place[-1]] = leaf


def _take(tree: Any, place: tuple) -> Any:
    for key in place:
        tree = tree[key]
    return tree
