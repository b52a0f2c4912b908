"""An experiment's three functions, each traced once: for the checks and for all programs."""

import functools
from typing import Any

import jax
from jax import Array

from jaxopt_edu.values import keys


@jax.jit
def init(experiment: Any, seed: Any) -> Any:
    """The state before the first step."""
    return experiment.init(keys.weights(seed))


@jax.jit
def step(experiment: Any, state: Any, t: Any, key: Array) -> Any:
    """The state after step t, and what the step tells."""
    return experiment.step(state, t, key)


@functools.partial(jax.jit, static_argnames="split")
def score(experiment: Any, state: Any, split: str) -> dict[str, Array]:
    """The scores of a state on a split."""
    return experiment.score(state, split)
