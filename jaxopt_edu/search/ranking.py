"""What of a learning curve ranks a trial: its last score, the mean of its tail, or its best.

A curve is noisy: the last score alone crowns a training that happens to dip at the last step.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.values.pytrees import resolve_among

RULES = ("last", "tail", "best")
TAIL = 5  # the tail is the last fifth of the evaluations


def ranks(curves: ndarray, seen: ndarray, last: ndarray, rule: str, sign: int) -> ndarray:
    """The scores that rank, of curves (..., evaluations): (...).

    Formula: last: the last score; tail: the mean of the last fifth of the evaluations (at least
        one); best: the smallest score, the largest where sign is -1
    seen: how many evaluations of each curve were made. last: its last score, which stands where
    there were none, and for a tail of one.
    NaN where a score of the tail is none; the best is that of the finite ones.

    >>> import numpy as np
    >>> curve = np.array([9.0, 8, 7, 6, 5, 4, 3, 2, 1, 3])
    >>> [float(ranks(curve, np.array(10), curve[-1], rule, 1)) for rule in RULES]
    [3.0, 2.0, 1.0]
    """
    resolve_among("rank_by", rule, RULES)
    if rule == "last":
        return last
    place, seen = np.arange(curves.shape[-1]), np.asarray(seen)[..., None]
    if rule == "tail":
        length = np.maximum(1, seen // TAIL)
        tail = (place < seen) & (place >= seen - length)
        mean = np.where(tail, curves, 0).sum(-1, keepdims=True) / length
        return np.where(length == 1, last[..., None], mean)[..., 0]
    known = (place < seen) & np.isfinite(curves)
    best = sign * np.where(known, sign * curves, np.inf).min(-1, initial=np.inf)
    return np.where(known.any(-1), best, last)


def standing_scores(curves: ndarray, place: int, rule: str, sign: int) -> ndarray:
    """The same as things stood at one of the evaluations, of curves that have it."""
    upto = curves[..., : place + 1]
    seen = np.where(np.isnan(upto[..., -1]), 0, place + 1)
    return ranks(upto, seen, upto[..., -1], rule, sign)


def followed(curves: ndarray, moves: Sequence[tuple[int, Any]], stops: Sequence[int]) -> ndarray:
    """The curves (trials, ...) of the states that trials have: before a move, those of the parent.

    >>> from jaxopt_edu.search.schedulers import Exploit
    >>> followed(np.array([[1.0, 2], [5, 3]]), [(10, Exploit(1, 0, {}, {}))], [10, 20]).tolist()
    [[1.0, 2.0], [1.0, 3.0]]
    """
    if not moves:
        return curves
    curves = curves.copy()
    for step, copy in moves:
        before = int(np.searchsorted(stops, step, side="right"))
        curves[copy.trial, ..., :before] = curves[copy.parent, ..., :before]
    return curves
