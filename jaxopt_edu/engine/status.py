"""Status of a training: running, converged, stopped or diverged, and why."""

import enum
from typing import Self

import numpy as np


class Status(enum.IntEnum):
    """What is said of a lane, a trial and a run. A lane that is not RUNNING is frozen where it is.

    word: what tables show. reason: why, in words.
    """

    word: str
    reason: str

    def __new__(cls, number: int, word: str = "", reason: str = "") -> Self:
        status = int.__new__(cls, number)
        status._value_, status.word, status.reason = number, word, reason
        return status

    RUNNING = 0, "running"
    LOSS_NOT_FINITE = 1, "diverged", "loss is not finite"
    STATE_NOT_FINITE = 2, "diverged", "state is not finite"
    LOSS_ABOVE = 3, "diverged", "loss above diverge_above"
    CONVERGED = 4, "converged", "its step said that it is done"
    OUT_OF_PATIENCE = 5, "stopped early", "no better score in patience evaluations"
    FINISHED = 6, "finished"
    STOPPED = 7, "stopped", "worse than others"
    INTERRUPTED = 8, "interrupted"


# The words of tables: how a trial has ended.
DIVERGED = Status.LOSS_NOT_FINITE.word
FINISHED, STOPPED = Status.FINISHED.word, Status.STOPPED.word
INTERRUPTED = Status.INTERRUPTED.word
COMPLETE = (FINISHED, Status.CONVERGED.word, Status.OUT_OF_PATIENCE.word)  # as far as they go

WORDS = np.array([FINISHED, *(one.word for one in Status if one)])  # of lanes, by their status
_HAS_DIVERGED = WORDS == DIVERGED  # asked after every segment


def diverged(status: np.ndarray) -> np.ndarray:
    """Which of the lanes have diverged."""
    return _HAS_DIVERGED[status]
