"""A study in words: its best trials, its winner, and what it took."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.search import Interval, Study
from jaxopt_edu.search.export import fresh_scores, winner_of
from jaxopt_edu.search.study import no_best
from jaxopt_edu.values.names import short_names

ROWS = 10

FILES = ("trials.csv", "best.json", "confirm.csv", "study.json", "curves.png", "landscape.png",
         "report.html")  # fmt: skip


def leaderboard(
    study: Study, directory: Path, confirmed: Study | None = None, note: str = ""
) -> str:
    """The ten best trials, the winner's test scores, and where the files are.

    Trials that were confirmed come first, in the order of their means over the fresh seeds.
    note: why nothing was confirmed.
    """
    info, lines = study.info, [table(_rows(study, confirmed)), ""]
    if not study.scored:
        lines = [no_best(study)]
    elif confirmed is not None:
        lines += _confirmed_lines(study, confirmed)
    else:
        scores = study.scores()
        names = [name for name in scores if name.startswith("test_")]
        test = ", ".join(f"{n.removeprefix('test_')} {cell(scores[n])}" for n in names)
        lines += [
            f"winner: trial {study.best_trial}; on the test part: {test or 'there is none'}",
            *[note] * bool(note),
        ]
    return "\n".join([
        *lines,
        f"{info['trials']} trials, {info['diverged']} diverged, {info['stopped']} stopped, "
        f"{info['useful_lane_steps']:,} of {info['executed_lane_steps']:,} executed lane-steps "
        f"useful, {info['seconds']:.1f} s of which "
        f"{info['compile_seconds']:.1f} s compiling, "
        f"{info['model_steps_per_second']:,.0f} model-steps/s",
        f"files: {directory}/ {' '.join(f for f in FILES if (directory / f).exists())}",
    ])  # fmt: skip


def summary(study: Study, directory: Path, confirmed: Study | None = None) -> dict[str, Any]:
    """What --json prints; best is null where no trial has a score."""
    info = study.info
    keys = ("trials", "diverged", "stopped", "executed_lane_steps", "useful_lane_steps", "seconds",
            "compile_seconds", "compilations", "model_steps_per_second", "devices")  # fmt: skip
    told = {key: info[key] for key in keys if key in info}
    return told | {
        "best": best_of(study, confirmed) if study.scored else None,
        "directory": str(directory),
    }


def best_of(study: Study, confirmed: Study | None) -> dict[str, Any]:
    """The winner: its numbers, its scores in the sweep, and those of the fresh seeds."""
    trial, again = winner_of(study, confirmed), None
    if confirmed is not None:
        again = {
            "trials": len(confirmed),
            **fresh_scores(confirmed),
            "seconds": confirmed.info["seconds"],
            "lane_steps": confirmed.info["useful_lane_steps"],
        }
    return {
        "trial": trial,
        "hyperparameters": study.hyperparameters(trial),
        "scores": study.scores(trial),
        "confirmed": again,
    }


def told(study: Study, confirmed: Study | None) -> dict[str, Any]:
    """What a comparison says of a study."""
    info = study.info
    named: dict[str, Any] = {
        "trials": len(study),
        "diverged": study.diverged,
        "steps": study.steps,
        "lane-steps": info["useful_lane_steps"],
        "seconds": info["seconds"],
    }
    if not study.scored:
        return named | {"best trial": None}
    best = winner_of(study, confirmed)
    named |= {"best trial": best, **study.hyperparameters(best), **study.scores(best)}
    if confirmed is not None:
        scores = fresh_scores(confirmed)["scores"]
        named |= {f"{name}, fresh seeds": x["mean"] for name, x in scores.items()}
    return named


# ------------------------------------------------------------------------------------- the table


def _rows(study: Study, confirmed: Study | None) -> list[list[str]]:
    """The head, and the ten best trials."""
    shown = [n for n in study.score_names if n.startswith(("rank_", f"{study.split}_"))]
    shown = [*study.swept, *(n for n in shown if not n.endswith(("_low", "_high")))]
    fresh = {} if confirmed is None else _fresh(study, confirmed)
    order = [*fresh, *(t for t in study.order.tolist() if t not in fresh)]
    head = ["rank", "trial", *short_names(shown)]
    rows = [head + [f"fresh {study.ranks.removeprefix('rank_')}"] * bool(fresh)]
    for rank, trial in enumerate(order[:ROWS], 1):
        row = study.row(trial)
        cells = [str(rank), str(trial), *(cell(row[name]) for name in shown)]
        rows.append(cells + [fresh.get(trial, "-")] * bool(fresh))
    return rows


def _fresh(study: Study, confirmed: Study) -> dict[int, str]:
    """What ranks, over the fresh seeds, by the trial of the study; the best first."""
    of = confirmed.columns["of"]
    return {int(of[i]): bounds(confirmed.interval(i)) for i in confirmed.order.tolist()}


def bounds(x: Interval) -> str:
    """A mean and its interval: 0.105 [0.098, 0.112]."""
    return f"{cell(x.mean)} [{cell(x.low)}, {cell(x.high)}]" if np.isfinite(x.low) else cell(x.mean)


def _confirmed_lines(study: Study, confirmed: Study) -> list[str]:
    """The winner of a confirmation, and what that took."""
    best, info = confirmed.best_trial, confirmed.info
    names = [name for name in confirmed.finals if name.startswith("test_")]
    test = [f"{n.removeprefix('test_')} {bounds(confirmed.interval(best, n))}" for n in names]
    seeds = len({seed for seed, _ in confirmed.repeats})
    share = info["useful_lane_steps"] / max(study.info["useful_lane_steps"], 1)
    return [
        f"winner: trial {winner_of(study, confirmed)}; on the test part: "
        f"{', '.join(test) or 'there is none'} (means over {seeds} fresh seeds, 95% intervals)",
        f"the {len(confirmed)} best were trained again with {seeds} fresh seeds: {share:.1%} of "
        f"the sweep's lane-steps, {info['seconds']:.1f} s, "
        f"{info['compilations']['engine']} programs compiled",
    ]


def table(rows: list[list[str]]) -> str:
    """Rows of text in aligned columns, the first row underlined."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.rjust(w) for cell, w in zip(row, widths, strict=True)) for row in rows]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def cell(value: Any) -> str:
    """A value in four digits; a dash where there is none."""
    if value is None or value != value:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
