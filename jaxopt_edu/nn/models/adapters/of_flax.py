"""Modules of Flax Linen."""

import dataclasses
from typing import Any

from jax import random

from jaxopt_edu.nn.models.adapters.common import (
    check_input,
    check_params,
    flag,
    kept,
    library,
    read_example,
    settled,
    zeros,
)
from jaxopt_edu.values.pytrees import StandIn, check, pytree, show, static

__all__ = ["Linen"]


@pytree
class Linen:
    """A module of Flax Linen as a model: what is not in `params` is the model's state.

    Formula: training: f, s' = module.apply({"params": p, **s}, x, train=True, mutable=all of s,
        rngs={"dropout": key, ...}); evaluation: f = module.apply({"params": p, **s}, x,
        train=False), s' = s. A module whose call takes no `train` is called without it.
    Shapes: x as the example but for its first axis, n. Params: those of module.init(key, example,
        train=False); model_state: its other collections by name, as {"batch_stats": ...}.
    example: one example with its leading axis, as x[:1], or its shape, as (1, 13); only its shape
        and dtype are kept. dtype: that of the example, where it is not that of floats.
    Random numbers: all collections of them (dropout, and those of one's own) come from the key.
    In a space the module may be `one_of` several: Flax asks for a rate of dropout in Python, so it
    is no number to sweep.
    Errors: TypeError for what is no module, one that is told of training by another name than
        train, parameters that are no floats; ValueError for another shape of x, and for a state
        that does not keep its structure, as that of `sow`; ImportError without flax.
    Agrees with: module.apply in a loop of one's own, 1e-6 in float32.

    >>> import flax.linen as nn
    >>> import jaxopt_edu as jo
    >>> jo.models.Linen(nn.Dense(3), (1, 13)).example
    (1, 13)
    """

    module: Any = static()
    example: Any = static()
    dtype: str | None = static(default=None)
    stateful = True

    def __post_init__(self):
        base = library("flax.linen", "Linen").Module
        for one in settled(self.module):
            if not isinstance(one, base):
                raise TypeError(
                    f"module = {show(one)[:60]}: wanted a module of flax.linen, such as nn.Dense(3)"
                )
            _told(one)
        read_example(self)
        check(self)

    def init(self, key):
        told = {"train": False} if _told(self.module) else {}
        variables = dict(_unbox(self.module.init(key, zeros(self), **told)))
        params = variables.pop("params", {})
        check_params(params, "it in another collection, self.variable('constants', ...)")
        return params, variables

    def apply(self, params, model_state, x, key=None):
        check_input(self, x)
        variables = {"params": params, **model_state}
        training = key is not None
        told = {"train": training} if _told(self.module) else {}
        if not training:
            return self.module.apply(variables, x, **told), model_state
        rngs = {"dropout": key, "params": random.fold_in(key, 1)}  # the others come from the last
        out, new = self.module.apply(variables, x, **told, rngs=rngs, mutable=list(model_state))
        return out, kept(model_state, {name: new[name] for name in model_state}, "Linen")

    def __repr__(self):
        dtype = "" if self.dtype is None else f", dtype={self.dtype!r}"
        return f"Linen(module={_shown(self.module)}, example={self.example}{dtype})"


def _shown(x: Any) -> str:
    """A module as the call that makes it: its own repr is a table."""
    if isinstance(x, list | tuple) and type(x) in (list, tuple):
        inner = ", ".join(map(_shown, x))
        return f"[{inner}]" if type(x) is list else f"({inner}{',' * (len(x) == 1)})"
    if isinstance(x, StandIn) and settled(x):
        return f"one_of({', '.join(map(_shown, settled(x)))})"
    if not isinstance(x, library("flax.linen", "Linen").Module):
        return show(x)
    fields = [f for f in dataclasses.fields(x) if f.repr and f.init and f.name != "parent"]
    told = [(f.name, getattr(x, f.name), f.default) for f in fields]
    given = [f"{name}={_shown(y)}" for name, y, default in told if y is not default]
    return f"{type(x).__name__}({', '.join(given)})"


def _told(module: Any) -> bool:
    """Whether a module's call takes `train`."""
    call = type(module).__call__ if callable(module) else None
    if call is None:
        raise TypeError(f"module = {show(module)[:60]}: wanted one with a __call__")
    return flag(call, "train", "Linen")


def _unbox(variables: Any) -> Any:
    """The arrays without what says how they lie on a mesh."""
    return library("flax.core.meta", "Linen").unbox(variables)
