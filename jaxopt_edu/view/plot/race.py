"""A picture of a race: the path of each optimizer, and how it ended at every learning rate."""

import math
import textwrap
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.analysis.functions import TestFunction
from jaxopt_edu.analysis.races import Race, Racer
from jaxopt_edu.view.plot.figure import (
    COLOURS,
    MARKERS,
    headline,
    key,
    new_figure,
    of,
    plain,
    sign,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GRID, LEVELS = 301, 13
DEPTH = 1e-8  # of the height of the start: what is as good as the minimum
TOP = 30  # times the height of the start: the top of a panel
STYLES = ("-", "--", ":")


@of(Race)
def plot_race(result: Race) -> "Figure":
    """The paths over the contours of the function, and the final height at every learning rate.

    Heights are above the minimum, on a logarithmic scale. The key goes from the best to the worst.
    """
    figure = new_figure()
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    draw_contours(left, result)
    signs = []
    for i, racer in enumerate(result.racers):
        marker, style = look(i)
        over = {"zorder": 3 - i / len(result.racers)}  # the best on top
        _path(left, result, racer, marker, **style, **over)
        _scan(right, result, racer, marker, **style, **over)
        signs.append(sign(marker, in_words(result, racer), markersize=6, **style))
    draw_ends(left, result)
    _heights(right, result)
    key(figure, signs, columns=1 if len(signs) < 5 else 2)
    headline(figure, title_of(result))
    return figure


def title_of(result: Race) -> str:
    """What ran, and at which learning rates."""
    steps, chosen = (
        f"{result.steps:,} steps on {result.function.name}",
        [racer.chosen for racer in result.racers],
    )
    if all(chosen):
        return f"{steps}, each optimizer at its chosen learning rate"
    scan = f"the best of {len(result.learning_rates)} learning rates"
    return (
        f"{steps}, at {scan} or the one chosen"
        if any(chosen)
        else (f"{steps}, each optimizer at {scan}")
    )


def in_words(result: Race, racer: Racer) -> str:
    """One line about a racer."""
    ends = f"f\u00a0=\u00a0{racer.value:.3g}" if math.isfinite(racer.value) else "diverged"
    near = (
        "" if racer.reached is None else f", within {result.tolerance:g} from step {racer.reached}"
    )
    return f"{racer.name}, learning_rate\u00a0=\u00a0{racer.learning_rate:.3g}: {ends}{near}"


def look(i: int) -> tuple[str, dict[str, Any]]:
    """The marker of the i-th racer, and the style of its line."""
    colour, style = COLOURS[i % len(COLOURS)], STYLES[i // len(COLOURS) % len(STYLES)]
    return MARKERS[i % len(MARKERS)], {"color": colour, "linestyle": style}


# ----------------------------------------------------------------------------------- the paths


def draw_contours(axes: "Axes", result: Race) -> None:
    """The height of the function above its minimum, dark where it is low."""
    from matplotlib.colors import LogNorm

    function = result.function
    (x0, y0), (x1, y1) = function.low, function.high
    axes.set(xlim=(x0, x1), ylim=(y0, y1), xlabel="x", ylabel="y")
    axes.set_title(textwrap.fill(plain(function.formula), 64), fontsize=9.5)
    x, y = np.linspace(x0, x1, GRID), np.linspace(y0, y1, GRID)
    points = jnp.stack(jnp.meshgrid(jnp.asarray(x), jnp.asarray(y)), axis=-1)
    z = np.asarray(jax.vmap(jax.vmap(function))(points), float)
    z = np.ma.masked_invalid(z - _floor(function, z))
    low, high = np.quantile(z.compressed(), 0.02) if z.count() else 0.0, z.max()
    if z.count() and low < high:
        levels = np.geomspace(max(low, 1e-4 * high), high, LEVELS)
        norm = LogNorm(levels[0] / 30, high)
        z = np.ma.clip(z, levels[0] / 2, None)
        axes.contourf(x, y, z, levels, norm=norm, cmap="Greys_r", alpha=0.45, extend="min")
        axes.contour(x, y, z, levels, colors="#888888", linewidths=0.5)


def _floor(function: TestFunction, z: np.ndarray) -> float:
    """What heights are counted from: the minimum; where none is known, the least in the window."""
    if function.minima or not np.isfinite(z).any():
        return function.minimum
    return float(np.min(z[np.isfinite(z)]))


def _path(axes: "Axes", result: Race, racer: Racer, marker: str, **style: Any) -> None:
    """The path, as far as it can be seen; the first ten steps and every tenth are marked."""
    seen = visible(result, racer.path)
    marked = [*range(min(10, len(seen))), *range(10, len(seen), 10)]
    axes.plot(*seen.T, marker, markevery=marked, markersize=4, linewidth=1.6, **style)


def visible(result: Race, path: np.ndarray) -> np.ndarray:
    """A path that does not go far beyond the window."""
    low, high = np.asarray(result.function.low), np.asarray(result.function.high)
    return np.clip(path, low - 9 * (high - low), high + 9 * (high - low))


def draw_ends(axes: "Axes", result: Race) -> None:
    """The start and the minima, as far as these are known."""
    from matplotlib.patheffects import withStroke

    outline = [withStroke(linewidth=3, foreground="white")]
    axes.plot(*result.function.start, "o", color="black", markersize=9, markerfacecolor="white",
              markeredgewidth=2, zorder=4)  # fmt: skip
    (x, _), (left, right) = result.function.start, axes.get_xlim()
    place, side = ((9, 7), "left") if x < left + 0.8 * (right - left) else ((-9, 7), "right")
    axes.annotate("start", result.function.start, place, textcoords="offset points", zorder=5,
                  ha=side, fontweight="bold", path_effects=outline)  # fmt: skip
    axes.plot(*np.reshape(result.function.minima, (-1, 2)).T, "*", color="black", markersize=15,
              zorder=4, markeredgecolor="white")  # fmt: skip


# --------------------------------------------------------------------------- the learning rates


def height(result: Race, values: np.ndarray | float) -> np.ndarray:
    """f above its minimum: at least what is as good as none; above the panel where not finite."""
    start = start_height(result)
    above = np.asarray(values, float) - result.function.minimum
    return np.clip(np.where(np.isfinite(above), above, np.inf), DEPTH * start, 1e3 * start)


def start_height(result: Race) -> float:
    """The height of the start."""
    return float(result.function(result.function.start)) - result.function.minimum or 1.0


def _scan(axes: "Axes", result: Race, racer: Racer, marker: str, **style: Any) -> None:
    """How it ended at every learning rate, the best of them marked."""
    rates, best = result.learning_rates, racer.learning_rate
    axes.plot(rates, height(result, racer.final_values), linewidth=1.6, **style)
    end = height(result, racer.value)
    if racer.chosen:  # what is beyond the panel is marked at its edge
        end = np.minimum(end, TOP * start_height(result))
    axes.plot(best, end, marker, markersize=10, markeredgecolor="white", clip_on=not racer.chosen,
              **style)  # fmt: skip


def _heights(axes: "Axes", result: Race) -> None:
    """Scales the right panel, from the minimum to somewhat above the start, and marks both."""
    tidy(axes)
    scale_heights(axes, result, float(result.learning_rates[0]))
    axes.set(xscale="log", xlabel="learning_rate")
    axes.set_ylabel(f"{above(result)}, at the end")
    axes.set_title("the end at every learning rate", fontsize=9.5)


def scale_heights(axes: "Axes", result: Race, left: float) -> None:
    """The vertical scale of heights; marks the start and the minimum, with words from the left."""
    start, known = start_height(result), bool(result.function.minima)
    low = "as good as the minimum" if known else "as good as the least f found"
    for y, words in ((start, "the start"), (DEPTH * start, low)):
        axes.axhline(y, color="#888888", linewidth=0.8, zorder=1)
        axes.annotate(words, (left, y), (2, 4), color="#555555", textcoords="offset points",
                      fontsize=9)  # fmt: skip
    axes.set(yscale="log", ylim=(start * DEPTH / 4, start * TOP))


def above(result: Race) -> str:
    """What heights are."""
    return f"f above {'its minimum' if result.function.minima else 'the least f found'}"
