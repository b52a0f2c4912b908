"""Bars: which features matter over all examples, and what made one prediction."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.view.plot.attributions import (
    LOWERS,
    RAISES,
    checked,
    checked_like,
    direction_signs,
    finite,
    largest,
    names_of,
    of_all,
    rows,
    signed,
    with_value,
)
from jaxopt_edu.view.plot.figure import COLOURS, headline, key, new_figure, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#333333"


def plot_bars(
    values: Any,
    errors: Any = None,
    *,
    names: Sequence[str] | None = None,
    most: int = 12,
    title: str | None = None,
) -> "Figure":
    """How much each feature matters, the most important on top.

    values: attributions (n, d): a bar is as long as their mean size over the examples, and its
        two parts are what raised predictions and what lowered them. Or one number for each feature
        (d,), such as permutation importances, and errors of the same shape.
    """
    values = checked("values", values, 1, 2)
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    d = values.shape[-1]
    means = np.mean(np.abs(values), 0) if values.ndim == 2 else values
    shown = largest(means, most)
    shown = shown if values.ndim == 2 else shown[np.argsort(-means[shown], kind="stable")]
    heights = rows(axes, [names_of(names, d)[j] for j in shown])
    if values.ndim == 2:
        if errors is not None:
            raise ValueError("errors belong to one number a feature: values of shape (d,)")
        up, down = (np.mean(np.clip(sign * values, 0, None), 0)[shown] for sign in (1, -1))
        axes.barh(heights, up, 0.7, color=RAISES)
        axes.barh(heights, down, 0.7, left=up, color=LOWERS)
        axes.set_xlim(left=0)
        axes.set_xlabel("mean size of the attribution")
        key(figure, direction_signs(), columns=2)
        words = f"What matters over {len(values):,} examples"
    else:
        axes.barh(heights, means[shown], 0.7, color=COLOURS[4])
        if errors is not None:
            errors = finite("errors", checked_like("errors", errors, values))
            _whisker(axes, means[shown], heights, errors[shown])
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("importance" + ("" if errors is None else " \u00b1 its standard deviation"))
        words = "What matters"
    headline(figure, title or words + of_all(len(shown), d))
    return figure


def plot_waterfall(
    values: Any,
    base: float,
    x: Any = None,
    *,
    errors: Any = None,
    names: Sequence[str] | None = None,
    most: int = 10,
    title: str | None = None,
) -> "Figure":
    """How one prediction came about: from the base, feature by feature, to the prediction.

    values: the attributions of one example (d,); base: what they start from, the mean prediction
        over the background or the prediction at the baseline; x: the example, to be named beside
        the features; errors: standard errors of the values.
    Features that are not shown are one bar, the lowest.
    """
    values = checked("values", values, 1)
    labels, base = names_of(names, len(values)), float(checked("base", base, 0))
    if x is not None:
        labels = list(map(with_value, labels, checked_like("x", x, values)))
    shown = largest(values, most)
    shown = shown[:-1] if len(values) > most else shown
    rest = np.setdiff1d(np.arange(len(values)), shown)
    steps, marks = values[shown], [labels[j] for j in shown]
    spread = np.zeros(len(shown))
    if errors is not None:
        spread = finite("errors", checked_like("errors", errors, values))[shown]
    if len(rest):
        steps = np.append(steps, np.sum(values[rest]))
        spread = np.append(spread, 0)
        marks.append(f"{len(rest)} other features")
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    heights = rows(axes, marks)
    starts = base + np.cumsum(steps[::-1])[::-1] - steps  # the lowest bar starts at the base
    axes.barh(heights, steps, 0.7, left=starts, color=np.where(steps < 0, LOWERS, RAISES))
    axes.vlines(starts[:-1], heights[1:] + 0.35, heights[:-1] - 0.35, color=INK, linewidth=0.8)
    for height, end, step, error in zip(heights, starts + steps, steps, spread, strict=True):
        _whisker(axes, [end], [height], [error])
        _say(axes, height, end, step, error)
    _ends(axes, base, base + np.sum(values))
    key(figure, direction_signs(), columns=2)
    headline(figure, title or "How one prediction came about")
    return figure


def _whisker(axes: "Axes", x: Any, y: Any, error: Any) -> None:
    """Error bars, none where the error is 0."""
    seen = np.asarray(error) > 0
    axes.errorbar(
        np.asarray(x)[seen], np.asarray(y)[seen], xerr=np.asarray(error)[seen], fmt="none",
        ecolor=INK, elinewidth=1.6, capsize=4, capthick=1.6,
    )  # fmt: skip


def _say(axes: "Axes", height: float, end: float, step: float, error: float) -> None:
    """The number of a bar, to the right of it and of its error: to the left are the names."""
    axes.annotate(
        signed(step), (max(end - step, end + error), height), (6, 0), textcoords="offset points",
        ha="left", va="center", fontsize=10, color=INK,
    )  # fmt: skip


def _ends(axes: "Axes", base: float, end: float) -> None:
    """Lines at the base and at the prediction, named above the axes, and room for the numbers."""
    low, high = axes.dataLim.intervalx
    span = high - low or 1.0
    axes.set_xlim(low - 0.05 * span, high + 0.15 * span)
    axes.set_xlabel("prediction")
    near = abs(end - base) <= 0.25 * (high - low)
    digits = 3 + int(np.clip(np.log10(max(abs(base), abs(end), span) / span), 0, 12))
    for value, other, words, style in ((base, end, "base", "--"), (end, base, "prediction", "-")):
        axes.axvline(value, color=INK, linewidth=1, linestyle=style, zorder=0)
        outward = -1 if value < other or (value == other and words == "base") else 1
        number = f"{value:.{digits}g}".replace("-", "\u2212")
        axes.annotate(
            f"{words} {number}", (value, 1), (3 * outward if near else 0, 4),
            xycoords=axes.get_xaxis_transform(), textcoords="offset points",
            ha={-1: "right", 1: "left"}[outward] if near else "center", va="bottom", color=INK,
        )  # fmt: skip
