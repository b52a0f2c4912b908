"""`Explored` as a page: one file with its results, its sliders and no need of anything else."""

import json
import math
import re
from collections.abc import Mapping
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from jaxopt_edu.learn.packing import pack
from jaxopt_edu.nn.scores import TRAINING_LOSS
from jaxopt_edu.values.messages import nearest
from jaxopt_edu.values.messages import show as in_words

ORDERS = 30.0  # the ratio of greatest to least from which on a score is drawn by its logarithm
DECADES = 2.0  # above the best, from where on a score that is drawn by its logarithm is bad
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page_html(explored: Any, show: str | None, better: str | None, title: str | None) -> str:
    """The page, whole. show, better, title: as in `Explored.html`."""
    for argument, given in (("show", show), ("better", better), ("title", title)):
        if given is not None and not isinstance(given, str):
            raise TypeError(f"{argument} = {in_words(given)}: wanted text")
    name, x = chosen(explored, show)
    better = better or ("min" if "loss" in name or "error" in name else "max")
    if better not in ("min", "max"):
        raise ValueError(f"better = {better!r}: wanted 'min' or 'max'")
    data = data_of(explored, name, x, better)
    heading = title or f"{name} by {' and '.join(explored.sliders)}"
    told = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<title>{escape(heading)}</title>
<style>{part("page.css")}{part("parts.css")}</style>
</head>
<body>
<main>
<h1>{escape(heading)}</h1>
<noscript><p>The sliders need JavaScript, though no network.</p></noscript>
<div id="figure"></div>
</main>
<script type="application/json" id="data">{told}</script>
<script>{stripped(part("runtime.js"))}</script>
<script>{stripped(part("explored.js"))}</script>
</body>
</html>
"""


def part(name: str) -> str:
    """A file of the page."""
    return (resources.files("jaxopt_edu.learn") / "page" / name).read_text(encoding="utf-8")


def stripped(script: str) -> str:
    """A script without its comments of whole lines and its indentation, as a page holds it."""
    script = re.sub(r"^\s*/\*.*?\*/\s*$", "", script, flags=re.S | re.M)
    lines = (line.strip() for line in script.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("// "))


def chosen(explored: Any, show: str | None) -> tuple[str, np.ndarray]:
    """The result that is shown: one number at each position, seed and step.

    NaN where the training loss is not finite: an accuracy of 0 there is no result.
    """
    found = explored.arrays
    arrays = found if isinstance(found, Mapping) else {"result": found}
    rank = len(explored.axes)
    numbers = {k: x for k, x in arrays.items() if isinstance(x, np.ndarray) and x.ndim == rank}
    usual = [k for k in ("accuracy", "loss", *numbers) if k in numbers and k != TRAINING_LOSS]
    if show is None and not usual:
        raise ValueError("there is no result of one number at each position to show: see look=")
    name = usual[0] if show is None else show
    if name not in numbers:
        raise ValueError(f"show = {show!r}: no result of one number; {nearest(name, numbers)}")
    alive = np.isfinite(numbers.get(TRAINING_LOSS, 0.0))
    return name, np.where(alive, numbers[name].astype(float), np.nan)


def data_of(explored: Any, name: str, x: np.ndarray, better: str) -> dict[str, Any]:
    """What the page's script reads; the array has axes for sliders, seeds and steps."""
    axes = len(explored.sliders)
    x = x if "seed" in explored.axes else np.expand_dims(x, axes)
    x = x if "step" in explored.axes else x[..., None]
    log = by_powers(x, better)
    if log:
        x = np.log10(np.where(np.isfinite(x), x, np.nan))
    best, worst = ends_of(x[..., -1], better, log)
    sliders = [_slider(k, values) for k, values in explored.sliders.items()]
    return {
        "name": name, "log": log, "trained": bool(explored.steps),
        "best": best, "worst": worst, "worse": _worse(x[..., -1], worst, better),
        "sliders": sliders,
        "steps": list(explored.steps) or [0], "seeds": x.shape[axes],
        "start": _best_place(x, axes, better), "array": pack(x, 16, [x.ndim - 1, 0]),
    }  # fmt: skip


def by_powers(x: np.ndarray, better: str) -> bool:
    """Whether results are drawn by their logarithm: of losses that span orders of magnitude."""
    finite = x[np.isfinite(x)]
    wide = finite.size and finite.min() > 0 and finite.max() > ORDERS * finite.min()
    return bool(wide and better == "min")


def ends_of(ends: np.ndarray, better: str, log: bool) -> tuple[float | None, float | None]:
    """The best result, and the worst that the colours tell apart: outliers would hide the others.

    None where no result is finite.
    """
    finite = ends[np.isfinite(ends)]
    if not finite.size:
        return None, None
    if better == "max":
        low, high = np.percentile(finite, [5, 100])
        return float(high), float(low)
    low, high = np.percentile(finite, [0, 95])
    return float(low), float(min(high, low + DECADES) if log else high)


def _worse(ends: np.ndarray, worst: float | None, better: str) -> list[float] | None:
    """[share of the finite results that are worse than the worst colour, the worst]; else None."""
    if worst is None:
        return None
    finite, sign = ends[np.isfinite(ends)], 1 if better == "min" else -1
    beyond = sign * finite > sign * worst
    if not beyond.any():
        return None
    return [float(beyond.mean()), float(sign * np.max(sign * finite))]


def _best_place(x: np.ndarray, axes: int, better: str) -> list[int]:
    """Where the sliders stand at first: at the best mean over seeds."""
    ends = x[..., -1].mean(axis=axes)
    bad = math.inf if better == "min" else -math.inf
    ends = np.where(np.isfinite(ends), ends, bad)
    place = ends.argmin() if better == "min" else ends.argmax()
    return [int(i) for i in np.unravel_index(place, ends.shape)]


def is_numeric(values: Any) -> bool:
    """Whether a slider has numbers, and so a track; else it has buttons."""
    return all(isinstance(x, int | float | np.number) for x in values)


def _slider(name: str, values: Any) -> dict[str, Any]:
    numeric = is_numeric(values)
    told = [float(x) if numeric else repr(x) for x in values]
    return {"name": name, "values": told, "numeric": numeric}
