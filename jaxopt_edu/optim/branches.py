"""Branches that lanes take together, so that work that no lane is due for is not done.

Under jax.vmap a `lax.cond` on a lane's own predicate becomes a select: both branches run, at every
step. On a predicate that is one for all lanes it stays a branch.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


@jax.custom_batching.custom_vmap
def any_lane(p: Array) -> Array:
    """The bool p; under jax.vmap, whether any lane's p is true: one bool, without the lanes' axis.

    Lanes depend on each other in nothing but the time they take, as long as what is done for
    another lane's sake is thrown away: see `when`.

    >>> import jax, jax.numpy as jnp
    >>> p = jnp.array([False, True])
    >>> jax.vmap(any_lane, out_axes=None)(p)
    Array(True, dtype=bool)
    """
    return p


@any_lane.def_vmap
def _any_of_lanes(size: int, batched: Any, p: Array) -> tuple[Array, bool]:
    return any_lane(jnp.any(p, axis=0)), False


@jax.custom_batching.custom_vmap
def _is_own(p: Array) -> Array:
    """Where any lane's p is true, this lane's: true without lanes, when the only p must be."""
    return jnp.ones_like(p)


@_is_own.def_vmap
def _own_of_lanes(size: int, batched: Any, p: Array) -> tuple[Array, bool]:
    return p, True


def when(p: Array, work: Callable[[], Any], rest: Callable[[], Any]) -> Any:
    """work() where the bool p is true, rest() where it is not: `lax.cond` that vmap leaves one.

    Under jax.vmap, work() is computed where any lane's p is true, for all lanes, and each lane
    takes its own. So it is meant for a rest that costs nothing. Both give the same shapes and
    dtypes.

    >>> import jax.numpy as jnp
    >>> when(jnp.array(False), lambda: jnp.ones(2), lambda: jnp.zeros(2))
    Array([0., 0.], dtype=float32)
    """

    def chosen():
        own = _is_own(p)  # a constant without lanes: then XLA sees no select
        return jax.tree.map(lambda x, y: jnp.where(own, x, y), work(), rest())

    return lax.cond(any_lane(p), chosen, rest)
