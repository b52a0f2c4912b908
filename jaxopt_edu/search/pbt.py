"""Population based training: the worst trials go on from the best ones' states, perturbed."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_edu.search.schedulers import Decision, Exploit, first_rung
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.space import Choice, Distribution, IntUniform

__all__ = ["Population", "population"]


@dataclass(frozen=True)
class Population:
    """Population based training: exploit (copy the best), explore (perturb), and train on.

    Formula: every `every` steps, in each structure, a trial of the worst `fraction` takes over the
        state and the numbers of one of the best `fraction`, drawn at random; each sampled number
        is then drawn anew from its distribution with probability `resample`, and else multiplied
        by `factor` or by 1 / factor, and kept within the bounds of its distribution.
    Nobody is stopped: a trial that diverged is replaced like the worst. Draws depend on the seed
    of the sweep, the step and the trial. The winner carries its lineage: `study.lineage(trial)`,
    and `study.best` has it as a schedule.
    every: by default a twentieth of all steps, but at least an epoch, or a fortieth of
        the steps where there are no batches.
    Errors: ValueError unless every >= 1, 0 < fraction <= 1/2, factor > 1, 0 <= resample <= 1.
    Source: Jaderberg et al. 2017, arXiv:1711.09846, Algorithm 1 with truncation selection
        (section 4.1.1; there factors of 0.8 and 1.2).

    >>> import jaxopt_edu as jo
    >>> jo.population(every=250).stops(1000)
    (250, 500, 750)
    """

    every: int | None = None
    fraction: float = 0.2
    factor: float = 1.25
    resample: float = 0.25

    def __post_init__(self):
        if self.every is not None:
            check_count("population: every", self.every)
        wanted = {
            "fraction": ("a number in (0, 1/2]", 0 < self.fraction <= 0.5),
            "factor": ("a number above 1", self.factor > 1),
            "resample": ("a number in [0, 1]", 0 <= self.resample <= 1),
        }
        for name, (what, fine) in wanted.items():
            if not fine:
                raise ValueError(f"population: {name} = {getattr(self, name)!r}: wanted {what}")

    def settled(self, steps: int, least: int) -> "Population":
        """The policy in a sweep."""
        return dataclasses.replace(self, every=first_rung(self.every, steps, 20, least))

    def stops(self, steps):
        every = first_rung(self.every, steps, 20)
        return tuple(range(every, steps, every))

    def expected(self, trials, steps):
        return [(trials, steps)]

    def judge(self, standing, batches):
        copies = []
        for mine, batch in zip(_by_structure(standing, len(batches)), batches, strict=True):
            for trial, parent in self._exploit(mine, standing):
                place = int(np.searchsorted(batch.trials, parent))  # they ascend
                before = {name: x[place].item() for name, x in batch.columns.items()}
                numbers = self._explore(before, batch, _draws(standing, trial, 1))
                copies.append(Exploit(trial, parent, numbers, before))
        going = standing.active.copy()
        going[[copy.trial for copy in copies]] = True
        return Decision(going, tuple(copies))

    def _exploit(self, mine: np.ndarray, standing: Any) -> list[tuple[int, int]]:
        """Who of the trials of a structure is replaced, and by whom."""
        scores = np.where(standing.active[mine], standing.scores[mine], np.nan)
        ranked = mine[np.argsort(np.where(np.isnan(scores), np.inf, scores), kind="stable")]
        count = int(len(mine) * self.fraction)
        best = [int(i) for i in ranked[: max(count, 1)] if standing.active[i]]
        worst = set(ranked[len(mine) - count :].tolist()) | set(mine[np.isnan(scores)].tolist())
        if not best:
            return []
        return [
            (i, best[int(_draws(standing, i, 0).integers(len(best)))])
            for i in sorted(worst - set(best))
        ]

    def _explore(self, before: dict[str, float], batch: Any, draws: Any) -> dict[str, float]:
        """The parent's numbers, perturbed."""
        named = batch.distributions
        return {name: self._perturb(x, named.get(name), draws) for name, x in before.items()}

    def _perturb(self, x: Any, distribution: Distribution | None, draws: Any) -> Any:
        anew, up, u = draws.random(3)
        if distribution is not None and (anew < self.resample or isinstance(distribution, Choice)):
            return distribution.quantile(np.array(u)).item() if anew < self.resample else x
        moved = x * (self.factor if up < 0.5 else 1 / self.factor)
        if distribution is None:
            return type(x)(moved)
        low, high = distribution.bounds()
        if isinstance(distribution, IntUniform):
            moved = round(moved)
        return type(x)(min(max(moved, low), high))


population = Population


def _by_structure(standing: Any, count: int) -> list[np.ndarray]:
    """The trials of each structure, ascending."""
    order = np.argsort(standing.structures, kind="stable")
    ends = np.searchsorted(standing.structures[order], np.arange(1, count))
    return np.split(order, ends)


def _draws(standing: Any, trial: int, purpose: int) -> np.random.Generator:
    """Random numbers of a trial at a step: to choose a parent (0), to perturb (1)."""
    return np.random.default_rng((standing.seed, standing.step, trial, purpose))
