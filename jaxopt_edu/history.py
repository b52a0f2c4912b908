"""What a run remembers of its evaluations, how it ends, and what it comes to."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu import notebook
from jaxopt_edu.programs import ALIVE, REASONS
from jaxopt_edu.value import nearest

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


@dataclass(frozen=True)
class Run:
    """A training that was run.

    state: the experiment's state at the end, or at the best evaluation where patience was given.
    steps: steps taken. Of a run that diverged, those up to the step whose loss (or, at an
        evaluation, whose state) gave it away; its last evaluation and its state are of that step.
    status: why it ended (finished, converged, stopped early, diverged,
        interrupted), reason in words.
    history: "step" and the scores of every evaluation, by name, on the split that ranks.
    train_history: those on the training part, where `fit` was told to take them (train_curve).
    """

    experiment: Any
    state: Any
    steps: int
    status: str
    reason: str
    history: dict[str, np.ndarray]
    scores: dict[str, dict[str, float]]
    seed: int
    train_history: dict[str, np.ndarray] = field(default_factory=dict)

    def __repr__(self) -> str:
        shown = ", ".join(f"{k} {v:.4g}" for k, v in next(iter(self.scores.values())).items())
        return f"Run({self.status} after {self.steps} steps: {next(iter(self.scores))} {shown})"

    def _repr_html_(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        names = list(next(iter(self.scores.values()), {}))
        rows = [(split, *scores.values()) for split, scores in self.scores.items()]
        curve = notebook.sparkline(self.history.get("loss", ()))
        title = f"{self.status} after {self.steps:,} steps{why}"
        return notebook.card(title, notebook.table(("split", *names), rows), curve)

    @property
    def params(self) -> Any:
        """The trained parameters."""
        return self.state.params

    def evaluate(self, split: str = "validation") -> dict[str, float]:
        """The scores on a split of the data: {'loss': ..., 'accuracy': ...}."""
        if not isinstance(split, str):
            raise TypeError(
                f"split = {type(split).__name__}: wanted the name of a part of the run's data: "
                f"{', '.join(self.scores)}"
            )
        if split not in self.scores:
            raise ValueError(f"unknown split {split!r}; {nearest(split, self.scores)}")
        return self.scores[split]

    def predict(self, x: Any) -> jax.Array:
        """The model's predictions for rows of features, without dropout."""
        return self.experiment.model.apply(self.params, x)
