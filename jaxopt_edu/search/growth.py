"""A stored sweep that goes on with more trials than it was asked for."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.search.rounds import NEW
from jaxopt_edu.search.samplers import Grid, LatinHypercube, Random, Sobol, as_sampler
from jaxopt_edu.search.store import ASKED, read_results, stored_columns
from jaxopt_edu.search.trials import TrialGroup


@dataclass(frozen=True)
class Growth:
    """Whether the sweep in a store may become one of more trials.

    given: whether the experiments are given, so that none can be added.
    """

    sampler: Any
    rungs: Any
    given: bool

    def __call__(self, there: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
        """What a store was asked for, with as many trials as are asked for now.

        Errors: ValueError that says why it cannot go on.
        """
        old, new = there["trials"], here["trials"]
        if old == new or self.given:
            return there
        why = self._why_not(old, new)
        if why is not None:
            raise ValueError(f"trials was {old}, now {new}: {why}")
        return there | {"trials": new}

    def _why_not(self, old: int, new: int) -> str | None:
        if new < old:
            return "a sweep goes on with more trials only; load_study shows those it has"
        if self.rungs is not None:
            return "rungs have compared and stopped trials among those it had"
        sampler = as_sampler(self.sampler)
        if isinstance(sampler, LatinHypercube):
            return "each point of a latin_hypercube depends on how many there are"
        if not isinstance(sampler, Random | Sobol | Grid):
            return "the sampler has learned from the trials it had"
        return None

    def unfinished(self, directory: Path, trials: int) -> int | None:
        """The trials that a store was asked for, if they are fewer and not all done yet.

        Those are to be done first, in the tiles that they were in.
        """
        if self.given or not (directory / ASKED.file).exists():
            return None
        old = ASKED.read(directory).get("trials", trials)
        if old >= trials or self._why_not(old, trials) is not None:
            return None
        found = read_results(directory)
        return None if found is not None and found[0]["finished"] else old


def grown(
    plan: Any, about: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a store of fewer trials says and holds, as one of all those of a plan.

    Trials of random samplers and of Sobol's keep their numbers; those of a grid are found by their
    values, and points that the larger grid does not have are left out.
    """
    batches = plan.ask(0)
    plan.asking.restart()
    pairs = [pair for batch in batches for pair in _same(batch, arrays)]
    old, new = np.array(pairs, int).reshape(-1, 2).T
    found = {"segments": arrays["segments"]}
    for name, x in arrays.items():
        if name.startswith("record/"):
            found[name] = np.full((plan.total, *x.shape[1:]), NEW[x.dtype.kind], x.dtype)
            found[name][new] = x[old]
    found["record/packed"] = ~np.isin(np.arange(plan.total), new)
    for batch in batches:
        columns = {"": batch.trials} | batch.columns
        found |= {f"column/{batch.place}/{name}": x for name, x in columns.items()}
    places = [str(batch.place) for batch in batches]
    return about | {"stage": 0, "finished": False, "structures": places}, found


def _same(batch: TrialGroup, arrays: dict[str, np.ndarray]) -> list[tuple[int, int]]:
    """The trials of a structure in the store, and what they are now."""
    columns = stored_columns(str(batch.place), arrays)
    trials = columns.pop("", np.zeros(0, int))
    now: dict[tuple, list[int]] = {}
    for values, trial in zip(
        _rows(batch.columns, batch.trials), batch.trials.tolist(), strict=True
    ):
        now.setdefault(values, []).append(trial)
    pairs = []
    for values, trial in zip(_rows(columns, trials), trials.tolist(), strict=True):
        same = now.get(values)
        if same:
            pairs.append((trial, trial if trial in same else same[0]))
            same.remove(pairs[-1][1])
    return pairs


def _rows(columns: dict[str, np.ndarray], trials: np.ndarray) -> list[tuple]:
    """The numbers of each trial, by the names of the columns in order."""
    numbers = [columns[name].tolist() for name in sorted(columns)]
    return list(zip(*numbers, strict=True)) or [()] * len(trials)
