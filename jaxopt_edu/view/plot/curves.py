"""Scores over steps: of all trials of a study, or of one run."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.engine.checks import ranking_split
from jaxopt_edu.engine.history import Run
from jaxopt_edu.engine.status import STOPPED
from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.figure import (
    BEST,
    COLOURS,
    DEAD,
    best_sign,
    headline,
    key,
    mark_deaths,
    new_figure,
    of,
    plain,
    scale_scores,
    scale_steps,
    sign,
    star,
    tidy,
)
from jaxopt_edu.view.plot.scores import by_status, diverged, ranked, score_name, show_number

RING: dict[str, Any] = {
    "color": "#555555",
    "markersize": 3.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.7,
}

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@of(Study)
def plot_curves(study: Study) -> "Figure":
    """The learning curves of all trials by rank, dark is good, the best one bold.

    Diverged trials are dotted up to where they end, with a cross above the axes at that step.
    Trials stopped at a rung (a dashed line) end there with a ring. Where a trial has several
    lanes, the band of the best is what its lanes span.
    """
    figure = new_figure()
    axes = figure.add_subplot()
    tidy(axes)
    alive, dead = ranked(study), diverged(study)
    shown = _curves(study, alive if len(alive) else dead)
    low, high = scale_scores(axes, shown, study.mode)
    dotted = _draw(axes, study, dead, (low, high))
    dotted.set(color=DEAD, linestyle=":", alpha=0.4)
    lines = _draw(axes, study, alive[::-1], (low, high))
    lines.set(array=np.arange(len(alive), 0, -1), cmap="viridis", clim=(1, max(len(alive), 2)))
    lines.set_alpha(float(np.clip(30 / max(len(alive), 1), 0.25, 0.8)))
    if len(alive) > 1:
        _rank_bar(figure, axes, lines)
    for rung in study.rungs:
        axes.axvline(rung, color="#888888", linewidth=0.8, linestyle="--", zorder=1)
    stopped = by_status(study).get(STOPPED, alive[:0])
    ends = _draw_ends(axes, study, np.intersect1d(stopped, alive), (low, high))
    _mark_best(axes, study, alive[:1])
    mark_deaths(axes, study.columns["steps"][dead])
    scale_steps(axes, study)
    axes.set_ylabel(plain(score_name(study)))
    signs = [best_sign(study, linestyle="-", linewidth=2.6)]
    if ends:
        signs.append(sign("o", f"stopped at a rung ({ends:,})", **RING))
    if len(dead):
        signs.append(sign("x", f"the step at which a trial diverged ({len(dead)})", color=DEAD))
    key(figure, signs)
    trials = f"{len(study):,} trial{'s' * (len(study) > 1)}"
    headline(figure, f"{score_name(study).capitalize()} of {trials} over {study.steps:,} steps")
    return figure


def _curves(study: Study, trials: np.ndarray) -> np.ndarray:
    """The curves of some trials, NaN where they are not finite."""
    missing = np.full((len(study), len(study.evaluations)), np.nan)
    curves = study.curves.get(study.metric, missing)[trials]
    return np.where(np.isfinite(curves), curves, np.nan)


def _draw(axes: "Axes", study: Study, trials: np.ndarray, bounds: tuple[float, float]) -> Any:
    """The curves of some trials as one collection, the last on top; a single score is a dash."""
    from matplotlib.collections import LineCollection

    curves, steps = np.clip(_curves(study, trials), *bounds), study.evaluations
    if len(steps) == 1:
        curves, steps = np.repeat(curves, 2, axis=1), np.array([0.97, 1.0]) * steps
    points = [np.column_stack([steps, curve]) for curve in curves]
    return axes.add_collection(LineCollection(points, linewidths=1.1), autolim=False)


def _draw_ends(axes: "Axes", study: Study, trials: np.ndarray, bounds: tuple[float, float]) -> int:
    """A ring at the last score of each of some trials; how many have one."""
    curves = np.clip(_curves(study, trials), *bounds)
    scored = np.isfinite(curves)
    curves, scored = curves[scored.any(axis=1)], scored[scored.any(axis=1)]
    last = scored.shape[1] - 1 - np.argmax(scored[:, ::-1], axis=1)
    axes.plot(study.evaluations[last], curves[np.arange(len(last)), last], "o", **RING)
    return len(last)


def _rank_bar(figure: "Figure", axes: "Axes", lines: Any) -> None:
    """What the colours of the curves mean."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.ticker import MaxNLocator

    opaque, ticks = ScalarMappable(lines.norm, lines.cmap), MaxNLocator(integer=True)
    bar = figure.colorbar(opaque, ax=axes, pad=0.01, ticks=ticks, label="rank (1 is the best)")
    bar.ax.invert_yaxis()


def _mark_best(axes: "Axes", study: Study, best: np.ndarray) -> None:
    """The best curve, bold, its end a star with its name."""
    from matplotlib.patheffects import withStroke

    for trial, curve in zip(best, _curves(study, best), strict=True):
        steps, curve = study.evaluations[np.isfinite(curve)], curve[np.isfinite(curve)]
        if not len(steps):
            continue
        axes.plot(steps, curve, color=BEST, linewidth=2.6)
        if len(study.repeats) > 1:
            lanes = study.lanes[study.metric][trial][:, np.isin(study.evaluations, steps)]
            axes.fill_between(steps, lanes.min(axis=0), lanes.max(axis=0), color=BEST, alpha=0.25)
        axes.add_line(star()).set(data=(steps[-1:], curve[-1:]), clip_on=False, zorder=5)
        axes.annotate(
            f"trial {trial}", (steps[-1], curve[-1]), (-14, 10), textcoords="offset points",
            ha="right", color=BEST, fontweight="bold",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip


# --------------------------------------------------------------------------------------- a run


@of(Run)
def plot_run(run: Run) -> "Figure":
    """The scores of a run over its steps: the losses in one panel, each other score in its own."""
    figure = new_figure()
    history = {name: x for name, x in run.history.items() if name != "step"}
    losses = [name for name in ("training_loss", "loss") if name in history]
    panels = ([losses] if losses else []) + [[name] for name in history if name not in losses]
    split = ranking_split(tuple(run.scores))
    words = {"training_loss": "training loss (of the last batch)", "loss": f"{split} loss"}
    columns = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(columns, panels, strict=True):
        tidy(axes)
        mode = "min" if panel == losses else "max"
        scale_scores(axes, np.stack([history[name] for name in panel]), mode, cut=0)
        for name, colour, style in zip(panel, COLOURS, ("--", "-")[-len(panel) :], strict=False):
            axes.plot(
                run.history["step"],
                history[name],
                style,
                color=colour,
                marker="o",
                markersize=3.5,
                label=plain(words.get(name, f"{split} {name}")),
            )
        axes.set_ylabel(plain("loss" if panel == losses else panel[0]))
        axes.legend(frameon=False)
    columns[-1].set_xlabel("step")
    why = f" ({run.reason})" if run.reason else ""
    scores = ", ".join(f"{split} {name} {show_number(x)}" for name, x in run.scores[split].items())
    headline(figure, f"{run.status.capitalize()} after {run.steps:,} steps{why}: {scores}")
    return figure
