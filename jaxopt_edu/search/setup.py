"""What a sweep is asked for, checked and made ready before anything is compiled."""

import math
import warnings
from collections.abc import Iterable
from typing import Any

from jaxopt_edu.engine.checks import check_run, mode_for, ranking_split
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.nn.scores import AUTO
from jaxopt_edu.search.schedulers import NoRungs, Scheduler
from jaxopt_edu.search.trials import NOT_NAMED, TrialGroup, plan
from jaxopt_edu.values.space import groups


def objectives(space: Any, metric: Any, mode: Any, steps: int) -> tuple[list[str], list[str]]:
    """The scores, the first of which ranks, and the mode of each: min or max.

    Errors: ValueError for a score that comes twice or whose direction nobody knows.
    """
    metrics = [metric] if isinstance(metric, str) else list(metric)
    modes = [mode] * len(metrics) if isinstance(mode, str) else list(mode)
    if len(modes) != len(metrics):
        raise ValueError(f"mode = {mode!r}: wanted one for each metric of {metrics}")
    for name in metrics:
        if metrics.count(name) > 1:
            raise ValueError(f"metric = {metric!r} names {name!r} twice")
    given = isinstance(space, list | tuple) and not hasattr(space, "_fields")
    experiments = list(space) if given else [group.experiment for group in groups(space)]
    try:
        return metrics, [mode_for(experiments, *pair) for pair in zip(metrics, modes, strict=True)]
    except ValueError:
        if AUTO in modes:  # an unknown metric is named as that
            planned = plan(space, None, 0, "random")
            check_structures([one.template for one in planned.structures], steps, metrics)
        raise


# ------------------------------------------------------------------------------ evaluations


def on_fold(experiment: Any, fold: int | None) -> Any:
    """An experiment as a lane trains it: on one of its folds, where it has folds."""
    return experiment if fold is None else experiment.fold(fold)


def check_structures(
    experiments: Iterable[Any], steps: int, metrics: list[str], tile: int | None = None
) -> tuple[str, ...]:
    """The names of the scores, or the error that says what is wrong with an experiment."""
    for experiment in experiments:
        for metric in metrics:
            _, names = check_run(experiment, steps, metric, tile)
    return names


def eval_plan(
    experiment: Any, names: tuple[str, ...], stops: tuple[int, ...], metric: str, mode: str,
    diverge_above: float, patience: int | None,
) -> EvalPlan:  # fmt: skip
    """What all structures have in common: scores of these names at these steps."""
    split = ranking_split(experiment.splits)
    final = tuple(s for s in experiment.splits if s != "train" or s == split)  # large
    return EvalPlan(
        stops, split, final, names, diverge_above, metric, mode, patience, experiment.why_done
    )


def plan_of(study: Any, templates: Iterable[Any]) -> EvalPlan:
    """The same for structures that are trained as they were in a study."""
    experiments = [on_fold(template, 0 if study.folds else None) for template in templates]
    return eval_plan(
        experiments[0], check_structures(experiments, study.steps, [study.metric]),
        tuple(study.evaluations.tolist()), study.metric, study.mode,
        study.diverge_above, study.patience,
    )  # fmt: skip


def check_named(batch: TrialGroup, doing: str) -> None:
    """ValueError where a study that was loaded lacks what it takes to train a structure."""
    batch.experiment(0)
    for name, was in batch.unnamed.items():
        raise ValueError(f"{doing}: {NOT_NAMED.format(name, was)}")


# ------------------------------------------------------------------------------------ rungs


def settled(rungs: Scheduler | None, steps: int, experiments: Iterable[Any]) -> Scheduler:
    """The policy with its defaults filled in for these experiments.

    Scores say more than noise after an epoch (`steps_per_epoch`); where there are no batches, after
    a fortieth of all steps. Warns of a policy that judges earlier than the slowest experiment
    wants, or never.
    """
    if rungs is None:
        return NoRungs()
    epochs = (experiment.steps_per_epoch for experiment in experiments)
    least = max(math.ceil(steps / 40) if epoch is None else epoch for epoch in epochs)
    if hasattr(rungs, "settled"):
        rungs = rungs.settled(steps, least)
    first = min(rungs.stops(steps), default=None)
    if first is None:
        why = f"judges no trial: its first rung is not below steps = {steps}"
        why += f" (an epoch has {least})" if least >= steps else ""
    else:
        why = (
            f"judges at step {first}, where scores are mostly noise: wanted at least {least} "
            "steps (an epoch, or a fortieth of all steps where there are no batches)"
        )
    if first is None or first < least:
        warnings.warn(f"rungs: {rungs!r} {why}", stacklevel=4)
    return rungs
