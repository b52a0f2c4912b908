"""Bricks that scale, shift or replace gradients, without a memory but the step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, random

from jaxopt_edu.optim.step_sizes import DESCENT, GRADIENT, SCALE, StepForm
from jaxopt_edu.optim.transform import (
    ClockState,
    Hyper,
    Mask,
    Scalar,
    at,
    decayed,
    next_step,
    start,
)
from jaxopt_edu.optim.transforms.base import Brick, Stateless, wants_params
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import check, check_seed, mask, number, pytree, recipe, static
from jaxopt_edu.values.random_bits import written_out
from jaxopt_edu.values.tree import root, wide


@pytree
class Scale(Brick):
    """Multiplies the gradient by a number.

    Formula: u = step_size g
    Shapes: any.
    Agrees with: optax.scale, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.scale(-0.5).update(jnp.array(4.0), jo.scale(-0.5).init(None))[0]
    Array(-2., dtype=float32)
    """

    step_size: Hyper = number()
    form = StepForm(SCALE)

    def length(self, t, p, g):
        return self.step_size

    def rule(self, t, p, g):
        return (self.step_size * g,)


scale = recipe("scale", Scale)


@pytree
class ScaleBySchedule(Brick):
    """Multiplies the gradient by a number that depends on the step.

    Formula: u_t = step_size_fn(t - 1) g_t  (t = 1, 2, ...)
    Shapes: any.
    Agrees with: optax.scale_by_schedule, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> halves = jo.scale_by_schedule(lambda t: 0.5**t)
    >>> u, state = halves.update(jnp.array(8.0), halves.init(None))
    >>> u, halves.update(u, state)[0]
    (Array(8., dtype=float32), Array(4., dtype=float32))
    """

    step_size_fn: Hyper = number()
    form = StepForm(SCALE)

    def length(self, t, p, g):
        return self.step_size_fn

    def rule(self, t, p, g):
        return (self.step_size_fn * g,)


scale_by_schedule = recipe("scale_by_schedule", ScaleBySchedule)


@pytree
class ScaleByLearningRate(Brick):
    """The last link of an optimizer: a step of this length against the gradient.

    Formula: u_t = g_t
    learning_rate:  u_t = -eta_t g_t
    learning_rate, flip_sign=False:  u_t = eta_t g_t
    Shapes: any.
    Units: eta has the unit of params over updates.
    Errors: ValueError where learning_rate < 0.
    Agrees with: optax.scale_by_learning_rate, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.chain(jo.trace(0.9), jo.scale_by_learning_rate(0.1))
    chain(Trace(decay=0.9), ScaleByLearningRate(learning_rate=0.1))
    """

    learning_rate: Hyper | None = number(0, default=None)
    flip_sign: bool = static(default=True, kw_only=True)

    def rule(self, t, p, g):
        eta = self.learning_rate
        if eta is None:
            return (g,)
        return (-eta * g if self.flip_sign else eta * g,)

    @property
    def form(self):
        return StepForm(SCALE if self.learning_rate is None or not self.flip_sign else DESCENT)

    def length(self, t, p, g):
        return 1.0 if self.learning_rate is None else self.learning_rate


scale_by_learning_rate = recipe("scale_by_learning_rate", ScaleByLearningRate)


@pytree
class AddDecayedWeights(Brick):
    """Adds a share of the parameters to the gradient: weight decay.

    Formula: u = g + lambda p
    mask: the parameters with decay: a prefix tree of bools or a function from params to one, such
        as `weights_only`; None marks all.
    Before an optimizer it is an L2 penalty; between its direction and its learning rate, decoupled.
    Shapes: any.
    Units: lambda has the unit of the gradient over that of the params.
    Errors: ValueError where weight_decay < 0, or update gets no params.
    Agrees with: optax.add_decayed_weights, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> decay = jo.add_decayed_weights(0.1)
    >>> decay.update(jnp.array(1.0), decay.init(None), jnp.array(5.0))[0]
    Array(1.5, dtype=float32)
    """

    weight_decay: Hyper = number(0, default=0.0)
    mask: Mask = mask(default=None)
    needs_params = True
    form = StepForm(GRADIENT)

    def rule(self, t, p, g):
        return (decayed(g, self.weight_decay, p, self.mask),)


add_decayed_weights = recipe("add_decayed_weights", AddDecayedWeights)


@pytree
class NormalizeByUpdateNorm(Brick):
    """A step whose length does not depend on how long the gradient is.

    Formula: u = scale_factor g / (norm(g) + eps)  (of all leaves as one vector)
    Shapes: any.
    Units: scale_factor has the unit of u, eps that of g; with eps > 0 the zero gradient stays zero.
    Errors: ValueError where eps < 0.
    Agrees with: optax.normalize_by_update_norm, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> unit = jo.normalize_by_update_norm(eps=0.0)
    >>> unit.update(jnp.array([3.0, 4.0]), unit.init(None))[0]
    Array([0.6, 0.8], dtype=float32)
    """

    scale_factor: Hyper = number(default=1.0)
    eps: Hyper = number(0, default=1e-6)
    form = StepForm(SCALE)

    def update(self, updates, state, params=None, **extra):
        factor = self.lengths(updates, state, None, params)
        return tree.scale(factor, updates), ClockState(next_step(state.t))

    def lengths(self, updates, state, new, params):
        at_t = at(self, state.t)
        return at_t.scale_factor / (tree.norm(updates) + at_t.eps)


normalize_by_update_norm = recipe("normalize_by_update_norm", NormalizeByUpdateNorm)


@pytree
class Centralize(Stateless):
    """Takes the mean off the gradient of arrays of two axes or more.

    Formula: u_{ij} = g_{ij} - mean_j g_{ij}  (j stands for all axes but the first)
    Shapes: vectors and scalars pass as they are.
    Source: Yong et al. 2020, arXiv:2004.01461, equation 1 (where outputs are the first axis).
    Agrees with: optax.centralize, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.centralize().update(jnp.array([[1.0, 3.0], [5.0, 5.0]]), None)[0]
    Array([[-1.,  1.],
           [ 0.,  0.]], dtype=float32)
    """

    def update(self, updates, state, params=None, **extra):
        return tree.map(_centred, updates), state


def _centred(g: Array) -> Array:
    if jnp.ndim(g) < 2:
        return g
    wg = wide(g)
    return (wg - jnp.mean(wg, axis=range(1, g.ndim), keepdims=True)).astype(g.dtype)


centralize = recipe("centralize", Centralize)


@pytree
class KeepParamsNonnegative(Stateless):
    """Stops at 0 every parameter that the update would make negative; the last link of a chain.

    Formula: u = -p if p + g < 0, else g
    Shapes: any.
    Errors: ValueError where update gets no params, TypeError for complex ones.
    Agrees with: optax.keep_params_nonnegative.

    >>> import jaxopt_edu as jo
    >>> jo.keep_params_nonnegative().update(jnp.array([-3.0, 3.0]), None, jnp.array([2.0, 2.0]))[0]
    Array([-2.,  3.], dtype=float32)
    """

    def update(self, updates, state, params=None, **extra):
        wants_params(self, params)
        if any(map(jnp.iscomplexobj, tree.leaves(params))):
            raise TypeError("KeepParamsNonnegative: params are complex; wanted real ones")
        return tree.map(lambda u, p: jnp.where(p + u < 0, -p, u), updates, params), state


keep_params_nonnegative = recipe("keep_params_nonnegative", KeepParamsNonnegative)


class AddNoiseState(NamedTuple):
    t: Array
    key: Array


@pytree
class AddNoise:
    """Adds Gaussian noise, ever less of it, to every number of the gradient.

    Formula: u_t = g_t + sqrt(eta / t^gamma) n_t  (n_t is standard normal, t = 1, 2, ...)
    key: a seed or a key of jax.random. The same key gives the same noise; no two steps, leaves or
        numbers share theirs.
    Shapes: any. Of a complex number both parts get half of the variance.
    Units: eta is a variance: it has the unit of the gradient squared.
    Errors: ValueError where eta or gamma < 0, or key is a number that is no seed.
    Source: Neelakantan et al. 2015, arXiv:1511.06807, equation 1 (with t for 1 + t).
    Agrees with: optax.add_noise of the same key, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.add_noise(eta=0.01, gamma=0.55)
    AddNoise(eta=0.01, gamma=0.55, key=0)
    """

    eta: Scalar = number(low=0)
    gamma: Scalar = number(low=0)
    key: Any = number(default=0)
    form = StepForm(GRADIENT)

    def __post_init__(self):
        check(self)
        if isinstance(self.key, bool | int | float | np.number):
            check_seed(self.key, name="key")

    def init(self, params):
        typed = jnp.issubdtype(jnp.result_type(self.key), jax.dtypes.prng_key)
        return AddNoiseState(start(), self.key if typed else random.key(self.key))

    def update(self, updates, state, params=None, **extra):
        t = next_step(state.t)
        key, now = random.split(state.key)
        leaves, structure = jax.tree.flatten(updates)
        sigma = root(self.eta / t.astype(float) ** self.gamma)
        keys = random.split(written_out(now), len(leaves))
        noisy = [_noisy(k, g, sigma) for k, g in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(structure, noisy), AddNoiseState(t, key)


def _noisy(key: Array, g: Array, sigma: Array) -> Array:
    noise = random.normal(key, jnp.shape(g), g.dtype)
    return (wide(g) + sigma * wide(noise)).astype(g.dtype)


add_noise = recipe("add_noise", AddNoise)
