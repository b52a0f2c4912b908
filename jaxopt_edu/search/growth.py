"""A stored sweep that goes on with more trials than it was asked for."""

from pathlib import Path
from typing import Any

import numpy as np

from jaxopt_edu.search.samplers import Grid, LatinHypercube, Random, Sobol, as_sampler
from jaxopt_edu.search.store import ASKED, read_asked, read_results, restore_record, stored_columns
from jaxopt_edu.search.trials import TrialGroup


class Growth:
    """Whether, and how, the sweep in a store becomes one of more trials.

    given: whether the experiments are given, so that none can be added.
    """

    def __init__(self, sampler: Any, rungs: Any, given: bool):
        self.sampler, self.rungs, self.given = sampler, rungs, given

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
        old = read_asked(directory).get("trials")
        if old is None or old >= trials or self._why_not(old, trials) is not None:
            return None
        found = read_results(directory)
        return old if found is None or not found[0]["finished"] else None


def extend(driver: Any, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Puts the trials of a finished sweep into a course of more; the others are to be run.

    Trials of random samplers and of Sobol's keep their numbers; those of a grid are found by their
    values, and points that the larger grid does not have are left out.
    """
    batches = driver.plan.ask(0)
    driver.plan.asking.restart()
    old, new = _matches(batches, arrays)
    record, stored = driver.record, {k: x for k, x in arrays.items() if k.startswith("record/")}
    for full, x in stored.items():
        name = full.removeprefix("record/")
        if name not in record.arrays:
            record._array(name, *x.shape[2:])
        record.arrays[name][new] = x[old]
    record.arrays["packed"] = ~np.isin(np.arange(record.trials), new)
    others = {k: x for k, x in arrays.items() if k not in stored}
    restore_record(record, about, others)
    driver.widths = {int(place): width for place, width in about["widths"].items()}
    driver.batches = {batch.place: batch for batch in batches}
    for batch in batches:
        driver._width(batch)
    driver.asked = driver.plan.total
    driver.save()
    driver.asked = 0


def _matches(
    batches: list[TrialGroup], arrays: dict[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Trials of the store, and what they are now."""
    pairs = []
    for batch in batches:
        columns = stored_columns(str(batch.place), arrays)
        trials = columns.pop("", np.zeros(0, int))
        now: dict[tuple, list[int]] = {}
        for values, trial in zip(
            _rows(batch.columns, len(batch.trials)), batch.trials.tolist(), strict=True
        ):
            now.setdefault(values, []).append(trial)
        for values, trial in zip(_rows(columns, len(trials)), trials.tolist(), strict=True):
            same = now.get(values, [])
            if same:
                found = trial if trial in same else same[0]
                same.remove(found)
                pairs.append((trial, found))
    found = np.array(pairs, int).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _rows(columns: dict[str, np.ndarray], n: int) -> list[tuple]:
    """The numbers of each of n trials, by the names of the columns in order."""
    return list(zip(*(columns[name].tolist() for name in sorted(columns)), strict=True)) or [()] * n
