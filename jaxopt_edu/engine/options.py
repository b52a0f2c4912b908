"""Execution options of `fit` and `sweep`: mesh, gradient accumulation, data stream."""

import dataclasses
from collections import Counter
from typing import Any

import jax

from jaxopt_edu.engine import checks
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.optim.priors import Prior
from jaxopt_edu.train import InParts, Sharpness, Training
from jaxopt_edu.values.messages import short


def plan_fit(
    experiment: Any, steps: int, *, metric: str, mode: str, mesh: Any, batches: Any, **options: Any
) -> tuple[Any, EvalPlan]:
    """The experiment as `fit` runs it with these arguments, all of them, and its evaluations.

    Errors: ValueError or TypeError that names the argument which is not what it is to be.
    """
    checks.check_options(**options)
    checks.check_space(experiment, "fit")
    checks.check_numbers(experiment, "fit")
    running = changed(experiment, options["accumulate"], options["tol"])
    check_mesh(mesh, experiment, needed=options["store"] is not None or batches is not None)
    if batches is not None:
        check_stream(batches, running)
    splits, names = checks.check_run(running, steps, metric, None)
    if options["train_curve"] and "train" not in splits:
        raise ValueError(f"train_curve: there is no split train, only {', '.join(splits)}")
    patience = options["patience"]
    mode = checks.mode_for([running], metric, mode, needed=patience is not None)
    every = checks.segment_length(running, steps, options["eval_every"])
    return running, EvalPlan(
        checks.evaluations(every, steps), checks.ranking_split(splits), splits, names,
        options["diverge_above"], metric, mode, patience, running.why_done,
    )  # fmt: skip


def changed(experiment: Any, accumulate: int, tol: float | None) -> Any:
    """The experiment with its gradient in parts, and done at tol, where these were given.

    Errors: TypeError where it has no such thing.
    """
    if tol is not None:
        if not isinstance(experiment, Training):
            name = type(experiment).__name__
            raise TypeError(f"tol: {name} does not track its gradient norm: wanted a Training")
        experiment = dataclasses.replace(experiment, tol=tol)
    if accumulate != 1:
        experiment.check_placement("accumulate")
        estimator = _in_parts(experiment.estimator, accumulate)
        experiment = dataclasses.replace(experiment, estimator=estimator)
    return experiment


def _in_parts(estimator: Any, parts: int) -> Any:
    """The same gradient, taken in parts: a Sharpness goes uphill from the params as a whole."""
    if isinstance(estimator, Sharpness):
        return dataclasses.replace(estimator, of=_in_parts(estimator.of, parts))
    return InParts(parts, of=estimator)


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
    if not isinstance(mesh, jax.sharding.Mesh):
        raise TypeError(f"mesh = {mesh!r}: wanted a mesh, such as jax.make_mesh((8,), ('data',))")
    experiment.check_placement("mesh")
    each = Counter(d.process_index for d in mesh.devices.flat)
    if len({each[process] for process in range(count)}) > 1:
        raise ValueError(
            f"mesh has devices, by process: {dict(each)}; wanted as many of each of the "
            f"{count} of this job"
        )


def check_stream(batches: Any, experiment: Any) -> None:
    """TypeError or ValueError unless the experiment can be trained on a stream of batches."""
    experiment.check_placement("batches")
    if not callable(batches) and not hasattr(batches, "__iter__"):
        raise TypeError(
            f"batches = {short(batches)}: wanted pairs (x, y), or a function that makes them"
        )
    mixes = getattr(experiment.augment, "mixes", False)
    counts = isinstance(experiment.regularizer, Prior)
    for name, wrong, why in (
        ("tol", experiment.tol is not None, "whose gradients are never those of all"),
        ("balanced", experiment.balanced, "which are taken as they come"),
        ("batch_size", experiment.batch_size is not None, "which have their own: wanted None"),
        ("augment", mixes, "whose last ones may be padded: it mixes examples"),
        ("regularizer", counts, "as nobody knows how many examples there are"),
    ):
        if wrong:
            value = short(getattr(experiment, name))
            raise ValueError(f"{name} = {value}: not with batches, {why}")
