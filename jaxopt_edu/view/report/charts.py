"""The charts of how a study went: in order, over steps, at its rungs, and by worker."""

from typing import Any

import numpy as np

from jaxopt_edu.engine.status import STOPPED
from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.figure import step_ends
from jaxopt_edu.view.plot.history import best_so_far, history_title
from jaxopt_edu.view.plot.rungs import alive, at_rung, beside, between_rungs, groups, rungs_title
from jaxopt_edu.view.plot.scores import diverged, ranked, score_name, thinned
from jaxopt_edu.view.plot.timeline import box_corners, segments, structure_names, timeline_title
from jaxopt_edu.view.report.sides import (
    MOST_POINTS,
    SYMBOLS,
    Chart,
    clipped,
    deaths_at,
    dots,
    line,
    numbers,
    score_side,
    star,
    step_side,
)

MOST_CURVES, BINS, COLOURS = 500, 8, 6


def history(study: Study) -> Chart:
    """The score of each trial in order, and the best so far."""
    y, low, high = score_side(study, clipped(study, -np.inf, np.inf))
    x = np.arange(len(study))
    scores = deaths_at(study, clipped(study, low, high), high)
    data = dots(study, x, scores, thinned(x, MOST_POINTS), cliponaxis=False)
    record = best_so_far(study)
    known = np.nan_to_num(record)
    changes = np.flatnonzero(np.append(True, known[1:] != known[:-1]))
    places = np.append(changes, len(study) - 1)
    best = line(x[places], record[places], "best so far", "$best", hoverinfo="skip")
    best["line"] |= {"shape": "hv"}
    layout = {"xaxis": {"title": {"text": "trial"}}, "yaxis": y}
    data += [best, *star(study, x, scores)]
    return Chart("history", history_title(study), data, layout)


def curves(study: Study) -> Chart:
    """The learning curves by rank; the best bold, the diverged dotted, the stopped with a ring."""
    every = study.curves.get(study.metric, np.full((len(study), len(study.evaluations)), np.nan))
    good, dead = thinned(ranked(study), MOST_CURVES), thinned(diverged(study), MOST_CURVES // 5)
    y, low, high = score_side(study, every[good if len(good) else dead])
    shown = np.where(np.isfinite(every), np.clip(every, low, high), np.nan)
    data = [_many(study, shown[dead], f"diverged ({study.diverged:,})", "$diverged", dash="dot")]
    for k, part in enumerate(np.array_split(good, BINS)):
        data.append(_many(study, shown[part], "", f"$rank{k}", width=1.2))
    stopped = np.intersect1d(good, np.flatnonzero(study.columns["status"] == STOPPED))
    for trace in dots(study, *_ends(study, shown), stopped):
        data.append(trace | {"marker": trace["marker"] | {"size": 4}})
    data += _best(study, shown, ranked(study)[:1])
    few = f" ({len(good):,} of them shown)" if len(good) < len(ranked(study)) else ""
    trials = f"{len(study):,} trial{'s' * (len(study) > 1)}"
    title = f"{score_name(study).capitalize()} of {trials}{few} over steps, coloured by rank"
    layout = {"xaxis": step_side(study), "yaxis": y, "shapes": _rung_lines(study)}
    return Chart("curves", title, [trace for trace in data if _seen(trace)], layout)


def _seen(trace: dict[str, Any]) -> bool:
    """Whether a trace has a point."""
    return any(y is not None for y in trace["y"])


def _many(study: Study, shown: np.ndarray, name: str, colour: str, **style: Any) -> dict[str, Any]:
    """Many curves as one trace with gaps."""
    gap = np.full((len(shown), 1), np.nan)
    x = np.tile(np.append(study.evaluations, np.nan), len(shown))
    trace = line(x, np.hstack([shown, gap]).ravel(), name, colour, showlegend=bool(name))
    trace["line"] |= {"width": 1} | style
    return trace | {"hoverinfo": "skip", "opacity": 0.7}


def _ends(study: Study, shown: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The step and score of the last evaluation of each trial; NaN where there is none."""
    scored = np.isfinite(shown)
    last = shown.shape[1] - 1 - np.argmax(scored[:, ::-1], axis=1)
    scores = shown[np.arange(len(shown)), last]
    return np.where(np.isfinite(scores), study.evaluations[last], np.nan), scores


def _best(study: Study, shown: np.ndarray, best: np.ndarray) -> list[dict]:
    """The best curve, bold."""
    return [
        line(study.evaluations, shown[trial], f"best: trial {trial}", "$best",
             mode="lines+markers", line={"color": "$best", "width": 3})
        for trial in best
    ]  # fmt: skip


def _rung_lines(study: Study) -> list[dict]:
    """A dashed line at each rung."""
    style = {"color": "$dim", "width": 1, "dash": "dash"}
    return [
        {"type": "line", "yref": "paper", "x0": rung, "x1": rung, "y0": 0, "y1": 1,
         "line": style}
        for rung in study.rungs
    ]  # fmt: skip


def rungs(study: Study) -> Chart:
    """How many were still trained at each step, and the scores by which rungs chose."""
    data, brackets = [], groups(study)
    for k, (name, trials) in enumerate(brackets.items()):
        colour = f"$colour{k % COLOURS}"
        steps, counts = alive(study, trials)
        steps = np.maximum(steps, step_ends(study)[0])
        stairs = line(steps, counts, name or "still trained", colour, xaxis="x", yaxis="y")
        stairs["line"] |= {"shape": "hv", "width": 3}
        at, counts = np.transpose(between_rungs(study, trials))
        words = line(at, counts, "", colour, mode="text", showlegend=False, hoverinfo="skip")
        words |= {"text": [f" {n:,.0f}" for n in counts], "textposition": "top right",
                  "textfont": {"color": colour}, "cliponaxis": False}  # fmt: skip
        data += [stairs | {"fill": "none" if name else "tozeroy", "fillcolor": "$pale"}, words]
    judged = {step: at_rung(study, step) for step in (*study.rungs, study.steps)}
    every = np.concatenate([scores for _, scores, _ in judged.values()])
    y, low, high = score_side(study, every)
    for step, (trials, scores, on) in judged.items():
        few = np.isin(trials, thinned(trials, MOST_POINTS // 4))
        places = beside(study, step, trials, on)
        for mine, status in ((on & few, "finished"), (~on & few, "stopped")):
            shown = np.clip(scores[mine], low, high)
            data.append(_judged(status, trials[mine], places[mine], shown, step))
    layout = {
        "xaxis": step_side(study) | {"anchor": "y2"},
        "yaxis": {"title": {"text": "still trained"}, "domain": [0.6, 1], "type": "log",
                  "range": [-0.1, float(np.log10(2.2 * len(study)))], "dtick": 1},
        "yaxis2": y | {"domain": [0, 0.52]}, "shapes": _rung_lines(study),
    }  # fmt: skip
    return Chart("rungs", rungs_title(study), [trace for trace in data if _seen(trace)], layout)


def _judged(
    status: str, trials: np.ndarray, places: np.ndarray, scores: np.ndarray, step: int
) -> dict[str, Any]:
    """The trials that a rung judged, as points beside it."""
    return {
        "type": "scatter", "mode": "markers", "x": numbers(places), "y": numbers(scores),
        "yaxis": "y2", "customdata": trials.tolist(), "showlegend": False,
        "marker": {"symbol": SYMBOLS[status], "color": f"${status}", "size": 5},
        "hovertemplate": f"trial %{{customdata}} at step {step}: %{{y:.4~g}}<extra></extra>",
    }  # fmt: skip


def timeline(study: Study) -> Chart:
    """What each worker did when: pale is executed, full is of use."""
    boxes, names = segments(study), structure_names(study)
    data = []
    for k in np.unique(boxes["structure"]):
        mine = {name: x[boxes["structure"] == k] for name, x in boxes.items()}
        colour = f"$colour{k % COLOURS}"
        data.append(_boxes(mine, np.ones(len(mine["start"])), colour, "", opacity=0.3))
        data.append(_boxes(mine, mine["share"], colour, names[k]))
    few = thinned(np.arange(len(boxes["start"])), MOST_POINTS)
    middle = (boxes["start"] + boxes["end"])[few] / 2
    data.append({
        "type": "scatter", "mode": "markers", "x": numbers(middle),
        "y": boxes["worker"][few].tolist(), "marker": {"opacity": 0}, "showlegend": False,
        "customdata": np.stack([boxes[n][few] for n in ("alive", "width", "first", "steps")],
                               axis=1).tolist(),
        "hovertemplate": "%{customdata[0]} of %{customdata[1]} lanes alive, %{customdata[3]} steps "
                         "from step %{customdata[2]}<extra></extra>",
    })  # fmt: skip
    workers = np.unique(boxes["worker"])
    ticks = thinned(workers, 16).tolist()
    seconds = {"title": {"text": "seconds since the start"}}
    layout = {
        "xaxis": seconds | {"range": [0, float(boxes["end"].max())]},
        "yaxis": {
            "tickvals": ticks,
            "ticktext": [f"worker {w}" for w in ticks],
            "range": [float(workers[-1]) + 0.55, float(workers[0]) - 0.55],
        },
        "height": 220 + 60 * min(len(workers), 8),
    }
    return Chart("timeline", timeline_title(study), data, layout, wide=True)


def _boxes(
    spans: dict[str, np.ndarray], share: np.ndarray, colour: str, name: str, **more: Any
) -> dict[str, Any]:
    """Boxes over time that stand on the floor of their worker's row, as one trace with gaps."""
    corners = box_corners(spans, share)
    closed = np.concatenate([corners, corners[:, :1], np.full_like(corners[:, :1], np.nan)], axis=1)
    x, y = closed.reshape(-1, 2).T
    trace = line(x, y, name, colour, fill="toself", fillcolor=colour, hoverinfo="skip", **more)
    return trace | {"line": {"width": 0, "color": colour}, "showlegend": bool(name)}
