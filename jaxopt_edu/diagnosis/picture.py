"""The picture of a diagnosis."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.view.plot.figure import (
    BEST,
    COLOURS,
    DEAD,
    headline,
    key,
    new_figure,
    plain,
    scale_scores,
    sign,
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
    signs = _curves(figure.add_subplot(grid[:, 0]), diagnosis)
    _errors(figure.add_subplot(grid[0, 1]), diagnosis.numbers)
    signs += _shift(figure.add_subplot(grid[1, 1]), diagnosis.shift)
    key(figure, signs, columns=2)
    headline(figure, _title(diagnosis))
    return figure


def _title(diagnosis: Any) -> str:
    """The verdicts and the losses, or why there are none."""
    verdicts, n = ", ".join(diagnosis.verdicts).capitalize(), diagnosis.numbers
    if not n:
        return f"{verdicts}: {diagnosis.run.reason}"
    losses = f"{n['train_loss']:.3g} on the training part, {n['validation_loss']:.3g} on the"
    return f"{verdicts}: loss {losses} validation part"


def _curves(axes: "Axes", diagnosis: Any) -> list[Any]:
    """The losses over the run, and that of a constant prediction; what the lines mean."""
    tidy(axes)
    curves, numbers = diagnosis.curves, diagnosis.numbers
    whole = bool(diagnosis.run.train_history)
    words = {
        "train": "training loss" + ("" if whole else " (of the last batch)"),
        "validation": "validation loss",
    }
    shown = {name: text for name, text in words.items() if name in curves}
    constant = [numbers["constant_loss"]] if "constant_loss" in numbers else []
    losses = np.concatenate([*(curves[name] for name in shown), constant])
    scale_scores(axes, losses, "min", cut=0)
    styles = {"train": (COLOURS[0], "--"), "validation": (COLOURS[1], "-")}
    signs = []
    for name, text in shown.items():
        colour, style = styles[name]
        look: dict[str, Any] = {"color": colour, "linestyle": style, "markersize": 3.5}
        axes.plot(curves["step"], curves[name], marker="o", **look)
        signs.append(sign("o", text, **look))
    for level in constant:
        axes.axhline(level, color=DEAD, linestyle=":")
        signs.append(sign("", "loss of a constant prediction", color=DEAD, linestyle=":"))
    axes.set(xlabel="step", ylabel="loss")
    return signs


def _errors(axes: "Axes", numbers: dict[str, float]) -> None:
    """The errors with their standard errors."""
    tidy(axes)
    rows = {
        "training part": "train_error",
        "validation part": "validation_error",
        "neighbours": "neighbours_error",
    }
    if not numbers:
        axes.set(title="No errors: it diverged", xticks=[], yticks=[])
        return
    for height, name in enumerate(rows.values()):
        colour = "#999999" if name == "neighbours_error" else COLOURS[height]
        error = numbers[f"{name}_se"]
        axes.barh(height, numbers[name], 0.6, color=colour, xerr=error, ecolor="#333333")
        axes.annotate(
            f"{numbers[name]:.3g}", (numbers[name] + error, height), (5, 0),
            textcoords="offset points", va="center",
        )  # fmt: skip
    ends = [numbers[name] + numbers[f"{name}_se"] for name in rows.values()]
    axes.set(title="Error, and its standard error", xlim=(0, 1.3 * max(*ends, 1e-3)))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.invert_yaxis()


def _shift(axes: "Axes", shift: Any) -> list[Any]:
    """The features that differ, in colour, and those whose means differ most; what it means."""
    tidy(axes)
    if shift is None:
        axes.set(title="No test part to compare with", xticks=[], yticks=[])
        return []
    differs = np.isin(shift.names, shift.features)
    order = np.lexsort((-np.abs(shift.differences), ~differs))[:MOST]
    labels = [name if len(name) <= 20 else f"{name[:18]}..." for name in shift.names]
    axes.set_yticks(range(len(order)), [plain(labels[j]) for j in order])
    for height, j in enumerate(order):
        axes.barh(height, shift.differences[j], 0.6, color=BEST if differs[j] else "#bbbbbb")
        if differs[j]:
            axes.get_yticklabels()[height].set_color(BEST)
    axes.invert_yaxis()
    axes.axvline(0, color="#333333", linewidth=0.8)
    widest = max(0.5, 1.1 * float(np.abs(shift.differences).max()))
    axes.set(xlim=(-widest, widest), title=f"Train or test? AUC {shift.auc:.2f}")
    axes.set_xlabel("test - training mean, in deviations")
    return [sign("s", "a feature that differs", color=BEST)]
