"""From a space to trials: points of the unit cube, pushed through the distributions."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from jaxopt_edu.names import hyperparameters, replace
from jaxopt_edu.space import Distribution, Group, OneOf, groups, label
from jaxopt_edu.value import nearest

SAMPLERS = ("random", "sobol", "grid")


@dataclass(frozen=True)
class Batch:
    """The trials of one structure: an experiment, and columns of numbers that replace its own."""

    template: Any
    columns: dict[str, np.ndarray]
    labels: dict[str, Any]
    trials: np.ndarray

    def experiment(self, i: int) -> Any:
        """The experiment of its i-th trial, in Python numbers."""
        return replace(self.template, **{name: x[i].item() for name, x in self.columns.items()})


def plan(space: Any, trials: int | None, seed: int, sampler: str) -> list[Batch]:
    """The trials of a space, of a list of experiments, or of a batch, by structure."""
    if sampler not in SAMPLERS:
        raise ValueError(f"unknown sampler {sampler!r}; {nearest(sampler, SAMPLERS)}")
    if trials is not None and trials < 1:
        raise ValueError(f"trials = {trials}: wanted at least 1")
    if isinstance(space, list | tuple) and not hasattr(space, "_fields"):
        batches = _from_list(list(space))
    elif any(np.ndim(x) == 1 for x in _arrays(space).values()):
        batches = [_from_batch(space)]
    else:
        found = [group for group in groups(space)]
        if len(found) == 1 and not found[0].distributions():
            raise ValueError("sweep: the space has nothing to sample; `fit` runs one experiment")
        n = 64 if trials is None else trials
        return _grid(found, n) if sampler == "grid" else _sampled(found, n, seed, sampler)
    count = sum(len(batch.trials) for batch in batches)
    if trials not in (None, count):
        raise ValueError(f"trials = {trials}, but {count} experiments are given")
    return batches


def sample(space: Any, trials: int, *, seed: int = 0, sampler: str = "random") -> Any:
    """A batch of trials: the experiment with a vector for each distribution.

    sampler: random, sobol (scrambled), or grid (at most `trials` points).
    Errors: ValueError for alternatives of structure, which make no single value: `sweep` them.

    >>> import jaxopt_edu as jo
    >>> jo.sample(jo.adam(jo.log_uniform(1e-4, 1e-1)), 64).learning_rate.shape
    (64,)
    """
    batches = plan(space, trials, seed, sampler)
    if len(batches) != 1:
        raise ValueError(f"sample: the space has {len(batches)} structures; `sweep` runs them all")
    [batch] = batches
    numbers = {name: jax.numpy.asarray(x) for name, x in batch.columns.items()}
    return replace(batch.template, **numbers)


# ---------------------------------------------------------------------------------- from a space


def _sampled(found: list[Group], n: int, seed: int, sampler: str) -> list[Batch]:
    axes = _axes(found)
    cube = dict(zip(axes, points(sampler, n, len(axes), seed).T, strict=True))
    batches = []
    for group in found:
        mask = np.ones(n, bool)
        for name, where, i in group.choices:
            k = len(where.alternatives)
            mask &= np.minimum((cube[name, where] * k).astype(int), k - 1) == i
        if mask.any():
            columns = {
                name: d.quantile(cube[name, d][mask]) for name, d in group.distributions().items()
            }
            batches.append(_batch(group, columns, np.flatnonzero(mask)))
    return batches


def _axes(found: list[Group]) -> list[tuple[str, OneOf | Distribution]]:
    """The coordinates of a space: each choice and each distribution under a name, once."""
    choices: list[Any] = [(name, where) for group in found for name, where, _ in group.choices]
    numbers: list[Any] = [item for group in found for item in group.distributions().items()]
    return list(dict.fromkeys(choices + numbers))


def points(sampler: str, n: int, d: int, seed: int) -> np.ndarray:
    """n points of the unit cube in d dimensions; the first ones do not depend on n."""
    if sampler == "random":
        return np.random.default_rng(seed).random((n, d))
    from scipy.stats import qmc

    engine = qmc.Sobol(d, scramble=True, rng=np.random.default_rng(seed))
    return engine.random_base2(max(n - 1, 0).bit_length())[:n]


def _grid(found: list[Group], n: int) -> list[Batch]:
    """As many levels for each number as give at most n trials over all structures."""

    def levels(group, m):
        return {name: d.levels(m) for name, d in group.distributions().items()}

    def size(m):
        return sum(int(np.prod([len(x) for x in levels(g, m).values()])) for g in found)

    if size(1) > n:
        raise ValueError(f"trials = {n}: this grid has at least {size(1)} points")
    m = n if size(n) <= n else 1
    while m < n and size(m + 1) <= n:
        m += 1
    batches, first = [], 0
    for group in found:
        named = levels(group, m)
        mesh = np.meshgrid(*named.values(), indexing="ij")
        columns = {name: x.ravel() for name, x in zip(named, mesh, strict=True)}
        k = int(np.prod([len(x) for x in named.values()]))
        batches.append(_batch(group, columns, np.arange(first, first + k)))
        first += k
    return batches


def _batch(group: Group, columns: dict[str, np.ndarray], trials: np.ndarray) -> Batch:
    first = replace(group.experiment, **{name: x[0].item() for name, x in columns.items()})
    return Batch(first, columns, group.labels(), trials)


# ------------------------------------------------------------------------------ from experiments


def _arrays(experiment: Any) -> dict[str, Any]:
    named = hyperparameters(experiment)
    return {name: x for name, x in named.items() if isinstance(x, jax.Array | np.ndarray)}


def _from_batch(experiment: Any) -> Batch:
    """An experiment whose batched numbers are vectors of one length."""
    columns = {name: np.asarray(x) for name, x in _arrays(experiment).items() if np.ndim(x) == 1}
    lengths = {name: len(x) for name, x in columns.items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"sweep: the numbers have different lengths: {lengths}")
    template = replace(experiment, **{name: x[0].item() for name, x in columns.items()})
    return Batch(template, columns, {}, np.arange(next(iter(lengths.values()))))


def _from_list(experiments: list[Any]) -> list[Batch]:
    """Experiments grouped by structure; every number that differs somewhere is a column."""
    if not experiments:
        raise ValueError("sweep: the list of experiments is empty")
    by_structure: dict[Any, list[int]] = {}
    for i, experiment in enumerate(experiments):
        arrays = [np.asarray(x).tobytes() for x in _arrays(experiment).values() if np.ndim(x)]
        by_structure.setdefault((jax.tree.structure(experiment), *arrays), []).append(i)
    first = [experiments[trials[0]] for trials in by_structure.values()]
    batches = []
    for trials in by_structure.values():
        rows = [hyperparameters(experiments[i]) for i in trials]
        columns = {
            name: np.asarray([row[name] for row in rows])
            for name in rows[0]
            if np.ndim(rows[0][name]) == 0 and len({float(row[name]) for row in rows}) > 1
        }
        template = experiments[trials[0]]
        batches.append(Batch(template, columns, _labels(template, first), np.asarray(trials)))
    return batches


def _labels(experiment: Any, others: list[Any]) -> dict[str, Any]:
    """The parts by which the structures differ, as a table names them."""
    names = getattr(experiment, "__dataclass_fields__", {})
    return {
        name: label(getattr(experiment, name))
        for name in names
        if len({label(getattr(e, name, None)) for e in others}) > 1
    }
