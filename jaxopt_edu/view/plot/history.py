"""The score of each trial in their order, and the best so far."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.figure import (
    BEST,
    best_sign,
    headline,
    key,
    mark_best,
    mark_deaths,
    new_figure,
    of,
    plain,
    points,
    scale_scores,
    status_signs,
    tidy,
)
from jaxopt_edu.view.plot.scores import costs, diverged, final_scores, ranked, score_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@of(Study)
def plot_history(study: Study) -> "Figure":
    """The score of each trial in the order of their numbers; the line is the best up to there.

    Trials that were stopped have the score at which they were. Diverged ones are crosses above.
    """
    from matplotlib.ticker import MaxNLocator

    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    order, scores = np.arange(len(study)), final_scores(study)
    scale_scores(axes, scores, study.mode)
    points(axes, study, order, scores)
    axes.step(order, best_so_far(study), where="post", color=BEST, linewidth=2)
    mark_deaths(axes, diverged(study))
    margin = 0.02 * len(study)
    axes.set(xlim=(-margin - 0.5, len(study) - 0.5 + margin), xlabel="trial")
    axes.set_ylabel(plain(score_name(study)))
    mark_best(axes, study, order, scores)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))
    key(figure, [best_sign(study, linestyle="-", linewidth=2), *status_signs(study)])
    headline(figure, history_title(study))
    return figure


def best_so_far(study: Study) -> np.ndarray:
    """The best score of the trials up to each; NaN before the first that has one."""
    best = np.minimum.accumulate(np.where(np.isfinite(costs(study)), costs(study), np.inf))
    return np.where(np.isfinite(best), best, np.nan) * (1 if study.mode == "min" else -1)


def history_title(study: Study) -> str:
    """What one sees."""
    title = f"{score_name(study).capitalize()} of {len(study):,} trial{'s' * (len(study) > 1)}"
    if not len(ranked(study)):
        return f"{title}: none reached one"
    records = np.diff(best_so_far(study)[np.isfinite(best_so_far(study))])
    many = 1 + np.count_nonzero(records)
    words = f"{many} records, the last" if many > 1 else "one record,"
    return f"{title}: {words} by trial {ranked(study)[0]}"
