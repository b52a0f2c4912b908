"""What can be said about a run before anything is compiled."""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax import random

from jaxopt_edu.names import hyperparameters, vectors
from jaxopt_edu.space import OneOf, structural
from jaxopt_edu.value import StandIn, check_count, nearest

TRAINING_LOSS = "training_loss"  # scored at every stop where a state has a loss


def check_numbers(experiment: Any, doing: str) -> None:
    """TypeError where a distribution stands in the place of a number, or a batch of optimizers."""
    for name, x in vectors(getattr(experiment, "optimizer", None)):
        raise TypeError(
            f"optimizer.{name} is a vector of {len(x)} numbers, a batch: {doing} runs "
            "one experiment; `sweep` many"
        )
    numbers = hyperparameters(experiment).items()
    for name, x in (
        *((n, x) for n, x in numbers if isinstance(x, StandIn)),
        *structural(experiment),
    ):
        what = "" if isinstance(x, OneOf) else " is not a number"
        raise TypeError(
            f"{name or 'experiment'} = {x!r}{what}: {doing} runs one experiment; `sweep` a space"
        )


def check_run(
    experiment: Any, steps: int, metric: str, tile: int | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(splits, names of scores) of a runnable experiment, or an error that says what is wrong.

    Shapes are followed through init, step and score without computing anything.
    """
    check_count("steps", steps)
    if tile is not None:
        check_count("tile", tile)
    for method in ("init", "step", "score"):
        if not hasattr(experiment, method):
            raise TypeError(f"{type(experiment).__name__} has no {method}: it is no experiment")
    if hasattr(experiment, "check"):
        experiment.check()

    splits = splits_of(experiment)

    state: Any
    new: Any
    with _naming_vectors(experiment):
        state, new, scores = _walk.eval_shape(experiment, np.uint32(0), split=splits[0])
        _check_state(state, new)
    if metric not in scores:
        raise ValueError(f"unknown metric {metric!r}; {nearest(metric, scores)}")
    watched = (TRAINING_LOSS,) if hasattr(state, "loss") else ()
    return splits, (*scores, *watched)


@contextlib.contextmanager
def _naming_vectors(experiment: Any) -> Iterator[None]:
    """Says of what does not run that it has vectors where numbers are declared."""
    try:
        yield
    except (TypeError, ValueError) as error:
        given = [f"{name} ({len(x)} numbers)" for name, x in vectors(experiment)]
        if not given:
            raise
        raise TypeError(
            f"{', '.join(given)}: a vector where a number is declared, with which the experiment "
            f"does not run; `sweep` takes a batch of experiments. It says: {error}"
        ) from error


def _check_state(state: Any, new: Any) -> None:
    """TypeError where a step changes the structure, a shape or a dtype of the state."""
    before: Any = jax.tree.structure(state)
    after: Any = jax.tree.structure(new)
    if before != after:
        raise TypeError(f"step changes the structure of the state: {before} became {after}")
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(state), jax.tree.leaves(new), strict=True
    ):
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            raise TypeError(
                f"step changes state{jax.tree_util.keystr(path)}: {x.dtype}{list(x.shape)} "
                f"became {y.dtype}{list(y.shape)}"
            )


@functools.partial(jax.jit, static_argnames="split")
def _walk(experiment: Any, seed: Any, split: str) -> Any:
    """State, next state and scores. Only traced; jit remembers the shapes of what it has seen."""
    state = experiment.init(random.key(seed))
    new = experiment.step(state, np.int32(0), random.key(seed))
    return state, new, experiment.score(new, split)


def splits_of(experiment: Any) -> tuple[str, ...]:
    """The splits an experiment scores; an experiment that does not say has a validation only."""
    return tuple(getattr(experiment, "splits", ("validation",)))


def ranking_split(splits: tuple[str, ...]) -> str:
    """The split whose scores rank trials and stop runs."""
    return "validation" if "validation" in splits else splits[0]


def check_mode(mode: str) -> None:
    """ValueError unless mode is min or max."""
    if mode not in ("min", "max"):
        raise ValueError(f"mode = {mode!r}: wanted 'min' or 'max'")


def evaluations(every: int, steps: int, more: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The steps at which lanes are scored: multiples of `every`, some more, and the last."""
    return tuple(sorted({*range(every, steps, every), *more, steps}))


def segment_length(experiment: Any, steps: int, eval_every: int | None) -> int:
    """Steps from one evaluation to the next: as asked, or a twentieth of all.

    Where an experiment has a `least_segment`, it is at least that, so that evaluations stay cheap.
    """
    if eval_every is None:
        return min(steps, max(-(-steps // 20), getattr(experiment, "least_segment", 1)))
    check_count("eval_every", eval_every)
    return eval_every
