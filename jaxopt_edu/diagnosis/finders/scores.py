"""What both finders ask: how good an untrained model is, and which scores are near the best."""

import functools
from typing import Any

import jax
import numpy as np
from jax import Array
from numpy import ndarray

from jaxopt_edu.engine.checks import check_run, mode_for, ranking_split
from jaxopt_edu.values import keys
from jaxopt_edu.values.pytrees import check_seed

__all__ = ["check_tolerance", "near_best", "untrained"]


def untrained(experiment: Any, steps: int, metric: str, mode: str, seed: int) -> tuple[float, str]:
    """The score before the first step, on the split that ranks, and the mode, min or max.

    Bad arguments are named.
    """
    seed = check_seed(seed)
    splits, _ = check_run(experiment, steps, metric, None)
    mode = mode_for([experiment], metric, mode)
    first = _first_score(experiment, np.uint32(seed), ranking_split(splits))[metric]
    return float(first), mode


@functools.partial(jax.jit, static_argnames="split")
def _first_score(experiment: Any, seed: Any, split: str) -> dict[str, Array]:
    return experiment.score(experiment.init(keys.weights(seed)), split)


def near_best(scores: ndarray, first: float, mode: str, tolerance: float) -> ndarray:
    """Which scores lack at most that share of what the best gained over the first.

    Errors: ValueError where none is better than the first, or all diverged.
    """
    if not np.isfinite(scores).any():
        raise ValueError(f"all {len(scores)} trainings diverged: wanted lower learning rates")
    sign = 1 if mode == "min" else -1
    costs = np.where(np.isfinite(scores), sign * scores, np.inf)
    if not costs.min() < sign * first:
        raise ValueError(
            f"no training ends better than it starts, at {first:.4g}: wanted more steps, or other "
            "learning rates"
        )
    return costs <= costs.min() + tolerance * (sign * first - costs.min())


def check_tolerance(tolerance: float) -> None:
    """ValueError unless it is a share."""
    if not 0 < tolerance < 1:
        raise ValueError(f"tolerance = {tolerance}: wanted a share in (0, 1)")
