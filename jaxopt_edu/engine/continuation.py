"""Continuation: what a store of fewer steps becomes when a fit of more steps goes on with it."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from jaxopt_edu.engine.history import History
from jaxopt_edu.engine.status import Status
from jaxopt_edu.engine.tiles import EvalPlan, Tile


def grows(there: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    """What a store was asked for, as a training of more steps where it can become one.

    Its result is that of a training that was asked for all of them: so evaluations up to now must
    be there, and patience must have seen no others.
    Errors: ValueError that says why it cannot go on.
    """
    old, new = there["steps"], here["steps"]
    if old == new or not {"evaluations", "patience"} <= there.keys() & here.keys():
        return there
    if new < old:
        raise ValueError(f"steps was {old}, now {new}: a training goes on with more steps only")
    known, wanted = set(there["evaluations"]), {t for t in here["evaluations"] if t <= old}
    every = f"eval_every={min(known)} goes on"
    if wanted - known:
        raise ValueError(
            f"steps was {old}, now {new}: they want an evaluation at step {min(wanted - known)}, "
            f"where there was none: {every}"
        )
    if there["patience"] is not None and known - wanted:
        raise ValueError(
            f"steps was {old}, now {new}: patience has counted the evaluation at step "
            f"{min(known - wanted)}, which is none of theirs: {every} if {old} is a multiple of it"
        )
    return there | {"steps": new, "evaluations": here["evaluations"]}


def go_on(tile: Tile, histories: Iterable[History], plan: EvalPlan) -> None:
    """Makes of a training of fewer steps one of those of the plan, evaluated as that says.

    What an evaluation that is none of theirs has found out about the state is forgotten.
    """
    if tile.status[0] == Status.STATE_NOT_FINITE and tile.ended[0] not in plan.stops:
        tile.status, tile.ended = np.array([Status.RUNNING]), np.array([0])
        zero = np.zeros(1, np.int32)
        tile.lanes = tile.lanes._replace(status=zero, ended=zero)
    for history in histories:
        history.keep(lambda t: t in plan.stops or t == tile.ended[0])
