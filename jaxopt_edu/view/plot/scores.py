"""The scores of a study, in order and in words."""

from typing import Any

import numpy as np

from jaxopt_edu.engine.status import COMPLETE, DIVERGED, FINISHED, INTERRUPTED, STOPPED
from jaxopt_edu.nn.scores import modes_of
from jaxopt_edu.search import Study

STATUSES = (FINISHED, STOPPED, INTERRUPTED, DIVERGED)

MOST = 48  # characters of a name in a picture


def final_scores(study: Study) -> np.ndarray:
    """The score that ranks, by trial; NaN where there is none that is finite."""
    scores = study.columns.get(study.ranks, np.full(len(study), np.nan))
    return np.where(np.isfinite(scores), scores, np.nan)


def costs(study: Study) -> np.ndarray:
    """The same with the sign that makes small ones good; infinite for diverged trials."""
    scores = final_scores(study) * (1 if study.mode == "min" else -1)
    return np.where(study.columns["status"] == DIVERGED, np.inf, scores)


def ranked(study: Study, trials: np.ndarray | None = None) -> np.ndarray:
    """The trials (all, or of those given) that have a score, in the order of the study."""
    order = study.order if trials is None else study.order[np.isin(study.order, trials)]
    return order[np.isfinite(costs(study)[order])]


def mean_ranks(x: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal numbers have the mean of theirs. As scipy.stats.rankdata, whose import
    takes half a second.

    >>> import numpy as np
    >>> mean_ranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def diverged(study: Study) -> np.ndarray:
    """The trials that diverged, the first to do so first."""
    dead = np.flatnonzero(study.columns["status"] == DIVERGED)
    return dead[np.argsort(study.columns["steps"][dead], kind="stable")]


def is_complete(study: Study) -> np.ndarray:
    """Which trials took all steps, or were done or out of patience before."""
    return np.isin(study.columns["status"], COMPLETE)


def by_status(study: Study) -> dict[str, np.ndarray]:
    """The trials by what became of them, in a fixed order, without what became of none."""
    status = np.where(is_complete(study), FINISHED, study.columns["status"])
    found = {s: np.flatnonzero(status == s) for s in STATUSES}
    return {status: trials for status, trials in found.items() if len(trials)}


def score_columns(study: Study) -> list[str]:
    """The columns of the table that are scores."""
    return list(study.score_names)


def direction(study: Study, name: str) -> str:
    """Whether a small score is good: min, for losses and errors, or max.

    What ranks goes by the mode of the study, others by what is known of them; those of which
    nothing is known by their names.
    """
    if name in (study.ranks, f"{study.split}_{study.metric}"):
        return study.mode
    short = name.partition("_")[2]
    for batch in study.batches:
        known = modes_of(batch.template, [short])[short]
        if known is not None:
            return known
    return "min" if name.endswith(("loss", "error", "norm", "steps", "seconds")) else "max"


def thinned(trials: np.ndarray, most: int) -> np.ndarray:
    """At most so many of some trials: the first, and others at even distances."""
    if len(trials) <= most:
        return trials
    return trials[np.linspace(0, len(trials) - 1, most).astype(int)]


def is_number(study: Study, name: str) -> bool:
    """Whether a swept name is a number; else it is a choice of structure."""
    return study.columns[name].dtype != object


def present(column: np.ndarray) -> np.ndarray:
    """Where a column has a value. (None is one: a choice may be to have nothing.)"""
    return np.ones(len(column), bool) if column.dtype == object else np.isfinite(column)


# -------------------------------------------------------------------------------------- words


def show_number(x: Any) -> str:
    """A number in four digits; anything else as it is."""
    if x is None:
        return "none"
    if x != x:
        return "-"
    return f"{x:.4g}" if isinstance(x, float) else str(x)


def score_name(study: Study) -> str:
    """validation loss"""
    return f"{study.split} {study.metric}"


def rank_name(study: Study) -> str:
    """validation loss (tail)"""
    return score_name(study) + f" ({study.rank_by})" * (study.rank_by != "last")


def title_of(name: str) -> str:
    """A swept name; the choice between whole experiments has none."""
    return short(name) or "experiment"


def short(text: Any) -> str:
    """Text that a picture has room for: of a longer one its two ends."""
    text = str(text)
    return text if len(text) <= MOST else f"{text[: MOST // 2]}...{text[-MOST // 2 + 3 :]}"


def best_line(study: Study) -> str:
    """The best trial in one line."""
    if not len(ranked(study)):
        return "no trial reached a score"
    best = int(ranked(study)[0])
    named = {n: study.columns[n][best] for n in study.swept if present(study.columns[n])[best]}
    chosen = ", ".join(
        f"{title_of(n)}\u00a0=\u00a0{short(show_number(value))}" for n, value in named.items()
    )
    score = show_number(float(final_scores(study)[best]))
    return f"best: trial {best}, {rank_name(study)} {score}{': ' * bool(named)}{chosen}"
