"""Where in the space trials diverged."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.axis import Axis, column_of, pair, scale
from jaxopt_edu.view.plot.contour import GRID, smooth
from jaxopt_edu.view.plot.figure import (
    BEST,
    headline,
    key,
    new_figure,
    nothing,
    of,
    points,
    status_signs,
    tidy,
)
from jaxopt_edu.view.plot.importance_bars import importance_of_divergence
from jaxopt_edu.view.plot.scores import diverged

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@of(Study)
def plot_divergence(study: Study, x: str | None = None, y: str | None = None) -> "Figure":
    """What became of each trial over two hyperparameters; red is the share that diverged near by.

    x, y: their names; by default those that tell best which trials diverged.
    Errors: ValueError for a name that was not swept.
    """
    from matplotlib.colors import LinearSegmentedColormap

    figure = new_figure()
    headline(figure, divergence_title(study))
    axes_of = pair(study, column_of(study, x), column_of(study, y), importance_of_divergence(study))
    if not axes_of:
        nothing(figure, "no hyperparameter has more than one value")
        return figure
    axes = figure.add_subplot()
    tidy(axes)
    right, up = axes_of[0], (axes_of[1:] or [by_trial(study)])[0]
    scale(axes, "x", right)
    scale(axes, "y", up)
    share = smooth(right, up, dead_or_alive(study), GRID)
    reds = LinearSegmentedColormap.from_list("dead", ["white", BEST])
    drawn = axes.pcolormesh(
        right.grid(GRID), up.grid(GRID), share, shading="nearest", cmap=reds, vmin=0, vmax=1,
        alpha=0.8, rasterized=True,
    )  # fmt: skip
    bar = figure.colorbar(drawn, ax=axes, pad=0.01, label="share that diverged near by")
    bar.ax.yaxis.set_major_formatter("{x:.0%}")
    xs, ys = right.spread(), up.spread()
    points(axes, study, xs, ys)
    dead = diverged(study)
    axes.plot(xs[dead], ys[dead], "x", color="black", markersize=5, alpha=0.8)
    key(figure, status_signs(study))
    return figure


def by_trial(study: Study) -> Axis:
    """The number of a trial as an axis, where there is no second hyperparameter."""
    return Axis("trial", np.arange(len(study), dtype=float))


def dead_or_alive(study: Study) -> np.ndarray:
    """1 for each trial that diverged, else 0."""
    return np.isin(np.arange(len(study)), diverged(study)).astype(float)


def divergence_title(study: Study) -> str:
    """What one sees."""
    dead = diverged(study)
    if not len(dead):
        return "No trial diverged"
    middle = int(np.median(study.columns["steps"][dead]))
    return f"{len(dead):,} of {len(study):,} trials diverged, half of them by step {middle:,}"
