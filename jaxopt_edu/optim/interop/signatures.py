"""What the update functions of an optax optimizer ask to be told, found in the functions."""

import functools
import inspect
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.optim.extra_args import needs, wants
from jaxopt_edu.optim.interop.objectives import objective_at
from jaxopt_edu.optim.transform import KNOWN

# optax's name of an argument -> what it is made of, in our names
MADE_OF = {name: name for name in KNOWN} | {"obj_fn": "value_fn", "grad_fn": "value_fn"}


class Arguments(NamedTuple):
    """Names of arguments that an update takes, and those among them that it cannot do without."""

    wanted: frozenset[str] = frozenset()
    needed: frozenset[str] = frozenset()

    def __or__(self, other: Any) -> "Arguments":
        return Arguments(self.wanted | other[0], self.needed | other[1])


def asked_by(optimizer: Any) -> Arguments:
    """What an optax optimizer asks for: by the names of arguments, and by trying.

    An update names its arguments; what it only hands on (`**extra_args`, as that of optax.chain)
    is named by the functions that it holds. That shows neither what is made when it is called (by
    optax.inject_hyperparams) nor what has a default but is refused (None, by optax.contrib.sophia).
    So it is also traced on a small array, with all that can be told and with ever less of it. Where
    it does not run on that array, because a mask wants other params, the names count alone.
    """
    named = _named_by(optimizer.update, set())
    if _runs(optimizer, frozenset()):
        return Arguments(named.wanted)
    anything = takes_all(inspect.signature(optimizer.update))
    everything = frozenset(MADE_OF) if anything else named.wanted
    for offered in (named.wanted, everything):
        if _runs(optimizer, offered):
            needed = _least(optimizer, offered)
            return Arguments(named.wanted | needed, needed)
    return named


# ----------------------------------------------------------------------------------- by names


def _named_by(x: Any, seen: set[int]) -> Arguments:
    """What a function, or a thing that holds functions, asks for by name."""
    if id(x) in seen:
        return Arguments()
    seen.add(id(x))
    if isinstance(x, dict | list | tuple):
        return _union(x.values() if isinstance(x, dict) else x, seen)
    if hasattr(x, "wants"):
        return Arguments(frozenset(wants(x)), frozenset(needs(x)))
    if not _is_function(x):
        return (
            _named_by(x.update, seen) if _is_function(getattr(x, "update", None)) else Arguments()
        )
    try:
        signature = inspect.signature(x)
    except ValueError:  # of a function written in C
        return Arguments()
    named = [p for i, p in enumerate(signature.parameters.values()) if _is_extra(i, p)]
    own = frozenset(p.name for p in named)
    needed = frozenset(p.name for p in named if p.default is p.empty)
    return Arguments(own, needed) | (
        _union(_held(x), seen) if takes_all(signature) else Arguments()
    )


def _union(things: Any, seen: set[int]) -> Arguments:
    return functools.reduce(Arguments.__or__, (_named_by(x, seen) for x in things), Arguments())


def _is_function(x: Any) -> bool:
    return inspect.isfunction(x) or inspect.ismethod(x) or isinstance(x, functools.partial)


def _is_extra(i: int, p: inspect.Parameter) -> bool:
    """Whether an argument is one of those after updates, state and params."""
    return p.name in MADE_OF and (i > 2 or p.kind is p.KEYWORD_ONLY)


def takes_all(signature: inspect.Signature) -> bool:
    """Whether a function takes, or hands on, keyword arguments that it does not name."""
    return any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())


def _held(f: Any) -> Iterator[Any]:
    """What a function may call: the contents of its closure, or of its object."""
    if isinstance(f, functools.partial):
        yield from (f.func, *f.args, *f.keywords.values())
    elif inspect.ismethod(f):
        yield f.__func__
        yield from getattr(f.__self__, "__dict__", {}).values()
    else:
        for cell in f.__closure__ or ():
            yield from (cell.cell_contents,) if _is_full(cell) else ()


def _is_full(cell: Any) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # not yet assigned
        return False


# ----------------------------------------------------------------------------------- by trying


def _runs(optimizer: Any, names: frozenset[str]) -> bool:
    """Whether an update that is told these names can be traced."""

    def update(params):
        f = objective_at(lambda p: jnp.sum(p * p), params)
        known = {
            "value": f(params), "grad": params, "value_fn": f, "obj_fn": f, "t": jnp.zeros((), int),
            "grad_fn": lambda p, i: jax.grad(f)(p), "key": jax.random.key(0),
        }  # fmt: skip
        told = {name: known[name] for name in names}
        return optimizer.update(params, optimizer.init(params), params, **told)

    try:
        jax.eval_shape(update, jax.ShapeDtypeStruct((2, 2), jnp.float32))
    except Exception:  # of any kind: it is code of others
        return False
    return True


def _least(optimizer: Any, names: frozenset[str]) -> frozenset[str]:
    """Names without which it does not run, where it runs with these."""
    for name in sorted(names):
        if _runs(optimizer, names - {name}):
            names = names - {name}
    return names
