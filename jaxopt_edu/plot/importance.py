"""Which hyperparameters the ranking of a study depends on."""

import numpy as np

from jaxopt_edu.plot.scores import costs, present
from jaxopt_edu.sweep import Study

MOST_BINS = 8


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
    from scipy.stats import rankdata

    trials = np.arange(len(study)) if trials is None else trials
    judged = trials[~np.isnan(costs(study)[trials])]
    shares = {}
    for name in study.swept:
        having = judged[present(study.columns[name][judged])]
        ranks = rankdata(costs(study)[having])
        shares[name] = _explained(ranks, _bins(study.columns[name][having]))
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _bins(values: np.ndarray) -> np.ndarray:
    """The bin of each value."""
    if values.dtype == object:
        return np.unique([repr(v) for v in values], return_inverse=True)[1]
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
