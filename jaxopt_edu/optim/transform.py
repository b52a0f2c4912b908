"""The protocol of optimizers: `init(params) -> state`, `update(updates, state, params)`.

Signatures and conventions are optax's, so that ours go where optax's go.
"""

import dataclasses
import warnings
from abc import ABC, abstractmethod
from typing import Any, NamedTuple, Protocol, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxopt_edu.optim.extra_args import KNOWN as KNOWN
from jaxopt_edu.optim.extra_args import eval_params, needs, told_link, wants
from jaxopt_edu.optim.extra_args import told as told
from jaxopt_edu.values import tree
from jaxopt_edu.values.compiling import traced_once
from jaxopt_edu.values.pytrees import pytree

Scalar: TypeAlias = Any  # a number, an array without axes, or a tracer
Hyper: TypeAlias = Any  # a number, a schedule step -> number, or a tree of these
Mask: TypeAlias = Any  # a prefix tree of bools, or a function from params to one


MANY = 32  # arrays of which those that are alike are traced together


class Transform(Protocol):
    """init: params -> state;  update: (updates, state, params) -> (updates, state).

    A training tells an update more where it asks, by keyword arguments of these names, and nothing
    that it does not ask for (`wants`):
        value     f(p), where f is the objective of this step: its batch's loss plus the penalty
        grad      the gradient of f at p, before other transforms changed it
        value_fn  f itself, a function of the params
        key       a random key of this step, the same in all trials of a sweep
        t         the step, from 0, the same in all trials
    A transform whose params move about the point to read at (an average of them, say) gives that
    point by a method `eval_params(state, params)`; wrappers of one's own pass it on.
    """

    def init(self, params: Any) -> Any: ...
    def update(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> Any: ...


class EmptyState(NamedTuple):
    """The state of a transform that remembers nothing."""


class ClockState(NamedTuple):
    """The state of a transform that remembers nothing but the step, for its schedules."""

    t: Array


def at(x: Any, t: Array) -> Any:
    """x with every schedule among its fields replaced by that schedule's value at step t."""
    fields = [f.name for f in dataclasses.fields(x) if not f.metadata.get("static")]
    return dataclasses.replace(x, **{name: now(getattr(x, name), t) for name in fields})


def now(h: Any, t: Array) -> Any:
    """The number, or tree of numbers, that a hyperparameter is at step t."""
    return jax.tree.map(lambda h: h(t) if callable(h) else h, h, is_leaf=callable)


def next_step(t: Array) -> Array:
    """t + 1, staying at the largest integer instead of wrapping round."""
    return jnp.where(t < jnp.iinfo(t.dtype).max, t + 1, t)


def start() -> Array:
    """The step counter of a fresh state."""
    return jnp.zeros((), jnp.int32)


def full_like(params: Any, h: Any) -> Any:
    """Arrays full of a hyperparameter (at step 0), in the shapes and real dtypes of params."""
    leaves, structure = jax.tree.flatten(params)
    fills = spread(now(h, start()), structure, params)
    new = [jnp.full_like(p, h, tree.real_dtype(p)) for p, h in zip(leaves, fills, strict=True)]
    return jax.tree.unflatten(structure, new)


def spread(prefix: Any, structure: Any, params: Any = None) -> list:
    """One entry of `prefix` for each leaf of a tree: the prefix itself, its entry, or f(params)."""
    if callable(prefix):
        prefix = prefix(params)
    if prefix is None or jax.tree_util.all_leaves([prefix]):
        return [prefix] * structure.num_leaves
    full = structure.unflatten(range(structure.num_leaves))
    return jax.tree.leaves(jax.tree.broadcast(prefix, full))


# ------------------------------------------------------------------------- rules for one array


def decayed(u: Any, rate: Any, p: Any, marked: Any) -> Any:
    """u + rate p where the mask marks the parameter, else u: weight decay, of one array."""
    return u + rate * p if marked else u


class Rule(ABC):
    """An optimizer given by its rule for one array; `update` lifts it over the tree.

    A subclass gives `init(params)`, a NamedTuple whose first field t counts the steps, and

        rule(self, t, p, g, *slots) -> (u, *slots)

    for one array: p the parameter (None where the caller gave no params), g the gradient, slots
    the rest of the state. There the hyperparameters of self are numbers (schedules are evaluated
    at the 0-based step, trees of numbers are looked up), t is the 1-based step as a float, and all
    arithmetic is in at least float32; results go back to the dtypes of the gradient and the state.
    For complex g take `tree.squared(g)` for g^2, so that no phase is preferred. A rule u = -D g, D
    without a memory of g's direction, may say so (`form`, `length`): then it takes proximal steps.
    """

    needs_params = False  # whether `update` must get params, as rule reads p
    form: Any = None  # for u = -D g (see `lengths`), where `length` is D of one array

    @abstractmethod
    def init(self, params: Any) -> Any:
        """The state before the first step."""

    def length(self, t: Any, p: Any, g: Any, *slots: Any) -> Any:
        """D of a step u = -D g, for one array, of an optimizer whose regularizer is proximal."""
        raise TypeError(f"{type(self).__name__} has steps of no length")

    def rule(self, t: Any, p: Any, g: Any, *slots: Any) -> tuple:
        """One array: step, param, gradient, what is kept -> the update, and what is kept."""
        raise TypeError(f"{type(self).__name__} has no rule")

    def update(self, updates: Any, state: Any, params: Any = None, **extra: Any) -> Any:
        """(updates to add to the params, the state after this step), of gradients."""
        del extra
        if self.needs_params and params is None:
            raise ValueError(f"{type(self).__name__}.update wants params: update(g, state, params)")
        structure: Any = jax.tree.structure(updates)
        t = next_step(state.t)
        apply = _apply if structure.num_leaves < MANY else _apply_to_many
        rows = [apply(*row, t) for row in self._rows(updates, state.t, params, state[1:])]
        new = [
            None if slot is None else structure.unflatten([row[i] for row in rows])
            for i, slot in enumerate(state[1:], 1)
        ]
        return structure.unflatten([row[0] for row in rows]), type(state)(t, *new)

    def lengths(self, updates: Any, state: Any, new: Any, params: Any) -> Any:
        """D of the update u = -D g that led from state to new (see `lengths`)."""
        found = [
            rule.length(
                _clock(new.t, g), *(None if x is None else tree.wide(x) for x in (p, g, *s))
            )
            for rule, g, p, *s in self._rows(updates, state.t, params, new[1:])
        ]
        if found and np.ndim(found[0]) == 0 and all(x is found[0] for x in found):
            return found[0]  # one number for all
        return jax.tree.unflatten(jax.tree.structure(updates), found)

    def _rows(self, updates: Any, t: Array, params: Any, slots: Any) -> Any:
        """For each gradient: its rule, itself, its parameter, and its part of every slot."""
        structure: Any
        grads, structure = jax.tree.flatten(updates)

        def each(x):
            return [None] * len(grads) if x is None else structure.flatten_up_to(x)

        rules = _per_leaf(at(self, t), structure, params)
        return zip(rules, grads, each(params), *map(each, slots), strict=True)


def _clock(t: Array, g: Array) -> Array:
    """The step as a float, at least as wide as arithmetic on g."""
    return t.astype(jnp.finfo(tree.wide(g).dtype).dtype)


def _apply(rule: Rule, g: Array, p: Any, *rest: Any) -> tuple:
    """The rule on one array, in at least float32, its results in the dtypes they came in."""
    *slots, t = rest
    u, *new = rule.rule(
        _clock(t, g), *(None if x is None else tree.wide(x) for x in (p, g, *slots))
    )
    return u.astype(jnp.result_type(g)), *(
        None if old is None else x.astype(jnp.result_type(old))
        for x, old in zip(new, slots, strict=True)
    )


_apply_to_many = traced_once(_apply)


def _per_leaf(rule: Any, structure: Any, params: Any) -> list:
    """The rule for each leaf: the same one, unless a field or its mask is a tree."""
    trees = {}
    for f in dataclasses.fields(rule):
        value, mask = getattr(rule, f.name), _is_mask(f)
        if mask or (not f.metadata.get("static") and isinstance(value, dict | list | tuple)):
            try:
                trees[f.name] = spread(True if mask and value is None else value, structure, params)
            except ValueError as error:
                raise ValueError(
                    f"{f.name} = {value!r} is no tree that ends where, or above where, the "
                    f"parameters do: {structure}"
                ) from error
    if not trees:
        return [rule] * structure.num_leaves
    rows = [dict(zip(trees, row, strict=True)) for row in zip(*trees.values(), strict=True)]
    return [dataclasses.replace(rule, **row) for row in rows]


def _is_mask(f: dataclasses.Field) -> bool:
    """Whether a field is declared `mask()`; until version 0.3 also a static one named so."""
    if "mask" in f.metadata or not (f.metadata.get("static") and f.name.endswith("mask")):
        return "mask" in f.metadata
    warnings.warn(
        f"{f.name} is taken for a mask by its name: declare it, {f.name}: Mask = jo.mask()",
        DeprecationWarning,
        stacklevel=2,
    )
    return True


# --------------------------------------------------------------------------------- combination


@pytree
class Chain:
    """Transforms one after another: the updates of each are what the next one gets."""

    transforms: tuple[Transform, ...]
    inlined = "transforms"

    def init(self, params):
        return tuple(t.init(params) for t in self.transforms)

    def update(self, updates, state, params=None, **extra):
        new = []
        for i, (transform, s) in enumerate(zip(self.transforms, state, strict=True)):
            updates, s = transform.update(updates, s, params, **told_link(transform, i, extra))
            new.append(s)
        return updates, tuple(new)

    @property
    def wants(self):
        return wants(*self.transforms)

    @property
    def needs(self):
        return needs(*self.transforms)

    def eval_params(self, state, params):
        for transform, s in zip(self.transforms, state, strict=True):
            params = eval_params(transform, s, params)
        return params

    def __repr__(self):
        return f"chain({', '.join(map(repr, self.transforms))})"


def chain(*transforms: Transform) -> Chain:
    """Applies transforms in order; optax's `chain`, as a value.

    Its numbers are named by position: `0.max_norm`, `1.learning_rate`.

    Errors: TypeError naming the first argument that is no transform.

    >>> import jaxopt_edu as jo
    >>> jo.chain(jo.clip(1.0), jo.sgd(0.1))
    chain(Clip(max_delta=1.0), SGD(learning_rate=0.1))
    """
    for i, transform in enumerate(transforms):
        if not (hasattr(transform, "update") or hasattr(transform, "alternatives")):
            raise TypeError(
                f"chain: argument {i} = {transform!r} is no transform (init and update)"
            )
    return Chain(transforms)


def apply_updates(params: Any, updates: Any) -> Any:
    """p + u, leaf by leaf, in the dtype of p; leaves that are None stay.

    Under jit, a buffer that is donated becomes the result that stands where it stood: hand over
    params and state in the order in which they come back, or XLA copies both at every step.

    Errors: TypeError for complex updates of real parameters.

    >>> import functools, jax, jax.numpy as jnp, jaxopt_edu as jo
    >>> optimizer, loss = jo.adam(0.1), lambda w: jnp.sum(w**2)
    >>> @functools.partial(jax.jit, donate_argnums=(0, 1))
    ... def step(params, state, optimizer):
    ...     updates, state = optimizer.update(jax.grad(loss)(params), state, params)
    ...     return jo.apply_updates(params, updates), state
    >>> params = jnp.ones(2)
    >>> params, state = step(params, optimizer.init(params), optimizer)
    >>> params
    Array([0.9, 0.9], dtype=float32)
    """
    return jax.tree.map(_moved, params, updates, is_leaf=lambda x: x is None)


def _moved(p: Any, u: Any) -> Any:
    if p is None:
        return None
    if jnp.iscomplexobj(u) and not jnp.iscomplexobj(p):
        raise TypeError(
            f"an update is {jnp.result_type(u).name}, its parameter {jnp.result_type(p).name}: "
            "wanted both complex, or both real"
        )
    return (p + u).astype(jnp.asarray(p).dtype)
