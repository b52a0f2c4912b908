"""Trials: from a space, a list or a batched experiment, grouped by structure."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine.options import changed
from jaxopt_edu.search.samplers import Asking, as_sampler
from jaxopt_edu.values.labelling import fields_apart
from jaxopt_edu.values.names import hyperparameters, is_constant, vectors, with_parts
from jaxopt_edu.values.pytrees import StandIn, check_count, check_seed
from jaxopt_edu.values.space import Distribution, Group, groups, structural

NOT_NAMED = (
    "{} was {}, which the store could not name: load_study(directory, space=...) with the space it "
    "was made of"
)


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
        try:
            return with_parts(template, {name: x[i].item() for name, x in self.columns.items()})
        except ValueError as error:
            for name, was in self.unnamed.items():
                raise ValueError(NOT_NAMED.format(name, was)) from error
            raise

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

    structures: the given trials by structure; or, where a sampler is asked, one made up of each.
    groups: the structures of the space that it is asked for.
    """

    structures: list[TrialGroup]
    groups: list[Group] = field(default_factory=list)
    asking: Asking | None = None

    @property
    def total(self) -> int:
        """How many trials there are."""
        if self.asking is not None:
            return self.asking.total
        return sum(len(structure.trials) for structure in self.structures)

    def ask(self, first: int) -> list[TrialGroup]:
        """The next trials, numbered from `first`, by the structure that their choices lead to."""
        if self.asking is None:
            return self.structures
        n = min(self.asking.batch, self.total - first)
        points, found = self.asking.ask(n), []
        for structure, group in zip(self.structures, self.groups, strict=True):
            mine = np.ones(n, bool)
            for name, where, i in group.choices:
                mine &= points[name, where] == i
            if mine.any():
                columns = {
                    name: points[name, d][mine].astype(structure.columns[name].dtype)
                    for name, d in structure.distributions.items()
                }
                trials = first + np.flatnonzero(mine)
                found.append(dataclasses.replace(structure, columns=columns, trials=trials))
        return found

    def as_trained(self, folds: Any, accumulate: int, tol: float | None) -> "Plan":
        """The plan of experiments as a sweep trains them: on folds, in parts, done at tol."""
        structures = []
        for structure in self.structures:
            template, unfolded = changed(structure.template, accumulate, tol), None
            if folds is not None:
                template, unfolded = template.folded(folds), template
            trained = dataclasses.replace(structure, template=template, unfolded=unfolded)
            structures.append(trained)
        return dataclasses.replace(self, structures=structures)


def plan(space: Any, trials: int | None, seed: int, sampler: Any, mode: Any = "min") -> Plan:
    """How the trials of a space, of a list of experiments, or of a batch are made."""
    sampler, seed = as_sampler(sampler), check_seed(seed, None)
    if trials is not None:
        check_count("trials", trials)
    if isinstance(space, list | tuple) and not hasattr(space, "_fields"):
        planned = Plan(_from_list(list(space)))
    elif not sampled(space) and any(vectors(space)):
        planned = Plan([_from_batch(space)])
    else:
        found = groups(space)
        if len(found) == 1 and not found[0].distributions():
            raise ValueError(
                "sweep: the space has nothing to sample: no distribution, no one_of, no vector in "
                "a field declared number(); `fit` runs one experiment"
            )
        asking = sampler.start(found, 64 if trials is None else trials, seed, mode)
        return Plan([_made_up(*both) for both in enumerate(found)], found, asking)
    if trials not in (None, planned.total):
        raise ValueError(f"trials = {trials}, but {planned.total} experiments are given")
    return planned


def sample(space: Any, trials: int, *, seed: int = 0, sampler: Any = "random") -> Any:
    """A batch of trials: the experiment with a vector for each distribution.

    sampler: as in `sweep`.
    Errors: ValueError for alternatives of structure, which make no single value: `sweep` them.

    >>> import jaxopt_edu as jo
    >>> jo.sample(jo.adam(jo.log_uniform(1e-4, 1e-1)), 64).learning_rate.shape
    (64,)
    """
    planned = plan(space, trials, seed, sampler)
    count = len(planned.structures)
    if count > 1:
        raise ValueError(f"sample: the space has {count} structures; `sweep` runs them all")
    if planned.asking is not None and planned.asking.batch < planned.total:
        raise ValueError(f"sample: {sampler!r} learns from scores; `sweep` tells it")
    [batch] = planned.ask(0)
    numbers = {name: jax.numpy.asarray(x) for name, x in batch.columns.items()}
    return with_parts(batch.template, numbers)


def _made_up(place: int, group: Group) -> TrialGroup:
    """A structure of a space, with a trial of numbers from the middle."""
    distributions = group.distributions()
    columns = {name: d.quantile(np.full(1, 0.5)) for name, d in distributions.items()}
    template = with_parts(group.experiment, {name: x[0].item() for name, x in columns.items()})
    trials = np.zeros(1, int)
    return TrialGroup(template, columns, group.labels(), trials, distributions, place)


# ------------------------------------------------------------------------------ from experiments


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
        leaves, structure = jax.tree.flatten(experiment, is_leaf=is_constant)
        numbers = hyperparameters(experiment).values()
        arrays = (np.asarray(x).tobytes() for x in numbers if np.ndim(x))
        key = (structure, *filter(is_constant, leaves), *arrays)
        by_structure.setdefault(key, []).append(i)
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
    told = fields_apart([_bare(batch) for batch in batches])
    return [dataclasses.replace(b, labels=of) for b, of in zip(batches, told, strict=True)]


def _bare(batch: TrialGroup) -> Any:
    """The experiment of a structure, with ... for numbers that differ within it."""
    leaves, structure = jax.tree.flatten(batch.template, is_leaf=is_constant)
    names = iter(hyperparameters(batch.template))
    bare = [x if is_constant(x) or next(names) not in batch.columns else ... for x in leaves]
    return jax.tree.unflatten(structure, bare)
