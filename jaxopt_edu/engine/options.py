"""Execution options of `fit` and `sweep`: mesh, gradient accumulation, data stream."""

import dataclasses
from collections import Counter
from typing import Any

import jax
from jax.sharding import Mesh

from jaxopt_edu.engine.checks import (
    check_numbers,
    check_options,
    check_run,
    check_space,
    evaluations,
    mode_for,
    ranking_split,
    segment_length,
)
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.optim.priors import Prior
from jaxopt_edu.train import InParts, Training
from jaxopt_edu.values.pytrees import show

__all__ = ["changed", "check_mesh", "check_stream", "plan_fit"]


def plan_fit(
    experiment: Any,
    steps: int,
    *,
    metric: str,
    mode: str,
    tol: float | None,
    patience: int | None,
    eval_every: int | None,
    train_curve: bool,
    diverge_above: float,
    mesh: Any,
    accumulate: int,
    batches: Any,
    **others: Any,
) -> tuple[Any, EvalPlan]:
    """The experiment as `fit` runs it with these arguments, all of them, and its evaluations.

    Errors: ValueError or TypeError that names the argument which is not what it is to be.
    """
    check_options(
        tol=tol, patience=patience, eval_every=eval_every, train_curve=train_curve,
        diverge_above=diverge_above, accumulate=accumulate, **others,
    )  # fmt: skip
    check_space(experiment, "fit")
    check_numbers(experiment, "fit")
    running = changed(experiment, accumulate, tol)
    check_mesh(mesh, experiment, needed=others["store"] is not None or batches is not None)
    if batches is not None:
        check_stream(batches, running)
    splits, names = check_run(running, steps, metric, None)
    if train_curve and "train" not in splits:
        raise ValueError(f"train_curve: there is no split train, only {', '.join(splits)}")
    mode = mode_for([running], metric, mode, needed=patience is not None)
    stops = evaluations(segment_length(running, steps, eval_every), steps)
    sign = 1 if mode == "min" else -1
    return running, EvalPlan(
        stops, ranking_split(splits), splits, names, diverge_above, metric, sign, patience,
        running.why_done,
    )  # fmt: skip


def changed(experiment: Any, accumulate: int, tol: float | None) -> Any:
    """The experiment with its gradient in parts, and done at tol, where these were given.

    Errors: TypeError where it has no such thing.
    """
    name = type(experiment).__name__
    if tol is not None:
        if not isinstance(experiment, Training):
            raise TypeError(f"tol: {name} does not track its gradient norm: wanted a Training")
        experiment = dataclasses.replace(experiment, tol=tol)
    if accumulate != 1:
        experiment.check_placement("accumulate")
        parts = InParts(accumulate, of=experiment.estimator)
        experiment = dataclasses.replace(experiment, estimator=parts)
    return experiment


def check_mesh(mesh: Any, experiment: Any, needed: bool) -> None:
    """TypeError or ValueError unless it is a mesh of as many devices of each process of the job.

    needed: whether a job of several processes has to have one.
    """
    count = jax.process_count()
    if mesh is None:
        if count > 1 and needed:
            raise ValueError(
                f"mesh: this job has {count} processes: give a mesh of all its devices, "
                "jax.make_mesh((jax.device_count(),), ('data',))"
            )
        return
    if not isinstance(mesh, Mesh):
        example = "jax.make_mesh((8,), ('data',))"
        raise TypeError(f"mesh = {mesh!r}: wanted a mesh, such as {example}")
    experiment.check_placement("mesh")
    each = Counter(d.process_index for d in mesh.devices.flat)
    if set(each) != set(range(count)) or len(set(each.values())) > 1:
        raise ValueError(
            f"mesh has devices, by process: {dict(each)}; wanted as many of each of the "
            f"{count} of this job"
        )


def check_stream(batches: Any, experiment: Any) -> None:
    """TypeError or ValueError unless the experiment can be trained on a stream of batches."""
    experiment.check_placement("batches")
    if not callable(batches) and not hasattr(batches, "__iter__"):
        raise TypeError(
            f"batches = {show(batches)}: wanted pairs (x, y), or a function that makes them"
        )
    if experiment.tol is not None:
        raise ValueError(
            f"tol = {experiment.tol}: not with batches, whose gradients are never those of all"
        )
    if experiment.balanced:
        raise ValueError("balanced: not with batches, which are taken as they come")
    if experiment.batch_size is not None:
        raise ValueError(
            f"batch_size = {experiment.batch_size}: with batches it is None, as they say "
            "themselves how many rows they have"
        )
    if getattr(experiment.augment, "mixes", False):
        raise ValueError(
            f"augment = {show(experiment.augment)} mixes examples: not with batches, whose last "
            "ones may be padded"
        )
    if isinstance(experiment.regularizer, Prior):
        raise ValueError(
            f"regularizer = {show(experiment.regularizer)}: not with batches, as nobody knows how "
            "many examples there are"
        )
