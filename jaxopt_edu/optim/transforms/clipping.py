"""Bricks that keep gradients from being too large."""

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.step_sizes import SCALE, StepForm
from jaxopt_edu.optim.transform import ClockState, Hyper, Scalar, at, next_step
from jaxopt_edu.optim.transforms.base import Brick
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import check, number, pytree, recipe, static
from jaxopt_edu.values.tree import root, squared


def shrinking(size: Array, limit: Scalar) -> Array:
    """The factor that takes size down to limit: limit / size, or 1 where size is smaller."""
    small = size < limit
    return jnp.where(small, 1, limit / jnp.where(small | (size == 0), 1, size))


@pytree
class Clip(Brick):
    """Clips every number of the gradient.

    Formula: u = min(max(g, -max_delta), max_delta)  (g min(1, max_delta / |g|) if it is complex)
    Shapes: any.
    Units: max_delta has the unit of the gradient.
    Errors: ValueError where max_delta < 0.
    Agrees with: optax.clip, 1e-12 in float64; here max_delta may also be a schedule or a tree, and
        gradients complex.

    >>> import jaxopt_edu as jo
    >>> clip = jo.clip(1.0)
    >>> clip.update(jnp.array([0.5, -3.0]), clip.init(None))[0]
    Array([ 0.5, -1. ], dtype=float32)
    """

    max_delta: Hyper = number(low=0)
    form = StepForm(SCALE, by_coordinate=True)

    def rule(self, t, p, g):
        if jnp.iscomplexobj(g):
            return (shrinking(root(squared(g)), self.max_delta) * g,)
        return (jnp.clip(g, -self.max_delta, self.max_delta),)

    def length(self, t, p, g):
        return shrinking(root(squared(g)), self.max_delta)


clip = recipe("clip", Clip)


@pytree
class ClipByGlobalNorm(Brick):
    """Shrinks the whole gradient to a largest Euclidean norm; its direction stays.

    Formula: u = g min(1, max_norm / norm(g))  (of all leaves as one vector)
    Shapes: any.
    Units: max_norm has the unit of the gradient.
    Errors: ValueError where max_norm < 0. A gradient with a NaN becomes NaN everywhere; in one
        with an infinity that becomes NaN and the rest 0: see `apply_if_finite`.
    Source: Pascanu, Mikolov & Bengio 2013, arXiv:1211.5063, algorithm 1.
    Agrees with: optax.clip_by_global_norm, 1e-12 in float64; the zero gradient stays zero even
        for max_norm = 0, and the norm of half precision is computed in float32.

    >>> import jaxopt_edu as jo
    >>> clip = jo.clip_by_global_norm(1.0)
    >>> clip.update({"w": jnp.array([3.0]), "b": jnp.array(4.0)}, clip.init(None))[0]["w"]
    Array([0.6], dtype=float32)
    """

    max_norm: Hyper = number(low=0)
    form = StepForm(SCALE)

    def update(self, updates, state, params=None, **extra):
        clipped = tree.scale(self.lengths(updates, state, None, params), updates)
        return clipped, ClockState(next_step(state.t))

    def lengths(self, updates, state, new, params):
        return shrinking(tree.norm(updates), at(self, state.t).max_norm)


clip_by_global_norm = recipe("clip_by_global_norm", ClipByGlobalNorm)


@pytree
class ClipByBlockRMS(Brick):
    """Shrinks every array of the gradient to a largest root mean square.

    Formula: u = g min(1, threshold / rms(g))  (the root of the mean square of an array)
    Shapes: any.
    Units: threshold has the unit of the gradient.
    Errors: ValueError where threshold < 0.
    Source: Shazeer & Stern 2018, arXiv:1804.04235, section 6.
    Agrees with: optax.clip_by_block_rms, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> clip = jo.clip_by_block_rms(1.0)
    >>> clip.update(jnp.array([2.0, -2.0]), clip.init(None))[0]
    Array([ 1., -1.], dtype=float32)
    """

    threshold: Hyper = number(low=0)
    form = StepForm(SCALE)

    def rule(self, t, p, g):
        return (self.length(t, p, g) * g,)

    def length(self, t, p, g):
        return shrinking(root(jnp.mean(squared(g))), self.threshold)


clip_by_block_rms = recipe("clip_by_block_rms", ClipByBlockRMS)


@pytree
class AdaptiveGradClip(Brick):
    """Shrinks the gradient of every unit to a share of the norm of its weights.

    Formula: with c = clipping max(norm(p), eps):
        u = g if norm(g) < c, else c g / max(norm(g), 1e-6)  (unit by unit)
    Shapes: a unit is what one output neuron reads: a column of a matrix (inputs, outputs), a filter
        of a kernel (height, width, inputs, outputs), a whole vector or scalar. With outputs_first,
        for weights as in `jo.models` (and Equinox and PyTorch): a row of a matrix (outputs,
        inputs), a filter of (outputs, height, width, inputs). axis (an int or a tuple) says over
        which axes a unit goes where neither is so.
    Units: clipping is a ratio; eps has the unit of the params.
    Errors: ValueError where clipping or eps < 0, for an array of more than five axes without
        `axis`, for axis with outputs_first, or where update gets no params.
    Source: Brock et al. 2021, arXiv:2102.06171, equation 3.
    Agrees with: optax.adaptive_grad_clip, 1e-12 in float64; outputs_first is ours.

    >>> import jaxopt_edu as jo
    >>> clip = jo.adaptive_grad_clip(0.1)
    >>> clip.update(jnp.array([3.0, 4.0]), clip.init(None), jnp.array([0.0, 2.0]))[0]
    Array([0.12, 0.16], dtype=float32)
    """

    clipping: Hyper = number(low=0)
    eps: Hyper = number(0, default=1e-3)
    axis: int | tuple[int, ...] | None = static(default=None)
    outputs_first: bool = static(default=False, kw_only=True)
    needs_params = True

    def __post_init__(self):
        check(self)
        if self.axis is not None and self.outputs_first:
            raise ValueError(f"axis = {self.axis} and outputs_first: wanted one of them")

    def rule(self, t, p, g):
        axes = unit_axes(p, self.outputs_first) if self.axis is None else self.axis
        c = self.clipping * jnp.maximum(unit_norm(p, axes), self.eps)
        size = unit_norm(g, axes)
        return (jnp.where(size < c, 1, c / jnp.maximum(size, 1e-6)) * g,)


adaptive_grad_clip = recipe("adaptive_grad_clip", AdaptiveGradClip)


def unit_norm(x: Array, axes: int | tuple[int, ...] | None) -> Array:
    """The Euclidean norm over these axes (None: all), which stay with length 1."""
    return root(jnp.sum(squared(x), axis=axes, keepdims=True))


def unit_axes(x: Array, outputs_first: bool) -> tuple[int, ...] | None:
    """The axes of the inputs of a weight array; None means all of them."""
    if jnp.squeeze(x).ndim <= 1:
        return None
    if outputs_first:
        return tuple(range(1, x.ndim))
    if x.ndim > 5:
        raise ValueError(f"a parameter has shape {x.shape}: wanted up to 5 axes; give axis=")
    return (0,) if x.ndim <= 3 else tuple(range(x.ndim - 1))
