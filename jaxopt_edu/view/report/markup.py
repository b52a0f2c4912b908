"""Pieces of HTML: tables of facts, and tables that a click on a head sorts."""

from html import escape
from typing import Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.scores import show_number, title_of


def html(x: Any) -> str:
    """Text that is no markup."""
    return escape(str(x), quote=True)


def facts(named: dict[str, Any]) -> str:
    """A table of names and values."""
    rows = (f"<tr><th>{html(k)}</th><td>{html(show_number(v))}</td></tr>" for k, v in named.items())
    return f"<table class='facts'>{''.join(rows)}</table>"


def sortable(study: Study, trials: np.ndarray, names: list[str], marked: int, name: str) -> str:
    """Some columns of the study's table; a click on a head sorts it."""
    columns = {"trial": np.arange(len(study))} | {title_of(n): study.columns[n] for n in names}
    heads = "".join(f"<th><button>{html(head)}</button></th>" for head in columns)
    cells = [[_cell(x) for x in column[trials].tolist()] for column in columns.values()]
    rows = "\n".join(
        f"<tr data-trial='{trial}'{' class=best' * (trial == marked)}>{''.join(row)}</tr>"
        for trial, row in zip(trials.tolist(), zip(*cells, strict=True), strict=True)
    )
    return (
        f"<div class='wide' tabindex='0'><table class='sortable' id='{name}'><thead>"
        f"<tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></div>"
    )


def _cell(x: Any) -> str:
    """A cell that shows a value in four digits and sorts by all of them."""
    exact = "" if x != x else repr(x) if isinstance(x, float) else "none" if x is None else str(x)
    return f"<td data-v='{html(exact)}'>{html(show_number(x))}</td>"
