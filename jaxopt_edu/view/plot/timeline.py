"""What each worker did when, and how much of it was of use."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.figure import COLOURS, headline, key, new_figure, nothing, of, sign, tidy
from jaxopt_edu.view.plot.scores import short, show_number, title_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 8


@of(Study)
def plot_timeline(study: Study) -> "Figure":
    """A row for each worker, a box for each segment it ran: pale is executed, full is of use.

    The full part of a box is as high as the share of its lane-steps that were of use: made while
    their trial lived. Over all boxes they are `info["useful_lane_steps"]`.
    """
    figure = new_figure()
    headline(figure, timeline_title(study))
    if not len(study.timeline.get("start", ())):
        nothing(figure, "no timeline was recorded")
        return figure
    axes = figure.add_subplot()
    tidy(axes)
    boxes = segments(study)
    for k in np.unique(boxes["structure"]):
        colour, mine = COLOURS[k % len(COLOURS)], boxes["structure"] == k
        spans = {name: x[mine] for name, x in boxes.items()}
        _boxes(axes, spans, np.ones(mine.sum()), color=colour, alpha=0.25)
        _boxes(axes, spans, spans["share"], color=colour, alpha=0.9)
    workers = np.unique(boxes["worker"])
    labels = [f"worker {w}" for w in workers] if len(workers) <= 40 else None
    axes.set_yticks(workers if labels else workers[:: len(workers) // 10], labels)
    axes.set(xlim=(0, boxes["end"].max()), ylim=(workers[-1] + 0.6, workers[0] - 0.6))
    axes.set_xlabel("seconds since the start")
    names = structure_names(study)[:MOST_NAMED]
    signs = [sign("s", n, color=COLOURS[k % len(COLOURS)]) for k, n in enumerate(names)]
    key(figure, [*signs, sign("s", "executed, but not of use", color="#888888", alpha=0.3)], 2)
    return figure


def segments(study: Study) -> dict[str, np.ndarray]:
    """The timeline with `share`, that of the lane-steps of a segment that were of use."""
    line = {name: np.asarray(x) for name, x in study.timeline.items()}
    return line | {"share": line["useful"] / np.maximum(line["width"] * line["steps"], 1)}


def structure_names(study: Study) -> list[str]:
    """What tells the structures apart, in words."""
    labels = [batch.labels.items() for batch in study.batches]
    names = [", ".join(f"{title_of(n)} = {short(show_number(v))}" for n, v in x) for x in labels]
    return [name or "all trials" for name in names]


def timeline_title(study: Study) -> str:
    """What one sees."""
    line = study.timeline
    if not len(line.get("start", ())):
        return "What each worker did when"
    workers = len(np.unique(line["worker"]))
    lasted = np.max(line["end"]) - np.min(line["start"])
    busy = float(np.sum(line["end"] - line["start"]) / max(workers * lasted, 1e-9))
    who = f"{workers:,} worker{'s' * (workers > 1)} busy {busy:.0%} of {lasted:.3g} s"
    executed, useful = (study.info.get(f"{word}_lane_steps") for word in ("executed", "useful"))
    if not executed or not useful:
        return who
    ratio = executed / useful
    return f"{who}; {executed:,} lane-steps executed, {ratio:.3g} for each one of use"


def _boxes(axes: "Axes", spans: dict[str, np.ndarray], share: np.ndarray, **style: Any) -> None:
    """Boxes over time that stand on the floor of their worker's row."""
    from matplotlib.collections import PolyCollection

    corners = box_corners(spans, share)
    axes.add_collection(PolyCollection(list(corners), linewidths=0, **style), autolim=False)


def box_corners(spans: dict[str, np.ndarray], share: np.ndarray) -> np.ndarray:
    """The four corners of each box, (boxes, 4, 2)."""
    x0, x1, floor = spans["start"], spans["end"], spans["worker"] + 0.4
    top = floor - 0.8 * share
    x = np.stack([x0, x1, x1, x0], axis=1)
    return np.stack([x, np.stack([floor, floor, top, top], axis=1)], axis=2)
