"""The score against each hyperparameter by itself."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.axis import Axis, axis_of, scale, varied
from jaxopt_edu.view.plot.figure import (
    BEST,
    best_sign,
    headline,
    key,
    mark_best,
    mark_deaths,
    new_figure,
    nothing,
    of,
    plain,
    points,
    scale_scores,
    sign,
    status_signs,
    tidy,
)
from jaxopt_edu.view.plot.importance_bars import importance
from jaxopt_edu.view.plot.scores import diverged, final_scores, score_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS, BINS = 12, 8


@of(Study)
def plot_slices(study: Study) -> "Figure":
    """A panel for each hyperparameter: the score of each trial against its value.

    The line goes through the medians of bins of trials. What matters most comes first.
    """
    figure = new_figure()
    names = sliced(study)
    if not names:
        nothing(figure, "no hyperparameter has more than one value")
    rows = 1 if len(names) < 4 else 2 if len(names) < 7 else 3
    for i, name in enumerate(names):
        axes = figure.add_subplot(rows, -(-len(names) // rows), i + 1)
        _draw(axes, study, axis_of(study, name))
        if i % -(-len(names) // rows) == 0:
            axes.set_ylabel(plain(score_name(study)))
        else:
            axes.tick_params("y", which="both", labelleft=False)
    medians = sign("", "median of trials with similar values", color=BEST, linestyle="-")
    key(figure, [best_sign(study), medians, *status_signs(study)], columns=2)
    count = len(varied(study, study.swept))
    few = f" (the {len(names)} of {count} that matter most)" if count > len(names) else ""
    headline(figure, f"{score_name(study).capitalize()} against each hyperparameter{few}")
    return figure


def sliced(study: Study) -> list[str]:
    """The names that have a panel, the most important first."""
    return varied(study, importance(study))[:MOST_PANELS]


def medians(study: Study, axis: Axis) -> tuple[np.ndarray, np.ndarray]:
    """The median place and score in bins of equally many trials; of a choice, of each value."""
    scored = np.flatnonzero(np.isfinite(axis.places) & np.isfinite(final_scores(study)))
    x, scores = axis.places[scored], final_scores(study)[scored]
    order = np.argsort(x, kind="stable")
    if len(np.unique(x)) <= BINS or axis.values is not None:
        parts = [np.flatnonzero(x == value) for value in np.unique(x)]
    else:
        parts = np.array_split(order, min(BINS, len(order)))
    places = np.array([np.median(x[part]) for part in parts])
    return places, np.array([np.median(scores[part]) for part in parts])


def _draw(axes: "Axes", study: Study, axis: Axis) -> None:
    tidy(axes)
    scale(axes, "x", axis)
    scores, x = final_scores(study), axis.spread()
    scale_scores(axes, scores, study.mode)
    points(axes, study, x, scores)
    places, middles = medians(study, axis)
    joined: dict[str, Any] = (
        {"linestyle": "-"} if axis.values is None else {"linestyle": "", "marker": "_"}
    )
    axes.plot(places, middles, color=BEST, linewidth=1.8, markersize=22, markeredgewidth=2.5,
              **joined)  # fmt: skip
    mark_best(axes, study, x, scores)
    dead = diverged(study)
    mark_deaths(axes, x[dead[np.isfinite(x[dead])]])
