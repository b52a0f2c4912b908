"""Training and validation scores over the values of one hyperparameter."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.nn.scores import TRAINING_LOSS
from jaxopt_edu.search import Study
from jaxopt_edu.search.ranking import ranks
from jaxopt_edu.view.plot.axis import Axis, axis_of, scale
from jaxopt_edu.view.plot.figure import (
    COLOURS,
    headline,
    key,
    mark_deaths,
    new_figure,
    nothing,
    of,
    plain,
    scale_scores,
    sign,
    star,
    tidy,
)
from jaxopt_edu.view.plot.scores import (
    diverged,
    final_scores,
    is_complete,
    score_name,
    show_number,
    title_of,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TRAINING, VALIDATION = COLOURS[2], COLOURS[0]
RULES = {  # what of a learning curve is the score of a trial
    "last": "", "tail": "scores: the mean over the last fifth of the evaluations",
    "best": "scores: the best of the evaluations",
}  # fmt: skip


@of(Study)
def plot_validation_curve(study: Study) -> "Figure":
    """The training and the validation score over the one hyperparameter that was swept.

    Each line goes through the means over the seeds and folds of a trial, its band is one standard
    deviation to either side; the best trial is marked. The scores are those that rank (see
    `rank_by` of `sweep`), of trials that were not stopped early; a cross above the axes is a trial
    that diverged. The training score is the loss of the last batches, so it is drawn only where
    the loss ranks: a sweep keeps no other score of the training part.
    Errors: ValueError where not exactly one hyperparameter was swept.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(10), loss=jo.losses.l2_loss, data=jo.data.load("diabetes"),
    ...     optimizer=jo.sgd(jo.log_uniform(1e-3, 1.0)),
    ... )
    >>> study = jo.sweep(experiment, 8, steps=20, sampler="grid", folds=3)
    >>> figure = jo.plot.plot_validation_curve(study)
    """
    if len(study.swept) != 1:
        names = ", ".join(study.swept) or "none"
        raise ValueError(
            f"study: {len(study.swept)} hyperparameters were swept ({names}): wanted one; "
            "jo.plot.plot_slices(study) has a panel for each"
        )
    [name] = study.swept
    axis, figure = axis_of(study, name), new_figure()
    complete = np.flatnonzero(is_complete(study) & np.isfinite(final_scores(study)))
    order = complete[np.argsort(axis.places[complete], kind="stable")]
    headline(figure, f"{score_name(study).capitalize()} by {title_of(name)}")
    if not len(order):
        nothing(figure, "no trial reached a score")
        return figure
    curves = curves_of(study, order)
    axes = figure.add_subplot()
    tidy(axes)
    scale(axes, "x", axis)
    bounds = scale_scores(axes, _to_show(curves), study.mode)
    for curve in curves:
        _draw(axes, axis, axis.places[order], curve, bounds)
    axes.set_ylabel(plain(study.metric))
    best = order[int(np.argmin(curves[0].mean * (1 if study.mode == "min" else -1)))]
    place, score = axis.places[best], final_scores(study)[best]
    axes.add_line(star()).set(data=([place], [score]), clip_on=False, zorder=5)
    mark_deaths(axes, axis.places[diverged(study)])
    key(figure, _signs(study, curves, axis, best, len(order)))
    return figure


@dataclass(frozen=True)
class Curve:
    """A score of trials in order: its name, mean and standard deviation over seeds and folds."""

    name: str
    colour: str
    style: str
    mean: np.ndarray
    std: np.ndarray


def curves_of(study: Study, order: np.ndarray) -> list[Curve]:
    """The score that ranks, and beside a loss the training loss, by the same rule."""

    def curve(name: str, colour: str, style: str, x: np.ndarray) -> Curve:
        return Curve(name, colour, style, x.mean(axis=1), x.std(axis=1))

    found = [curve(score_name(study), VALIDATION, "-", _finals(study)[order])]
    if study.metric == "loss" and study.split != "training" and TRAINING_LOSS in study.lanes:
        lanes = study.lanes[TRAINING_LOSS][order]
        seen = np.isfinite(lanes).sum(axis=-1)
        last = np.take_along_axis(lanes, np.maximum(seen - 1, 0)[..., None], axis=-1)[..., 0]
        scores = ranks(lanes, seen, last, study.rank_by, 1)
        found.append(curve("training loss (of batches)", TRAINING, "--", scores))
    return found


def _finals(study: Study) -> np.ndarray:
    """The scores that rank, (trials, repeats)."""
    found = study.finals.get(study.ranks)
    return final_scores(study)[:, None] if found is None else found


def _to_show(curves: list[Curve]) -> np.ndarray:
    """The scores that an axis must have room for: not a training loss that is as good as 0."""
    validation = curves[0].mean
    least = validation.min()
    training = [np.maximum(c.mean, least / 10) if least > 0 else c.mean for c in curves[1:]]
    return np.concatenate([validation, *training])


def _draw(axes: "Axes", axis: Axis, x: np.ndarray, curve: Curve, bounds: Any) -> None:
    number, colour = axis.values is None, curve.colour
    line = curve.style if number else ""
    mean = np.clip(curve.mean, *bounds)
    axes.plot(x, mean, "o", linestyle=line, markersize=4.5, linewidth=2, color=colour)
    low, high = (np.clip(curve.mean + k * curve.std, *bounds) for k in (-1, 1))
    if number and len(x) > 1:
        axes.fill_between(x, low, high, alpha=0.18, linewidth=0, color=colour)
    elif curve.std.any():
        axes.vlines(x, low, high, linewidth=6, alpha=0.25, color=colour)


def _signs(study: Study, curves: list[Curve], axis: Axis, best: int, shown: int) -> list[Any]:
    """What the lines are, the best trial, and what is not drawn."""
    seeds, folds = len({seed for seed, _ in study.repeats}), study.folds
    repeats = [f"{n} {what}s" for n, what in ((folds or 0, "fold"), (seeds, "seed")) if n > 1]
    over = f", mean and standard deviation over {' and '.join(repeats)}" if repeats else ""
    lines = [c.style if axis.values is None else "" for c in curves]
    signs = [
        sign("o", c.name + over, color=c.colour, linestyle=line)
        for c, line in zip(curves, lines, strict=True)
    ]
    value = study.columns[axis.name][best]
    value = show_number(value.item() if hasattr(value, "item") else value)
    score = show_number(float(final_scores(study)[best]))
    signs.append(star(f"best: {title_of(axis.name)} = {value}, {score_name(study)} {score}"))
    dead = len(diverged(study))
    if dead:
        signs.append(sign("x", f"diverged ({dead})", color="#555555"))
    if len(study) > shown + dead:
        signs.append(sign("", f"{len(study) - shown - dead} stopped early are not shown"))
    if RULES[study.rank_by]:
        signs.append(sign("", RULES[study.rank_by]))
    return signs
