"""Which transform acts on which parameters: masked, freeze and partition.

Inside, a leaf that is left out is None, so that no state is kept for it and no norm counts it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxopt_edu.optim.extra_args import needs, told_link, wants
from jaxopt_edu.optim.step_sizes import GRADIENT, SCALE, StepForm, form_of, learning_rates
from jaxopt_edu.optim.transform import Mask, Transform, spread
from jaxopt_edu.optim.transforms.base import (
    Identity,
    InnerState,
    SetToZero,
    Wrapper,
    eval_params_of_marked,
    extra_of_marked,
    keep,
    lengths_of_marked,
)
from jaxopt_edu.values.pytrees import mask, nearest, pytree, recipe, static


def update_marked(
    transform: Any, marks: list, updates: Any, state: Any, params: Any, extra: dict, others: list
) -> tuple[list, Any]:
    """(updates, state) of the transform for the marked leaves; the other updates are `others`."""
    structure: Any = jax.tree.structure(updates)
    own = keep(updates, structure, marks), state, keep(params, structure, marks)
    new, state = transform.update(*own, **extra_of_marked(extra, structure, marks, params))
    rows = zip(marks, structure.flatten_up_to(new), others, strict=True)
    return [u if marked else other for marked, u, other in rows], state


def keep_extra(extra: dict, structure: Any, marks: list) -> dict:
    """The extra arguments, those in the shape of the updates without the leaves left out."""
    return {
        name: keep(x, structure, marks) if jax.tree.structure(x) == structure else x
        for name, x in extra.items()
    }


@pytree
class Masked(Wrapper):
    """Applies inner to some leaves only; the gradients of the others pass as they are.

    So after masked(adam(...), mask) the left-out parameters would move by plus their gradient. That
    is what a brick wants (decay only the weights); for an optimizer see `freeze` and `partition`.
    mask: True where inner acts; a prefix tree of bools, or a function from params to one.
    mask_compatible_extra_args: whether extra arguments in the shape of the params are masked too;
        `grad` is in any case, and `value_fn` becomes a function of inner's leaves.
    Inner keeps state for its own leaves only.
    Agrees with: optax.masked, exactly.

    >>> import jaxopt_edu as jo
    >>> half = jo.masked(jo.scale(0.5), {"w": True, "b": False})
    >>> g = {"w": jnp.array([8.0]), "b": jnp.array([8.0])}
    >>> half.update(g, half.init(g))[0]
    {'b': Array([8.], dtype=float32), 'w': Array([4.], dtype=float32)}
    """

    inner: Transform
    mask: Mask = mask()
    mask_compatible_extra_args: bool = static(default=False, kw_only=True)

    def init(self, params):
        structure = jax.tree.structure(params)
        return InnerState(self.inner.init(keep(params, structure, self._marks(params))))

    def update(self, updates, state, params=None, **extra):
        leaves, structure = jax.tree.flatten(updates)
        marks = self._marks(updates)
        if self.mask_compatible_extra_args:
            extra = keep_extra(extra, structure, marks)
        new, inner = update_marked(
            self.inner, marks, updates, state.inner_state, params, extra, others=leaves
        )
        return jax.tree.unflatten(structure, new), InnerState(inner)

    @property
    def form(self):
        inner = form_of(self.inner)
        return inner if inner is not None and inner.kind == SCALE else None

    def lengths(self, updates, state, new, params):
        marks, states = self._marks(updates), (state.inner_state, new.inner_state)
        ones = [1.0] * len(marks)
        found = lengths_of_marked(self.inner, marks, updates, states, params, ones)
        return jax.tree.unflatten(jax.tree.structure(updates), found)

    def eval_params(self, state, params):
        return eval_params_of_marked(self.inner, self._marks(params), state.inner_state, params)

    def _marks(self, params):
        return spread(self.mask, jax.tree.structure(params), params)


masked = recipe("masked", Masked)


@pytree
class Freeze(Wrapper):
    """Leaves the marked parameters where they are: an update of 0 for them, and no state.

    mask: True where a leaf is frozen; a prefix tree of bools, or a function from params to one.
    inner: what acts on the others, and keeps state for them only; by default nothing does, so that
        `freeze(mask)` may be the last link of a chain.
    A decoupled regularizer acts after the updates: it has its own mask. A proximal one leaves
        frozen parameters where they are.
    Agrees with: optax.freeze(mask) and optax.selective_transform(inner, freeze_mask=mask), exactly.

    >>> import jaxopt_edu as jo
    >>> head_only = jo.freeze({"body": True, "head": False}, jo.sgd(0.5))
    >>> g = {"body": jnp.array([8.0]), "head": jnp.array([8.0])}
    >>> head_only.update(g, head_only.init(g))[0]
    {'body': Array([0.], dtype=float32), 'head': Array([-4.], dtype=float32)}
    """

    mask: Mask = mask()
    inner: Transform = Identity()

    def init(self, params):
        structure = jax.tree.structure(params)
        return InnerState(self.inner.init(keep(params, structure, self._trained(params))))

    def update(self, updates, state, params=None, **extra):
        leaves, structure = jax.tree.flatten(updates)
        zeros = [jnp.zeros_like(g) for g in leaves]
        new, inner = update_marked(
            self.inner, self._trained(updates), updates, state.inner_state, params, extra, zeros
        )
        return jax.tree.unflatten(structure, new), InnerState(inner)

    @property
    def form(self):
        inner = form_of(self.inner)
        return inner if inner is not None and inner.kind != GRADIENT else None

    def lengths(self, updates, state, new, params):
        marks, states = self._trained(updates), (state.inner_state, new.inner_state)
        zeros = [0.0] * len(marks)
        found = lengths_of_marked(self.inner, marks, updates, states, params, zeros)
        return jax.tree.unflatten(jax.tree.structure(updates), found)

    def eval_params(self, state, params):
        return eval_params_of_marked(self.inner, self._trained(params), state.inner_state, params)

    def _trained(self, params):
        return [not frozen for frozen in spread(self.mask, jax.tree.structure(params), params)]


freeze = recipe("freeze", Freeze)


def selective_transform(optimizer: Transform, *, freeze_mask: Mask) -> Freeze:
    """`freeze(freeze_mask, optimizer)`, under optax's name.

    >>> import jaxopt_edu as jo
    >>> jo.selective_transform(jo.sgd(0.5), freeze_mask={"body": True, "head": False})
    Freeze(mask={'body': True, 'head': False}, inner=SGD(learning_rate=0.5))
    """
    return Freeze(freeze_mask, optimizer)


class PartitionState(NamedTuple):
    inner_states: dict


@pytree
class Partition:
    """A transform for each group of parameters.

    transforms: from labels to transforms; each sees, and keeps state for, its own leaves only.
    param_labels: the label of each leaf; a prefix tree of labels, or a function from params to one.
    mask_compatible_extra_args: as in `masked`.
    Its numbers are named by label: `w.learning_rate`.
    Errors: ValueError for a label that is no key of transforms.
    Agrees with: optax.partition, exactly.

    >>> import jaxopt_edu as jo
    >>> both = jo.partition({"fast": jo.sgd(0.5), "slow": jo.sgd(0.1)}, {"w": "fast", "b": "slow"})
    >>> jo.hyperparameters(both)
    {'fast.learning_rate': 0.5, 'slow.learning_rate': 0.1}
    >>> g = {"w": jnp.array([8.0]), "b": jnp.array([8.0])}
    >>> both.update(g, both.init(g))[0]
    {'b': Array([-0.8], dtype=float32), 'w': Array([-4.], dtype=float32)}
    """

    transforms: dict[Any, Transform]
    param_labels: Any = static()
    mask_compatible_extra_args: bool = static(default=False, kw_only=True)
    inlined = "transforms"

    def init(self, params):
        structure, labels = jax.tree.structure(params), self._labels(params)
        return PartitionState(
            {
                name: transform.init(keep(params, structure, [x == name for x in labels]))
                for name, transform in self.transforms.items()
            }
        )

    def update(self, updates, state, params=None, **extra):
        new, structure = jax.tree.flatten(updates)
        labels, states = self._labels(updates), {}
        for i, (name, transform) in enumerate(self.transforms.items()):
            marks, s = [label == name for label in labels], state.inner_states[name]
            own = told_link(transform, i, extra)
            own = keep_extra(own, structure, marks) if self.mask_compatible_extra_args else own
            new, states[name] = update_marked(transform, marks, updates, s, params, own, new)
        return jax.tree.unflatten(structure, new), PartitionState(states)

    @property
    def form(self):
        moving = [t for t in self.transforms.values() if not isinstance(t, SetToZero)]
        forms = [form_of(t) or StepForm(GRADIENT) for t in moving]
        kinds = {form.kind for form in forms} or {SCALE}
        if len(kinds) > 1 or GRADIENT in kinds:
            return None
        return StepForm(kinds.pop(), any(form.by_coordinate for form in forms))

    def lengths(self, updates, state, new, params):
        labels, structure = self._labels(updates), jax.tree.structure(updates)
        found = [0.0] * len(labels)
        for name, transform in self.transforms.items():
            marks = [label == name for label in labels]
            states = state.inner_states[name], new.inner_states[name]
            found = lengths_of_marked(transform, marks, updates, states, params, found)
        return jax.tree.unflatten(structure, found)

    @property
    def wants(self):
        return wants(*self.transforms.values())

    @property
    def needs(self):
        return needs(*self.transforms.values())

    def eval_params(self, state, params):
        labels = self._labels(params)
        for name, transform in self.transforms.items():
            marks = [label == name for label in labels]
            params = eval_params_of_marked(transform, marks, state.inner_states[name], params)
        return params

    def learning_rates(self, state):
        return [
            rate
            for name, transform in self.transforms.items()
            for rate in learning_rates(transform, state.inner_states[name])
        ]

    def _labels(self, params):
        labels = spread(self.param_labels, jax.tree.structure(params), params)
        for label in labels:
            if label not in self.transforms:
                hint = nearest(str(label), map(str, self.transforms))
                raise ValueError(f"param_labels has {label!r}, no key of transforms; {hint}")
        return labels


partition = recipe("partition", Partition)
