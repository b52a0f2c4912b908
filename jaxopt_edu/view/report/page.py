"""The page: its head, its tables, and places for its charts."""

import json
from importlib.resources import files
from typing import Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.importance_bars import importance, importance_title
from jaxopt_edu.view.plot.scores import (
    diverged,
    present,
    rank_name,
    ranked,
    score_columns,
    title_of,
)
from jaxopt_edu.view.report import charts, maps
from jaxopt_edu.view.report.circumstances import confirmation, how_it_ran, what_was_run
from jaxopt_edu.view.report.markup import facts, html, sortable
from jaxopt_edu.view.report.sides import Chart

MOST_ROWS = 2000

# What a browser may load for this page: nothing that is not in it. (plotly.js makes functions from
# text for its parallel coordinates: that is unsafe-eval.)
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:"
)


def report_html(study: Study, confirmed: Study | None = None) -> str:
    """A study as one self-contained HTML page, dark or light as the reader's system is.

    It shows what was run and how, the best trial, what the ranking depends on; parallel coordinates
    whose brushes filter a table of all trials that a click on a head sorts; the scores in order,
    over steps and at rungs; the score against hyperparameters, one and two at a time; where trials
    diverged; and what each worker did. Of more than 2,000 trials it lists the best 2,000.
    confirmed: what `study.confirm()` gave: its winner, and the means and intervals of the fresh
        seeds of each of its trials, come first.
    Errors: ImportError, with what to install, where there is no plotly.
    """
    order = ranked(study)
    order = np.concatenate([order, np.setdiff1d(np.arange(len(study)), order)])[:MOST_ROWS]
    parallel, drawn = maps.parallel(study, order), _charts(study)
    left = f"<section>{what_was_run(study)}{how_it_ran(study)}</section>"
    best = confirmation(study, confirmed) + _best(study, confirmed)
    right = f"<section class='best'>{best}</section>{_importance(study)}"
    body = [
        f"<h1>{html(_headline(study))}</h1>",
        f"<p class='lead'>{html(_lead(study))}</p>",
        f"<div class='columns'>{left}<div>{right}</div></div>",
        _table(study, order, parallel),
        f"<h2>Charts</h2><div class='charts'>{''.join(map(_place, drawn))}</div>",
        _ledger(study),
        _data("order", order.tolist()),
        _data("charts", [chart.as_dict() for chart in (parallel, *drawn)]),
        f"<script>{_plotly()}</script>",
        f"<script>{_file('page.js')}</script>",
    ]
    head = (
        f"<meta charset='utf-8'><meta http-equiv='Content-Security-Policy' content=\"{POLICY}\">"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>{html(_headline(study))}</title><style>{_file('page.css')}</style>"
    )
    page = "\n".join(body)
    return f"<!doctype html>\n<html lang='en'><head>{head}</head>\n<body>\n{page}\n</body></html>\n"


def _plotly() -> str:
    """The whole of plotly.js, from the Python package."""
    try:
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise ImportError("the report needs plotly: pip install 'jaxopt_edu[cli]'") from None
    return get_plotlyjs()


def _charts(study: Study) -> list[Chart]:
    """The charts for which the study has something to show."""
    drawn = [charts.history(study), charts.curves(study)]
    if study.rungs:
        drawn.append(charts.rungs(study))
    drawn += [maps.pareto(study), maps.slices(study)]
    if len(ranked(study)):
        drawn.append(maps.contour(study))
    if study.diverged:
        drawn.append(maps.divergence(study))
    if len(study.timeline.get("start", ())):
        drawn.append(charts.timeline(study))
    return [chart for chart in drawn if chart.data or chart.views]


# ---------------------------------------------------------------------------------- the pieces


def _file(name: str) -> str:
    """A file that lies beside this one."""
    return files("jaxopt_edu.view.report").joinpath(name).read_text()


def _data(name: str, value: Any) -> str:
    """Data for the scripts of the page, in which nothing looks like the end of it."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f"<script type='application/json' id='{name}'>{text}</script>"


def _place(chart: Chart) -> str:
    """The place of a chart, with a list of its views where there are several."""
    pick = ""
    if len(chart.views) > 1:
        options = "".join(f"<option>{html(name)}</option>" for name in chart.views)
        pick = f"<p><select data-for='{chart.name}' aria-label='view'>{options}</select></p>"
    full = " class='full'" if chart.wide else ""
    return (
        f"<section{full}><h3>{html(chart.title)}</h3>{pick}"
        f"<div class='chart' id='{chart.name}'></div></section>"
    )


def _headline(study: Study) -> str:
    data = getattr(getattr(study.batches[0].template, "data", None), "source", None)
    on = f" on {data.name}" if data is not None else ""
    most = "at most " if study.rungs else ""
    return f"{len(study):,} trial{'s' * (len(study) > 1)}{on}, {most}{study.steps:,} steps each"


def _lead(study: Study) -> str:
    parts = [f"ranked by {rank_name(study)}, {study.mode}imum first"]
    stopped = int(np.sum(study.columns["status"] == "stopped"))
    if stopped:
        parts.append(f"{stopped:,} stopped early")
    if study.diverged:
        parts.append(f"{study.diverged:,} diverged")
    if study.info.get("interrupted"):
        parts.append("interrupted before the end")
    if "seconds" in study.info:
        parts.append(f"{study.info['seconds']:.1f} seconds")
    return "; ".join(parts)


def _best(study: Study, confirmed: Study | None) -> str:
    if not len(ranked(study)):
        return "<h2>No trial reached a score</h2>"
    best = int(ranked(study)[0])
    having = [name for name in study.swept if present(study.columns[name])[best]]
    chosen = {title_of(name): study.columns[name][best] for name in having}
    scores = {n.replace("_", " ", 1): study.columns[n][best] for n in score_columns(study)}
    head = f"{'The' if confirmed is None else 'Before that, the'} best: trial {best}"
    return f"<h2>{head}</h2>{facts(chosen)}<h2>Its scores</h2>{facts(scores)}"


def _importance(study: Study) -> str:
    """The shares as bars."""
    rows = (
        f"<tr><th>{html(title_of(name))}</th><td>{share:.0%}</td>"
        f"<td><div class='bar' style='width:{share:.1%}'></div></td></tr>"
        for name, share in importance(study).items()
    )
    return (
        f"<h2>{html(importance_title(study))}</h2>"
        f"<table class='facts shares'>{''.join(rows)}</table>"
        "<p class='lead'>The share of the variance of the ranks that each hyperparameter explains "
        "by itself, beyond chance.</p>"
    )


def _ledger(study: Study) -> str:
    """How many trials diverged and why, and each of them in a list that opens on a click."""
    dead = diverged(study)
    if not len(dead):
        return "<h2>Diverged trials</h2><p>None.</p>"
    reasons, counts = np.unique(study.columns["reason"][dead], return_counts=True)
    why = "; ".join(f"{n:,} because {reason}" for reason, n in zip(reasons, counts, strict=True))
    names = [n for n in study.swept if np.any(present(study.columns[n])[dead])]
    few = f" (the first {MOST_ROWS:,} to do so are listed)" if len(dead) > MOST_ROWS else ""
    table = sortable(study, dead[:MOST_ROWS], ["steps", "reason", *names], -1, "dead")
    return (
        f"<h2>Diverged trials</h2><details><summary>{len(dead):,} of {len(study):,}: "
        f"{html(why)}{few}</summary>{table}</details>"
    )


def _table(study: Study, order: np.ndarray, parallel: Chart) -> str:
    """Parallel coordinates, and below the trials that its brushes leave, the best first."""
    best = int(order[0]) if len(ranked(study)) else -1
    names = [*study.swept, *score_columns(study), "status", "steps"]
    names = [*(["bracket"] if "bracket" in study.columns else []), *names]
    which = "All trials" if len(order) == len(study) else f"The best {len(order):,} trials"
    return (
        f"<h2>{which}</h2><h3>{html(parallel.title)}</h3>"
        "<p class='lead'>Drag along an axis to keep the trials that pass there, in the table and "
        "in the charts; click on the axis to let go. Drag a name to move its axis.</p>"
        "<div class='chart' id='parallel'></div>"
        f"<p><output id='count'>{len(order):,} trials</output> "
        "<button class='plain' id='all' hidden>show all</button></p>"
        f"{sortable(study, order, names, best, 'trials')}"
    )
