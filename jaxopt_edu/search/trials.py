"""Trials: from a space, a list or a batched experiment, grouped by structure."""

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.options import changed
from jaxopt_edu.search.samplers import Asking, Columns, as_sampler
from jaxopt_edu.values.labelling import labels
from jaxopt_edu.values.names import hyperparameters, vectors, with_parts
from jaxopt_edu.values.pytrees import Constant, StandIn, check_count, check_seed
from jaxopt_edu.values.space import Distribution, Group, groups, structural


@dataclass(frozen=True)
class TrialGroup:
    """The trials of one structure: an experiment, and columns of numbers that replace its own."""

    template: Any
    columns: dict[str, np.ndarray]
    labels: dict[str, Any]
    trials: np.ndarray
    distributions: dict[str, Distribution] = field(default_factory=dict)
    place: int = 0  # which of the structures of the space
    unfolded: Any = None  # the template before its data were split into folds, where they were
    unnamed: dict[str, str] = field(default_factory=dict)  # parts that a store could not name

    def experiment(self, i: int) -> Any:
        """The experiment of its i-th trial, in Python numbers, on data without folds.

        Errors: ValueError where a store names a class that is in no module that is imported.
        """
        if "" in self.unnamed:
            raise ValueError(self.unnamed[""])
        template = self.template if self.unfolded is None else self.unfolded
        return with_parts(template, {name: x[i].item() for name, x in self.columns.items()})

    def after(self, earlier: "TrialGroup | None") -> "TrialGroup":
        """The same structure with the trials of earlier rounds too, its columns nobody else's."""
        parts = [self] if earlier is None else [earlier, self]
        columns = {n: np.concatenate([part.columns[n] for part in parts]) for n in self.columns}
        trials = np.concatenate([part.trials for part in parts])
        return dataclasses.replace(parts[0], columns=columns, trials=trials)

    def part_of(self, whole: "TrialGroup") -> "TrialGroup":
        """The batch with views of what the whole structure has in its columns for its trials."""
        first, last = np.searchsorted(whole.trials, self.trials[[0, -1]])  # they ascend
        columns = {name: x[first : last + 1] for name, x in whole.columns.items()}
        return dataclasses.replace(self, columns=columns)

    def put(self, copy: Any) -> None:
        """Puts the numbers of an `Exploit` into the columns."""
        i = np.searchsorted(self.trials, copy.trial)
        for name, x in copy.numbers.items():
            self.columns[name][i] = x


@dataclass
class Plan:
    """Where trials come from: all at once, or as many at a time as a sampler wants to be told of.

    total: how many there are.
    """

    total: int
    batch: int
    groups: list[Group]
    asking: Asking | None  # None: the batches are given
    given: list[TrialGroup]
    change: Callable[[Any], Any] | None = None  # of every experiment: in parts, done at tol
    fold: Callable[[Any], Any] | None = None  # and its data into folds

    def ask(self, first: int) -> list[TrialGroup]:
        """The next trials, numbered from `first`, by structure."""
        if self.asking is None:
            return [self._made(batch) for batch in self.given]
        n = min(self.batch, self.total - first)
        return [self._made(b) for b in _batches(self.groups, self.asking.ask(n), n, first)]

    def templates(self) -> list[Any]:
        """An experiment of each structure, with whatever numbers."""
        return [self.structure(place).template for place in range(self.structures)]

    @property
    def structures(self) -> int:
        """How many there are."""
        return len(self.given or self.groups)

    def structure(
        self, place: int, trials: Any = (), columns: dict[str, np.ndarray] | None = None
    ) -> TrialGroup:
        """A structure with these trials and numbers."""
        if self.asking is None:
            [batch] = [batch for batch in self.given if batch.place == place]
        else:
            group = self.groups[place]
            named = group.distributions()
            numbers = {name: d.quantile(np.full(1, 0.5)) for name, d in named.items()}
            batch = _batch(group, numbers, np.zeros(1, int), place)
        if columns is not None:
            batch = dataclasses.replace(batch, trials=np.asarray(trials), columns=columns)
        return self._made(batch)

    def _made(self, batch: TrialGroup) -> TrialGroup:
        whole = batch.template if self.change is None else self.change(batch.template)
        if self.fold is None:
            return dataclasses.replace(batch, template=whole)
        return dataclasses.replace(batch, template=self.fold(whole), unfolded=whole)

    def as_trained(self, folds: Any, accumulate: int, tol: float | None) -> "Plan":
        """The plan of experiments as a sweep trains them: on folds, in parts, done at tol."""
        if accumulate != 1 or tol is not None:
            self.change = lambda experiment: changed(experiment, accumulate, tol)
        if folds is not None:
            self.fold = lambda experiment: experiment.folded(folds)
        return self

    def tell(self, scores: np.ndarray, **more: Any) -> None:
        """The signed scores of the trials last asked for, in order."""
        if self.asking is not None:
            self.asking.tell(scores, **more)


def plan(space: Any, trials: int | None, seed: int, sampler: Any, mode: Any = "min") -> Plan:
    """How the trials of a space, of a list of experiments, or of a batch are made."""
    sampler, seed = as_sampler(sampler), check_seed(seed, None)
    if trials is not None:
        check_count("trials", trials)
    if isinstance(space, list | tuple) and not hasattr(space, "_fields"):
        given = _from_list(list(space))
    elif not sampled(space) and any(vectors(space)):
        given = [_from_batch(space)]
    else:
        found = groups(space)
        if len(found) == 1 and not found[0].distributions():
            raise ValueError(
                "sweep: the space has nothing to sample: no distribution, no one_of, no vector in "
                "a field declared number(); `fit` runs one experiment"
            )
        asking = sampler.start(found, 64 if trials is None else trials, seed, mode)
        return Plan(asking.total, asking.batch, found, asking, [])
    count = sum(len(batch.trials) for batch in given)
    if trials not in (None, count):
        raise ValueError(f"trials = {trials}, but {count} experiments are given")
    return Plan(count, count, [], None, given)


def sample(space: Any, trials: int, *, seed: int = 0, sampler: Any = "random") -> Any:
    """A batch of trials: the experiment with a vector for each distribution.

    sampler: as in `sweep`.
    Errors: ValueError for alternatives of structure, which make no single value: `sweep` them.

    >>> import jaxopt_edu as jo
    >>> jo.sample(jo.adam(jo.log_uniform(1e-4, 1e-1)), 64).learning_rate.shape
    (64,)
    """
    planned = plan(space, trials, seed, sampler)
    if len(planned.groups) > 1 or len(planned.given) > 1:
        count = len(planned.groups) or len(planned.given)
        raise ValueError(f"sample: the space has {count} structures; `sweep` runs them all")
    if planned.batch < planned.total:
        raise ValueError(f"sample: {sampler!r} learns from scores; `sweep` tells it")
    [batch] = planned.ask(0)
    numbers = {name: jax.numpy.asarray(x) for name, x in batch.columns.items()}
    return with_parts(batch.template, numbers)


def _batches(found: list[Group], points: Columns, n: int, first: int) -> Iterator[TrialGroup]:
    """The points by the structure that their choices lead to."""
    for place, group in enumerate(found):
        mask = np.ones(n, bool)
        for name, where, i in group.choices:
            mask &= points[name, where] == i
        if mask.any():
            named = group.distributions()
            columns = {name: _whole(points[name, d][mask], d) for name, d in named.items()}
            yield _batch(group, columns, first + np.flatnonzero(mask), place)


def _batch(
    group: Group, columns: dict[str, np.ndarray], trials: np.ndarray, place: int
) -> TrialGroup:
    first = {name: x[0].item() for name, x in columns.items()}
    template = with_parts(group.experiment, first)
    return TrialGroup(template, columns, group.labels(), trials, group.distributions(), place)


def _whole(column: np.ndarray, distribution: Distribution) -> np.ndarray:
    """The column in the type that the distribution gives."""
    return column.astype(distribution.quantile(np.zeros(1)).dtype)


# ------------------------------------------------------------------------------ from experiments


def _arrays(experiment: Any) -> dict[str, Any]:
    named = hyperparameters(experiment)
    return {name: x for name, x in named.items() if isinstance(x, jax.Array | np.ndarray)}


def sampled(space: Any) -> bool:
    """Whether a distribution or a `one_of` stands in a space."""
    numbers = hyperparameters(space).values()
    return any(isinstance(x, StandIn) for x in numbers) or any(structural(space))


def _from_batch(experiment: Any) -> TrialGroup:
    """An experiment whose batched numbers are vectors of one length."""
    columns = {name: np.asarray(x) for name, x in vectors(experiment)}
    lengths = {name: len(x) for name, x in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(
            f"sweep: the vectors have different lengths: {lengths}; a vector that is a constant "
            "belongs in a field that is not declared number()"
        )
    template = with_parts(experiment, {name: x[0].item() for name, x in columns.items()})
    return TrialGroup(template, columns, {}, np.arange(next(iter(lengths.values()))))


def _from_list(experiments: list[Any]) -> list[TrialGroup]:
    """Experiments grouped by structure; every number that differs somewhere is a column."""
    if not experiments:
        raise ValueError("sweep: the list of experiments is empty")
    by_structure: dict[Any, list[int]] = {}
    for i, experiment in enumerate(experiments):
        arrays = [np.asarray(x).tobytes() for x in _arrays(experiment).values() if np.ndim(x)]
        leaves, structure = jax.tree.flatten(experiment, is_leaf=_is_data)
        data = filter(_is_data, leaves)
        by_structure.setdefault((structure, *data, *arrays), []).append(i)
    batches: list[TrialGroup] = []
    for place, trials in enumerate(by_structure.values()):
        rows = [hyperparameters(experiments[i]) for i in trials]
        columns = {
            name: np.asarray([row[name] for row in rows])
            for name in rows[0]
            if np.ndim(rows[0][name]) == 0 and len({float(row[name]) for row in rows}) > 1
        }
        template = experiments[trials[0]]
        batches.append(TrialGroup(template, columns, {}, np.asarray(trials), place=place))
    told = _labels(batches)
    return [dataclasses.replace(b, labels=of) for b, of in zip(batches, told, strict=True)]


def _is_data(x: Any) -> bool:
    return isinstance(x, Constant)


def _labels(batches: list[TrialGroup]) -> list[dict[str, Any]]:
    """The parts by which the structures differ, as a table names them."""
    bare = [_bare(batch) for batch in batches]
    names = (
        dict.fromkeys(f.name for x in bare for f in dataclasses.fields(x))
        if all(map(dataclasses.is_dataclass, bare))
        else {}
    )
    told: list[dict[str, Any]] = [{} for _ in batches]
    for name in names:
        found = labels([getattr(x, name, None) for x in bare])
        if len(set(map(str, found))) > 1:
            for one, shown in zip(told, found, strict=True):
                one[name] = shown
    return told


def _bare(batch: TrialGroup) -> Any:
    """The experiment of a structure, with ... for numbers that differ within it."""
    leaves, structure = jax.tree.flatten(
        batch.template, is_leaf=lambda node: isinstance(node, Constant)
    )
    names = iter(hyperparameters(batch.template))
    return jax.tree.unflatten(
        structure,
        [x if isinstance(x, Constant) or next(names) not in batch.columns else ... for x in leaves],
    )
