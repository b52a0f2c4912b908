"""A picture of a race: where each optimizer went, and how it ended at every learning rate."""

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.plot.figure import (
    COLOURS,
    MARKERS,
    headline,
    key,
    log_ticks,
    new_figure,
    plain,
    sign,
    tidy,
)
from jaxopt_edu.plot.scores import show_number
from jaxopt_edu.race import Race, Racer

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID, LEVELS = 201, 24
DEPTH = 1e-8  # of the height of the start above the minimum: what counts as being at it
STYLES = ("-", "--", "-.", ":")


def plot_race(result: Race) -> "Figure":
    """The paths over the contours of the function, and the final value against learning rate.

    Both heights, that of the contours and that of the final values, are those above the minimum,
    on a logarithmic scale. The key lists the optimizers from best to worst.
    """
    figure = new_figure()
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _contours(left, result)
    tidy(right)
    signs = []
    for i, racer in reversed(list(enumerate(result.racers))):  # the best on top
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        style = {"color": colour, "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        left.plot(*_inside(result, racer.path).T, linewidth=1.8, **style)
        left.plot(*racer.path[::10].T, marker, markersize=4, color=colour)
        right.plot(result.learning_rates, _heights(result, racer), linewidth=1.5, **style)
        right.plot(racer.learning_rate, _height(result, racer.value), "*", **star)
        signs.append(sign(marker, _words(result, racer), **style))
    return figure
