"""The charts of where in the space trials were good: parallel coordinates, slices, maps."""

from itertools import combinations
from typing import Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.axis import Axis, axis_of, for_maps, pair, varied
from jaxopt_edu.view.plot.contour import score_map, smooth
from jaxopt_edu.view.plot.divergence import by_trial, dead_or_alive, divergence_title
from jaxopt_edu.view.plot.figure import score_range
from jaxopt_edu.view.plot.importance_bars import importance, importance_of_divergence
from jaxopt_edu.view.plot.parallel import parallel_axes, score_axis
from jaxopt_edu.view.plot.pareto import pareto_front, pareto_title
from jaxopt_edu.view.plot.scores import (
    costs,
    direction,
    final_scores,
    ranked,
    score_columns,
    score_name,
    thinned,
)
from jaxopt_edu.view.plot.slices import medians, sliced
from jaxopt_edu.view.report.sides import (
    MOST_POINTS,
    Chart,
    clipped,
    deaths_at,
    dots,
    line,
    numbers,
    score_side,
    side,
    side_of,
    star,
    text,
)

GRID, MOST_NAMES, COLUMNS = 40, 4, 3
STOPS = 60  # where a brush may end on an axis of numbers
LACKING = 0.12  # of the length of an axis: how far off it are those that have no place on it


# ----------------------------------------------------------------------- parallel coordinates


def parallel(study: Study, trials: np.ndarray) -> Chart:
    """Some trials as lines through their hyperparameters to their score, coloured by rank.

    plotly.js draws lines of larger colours later: ranks are negative to have the best on top.
    """
    order = ranked(study)
    ranks = np.full(len(study), len(order) + 1)
    ranks[order] = np.arange(1, len(order) + 1)
    worst = max(len(order), 2)
    dimensions = [_dimension(axis, axis.places[trials], "none", below=True)
                  for axis in parallel_axes(study)]  # fmt: skip
    score = score_axis(study)
    dimensions.append(
        _dimension(score, score.places[trials], "no score", below=study.mode == "max")
    )
    places = np.linspace(1, worst, 5).astype(int)
    bar = {"title": {"text": "rank"}, "thickness": 12, "tickvals": (-places).tolist(),
           "ticktext": [f"{place:,}" for place in places]}  # fmt: skip
    data = [{
        "type": "parcoords", "dimensions": dimensions,
        "line": {"color": (-np.minimum(ranks, worst))[trials].tolist(), "colorscale": "$ranks",
                 "cmin": -worst, "cmax": -1, "showscale": True, "colorbar": bar},
        "labelfont": {"size": 13}, "tickfont": {"size": 11},
    }]  # fmt: skip
    layout = {"margin": {"t": 70, "b": 30, "l": 70, "r": 70}, "height": 480}
    title = f"From the hyperparameters to the {score_name(study)}"
    return Chart("parallel", title, data, layout, wide=True)


def _dimension(axis: Axis, places: np.ndarray, lacking: str, below: bool) -> dict[str, Any]:
    """An axis of parallel coordinates, those that have no place on it a little off its end.

    plotly.js has no logarithmic axes here, and lets a brush end near a tick only where ticks have
    words: an axis of numbers has ticks without words all along (spaces, which must differ).
    """
    low, high = axis.ends
    if axis.log:
        low, high, places = np.log10(low), np.log10(high), np.log10(places)
    ticks, words = axis.ticks()
    ticks = np.log10(ticks) if axis.log else ticks
    off = low - LACKING * (high - low) if below else high + LACKING * (high - low)
    ends = [low, high]
    if axis.values is None:
        stops = np.linspace(low, high, STOPS)
        stops = stops[np.min(np.abs(stops[:, None] - ticks), axis=1, initial=np.inf) > 1e-9]
        ticks = np.append(ticks, stops)
        words = [*words, *(" " * (i + 1) for i in range(len(stops)))]
    if np.isnan(places).any():
        ends = [min(low, off), max(high, off)]
        ticks, words = np.append(ticks, off), [*words, lacking]
    order = np.argsort(ticks)
    return {
        "label": text(axis.title),
        "range": numbers(np.array(ends, float)),
        "values": numbers(np.where(np.isnan(places), off, places)),
        "tickvals": numbers(ticks[order].astype(float)),
        "ticktext": [text(words[i]) for i in order],
    }


# --------------------------------------------------------------------------------------- slices


def slices(study: Study) -> Chart:
    """The score against each hyperparameter, in a panel each."""
    names = sliced(study)
    y, low, high = score_side(study, final_scores(study))
    scores = deaths_at(study, clipped(study, low, high), high)
    most = max(MOST_POINTS // max(len(names), 1), 300)
    few, rows = thinned(np.argsort(costs(study), kind="stable"), most), -(-len(names) // COLUMNS)
    grid = {"rows": rows, "columns": min(len(names), COLUMNS), "pattern": "independent",
            "xgap": 0.1, "ygap": 0.35}  # fmt: skip
    layout: dict[str, Any] = {"grid": grid, "height": 120 + 250 * rows}
    data: list[dict] = []
    for k, name in enumerate(names, 1):
        axis = axis_of(study, name)
        number = str(k) if k > 1 else ""
        where = {"xaxis": f"x{number}", "yaxis": f"y{number}", "showlegend": k == 1}
        data += dots(study, axis.spread(), scores, few, **where)
        data.append(_medians(study, axis) | where)
        data += star(study, axis.spread(), scores, **where)
        titled = y if k % COLUMNS == 1 else y | {"title": {"text": ""}}
        layout |= {f"xaxis{number}": side_of(axis), f"yaxis{number}": titled}
    title = f"{score_name(study).capitalize()} against each hyperparameter"
    return Chart("slices", title, data, layout, wide=True)


def _medians(study: Study, axis: Axis) -> dict[str, Any]:
    """The medians as a line, or as dashes for the values of a choice."""
    dash = {"symbol": "line-ew-open", "size": 26, "color": "$best", "line": {"width": 3}}
    drawn = line(*medians(study, axis), "median of similar values", "$best", hoverinfo="skip")
    choice = axis.values is not None
    style = {"mode": "markers", "marker": dash} if choice else {}
    return drawn | {"legendgroup": "median"} | style


# ----------------------------------------------------------------------------------------- maps


def contour(study: Study) -> Chart:
    """The score over each pair of the hyperparameters that matter most."""
    title = f"{score_name(study).capitalize()} over two hyperparameters"
    views = _pairs(study, importance(study), _score_map)
    return Chart("contour", title, views=views)


def divergence(study: Study) -> Chart:
    """What became of each trial over each pair of the numbers that tell it best."""
    shares = importance_of_divergence(study)
    views = _pairs(study, shares, _death_map)
    for name in varied(study, shares) if not views else ():
        axis = axis_of(study, name)
        views[axis.title] = _death_map(study, axis, by_trial(study))
    return Chart("divergence", divergence_title(study), views=views)


def _pairs(study: Study, shares: dict[str, float], draw: Any) -> dict[str, Chart]:
    """A map for each pair of the first few names, numbers first."""
    names = for_maps(study, shares)[:MOST_NAMES]
    drawn = [draw(study, *pair(study, x, y, shares)) for x, y in combinations(names, 2)]
    return {chart.title: chart for chart in drawn}


def _score_map(study: Study, right: Axis, up: Axis) -> Chart:
    """The smoothed score under the trials."""
    low, high, log = score_range(final_scores(study), study.mode)
    z = score_map(study, right, up, GRID)
    bar: dict[str, Any] = {"title": {"text": f"{text(score_name(study))},<br>mean near by"}}
    if log:
        places, words = Axis("", np.array([low, high]), None, True).ticks()
        bar |= {"tickvals": np.log10(places).tolist(), "ticktext": words}
        z, low, high = np.log10(z), np.log10(low), np.log10(high)
    colours = {"colorscale": "$scores" if study.mode == "min" else "$scores_r", "zmin": float(low),
               "zmax": float(high), "colorbar": bar}  # fmt: skip
    return _map(study, right, up, z, colours)


def _death_map(study: Study, right: Axis, up: Axis) -> Chart:
    """The share that diverged, under the trials."""
    share = smooth(right, up, dead_or_alive(study), GRID)
    bar = {"title": {"text": "diverged<br>near by"}, "tickformat": ".0%"}
    return _map(study, right, up, share,
                {"colorscale": "$deaths", "zmin": 0, "zmax": 1, "colorbar": bar})  # fmt: skip


def _map(study: Study, right: Axis, up: Axis, z: np.ndarray, colours: dict[str, Any]) -> Chart:
    """A map with the trials on it."""
    ground = {
        "type": "heatmap" if right.values or up.values else "contour",
        "contours": {"coloring": "heatmap"}, "line": {"color": "$paper", "width": 1},
        "x": numbers(right.grid(GRID)), "y": numbers(up.grid(GRID)),
        "z": [numbers(row) for row in z], "hoverinfo": "skip", "opacity": 0.8,
    } | colours  # fmt: skip
    x, y = right.spread(), up.spread()
    few = thinned(np.argsort(costs(study), kind="stable"), MOST_POINTS)
    points = dots(study, x, y, few)
    for trace in points:
        trace["marker"] |= {"color": "$ink"}
    layout = {"xaxis": side_of(right), "yaxis": side_of(up)}
    return Chart("", f"{right.title} and {up.title}", [ground, *points, *star(study, x, y)], layout)


# --------------------------------------------------------------------------------------- Pareto


def pareto(study: Study) -> Chart:
    """What ranks against each other score of the table, and the steps taken."""
    own = study.ranks
    others = [name for name in score_columns(study) if name != own]
    others = [n for n in (*others, "steps") if len(np.unique(_finite(study.columns[n]))) > 1]
    views = {name.replace("_", " "): _front(study, name, own) for name in others}
    return Chart("pareto", f"{score_name(study).capitalize()} against another score", views=views)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, float)[np.isfinite(np.asarray(values, float))]


def _front(study: Study, x_name: str, y_name: str) -> Chart:
    """Two columns, and the trials that no other beats in both."""
    x, y = (np.asarray(study.columns[name], float) for name in (x_name, y_name))
    front = pareto_front(x, y, (direction(study, x_name), study.mode))
    few = thinned(np.argsort(costs(study), kind="stable"), MOST_POINTS)
    stairs = line(
        x[front],
        y[front],
        f"beaten by no other in both ({len(front)})",
        "$best",
        mode="lines+markers",
        customdata=front.tolist(),
        hovertemplate="trial %{customdata}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>",
    )
    stairs["line"] |= {"shape": "hv"}
    good = "small" if direction(study, x_name) == "min" else "large"
    low, high, log = score_range(x, direction(study, x_name))
    layout = {"xaxis": side(f"{x_name.replace('_', ' ')} ({good} is good)", low, high, log),
              "yaxis": score_side(study, y)[0]}  # fmt: skip
    title = pareto_title(x_name, y_name, len(front), len(study))
    return Chart("", title, [*dots(study, x, y, few), stairs, *star(study, x, y)], layout)
