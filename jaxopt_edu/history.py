"""What a run remembers of its evaluations, and how a run ends."""

from dataclasses import dataclass, field

import numpy as np

from jaxopt_edu.programs import ALIVE, REASONS

RUNNING = "running"


@dataclass
class History:
    """The evaluations of a run: steps, and for each a row of named scores.

    sign: 1 where less of the metric is better, -1 where more is. waited: evaluations since the
    best one; where that reaches patience, the run has waited long enough.
    """

    metric: str
    sign: int
    patience: int | None
    steps: list[int] = field(default_factory=list)
    rows: list[dict[str, float]] = field(default_factory=list)
    best: float = np.inf
    waited: int = 0

    def note(self, t: int, scores: dict[str, float]) -> bool:
        """Adds an evaluation; whether it is the best so far."""
        self.steps.append(t)
        self.rows.append(scores)
        score = self.sign * scores[self.metric]
        better = bool(score < self.best)
        self.best, self.waited = (score, 0) if better else (self.best, self.waited + 1)
        return better

    @property
    def waited_enough(self) -> bool:
        return self.patience is not None and self.waited >= self.patience

    def last(self) -> dict[str, str]:
        """The last scores, as text."""
        return {name: f"{x:.4f}" for name, x in self.rows[-1].items()}

    def columns(self, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """ "step" and these scores, an entry for each evaluation."""
        scores = {name: np.asarray([row[name] for row in self.rows]) for name in names}
        return {"step": np.asarray(self.steps)} | scores

    def why(self, status: str, reason: int = ALIVE) -> str:
        """A status in words, given what was found of the lane."""
        if status == "converged":
            return "the gradient norm fell to tol"
        if status == "stopped early":
            return f"no better {self.metric} in {self.patience} evaluations"
        return REASONS[reason]
