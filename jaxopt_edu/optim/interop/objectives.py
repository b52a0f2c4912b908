"""Params and functions of params, as optax's optimizers take them and as they keep them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_edu.values import tree
from jaxopt_edu.values.tree import is_float, wide


def strong(x: Any) -> Any:
    """x as an array of the dtype it has, which a Python number has only weakly."""
    x = jnp.asarray(x)
    return jnp.asarray(x, x.dtype)


def widened(x: Any) -> Any:
    """x in at least float32 if it holds floats."""
    return wide(x) if is_float(x) else x


def parts_of(state: Any, kind: Any) -> list:
    """The parts of a state that are of a kind, the outer ones where they are nested."""
    parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, kind))
    return [part for part in parts if isinstance(part, kind)]


# ------------------------------------------------------------------------------- the objective


def objective_at(value_fn: Callable[[Any], Any], params: Any) -> Callable[..., Any]:
    """The objective as optax calls it: at params that may be wider, and without masked leaves.

    It is the very function of params in their own dtypes, and the leaves that optax.masked takes
    away stay what they are. The other arguments are for line searches, which refuse what others in
    their chain are told and their objective does not take.
    Errors: TypeError for complex params, of which optax's functions take other gradients than ours.
    """
    if any(map(jnp.iscomplexobj, jax.tree.leaves(params))):
        raise TypeError("value_fn: optax's line searches and curvatures want real params")

    def objective(p, *, obj_fn=None, grad_fn=None, key=None, t=None):
        del obj_fn, grad_fn, key, t
        return widened(value_fn(filled(p, params)))

    return objective


def gradient_of(value_fn: Callable[[Any], Any], params: Any) -> Callable[..., Any]:
    """The gradient (params, adversarial step) -> tree that optax.contrib.sam calls grad_fn."""

    def grad_fn(p, step):
        del step
        return tree.conjugate(jax.grad(lambda p: widened(value_fn(filled(p, params))))(p))

    return grad_fn


def filled(p: Any, params: Any) -> Any:
    """p in the dtypes of params, whose leaves stand where p has none."""
    rows = _side_by_side(p, params)
    new = [whole if is_left_out(x) else x.astype(jnp.result_type(whole)) for x, whole in rows]
    return jax.tree.unflatten(jax.tree.structure(params), new)


def is_left_out(x: Any) -> bool:
    """Whether a mask left a leaf out: ours puts None there, optax's an empty tuple."""
    return x is None or (isinstance(x, tuple) and not x)


def _side_by_side(p: Any, params: Any) -> Any:
    """The leaves of params, each after its own of p."""
    structure: Any = jax.tree.structure(params)
    try:
        return zip(structure.flatten_up_to(p), jax.tree.leaves(params), strict=True)
    except ValueError as error:
        raise TypeError(
            f"an optimizer of optax works on params of another structure ({jax.tree.structure(p)}) "
            f"than those it is to be read or valued at ({structure}): wanted no optax.flatten"
        ) from error


# -------------------------------------------------------------------------- the params to read at


def read_at(state: Any, params: Any) -> Any:
    """The params to read at that optax's states tell of: those of schedule_free and sam."""
    import optax.contrib as contrib

    for part in parts_of(state, (contrib.ScheduleFreeState, contrib.SAMState)):
        if isinstance(part, contrib.ScheduleFreeState):
            params = _moved(lambda y, z, b1=part.b1: (y - (1 - b1) * z) / b1, part.z, params)
        else:
            if part.cache is not None:
                between = part.steps_since_sync > 0
                params = _moved(lambda p, c, m=between: jnp.where(m, c, p), part.cache, params)
            params = read_at(part.opt_state, params)
    return params


def _moved(f: Callable[..., Any], kept: Any, params: Any) -> Any:
    """f(leaf, what the state keeps for it), or the leaf where nothing is kept, in its dtype."""
    new = [
        p if is_left_out(x) else f(wide(p), widened(x)).astype(jnp.result_type(p))
        for x, p in _side_by_side(kept, params)
    ]
    return jax.tree.unflatten(jax.tree.structure(params), new)
