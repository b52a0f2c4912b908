"""Hypergradients: the derivative of a training's score by its hyperparameters."""

import dataclasses
import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxopt_edu.engine.checks import check_numbers, check_run, ranking_split
from jaxopt_edu.values import keys, tree
from jaxopt_edu.values.names import hyperparameters, is_constant, smooth_numbers
from jaxopt_edu.values.pytrees import check_seed, resolve_among, show


def hypergradient(
    experiment: Any, steps: int, seed: Any = 0, *, metric: str = "loss", split: str | None = None
) -> tuple[Array, Any]:
    """The score after a training, and its derivative by every float hyperparameter.

    Formula: with s_0 = init(e, key), s_{t+1} = step(e, s_t, t, key) and F = score(e, s_T),
            dF/de = @F/@e + @F/@s_T ds_T/de,   ds_{t+1}/de = @step/@e + @step/@s_t ds_t/de,
        computed in reverse through all T steps.
    Shapes: the gradient has the shape of the experiment, with None for what is no such number:
        data, ints, bools, and numbers declared with smooth=False (the dropout rate, the betas of
        lion, the boundaries of a schedule), in which the training jumps, so that a derivative says
        nothing. Arrays of floats outside of the data are numbers too. `jo.hyperparameters` names
        what there is. An experiment whose numbers are vectors goes through `jax.vmap`.
    split: of the score; by default the one that ranks in a sweep (validation where there is one).
    metric: should change smoothly with the state: by the accuracy, which jumps, all is 0.
    Trains as `fit(experiment, steps, seed=seed)` does, from the same weights on the same batches,
        but to the end: a training that `fit` breaks off as diverged has a score that is huge, or
        no number, and so has its gradient.
    Cost: about 2 sqrt(T) states are kept, and what one step computes: an MLP 64-32-10 with Adam
        takes 0.7, 1.3 and 2.4 MiB for 100, 400 and 1600 steps of 32 examples, where keeping all
        takes 15, 56 and 220; and four times as long as its `fit`.
    Where it misleads: where training is chaotic, as at large learning rates, the product of the
        step's Jacobians grows exponentially with T. The derivative is then right, and useless: it
        holds in a neighbourhood too small to step in (Metz et al. 2019, 2021).
    Errors: ValueError or TypeError that names the argument, before anything is compiled.
    Source: Bengio 2000, Gradient-based optimization of hyperparameters; Maclaurin, Duvenaud & Adams
        2015, arXiv:1502.03492; Griewank & Walther 2000 (checkpoints); on chaos Metz et al. 2019,
        arXiv:1810.10180, and Metz, Freeman, Schoenholz & Kachman 2021, arXiv:2111.05803.
    Agrees with: central differences of the scores of `sweep`, 1e-6 relative in float64.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.01),
    ...     data=jo.data.load("linear"),
    ... )
    >>> score, gradient = jo.hypergradient(experiment, steps=20)
    >>> gradient.optimizer.learning_rate < 0  # a larger one would do better
    Array(True, dtype=bool)
    """
    check_numbers(experiment, "hypergradient")
    if not isinstance(seed, jax.Array):
        seed = np.uint32(check_seed(seed))
    elif seed.ndim or not jnp.issubdtype(seed.dtype, jnp.integer):
        raise ValueError(f"seed is {show(seed)}: wanted an integer")
    score = final_score(experiment, steps, metric, split)
    numbers, rest = separate(experiment)
    if not jax.tree.leaves(numbers):
        raise ValueError(f"{type(experiment).__name__} has no float hyperparameter to derive by")
    return _score_and_gradient(numbers, rest, seed, score)


# ------------------------------------------------------------------------------- the training


@dataclasses.dataclass(frozen=True)
class FinalScore:
    """A score after the training that `fit` does, as a function of the experiment and the seed."""

    steps: int
    metric: str
    split: str

    def __call__(self, experiment: Any, seed: Any) -> Array:
        return experiment.score(train(experiment, self.steps, seed), self.split)[self.metric]


def final_score(experiment: Any, steps: int, metric: str, split: str | None) -> FinalScore:
    """The score by its arguments, or the error that says what is wrong with them."""
    splits, _ = check_run(experiment, steps, metric, None)
    split = ranking_split(splits) if split is None else split
    resolve_among("split", split, splits)
    return FinalScore(steps, metric, split)


@functools.partial(jax.jit, static_argnames="score")
def _score_and_gradient(numbers: Any, rest: Any, seed: Any, score: FinalScore) -> Any:
    return jax.value_and_grad(lambda numbers: score(join(numbers, rest), seed))(numbers)


def train(experiment: Any, steps: int, seed: Any) -> Any:
    """The state after the training that `fit` does, to be differentiated in square-root memory.

    A scan over segments of isqrt(steps) steps. Going forward, only the state before each segment is
    kept; going back, a segment is run again to have the state before each of its steps, and each
    step once more for what its derivative needs. The steps that make no whole segment come last.
    """
    again = functools.partial(jax.checkpoint, prevent_cse=False)  # within a scan nothing is merged
    key = keys.order(seed)
    length = math.isqrt(steps)
    whole = steps // length * length
    t = jnp.arange(steps, dtype=jnp.int32)

    @again
    def step(state, t):
        return experiment.step(state, t, key)[0], None

    @again
    def segment(state, t):
        return lax.scan(step, state, t)

    state, _ = lax.scan(segment, experiment.init(keys.weights(seed)), t[:whole].reshape(-1, length))
    return lax.scan(step, state, t[whole:])[0]


# ----------------------------------------------------------- what there is to differentiate by


def separate(experiment: Any) -> tuple[Any, Any]:
    """(numbers, rest): the experiment with its differentiable numbers alone, and without them.

    Where one has something the other has None; numbers are arrays of the dtype they have in `fit`.
    """
    leaves, structure = jax.tree.flatten(experiment, is_leaf=is_constant)
    smooth = smooth_numbers(experiment)
    names = iter(hyperparameters(experiment))
    numbers, rest = [], []
    for leaf in leaves:
        number = not is_constant(leaf) and next(names) in smooth and tree.is_float(leaf)
        numbers.append(strong(leaf) if number else None)
        rest.append(None if number else leaf if is_constant(leaf) else strong(leaf))
    return jax.tree.unflatten(structure, numbers), jax.tree.unflatten(structure, rest)


def join(numbers: Any, rest: Any) -> Any:
    """The inverse of `separate`."""
    return tree.map(lambda x, y: y if x is None else x, numbers, rest, is_leaf=lambda x: x is None)


def strong(x: Any) -> Array:
    """x as an array, without the weak type of a Python number."""
    return jnp.asarray(x, jnp.result_type(x))
