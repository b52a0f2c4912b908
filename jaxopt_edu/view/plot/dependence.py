"""The mean prediction as a function of one feature, over the curves of the examples."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.analysis.explain import PartialDependence
from jaxopt_edu.view.plot.figure import (
    BEST,
    COLOURS,
    headline,
    key,
    new_figure,
    of,
    plain,
    sign,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_CURVES = 200


@of(PartialDependence)
def plot_dependence(
    found: PartialDependence, *, name: str = "feature", title: str | None = None
) -> "Figure":
    """The partial dependence on one feature, bold, over the curves of the examples (ICE).

    Where there are more than 200 examples, every so-manieth is drawn.
    """
    from matplotlib.collections import LineCollection

    grid, average, curves = (np.asarray(x, float) for x in found)
    if curves.ndim != 2:
        raise ValueError(
            f"individual has shape {curves.shape}: wanted (n, g); explain one output: "
            "lambda x: predict(x)[:, 0]"
        )
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    shown = curves[:: -(-len(curves) // MOST_CURVES)]
    points = [np.column_stack([grid, curve]) for curve in shown]
    alpha = float(np.clip(30 / len(shown), 0.25, 0.7))
    axes.add_collection(LineCollection(points, colors=COLOURS[0], linewidths=0.9, alpha=alpha))
    axes.plot(grid, average, color=BEST, linewidth=3.2)
    if len(grid) == 1:  # a line of one point cannot be seen
        axes.plot(np.full(len(shown), grid), shown, "o", color=COLOURS[0], alpha=alpha, zorder=1)
        axes.plot(grid, average, "o", color=BEST, markersize=12)
    axes.autoscale_view()
    axes.set(xlabel=plain(name), ylabel="prediction")
    each = f"one example with its {name} changed"
    if len(shown) < len(curves):
        each += f" ({len(shown):,} examples of {len(curves):,})"
    line = {"linestyle": "-", "linewidth": 2.6}
    key(figure, [
        sign("", f"mean of {len(curves):,} examples", color=BEST, **line),
        sign("", each, color=COLOURS[0], **(line | {"linewidth": 1.2})),
    ], columns=2)  # fmt: skip
    headline(figure, title or f"Predictions as a function of {name}")
    return figure
