"""The picture of a diagnosis."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.plot.figure import (
    BEST,
    COLOURS,
    DEAD,
    headline,
    new_figure,
    plain,
    scale_scores,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_diagnosis"]

MOST = 8  # features shown


def plot_diagnosis(diagnosis: Any) -> "Figure":
    """Learning curves on the left; errors, and what tells train from test, on the right."""
    figure = new_figure()
    grid = figure.add_gridspec(2, 2, width_ratios=(3, 2))
    _curves(figure.add_subplot(grid[:, 0]), diagnosis)
    _errors(figure.add_subplot(grid[0, 1]), diagnosis.numbers)
    _shift(figure.add_subplot(grid[1, 1]), diagnosis.shift)
    headline(figure, f"{', '.join(diagnosis.verdicts).capitalize()}. {diagnosis.sentences[0]}")
    return figure


def _curves(axes: "Axes", diagnosis: Any) -> None:
    """The losses over the run, and that of a constant prediction."""
    tidy(axes)
    curves, numbers = diagnosis.curves, diagnosis.numbers
    whole = bool(diagnosis.run.train_history)
    words = {"train": "training loss" + ("" if whole else " (of the last batch)")}
    shown = [curves[name] for name in ("train", "validation") if name in curves]
    constant = [numbers["constant_loss"]] if "constant_loss" in numbers else []
    scale_scores(axes, np.concatenate([*shown, constant]), "min", cut=0)
    for name, colour, style in (("train", COLOURS[0], "--"), ("validation", COLOURS[1], "-")):
        if name in curves:
            label = words.get(name, "validation loss")
            axes.plot(
                curves["step"], curves[name], style, color=colour, marker="o", markersize=3.5,
                label=label,
            )  # fmt: skip
    for level in constant:
        axes.axhline(level, color=DEAD, linestyle=":", label="loss of a constant prediction")
    axes.set(xlabel="step", ylabel="loss")
    axes.legend(frameon=False)


def _errors(axes: "Axes", numbers: dict[str, float]) -> None:
    """The errors with their standard errors."""
    tidy(axes)
    rows = {
        "training part": "train_error",
        "validation part": "validation_error",
        "nearest neighbours,\nvalidation part": "neighbours_error",
    }
    shown = {words: name for words, name in rows.items() if name in numbers}
    for height, name in enumerate(shown.values()):
        colour = DEAD if name == "neighbours_error" else COLOURS[height]
        error = numbers[f"{name}_se"]
        axes.barh(height, numbers[name], 0.6, color=colour, xerr=error, ecolor="#333333")
        axes.annotate(
            f"{numbers[name]:.3g}", (numbers[name] + error, height), (5, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    axes.set_yticks(range(len(shown)), list(shown))
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set(xlabel="error", title="Errors" if shown else "No errors: it diverged")


def _shift(axes: "Axes", shift: Any) -> None:
    """The features whose means differ most, those that tell the parts apart in colour."""
    tidy(axes)
    if shift is None:
        axes.set(title="No test part to compare with", xticks=[], yticks=[])
        return
    order = np.argsort(-np.abs(shift.differences), kind="stable")[:MOST]
    for height, j in enumerate(order):
        differs = shift.names[j] in shift.features
        axes.barh(height, shift.differences[j], 0.6, color=BEST if differs else "#bbbbbb")
    axes.set_yticks(range(len(order)), [plain(shift.names[j]) for j in order])
    axes.invert_yaxis()
    axes.axvline(0, color="#333333", linewidth=0.8)
    widest = max(0.5, 1.1 * float(np.abs(shift.differences).max()))
    title = f"Training or test? AUC {shift.auc:.2f} (guessing: 0.5)"
    axes.set(xlim=(-widest, widest), title=title)
    axes.set_xlabel("difference of the means, in deviations (orange: significant)")
