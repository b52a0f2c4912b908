"""Running a sweep to its end from where a store holds it, with more trials than it had too."""

import copy
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.peers import watched
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.fields import study_fields, sweep_metadata
from jaxopt_edu.search.rounds import Arrays, Contents, column_arrays, new_rows, read_columns
from jaxopt_edu.search.samplers import Grid, LatinHypercube, Random, Sobol, as_sampler
from jaxopt_edu.search.store import ASKED, Store, read_results, restore_record
from jaxopt_edu.search.trials import Plan, TrialGroup
from jaxopt_edu.storage.disk import StoreError


def complete(
    start: Callable[[], SweepDriver],
    driver: SweepDriver,
    store: AbstractContextManager[Store | None],
) -> dict[str, Any]:
    """Runs a driver, which start() makes anew, to its end; the fields of the study that it gives.

    store: see `store.opened`. The study's info says whether Ctrl-C ended it early.
    Where memory does not suffice it starts anew with tiles half as wide: results depend on the
    width, so no lane may have gone a part of its way at another.
    """
    with Compilations() as compiled, store as files, watched(lambda: _where(driver, files)):
        collectives.barrier("sweep")
        while True:
            driver.store, driver.compiled = files, compiled
            try:
                if files is None or not _restore(driver, files.directory):
                    driver.run()
                break
            except jax.errors.JaxRuntimeError as error:
                widest = max(driver.widths.values(), default=1)
                helps = widest > 1 and collectives.processes() == 1
                if not helps or "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                half = widest // 2
                print(f"out of memory with {widest} lanes in a tile: now {half}", file=sys.stderr)
                widths = {place: min(width, half) for place, width in driver.widths.items()}
                driver = replace(start(), widths=widths)
                if files is not None:
                    files.clear()
        if not driver.interrupted:
            collectives.barrier("sweep")  # what one process has written is there for all
    told = sweep_metadata(driver)
    told["info"]["interrupted"] = driver.interrupted
    batches = [driver.batches[place] for place in sorted(driver.batches)]
    return study_fields(batches, driver.record, told)


def _restore(driver: SweepDriver, directory: Path) -> bool:
    """Takes over what a store holds; whether the sweep was finished."""
    found = read_results(directory)
    if found is None:
        return False
    about, arrays = found
    if about["stops"] != list(driver.settings.stops):
        raise StoreError(
            f"store = {directory} was begun with other rungs or evaluations, by another "
            "version: finish it with that one, or give the same first= and eval_every="
        )
    if about["trials"] < driver.plan.total:
        about, arrays = _grown(driver.plan, about, arrays)
    restore_record(driver.record, about, arrays)
    driver.stage = about["stage"]
    driver.widths = {int(place): width for place, width in about["widths"].items()}
    for structure in driver.plan.structures:
        trials, columns = read_columns(structure.place, arrays)
        if len(trials):
            driver.batches[structure.place] = replace(structure, trials=trials, columns=columns)
    if about["finished"]:
        driver.asked = sum(len(batch.trials) for batch in driver.batches.values())
    else:
        driver.record.unfinish()
    return bool(about["finished"])


def _where(driver: SweepDriver, store: Store | None) -> str:
    """Where a job was when it lost a process, and what to do."""
    how = "without store= they begin anew"
    if store is not None:
        how = f"from {store.directory} they go on where they were"
    return f"in stage {driver.stage + 1} of the sweep; start all processes again: {how}"


# ------------------------------------------------------------------------------ more trials


def with_more_trials(
    sampler: Any, rungs: Any, there: dict[str, Any], here: dict[str, Any]
) -> dict[str, Any]:
    """What a store was asked for, with as many trials as are asked for now.

    Errors: ValueError that says why it cannot go on.
    """
    old, new = there.get("trials"), here["trials"]
    if old in (None, new):
        return there
    sampler = as_sampler(sampler)
    if new < old:
        why = "a sweep goes on with more trials only; load_study shows those it has"
    elif rungs is not None:
        why = "rungs have compared and stopped trials among those it had"
    elif isinstance(sampler, LatinHypercube):
        why = "each point of a latin_hypercube depends on how many there are"
    elif not isinstance(sampler, Random | Sobol | Grid):
        why = "the sampler has learned from the trials it had"
    else:
        return there | {"trials": new}
    raise ValueError(f"trials was {old}, now {new}: {why}")


def unfinished(directory: Path, asked: dict[str, Any], grows: Callable) -> int | None:
    """The trials that a store was asked for, if it may go on with more and has not done all.

    Those are to be done first, in the tiles that they were in.
    """
    try:
        there = ASKED.read(directory)
        if grows(there, asked) is there:
            return None
    except ValueError:  # there is none, or what is to be said when it is opened
        return None
    about, _ = read_results(directory) or ({"finished": False}, {})
    done = about["finished"] and about["trials"] == there["trials"]
    return None if done else there["trials"]


def _grown(plan: Plan, about: dict[str, Any], arrays: Arrays) -> Contents:
    """What a store of fewer trials says and holds, as one of all those of a plan.

    Trials of random samplers and of Sobol's keep their numbers; those of a grid are found by their
    values, and points that the larger grid does not have are left out.
    """
    batches = replace(plan, asking=copy.copy(plan.asking)).ask(0)
    pairs = [pair for batch in batches for pair in _same(batch, arrays)]
    old, new = np.array(pairs, int).reshape(-1, 2).T
    found = {"segments": arrays["segments"]}
    for name, x in arrays.items():
        if name.startswith("record/"):
            found[name] = new_rows(plan.total, x)
            found[name][new] = x[old]
    found["record/packed"] = ~np.isin(np.arange(plan.total), new)
    for batch in batches:
        found |= column_arrays(batch)
    return about | {"stage": 0, "finished": False}, found


def _same(batch: TrialGroup, arrays: Arrays) -> list[tuple[int, int]]:
    """The trials of a structure in the store, and which of the batch they are now."""
    before = _numbers(*read_columns(batch.place, arrays))
    now = _numbers(batch.trials, batch.columns)
    places = {numbers: trial for trial, numbers in now.items()}
    found = {i: i if now.get(i) == x else places.get(x) for i, x in before.items()}
    return [(old, new) for old, new in found.items() if new is not None]


def _numbers(trials: np.ndarray, columns: Arrays) -> dict[int, tuple]:
    """The numbers of each trial, by the names of the columns in order."""
    numbers = zip(*(columns[name].tolist() for name in sorted(columns)), strict=True)
    return dict(zip(trials.tolist(), list(numbers) or [()] * len(trials), strict=True))
