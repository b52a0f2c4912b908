"""Host-only fields of a pytree: compiled programs neither depend on them nor read them."""

from typing import Any

import jax


class Aside:
    """What a tree's structure carries and does not compare: the value of an `aside` field."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aside)

    def __hash__(self) -> int:
        return 0


class Untold:
    """What stands in the place of an `aside` value inside a compiled function."""

    def _refuse(self, *_: Any) -> Any:
        raise TypeError(
            "inside a compiled function data have no names, labels, source or raw rows, which "
            "differ between calls of one program: read them outside and hand over arrays"
        )

    __getitem__ = __iter__ = __len__ = __call__ = __bool__ = _refuse

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._refuse()

    def __repr__(self) -> str:
        return "untold"


UNTOLD = Untold()


def traced(tree: Any) -> bool:
    """Whether a compiled function is being made of it."""
    return any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(tree))
