"""Which hyperparameters the ranking of a study depends on."""

from typing import TYPE_CHECKING

import numpy as np

from jaxopt_edu.engine.status import DIVERGED
from jaxopt_edu.search import Study
from jaxopt_edu.view.plot.figure import COLOURS, headline, new_figure, nothing, of, plain, tidy
from jaxopt_edu.view.plot.scores import costs, mean_ranks, present, score_name, title_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_BINS, MOST_BARS = 8, 20
CLEAR = 0.05  # a share below this is none to speak of


def importance(study: Study, trials: np.ndarray | None = None) -> dict[str, float]:
    """How much of the ranking each hyperparameter explains by itself, the largest share first.

    Formula: the scores become ranks r (a diverged trial is the worst); the values of a number fall
        into K quantile bins, K = sqrt(n) but 2 to 8, those of a choice are bins as they are; then
        share = max(0, B - (K - 1) W / (n - K)) / (B + W),
        B = sum_k n_k (mean_k r - mean r)^2,  W = sum_k sum_{i in k} (r_i - mean_k r)^2
    The subtracted term is what B is by chance alone. A hyperparameter that only some structures
    have is judged within the trials that have it. What matters only in combination is not seen.

    trials: which ones to look at; by default all.
    Source: Kelley 1935, An unbiased correlation ratio measure (PNAS 21), for the share; Saltelli
        et al. 2008, Global Sensitivity Analysis, chapter 4, for first-order effects.
    """
    return _shares(study, costs(study), trials)


def importance_of_divergence(study: Study) -> dict[str, float]:
    """The same for whether a trial diverged instead of its score."""
    return _shares(study, (study.columns["status"] == DIVERGED).astype(float), None)


@of(Study)
def plot_importance(study: Study) -> "Figure":
    """The shares of `importance` as bars, the largest on top."""
    figure = new_figure()
    shares = dict(list(importance(study).items())[:MOST_BARS])
    headline(figure, importance_title(study))
    if not shares:
        nothing(figure, "nothing was swept")
        return figure
    axes = figure.add_subplot()
    tidy(axes)
    axes.grid(False, axis="y")
    places = np.arange(len(shares))
    axes.barh(places, list(shares.values()), 0.65, color=COLOURS[0])
    for place, share in zip(places, shares.values(), strict=True):
        axes.annotate(f"{share:.0%}", (share, place), (5, 0), textcoords="offset points",
                      va="center")  # fmt: skip
    axes.set_yticks(places, [plain(title_of(name)) for name in shares])
    axes.tick_params("y", length=0)
    axes.set(ylim=(max(len(shares), 4) - 0.4, -0.6), xlim=(0, 1.08))
    axes.set_xlabel("share of the variance of the ranks that it explains by itself, beyond chance")
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:.0%}")
    return figure


def importance_title(study: Study) -> str:
    """What one sees."""
    largest = next(iter(importance(study).items()), ("", 0.0))
    if largest[1] < CLEAR:
        return f"No hyperparameter by itself explains the {score_name(study)}"
    return f"The {score_name(study)} depends most on {title_of(largest[0])}"


def _shares(study: Study, costs: np.ndarray, trials: np.ndarray | None) -> dict[str, float]:
    """The share of the ranks of some costs that each hyperparameter explains."""
    trials = np.arange(len(study)) if trials is None else trials
    judged = trials[~np.isnan(costs[trials])]
    shares = {}
    for name in study.swept:
        having = judged[present(study.columns[name][judged])]
        ranks = mean_ranks(costs[having])
        shares[name] = _explained(ranks, _bins(study.columns[name][having]))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _bins(values: np.ndarray) -> np.ndarray:
    """The bin of each value."""
    if values.dtype == object:
        places = np.array([i for i, v in enumerate(values) if isinstance(v, float)], int)
        names = [repr(v) for v in values]
        numbers = _bins(values[places].astype(float)) if len(places) else ()
        for i, place in zip(places.tolist(), numbers, strict=True):
            names[i] = str(place)  # numbers beside structure, as a learning rate or a schedule
        return np.unique(names, return_inverse=True)[1]
    count = min(MOST_BINS, max(2, int(np.sqrt(len(values)))))
    kinds, place = np.unique(values, return_inverse=True)
    if len(kinds) <= count:
        return place
    return np.searchsorted(np.quantile(values, np.arange(1, count) / count), values, side="right")


def _explained(ranks: np.ndarray, bins: np.ndarray) -> float:
    """The share of the variance of ranks that their bins explain beyond chance."""
    groups = [ranks[bins == b] for b in np.unique(bins)]
    n, k = len(ranks), len(groups)
    if k < 2 or n <= k or np.ptp(ranks) == 0:
        return 0.0
    total = n * np.var(ranks)
    within = sum(len(r) * np.var(r) for r in groups)
    return float(max(0.0, total - within - (k - 1) * within / (n - k)) / total)
