"""How many trials were alive at each step, and by which scores the rungs chose."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.search.ranking import followed, standing_scores
from jaxopt_edu.view.plot.figure import (
    BEST,
    COLOURS,
    LOOKS,
    headline,
    key,
    log_ticks,
    new_figure,
    of,
    plain,
    scale_scores,
    scale_steps,
    sign,
    step_ends,
    steps_in_logs,
    tidy,
)
from jaxopt_edu.view.plot.scores import is_complete, score_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@of(Study)
def plot_rungs(study: Study) -> "Figure":
    """Above: how many trials were still trained at each step, by bracket where there are some.

    Below: the scores at each rung, of the trials that it stopped and of those that went on.
    """
    figure = new_figure()
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    for axes in (upper, lower):
        tidy(axes)
        for rung in study.rungs:
            axes.axvline(rung, color="#888888", linewidth=0.8, linestyle="--", zorder=1)
    scale_steps(lower, study)
    _draw_counts(upper, study)
    _draw_scores(lower, study)
    finished, stopped = LOOKS["finished"][0], LOOKS["stopped"][0]
    key(figure, [
        sign("o", "went on (at the last step: finished)", color=finished),
        sign("o", "stopped there", color=stopped, markerfacecolor="none"),
        sign("_", "the best there", color=BEST, markersize=14, markeredgewidth=2.5),
    ], columns=3)  # fmt: skip
    headline(figure, rungs_title(study))
    return figure


def groups(study: Study) -> dict[str, np.ndarray]:
    """The trials of each bracket; all in one where there are none."""
    if "bracket" not in study.columns:
        return {"": np.arange(len(study))}
    column = study.columns["bracket"]
    return {f"bracket {b}": np.flatnonzero(column == b) for b in np.unique(column)}


def alive(study: Study, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The steps at which the number of trials still trained falls, and the number from there on."""
    ends = np.sort(study.columns["steps"][trials])
    ends = ends[ends < study.steps]
    steps, last = np.unique(ends, return_index=True)
    counts = len(trials) - np.append(last, len(ends))
    return np.concatenate([[0], steps, [study.steps]]), np.append(counts, counts[-1])


def at_rung(study: Study, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(trials scored at a step, their scores, whether each went on from there)."""
    curves = study.curves.get(study.metric)
    place = np.flatnonzero(study.evaluations == step)
    if curves is None or not len(place):
        return np.zeros(0, int), np.zeros(0), np.zeros(0, bool)
    scores = curves[:, place[0]]
    if study.rank_by != "last":
        moves = [(at, copy) for at, copy in study.moves if at < step]
        lanes = followed(study.lanes[study.metric], moves, study.evaluations.tolist())
        sign = 1 if study.mode == "min" else -1
        scores = standing_scores(lanes, int(place[0]), study.rank_by, sign).mean(1)
    trials = np.flatnonzero(np.isfinite(scores))
    complete, steps = is_complete(study)[trials], study.columns["steps"][trials]
    return trials, scores[trials], (steps > step) | complete


def rungs_title(study: Study) -> str:
    """What one sees."""
    ends = study.columns["steps"][is_complete(study)]
    many = f"{len(ends):,} of {len(study):,} trials reached the last step, {study.steps:,}"
    if not study.rungs:
        return f"No rungs: {many}"
    return f"{many}; rungs at {', '.join(f'{rung:,}' for rung in study.rungs)}"


def _draw_counts(axes: "Axes", study: Study) -> None:
    """A falling staircase for each bracket, with the number of trials between rungs."""
    brackets = groups(study)
    least = len(study)
    for colour, (name, trials) in zip(COLOURS * len(brackets), brackets.items(), strict=False):
        steps, counts = alive(study, trials)
        least = min(least, max(int(counts.min()), 1))
        axes.step(steps, counts, where="post", color=colour, linewidth=2.2, label=name or None)
        if not name:
            axes.fill_between(steps, counts, 0.01, step="post", color=colour, alpha=0.15)
        for step, count in between_rungs(study, trials):
            axes.annotate(
                f"{count:,}", (step, count), (3, 3), textcoords="offset points", color=colour,
                fontsize=9, fontweight="bold",
            )  # fmt: skip
    axes.set(ylabel="trials still trained", ylim=(0, 1.15 * len(study)))
    if len(study) >= 8 * least:
        axes.set_yscale("log")
        log_ticks(axes.yaxis, least, len(study))
        axes.set_ylim(0.8, 1.6 * len(study))
    if len(brackets) > 1:
        axes.legend(frameon=False, fontsize=9)


def between_rungs(study: Study, trials: np.ndarray) -> list[tuple[float, int]]:
    """(a step, how many of some trials went on from there): early on, and after each rung."""
    ends = study.columns["steps"][trials]
    on = [(step_ends(study)[0], len(trials))]
    on += [(rung, int(np.sum(ends > rung))) for rung in study.rungs if np.any(ends == rung)]
    return on


def _draw_scores(axes: "Axes", study: Study) -> None:
    """The scores at each rung and at the last step, stopped ones to the right of it."""
    shown = [at_rung(study, step) for step in (*study.rungs, study.steps)]
    every = np.concatenate([scores for _, scores, _ in shown])
    low, high = scale_scores(axes, every, study.mode, cut=0.02)
    for step, (trials, scores, on) in zip((*study.rungs, study.steps), shown, strict=True):
        x = beside(study, step, trials, on)
        for mine, status in ((on, "finished"), (~on, "stopped")):
            colour, marker, filled = LOOKS[status]
            axes.plot(
                x[mine], np.clip(scores[mine], low, high), marker, color=colour, markersize=3.5,
                alpha=0.7, linestyle="", markerfacecolor=colour if filled else "none",
            )  # fmt: skip
        if len(scores):
            best = scores.min() if study.mode == "min" else scores.max()
            axes.plot(step, best, "_", color=BEST, markersize=16, markeredgewidth=2.5, zorder=4)
    axes.set_ylabel(plain(score_name(study)))


def beside(study: Study, step: int, trials: np.ndarray, on: np.ndarray) -> np.ndarray:
    """Places next to a step: to its left for trials that went on, to its right for the others."""
    apart = (0.01 + 0.05 * np.modf(trials * 0.618)[0]) * np.where(on, -1, 1)
    return step * np.exp(2 * apart) if steps_in_logs(study) else step + study.steps * apart / 2
