"""`find_learning_rate`: every learning rate gets a short training of its own, in one program."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.diagnosis.finders.picture import plot_rates
from jaxopt_edu.diagnosis.finders.scores import check_tolerance, near_best, untrained
from jaxopt_edu.engine.checks import check_numbers
from jaxopt_edu.search import Study, sweep
from jaxopt_edu.values import notebook
from jaxopt_edu.values.names import hyperparameters, name_of_today, resolve, with_parts
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.space import log_uniform

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Rates", "find_learning_rate"]


@dataclass(frozen=True)
class Rates:
    """What `find_learning_rate` found out.

    name: of the number. values: those tried. scores: after the training at each (the mean of the
    last fifth of its evaluations), NaN where it diverged. untrained: the score before any training.
    plateau: the first and last value whose scores are near the best. suggested: the value in the
    middle of it.
    """

    name: str
    values: ndarray
    scores: ndarray
    untrained: float
    plateau: tuple[float, float]
    suggested: float
    study: Study

    def __repr__(self) -> str:
        low, high = self.plateau
        return f"Rates({self.name}: {self.suggested:.3g}, good from {low:.3g} to {high:.3g})"

    def _repr_html_(self) -> str:
        rows = zip(self.values.tolist(), self.scores.tolist(), strict=True)
        return notebook.card(repr(self), notebook.table((self.name, self.study.metric), rows))

    @property
    def experiment(self) -> Any:
        """The experiment with the suggested value."""
        return with_parts(self.study.space, {self.name: self.suggested})

    @property
    def open_end(self) -> bool:
        """Whether the plateau reaches an end of what was tried, so that there may be more of it."""
        return self.plateau[0] == self.values[0] or self.plateau[1] == self.values[-1]

    def plot(self) -> "Figure":
        """The score after the training over the learning rate."""
        return plot_rates(self)


def find_learning_rate(
    experiment: Any,
    steps: int,
    *,
    low: float = 1e-5,
    high: float = 10.0,
    rates: int = 32,
    name: str = "learning_rate",
    metric: str = "loss",
    mode: str = "auto",
    tolerance: float = 0.05,
    seed: int = 0,
    progress: bool | None = None,
) -> Rates:
    """Trains the experiment for some steps at each of many learning rates, in one program.

    All trainings start from the same weights and see the same batches. Suggested is the middle, in
    logarithms, of the plateau: the learning rates around the best one whose scores lack at most
    `tolerance` of what the best one gained over the untrained model. So it keeps a distance from
    where trainings diverge, and does not hang on the luck of a single one.
    A short training favours rates that are good at first; for a long one, take as many steps as
    there is time for. The usual finder raises the rate during one training, so that what it sees
    at a rate depends on all the rates before; here each is seen by itself, still in one program.
    low, high, rates: so many learning rates, evenly spread in logarithms within (low, high).
    name: of a number in `jo.hyperparameters(experiment)`, or its ending: of a schedule one of its
        numbers, such as peak_value.
    metric, mode: the score that is compared, on the validation split, and whether less or more of
        it is better (auto: less of losses and errors, more of the others).
    Errors: ValueError or TypeError that names the argument, before anything is compiled; ValueError
        where no learning rate improves on the untrained model.
    Source: for the ramp that this is not: Smith 2017, arXiv:1506.01186; for the bias of short
        trainings: Wu et al. 2018, arXiv:1803.02021.

    >>> import jaxopt_edu as jo
    >>> line = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    ...     data=jo.data.load("linear"),
    ... )
    >>> found = jo.find_learning_rate(line, steps=50)
    >>> 0.05 < found.suggested < 1  # at 1 the steps of this problem jump from side to side
    True
    """
    check_numbers(experiment, "find_learning_rate")
    check_tolerance(tolerance)
    check_count("rates", rates, least=3)
    if not 0 < low < high < math.inf:
        raise ValueError(f"low = {low}, high = {high}: wanted 0 < low < high")
    full = resolve(name_of_today(experiment, name), hyperparameters(experiment))
    first, mode = untrained(experiment, steps, metric, mode, seed)
    space = with_parts(experiment, {full: log_uniform(low, high)})
    study = sweep(
        space, rates, steps=steps, sampler="grid", metric=metric, mode=mode, seed=seed,
        progress=progress,
    )  # fmt: skip
    values, scores = study.columns[full], study.columns[study.ranks]
    near = near_best(scores, first, mode, tolerance)
    from_, to = _around(near, int(study.best_trial))
    middle = math.sqrt(values[from_] * values[to])
    suggested = float(values[np.argmin(np.abs(np.log(values / middle)))])
    plateau = float(values[from_]), float(values[to])
    return Rates(full, values, scores, first, plateau, suggested, study)


def _around(true: ndarray, place: int) -> tuple[int, int]:
    """The first and last place of the unbroken row of true ones around a place."""
    breaks = np.flatnonzero(~true)
    before, after = breaks[breaks < place], breaks[breaks > place]
    first = int(before[-1]) + 1 if len(before) else 0
    return first, int(after[0]) - 1 if len(after) else len(true) - 1
