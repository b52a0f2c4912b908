"""What was spent: epsilon of a noise, a sampling rate and a number of steps, and back.

Two data sets are neighbours when one has one record more. (epsilon, delta)-differential privacy:
whatever set S of results, P(result in S) <= exp(epsilon) P'(result in S) + delta.
"""

import math
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.environment import need
from jaxopt_edu.values.pytrees import resolve_among

ORDERS = (*(1 + k / 10 for k in range(1, 101)), *range(12, 64), 128, 256, 512, 1024)
TERMS = 1000  # of the two series for an order that is no integer
NEGLIGIBLE = 30  # a term below exp(-30) of the sum
TOLERANCE = 1e-6  # of a noise multiplier, relative
TINY = 1e-7  # a log A_a below it is lost in the rounding of a sum near 1
ROUNDING = 1e-14  # of a log A_a near 0 for an order that is no integer
MOST = 345  # of the logarithm of a noise multiplier, whose square must be a number


def epsilon(
    *, noise_multiplier: float, sample_rate: float, steps: int, delta: float,
    accountant: str = "rdp", orders: Any = ORDERS,
) -> float:  # fmt: skip
    """The epsilon that so many steps of the Poisson-subsampled Gaussian mechanism spend.

    Formula (rdp): with r_a = steps * `rdp` at the order a,
        epsilon = min over a of  r_a + log(1 - 1/a) - (log delta + log a) / (a - 1),
        and 0 where already sqrt(1 - exp(-r_a)) <= delta
    accountant: "rdp" is an upper bound, in milliseconds; "pld" composes the distribution of the
        privacy loss by dp-accounting: tighter (where it is not, the bound of rdp), and slower.
    orders: at which rdp looks; those of dp-accounting unless told otherwise.
    Units: noise_multiplier is a ratio, the deviation of the noise over max_norm.
    Infinite where no order gives a bound.
    Errors: ValueError where noise_multiplier is no finite number of at least 0, sample_rate is
        outside [0, 1], steps is no integer of at least 0 (and at most 1e300), or delta is outside
        (0, 1); for pld also where its tables get too large (noise_multiplier outside 0.1 to 1e6,
        more than 1e7 steps, an epsilon above 1e3); ImportError where dp-accounting is missing.
    Source: Mironov 2017, arXiv:1702.07476; Canonne, Kamath & Steinke 2020, arXiv:2004.00010,
        proposition 12; for pld Koskela et al. 2020, arXiv:1906.03049.
    Agrees with: dp_accounting.rdp.RdpAccountant at the same orders, 1e-12.

    >>> import jaxopt_edu as jo
    >>> e = jo.privacy.epsilon(noise_multiplier=1.1, sample_rate=0.01, steps=10_000, delta=1e-5)
    >>> round(e, 6)
    5.632011
    """
    _check(noise_multiplier, sample_rate, steps, delta, accountant)
    return ACCOUNTANTS[accountant](noise_multiplier, sample_rate, steps, delta, orders)


def _epsilon_rdp(sigma: float, q: float, steps: int, delta: float, orders: Any = ORDERS) -> float:
    """The bound of `epsilon`, by Renyi divergences."""
    if not steps or not q:
        return 0.0
    a = np.asarray(orders, float)
    with np.errstate(over="ignore", divide="ignore"):
        r = float(steps) * rdp(sigma, q, orders)
        bound = r + np.log1p(-1 / a) - (math.log(delta) + np.log(a)) / (a - 1)
        bound = np.where(a > 1.01, bound, math.inf)  # log(1 - 1/a) loses its digits below
        nothing = np.log(-np.expm1(-r)) < 2 * math.log(delta)  # delta^2 may be no number
    return max(0.0, float(np.where(nothing, 0.0, bound).min()))


def noise_multiplier(
    *, epsilon: float, sample_rate: float, steps: int, delta: float, accountant: str = "rdp"
) -> float:
    """The least noise multiplier with which so many steps spend no more than epsilon.

    To a relative 1e-6, and on the safe side. A noise of 0 suffices where nothing is sampled.
    Errors: as `epsilon`; ValueError where epsilon <= 0, or where no noise spends so little.
    Agrees with: dp_accounting.calibrate_dp_mechanism, 1e-5.

    >>> import jaxopt_edu as jo
    >>> s = jo.privacy.noise_multiplier(epsilon=1.0, sample_rate=0.01, steps=1000, delta=1e-5)
    >>> round(s, 4)
    1.5131
    """
    from scipy.optimize import brentq

    if not (_is_number(epsilon) and 0 < epsilon < math.inf):
        raise ValueError(f"epsilon = {epsilon!r}: wanted a number above 0")
    _check(1.0, sample_rate, steps, delta, accountant)
    if sample_rate == 0 or steps == 0:
        return 0.0

    def excess(log_sigma):
        spent = ACCOUNTANTS[accountant](math.exp(log_sigma), sample_rate, steps, delta)
        return min(spent, 2e300) - epsilon

    low = high = 0.0
    while excess(high) > 0:
        if high == MOST:
            raise ValueError(
                f"epsilon = {epsilon}: no noise_multiplier up to e^{MOST} spends so little in "
                f"{steps} steps at delta = {delta}"
            )
        low, high = high, min(2 * high + 1, MOST)
    while excess(low) <= 0:
        if low == -MOST:
            return math.exp(low)
        low, high = max(2 * low - 1, -MOST), low
    return math.exp(brentq(excess, low, high, xtol=TOLERANCE / 10) + TOLERANCE)


# ------------------------------------------------------------------------ Renyi divergences


def rdp(noise_multiplier: float, sample_rate: float, orders: Any = ORDERS) -> ndarray:
    """The Renyi divergence that one step spends, at each order.

    Formula: D_a = log(A_a) / (a - 1); for an integer a, with q the sample rate, s the noise,
        A_a = sum_{k=0}^{a} binomial(a, k) (1 - q)^(a - k) q^k exp((k^2 - k) / (2 s^2))
        for other orders two series, each of one half of the line; a / (2 s^2) where q = 1.
    Infinite where the series do not converge in 1,000 terms, or there is no noise. Below 1e-7,
        where A_a is 1 to rounding, log A_a comes from A_a - 1, a sum of terms above 0; for other
        orders it is at most the chord between the integers beside, as log A_a is convex in a.
    Source: Mironov, Talwar & Zhang 2019, arXiv:1908.10530, section 3.3.
    Agrees with: dp_accounting's RdpAccountant, 1e-12.

    >>> import jaxopt_edu as jo
    >>> jo.privacy.rdp(2.0, 1.0, [2, 8])
    array([0.25, 1.  ])
    """
    q, s, orders = sample_rate, noise_multiplier, np.asarray(orders, float)
    if not np.all(orders > 1):
        raise ValueError(f"orders = {orders}: wanted numbers above 1")
    if q == 0 or s == 0:
        return np.full(len(orders), 0.0 if q == 0 else math.inf)
    with np.errstate(all="ignore"):
        s = np.float64(s)
        if q == 1:
            return orders / (2 * s**2)
        logs = [_log_integer(a, q, s) if a == int(a) else _log_other(a, q, s) for a in orders]
        return np.where(np.isnan(logs), math.inf, logs) / (orders - 1)


def _log_integer(a: float, q: float, s: float) -> float:
    """log A_a for an integer a"""
    k = np.arange(a + 1)
    terms = _log_binomial(a, k) + k * math.log(q) + (a - k) * math.log1p(-q)
    x = (k**2 - k) / (2 * s**2)
    total = np.logaddexp.reduce(terms + x)
    if not total > TINY:
        total = np.log1p(np.exp(np.logaddexp.reduce(terms + np.log(np.expm1(x)))))
    return float(total)


def _log_other(a: float, q: float, s: float) -> float:
    """log A_a for any a"""
    below = math.floor(a)
    ends = [_log_integer(k, q, s) if k > 1 else 0.0 for k in (below, below + 1)]
    chord = ends[0] + (a - below) * (ends[1] - ends[0])
    if chord <= TINY**1.5:
        return chord
    total = _log_fraction(a, q, s)
    return min(chord, total + ROUNDING) if chord <= TINY else total


def _log_fraction(a: float, q: float, s: float) -> float:
    """log A_a for any a: terms are added in absolute value, which bounds A_a from above."""
    from scipy.special import log_ndtr

    i = np.arange(TERMS)
    z = s**2 * (math.log1p(-q) - math.log(q)) + 0.5

    def series(k, tail):
        powers = _log_binomial(a, i) + k * math.log(q) + (a - k) * math.log1p(-q)
        return powers + (k**2 - k) / (2 * s**2) + log_ndtr(tail / s)

    left, right = series(i, z - i), series(a - i, a - i - z)
    total = np.logaddexp.accumulate(np.logaddexp(left, right))
    falling = (np.diff(left) < 0) & (np.diff(right) < 0)
    small = np.maximum(left, right)[1:] < total[1:] - NEGLIGIBLE
    done = np.flatnonzero(falling & small)
    return total[1 + done[0]] if len(done) else math.inf


def _log_binomial(n: float, k: ndarray) -> ndarray:
    """log |n! / (k! (n - k)!)|"""
    from scipy.special import gammaln

    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)


# -------------------------------------------------------------------- privacy loss distributions


def _epsilon_pld(sigma: float, q: float, steps: int, delta: float, orders: Any = ORDERS) -> float:
    """The epsilon by dp-accounting's composition of privacy loss distributions."""
    need("accountant='pld'", "dp_accounting")
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent
    from dp_accounting.pld import PLDAccountant

    bound = _epsilon_rdp(sigma, q, steps, delta, orders)
    if not (sigma and q and steps):
        return bound
    if not 0.1 <= sigma <= 1e6 or steps > 1e7 or bound > 1e3:
        raise ValueError(
            f"accountant = 'pld' with noise_multiplier = {sigma}, steps = {steps} and an epsilon "
            f"up to {bound:.3g}: wanted 0.1 to 1e6, at most 1e7 and at most 1e3, or its tables get "
            "too large; accountant = 'rdp' takes any"
        )
    step = PoissonSampledDpEvent(q, GaussianDpEvent(sigma))
    return min(bound, float(PLDAccountant().compose(step, int(steps)).get_epsilon(delta)))


ACCOUNTANTS = {"rdp": _epsilon_rdp, "pld": _epsilon_pld}


def _check(sigma: float, q: float, steps: int, delta: float, accountant: str) -> None:
    resolve_among("accountant", accountant, ACCOUNTANTS)
    if not (_is_number(sigma) and 0 <= sigma < math.inf):
        raise ValueError(f"noise_multiplier = {sigma!r}: wanted a finite number, at least 0")
    if not (_is_number(q) and 0 <= q <= 1):
        raise ValueError(f"sample_rate = {q!r}: wanted a probability, from 0 to 1")
    if not (_is_number(steps) and 0 <= steps <= 1e300 and steps == int(steps)):
        raise ValueError(f"steps = {steps!r}: wanted an integer, at least 0")
    if not (_is_number(delta) and 0 < delta < 1):
        raise ValueError(f"delta = {delta!r}: wanted a probability between 0 and 1")


def _is_number(x: Any) -> bool:
    """Whether x is a real number, no flag, no text and no NaN."""
    real = isinstance(x, int | float | np.integer | np.floating) and not isinstance(x, bool)
    return real or (getattr(x, "ndim", None) == 0 and np.issubdtype(x.dtype, np.number))
