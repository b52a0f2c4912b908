"""An experiment's three functions, each traced once: for the checks and for all programs."""

import functools
from typing import Any

import jax
import numpy as np
from jax import Array

from jaxopt_edu.values import keys


def like_a_lane(experiment: Any) -> Any:
    """The experiment with numbers of the dtypes that a lane's have, as JAX tells them apart."""

    def number(x: Any) -> Any:
        return x if hasattr(x, "dtype") else np.asarray(x, jax.dtypes.canonicalize_dtype(type(x)))

    return jax.tree.map(number, experiment)


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
