"""Status of a training: running, converged, stopped or diverged, and why."""

import enum

import numpy as np

__all__ = [
    "COMPLETE", "DIVERGED", "FATAL", "FINISHED", "INTERRUPTED", "STOPPED", "Status",
    "WORDS", "diverged",
]  # fmt: skip


class Status(enum.IntEnum):
    """What is said of a lane, a trial and a run. A lane that is not RUNNING is frozen where it is.

    word: what tables show. reason: why, in words.
    """

    RUNNING = 0
    LOSS_NOT_FINITE = 1
    STATE_NOT_FINITE = 2
    LOSS_ABOVE = 3
    CONVERGED = 4
    OUT_OF_PATIENCE = 5
    FINISHED = 6
    STOPPED = 7
    INTERRUPTED = 8

    @property
    def word(self) -> str:
        return _TOLD[self][0]

    @property
    def reason(self) -> str:
        return _TOLD[self][1]


_TOLD = {
    Status.RUNNING: ("running", ""),
    Status.LOSS_NOT_FINITE: ("diverged", "loss is not finite"),
    Status.STATE_NOT_FINITE: ("diverged", "state is not finite"),
    Status.LOSS_ABOVE: ("diverged", "loss above diverge_above"),
    Status.CONVERGED: ("converged", "its step said that it is done"),
    Status.OUT_OF_PATIENCE: ("stopped early", "no better score in patience evaluations"),
    Status.FINISHED: ("finished", ""),
    Status.STOPPED: ("stopped", "worse than others"),
    Status.INTERRUPTED: ("interrupted", ""),
}
FATAL = (Status.LOSS_NOT_FINITE, Status.STATE_NOT_FINITE, Status.LOSS_ABOVE)
_IS_FATAL = np.array([one in FATAL for one in Status])  # asked after every segment: by number

# The words of tables: how a trial has ended.
DIVERGED = Status.LOSS_NOT_FINITE.word
FINISHED, STOPPED = Status.FINISHED.word, Status.STOPPED.word
INTERRUPTED = Status.INTERRUPTED.word
COMPLETE = (FINISHED, Status.CONVERGED.word, Status.OUT_OF_PATIENCE.word)  # as far as they go

WORDS = np.array([FINISHED, *(one.word for one in Status if one)])  # of lanes, by their status


def diverged(status: np.ndarray) -> np.ndarray:
    """Which of the lanes have diverged."""
    return _IS_FATAL[status]
