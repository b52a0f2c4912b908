"""`find_batch_size`: what each batch size makes of the same number of examples, and how fast."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data import Data
from jaxopt_edu.diagnosis.finders.picture import plot_sizes
from jaxopt_edu.diagnosis.finders.scores import check_tolerance, near_best, untrained
from jaxopt_edu.search import Study, sweep
from jaxopt_edu.values import notebook
from jaxopt_edu.values.names import hyperparameters, replace
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.space import Distribution, groups

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["BatchSizes", "find_batch_size"]


@dataclass(frozen=True)
class BatchSizes:
    """What `find_batch_size` found out, one entry for each size.

    steps: of a training. scores: of the best training of a size, NaN where all diverged. seconds:
    of work for one training, without compiling. untrained: the score before any training.
    suggested: the size to take. studies: all that was trained.
    """

    sizes: tuple[int, ...]
    steps: tuple[int, ...]
    scores: ndarray
    seconds: ndarray
    untrained: float
    suggested: int
    studies: tuple[Study, ...]

    def __repr__(self) -> str:
        return f"BatchSizes({self.suggested} of {', '.join(map(str, self.sizes))})"

    def _repr_html_(self) -> str:
        columns = (self.sizes, self.steps, self.scores.tolist(), self.seconds.tolist())
        head = ("batch size", "steps", self.studies[0].metric, "seconds")
        return notebook.card(repr(self), notebook.table(head, zip(*columns, strict=True)))

    @property
    def experiment(self) -> Any:
        """The best experiment of the suggested size."""
        return self.studies[self.sizes.index(self.suggested)].best

    def plot(self) -> "Figure":
        """The score and the time over the batch size."""
        return plot_sizes(self)


def find_batch_size(
    experiment: Any,
    epochs: int = 5,
    sizes: Sequence[int] | None = None,
    *,
    trials: int = 8,
    metric: str = "loss",
    mode: str = "auto",
    tolerance: float = 0.05,
    seed: int = 0,
    progress: bool | None = None,
) -> BatchSizes:
    """Trains with each batch size on equally many examples: one program for each size.

    Suggested is the size whose training takes the least time among those whose scores lack at most
    `tolerance` of what the best one gained over the untrained model.
    experiment: a `Training`, or a space: the best learning rate depends on the batch size, so a
        fair comparison has jo.log_uniform(...) in its place; then each size gets `trials` trainings
        at a grid of numbers, in one program, and its best counts.
    epochs: passes through the training part, at every size. sizes: by default the powers of two
        from 8 to half of the training part.
    metric, mode: the score that is compared, on the validation split, and whether less or more of
        it is better (auto: less of losses and errors, more of the others).
    Units: seconds are those of a core or accelerator at work, evaluations included: a sweep has
        several of them. They differ from run to run, so the suggestion may, where sizes are alike.
    Errors: ValueError or TypeError that names the argument, before anything is compiled.

    >>> import jaxopt_edu as jo
    >>> line = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    ...     data=jo.data.load("linear"),
    ... )
    >>> found = jo.find_batch_size(line, epochs=2, sizes=(50, 200))
    >>> found.steps
    (24, 6)
    """
    check_tolerance(tolerance)
    check_count("epochs", epochs)
    if not hasattr(experiment, "batch_size") or not isinstance(experiment.data, Data):
        name = type(experiment).__name__
        raise TypeError(f"{name}: wanted a Training, whose batch_size is searched, without folds")
    n = experiment.data.train.size
    sizes = tuple(sizes) if sizes is not None else powers(n)
    if not sizes:
        raise ValueError("sizes: there are none")
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= n:
            raise ValueError(f"sizes: {size!r}: wanted integers from 1 to {n}, the training part")
    if len(set(sizes)) < len(sizes):
        raise ValueError(f"sizes = {sizes}: one of them comes twice")
    steps = tuple(max(1, round(epochs * n / size)) for size in sizes)
    lone = _any_of(dataclasses.replace(experiment, batch_size=sizes[0]))
    first, mode = untrained(lone, steps[0], metric, mode, seed)
    studies = tuple(
        _study(experiment, size, t, trials, metric=metric, mode=mode, seed=seed, progress=progress)
        for size, t in zip(sizes, steps, strict=True)
    )
    scores = np.array([s.columns[s.ranks][s.order[0]] for s in studies])
    seconds = np.array([_seconds(study) for study in studies])
    near = near_best(scores, first, mode, tolerance)
    suggested = sizes[int(np.argmin(np.where(near, seconds, np.inf)))]
    return BatchSizes(sizes, steps, scores, seconds, first, suggested, studies)


def powers(n: int) -> tuple[int, ...]:
    """The powers of two from 8 to n / 2."""
    return tuple(2**k for k in range(3, max(n // 2, 1).bit_length()))


def _any_of(space: Any) -> Any:
    """An experiment of the space, with whatever numbers."""
    group = groups(space)[0]
    named = group.distributions()
    numbers = {name: d.quantile(np.full(1, 0.5)).item() for name, d in named.items()}
    return replace(group.experiment, **numbers)


def _study(experiment: Any, size: int, steps: int, trials: int, **more: Any) -> Study:
    """The trainings of one size, with five evaluations where there are as many steps."""
    space = dataclasses.replace(experiment, batch_size=size)
    more |= {"steps": steps, "eval_every": max(1, steps // 5)}
    if any(isinstance(x, Distribution) for x in hyperparameters(space).values()):
        return sweep(space, trials, sampler="grid", **more)
    return sweep([space], **more)


def _seconds(study: Study) -> float:
    """Of work for one training, by the median segment, so that a busy moment does not count."""
    t = study.timeline
    step = np.median((t["end"] - t["start"]) / t["steps"])
    return float(step * study.steps * np.sum(t["first"] == 0) / len(study))
