"""A beeswarm: the attributions of every example, by feature, coloured by the feature's value."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.view.plot.attributions import checked, checked_like, largest, names_of, of_all, rows
from jaxopt_edu.view.plot.figure import headline, new_figure, tidy
from jaxopt_edu.view.plot.scores import mean_ranks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 120  # over the width of the picture
HALF = 0.4  # of a row


def plot_beeswarm(
    values: Any,
    x: Any,
    *,
    names: Sequence[str] | None = None,
    most: int = 10,
    title: str | None = None,
) -> "Figure":
    """Every attribution as a dot, in one row for each feature, the most important on top.

    values: attributions (n, d). x: the examples (n, d): a dot is bright where its feature is large
        among the examples (by rank), dark where it is small.
    """
    from matplotlib.cm import ScalarMappable

    values = checked("values", values, 2)
    x = checked_like("x", x, values)
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    n, d = values.shape
    shown = largest(np.mean(np.abs(values), 0), most)
    heights = rows(axes, [names_of(names, d)[j] for j in shown])
    axes.axvline(0, color="#888888", linewidth=1, zorder=0)
    edges = np.linspace(values[:, shown].min(), values[:, shown].max(), BINS)
    size = float(np.clip(6000 / n, 6, 40))
    for height, j in zip(heights, shown, strict=True):
        apart = _apart(np.digitize(values[:, j], edges))
        axes.scatter(
            values[:, j], height + apart, size, _ranks(x[:, j]), cmap="viridis", vmin=0, vmax=1,
            edgecolors="white", linewidths=0.25, zorder=2,
        )  # fmt: skip
    bar = figure.colorbar(ScalarMappable(cmap="viridis"), ax=axes, pad=0.01, aspect=40)
    bar.set_ticks([0, 1], labels=["low", "high"])
    bar.set_label("value of the feature", labelpad=-8)
    axes.set_xlabel("attribution: what the feature adds to the prediction")
    headline(figure, title or f"Attributions of {n:,} examples{of_all(len(shown), d)}")
    return figure


def _apart(bins: np.ndarray) -> np.ndarray:
    """Heights that keep the dots of one bin apart: 0, 1, -1, 2, -2, ... in thin steps."""
    order = np.argsort(bins, kind="stable")
    first = np.searchsorted(bins[order], bins[order])
    place = np.empty(len(bins))
    place[order] = np.arange(len(bins)) - first
    steps = np.ceil(place / 2) * np.where(place % 2, 1, -1)
    return steps * min(0.09, HALF / max(np.max(np.abs(steps)), 1))


def _ranks(x: np.ndarray) -> np.ndarray:
    """Ranks from 0 to 1; equal numbers have the same, and all are in the middle where all are."""
    ranks = mean_ranks(x)
    return (ranks - ranks.min()) / np.ptp(ranks) if np.ptp(ranks) else np.full(len(x), 0.5)
