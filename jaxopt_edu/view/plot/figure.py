"""What all pictures share: a canvas of their own, colours, scales, and how they become files."""

import functools
import inspect
import io
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.storage.files import whole
from jaxopt_edu.values.messages import show
from jaxopt_edu.view.plot.scores import best_line, by_status, ranked

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")
T = TypeVar("T")

INCHES, DPI = (9.6, 6.4), 125  # 1200 x 800 pixels
# the colours of Okabe & Ito (2008), which the colour-blind tell apart, without their yellow
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = "osD^vPXp"
BEST, DEAD = "#D55E00", "#555555"
# what became of a trial: colour, marker, whether it is filled
LOOKS = {
    "finished": ("#0072B2", "o", True),
    "stopped": ("#56B4E9", "o", False),
    "interrupted": ("#E69F00", "s", False),
    "diverged": (DEAD, "x", True),
}


def of(kind: type) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """A picture of one kind of value, which is its first argument: TypeError for another."""

    def checked(plot: Callable[P, T]) -> Callable[P, T]:
        name = next(iter(inspect.signature(plot).parameters))

        @functools.wraps(plot)
        def picture(*args: P.args, **kwargs: P.kwargs) -> T:
            given = args[0] if args else kwargs.get(name)
            if (args or name in kwargs) and not isinstance(given, kind):
                raise TypeError(
                    f"{name} = {type(given).__name__}: {plot.__name__} wants a {kind.__name__}"
                )
            return plot(*args, **kwargs)

        return picture

    return checked


def new_figure() -> "Figure":
    """An empty figure on a canvas of its own: no window, no pyplot, no global state.

    A notebook shows it: it is a `Picture`, whose module is imported with the first picture.
    """
    from jaxopt_edu.view.plot.picture import Picture

    return Picture(INCHES, DPI, layout="constrained")


def save(figure: object, path: str | os.PathLike[str]) -> Path:
    """Writes a picture whole or not at all: under a temporary name beside it, then renamed.

    figure: what a plot gives, or an animation. The ending of the name says the format: .png, .svg,
    .pdf, of an animation .gif.
    Errors: TypeError for what is no figure or animation, or no path; IsADirectoryError where the
        path is a directory; ValueError for a format that cannot be written.
    """
    write = getattr(figure, "savefig", None)
    if not callable(write):
        raise TypeError(
            f"figure = {show(figure)}: wanted a figure or an animation, such as of plot_race"
        )
    path = file_path("path", path)
    with whole(path) as file:
        write(file, format=path.suffix[1:] or "png")
    return path


def file_path(name: str, given: Any) -> Path:
    """The path of a file to write. Errors: those of `save`, with the argument's name."""
    if not isinstance(given, str | os.PathLike) or not os.fspath(given):
        raise TypeError(f"{name} = {show(given)}: wanted the path of a file")
    path = Path(given)
    if path.is_dir():
        raise IsADirectoryError(f"{name} = {str(path)!r} is a directory: wanted a file")
    return path


def png(figure: "Figure") -> bytes:
    """The picture as the bytes of a PNG file."""
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


# -------------------------------------------------------------------------------------- words


def plain(text: Any) -> str:
    """Text in which matplotlib finds no formulas."""
    return str(text).replace("$", r"\$")


def counted(n: int, thing: str) -> str:
    """A number of things in words.

    >>> counted(1, "step"), counted(2000, "step")
    ('1 step', '2,000 steps')
    """
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def headline(figure: "Figure", text: str) -> None:
    """What one sees, above all panels."""
    figure.suptitle(textwrap.fill(plain(text), 84), fontsize=12.5, fontweight="bold")


def key(figure: "Figure", handles: list[Any], columns: int = 1) -> None:
    """What the signs mean, below all panels."""
    for handle in handles:
        handle.set_label(textwrap.fill(handle.get_label(), 110 if columns == 1 else 70))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, frameon=False,
        fontsize=10 if columns == 1 else 8.5,
    )  # fmt: skip


def sign(marker: str, label: Any, **style: Any) -> Any:
    """One sign for the key."""
    from matplotlib.lines import Line2D

    words = plain(label)
    words = f" {words}" if words.startswith("_") else words  # matplotlib would leave it out
    return Line2D([], [], marker=marker, label=words, **({"linestyle": ""} | style))


def star(label: str = "", **style: Any) -> Any:
    """The sign of the best, as a mark in the picture or for the key."""
    shape = {"color": BEST, "markersize": 17, "markeredgecolor": "white"}
    return sign("*", label, **(shape | style))


def best_sign(study: Study, **style: Any) -> Any:
    """The best trial for the key, or that there is none."""
    return star(best_line(study), **style) if len(ranked(study)) else sign("", best_line(study))


def nothing(figure: "Figure", words: str) -> None:
    """Says in the middle of an empty page why there is nothing to see."""
    figure.text(0.5, 0.5, plain(words), ha="center", va="center", fontsize=13, color=DEAD)


def status_signs(study: Study, ink: str = "") -> list[Any]:
    """What became of how many trials, for the key."""
    signs = []
    for status, trials in by_status(study).items():
        colour, marker, filled = LOOKS[status]
        colour = ink or colour
        face = colour if filled else "white"
        words = f"{status} ({len(trials):,})"
        signs.append(sign(marker, words, color=colour, markerfacecolor=face))
    return signs


def points(axes: "Axes", study: Study, x: np.ndarray, y: np.ndarray, ink: str = "") -> None:
    """Trials as points that show what became of them; the diverged are left to `mark_deaths`.

    ink: a colour for all, over a map.
    """
    size = float(np.clip(90 / np.sqrt(len(study)), 2.2, 7))
    for status, those in by_status(study).items():
        colour, marker, filled = LOOKS[status]
        colour = ink or colour
        if status != "diverged":
            axes.plot(
                x[those], y[those], marker, color=colour, markersize=size, alpha=0.8,
                markerfacecolor=colour if filled else "none", linestyle="",
            )  # fmt: skip


def mark_best(axes: "Axes", study: Study, x: np.ndarray, y: np.ndarray) -> None:
    """A star where the best trial lies, if that is within the axes."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    for best in ranked(study)[:1]:
        if left <= x[best] <= right and bottom <= y[best] <= top:
            axes.add_line(star()).set(data=(x[[best]], y[[best]]), clip_on=False, zorder=5)


def tidy(axes: "Axes") -> None:
    """A light grid, and no box."""
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def mark_deaths(axes: "Axes", x: np.ndarray) -> None:
    """A cross for each x in a strip above the axes; near ones are stacked."""
    if not len(x):
        return  # without points the layout would take the mark to be in the corner of the page
    heights = 1.015 + 0.04 * np.modf(np.arange(len(x)) * 0.618)[0]
    axes.plot(
        x, heights, "x", color=DEAD, markersize=4.5, alpha=0.7, clip_on=False,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip


# ------------------------------------------------------------------------------------- scales


def spread_in_logs(x: np.ndarray) -> bool:
    """Whether numbers lie more evenly on a logarithmic axis than on a linear one."""
    x = x[np.isfinite(x)]
    if not x.size or np.min(x) <= 0 or np.max(x) < 8 * np.min(x):
        return False
    low, middle, high = np.quantile(x, (0, 0.5, 1), method="lower")
    linear = (middle - low) / (high - low)
    logarithmic = np.log(middle / low) / np.log(high / low)
    return bool(abs(logarithmic - 0.5) <= abs(linear - 0.5))


def score_range(scores: np.ndarray, mode: str, cut: float = 0.05) -> tuple[float, float, bool]:
    """(low, high, log?) of an axis of scores, without the worst ones if these are far off.

    Logarithmic where all are positive, small is good, and they span a decade.
    """
    scores = scores[np.isfinite(scores)]
    if not scores.size:
        return 0.0, 1.0, False
    low, low_most, high_most, high = map(float, np.quantile(scores, (0, cut, 1 - cut, 1)))
    if mode == "min" and high - high_most > high_most - low:
        high = high_most
    if mode == "max" and low_most - low > high - low_most:
        low = low_most
    if not low < high:
        half = 0.5 * abs(low) or 0.5
        return low - half, high + half, False
    return low, high, mode == "min" and low > 0 and high >= 10 * low


def log_ticks(axis: Any, low: float, high: float, most: float = 1e3) -> None:
    """Ticks at 0.1, 0.2, 0.5, 1, ... up to high / low = most, at the decades alone far above it."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if high < 10 * most * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < most * low else (1, 3)))
        axis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def steps_in_logs(study: Study) -> bool:
    """Whether the steps of a study are best shown by their logarithm: where rungs came early."""
    return bool(study.rungs) and study.steps >= 8 * study.rungs[0]


def step_ends(study: Study) -> tuple[float, float]:
    """The ends of an axis of steps: of a logarithmic one, from before the first that is shown."""
    if not steps_in_logs(study):
        return 0.0, study.steps * 1.02
    ended = study.columns["steps"][study.columns["steps"] > 0]
    return min([*study.rungs, *study.evaluations, *ended]) / 1.5, study.steps * 1.08


def scale_steps(axes: "Axes", study: Study) -> None:
    """Scales the horizontal axis for the steps of a study."""
    low, high = step_ends(study)
    if steps_in_logs(study):
        axes.set_xscale("log")
        log_ticks(axes.xaxis, low, high)
    axes.set(xlim=(low, high), xlabel="step")


def scale_scores(axes: "Axes", scores: np.ndarray, mode: str, cut: float = 0.05) -> Any:
    """Scales the vertical axis for scores; (low, high), beyond which nothing need be drawn."""
    low, high, log = score_range(scores, mode, cut)
    if log:
        axes.set_yscale("log")
        log_ticks(axes.yaxis, low, high)
        margin = (high / low) ** 0.05
        axes.set_ylim(low / margin, high * margin)
        return low / margin**20, high * margin**20
    margin = 0.05 * (high - low)
    axes.set_ylim(low - margin, high + margin)
    return low - 20 * margin, high + 20 * margin
