"""Invalidation of compiled programs whose functions were edited since.

JAX keeps a program by the function objects in an experiment. A global that a loss reads, a helper
that is defined anew in a notebook, an array in a closure changed in place: the objects stay the
same, and the program of before would run on.
"""

import threading
from typing import Any

import jax

from jaxopt_edu.nn.models.adapters.outlines import forget
from jaxopt_edu.storage.identity.prints import walk_through
from jaxopt_edu.values.pytrees import Constant

_known: dict[Any, dict[str, str]] = {}  # the structure of an experiment -> what was in it
_lock = threading.Lock()


def forget_edited(experiment: Any) -> None:
    """Clears JAX's caches where functions of an experiment are not what they were when it last ran.

    So are those of adapters, of how modules are built. Numbers and data of an experiment are
    arguments of a program and are not looked at.
    """
    bare = jax.tree.map(lambda _: 0.0, experiment, is_leaf=lambda x: isinstance(x, Constant))
    structure, found = jax.tree.structure(bare), walk_through(bare).parts
    with _lock:
        if _known.setdefault(structure, found) != found:
            jax.clear_caches()
            forget()
            _known.clear()
            _known[structure] = found
