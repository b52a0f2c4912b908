"""Schedules: values that give a number for each step, counted from 0.

They go wherever a hyperparameter goes: `adam(cosine_decay_schedule(1e-3, 1000))`. All their
numbers are hyperparameters themselves: they can be swept, mapped and differentiated.
"""

from jaxopt_edu.optim.schedules.basic import (
    ConstantSchedule,
    CosineDecaySchedule,
    ExponentialDecay,
    LinearSchedule,
    PolynomialSchedule,
    constant_schedule,
    cosine_decay_schedule,
    exponential_decay,
    linear_schedule,
    polynomial_schedule,
)
from jaxopt_edu.optim.schedules.joined import (
    JoinSchedules,
    SGDRSchedule,
    WarmupConstantSchedule,
    WarmupCosineDecaySchedule,
    WarmupExponentialDecaySchedule,
    join_schedules,
    sgdr_schedule,
    warmup_constant_schedule,
    warmup_cosine_decay_schedule,
    warmup_exponential_decay_schedule,
)
from jaxopt_edu.optim.schedules.pieces import (
    CosineOnecycleSchedule,
    LinearOnecycleSchedule,
    PiecewiseConstantSchedule,
    PiecewiseInterpolateSchedule,
    cosine_onecycle_schedule,
    linear_onecycle_schedule,
    piecewise_constant_schedule,
    piecewise_interpolate_schedule,
)

__all__ = [
    "ConstantSchedule",
    "CosineDecaySchedule",
    "CosineOnecycleSchedule",
    "ExponentialDecay",
    "JoinSchedules",
    "LinearOnecycleSchedule",
    "LinearSchedule",
    "PiecewiseConstantSchedule",
    "PiecewiseInterpolateSchedule",
    "PolynomialSchedule",
    "SGDRSchedule",
    "WarmupConstantSchedule",
    "WarmupCosineDecaySchedule",
    "WarmupExponentialDecaySchedule",
    "constant_schedule",
    "cosine_decay_schedule",
    "cosine_onecycle_schedule",
    "exponential_decay",
    "join_schedules",
    "linear_onecycle_schedule",
    "linear_schedule",
    "piecewise_constant_schedule",
    "piecewise_interpolate_schedule",
    "polynomial_schedule",
    "sgdr_schedule",
    "warmup_constant_schedule",
    "warmup_cosine_decay_schedule",
    "warmup_exponential_decay_schedule",
]
