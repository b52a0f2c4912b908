"""Studies as Optuna has them: its trials, its storages, its importances."""

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.engine.status import COMPLETE, DIVERGED, INTERRUPTED, STOPPED
from jaxopt_edu.search.optuna_space import STRUCTURE, parameter_names, quiet, to_distribution
from jaxopt_edu.values import space
from jaxopt_edu.values.environment import need
from jaxopt_edu.values.pytrees import resolve_among

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STATES = {STOPPED: "PRUNED", DIVERGED: "FAIL", INTERRUPTED: "FAIL"}
STATES |= dict.fromkeys(COMPLETE, "COMPLETE")
EVALUATORS = {
    "ped_anova": ("PedAnovaImportanceEvaluator", {}),
    "fanova": ("FanovaImportanceEvaluator", {"seed": 0}),
    "mdi": ("MeanDecreaseImpurityImportanceEvaluator", {"seed": 0}),
}
WIDE = 50  # numbers above 0 that span such a factor are taken for logarithmic


# -------------------------------------------------------------------------------------- trials


def as_trial(
    values: Sequence[float], params: Mapping[str, Any],
    distributions: Mapping[str, "BaseDistribution"], curve: Mapping[int, float],
    attributes: Mapping[str, Any],
) -> "FrozenTrial":  # fmt: skip
    """A finished trial of Optuna's; numbers that are NaN are left out of it.

    distributions: those of its parameters, and maybe of others. attributes: its status and more.
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
        intermediate_values={step: x for step, x in curve.items() if x == x},
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
        return add_trials(open_study(storage, study_name, [study.mode]), _trials(study))


def _trials(study: Any) -> list["FrozenTrial"]:
    """All trials of a study in their order."""
    others = {k: x.tolist() for k, x in study.columns.items() if k not in study.swept}
    curves, steps = study.curves[study.metric].tolist(), study.evaluations.tolist()
    batches, distributions = _parameters(study)
    made: dict[int, FrozenTrial] = {}
    for batch, values in zip(study.batches, batches, strict=True):
        for i, trial in enumerate(batch.trials.tolist()):
            told = {name: x[trial] for name, x in others.items()}
            score = [told.pop(study.ranks)]
            params = {name: x[i] for name, x in values.items()}
            curve = dict(zip(steps, curves[trial], strict=True))
            made[trial] = as_trial(score, params, distributions, curve, told)
    return [made[trial] for trial in sorted(made)]


def _parameters(study: Any) -> tuple[list[dict[str, list]], dict[str, "BaseDistribution"]]:
    """Of each batch the values over its trials by parameter; and the distributions of them all."""
    listed = isinstance(study.space, list | tuple) and not hasattr(study.space, "_fields")
    found = [] if listed else space.groups(study.space)
    names = parameter_names(found)
    batches: list[dict[str, list]] = []
    pooled: dict[str, tuple[Any, list]] = {}
    for batch in study.batches:
        values = {}
        group = found[batch.place] if found else space.Group((), None)
        for axis, x in _values(batch, group).items():
            name = names.get(axis, axis[0] or STRUCTURE)
            values[name] = x
            pooled.setdefault(name, (axis[1], []))[1].extend(x)
        batches.append(values)
    return batches, {name: _fitted(*both) for name, both in pooled.items()}


def _values(batch: Any, group: space.Group) -> dict[Any, list]:
    """The values over the trials of a batch by axis; what is not of a space has None for one."""
    labels: dict[Any, Any] = {(name, where): where.labels[i] for name, where, i in group.choices}
    labels |= {(name, None): x for name, x in batch.labels.items() if name not in group.labels()}
    numbers = group.distributions()
    columns = {(name, numbers.get(name)): x.tolist() for name, x in batch.columns.items()}
    return {axis: [x] * len(batch.trials) for axis, x in labels.items()} | columns


def _fitted(what: space.Distribution | space.OneOf | None, values: list) -> "BaseDistribution":
    """The distribution of an axis, wide enough for the values."""
    from optuna import distributions as theirs

    if isinstance(what, space.OneOf | space.Choice):
        return to_distribution(what)
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in values):
        return theirs.CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = min(values), max(values)
    log = low > 0 and high >= WIDE * low
    whole = all(isinstance(x, int) for x in values)
    if isinstance(what, space.Uniform | space.LogUniform | space.IntUniform):
        low, high = min(low, what.bounds()[0]), max(high, what.bounds()[1])
        log, whole = isinstance(what, space.LogUniform), isinstance(what, space.IntUniform)
    kind: Any = theirs.IntDistribution if whole else theirs.FloatDistribution
    return kind(low, high, log=log)


# --------------------------------------------------------------------------------- importances


def importances(
    study: Any, evaluator: str = "ped_anova", *, step: int | None = None
) -> dict[str, float]:
    """Which share of the differences between scores each hyperparameter has; the largest first.

    evaluator: ped_anova (what the best tenth of the trials has in common), fanova (variance of a
        random forest) or mdi (impurity of a random forest). The forests look only at what every
        trial has; ped_anova also at what only some structures have.
    step: explain the scores at the first evaluation from this step on, of all trials that came so
        far; by default those at the end, of the trials that finished. With rungs few finish: give
        the step of a rung.
    Errors: ValueError for an unknown evaluator, or fewer than 2 trials to compare; ImportError
        without Optuna, or for a forest without scikit-learn.
    Source: Watanabe, Bansal & Hutter 2023, arXiv:2304.10255; Hutter, Hoos & Leyton-Brown 2014
        (ICML); Breiman 2001.

    >>> import jaxopt_edu as jo
    >>> space = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error, data=jo.data.load("linear"),
    ...     optimizer=jo.sgd(jo.log_uniform(1e-3, 1e-1), momentum=jo.uniform(0.0, 0.1)),
    ... )
    >>> next(iter(jo.importances(jo.sweep(space, 32, steps=100))))
    'optimizer.learning_rate'
    """
    resolve_among("evaluator", evaluator, EVALUATORS)
    need("importances", "optuna", *(() if evaluator == "ped_anova" else ("sklearn",)))
    import optuna

    trials = _trials(study) if step is None else _at(study, step)
    count = sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
    if count < 2:
        raise ValueError(f"importances: {count} trials have a score to compare: wanted 2 or more")
    name, options = EVALUATORS[evaluator]
    judge = getattr(optuna.importance, name)(**options)
    with quiet():
        target = add_trials(open_study(None, None, [study.mode]), trials)
        found = optuna.importance.get_param_importances(target, evaluator=judge)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _at(study: Any, step: int) -> list["FrozenTrial"]:
    """The trials with their scores at an evaluation as if they had ended there."""
    from optuna.trial import TrialState

    if not 0 <= step <= study.evaluations[-1]:
        raise ValueError(f"step = {step}: wanted 0 to {study.evaluations[-1]}")
    at = int(study.evaluations[np.searchsorted(study.evaluations, step)])
    trials = [trial for trial in _trials(study) if at in trial.intermediate_values]
    for trial in trials:
        trial.values, trial.state = [trial.intermediate_values[at]], TrialState.COMPLETE
    return trials
