"""Evaluation history, and the result of `fit`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.dataset import counted
from jaxopt_edu.engine.tiles import Tile
from jaxopt_edu.storage.model_file import write_model
from jaxopt_edu.storage.saved import SavedModel, check_prepared, predicting, trained
from jaxopt_edu.train.calling import call_model
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import nearest

PARTS = ("train", "validation", "test")


class History:
    """The evaluations of a run: the steps, and a list of each score by name."""

    def __init__(self, columns: dict[str, Any] | None = None):
        self.scores = {name: np.asarray(x).tolist() for name, x in (columns or {}).items()}
        self.steps = self.scores.pop("step", [])

    def note(self, t: int, scores: dict[str, float]) -> None:
        """Adds an evaluation."""
        self.steps.append(t)
        for name, x in scores.items():
            self.scores.setdefault(name, []).append(x)

    def note_tile(self, tile: Tile) -> None:
        """Adds the last evaluation of a tile of one trial: of a lane that has ended, of its end."""
        self.note(int(tile.steps[0]), {name: float(x[0, -1]) for name, x in tile.scores.items()})

    def keep(self, which: Callable[[int], bool]) -> None:
        """Forgets the evaluations but those at some steps."""
        kept = [k for k, t in enumerate(self.steps) if which(t)]
        self.steps = [self.steps[k] for k in kept]
        self.scores = {name: [x[k] for k in kept] for name, x in self.scores.items()}

    def last(self) -> dict[str, str]:
        """The last scores, as text."""
        return {name: f"{x[-1]:.4f}" for name, x in self.scores.items()}

    def columns(self) -> dict[str, np.ndarray]:
        """ "step" and the scores, an entry for each evaluation."""
        return {name: np.asarray(x) for name, x in {"step": self.steps, **self.scores}.items()}


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
        """The trained parameters: those to predict with (see `jo.eval_params`)."""
        return self.experiment.eval_params(self.state)

    def evaluate(
        self, split: Any = "validation", labels: Any = None, *, prepared: bool | None = None
    ) -> dict[str, float]:
        """The scores on a part of the data: {'loss': ..., 'accuracy': ...}.

        Or those of rows as they are given, with their labels: run.evaluate(rows, labels). The x and
        y of a part that a `Data` handed out are known to be prepared, and class numbers.
        Errors: ValueError for an unknown part, and where integers beside prepared rows may be class
            numbers or labels; and as `predict`.
        """
        if labels is not None and isinstance(split, str):
            raise ValueError(f"evaluate: the part {split!r} has labels of its own")
        if labels is not None:
            x = self._inputs("evaluate", split, prepared)
            return self._trained("evaluate").scores(split, labels, x, prepared)
        if not isinstance(split, str):
            raise TypeError(
                f"split = {type(split).__name__}: wanted the name of a part of the run's data: "
                f"{', '.join(self.scores)}; or rows and their labels"
            )
        if split not in self.scores:
            raise ValueError(f"unknown split {split!r}; {nearest(split, self.scores)}")
        return self.scores[split]

    def predict(self, rows: Any, *, link: Any = None, prepared: bool | None = None) -> np.ndarray:
        """The answer for each row: a label as it was given, or numbers for a regression.

        rows: as `jo.data.from_arrays` takes them: prepared as the training part was; or the name of
            a part of the run's own data: "train", "validation", "test". One row is x[None].
        link: what the outputs of the model mean, where the loss does not say: softmax, log,
            sigmoid, argmax, sign, identity, or a function of the outputs that gives class numbers,
            or numbers.
        prepared: whether the rows are prepared already. None: arrays that a `Data` handed out are
            known to be; others that hold its rows are refused. predict takes raw rows: those that
            you prepared yourself, as jnp.asarray(data.prepare(rows)), go to `apply`, or want
            prepared=True, as nothing tells them from raw ones: they would be prepared twice.
        Errors: ValueError for columns that are missing or unknown (by name) or too many or few, for
            rows prepared for other data, and for a loss that says nothing of its outputs; TypeError
            for an experiment that is no model, loss and data.

        >>> import jaxopt_edu as jo
        >>> x, y = [[1.0], [2.0], [8.0], [9.0]] * 5, ["no", "no", "yes", "yes"] * 5
        >>> run = jo.fit(
        ...     jo.Training(
        ...         model=jo.models.Linear(1), loss=jo.losses.sigmoid_binary_cross_entropy,
        ...         optimizer=jo.sgd(1.0), data=jo.data.from_arrays(x, y),
        ...     ),
        ...     steps=50,
        ... )
        >>> run.predict([[0.0], [10.0]])
        array(['no', 'yes'], dtype='<U3')
        """
        return self._trained("predict").answer(self._inputs("predict", rows, prepared), link)

    def predict_proba(
        self, rows: Any, *, link: Any = None, prepared: bool | None = None
    ) -> np.ndarray:
        """The probability of each class, (n, classes), in the order of `data.targets`.

        Rows and errors: as `predict`; ValueError for a loss that gives no probabilities.
        """
        asked = "predict_proba"
        return self._trained(asked).probabilities(self._inputs(asked, rows, prepared), link)

    def apply(self, x: Any) -> jax.Array:
        """The model's raw output for prepared rows: no dropout, BatchNorm's running statistics.

        Pure, under jit, grad and vmap: what `jo.explain` takes.
        """
        model: Any = getattr(self.experiment, "model", None)
        if not hasattr(model, "apply") or not hasattr(self.state, "params"):
            raise TypeError(
                f"apply: {type(self.experiment).__name__} has no model with apply(params, x), or "
                "no params in its state; run.state is what it learned"
            )
        params, model_state = predicting(self.experiment, self.state, "apply")
        return call_model(model, params, model_state, x)[0]

    def save(self, path: Any) -> None:
        """Writes the trained model into one file, without any row of the data.

        It holds the parameters and the model's state, what rows go through and what answers mean:
        `jo.load_model` reads it, in any process. Nothing in it is code.
        Errors: TypeError for an experiment that is no model, loss and data, or a preparation of
            one's own.
        """
        write_model(self._trained("save"), path)

    def _trained(self, asked: str) -> SavedModel:
        return trained(self.experiment, self.state, asked)

    def _inputs(self, asked: str, rows: Any, prepared: bool | None) -> np.ndarray:
        """Rows, or a part of the data by name, as the model is to see them."""
        check_prepared(prepared)
        data = self.experiment.data
        parts = {name: getattr(data, name) for name in PARTS}
        if not isinstance(rows, str):
            held = (counted(part)[0] for part in parts.values() if part.size)
            raw = (chosen.x[chosen.rows] for chosen in getattr(data, "given", ()))
            return self._trained(asked).inputs(rows, prepared, held, raw)
        there = [name for name, part in parts.items() if part.size]
        if rows not in there:
            raise ValueError(f"{asked}: there is no part {rows!r}; {nearest(rows, there)}")
        return counted(parts[rows])[0]
