"""Criteria: the scores by which a sweep ranks and samples, and the direction of each."""

from typing import Any

from jaxopt_edu.engine.checks import check_run, mode_for
from jaxopt_edu.nn.scores import AUTO, check_mode
from jaxopt_edu.search.trials import plan
from jaxopt_edu.values.space import groups


def objectives(space: Any, metric: Any, mode: Any, steps: int) -> tuple[list[str], list[str]]:
    """The scores, the first of which ranks, and the mode of each: min or max.

    Errors: ValueError for a score that comes twice or whose direction nobody knows.
    """
    metrics = [metric] if isinstance(metric, str) else list(metric)
    modes = [mode] * len(metrics) if isinstance(mode, str) else list(mode)
    if not metrics or len(modes) != len(metrics):
        raise ValueError(f"mode = {mode!r}: wanted one for each metric of {metrics}")
    for name, one in zip(metrics, modes, strict=True):
        check_mode(one)
        if metrics.count(name) > 1:
            raise ValueError(f"metric = {metric!r} names {name!r} twice")
    given = isinstance(space, list | tuple) and not hasattr(space, "_fields")
    experiments = list(space) if given else [group.experiment for group in groups(space)]
    try:
        return metrics, [mode_for(experiments, *pair) for pair in zip(metrics, modes, strict=True)]
    except ValueError:
        if AUTO in modes:  # an unknown metric is named as that
            for template in plan(space, None, 0, "random").templates():
                for name in metrics:
                    check_run(template, steps, name, None)
        raise
