"""What the charts of the page share: numbers, axes, points, in the words of plotly.js.

Colours that begin with $ are names that the page gives a dark and a light colour.
"""

from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from jaxopt_edu.engine.status import DIVERGED
from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.axis import MARGIN, Axis
from jaxopt_edu.view.plot.figure import score_range, step_ends, steps_in_logs
from jaxopt_edu.view.plot.scores import by_status, final_scores, ranked, score_name

MOST_POINTS = 2000
SYMBOLS = {"finished": "circle", "stopped": "circle-open", "interrupted": "square-open",
           "diverged": "x-thin-open"}  # fmt: skip


@dataclass(frozen=True)
class Chart:
    """What plotly.js draws: traces, and a layout. views: several charts to choose from, by name."""

    name: str
    title: str
    data: list[dict] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)
    views: dict[str, "Chart"] = field(default_factory=dict)
    wide: bool = False

    def as_dict(self) -> dict[str, Any]:
        views = [{"name": name} | chart.as_dict() for name, chart in self.views.items()]
        return {"name": self.name, "data": self.data, "layout": self.layout, "views": views}


def numbers(values: Any) -> list:
    """Five digits of each number; None for what is not finite."""
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return array.tolist()
    return [float(f"{x:.5g}") if np.isfinite(x) else None for x in array.tolist()]


def text(words: Any) -> str:
    """Words in which plotly.js finds no markup."""
    return escape(str(words), quote=True)


# --------------------------------------------------------------------------------------- axes


def side(title: str, low: float, high: float, log: bool, **more: Any) -> dict[str, Any]:
    """An axis from low to high, with a margin."""
    if log:
        ends = [float(np.log10(low)), float(np.log10(high))]
        far = {"dtick": 1, "exponentformat": "power"}
        more = {"type": "log"} | (far if high > 200 * low else {"dtick": "D2"}) | more
    else:
        ends = [float(low), float(high)]
    margin = MARGIN * (ends[1] - ends[0])
    return {"title": {"text": text(title)}, "range": [ends[0] - margin, ends[1] + margin]} | more


def side_of(axis: Axis) -> dict[str, Any]:
    """An axis of a hyperparameter."""
    drawn = side(axis.title, *axis.ends, axis.log)
    if axis.values is not None:
        places, labels = axis.ticks()
        drawn |= {"tickvals": places.tolist(), "ticktext": [text(label) for label in labels]}
    return drawn


def score_side(study: Study, scores: np.ndarray) -> tuple[dict[str, Any], float, float]:
    """(axis, lowest, highest place on it): for scores, without the worst if these are far off."""
    low, high, log = score_range(scores, study.mode)
    drawn = side(score_name(study), low, high, log)
    low, high = drawn["range"]
    inside = MARGIN / 4 * (high - low)
    ends = [low + inside, high - inside]
    return drawn, *(10.0**end if log else end for end in ends)


def step_side(study: Study) -> dict[str, Any]:
    """An axis of steps."""
    low, high = step_ends(study)
    if not steps_in_logs(study):
        return {"title": {"text": "step"}, "range": [low, high]}
    ends = np.log10([low / 1.01, high]).tolist()
    return {"title": {"text": "step"}, "type": "log", "range": ends, "dtick": "D2"}


# --------------------------------------------------------------------------------------- traces


def dots(study: Study, x: np.ndarray, y: np.ndarray, trials: np.ndarray, **more: Any) -> list[dict]:
    """Some trials as points that show what became of them."""
    traces = []
    for status, those in by_status(study).items():
        mine = np.intersect1d(those, trials)
        mine = mine[np.isfinite(x[mine]) & np.isfinite(y[mine])]
        if not len(mine):
            continue
        marker = {"symbol": SYMBOLS[status], "color": f"${status}", "opacity": 0.85}
        marker["size"] = float(np.clip(120 / np.sqrt(len(trials)), 4, 9))
        if status == "diverged":
            marker["line"] = {"width": 1.5, "color": "$diverged"}
        traces.append({
            "type": "scatter", "mode": "markers", "marker": marker,
            "name": f"{status} ({len(those):,})", "legendgroup": status,
            "x": numbers(x[mine]), "y": numbers(y[mine]), "customdata": mine.tolist(),
            "hovertemplate": "trial %{customdata}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>",
        } | more)  # fmt: skip
    return traces


def star(study: Study, x: np.ndarray, y: np.ndarray, **more: Any) -> list[dict]:
    """The best trial, if there is one."""
    best = ranked(study)[:1]
    best = best[np.isfinite(x[best]) & np.isfinite(y[best])]
    if not len(best):
        return []
    return [{
        "type": "scatter", "mode": "markers", "name": f"best: trial {best[0]}",
        "legendgroup": "best", "x": numbers(x[best]), "y": numbers(y[best]),
        "customdata": best.tolist(), "cliponaxis": False,
        "marker": {"symbol": "star", "size": 15, "color": "$best",
                   "line": {"color": "$paper", "width": 1}},
        "hovertemplate": "trial %{customdata}, the best<extra></extra>",
    } | more]  # fmt: skip


def line(x: Any, y: Any, name: str, colour: str, **more: Any) -> dict[str, Any]:
    """A line through points."""
    style = {"color": colour, "width": 2}
    return {"type": "scatter", "mode": "lines", "name": text(name), "x": numbers(x),
            "y": numbers(y), "line": style} | more  # fmt: skip


def deaths_at(study: Study, scores: np.ndarray, ceiling: float) -> np.ndarray:
    """Scores, with those that diverged at the top of the chart."""
    return np.where(study.columns["status"] == DIVERGED, ceiling, scores)


def clipped(study: Study, low: float, high: float) -> np.ndarray:
    """The scores that rank, those beyond the ends of the axis at its ends."""
    return np.clip(final_scores(study), low, high)
