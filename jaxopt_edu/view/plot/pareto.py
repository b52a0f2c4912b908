"""Two scores against each other, and the trials that no other beats in both."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.values.pytrees import resolve_among
from jaxopt_edu.view.plot.figure import (
    BEST,
    best_sign,
    headline,
    key,
    log_ticks,
    mark_best,
    new_figure,
    of,
    plain,
    points,
    score_range,
    sign,
    status_signs,
    tidy,
)
from jaxopt_edu.view.plot.scores import direction, score_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@of(Study)
def plot_pareto(
    study: Study, x: str, y: str, x_mode: str | None = None, y_mode: str | None = None
) -> "Figure":
    """Two columns of scores against each other; the line joins the trials that none beats in both.

    x, y: columns of the table, such as "validation_loss", or "steps".
    x_mode, y_mode: whether small ("min") or large ("max") is good. By default small for losses,
        errors, norms and steps, large for other scores; what ranks goes by the study's mode.
    Errors: ValueError for a column that there is not.
    """
    for argument, name in (("x", x), ("y", y)):
        resolve_among(argument, name, [*score_columns(study), "steps"])
    modes = (x_mode or direction(study, x), y_mode or direction(study, y))
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    xs, ys = (np.asarray(study.columns[name], float) for name in (x, y))
    front = pareto_front(xs, ys, modes)
    points(axes, study, xs, ys)
    axes.step(
        xs[front], ys[front], where="post", color=BEST, linewidth=1.8, marker="o", markersize=7,
        zorder=4,
    )  # fmt: skip
    for letter, name, values, mode in (("x", x, xs, modes[0]), ("y", y, ys, modes[1])):
        low, high, log = score_range(values, mode)
        margin = 0.04 * (high - low)
        ends = (low * 0.9, high * 1.1) if log else (low - margin, high + margin)
        if log:
            axes.set(**{f"{letter}scale": "log"})
            log_ticks(getattr(axes, f"{letter}axis"), low, high)
        good = "small" if mode == "min" else "large"
        label = f"{name.replace('_', ' ')} ({good} is good)"
        axes.set(**{f"{letter}lim": ends, f"{letter}label": plain(label)})
    mark_best(axes, study, xs, ys)
    words = f"not beaten in both ({len(front):,})"
    front_sign = sign("o", words, color=BEST, linestyle="-", linewidth=1.8)
    key(figure, [best_sign(study), front_sign, *status_signs(study)])
    headline(figure, pareto_title(x, y, len(front), len(study)))
    return figure


def pareto_front(x: np.ndarray, y: np.ndarray, modes: tuple[str, str]) -> np.ndarray:
    """The trials that no other beats in one score without losing in the other, by x from its best.

    Of trials that are equal in both the first stands for all.
    """
    cost_x, cost_y = (v if mode == "min" else -v for v, mode in zip((x, y), modes, strict=True))
    known = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
    order = known[np.lexsort((cost_y[known], cost_x[known]))]
    before = np.minimum.accumulate(np.concatenate([[np.inf], cost_y[order]]))[:-1]
    return order[cost_y[order] < before]


def pareto_title(x: str, y: str, front: int, count: int) -> str:
    """What one sees."""
    names = f"{x.replace('_', ' ')} and {y.replace('_', ' ')}"
    are = "is" if front == 1 else "are"
    return f"{names.capitalize()}: {front:,} of {count:,} trials {are} unbeaten"
