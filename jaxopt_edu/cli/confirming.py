"""Whether, and how, a command trains the best trials of its sweep once more."""

import shutil
from pathlib import Path

import numpy as np

from jaxopt_edu.search import Study
from jaxopt_edu.search.confirmation import candidates
from jaxopt_edu.search.loading import CONFIRM
from jaxopt_edu.storage.disk import StoreError


def confirmed_best(study: Study, best: int, directory: Path) -> tuple[Study | None, str]:
    """The best trials with fresh seeds, or why there is none of it."""
    if not best or not study.scored:
        return None, ""
    size = affordable(study, best)
    if size is None:
        return None, (
            "not confirmed with fresh seeds: two trials and two seeds, in tiles of their own, "
            "would cost more than a quarter of the sweep: take more trials, or in Python "
            "study.confirm()"
        )
    store = directory / CONFIRM
    try:
        again = study.confirm(*size, store=store, progress=True)
    except StoreError:  # it holds another confirmation, or a damaged one
        shutil.rmtree(store, ignore_errors=True)
        again = study.confirm(*size, store=store, progress=True)
    if not again.scored:
        return None, f"not confirmed: with fresh seeds all of the {len(again)} best diverged"
    return again, ""


def affordable(study: Study, best: int = 8, seeds: int = 4) -> tuple[int, int] | None:
    """At most so many trials and seeds as cost little beside the sweep; None below two of each.

    That is an eighth of its useful lane-steps, and a quarter of the executed ones, as tiles that
    are not full take their time too. Of what fits, the most lanes, and of as many the most seeds.
    """
    order, info = candidates(study), study.info
    lane = study.steps * (study.folds or 1)
    useful = info.get("useful_lane_steps", 0) / 8
    executed = info.get("executed_lane_steps", 0) / 4
    found: list[tuple[int, int, int]] = []
    for n in range(2, min(best, len(order)) + 1):
        at = [int(np.isin(batch.trials, order[:n]).sum()) for batch in study.batches]
        wide = sum(-(-k // width) * width for k, width in zip(at, study.tiles, strict=True))
        most = int(min(seeds, useful // (n * lane), executed // (wide * lane)))
        if most >= 2:
            found.append((n * most, most, n))
    if not found:
        return None
    _, count, n = max(found)
    return n, count
