"""What a sweep is asked for, made ready before anything is compiled."""

from typing import Any

import jax

from jaxopt_edu.engine.checks import check_run, evaluations, ranking_split, segment_length
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.search.schedulers import Scheduler, stops_of
from jaxopt_edu.search.trials import Plan
from jaxopt_edu.storage.named import describe

__all__ = ["asked_of", "lane_steps_of", "repeats_of", "settings_of"]


def asked_of(arguments: dict[str, Any], mode: Any, folds: Any) -> dict[str, Any]:
    """The arguments of a sweep as a store keeps them; mode is the one that was found out."""
    told = {name: describe(arguments[name]) for name in ("space", "rungs", "sampler")}
    told |= {"mode": mode, "folds": describe(folds)}
    told["batches"] = arguments["batches"] is not None
    without = ("store", "progress", "mesh", "prefetch")
    kept = {k: told.get(k, x) for k, x in arguments.items() if k not in without}
    return kept | {"x64": bool(jax.enable_x64.value)}


def repeats_of(seed: int, seeds: int, folds: Any) -> tuple[tuple[int, int | None], ...]:
    """The (seed, fold) of each lane of a trial."""
    count = len(folds) if isinstance(folds, list) else folds
    which = range(count) if count else [None]
    return tuple((seed + i, fold) for i in range(seeds) for fold in which)


def settings_of(
    templates: list[Any],
    steps: int,
    metrics: list[str],
    mode: str,
    tile: int | None,
    eval_every: int | None,
    diverge_above: float,
    patience: int | None,
    rungs: Scheduler | None,
    folded: bool,
) -> EvalPlan:
    """What all structures have in common, an experiment of each of them checked."""
    for template in templates:
        lone = template.fold(0) if folded else template
        if folded:
            template.check()
        for metric in metrics:
            splits, names = check_run(lone, steps, metric, tile)
    split = ranking_split(splits)
    final = tuple(s for s in splits if s != "train" or s == split)  # training parts are large
    every = max(segment_length(template, steps, eval_every) for template in templates)
    stops = evaluations(every, steps, stops_of(rungs, steps))
    sign = 1 if mode == "min" else -1
    return EvalPlan(
        stops, split, final, names, diverge_above, metrics[0], sign, patience,
        templates[0].why_done,
    )  # fmt: skip


def lane_steps_of(planned: Plan, rungs: Scheduler | None, repeats: int, steps: int) -> int:
    """How many steps of lanes to expect."""
    if rungs is None:
        return planned.total * steps * repeats
    return sum(n * length for n, length in rungs.expected(planned.total, steps)) * repeats
