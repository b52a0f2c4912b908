"""The report of a study: one page with pictures and tables that needs nothing from elsewhere."""

import base64
import dataclasses
from html import escape
from typing import Any

import numpy as np

from jaxopt_edu.plot import importance, plot_curves, plot_landscape
from jaxopt_edu.plot.figure import png
from jaxopt_edu.plot.scores import (
    diverged,
    present,
    ranked,
    score_name,
    show_number,
    title_of,
)
from jaxopt_edu.sweep import Study
from jaxopt_edu.value import show

__all__ = ["report_html"]

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1e; --paper: #ffffff; --soft: #f2f3f5;
  --line: #d4d6da; --dim: #5c6066; --best: #b34700; --bar: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ea; --paper: #17181b; --soft: #232529;
  --line: #3b3e44; --dim: #a3a7ae; --best: #ff9a4d; --bar: #56b4e9; } }
body { margin: 0 auto; max-width: 78rem; padding: 1rem 1.5rem 4rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0.5rem 0 0; } h2 { font-size: 1.2rem; margin: 2rem 0 0.5rem; }
p.lead { margin: 0.2rem 0 1rem; color: var(--dim); }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr));
  gap: 1.5rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
.facts th, .facts td { text-align: left; vertical-align: top; white-space: normal;
  overflow-wrap: anywhere; }
.facts th { font-weight: normal; color: var(--dim); white-space: nowrap; }
.shares { width: 100%; } .shares td { white-space: nowrap; vertical-align: middle; }
.shares td:last-child { width: 55%; }
.best { border-left: 0.3rem solid var(--best); padding-left: 1rem; }
tr.best td { color: var(--best); font-weight: bold; }
img { display: block; width: 100%; height: auto; border-radius: 6px; background: #ffffff; }
figure { margin: 0; } .bar { height: 0.7rem; background: var(--bar); border-radius: 2px; }
.wide { overflow: auto; max-height: 40rem; border: 1px solid var(--line); border-radius: 6px; }
.wide thead th { position: sticky; top: 0; background: var(--soft); padding: 0; }
.wide button { all: unset; cursor: pointer; padding: 0.35rem 0.7rem; display: block; }
.wide button:focus-visible { outline: 2px solid var(--bar); outline-offset: -2px; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
summary { cursor: pointer; margin: 0.6rem 0; }
"""

# A click on a head sorts by its column, a second one the other way; empty cells come last.
SCRIPT = """
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = row => row.cells[column].dataset.v;
    const compare = (a, b) => {
      const x = value(a), y = value(b);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return up ? order : -order;
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
  }));
}
"""


def report_html(study: Study) -> str:
    """A study as one self-contained HTML page, dark or light as the reader's system is.

    It shows what was run and how, the best trial, what the ranking depends on, the learning curves,
    the score against what matters most, the trials that diverged, and a table of all trials that
    a click on a head sorts.
    """
    left = f"<section>{_what_was_run(study)}{_how_it_ran(study)}</section>"
    right = f"<section class='best'>{_best(study)}</section>{_importance(study)}"
    body = [
        f"<h1>{_html(_headline(study))}</h1>",
        f"<p class='lead'>{_html(_lead(study))}</p>",
        f"<div class='columns'>{left}<div>{right}</div></div>",
        _picture("Learning curves", plot_curves(study)),
        _picture("What matters", plot_landscape(study)),
        _ledger(study),
        _table(study),
    ]
    head = (
        "<meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{_html(_headline(study))}</title><style>{STYLE}</style>"
    )
    page = "\n".join(body)
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}</head>\n"
        f"<body>\n{page}\n<script>{SCRIPT}</script>\n</body></html>\n"
    )


# ---------------------------------------------------------------------------------- the pieces


def _html(x: Any) -> str:
    return escape(str(x), quote=True)


def _facts(named: dict[str, Any]) -> str:
    """A table of names and values."""
    rows = (
        f"<tr><th>{_html(k)}</th><td>{_html(show_number(v))}</td></tr>" for k, v in named.items()
    )
    return f"<table class='facts'>{''.join(rows)}</table>"


def _picture(title: str, figure: Any) -> str:
    data = base64.b64encode(png(figure)).decode("ascii")
    what = _html(figure.get_suptitle())
    return (
        f"<h2>{title}</h2><figure><img width='1200' height='800' alt='{what}' "
        f"src='data:image/png;base64,{data}'></figure>"
    )


def _headline(study: Study) -> str:
    data = getattr(getattr(_template(study), "data", None), "source", None)
    on = f" on {data.name}" if data is not None else ""
    return f"{len(study):,} trial{'s' * (len(study) > 1)}{on}, {study.steps:,} steps each"


def _lead(study: Study) -> str:
    parts = [f"ranked by {score_name(study)}, {study.mode}imum first"]
    if study.diverged:
        parts.append(f"{study.diverged:,} diverged")
    if study.info.get("interrupted"):
        parts.append("interrupted before the end")
    if "seconds" in study.info:
        parts.append(f"{study.info['seconds']:.1f} seconds")
    return "; ".join(parts)


def _template(study: Study) -> Any:
    return study.batches[0].template


def _best(study: Study) -> str:
    if not len(ranked(study)):
        return "<h2>No trial reached a score</h2>"
    best = int(ranked(study)[0])
    having = [name for name in study.swept if present(study.columns[name])[best]]
    chosen = {title_of(name): study.columns[name][best] for name in having}
    scores = {
        name.replace("_", " ", 1): study.columns[name][best] for name in _score_columns(study)
    }
    return f"<h2>The best: trial {best}</h2>{_facts(chosen)}<h2>Its scores</h2>{_facts(scores)}"


def _score_columns(study: Study) -> list[str]:
    others = (*study.swept, "status", "steps", "reason")
    return [name for name in study.columns if name not in others]


def _importance(study: Study) -> str:
    """The shares as bars."""
    rows = (
        f"<tr><th>{_html(title_of(name))}</th><td>{share:.0%}</td>"
        f"<td><div class='bar' style='width:{share:.1%}'></div></td></tr>"
        for name, share in importance(study).items()
    )
    return (
        f"<h2>What the ranking depends on</h2><table class='facts shares'>{''.join(rows)}</table>"
        "<p class='lead'>The share of the variance of the ranks that each explains by itself, "
        "beyond chance.</p>"
    )


def _ledger(study: Study) -> str:
    """How many trials diverged and why, and each of them in a list that opens on a click."""
    dead = diverged(study)
    if not len(dead):
        return "<h2>Diverged trials</h2><p>None.</p>"
    reasons, counts = np.unique(study.columns["reason"][dead], return_counts=True)
    why = "; ".join(f"{n:,} because {reason}" for reason, n in zip(reasons, counts, strict=True))
    names = [n for n in study.swept if np.any(present(study.columns[n])[dead])]
    table = _sortable(study, dead, ["steps", "reason", *names], marked=-1)
    return (
        f"<h2>Diverged trials</h2><details><summary>{len(dead):,} of {len(study):,}: "
        f"{_html(why)}</summary>{table}</details>"
    )


def _table(study: Study) -> str:
    """All trials, the best first, those without a score last."""
    order = ranked(study)
    order = np.concatenate([order, np.setdiff1d(np.arange(len(study)), order)])
    best = int(order[0]) if len(ranked(study)) else -1
    names = [*study.swept, *_score_columns(study), "status", "steps"]
    return f"<h2>All trials</h2>{_sortable(study, order, names, best)}"


def _sortable(study: Study, trials: np.ndarray, names: list[str], marked: int) -> str:
    """Some columns of the study's table; a click on a head sorts it."""
    columns = {"trial": np.arange(len(study))} | {title_of(n): study.columns[n] for n in names}
    heads = "".join(f"<th><button>{_html(name)}</button></th>" for name in columns)
    cells = [[_cell(x) for x in column[trials].tolist()] for column in columns.values()]
    rows = "\n".join(
        f"<tr{' class=best' * (trial == marked)}>{''.join(row)}</tr>"
        for trial, row in zip(trials.tolist(), zip(*cells, strict=True), strict=True)
    )
    return (
        f"<div class='wide' tabindex='0'><table class='sortable'><thead><tr>{heads}</tr></thead>"
        f"<tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(x: Any) -> str:
    """A cell that shows a value in four digits and sorts by all of them."""
    exact = "" if x != x else repr(x) if isinstance(x, float) else "none" if x is None else str(x)
    return f"<td data-v='{_html(exact)}'>{_html(show_number(x))}</td>"


# --------------------------------------------------------------------------- the circumstances


def _what_was_run(study: Study) -> str:
    return f"<h2>What was run</h2>{_facts(_parts(study))}"


def _parts(study: Study) -> dict[str, str]:
    """The parts of the experiment, with distributions where the study sampled.

    Where experiments were given instead of a space: the parts of the first of each structure.
    """
    given = isinstance(study.space, list | tuple) or not dataclasses.is_dataclass(study.space)
    experiments = [batch.template for batch in study.batches] if given else [study.space]
    if not all(map(dataclasses.is_dataclass, experiments)):
        return {"experiment": "; ".join(map(show, experiments))}
    parts: dict[str, dict[str, None]] = {}  # a dict for an ordered set
    for experiment in experiments:
        for f in dataclasses.fields(experiment):
            value = getattr(experiment, f.name)
            if value is not None and value is not False:
                parts.setdefault(f.name, {})[show(value)] = None
    sizes = getattr(getattr(getattr(experiments[0], "data", None), "source", None), "sizes", ())
    examples = {"examples": "train / validation / test: " + " / ".join(map(str, sizes))}
    return {name: "; ".join(shown) for name, shown in parts.items()} | (examples if sizes else {})


def _how_it_ran(study: Study) -> str:
    """Seconds, compilations, devices and versions, behind a line with the first of them."""
    asked = {"ranked by": f"{score_name(study)}, {study.mode}imum", "steps": study.steps,
             "seed": study.seed, "lanes in a tile": ", ".join(map(str, study.tiles))}  # fmt: skip
    told = {name.replace("_", " "): _flat(value) for name, value in study.info.items()}
    short = ", ".join(f"{n} {show_number(told[n])}" for n in ("seconds", "devices") if n in told)
    line = _html(f"How it ran: seed {study.seed}, {short}")
    return f"<details><summary>{line}</summary>{_facts(asked | told)}</details>"


def _flat(value: Any) -> Any:
    if isinstance(value, dict):
        return ", ".join(f"{k} {v}" for k, v in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
