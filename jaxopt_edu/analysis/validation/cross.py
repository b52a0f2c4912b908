"""Cross-validation: one experiment, trained on each of several folds by one program."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_edu.data.folds import as_folds
from jaxopt_edu.engine.checks import check_numbers, mode_for
from jaxopt_edu.search import Interval, Study, sweep
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import nearest


@dataclass(frozen=True)
class CrossValidation:
    """What `cross_validate` found out.

    scores: score name -> (folds,), of each fold on the examples that it left out; NaN where its
        training diverged.
    study: the sweep of one trial that it was, with learning curves and the scores on the test part.
    """

    scores: dict[str, np.ndarray]
    study: Study

    def __len__(self) -> int:
        return len(next(iter(self.scores.values())))

    def __repr__(self) -> str:
        found = ((name, *self.interval(name)) for name in self.scores)
        shown = (f"{name} {mean:.4g} [{low:.4g}, {high:.4g}]" for name, mean, low, high in found)
        return f"CrossValidation({len(self)} folds: {', '.join(shown)})"

    def _repr_html_(self) -> str:
        head = ("score", "mean", "low", "high", *(f"fold {k}" for k in range(len(self))))
        rows = [(name, *self.interval(name), *x.tolist()) for name, x in self.scores.items()]
        return notebook.card(f"{len(self)} folds", notebook.table(head, rows))

    @property
    def means(self) -> dict[str, float]:
        """The mean of each score over the folds."""
        return {name: float(x.mean()) for name, x in self.scores.items()}

    def interval(self, name: str = "loss", level: float = 0.95) -> Interval:
        """The mean of a score, with an interval that allows for training parts that overlap.

        See `jaxopt_edu.search.confidence`. It is about experiments like this one, trained on as
        many examples as in a fold.
        """
        if name not in self.scores:
            raise ValueError(f"unknown score {name!r}; {nearest(name, self.scores)}")
        return self.study.interval(0, f"{self.study.split}_{name}", level)


def cross_validate(
    experiment: Any,
    folds: int | Iterable[Any] = 5,
    *,
    steps: int,
    seed: int = 0,
    metric: str = "loss",
    mode: str = "auto",
    eval_every: int | None = None,
    tile: int | None = None,
    diverge_above: float = 1e4,
    progress: bool | None = None,
) -> CrossValidation:
    """Trains an experiment on each fold, and scores each on the examples that it left out.

    folds: how many to make of the training and the validation part, for a classification with
        the classes in equal shares; or which, as pairs of row numbers of `data.pool`: see
        `jo.data.k_fold`. KFold, StratifiedKFold and LeaveOneOut of scikit-learn give them:
        list(LeaveOneOut().split(*data.pool)).
    steps, seed: of the training on each fold; all begin with the same weights.
    metric, mode: the score for which curves are ranked, where there is no loss, and whether less
        or more of it is better.
    eval_every: steps between the evaluations of study.curves; by default only the last is made.
    tile, diverge_above, progress: as in `sweep`. All folds go through one compiled program.

    What `prepare` fits is fitted to the training rows of each fold, as in a pipeline of
    scikit-learn; the test part is left apart, and prepared by it too for the scores on it.
    Errors: TypeError for a space (`sweep` has folds too) or an experiment without folds;
        ValueError or TypeError that names the argument, before anything is compiled.
    Source: Stone 1974, Cross-Validatory Choice and Assessment of Statistical Predictions.
    Agrees with: sklearn.model_selection.cross_val_score on a pipeline of the same preparation and
        model, and the same folds, 1e-6 in float64.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(13, 3),
    ...     loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    ...     optimizer=jo.sgd(0.1), data=jo.data.load("wine"),
    ... )
    >>> found = jo.cross_validate(experiment, 4, steps=100)
    >>> found.scores["accuracy"].shape, found.means["accuracy"] > 0.9
    ((4,), True)
    """
    check_numbers(experiment, "cross_validate")
    if not hasattr(experiment, "folded"):
        raise TypeError(f"experiment: {type(experiment).__name__} has no method folded")
    mode = mode_for([experiment], metric, mode, needed=False)  # of one trial nothing is ranked
    study = sweep(
        [experiment], steps=steps, seed=seed, folds=as_folds(folds), metric=metric, mode=mode,
        eval_every=steps if eval_every is None else eval_every, tile=tile,
        diverge_above=diverge_above, progress=progress,
    )  # fmt: skip
    split = f"{study.split}_"
    found = {k.removeprefix(split): x[0] for k, x in study.finals.items() if k.startswith(split)}
    return CrossValidation(found, study)
