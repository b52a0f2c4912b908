"""Schedules made of pieces between boundaries: steps, polylines, and the one-cycle policy."""

from itertools import accumulate, pairwise
from operator import mul
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxopt_edu.optim.schedules.basic import TINY, Schedule, between, cosine, over
from jaxopt_edu.optim.transform import Scalar
from jaxopt_edu.values.pytrees import check, number, pytree, recipe, static

__all__ = [
    "CosineOnecycleSchedule",
    "LinearOnecycleSchedule",
    "PiecewiseConstantSchedule",
    "PiecewiseInterpolateSchedule",
    "cosine_onecycle_schedule",
    "linear_onecycle_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
]

# what is left of the way from one value to the next when the share p of it is done
WAYS = {"linear": lambda p: 1 - p, "cosine": cosine}


def through(t: Array, way: str, boundaries: tuple, values: tuple) -> Array:
    """From each value at its boundary to the next one at the next; the last one from then on."""
    eta = values[-1] * jnp.ones_like(t)
    for (b, c), (v, w) in zip(pairwise(boundaries), pairwise(values), strict=True):
        eta = jnp.where((b <= t) & (t < c), between(v, w, WAYS[way](over(t - b, c - b))), eta)
    return eta


class Scaled(Schedule):
    """A schedule with scales at boundaries: {boundary: scale}, kept in order."""

    boundaries_and_scales: dict[int, Scalar] | None

    def __post_init__(self):
        check(self)
        given = self.boundaries_and_scales
        if isinstance(given, list | tuple | float):
            raise TypeError(f"boundaries_and_scales = {given!r}: wanted a dict {{boundary: scale}}")
        if isinstance(given, dict):
            ordered = {_boundary(b): _scale(b, given[b]) for b in sorted(given)}
            object.__setattr__(self, "boundaries_and_scales", ordered)


def _boundary(b: Any) -> int:
    if not isinstance(b, int | np.integer) or b < 0:
        raise ValueError(f"boundaries_and_scales: boundary {b!r}: wanted an integer >= 0")
    return int(b)


def _scale(b: int, scale: Any) -> Any:
    if isinstance(scale, int | float) and not scale >= 0:
        raise ValueError(f"boundaries_and_scales: the scale {scale} at {b} is below 0")
    return scale


@pytree
class PiecewiseConstantSchedule(Scaled):
    """Multiplies by a scale from each boundary on.

    Formula: eta_t = init_value product_i s_i^[b_i <= t]  (over {b_i: s_i} in boundaries_and_scales)
    Units: boundaries are steps, and structure; the scales are numbers, named by their boundary:
        `boundaries_and_scales.100`.
    Errors: ValueError where a scale is below 0 or a boundary is no integer >= 0.
    Agrees with: optax.piecewise_constant_schedule, 1e-12 in float64.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.piecewise_constant_schedule(1.0, {2: 0.5, 4: 0.25})(jnp.arange(6)).tolist()
    [1.0, 1.0, 0.5, 0.5, 0.125, 0.125]
    """

    init_value: Scalar = number()
    boundaries_and_scales: dict[int, Scalar] | None = number(default=None)

    def eta(self, t):
        eta = self.init_value * jnp.ones_like(t)
        for boundary, scale in (self.boundaries_and_scales or {}).items():
            eta = eta * jnp.where(t < boundary, 1, scale)
        return eta


piecewise_constant_schedule = recipe("piecewise_constant_schedule", PiecewiseConstantSchedule)


@pytree
class PiecewiseInterpolateSchedule(Scaled):
    """Goes from value to value, each the one before times the scale at its boundary.

    Formula: over the pieces i from a_i to b_i, the boundaries, of scales s_i, from 0 on:
        v_i = init_value product_j s_j^[j <= i]  (at its end)
        w_i = init_value product_j s_j^[j < i]  (at its start)
        p_i = (t - a_i) / (b_i - a_i)
        q_i = 1 - p_i
        eta_t = sum_i [a_i <= t] [t < b_i] (v_i + (w_i - v_i) q_i) + [b_n <= t] v_n  (n is the last)
    interpolate_type="cosine":  q_i = (1 + cos(pi p_i)) / 2
    Units, Errors: as `piecewise_constant_schedule`; ValueError where interpolate_type is neither
        "linear" nor "cosine".
    Agrees with: optax.piecewise_interpolate_schedule, 1e-12 given float64 steps; 1e-6 given
        int32 steps, from which optax computes in float32.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> scales = {2: 0.5, 4: 0.25}
    >>> jo.piecewise_interpolate_schedule("linear", 1.0, scales)(jnp.arange(6)).tolist()
    [1.0, 0.75, 0.5, 0.3125, 0.125, 0.125]
    """

    interpolate_type: str = static(among=WAYS)
    init_value: Scalar = number()
    boundaries_and_scales: dict[int, Scalar] | None = number(default=None)

    def eta(self, t):
        scales = self.boundaries_and_scales or {}
        values = accumulate(scales.values(), mul, initial=self.init_value)
        return through(t, self.interpolate_type, (0, *scales), tuple(values))


piecewise_interpolate_schedule = recipe(
    "piecewise_interpolate_schedule", PiecewiseInterpolateSchedule
)


@pytree
class LinearOnecycleSchedule(Schedule):
    """The one-cycle policy in three straight lines: up to the peak, back, and far down.

    Formula: straight lines, with T = transition_steps, P = peak_value, L = P / div_factor:
        A = floor(pct_start T);  F = floor(pct_final T);  E = L / final_div_factor
        f_t = L + (E - L) min((t - F) / (T - F), 1)
        eta_t = L + (P - L) t / A if t < A, else P + (L - P) (t - A) / (F - A) if t < F, else f_t
    Units: pct_start and pct_final are shares of T (0.3, not 30). The schedule jumps in T and the
        shares, since their boundaries are rounded down to steps.
    Errors: ValueError where transition_steps < 1, a share is outside [0, 1), pct_start >= pct_final
        or a factor is <= 0.
    Source: Smith & Topin 2017, arXiv:1708.07120.
    Agrees with: optax.linear_onecycle_schedule, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32. Where two boundaries coincide (T = 1) optax forgets a
        factor.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> onecycle = jo.linear_onecycle_schedule(6, 1.0, 0.34, 0.67, 2.0, 4.0)
    >>> onecycle(jnp.arange(7)).tolist()
    [0.5, 0.75, 1.0, 0.75, 0.5, 0.3125, 0.125]
    """

    transition_steps: Scalar = number(low=1, smooth=False)
    peak_value: Scalar = number()
    pct_start: Scalar = number(default=0.3, low=0, high=1, smooth=False)
    pct_final: Scalar = number(default=0.85, low=0, high=1, smooth=False)
    div_factor: Scalar = number(default=25.0, low=TINY)
    final_div_factor: Scalar = number(default=1e4, low=TINY)

    def __post_init__(self):
        check(self)
        shares = self.pct_start, self.pct_final
        if all(isinstance(s, int | float) for s in shares) and not self.pct_start < self.pct_final:
            raise ValueError(f"pct_start, pct_final = {shares}: wanted the first below the second")

    def eta(self, t):
        steps, peak = self.transition_steps, self.peak_value
        low = over(peak, self.div_factor)
        boundaries = 0, jnp.floor(self.pct_start * steps), jnp.floor(self.pct_final * steps), steps
        values = low, peak, low, over(low, self.final_div_factor)
        return through(t, "linear", boundaries, values)


linear_onecycle_schedule = recipe("linear_onecycle_schedule", LinearOnecycleSchedule)


@pytree
class CosineOnecycleSchedule(Schedule):
    """The one-cycle policy in two half cosine waves: up to the peak, and far down.

    Formula: half cosine waves, with P = peak_value, L = P / div_factor:
        T = floor(transition_steps)
        A = floor(pct_start transition_steps);  E = L / final_div_factor
        p_t = t / A if t < A, else min((t - A) / (T - A), 1)
        c_t = (1 + cos(pi p_t)) / 2
        eta_t = P + (L - P) c_t if t < A, else E + (P - E) c_t
    Units: pct_start is a share of T (0.3, not 30). The schedule jumps in T and pct_start, since
        their boundaries are rounded down to steps.
    Errors: ValueError where transition_steps < 1, pct_start is outside [0, 1) or a factor is <= 0.
    Source: Smith & Topin 2017, arXiv:1708.07120 (there with straight lines).
    Agrees with: optax.cosine_onecycle_schedule, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32.

    >>> import jaxopt_edu as jo
    >>> onecycle = jo.cosine_onecycle_schedule(6, 1.0, 0.34, 2.0, 4.0)
    >>> [round(float(onecycle(t)), 3) for t in range(7)]
    [0.5, 0.75, 1.0, 0.872, 0.562, 0.253, 0.125]
    """

    transition_steps: Scalar = number(low=1, smooth=False)
    peak_value: Scalar = number()
    pct_start: Scalar = number(default=0.3, low=0, high=1, smooth=False)
    div_factor: Scalar = number(default=25.0, low=TINY)
    final_div_factor: Scalar = number(default=1e4, low=TINY)

    def eta(self, t):
        steps, peak = self.transition_steps, self.peak_value
        low = over(peak, self.div_factor)
        boundaries = 0, jnp.floor(self.pct_start * steps), jnp.floor(steps)
        return through(t, "cosine", boundaries, (low, peak, over(low, self.final_div_factor)))


cosine_onecycle_schedule = recipe("cosine_onecycle_schedule", CosineOnecycleSchedule)
