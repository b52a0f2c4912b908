"""Population based training: the worst trials go on from the best ones' states, perturbed."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxopt_edu.search.schedulers import Decision, Exploit, RungState, Scheduler, first_rung, order
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.space import Choice, Distribution, IntUniform


@dataclass(frozen=True)
class Population(Scheduler):
    """Population based training: exploit (copy the best), explore (perturb), and train on.

    Formula: every `every` steps, in each structure, a trial of the worst `fraction` takes over the
        state and the numbers of one of the best `fraction`, drawn at random; each sampled number
        is then drawn anew from its distribution with probability `resample`, and else multiplied
        by `factor` or by 1 / factor, and kept within the bounds of its distribution; a choice
        stays as it is.
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
        for name, fine, wanted in (
            ("fraction", 0 < self.fraction <= 0.5, "a number in (0, 1/2]"),
            ("factor", self.factor > 1, "a number above 1"),
            ("resample", 0 <= self.resample <= 1, "a number in [0, 1]"),
        ):
            if not fine:
                raise ValueError(f"population: {name} = {getattr(self, name)!r}: wanted {wanted}")

    def settled(self, steps: int, least: int) -> "Population":
        """The policy in a sweep."""
        return dataclasses.replace(self, every=first_rung(self.every, steps, 20, least))

    def stops(self, steps):
        every = first_rung(self.every, steps, 20)
        return tuple(range(every, steps, every))

    def judge(self, standing, batches):
        copies = []
        for batch in batches:
            for trial, parent in self._exploit(batch.trials, standing):
                place = int(np.searchsorted(batch.trials, parent))  # they ascend
                before = {name: x[place].item() for name, x in batch.columns.items()}
                draws = _draws(standing, trial, 1)
                numbers = {
                    name: self._perturb(x, batch.distributions.get(name), draws)
                    for name, x in before.items()
                }
                copies.append(Exploit(trial, parent, numbers, before))
        going = standing.active.copy()
        going[[copy.trial for copy in copies]] = True
        return Decision(going, tuple(copies))

    def _exploit(self, mine: np.ndarray, standing: RungState) -> Iterator[tuple[int, int]]:
        """Who of the trials of a structure is replaced, and by whom."""
        scores = np.where(standing.active[mine], standing.scores[mine], np.nan)
        ranked = mine[order(scores)]
        count = int(len(mine) * self.fraction)
        best = [int(i) for i in ranked[: max(count, 1)] if standing.active[i]]
        worst = set(ranked[len(mine) - count :].tolist()) | set(mine[np.isnan(scores)].tolist())
        for trial in sorted(worst - set(best)) if best else ():
            yield trial, best[_draws(standing, trial, 0).integers(len(best))]

    def _perturb(self, x: Any, distribution: Distribution | None, draws: Any) -> Any:
        anew, up, u = draws.random(3)
        moved = x * (self.factor if up < 0.5 else 1 / self.factor)
        if distribution is None:
            return type(x)(moved)
        if anew < self.resample:
            return distribution.quantile(np.array(u)).item()
        if isinstance(distribution, Choice):
            return x
        low, high = distribution.bounds()
        if isinstance(distribution, IntUniform):
            moved = round(moved)
        return type(x)(min(max(moved, low), high))


population = Population


def _draws(standing: RungState, trial: int, purpose: int) -> np.random.Generator:
    """Random numbers of a trial at a step: to choose a parent (0), to perturb (1)."""
    return np.random.default_rng((standing.seed, standing.step, trial, purpose))
