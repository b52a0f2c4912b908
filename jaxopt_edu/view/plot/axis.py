"""A swept hyperparameter as an axis: where each trial lies on it, and the words at its ticks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.values.names import name_of_today
from jaxopt_edu.values.pytrees import resolve_among
from jaxopt_edu.view.plot.figure import log_ticks, plain, spread_in_logs
from jaxopt_edu.view.plot.scores import is_number, short, show_number, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARGIN = 0.03  # of the length of an axis, at either end


@dataclass(frozen=True)
class Axis:
    """Numbers lie where they are, the values of a choice at 0, 1, 2, ... in order.

    places: one for each trial, NaN for a trial that does not have this hyperparameter.
    values: the values of a choice; None for a number.
    """

    name: str
    places: np.ndarray
    values: list[Any] | None = None
    log: bool = False

    @property
    def title(self) -> str:
        return title_of(self.name)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and highest place; of a single number, a little to either side."""
        if self.values is not None:
            return -0.5, len(self.values) - 0.5
        x = self.places[np.isfinite(self.places)]
        if not x.size:
            return 0.0, 1.0
        low, high = float(x.min()), float(x.max())
        half = 0.0 if low < high else 0.5 * abs(low) or 0.5
        return low - half, high + half

    def unit(self, places: np.ndarray) -> np.ndarray:
        """Places as numbers from 0 to 1, evenly in logarithms where the axis is logarithmic."""
        low, high = self.ends
        if self.log:
            return np.log(places / low) / np.log(high / low)
        return (places - low) / (high - low)

    def grid(self, count: int) -> np.ndarray:
        """Places all along the axis; of a choice, its values."""
        if self.values is not None:
            return np.arange(len(self.values), dtype=float)
        low, high = self.ends
        return np.geomspace(low, high, count) if self.log else np.linspace(low, high, count)

    def ticks(self) -> tuple[np.ndarray, list[str]]:
        """Some round places within the ends, and their words."""
        from matplotlib.ticker import LogLocator, MaxNLocator

        if self.values is not None:
            return np.arange(len(self.values)), [show_number(v) for v in self.values]
        low, high = self.ends
        between = (1, 2, 5) if high < 200 * low else (1,)
        locator = LogLocator(subs=between) if self.log else MaxNLocator(5)
        places = np.asarray(locator.tick_values(low, high))
        places = places[(places >= low) & (places <= high)]
        return places, [f"{x:.4g}" for x in places]

    def spread(self) -> np.ndarray:
        """The places, those at the same value of a choice side by side."""
        if self.values is None:
            return self.places
        return self.places + 0.5 * np.modf(np.arange(len(self.places)) * 0.618)[0] - 0.25


def column_of(study: Study, name: str | None) -> str | None:
    """The swept name that a user means, who may know it by the name that it had before."""
    if study.space is None or not isinstance(name, str):
        return name
    return name_of_today(study.space, name)


def axis_of(study: Study, name: str, argument: str = "x") -> Axis:
    """The axis of a swept name; ValueError, with the nearest name, where it is none."""
    resolve_among(argument, name, study.swept)
    column = study.columns[name]
    if is_number(study, name):
        places = np.asarray(column, float)
        return Axis(
            name, np.where(np.isfinite(places), places, np.nan), None, spread_in_logs(places)
        )
    values = sorted(dict.fromkeys(column.tolist()), key=_in_order)
    index = {value: i for i, value in enumerate(values)}
    return Axis(name, np.array([index[v] for v in column.tolist()], float), values)


def _in_order(value: Any) -> tuple[bool, float, str]:
    """Numbers by size, then words."""
    number = isinstance(value, int | float)
    return not number, float(value) if number else 0.0, str(value)


def varied(study: Study, names: Any) -> list[str]:
    """The names of which the trials have more than one value."""
    return [n for n in names if len(np.unique(_known(axis_of(study, n).places))) > 1]


def _known(places: np.ndarray) -> np.ndarray:
    return places[np.isfinite(places)]


def for_maps(study: Study, shares: dict[str, float]) -> list[str]:
    """What varies, by share: numbers that all trials have, other numbers, choices."""
    lacking = {n: bool(np.isnan(axis_of(study, n).places).any()) for n in shares}
    return sorted(varied(study, shares), key=lambda n: (not is_number(study, n), lacking[n]))


def pair(study: Study, x: str | None, y: str | None, shares: dict[str, float]) -> list[Axis]:
    """The axes x and y; where one is None, the first that is left (see `for_maps`).

    Fewer than two where not so many vary.
    """
    if x is not None and x == y:
        raise ValueError(f"y = {y!r}: wanted another name than x")
    free = for_maps(study, shares)
    chosen: list[Axis] = []
    for argument, name in (("x", x), ("y", y)):
        others = [n for n in free if n not in (x, y, *(axis.name for axis in chosen))]
        if name is not None or others:
            chosen.append(axis_of(study, others[0] if name is None else name, argument))
    return chosen


def scale(axes: "Axes", letter: str, axis: Axis) -> None:
    """Gives a side of a picture the scale, ticks and name of an axis."""
    low, high = axis.ends
    side = axes.xaxis if letter == "x" else axes.yaxis
    if axis.values is not None:
        places, labels = axis.ticks()
        side.set_ticks(places, [plain(short(label)) for label in labels])
        if letter == "x" and sum(map(len, labels)) > 40:
            axes.tick_params("x", rotation=30)
    if axis.log:
        axes.set(**{f"{letter}scale": "log"})
        log_ticks(side, low, high, most=20)
        ends = low * (low / high) ** MARGIN, high * (high / low) ** MARGIN
    else:
        ends = low - MARGIN * (high - low), high + MARGIN * (high - low)
    axes.set(**{f"{letter}lim": ends, f"{letter}label": plain(axis.title)})
