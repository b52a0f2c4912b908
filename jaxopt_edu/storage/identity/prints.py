"""`fingerprint`: what a value is, and how to say what differs.

No path, host, time or address is in it.
"""

import hashlib
import sys
from dataclasses import dataclass
from typing import Any

from jaxopt_edu.storage.identity import content, functions, objects
from jaxopt_edu.storage.identity.owners import versions
from jaxopt_edu.storage.identity.walk import Walk

MOST = 1000  # places that are told one by one; of more, parts of the value are told as one each

NUMBERS = ("bool", "complex", "float", "int", "str")


@dataclass(frozen=True)
class Fingerprint:
    """What was found in a value.

    parts: by place (`loss`, `loss -> helper -> RATE`, `optimizer.learning_rate`) what stands
    there. unknown: the places of what cannot be identified, and what it is. libraries: the
    versions of those in it; of this one in a clone also of its files. python: the version of
    Python where there is code of the user's own, which another version compiles otherwise.
    """

    parts: dict[str, str]
    unknown: dict[str, str]
    libraries: dict[str, str]
    python: str | None

    @property
    def digest(self) -> str:
        """One hash of all of it."""
        told = sorted(self.parts.items()), sorted(self.libraries.items()), self.python
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """What a store holds."""
        return {"python": self.python, "libraries": self.libraries, "parts": self.parts}

    def other_python(self, stored: dict[str, Any]) -> bool:
        """Whether another version of Python wrote a store, so that code cannot be compared."""
        return self.python != stored["python"] and None not in (self.python, stored["python"])

    def differs(self, stored: dict[str, Any], versions: bool = True) -> str | None:
        """The first difference to what a store holds, in words; None where there is none.

        versions: whether those of libraries are compared too.
        """
        if self.other_python(stored):
            return (
                f"it was written by Python {stored['python']}, this is {self.python}: functions of "
                "your own can be compared within one version only"
            )
        old, new = stored["parts"], self.parts
        for place in [*new, *(p for p in old if p not in new)]:
            if old.get(place) != new.get(place):
                return _difference(place, old.get(place), new.get(place))
        return _newer(stored["libraries"], self.libraries) if versions else None


def _newer(old: dict[str, str], new: dict[str, str]) -> str | None:
    """The first library whose version differs."""
    for name in sorted(old.keys() & new.keys()):
        (was, _, by), (now, _, here) = old[name].partition("@"), new[name].partition("@")
        if was != now and by == here:
            return f"the file of {name} was edited" if by else f"{name} was {was}, now {now}"
    return None


def _difference(place: str, old: str | None, new: str | None) -> str:
    if old is None or new is None:
        return f"{place} is new: {new}" if old is None else f"{place} is gone: it was {old}"
    same = old.rpartition(" ")[0]
    edited = same.startswith(("function ", "array ", "module"))
    if edited and same == new.rpartition(" ")[0]:
        return f"{place} was edited ({same})"
    kind, _, was = old.partition(" ")
    if new.startswith(f"{kind} ") and kind in NUMBERS:
        return f"{place} was {was}, now {new.partition(' ')[2]}"
    return f"{place} was {old}, now {new}"


def fingerprint(value: Any, place: str = "") -> Fingerprint:
    """What a value is, by its places, which begin with this one.

    Functions: name, instructions (not lines, comments, docstrings and names of local variables),
    defaults, closed-over values, and the functions and constants of the user's own that they
    read, to any depth; those of libraries by version. Partials by their parts, callable objects
    by class and state, classes by their methods, fields and bases. Arrays by dtype, shape and
    bytes. Data by content, split seed, shares and preparation.

    >>> import jaxopt_edu as jo
    >>> old = jo.fingerprint(jo.sgd(0.1), "optimizer").as_json()
    >>> jo.fingerprint(jo.sgd(0.2), "optimizer").differs(old)
    'optimizer.learning_rate was 0.1, now 0.2'
    """
    walk = walk_through(value, place)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = version if walk.has_code else None
    libraries = {name: said for m in walk.modules for name, said in versions(m).items()}
    return Fingerprint(_few(walk.parts), walk.unknown, dict(sorted(libraries.items())), python)


def walk_through(value: Any, place: str = "") -> Walk:
    """What a value holds, without the versions of libraries."""
    walk = Walk([*content.KINDS, *functions.KINDS, *objects.KINDS], objects.thing)
    walk.value(value, place)
    return walk


def fingerprints(named: dict[str, Any]) -> Fingerprint:
    """What several values are, each by itself, their places beginning with their names."""
    found = [fingerprint(value, name) for name, value in named.items()]
    parts = {place: what for one in found for place, what in one.parts.items()}
    unknown = {place: what for one in found for place, what in one.unknown.items()}
    libraries = {name: version for one in found for name, version in one.libraries.items()}
    python = next((one.python for one in found if one.python), None)
    return Fingerprint(parts, unknown, libraries, python)


def _few(parts: dict[str, str]) -> dict[str, str]:
    """The parts, those that lie deep in a large value as one for each of its parts."""
    if len(parts) <= MOST:
        return parts
    few: dict[str, str] = {}
    inside: dict[str, Any] = {}
    for place, what in parts.items():
        if " -> " in place or place.count(".") < 2:
            few[place] = what
        else:
            head = f"{'.'.join(place.split('.')[:2])} (all of it)"
            inside.setdefault(head, hashlib.sha256()).update(f"{place}={what}\n".encode())
    return few | {head: found.hexdigest()[:16] for head, found in inside.items()}
