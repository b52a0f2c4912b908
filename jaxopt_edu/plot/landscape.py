"""The score against the hyperparameters that matter most."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.plot.figure import (
    DEAD,
    MARKERS,
    headline,
    key,
    mark_deaths,
    new_figure,
    plain,
    scale_scores,
    score_range,
    sign,
    spread_in_logs,
    star,
    tidy,
)
from jaxopt_edu.plot.importance import importance
from jaxopt_edu.plot.scores import (
    best_line,
    diverged,
    final_scores,
    is_number,
    ranked,
    score_name,
    title_of,
)
from jaxopt_edu.sweep import Study

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 6


def plot_landscape(study: Study) -> "Figure":
    """The score of every trial against the two numbers that matter most (see `importance`).

    Dark is good, the star is the best, a cross is a trial that diverged. A choice of structure has
    a panel for each of its values where it is among the two that matter most, or where a number
    that does is missing in some trials; else it has a marker for each. Where there is one number
    the other axis is the score; where there is none, the choices are.
    """
    figure = new_figure()
    by = _choice_of_panels(study)
    panels = [_Panel(study, by, value) for value in _values(study, by)[:MOST_PANELS]]
    markers = _markers(study, by)
    rows = 1 if len(panels) < 4 else 2
    for i, panel in enumerate(panels):
        axes = figure.add_subplot(rows, -(-len(panels) // rows), i + 1)
        panel.draw(axes, *markers)
    if any(len(panel.numbers) > 1 for panel in panels):
        _colour_bar(figure, study)
    _key(figure, study, *markers)
    headline(figure, _title(study, by, panels))
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


def _title(study: Study, by: str | None, panels: list["_Panel"]) -> str:
    kinds = {tuple(sorted(panel.numbers[:2])) for panel in panels}
    against = " and ".join(panels[0].numbers[:2]) if len(kinds) == 1 else "what matters most"
    title = f"{score_name(study).capitalize()}{' by ' * (by is not None)}{title_of(by or '')}"
    return title


# ------------------------------------------------------------------------------------ drawing


@dataclass(frozen=True)
class _Panel:
    """The trials of one value of the choice that has panels; all, where there is none."""

    study: Study
    by: str | None
    value: Any
