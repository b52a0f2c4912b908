"""A picture of a race: where each optimizer went, and how it ended at every learning rate."""

import textwrap
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.analysis.races import Race, Racer
from jaxopt_edu.view.plot.figure import COLOURS, MARKERS, headline, key, new_figure, of, sign, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID, LEVELS = 301, 13
DEPTH = 1e-8  # of the height of the start: what is as good as the minimum
STYLES = ("-", "--", ":")


@of(Race)
def plot_race(result: Race) -> "Figure":
    """The paths over the contours of the function, and the final height at every learning rate.

    Heights are above the minimum, on a logarithmic scale. The key goes from the best to the worst.
    """
    figure = new_figure()
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    _contours(left, result)
    signs = []
    for i, racer in enumerate(result.racers):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        style = {"color": colour, "linestyle": STYLES[i // len(COLOURS) % len(STYLES)]}
        over = {"zorder": 3 - i / len(result.racers)}  # the best on top
        _path(left, result, racer, marker, **style, **over)
        _scan(right, result, racer, marker, **style, **over)
        signs.append(sign(marker, _words(result, racer), markersize=6, **style))
    _points(left, result)
    _heights(right, result)
    key(figure, signs, columns=1 if len(signs) < 5 else 2)
    steps = f"{result.steps:,} steps on {result.function.name}"
    headline(
        figure,
        f"{steps}, each optimizer at the best of {len(result.learning_rates)} learning rates",
    )
    return figure


def _words(result: Race, racer: Racer) -> str:
    """One line about a racer."""
    ends = f"f\u00a0=\u00a0{racer.value:.3g}"
    near = (
        "" if racer.reached is None else f", within {result.tolerance:g} from step {racer.reached}"
    )
    return f"{racer.name}, learning_rate\u00a0=\u00a0{racer.learning_rate:.3g}: {ends}{near}"


# ----------------------------------------------------------------------------------- the paths


def _contours(axes: "Axes", result: Race) -> None:
    """The height of the function above its minimum, dark where it is low."""
    from matplotlib.colors import LogNorm

    function = result.function
    (x0, y0), (x1, y1) = function.low, function.high
    x, y = np.linspace(x0, x1, GRID), np.linspace(y0, y1, GRID)
    points = jnp.stack(jnp.meshgrid(jnp.asarray(x), jnp.asarray(y)), axis=-1)
    z = np.asarray(jax.vmap(jax.vmap(function))(points), float) - function.minimum
    low, high = np.quantile(z, 0.02), np.max(z)
    levels = np.geomspace(max(low, 1e-4 * high), high, LEVELS)
    norm = LogNorm(levels[0] / 30, high)
    z = np.clip(z, levels[0] / 2, None)
    axes.contourf(x, y, z, levels, norm=norm, cmap="Greys_r", alpha=0.45, extend="min")
    axes.contour(x, y, z, levels, colors="#888888", linewidths=0.5)
    axes.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="x", ylabel="y")
    axes.set_title(textwrap.fill(function.formula, 64), fontsize=9.5)


def _path(axes: "Axes", result: Race, racer: Racer, marker: str, **style: Any) -> None:
    """Where it went, as far as it can be seen; the first ten steps and every tenth are marked."""
    low, high = np.asarray(result.function.low), np.asarray(result.function.high)
    seen = np.clip(racer.path, low - 9 * (high - low), high + 9 * (high - low))
    marked = [*range(min(10, len(seen))), *range(10, len(seen), 10)]
    axes.plot(*seen.T, marker, markevery=marked, markersize=4, linewidth=1.6, **style)


def _points(axes: "Axes", result: Race) -> None:
    """The start and the minima."""
    from matplotlib.patheffects import withStroke

    outline = [withStroke(linewidth=3, foreground="white")]
    axes.plot(*result.function.start, "o", color="black", markersize=9, markerfacecolor="white",
              markeredgewidth=2, zorder=4)  # fmt: skip
    axes.annotate("start", result.function.start, (9, 7), textcoords="offset points", zorder=5,
                  fontweight="bold", path_effects=outline)  # fmt: skip
    axes.plot(*np.transpose(result.function.minima), "*", color="black", markersize=15, zorder=4,
              markeredgecolor="white")  # fmt: skip


# --------------------------------------------------------------------------- the learning rates


def _height(result: Race, values: np.ndarray | float) -> np.ndarray:
    """f above its minimum: at least what is as good as none; above the panel where not finite."""
    start = _start(result)
    above = np.asarray(values, float) - result.function.minimum
    return np.clip(np.where(np.isfinite(above), above, np.inf), DEPTH * start, 1e3 * start)


def _start(result: Race) -> float:
    """The height of the start."""
    return float(result.function(result.function.start)) - result.function.minimum or 1.0


def _scan(axes: "Axes", result: Race, racer: Racer, marker: str, **style: Any) -> None:
    """How it ended at every learning rate, the best of them marked."""
    rates, best = result.learning_rates, racer.learning_rate
    axes.plot(rates, _height(result, racer.final_values), linewidth=1.6, **style)
    axes.plot(best, _height(result, racer.value), marker, markersize=10, markeredgecolor="white",
              **style)  # fmt: skip


def _heights(axes: "Axes", result: Race) -> None:
    """Scales the right panel, from the minimum to somewhat above the start, and marks both."""
    tidy(axes)
    start = _start(result)
    for height, words in ((start, "the start"), (DEPTH * start, "as good as the minimum")):
        axes.axhline(height, color="#888888", linewidth=0.8, zorder=1)
        axes.annotate(words, (result.learning_rates[0], height), (2, 4), color="#555555",
                      textcoords="offset points", fontsize=9)  # fmt: skip
    axes.set(xscale="log", yscale="log", ylim=(start * DEPTH / 4, start * 30))
    axes.set(xlabel="learning_rate", ylabel="f above its minimum, at the end")
    axes.set_title("the end at every learning rate", fontsize=9.5)
