"""Studies as Optuna has them: the names of parameters, trials, storages."""

import contextlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jaxopt_edu.engine.status import COMPLETE, DIVERGED, INTERRUPTED, STOPPED
from jaxopt_edu.search.samplers import Axis, axes
from jaxopt_edu.values.environment import need
from jaxopt_edu.values.labelling import distinct
from jaxopt_edu.values.optuna_space import fitted_distribution
from jaxopt_edu.values.space import Group, groups

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STATES = {STOPPED: "PRUNED", DIVERGED: "FAIL", INTERRUPTED: "FAIL"}
STATES |= dict.fromkeys(COMPLETE, "COMPLETE")
STRUCTURE = "structure"  # what a one_of is called that is the whole space


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what Optuna logs of every study and trial."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.ERROR))
    try:
        yield
    finally:
        logging.set_verbosity(before)


def parameter_names(groups: Sequence[Group]) -> dict[Axis, str]:
    """What the axes of a space are called as parameters of Optuna, where no two have one name.

    They are named as hyperparameters are. Where two structures have different distributions under
    a name, what the structures of each have in common is added: `learning_rate [adam]`.
    """
    found = axes(groups)
    times = Counter(name for name, _ in found)
    common: dict[Axis, Sequence] = {}  # choices that lead to all structures with an axis
    for group in groups:
        for axis in axes([group]):
            known = common.get(axis, group.choices)
            common[axis] = [chosen for chosen in known if chosen in group.choices]
    full = []
    for axis in found:
        chosen = " ".join(str(where.labels[i]) for _, where, i in common[axis])
        name = axis[0] or STRUCTURE
        full.append(f"{name} [{chosen}]" if times[axis[0]] > 1 else name)
    return dict(zip(found, distinct(full), strict=True))


# -------------------------------------------------------------------------------------- trials


def as_trial(
    values: Sequence[float], params: Mapping[str, Any],
    distributions: Mapping[str, "BaseDistribution"], steps: Iterable[int],
    curve: Iterable[float], attributes: Mapping[str, Any],
) -> "FrozenTrial":  # fmt: skip
    """A finished trial of Optuna's; numbers that are NaN are left out of it.

    distributions: those of its parameters, and maybe of others. curve: the scores at these steps.
    attributes: its status and more.
    """
    from optuna.trial import TrialState, create_trial

    state, scored = STATES[attributes["status"]], not any(map(math.isnan, values))
    if state == "COMPLETE" and not scored:
        state = "FAIL"
    own = {name: distributions[name] for name in params}
    return create_trial(
        state=TrialState[state],
        values=list(values) if scored and state != "FAIL" else None,
        params={k: d.to_external_repr(d.to_internal_repr(params[k])) for k, d in own.items()},
        distributions=own,
        user_attrs={name: x for name, x in attributes.items() if x == x and x is not None},
        intermediate_values={int(t): x for t, x in zip(steps, curve, strict=True) if x == x},
    )


def open_study(storage: Any, study_name: str | None, modes: Sequence[str]) -> "optuna.Study":
    """A study in a storage: a new one, or the one of that name.

    storage: a URL, the path of a journal file, a storage of Optuna's, or None: in memory.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    if isinstance(storage, str | os.PathLike) and "://" not in str(storage):
        storage = optuna.storages.JournalStorage(JournalFileBackend(os.fspath(storage)))
    kinds = optuna.study.StudyDirection
    directions = [kinds.MINIMIZE if mode == "min" else kinds.MAXIMIZE for mode in modes]
    found = optuna.create_study(
        storage=storage, study_name=study_name, directions=directions, load_if_exists=True
    )
    if found.directions != directions:
        raise ValueError(f"study_name = {study_name!r}: the storage has it with other directions")
    return found


def add_trials(
    target: "optuna.Study", trials: Iterable["FrozenTrial"], first: int = 0
) -> "optuna.Study":
    """The study with trials first, first + 1, ...; those that it holds already must be the same.

    Errors: ValueError where it holds another one in the place of a trial.
    """
    held = target.get_trials(deepcopy=False)
    for number, trial in enumerate(trials, first):
        same = {"params": trial.params, "state": trial.state, "values": trial.values}
        if not holds(target, held, number, same):
            target.add_trial(trial)
    return target


def holds(
    target: "optuna.Study", held: Sequence["FrozenTrial"], number: int, same: Mapping[str, Any]
) -> bool:
    """Whether a study holds a trial of this number; ValueError where that is another one."""
    if number >= len(held):
        return False
    for name, x in same.items():
        if getattr(held[number], name) != x:
            raise ValueError(
                f"the storage has trials of another sweep under study_name = {target.study_name!r} "
                f"(trial {number} has other {name}): choose another name"
            )
    return True


# ------------------------------------------------------------------------------------- studies


def to_optuna(study: Any, storage: Any = None, study_name: str | None = None) -> "optuna.Study":
    """A study of Optuna's with every trial, in order, for its pictures, dashboard and samplers.

    Each trial has its parameters with their distributions, its score, and as intermediate values
    its learning curve. Finished trials are COMPLETE, those that a rung stopped PRUNED, those that
    diverged or were interrupted FAIL, which has no score. Status, reason, steps and all other
    scores, those of further objectives too, are user attributes.
    storage: a URL such as sqlite:///file.db, the path of a journal file, or a storage of Optuna's;
        by default it is in memory. Where the storage has the study already, trials are added that
        it has not.
    Distributions are those of the space; for a list or a batch of experiments, and where a number
    is outside its distribution, they reach from the smallest to the largest number (on a
    logarithmic scale where that is a factor of 50).
    Errors: ValueError where the storage holds another study of that name; ImportError without
        Optuna.

    >>> import jaxopt_edu as jo
    >>> space = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error,
    ...     optimizer=jo.sgd(jo.log_uniform(1e-3, 1e-1)), data=jo.data.load("linear"),
    ... )
    >>> study = jo.sweep(space, 4, steps=100)
    >>> len(jo.to_optuna(study).trials)
    4
    """
    need("to_optuna", "optuna")
    with quiet():
        return add_trials(open_study(storage, study_name, [study.mode]), trials_of(study))


def trials_of(study: Any) -> list["FrozenTrial"]:
    """All trials of a study in their order."""
    others = {k: x.tolist() for k, x in study.columns.items() if k not in study.swept}
    (batches, distributions), made = _parameters(study), []
    for trial, curve in enumerate(study.curves[study.metric].tolist()):
        k, i = study.place(trial)
        told = {name: x[trial] for name, x in others.items()}
        score = [told.pop(study.ranks)]
        params = {name: x[i] for name, x in batches[k].items()}
        made.append(as_trial(score, params, distributions, study.evaluations, curve, told))
    return made


def _parameters(study: Any) -> tuple[list[dict[str, list]], dict[str, "BaseDistribution"]]:
    """Of each batch the values over its trials by parameter; and the distributions of them all."""
    listed = isinstance(study.space, list | tuple) and not hasattr(study.space, "_fields")
    found = [] if listed else groups(study.space)
    names = parameter_names(found)
    batches: list[dict[str, list]] = []
    pooled: dict[str, tuple[Any, list]] = {}
    for batch in study.batches:
        values = {}
        group = found[batch.place] if found else Group((), None)
        for axis, x in _values(batch, group).items():
            name = names.get(axis, axis[0] or STRUCTURE)
            values[name] = x
            pooled.setdefault(name, (axis[1], []))[1].extend(x)
        batches.append(values)
    return batches, {name: fitted_distribution(*both) for name, both in pooled.items()}


def _values(batch: Any, group: Group) -> dict[Any, list]:
    """The values over the trials of a batch by axis; what is not of a space has None for one."""
    labels: dict[Any, Any] = {(name, where): where.labels[i] for name, where, i in group.choices}
    labels |= {(name, None): x for name, x in batch.labels.items() if name not in group.labels()}
    numbers = group.distributions()
    columns = {(name, numbers.get(name)): x.tolist() for name, x in batch.columns.items()}
    return {axis: [x] * len(batch.trials) for axis, x in labels.items()} | columns
