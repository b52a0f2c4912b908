"""The weights of a linear model over the penalty on their absolute values."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.analysis.validation import L1Path
from jaxopt_edu.view.plot.figure import (
    COLOURS,
    DEAD,
    headline,
    key,
    log_ticks,
    new_figure,
    of,
    plain,
    sign,
    tidy,
)
from jaxopt_edu.view.plot.scores import short

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STYLES = ("-", "--", ":")
NAMED, APART = 16, 0.045  # so many features have names; how far apart, in heights of the axes
TOP_TICKS = 10
SETTLED = 0.1  # of the penalty: a larger residual is far from the minimum


@of(L1Path)
def plot_l1_path(path: L1Path) -> "Figure":
    """The weights over the penalty, one line a feature, with the strongest penalty on the left.

    The upper axis counts the features whose weight is not zero. Of a model with several outputs a
    line is the norm of a feature's weights over the outputs. Of more than 16 features those with
    the largest weights at the weakest penalty have a colour and a name, the others are grey. A
    penalty of 0 stands at the right end of the logarithmic axis.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(10), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.2),
    ...     data=jo.data.load("diabetes"),
    ... )
    >>> path = jo.l1_path(experiment, [30.0, 10.0, 3.0], steps=100)
    >>> jo.plot.save(jo.plot.plot_l1_path(path), "path.png")  # doctest: +SKIP
    """
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    order = np.argsort(-np.asarray(path.penalties), kind="stable")
    weights, what = weights_of(path)
    weights, penalties = weights[order], np.asarray(path.penalties, float)[order]
    x = _places(axes, penalties)
    last = np.argsort(-np.abs(weights[-1]), kind="stable")
    named = last[:NAMED] if len(last) > NAMED else last
    for j in last[len(named) :]:
        axes.plot(x, weights[:, j], color="#bbbbbb", linewidth=0.9, zorder=1.5)
    axes.axhline(0, color=DEAD, linewidth=0.8, zorder=1)
    marker = "o" if len(x) == 1 else None  # a line of one point cannot be seen
    for k, j in enumerate(named):
        colour, style = COLOURS[k % len(COLOURS)], STYLES[k // len(COLOURS)]
        axes.plot(x, weights[:, j], style, color=colour, linewidth=1.8, marker=marker)
    axes.set(ylabel=what, xlabel="penalty (L1)")
    _names(axes, path, named, weights[-1])
    _counts(axes, x, (np.asarray(path.norms)[order] > 0).sum(axis=1))
    _notes(figure, path, len(last) - len(named))
    headline(figure, _title(path, order))
    return figure


def _title(path: L1Path, order: np.ndarray) -> str:
    few, most = (len(path.kept(order[i])) for i in (0, -1))
    strongest, weakest = (float(path.penalties[order[i]]) for i in (0, -1))
    found = f"{few} of {len(path.features)} features have a weight at penalty {strongest:.3g}"
    return found if len(order) == 1 else f"{found}, {most} at {weakest:.3g}"


def weights_of(path: L1Path) -> tuple[np.ndarray, str]:
    """(penalties, features): the weights, or of several outputs their norms; and what they are."""
    w = np.asarray(path.params["w"])
    if w.ndim == 2:
        return w, "weight"
    return np.asarray(path.norms), f"norm of the weights over {w.shape[1]} outputs"


def _places(axes: "Axes", penalties: np.ndarray) -> np.ndarray:
    """Where penalties lie on an axis that runs from the strongest to the weakest."""
    positive = penalties[penalties > 0]
    if not len(positive):
        axes.set_xticks([0.0], ["0"])
        return np.zeros(len(penalties))
    low, high = positive.min(), positive.max()
    gap = max((high / low) ** 0.06, 1.2)
    x = np.where(penalties > 0, penalties, low / gap)
    axes.set_xscale("log")
    log_ticks(axes.xaxis, low, max(high, 2 * low))
    axes.set_xlim(high * (gap if low == high else 1.0), x.min() / (gap if low == high else 1.0))
    if len(positive) < len(penalties):
        axes.axvline(low / gap**0.5, color=DEAD, linewidth=0.8, linestyle=":", zorder=1)
        axes.annotate("0", (1, 0), (0, -6), xycoords="axes fraction", textcoords="offset points",
                      ha="center", va="top")  # fmt: skip
    return x


def _names(axes: "Axes", path: L1Path, named: np.ndarray, ends: np.ndarray) -> None:
    """Names at the right end of the lines, apart enough to be read."""
    axes.margins(y=0.06)
    low, high = axes.get_ylim()
    places = spread((ends[named] - low) / (high - low), APART)
    for k, (j, y) in enumerate(zip(named, places, strict=True)):
        colour = COLOURS[k % len(COLOURS)]
        end = (ends[j] - low) / (high - low)
        axes.annotate(
            plain(short(path.features[j])), (1, end), (1.02, y), xycoords="axes fraction",
            textcoords="axes fraction", va="center", color=colour, fontsize=9.5,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "shrinkB": 0,
                        "shrinkA": 0, "relpos": (0, 0.5)},
        )  # fmt: skip


def spread(places: np.ndarray, apart: float) -> np.ndarray:
    """Places from 0 to 1, moved as little as their order allows: neighbours are this far apart.

    >>> spread(np.array([0.5, 0.5, 0.9, 1.0]), 0.1).round(2).tolist()
    [0.45, 0.55, 0.9, 1.0]
    """
    order = np.argsort(places, kind="stable")
    groups: list[list[float]] = []  # of places that touch

    def first(group: list[float]) -> float:
        half = apart * (len(group) - 1) / 2
        return min(max(sum(group) / len(group), half), 1 - half) - half

    for place in places[order]:
        groups.append([float(place)])
        while len(groups) > 1:
            before, after = groups[-2:]
            if first(after) >= first(before) + apart * len(before) - 1e-9:
                break
            groups[-2:] = [before + after]
    found = np.empty(len(places))
    found[order] = [first(group) + apart * i for group in groups for i in range(len(group))]
    return found


def _counts(axes: "Axes", x: np.ndarray, counts: np.ndarray) -> None:
    """An axis on top with the number of features that have a weight."""
    top = axes.twiny()
    top.set(xscale=axes.get_xscale(), xlim=axes.get_xlim())
    low, high = np.log(axes.get_xlim()) if axes.get_xscale() == "log" else (0.0, 1.0)
    where = (np.log(x) - low) / (high - low) if axes.get_xscale() == "log" else x
    shown: list[int] = []
    for i in range(len(x)):
        if not shown or where[i] - where[shown[-1]] >= 1 / TOP_TICKS:
            shown.append(i)
    if shown[-1] < len(x) - 1:  # the last one always
        near = where[-1] - where[shown[-1]] < 0.5 / TOP_TICKS and len(shown) > 1
        shown = [*(shown[:-1] if near else shown), len(x) - 1]
    top.set_xticks(x[shown], [str(counts[i]) for i in shown])
    top.set_xticks([], minor=True)
    top.set_xlabel("features with a weight that is not zero", fontsize=9.5)
    top.spines[["right", "left", "bottom"]].set_visible(False)


def _notes(figure: "Figure", path: L1Path, others: int) -> None:
    """What is not named, and which trainings took too few steps."""
    signs: list[Any] = []
    if others:
        signs.append(sign("", f"the {others:,} other features", color="#bbbbbb", linestyle="-"))
    far = np.asarray(path.residuals) > SETTLED * np.asarray(path.penalties, float)
    far &= np.asarray(path.penalties) > 0
    if far.any():
        words = f"the residual is above a tenth of the penalty at {far.sum()} of {len(far)}"
        signs.append(sign("", f"{words}: take more steps"))
    if signs:
        key(figure, signs)
