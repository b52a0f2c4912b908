"""How a training stands, or ended, and why: one enumeration with its words."""

import enum

import numpy as np

__all__ = [
    "COMPLETE", "DIVERGED", "FATAL", "FINISHED", "INTERRUPTED", "REASONS", "STOPPED", "Status",
    "WORDS", "diverged",
]  # fmt: skip


class Status(enum.IntEnum):
    """What is said of a lane, a trial and a run. A lane that is not RUNNING is frozen where it is.

    word: what tables show. reason: why, in words.
    """

    word: str
    reason: str

    def __new__(cls, value: int, word: str, reason: str = "") -> "Status":
        member = int.__new__(cls, value)
        member._value_ = value
        member.word, member.reason = word, reason
        return member

    RUNNING = 0, "running"
    LOSS_NOT_FINITE = 1, "diverged", "loss is not finite"
    STATE_NOT_FINITE = 2, "diverged", "state is not finite"
    LOSS_ABOVE = 3, "diverged", "loss above diverge_above"
    CONVERGED = 4, "converged", "its step said that it is done"
    OUT_OF_PATIENCE = 5, "stopped early", "no better score in patience evaluations"
    FINISHED = 6, "finished"
    STOPPED = 7, "stopped", "worse than others"
    INTERRUPTED = 8, "interrupted"


FATAL = (Status.LOSS_NOT_FINITE, Status.STATE_NOT_FINITE, Status.LOSS_ABOVE)

# The words of tables: how a trial has ended.
DIVERGED = Status.LOSS_NOT_FINITE.word
FINISHED, STOPPED = Status.FINISHED.word, Status.STOPPED.word
INTERRUPTED = Status.INTERRUPTED.word
COMPLETE = (FINISHED, Status.CONVERGED.word, Status.OUT_OF_PATIENCE.word)  # as far as they go

# By number: the word and the reason of a lane that went all steps, or ended with this status.
WORDS = np.array([FINISHED, *(one.word for one in Status if one)])
REASONS = np.array([one.reason for one in Status])


def diverged(status: np.ndarray) -> np.ndarray:
    """Which of the lanes have diverged."""
    return np.isin(status, FATAL)
