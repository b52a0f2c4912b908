"""Schedules one after another: warmups, warm restarts, and any others joined at boundaries."""

import inspect
from collections.abc import Callable, Iterator
from itertools import accumulate, pairwise

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.schedules.basic import (
    TINY,
    ExponentialDecay,
    LinearSchedule,
    Schedule,
    between,
    cosine,
    done,
    power,
    widest,
)
from jaxopt_edu.optim.transform import Scalar, now
from jaxopt_edu.values.pytrees import check, number, pytree, recipe, resolve_among, static
from jaxopt_edu.values.tree import is_float

__all__ = [
    "JoinSchedules",
    "SGDRSchedule",
    "WarmupConstantSchedule",
    "WarmupCosineDecaySchedule",
    "WarmupExponentialDecaySchedule",
    "join_schedules",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]


@pytree
class JoinSchedules:
    """Schedules one after another, each counting its steps from its boundary.

    Algorithm: with boundaries b_1 <= ... <= b_n and schedules s_0, ..., s_n, b_0 = 0:
        eta_t = s_i(t - b_i) for the last i with b_i <= t
    Units: boundaries are steps, and numbers: the schedule jumps in them. A number among the
        schedules stands for the constant one.
    Errors: ValueError unless there is one boundary less than schedules, in increasing order.
    Agrees with: optax.join_schedules, as far as the schedules do.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> warmup, decay = jo.linear_schedule(0.0, 1.0, 2), jo.linear_schedule(1.0, 0.0, 4)
    >>> jo.join_schedules([warmup, decay], [2])(jnp.arange(7)).tolist()
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """

    schedules: tuple[Scalar | Callable, ...]
    boundaries: tuple[Scalar, ...] = number(smooth=False)

    def __post_init__(self):
        for name in ("schedules", "boundaries"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if not (isinstance(self.schedules, tuple) and isinstance(self.boundaries, tuple)):
            return
        n, boundaries = len(self.schedules), self.boundaries
        if len(boundaries) != n - 1:
            raise ValueError(
                f"{n} schedules and {len(boundaries)} boundaries: "
                "wanted one boundary between each two schedules"
            )
        if all(isinstance(b, int | float) for b in boundaries) and any(
            b > c for b, c in pairwise(boundaries)
        ):
            raise ValueError(f"boundaries = {boundaries}: wanted them in increasing order")

    def __call__(self, t: Scalar) -> Array:
        t = jnp.asarray(t)
        eta = now(self.schedules[0], t)
        for b, schedule in zip(self.boundaries, self.schedules[1:], strict=True):
            b = widest(b) if is_float(b) else b  # integer steps stay integers
            eta = jnp.where(t < b, eta, now(schedule, t - b))
        return jnp.asarray(eta)


join_schedules = recipe("join_schedules", JoinSchedules)


@pytree
class WarmupConstantSchedule(Schedule):
    """Rises in a straight line from init_value to peak_value, and stays there.

    Formula: with I = init_value, P = peak_value, W = warmup_steps:
        eta_t = I + (P - I) min(t / W, 1)
    It is `linear_schedule` by another name.
    Errors: ValueError where warmup_steps < 1. Where an array has warmup_steps <= 0 the value stays
        init_value, as in optax.
    Agrees with: optax.warmup_constant_schedule, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.warmup_constant_schedule(0.0, 1.0, 4)(jnp.arange(6)).tolist()
    [0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    """

    init_value: Scalar = number()
    peak_value: Scalar = number()
    warmup_steps: Scalar = number(low=1)

    def eta(self, t):
        return LinearSchedule(self.init_value, self.peak_value, self.warmup_steps)(t)


warmup_constant_schedule = recipe("warmup_constant_schedule", WarmupConstantSchedule)


@pytree
class WarmupCosineDecaySchedule(Schedule):
    """Rises in a straight line to peak_value, then falls along a half cosine wave to end_value.

    Formula: with I = init_value, P = peak_value, E = end_value, W = warmup_steps, D = decay_steps:
        c_t = (1 + cos(pi min((t - W) / (D - W), 1))) / 2
        eta_t = I + (P - I) t / W if t < W, else E + (P - E) c_t^exponent
    Units: D counts the warmup too: the fall takes D - W steps, which need not be integers.
    Errors: ValueError unless 0 <= warmup_steps < decay_steps and exponent >= 0. Where arrays have
        decay_steps <= warmup_steps the value stays peak_value after the warmup.
    Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2 (warmup); Loshchilov & Hutter 2017,
        arXiv:1608.03983, equation 5 (cosine).
    Agrees with: optax.warmup_cosine_decay_schedule, 1e-12 given float64 steps; 1e-6 given int32
        steps, from which optax computes in float32. Where peak_value is 0 optax ignores end_value.

    >>> import jaxopt_edu as jo
    >>> schedule = jo.warmup_cosine_decay_schedule(0.0, 1.0, 2, 6)
    >>> [round(float(schedule(t)), 3) for t in range(8)]
    [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    init_value: Scalar = number()
    peak_value: Scalar = number()
    warmup_steps: Scalar = number(low=0)
    decay_steps: Scalar = number(low=1)
    end_value: Scalar = number(default=0.0)
    exponent: Scalar = number(default=1.0, low=0)

    def __post_init__(self):
        check(self)
        W, D = self.warmup_steps, self.decay_steps
        if all(isinstance(steps, int | float) for steps in (W, D)) and not W < D:
            raise ValueError(f"warmup_steps = {W} is not below decay_steps = {D}, which count both")

    def eta(self, t):
        P, E, W, D = self.peak_value, self.end_value, self.warmup_steps, self.decay_steps
        rise = LinearSchedule(self.init_value, P, W)(t)
        c = cosine(done(t - W, D - W))
        return jnp.where(t < W, rise, between(P, E, power(c, self.exponent)))


warmup_cosine_decay_schedule = recipe("warmup_cosine_decay_schedule", WarmupCosineDecaySchedule)


@pytree
class WarmupExponentialDecaySchedule(Schedule):
    """Rises in a straight line to peak_value, then decays exponentially.

    Formula: with I = init_value, P = peak_value, W = warmup_steps, B = transition_begin,
        T = transition_steps, r = decay_rate:
        p = max(t - W - B, 0) / T
        d_t = P r^p
        eta_t = I + (P - I) t / W if t < W, else d_t
    staircase:  p = floor(max(t - W - B, 0) / T)
    end_value:  d_t = max(P r^p, end_value) if r < 1, else min(P r^p, end_value)
    Units: T counts from the end of the warmup and of the B steps after it. With staircase the
        schedule jumps in W, B and T.
    Errors: as `exponential_decay`; ValueError where warmup_steps < 0.
    Agrees with: optax.warmup_exponential_decay_schedule, 1e-12 given float64 steps; 1e-6 given
        int32 steps, from which optax computes in float32.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.warmup_exponential_decay_schedule(0.0, 1.0, 2, 2, 0.25)(jnp.arange(6)).tolist()
    [0.0, 0.5, 1.0, 0.5, 0.25, 0.125]
    """

    init_value: Scalar = number()
    peak_value: Scalar = number()
    warmup_steps: Scalar = number(low=0)
    transition_steps: Scalar = number(low=1)
    decay_rate: Scalar = number(low=TINY)
    transition_begin: Scalar = number(default=0, low=0)
    staircase: bool = static(default=False)
    end_value: Scalar | None = number(default=None)

    def eta(self, t):
        P, W = self.peak_value, self.warmup_steps
        rise = LinearSchedule(self.init_value, P, W)(t)
        fall = ExponentialDecay(
            P,
            self.transition_steps,
            self.decay_rate,
            self.transition_begin,
            self.staircase,
            self.end_value,
        )(t - W)
        return jnp.where(t < W, rise, fall)


warmup_exponential_decay_schedule = recipe(
    "warmup_exponential_decay_schedule", WarmupExponentialDecaySchedule
)


@pytree
class SGDRSchedule(Schedule):
    """Stochastic gradient descent with warm restarts: cycles of warmup and cosine decay.

    Algorithm: `join_schedules` of `warmup_cosine_decay_schedule(**kwargs)` for each kwargs in
        cosine_kwargs, one decay_steps after another.
    Units: the numbers are named by their cycle: `cosine_kwargs.0.peak_value`. The schedule jumps
        in decay_steps, where the next cycle starts.
    Errors: as `warmup_cosine_decay_schedule`; TypeError where a name is missing; ValueError
        where one is unknown, or there is no cycle.
    Source: Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5.
    Agrees with: optax.sgdr_schedule, 1e-12 given float64 steps; 1e-6 given int32 steps,
        from which optax computes in float32.

    >>> import jaxopt_edu as jo
    >>> cycle = dict(init_value=0.0, peak_value=1.0, warmup_steps=1, decay_steps=3)
    >>> schedule = jo.sgdr_schedule([cycle, cycle | {"decay_steps": 5}])
    >>> [round(float(schedule(t)), 3) for t in range(9)]
    [0.0, 1.0, 0.5, 0.0, 1.0, 0.854, 0.5, 0.146, 0.0]
    """

    cosine_kwargs: tuple[dict[str, Scalar], ...] = number(smooth=False)

    def __post_init__(self):
        if isinstance(self.cosine_kwargs, list | tuple | Iterator):
            cycles = tuple(dict(kwargs) for kwargs in self.cosine_kwargs)
            if not cycles:
                raise ValueError("cosine_kwargs is empty: wanted at least one cycle")
            object.__setattr__(self, "cosine_kwargs", cycles)
            self.cycles()

    def cycles(self) -> tuple[WarmupCosineDecaySchedule, ...]:
        """The cycles as schedules."""
        names = inspect.signature(WarmupCosineDecaySchedule).parameters
        for i, kwargs in enumerate(self.cosine_kwargs):
            for name in kwargs:
                resolve_among(f"cosine_kwargs[{i}]", name, names)
        return tuple(WarmupCosineDecaySchedule(**kwargs) for kwargs in self.cosine_kwargs)

    def eta(self, t):
        cycles = self.cycles()
        ends = accumulate(cycle.decay_steps for cycle in cycles)
        return JoinSchedules(cycles, tuple(ends)[:-1])(t)


sgdr_schedule = recipe("sgdr_schedule", SGDRSchedule)
