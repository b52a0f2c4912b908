"""Execution options of `fit` and `sweep`: mesh, gradient accumulation, data stream."""

import dataclasses
from collections import Counter
from typing import Any

import jax
from jax.sharding import Mesh

from jaxopt_edu.engine.checks import check_numbers, check_space
from jaxopt_edu.optim.priors import Prior
from jaxopt_edu.train import InParts, Training
from jaxopt_edu.values.pytrees import show

__all__ = ["changed", "check_mesh", "check_stream", "with_options"]


def with_options(
    experiment: Any, doing: str, mesh: Any, accumulate: int, batches: Any, tol: Any, store: Any
) -> Any:
    """One experiment as it is run with these options; TypeError or ValueError for what is not."""
    check_space(experiment, doing)
    check_numbers(experiment, doing)
    running = changed(experiment, accumulate, tol)
    check_mesh(mesh, experiment, needed=store is not None or batches is not None)
    if batches is not None:
        check_stream(batches, running)
    return running


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
