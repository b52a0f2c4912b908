"""Hashable wrappers for static fields of any kind (arrays, dicts, functions)."""

import dataclasses
from typing import Any

__all__ = ["Structure", "hashable"]


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """Static fields that hold dicts or lists (masks, labels), made hashable."""

    fields: tuple

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Structure) and self.fields == other.fields

    def __hash__(self) -> int:
        return hash(_key(self.fields))


def _key(x: Any) -> Any:
    if isinstance(x, dict):
        return frozenset((k, _key(v)) for k, v in x.items())
    return tuple(map(_key, x)) if isinstance(x, list | tuple) else x


def hashable(fields: tuple) -> Any:
    """The fields, in a `Structure` where one of them has no hash."""
    try:
        hash(fields)
    except TypeError:
        return Structure(fields)
    return fields
