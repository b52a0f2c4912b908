"""The pictures of the finders."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.view.plot.figure import (
    COLOURS,
    DEAD,
    headline,
    key,
    mark_deaths,
    new_figure,
    plain,
    scale_scores,
    sign,
    star,
    tidy,
)
from jaxopt_edu.view.plot.scores import score_name, show_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_rates", "plot_sizes"]


def plot_rates(found: Any) -> "Figure":
    """The score after the training over the learning rate, the plateau shaded."""
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    study, alive = found.study, np.isfinite(found.scores)
    sensible = np.where(alive, found.scores, np.nan)
    low, high = scale_scores(axes, np.append(sensible, found.untrained), study.mode)
    axes.axvspan(*found.plateau, color=COLOURS[2], alpha=0.15, linewidth=0)
    axes.axhline(found.untrained, color=DEAD, linestyle=":")
    axes.plot(found.values, np.clip(sensible, low, high), "-o", color=COLOURS[0], markersize=4)
    mark_deaths(axes, found.values[~alive])
    chosen = found.values == found.suggested
    axes.add_line(star()).set(data=(found.values[chosen], found.scores[chosen]), zorder=5)
    axes.set_xscale("log")
    axes.set(xlabel=plain(found.name), ylabel=plain(score_name(study)))
    signs = [
        star(f"suggested: {show_number(found.suggested)}, in the middle of the plateau (shaded)"),
        sign("", f"the untrained model: {show_number(found.untrained)}", color=DEAD, linestyle=":"),
    ]
    if study.diverged:
        signs.append(sign("x", f"diverged ({study.diverged})", color=DEAD))
    key(figure, signs)
    words = f"{score_name(study).capitalize()} after {study.steps:,} steps at {len(study)} rates"
    edge = "; the plateau is open: try others, too" if found.open_end else ""
    headline(figure, f"{words}: take {show_number(found.suggested)}{edge}")
    return figure


def plot_sizes(found: Any) -> "Figure":
    """The score in one panel and the time in another, over the batch size."""
    figure = new_figure()
    above, below = figure.subplots(2, 1, sharex=True)
    study, sizes = found.studies[0], np.asarray(found.sizes)
    order, chosen = np.argsort(sizes), found.sizes.index(found.suggested)
    scale_scores(above, found.scores, study.mode, cut=0)
    for axes, values, words in (
        (above, found.scores, score_name(study)),
        (below, found.seconds, "seconds of work"),
    ):
        tidy(axes)
        axes.plot(sizes[order], values[order], "-o", color=COLOURS[0], markersize=5)
        axes.add_line(star()).set(data=(sizes[[chosen]], values[[chosen]]), zorder=5)
        axes.set_ylabel(plain(words))
    below.set_xscale("log")
    below.set_xticks(sizes, [str(size) for size in sizes])
    below.minorticks_off()
    below.set_ylim(0, 1.15 * found.seconds.max())
    below.set_xlabel("batch size")
    key(figure, [star(f"suggested: {found.suggested}, the fastest of those near the best score")])
    seen = found.steps[0] * found.sizes[0]
    score, seconds = found.scores[chosen], found.seconds[chosen]
    words = f"Batch sizes, each trained on {seen:,} examples: take {found.suggested}"
    headline(figure, f"{words} ({score_name(study)} {score:.3g} in {seconds:.2g} s)")
    return figure
