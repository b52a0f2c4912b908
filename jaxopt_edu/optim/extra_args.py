"""What the update of an optimizer is told beside gradient, state and params, and the way back:
which params are to be read.
"""

import inspect
from typing import Any

from jaxopt_edu.values.random_bits import fold_in

KNOWN = "value", "grad", "value_fn", "key", "t"  # what a training can tell: see `Transform`


def wants(*transforms: Any) -> tuple[str, ...]:
    """What the updates of these transforms ask to be told, as names in the order of `KNOWN`.

    A transform declares them by an attribute `wants`; of one that does not, they are the arguments
    that its update names: `**extra` asks for nothing.

    >>> import jaxopt_edu as jo
    >>> import optax
    >>> wants(jo.chain(jo.clip(1.0), jo.from_optax(optax.polyak_sgd)))
    ('value',)
    """
    asked: set[str] = set()
    for transform in transforms:
        declared = getattr(transform, "wants", None)
        if declared is None:
            declared = _arguments(transform).keys() & set(KNOWN)
        elif not set(declared) <= set(KNOWN):
            name = type(transform).__name__
            raise TypeError(f"{name}.wants = {declared!r}: wanted names among {', '.join(KNOWN)}")
        asked |= set(declared)
    return tuple(name for name in KNOWN if name in asked)


def needs(*transforms: Any) -> tuple[str, ...]:
    """What of `wants` these updates cannot do without.

    A transform declares it by an attribute `needs`; of one that does not, it is all that its
    update has no default for.
    """
    needed: set[str] = set()
    for transform in transforms:
        optional = [name for name, p in _arguments(transform).items() if p.default is not p.empty]
        declared = getattr(transform, "needs", None)
        needed |= set(wants(transform)) - set(optional) if declared is None else set(declared)
    return tuple(name for name in KNOWN if name in needed)


def told(transform: Any, **known: Any) -> dict[str, Any]:
    """What is known, by name, without what the transform does not ask for.

    >>> import jaxopt_edu as jo
    >>> told(jo.adam(0.1), value=1.0, t=0)
    {}
    """
    return {name: known[name] for name in wants(transform) if name in known}


def told_link(transform: Any, place: int, extra: dict[str, Any]) -> dict[str, Any]:
    """Of a chain's extra arguments those that this link takes; a key becomes the link's own."""
    if not extra:
        return extra
    named = _arguments(transform)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in named.values())
    own = {name: x for name, x in extra.items() if takes_all or name in named}
    return own | {"key": fold_in(own["key"], place)} if "key" in own else own


def _arguments(transform: Any) -> dict[str, inspect.Parameter]:
    """The arguments of a transform's update after (updates, state, params)."""
    update = getattr(transform, "update", None)
    if update is None:  # alternatives, which are not yet chosen
        return {}
    parameters = inspect.signature(update).parameters.values()
    return {
        p.name: p
        for i, p in enumerate(parameters)
        if i > 2 or p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)
    }


def eval_params(transform: Any, state: Any, params: Any) -> Any:
    """The params to score, predict with and save: those that the optimizer says are to be read.

    For schedule-free optimizers they are the average of the path, for optax's `sam` the point
    before the adversarial step; for most, the params themselves. Through `chain`, `masked` and all
    other wrappers.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> import optax
    >>> optimizer, p = jo.from_optax(optax.contrib.schedule_free_sgd, 0.5), jnp.array(1.0)
    >>> state = optimizer.init(p)
    >>> for g in jnp.ones(2):
    ...     updates, state = optimizer.update(g, state, p)
    ...     p = jo.apply_updates(p, updates)
    >>> round(float(jo.eval_params(optimizer, state, p)), 6)  # the mean of 0.5 and 0
    0.25
    """
    if hasattr(transform, "eval_params"):
        return transform.eval_params(state, params)
    return params
