"""The score against the hyperparameters that matter most."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.figure import (
    DEAD,
    MARKERS,
    best_sign,
    headline,
    key,
    log_ticks,
    mark_deaths,
    new_figure,
    of,
    plain,
    scale_scores,
    score_range,
    sign,
    spread_in_logs,
    star,
    tidy,
)
from jaxopt_edu.view.plot.importance_bars import importance
from jaxopt_edu.view.plot.scores import (
    diverged,
    final_scores,
    is_number,
    ranked,
    score_name,
    show_number,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 6


@of(Study)
def plot_landscape(study: Study) -> "Figure":
    """The score of every trial against the two numbers that matter most (see `importance`).

    Dark is good, the star is the best, a cross is a trial that diverged. A choice of structure has
    a panel for each of its values where it is among the two that matter most, or where a number
    that does is missing in some trials; else it has a marker for each. Where there is one number
    the other axis is the score; where there is none, the choices are.
    """
    figure = new_figure()
    by = _choice_of_panels(study)
    panels = _panels(study, by)
    places = None if any(panel.numbers for panel in panels) else next(iter(_choices(study)), None)
    choice, markers = _markers(study, by or places)
    rows = 1 if len(panels) < 4 else 2
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(rows, -(-len(panels) // rows), i + 1)
        _draw(axes, study, panel, places, choice, markers)
        if by is not None:
            axes.set_title(plain(f"{title_of(by)} = {show_number(panel.value)}"), fontsize=11)
    if any(len(panel.numbers) > 1 for panel in panels):
        _colour_bar(figure, study)
    _key(figure, study, choice, markers)
    headline(figure, _title(study, by if places is None else places, panels))
    return figure


# ----------------------------------------------------------------------------- what goes where


def _choices(study: Study) -> list[str]:
    """The choices that took more than one value, the most important first."""
    names = importance(study)
    return [n for n in names if not is_number(study, n) and len(_values(study, n)) > 1]


def _values(study: Study, name: str | None) -> list[Any]:
    """The values of a choice, that of the best trial first; of no choice, None."""
    order = [*ranked(study), *range(len(study))]
    return [None] if name is None else list(dict.fromkeys(study.columns[name][order].tolist()))


def _choice_of_panels(study: Study) -> str | None:
    """The choice that has a panel for each of its values, if one has."""
    choices, two = _choices(study), list(importance(study))[:2]
    numbers = [name for name in study.swept if is_number(study, name)]
    if not choices or not numbers:
        return None
    lacking = any(np.isnan(study.columns[name]).any() for name in two if name in numbers)
    return choices[0] if choices[0] in two or lacking else None


def _markers(study: Study, by: str | None) -> tuple[str | None, dict[Any, str]]:
    """The most important choice that has no panels, and a marker for each of its values."""
    choice = next((name for name in _choices(study) if name != by), None)
    values = _values(study, choice)
    return choice, {value: MARKERS[i % len(MARKERS)] for i, value in enumerate(values)}


@dataclass(frozen=True)
class _Panel:
    """The trials of one value of a choice, and the numbers that are its axes, two at most."""

    value: Any
    trials: np.ndarray
    numbers: list[str]


def _panels(study: Study, by: str | None) -> list[_Panel]:
    """The panels, the best trial's first. Numbers that all trials of a panel have come first, then
    those with the largest shares within the panels, so that panels have the same axes if they can.
    """
    every = np.arange(len(study))
    groups = {v: every if by is None else every[study.columns[by] == v] for v in _values(study, by)}
    total = dict.fromkeys(study.swept, 0.0)
    for trials in groups.values():
        for name, share in importance(study, trials).items():
            total[name] += len(trials) * share
    by_share = sorted(total, key=lambda name: -total[name])
    shown = list(groups.items())[:MOST_PANELS]
    return [_Panel(value, trials, _varied(study, by_share, trials)[:2]) for value, trials in shown]


def _varied(study: Study, names: list[str], trials: np.ndarray) -> list[str]:
    """The numbers among the names that vary among some trials, those that all have first."""
    columns = {n: study.columns[n][trials] for n in names if is_number(study, n)}
    varied = [n for n, x in columns.items() if len(np.unique(x[np.isfinite(x)])) > 1]
    return sorted(varied, key=lambda n: not np.isfinite(columns[n]).all())


def _title(study: Study, by: str | None, panels: list[_Panel]) -> str:
    kinds = {frozenset(panel.numbers) for panel in panels}
    names = " and ".join(panels[0].numbers) if len(kinds) == 1 else "what matters most"
    title = score_name(study).capitalize() + (f" against {names}" if names else "")
    if by is None:
        return title if names else f"{title} of {len(study):,} trial{'s' * (len(study) > 1)}"
    count = len(_values(study, by))
    few = f" (the best {len(panels)} of {count})" if 1 < len(panels) < count else ""
    return f"{title}{',' * bool(names)} by {title_of(by)}{few}"


# ------------------------------------------------------------------------------------ drawing


def _draw(
    axes: "Axes",
    study: Study,
    panel: _Panel,
    places: str | None,
    choice: str | None,
    markers: dict[Any, str],
) -> None:
    """One panel: its points by marker and score, its dead, and the best if it is among them."""
    tidy(axes)
    names, trials = panel.numbers, panel.trials
    scores = final_scores(study)
    x = study.columns[names[0]] if names else _places(axes, study, places)
    y = study.columns[names[1]] if len(names) > 1 else scores
    alive, dead = ranked(study, trials), np.intersect1d(diverged(study), trials)
    for value, marker in markers.items():
        mine = alive if choice is None else alive[study.columns[choice][alive] == value]
        axes.scatter(
            x[mine], y[mine], float(np.clip(6000 / len(study), 16, 70)), scores[mine],
            marker=marker, edgecolors="#555555", linewidths=0.4, **_colours(study),
        )  # fmt: skip
    if len(names) > 1:
        axes.plot(x[dead], y[dead], "x", color=DEAD, markersize=5, alpha=0.7)
    else:
        scale_scores(axes, scores, study.mode)
        mark_deaths(axes, x[dead])
    for best in np.intersect1d(ranked(study)[:1], trials):
        axes.add_line(star()).set(data=(x[[best]], y[[best]]), zorder=5)
    for name, values, axis in zip(names, (x, y), "xy", strict=False):
        if spread_in_logs(values[trials]):
            axes.set(**{f"{axis}scale": "log"})
            log_ticks(getattr(axes, f"{axis}axis"), *_ends(values[trials]), most=20)
        axes.set(**{f"{axis}label": plain(name)})
    if len(names) < 2:
        axes.set_ylabel(plain(score_name(study)))


def _ends(x: np.ndarray) -> tuple[float, float]:
    return float(np.nanmin(x)), float(np.nanmax(x))


def _places(axes: "Axes", study: Study, choice: str | None) -> np.ndarray:
    """Where a choice puts the trials on the horizontal axis, side by side; names the places."""
    apart = 0.5 * np.modf(np.arange(len(study)) * 0.618)[0] - 0.25
    axes.set(xticks=[], xlim=(-0.5, 0.5))
    if choice is None:
        return apart
    values = _values(study, choice)
    axes.set(xlim=(-0.5, len(values) - 0.5), xlabel=plain(title_of(choice)))
    axes.set_xticks(range(len(values)), [plain(show_number(v)) for v in values])
    if sum(len(str(v)) for v in values) > 60:
        axes.tick_params("x", rotation=30)
    return np.array([values.index(v) for v in study.columns[choice].tolist()]) + apart


def _colours(study: Study) -> dict[str, Any]:
    """How scores become colours, dark for good ones."""
    from matplotlib.colors import LogNorm, Normalize

    low, high, log = score_range(final_scores(study), study.mode)
    norm = LogNorm(low, high) if log else Normalize(low, high)
    return {"norm": norm, "cmap": "viridis" if study.mode == "min" else "viridis_r"}


def _colour_bar(figure: "Figure", study: Study) -> None:
    from matplotlib.cm import ScalarMappable

    scores = final_scores(study)
    low, high, log = score_range(scores, study.mode)
    past = "max" if np.any(scores > high) else "min" if np.any(scores < low) else "neither"
    colours = ScalarMappable(**_colours(study))
    bar = figure.colorbar(colours, ax=figure.axes, extend=past, pad=0.01)
    bar.set_label(plain(score_name(study)))
    if log:
        log_ticks(bar.ax.yaxis, low, high)


def _key(figure: "Figure", study: Study, choice: str | None, markers: dict[Any, str]) -> None:
    """The best, the dead, below all panels, and the markers of a choice beside them."""
    signs = [best_sign(study)]
    if study.diverged:
        signs.append(sign("x", f"diverged ({study.diverged})", color=DEAD))
    key(figure, signs)
    if choice is not None:
        shapes = [
            sign(marker, show_number(value), color="#888888") for value, marker in markers.items()
        ]
        beside = figure.legend(handles=shapes, loc="outside right upper", frameon=False, fontsize=9)
        beside.set_title(plain(title_of(choice)))
