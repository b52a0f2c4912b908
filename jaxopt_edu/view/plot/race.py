"""A picture of a race: the path of each optimizer, and how it ended at every learning rate."""

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.analysis.functions import TestFunction
from jaxopt_edu.analysis.races import Race, Racer
from jaxopt_edu.view.plot.figure import (
    COLOURS,
    MARKERS,
    counted,
    headline,
    key,
    log_ticks,
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
TICKS = 7  # powers of ten, at most, on an axis of both signs
TOP = 30  # times the height of the start: the top of a panel
STYLES = ("-", "--", ":")


@of(Race)
def plot_race(result: Race) -> "Figure":
    """The paths over the contours of the function, and f at the end for every learning rate.

    Where the minimum is known, the right panel shows f - minimum on a logarithmic scale; else it
    shows f itself, as no optimizer knows how far its best point is from a minimum. The key goes
    from the best to the worst.
    """
    figure = new_figure()
    left, right = figure.subplots(1, 2, width_ratios=(1.2, 1))
    draw_contours(left, result)
    signs, heights = [], Heights.of(result)
    for i, racer in enumerate(result.racers):
        marker, style = look(i)
        over = {"zorder": 3 - i / len(result.racers)}  # the best on top
        _path(left, result, racer, marker, **style, **over)
        _scan(right, result, heights, racer, marker, **style, **over)
        signs.append(sign(marker, in_words(result, racer), markersize=6, **style))
    draw_ends(left, result)
    _heights(right, result, heights)
    key(figure, signs, columns=1 if len(signs) < 5 else 2)
    headline(figure, title_of(result))
    return figure


def title_of(result: Race) -> str:
    """What ran, and at which learning rates."""
    steps = f"{counted(result.steps, 'step')} on {result.function.name}"
    chosen = [racer.chosen for racer in result.racers]
    if all(chosen):
        return f"{steps}, each optimizer at its chosen learning rate"
    scan = f"the best of {counted(len(result.learning_rates), 'learning rate')}"
    return (
        f"{steps}, at {scan} or the one chosen"
        if any(chosen)
        else (f"{steps}, each optimizer at {scan}")
    )


def in_words(result: Race, racer: Racer) -> str:
    """One line about a racer."""
    digits = 3 if result.function.minima else 4
    value = f"f\u00a0=\u00a0{racer.value:.{digits}g}"
    ends = value if math.isfinite(racer.value) else "diverged"
    of = "" if result.function.minima else " of the least f found"
    near = f", within {result.tolerance:g}{of} from step {racer.reached}"
    near = "" if racer.reached is None else near
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


@dataclass(frozen=True)
class Heights:
    """What the right panel shows, and its scale: f - base, at the start and at the least.

    Where the minimum is known, base is the minimum, the scale is logarithmic, and heights below
    1e-8 of that of the start count as reached. Where it is not, base is 0; the scale is then
    logarithmic where f is never negative and falls below a tenth of the start; symmetric
    logarithmic where f falls by more than 100 times |f| at the start; else linear.
    low, high: the ends of the panel. lines: (height, words) of the horizontal lines.
    linear_below: where the scale is symmetric logarithmic, the |f| below which it is linear.
    """

    base: float
    kind: str
    low: float
    high: float
    floor: float
    lines: tuple[tuple[float, str], ...]
    label: str
    linear_below: float = 1.0

    @classmethod
    def of(cls, result: Race, scan: bool = True) -> "Heights":
        """The scale of a race's paths, or of its final values at every learning rate too."""
        function, least = result.function, result.function.minimum
        start = float(function(function.start))
        if function.minima:
            top = start - least or 1.0
            floor, words = DEPTH * top, "as good as the minimum"
            known = ((top, "the start"), (floor, words))
            return cls(least, "log", floor / 4, TOP * top, floor, known, "f above its minimum")
        seen = [least, *(x for r in result.racers for x in r.final_values if scan)]
        lowest = min(float(x) for x in seen if math.isfinite(x))
        words = f"least f found: {least:.4g}"
        lines = ((start, "the start"), *([(least, words)] if least < start else []))
        span = start - lowest or abs(start) or 1.0
        if lowest >= 0 and start > 10 * lowest:
            floor = max(lowest, DEPTH * start)
            if least < floor:
                lines = (lines[0], (floor, f"{words} (f below {floor:.1g} is drawn here)"))
            return cls(0.0, "log", floor / 4, TOP * start, floor, lines, "f")
        near = max(abs(start), min(1.0, 1e-3 * span))
        if span > 100 * near:
            label = f"f (the scale is linear from {-near:.3g} to {near:.3g})"
            return cls(0.0, "symlog", 5 * lowest, start + TOP * near, -math.inf, lines, label, near)
        low, high = lowest - 0.08 * span, start + 0.3 * span
        return cls(0.0, "linear", low, high, -math.inf, lines, "f")

    def place(self, values: np.ndarray | float) -> np.ndarray:
        """Where values of f are drawn: beyond the panel where they are not finite.

        NaN is drawn above it as a divergence, but not where f falls without bound: there is a gap.
        """
        x = np.asarray(values, float) - self.base
        far = 30 * (self.high - self.low)
        low = max(self.floor, self.low - far)
        lost = np.nan if self.kind == "symlog" else np.inf
        return np.clip(np.where(np.isnan(x), lost, x), low, self.high + far)

    def scale(self, axes: "Axes", left: float) -> None:
        """The vertical scale, and the horizontal lines with their words from the left."""
        for y, words in self.lines:
            axes.axhline(y, color="#888888", linewidth=0.8, zorder=1)
            axes.annotate(words, (left, y), (2, 4), color="#555555", textcoords="offset points",
                          fontsize=9)  # fmt: skip
        options = {"linthresh": self.linear_below} if self.kind == "symlog" else {}
        axes.set_yscale(self.kind, **options)
        axes.set_ylim(self.low, self.high)
        if self.kind == "log" and self.high < 1e3 * self.low:
            log_ticks(axes.yaxis, self.low, self.high)
        if self.kind == "symlog":
            _signed_ticks(axes, self.low, self.high, self.linear_below)


def _signed_ticks(axes: "Axes", low: float, high: float, near: float) -> None:
    """Ticks at 0 and at powers of ten to either side, from where the scale is logarithmic."""
    from matplotlib.ticker import NullLocator

    first = math.ceil(math.log10(near) - 1e-9)
    most = math.floor(math.log10(max(-low, high)))
    powers = [10.0**k for k in range(first, most + 1, max(1, (most - first) // TICKS + 1))]
    found = [0.0, *(sign * p for p in powers for sign in (-1, 1) if low <= sign * p <= high)]
    axes.set_yticks(found)
    axes.yaxis.set_minor_locator(NullLocator())


def _scan(
    axes: "Axes", result: Race, heights: Heights, racer: Racer, marker: str, **style: Any
) -> None:
    """How it ended at every learning rate, the best of them marked."""
    rates, best = result.learning_rates, racer.learning_rate
    axes.plot(rates, heights.place(racer.final_values), linewidth=1.6, **style)
    end = heights.place(racer.value)
    if racer.chosen:  # what is beyond the panel is marked at its edge
        end = np.clip(end, heights.low, heights.high)
    axes.plot(best, end, marker, markersize=10, markeredgecolor="white", clip_on=not racer.chosen,
              **style)  # fmt: skip


def _heights(axes: "Axes", result: Race, heights: Heights) -> None:
    """Scales the right panel."""
    tidy(axes)
    heights.scale(axes, float(result.learning_rates[0]))
    axes.set(xscale="log", xlabel="learning_rate")
    axes.set_ylabel(f"{heights.label}, at the end")
    axes.set_title("the end at every learning rate", fontsize=9.5)
