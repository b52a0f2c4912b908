"""Parallel coordinates: every trial a line through its hyperparameters to its score."""

import re
import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.axis import Axis, axis_of, varied
from jaxopt_edu.view.plot.figure import (
    BEST,
    DEAD,
    best_sign,
    headline,
    key,
    new_figure,
    of,
    plain,
    score_range,
    sign,
)
from jaxopt_edu.view.plot.importance_bars import importance
from jaxopt_edu.view.plot.scores import diverged, final_scores, ranked, score_name, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_AXES = 9
LACKING = -0.1  # where a line passes the axis of a hyperparameter that its trial does not have


@of(Study)
def plot_parallel(study: Study) -> "Figure":
    """Every trial as a line through its hyperparameters; the last axis is the score.

    Dark is good, the best is bold, dotted lines diverged. What matters most (see `importance`) is
    next to the score. Where a trial does not have a hyperparameter its line passes below the axis.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    axes.spines[:].set_visible(False)
    sides = [*parallel_axes(study), score_axis(study)]
    heights = np.stack([side.unit(side.spread()) for side in sides], axis=1)
    heights = np.clip(np.where(np.isnan(heights), LACKING, heights), LACKING, 1)
    good, dead = ranked(study), diverged(study)
    _lines(axes, heights[dead, :-1], color=DEAD, linestyle=":", alpha=0.5)
    lines = _lines(axes, heights[good[::-1]], cmap="viridis")
    lines.set(array=np.arange(len(good), 0, -1), clim=(1, max(len(good), 2)))
    lines.set_alpha(float(np.clip(40 / max(len(good), 1), 0.05, 0.8)))
    axes.plot(heights[good[:1]].T, color=BEST, linewidth=3)
    lacking = [bool(np.isnan(side.places[good]).any()) for side in sides]
    for i, side in enumerate(sides):
        _side(axes, i, side, lacking[i])
    floor = LACKING - 0.05 if any(lacking) else -0.03
    axes.set(xlim=(-0.2, len(sides) - 0.8), ylim=(floor, 1.03), yticks=[])
    titles = [
        re.sub(r"\.(?=\w)", ".\n", side.title) if side.name else "experiment" for side in sides
    ]
    lines_of = [[textwrap.fill(part, 24) for part in title.split("\n")] for title in titles]
    axes.set_xticks(range(len(sides)), [plain("\n".join(parts)) for parts in lines_of])
    axes.tick_params("x", length=0, labelsize=9)
    signs = [best_sign(study, linestyle="-", linewidth=3)]
    if len(dead):
        signs.append(sign("", f"diverged ({len(dead):,})", color=DEAD, linestyle=":"))
    key(figure, signs)
    few = f" (the {MOST_AXES} that matter most)" if len(study.swept) > len(sides) - 1 else ""
    headline(figure, f"From the hyperparameters{few} to the {score_name(study)}")
    return figure


def parallel_axes(study: Study) -> list[Axis]:
    """What varies, by importance, the largest last; at most MOST_AXES."""
    names = varied(study, importance(study)) or list(study.swept)
    return [axis_of(study, name) for name in names[:MOST_AXES][::-1]]


def score_axis(study: Study) -> Axis:
    """The score as an axis; what is beyond its ends is drawn at them."""
    scores = final_scores(study)
    low, high, log = score_range(scores, study.mode)
    return Axis(score_name(study), np.clip(scores, low, high), None, log)


def _lines(axes: "Axes", heights: np.ndarray, **style: Any) -> Any:
    """Polygonal lines with a node on each axis."""
    from matplotlib.collections import LineCollection

    x = np.arange(heights.shape[1])
    paths = [np.column_stack([x, row]) for row in heights]
    return axes.add_collection(LineCollection(paths, linewidths=1.1, **style), autolim=False)


def _side(axes: "Axes", i: int, side: Axis, lacking: bool) -> None:
    """A vertical axis with its ticks."""
    from matplotlib.patheffects import withStroke

    axes.plot([i, i], [0, 1], color="#222222", linewidth=1.2, zorder=4)
    places, labels = side.ticks()
    heights = side.unit(places)
    if lacking:
        heights, labels = np.append(heights, LACKING), [*labels, "none"]
    for height, label in zip(heights, labels, strict=True):
        axes.plot([i - 0.02, i + 0.02], [height, height], color="#222222", linewidth=1, zorder=4)
        axes.annotate(
            plain(_broken(short(label))), (i, height), (5, 0), textcoords="offset points",
            va="center", zorder=5, fontsize=8.5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )  # fmt: skip


def _broken(title: str) -> str:
    """A name in several lines, the first of which end where its parts do."""
    parts = re.sub(r"\.(?=[^\W\d])", ".\n", title).split("\n")
    return "\n".join(textwrap.fill(part, 24) for part in parts)
