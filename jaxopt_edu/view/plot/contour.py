"""The score over two hyperparameters, smoothed into a map."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.axis import Axis, column_of, pair, scale
from jaxopt_edu.view.plot.figure import (
    best_sign,
    headline,
    key,
    log_ticks,
    mark_best,
    new_figure,
    nothing,
    of,
    plain,
    points,
    score_range,
    status_signs,
)
from jaxopt_edu.view.plot.importance_bars import importance
from jaxopt_edu.view.plot.scores import diverged, final_scores, ranked, score_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID = 80
NEAR = 0.5  # the weight of trials that a place of the map needs: that of one at 1.2 bandwidths


@of(Study)
def plot_contour(study: Study, x: str | None = None, y: str | None = None) -> "Figure":
    """The score over two hyperparameters as a map, dark where it is good, under the trials.

    x, y: their names; by default those that matter most (see `importance`).
    The map is `smooth`; it is white where no trial is near. A choice has a strip for each value.
    Errors: ValueError for a name that was not swept.
    """
    figure = new_figure()
    axes_of = pair(study, column_of(study, x), column_of(study, y), importance(study))
    if len(axes_of) < 2:
        nothing(figure, "there are no two hyperparameters with more than one value")
        headline(figure, f"{score_name(study).capitalize()}: no map")
        return figure
    axes = figure.add_subplot()
    right, up = axes_of
    scale(axes, "x", right)
    scale(axes, "y", up)
    if len(ranked(study)):
        _draw(figure, axes, study, right, up)
    xs, ys = right.spread(), up.spread()
    points(axes, study, xs, ys, ink="black")
    axes.plot(xs[diverged(study)], ys[diverged(study)], "x", color="black", markersize=4.5)
    mark_best(axes, study, xs, ys)
    key(figure, [best_sign(study), *status_signs(study, ink="black")])
    headline(figure, f"{score_name(study).capitalize()} over {right.title} and {up.title}")
    return figure


def smooth(right: Axis, up: Axis, values: np.ndarray, count: int) -> np.ndarray:
    """Values of trials as a map, (places along up, places along right); NaN far from all trials.

    Formula: sum_i w_i v_i / sum_i w_i,  w_i = exp(-d_i^2 / (2 h^2)),  h = 0.29 n^(-1/6),
        d_i the distance of trial i in units of the axes; on the axis of a choice only the same
        value counts. 0.29 is the standard deviation of numbers spread evenly from 0 to 1.
    Source: Nadaraya 1964 and Watson 1964 for the mean; Scott 1992, Multivariate Density
        Estimation, for the bandwidth h.
    """
    known = np.isfinite(right.places) & np.isfinite(up.places) & np.isfinite(values)
    bandwidth = 0.29 * max(int(known.sum()), 1) ** (-1 / 6)
    wx, wy = (_weights(axis, known, bandwidth, count) for axis in (right, up))
    total = wy @ wx.T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(total > NEAR, (wy * values[known]) @ wx.T / total, np.nan)


def _weights(axis: Axis, known: np.ndarray, bandwidth: float, count: int) -> np.ndarray:
    """How near each trial is to each place of an axis."""
    places, grid = axis.places[known], axis.grid(count)
    if axis.values is not None:
        return (grid[:, None] == places).astype(float)
    distance = (axis.unit(grid)[:, None] - axis.unit(places)) / bandwidth
    return np.exp(-0.5 * distance**2)


def score_map(study: Study, right: Axis, up: Axis, count: int) -> np.ndarray:
    """The score as a map; geometric means where the score has a logarithmic axis."""
    low, high, log = score_range(final_scores(study), study.mode)
    scores = np.clip(final_scores(study), low, high)
    return (
        np.exp(smooth(right, up, np.log(scores), count))
        if log
        else smooth(right, up, scores, count)
    )


def _draw(figure: "Figure", axes: "Axes", study: Study, right: Axis, up: Axis) -> None:
    from matplotlib.colors import LogNorm, Normalize

    low, high, log = score_range(final_scores(study), study.mode)
    norm = LogNorm(low, high) if log else Normalize(low, high)
    z = score_map(study, right, up, GRID)
    cmap = "viridis" if study.mode == "min" else "viridis_r"
    xs, ys = right.grid(GRID), up.grid(GRID)
    drawn = axes.pcolormesh(
        xs, ys, z, norm=norm, cmap=cmap, shading="nearest", alpha=0.75, rasterized=True
    )
    if right.values is None and up.values is None and np.isfinite(z).sum() > 4:
        axes.contour(xs, ys, z, 8, colors="white", linewidths=0.9)
    mean = f"{score_name(study)}, mean of trials near by"
    bar = figure.colorbar(drawn, ax=axes, pad=0.01, label=plain(mean))
    if log:
        log_ticks(bar.ax.yaxis, low, high)
