"""Running a sweep to its end, from where a store holds it."""

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.peers import watched
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.search.driver import SweepDriver
from jaxopt_edu.search.fields import study_fields
from jaxopt_edu.search.growth import Growth, grown
from jaxopt_edu.search.metadata import sweep_metadata
from jaxopt_edu.search.store import opened, read_results, restore_record, stored_columns


def complete(
    start: Callable[[], SweepDriver],
    driver: SweepDriver,
    store: str | os.PathLike[str] | None,
    asked: dict[str, Any],
    values: dict[str, Any],
    grows: Growth | None = None,
) -> dict[str, Any]:
    """Runs a driver, which start() makes anew, to its end; the fields of the study that it gives.

    asked, values, grows: see `store.opened`. The study's info says whether Ctrl-C ended it early.
    Where memory does not suffice it starts anew with tiles half as wide: results depend on the
    width, so no lane may have gone a part of its way at another.
    """
    held: Any = contextlib.nullcontext()
    if store is not None:
        held = opened(store, asked, jax.process_index() == 0, values, grows)
    with Compilations() as compiled, held as files, watched(lambda: _where(driver, store)):
        collectives.barrier("sweep")
        while True:
            driver.store, driver.compiled = files, compiled
            try:
                if files is None or not _restore(driver, files.directory):
                    driver.run()
                break
            except jax.errors.JaxRuntimeError as error:
                widest = max(driver.widths.values(), default=1)
                one = widest == 1 or collectives.processes() > 1
                if "RESOURCE_EXHAUSTED" not in str(error) or one:
                    raise
                half = widest // 2
                print(f"out of memory with {widest} lanes in a tile: now {half}", file=sys.stderr)
                widths = {place: min(width, half) for place, width in driver.widths.items()}
                driver = start()
                driver.widths = widths
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
        raise ValueError(
            f"store = {directory} was begun with other rungs or evaluations, by another "
            "version: finish it with that one, or give the same first= and eval_every="
        )
    grows = about["trials"] < driver.plan.total
    if grows:
        about, arrays = grown(driver.plan, about, arrays)
    restore_record(driver.record, about, arrays)
    driver.stage = about["stage"]
    driver.widths = {int(place): width for place, width in about["widths"].items()}
    for place in about["structures"]:
        columns = stored_columns(place, arrays)
        trials = columns.pop("")
        driver.batches[int(place)] = driver.plan.structure(int(place), trials, columns)
    if about["finished"]:
        driver.asked = sum(len(batch.trials) for batch in driver.batches.values())
    else:
        driver.record.unfinish()
    if grows:  # the store is to know of all trials before it holds lanes of the new ones
        for batch in driver.batches.values():
            driver.width(batch)
        driver.asked = driver.plan.total
        driver.save()
        driver.asked = 0
    return bool(about["finished"])


def _where(driver: SweepDriver, store: Any) -> str:
    """Where a job was when it lost a process, and what to do."""
    how = "without store= they begin anew"
    if store is not None:
        how = f"from {store} they go on where they were"
    return f"in stage {driver.stage + 1} of the sweep; start all processes again: {how}"
