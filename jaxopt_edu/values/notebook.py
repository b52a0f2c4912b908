"""How values show themselves in a notebook: small pieces of HTML in which all text is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

MOST = 60  # characters of a cell
FEW = 12  # numbers of an array that are shown


def html(x: Any) -> str:
    """Text that is no markup, and not longer than a cell may be."""
    text = str(x)
    return escape(text if len(text) <= MOST else f"{text[: MOST - 3]}...", quote=True)


def shown(x: Any) -> str:
    """A cell's text: four digits of a number, nothing for none."""
    if x is None or (isinstance(x, float | np.floating) and np.isnan(x)):
        return "-"
    if isinstance(x, float | np.floating):
        return f"{float(x):.4g}"
    return str(x)


def table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """Rows of cells below a head."""
    heads = "".join(f"<th>{html(x)}</th>" for x in head)
    lines = (f"<tr>{''.join(f'<td>{html(shown(x))}</td>' for x in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def card(title: str, *parts: str) -> str:
    """A line in bold and what is below it; parts are HTML already."""
    return f"<div><p><b>{escape(title, quote=True)}</b></p>{''.join(parts)}</div>"


def text(words: str) -> str:
    """A paragraph of any length."""
    return f"<p>{escape(words, quote=True)}</p>"


def sparkline(values: Any, width: int = 240, height: int = 40) -> str:
    """A small picture of a curve; nothing where it has less than two points."""
    y = np.asarray(values, float)
    x = np.linspace(2, width - 2, len(y)) if len(y) else y
    good = np.isfinite(y)
    if good.sum() < 2:
        return ""
    low, high = y[good].min(), y[good].max()
    tall = (height - 4) / (high - low) if high > low else 0.0
    points = " ".join(
        f"{a:.1f},{2 + (high - b) * tall:.1f}" for a, b in zip(x[good], y[good], strict=True)
    )
    return (
        f"<svg width='{width}' height='{height}' role='img' aria-label='learning curve'>"
        f"<polyline points='{points}' fill='none' stroke='#0072B2' stroke-width='1.5'/></svg>"
    )


def arrays(named: Any) -> str:
    """A NamedTuple of arrays: a few numbers as they are, of more the shape and how they spread."""
    rows = []
    for name in named._fields:
        x = np.asarray(getattr(named, name))
        few = ", ".join(shown(float(v)) for v in x.ravel()[:FEW])
        spread = f"{x.dtype}{list(x.shape)}"
        if x.size and x.dtype.kind in "fiu" and x.size > FEW:
            ends = " to ".join(shown(float(f(x))) for f in (np.nanmin, np.nanmax))
            few = f"{ends}, mean {shown(float(np.nanmean(x)))}"
        rows.append((name, spread, few))
    return card(type(named).__name__, table(("", "array", "numbers"), rows))
