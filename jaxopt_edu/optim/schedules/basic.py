"""The basic curves from one value to another, and what all schedules are made of."""

from abc import ABC, abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values.pytrees import number, pytree, recipe, static

__all__ = [
    "ConstantSchedule",
    "CosineDecaySchedule",
    "ExponentialDecay",
    "LinearSchedule",
    "PolynomialSchedule",
    "constant_schedule",
    "cosine_decay_schedule",
    "exponential_decay",
    "linear_schedule",
    "polynomial_schedule",
]

TINY = 2.0**-126  # the smallest normal float32: the lower bound of what must be positive


class Schedule(ABC):
    """A schedule given by its formula.

    A subclass gives `eta(t)`. There t, the 0-based step, and the numbers of self are floats in the
    widest dtype: float64 under x64, else float32. t may be one step or an array of them.
    """

    @abstractmethod
    def eta(self, t: Array) -> Array:
        """The number at step t."""

    def __call__(self, t: Scalar) -> Array:
        return jax.tree.map(widest, self).eta(widest(t))


def widest(x: Any) -> Array:
    """x as a float in the widest dtype there is."""
    return jnp.asarray(x, float)


def over(x: Any, y: Any) -> Array:
    """x / y where y > 0, else 0."""
    return jnp.where(y > 0, x / jnp.where(y > 0, y, 1), 0)


def done(t: Array, steps: Any) -> Array:
    """The share of the steps that is done at t, from 0 to 1."""
    return jnp.clip(over(t, steps), 0, 1)


def cosine(p: Array) -> Array:
    """The half wave from 1 at p = 0 down to 0 at p = 1."""
    return (1 + jnp.cos(jnp.pi * p)) / 2


def power(x: Array, p: Any) -> Array:
    """x^p for x >= 0, with derivative 0 at 0, where x^p has an infinite one for p < 1."""
    return jnp.where(x > 0, jnp.where(x > 0, x, 1) ** p, jnp.where(p > 0, 0, 1))


def between(start: Any, end: Any, left: Array) -> Array:
    """From start, when all of the way is left (1), to end, when none is (0)."""
    return end + (start - end) * left


# ---------------------------------------------------------------------------------- schedules


@pytree
class ConstantSchedule(Schedule):
    """The same value at every step.

    Formula: eta_t = value
    Agrees with: optax.constant_schedule, exactly.

    >>> import jaxopt_edu as jo
    >>> float(jo.constant_schedule(0.5)(100))
    0.5
    """

    value: Scalar = number()

    def eta(self, t):
        return self.value * jnp.ones_like(t)


constant_schedule = recipe("constant_schedule", ConstantSchedule)


@pytree
class LinearSchedule(Schedule):
    """Goes from init_value to end_value in a straight line, and stays there.

    Formula: with I = init_value, E = end_value, B = transition_begin, T = transition_steps:
        p = min(max(t - B, 0) / T, 1)
        eta_t = E + (I - E) (1 - p)
    Units: transition_steps and transition_begin are steps, and need not be integers.
    Errors: ValueError where transition_steps < 1 or transition_begin < 0. Where an array has
        transition_steps <= 0 the value stays init_value, as in optax.
    Agrees with: optax.linear_schedule, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.linear_schedule(1.0, 0.0, 4)(jnp.arange(6)).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    init_value: Scalar = number()
    end_value: Scalar = number()
    transition_steps: Scalar = number(low=1)
    transition_begin: Scalar = number(default=0, low=0)

    def eta(self, t):
        p = done(t - self.transition_begin, self.transition_steps)
        return between(self.init_value, self.end_value, 1 - p)


linear_schedule = recipe("linear_schedule", LinearSchedule)


@pytree
class PolynomialSchedule(Schedule):
    """Goes from init_value to end_value along a power of what is left, and stays there.

    Formula: with I = init_value, E = end_value, B = transition_begin, T = transition_steps:
        p = min(max(t - B, 0) / T, 1)
        eta_t = E + (I - E) (1 - p)^power
    Units: transition_steps and transition_begin are steps, and need not be integers.
    Errors: ValueError where transition_steps < 1, or power or transition_begin < 0. Where an array
        has transition_steps <= 0 the value stays init_value, as in optax.
    Agrees with: optax.polynomial_schedule, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.polynomial_schedule(1.0, 0.0, 2, 4)(jnp.arange(6)).tolist()
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0.0]
    """

    init_value: Scalar = number()
    end_value: Scalar = number()
    power: Scalar = number(low=0)
    transition_steps: Scalar = number(low=1)
    transition_begin: Scalar = number(default=0, low=0)

    def eta(self, t):
        p = done(t - self.transition_begin, self.transition_steps)
        return between(self.init_value, self.end_value, power(1 - p, self.power))


polynomial_schedule = recipe("polynomial_schedule", PolynomialSchedule)


@pytree
class CosineDecaySchedule(Schedule):
    """Falls from init_value to the share alpha of it along half a cosine wave, and stays there.

    Formula: with I = init_value, T = decay_steps, q = exponent:
        c_t = (1 + cos(pi min(t / T, 1))) / 2
        eta_t = I ((1 - alpha) c_t^q + alpha)
    Units: decay_steps are steps, and need not be integers; alpha is a share of init_value.
    Errors: ValueError where decay_steps < 1 or exponent < 0. Where an array has decay_steps <= 0
        the value stays init_value.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5 (one cycle).
    Agrees with: optax.cosine_decay_schedule, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> [round(float(jo.cosine_decay_schedule(1.0, 4)(t)), 3) for t in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    init_value: Scalar = number()
    decay_steps: Scalar = number(low=1)
    alpha: Scalar = number(default=0.0)
    exponent: Scalar = number(default=1.0, low=0)

    def eta(self, t):
        c = cosine(done(t, self.decay_steps))
        return self.init_value * between(1, self.alpha, power(c, self.exponent))


cosine_decay_schedule = recipe("cosine_decay_schedule", CosineDecaySchedule)


@pytree
class ExponentialDecay(Schedule):
    """Multiplies by decay_rate once in every transition_steps, smoothly or by a staircase.

    Formula: with I = init_value, B = transition_begin, T = transition_steps, r = decay_rate:
        p = max(t - B, 0) / T
        eta_t = I r^p
    staircase:  p = floor(max(t - B, 0) / T)
    end_value:  eta_t = max(I r^p, end_value) if r < 1, else min(I r^p, end_value)
    Units: transition_steps and transition_begin are steps, and need not be integers. With
        staircase the schedule jumps in both, and their derivatives are 0.
    Errors: ValueError where transition_steps < 1, decay_rate <= 0 or transition_begin < 0. Where an
        array has transition_steps <= 0 or decay_rate <= 0 nothing decays, as in optax.
    Agrees with: optax.exponential_decay, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.exponential_decay(1.0, 2, 0.25)(jnp.arange(5)).tolist()
    [1.0, 0.5, 0.25, 0.125, 0.0625]
    >>> jo.exponential_decay(1.0, 2, 0.25, staircase=True)(jnp.arange(5)).tolist()
    [1.0, 1.0, 0.25, 0.25, 0.0625]
    """

    init_value: Scalar = number()
    transition_steps: Scalar = number(low=1)
    decay_rate: Scalar = number(low=TINY)
    transition_begin: Scalar = number(default=0, low=0)
    staircase: bool = static(default=False)
    end_value: Scalar | None = number(default=None)

    def eta(self, t):
        p = over(jnp.maximum(t - self.transition_begin, 0), self.transition_steps)
        if self.staircase:
            p = jnp.floor(p)
        r = jnp.where(self.decay_rate > 0, self.decay_rate, 1)
        eta = self.init_value * r**p
        if self.end_value is None:
            return eta
        above, below = jnp.maximum(eta, self.end_value), jnp.minimum(eta, self.end_value)
        return jnp.where(r < 1, above, below)


exponential_decay = recipe("exponential_decay", ExponentialDecay)
