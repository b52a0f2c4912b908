"""Default rungs of a scheduler: none before the training part was seen once."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

__all__ = ["least_steps", "settled"]

POLICIES = "jo.halving(), jo.hyperband(), jo.median_stopping() or jo.population()"


def least_steps(experiments: Iterable[Any], steps: int) -> int:
    """The fewest steps after which scores say more than noise, of the slowest experiment.

    That is an epoch (`steps_per_epoch`); where there are no batches, a fortieth of all steps.
    """
    epochs = [getattr(experiment, "steps_per_epoch", None) for experiment in experiments]
    return max(math.ceil(steps / 40) if epoch is None else epoch for epoch in epochs)


def settled(rungs: Any, steps: int, experiments: Iterable[Any]) -> Any:
    """The policy with its defaults filled in for these experiments; None as it is.

    Warns where it judges earlier than `least_steps`, or never.
    Errors: TypeError for what is no policy.
    """
    if rungs is None:
        return None
    if isinstance(rungs, type) or not all(map(_has(rungs), ("stops", "expected", "judge"))):
        raise TypeError(f"rungs = {rungs!r}: wanted a policy such as {POLICIES}")
    least = least_steps(experiments, steps)
    if hasattr(rungs, "settled"):
        rungs = rungs.settled(steps, least)
    stops = rungs.stops(steps)
    if not stops:
        _warn(
            f"{rungs!r} judges no trial: its first rung is not below steps = {steps}"
            + (f" (an epoch has {least})" if least >= steps else "")
        )
    elif stops[0] < least:
        _warn(
            f"{rungs!r} judges at step {stops[0]}, where scores are mostly noise: wanted at least "
            f"{least} steps (an epoch, or a fortieth of all steps where there are no batches)"
        )
    return rungs


def _has(rungs: Any) -> Any:
    return lambda name: callable(getattr(rungs, name, None))


def _warn(words: str) -> None:
    warnings.warn(f"rungs: {words}", stacklevel=5)
