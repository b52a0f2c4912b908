"""Spaces and studies as Optuna has them: distributions there and back, trials, importances."""

import contextlib
import importlib.util
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.space import (
    Choice,
    Distribution,
    Group,
    IntUniform,
    LogUniform,
    OneOf,
    Uniform,
    choice,
    groups,
    label,
)
from jaxopt_edu.sweep.record import DIVERGED, FINISHED, INTERRUPTED, STOPPED
from jaxopt_edu.sweep.samplers import Axis, axes
from jaxopt_edu.value import resolve_among

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["from_distribution", "importances", "to_distribution", "to_optuna"]

STATES = {FINISHED: "COMPLETE", STOPPED: "PRUNED", DIVERGED: "FAIL", INTERRUPTED: "FAIL"}
EVALUATORS = {
    "ped_anova": ("PedAnovaImportanceEvaluator", {}),
    "fanova": ("FanovaImportanceEvaluator", {"seed": 0}),
    "mdi": ("MeanDecreaseImpurityImportanceEvaluator", {"seed": 0}),
}
INSTALL = {"optuna": "jaxopt_edu[optuna]", "cmaes": "jaxopt_edu[optuna]", "sklearn": "scikit-learn"}
STRUCTURE = "structure"  # what a one_of is called that is the whole space
WIDE = 100  # numbers above 0 that span such a factor are taken for logarithmic


def need(what: str, *packages: str) -> None:
    """ImportError that says what to install, where one of the packages is absent."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            install = INSTALL.get(package, package)
            raise ImportError(f"{what} needs {package}: pip install '{install}'")


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


# ------------------------------------------------------------------------------- distributions


def to_distribution(d: Distribution | OneOf) -> "BaseDistribution":
    """Optuna's distribution of the same numbers.

    uniform and log_uniform: FloatDistribution, whose interval is closed: it ends at the last float
        before high. int_uniform: IntDistribution. choice: CategoricalDistribution of the numbers;
        one_of: of the labels of the alternatives, with their places where two have the same.
    Errors: TypeError for a distribution of another kind; ImportError without Optuna.

    >>> import jaxopt_edu as jo
    >>> jo.to_distribution(jo.int_uniform(1, 8))
    IntDistribution(high=8, log=False, low=1, step=1)
    """
    need("to_distribution", "optuna")
    from optuna import distributions as theirs

    if isinstance(d, OneOf):
        return theirs.CategoricalDistribution(_labels(d))
    if isinstance(d, Choice):
        return theirs.CategoricalDistribution(d.options)
    if isinstance(d, IntUniform):
        return theirs.IntDistribution(int(d.low), int(d.high))
    if isinstance(d, Uniform | LogUniform):
        low, high = d.bounds()
        return theirs.FloatDistribution(low, high, log=isinstance(d, LogUniform))
    raise TypeError(
        f"{d!r} has no counterpart in Optuna: wanted uniform, log_uniform, int_uniform, choice or "
        "one_of"
    )


def from_distribution(d: "BaseDistribution") -> Distribution | OneOf:
    """The inverse of `to_distribution`.

    A CategoricalDistribution of numbers becomes a choice, of anything else a one_of; integers with
    a step other than 1 a choice.
    Errors: ValueError for what has no counterpart here: integers on a logarithmic scale, floats
        with a step.

    >>> import jaxopt_edu as jo
    >>> jo.from_distribution(jo.to_distribution(jo.log_uniform(1e-4, 1e-1)))
    log_uniform(0.0001, 0.1)
    """
    need("from_distribution", "optuna")
    from optuna import distributions as theirs

    if isinstance(d, theirs.CategoricalDistribution):
        return choice(*d.choices)
    if isinstance(d, theirs.IntDistribution) and not d.log:
        whole = d.step == 1
        return IntUniform(d.low, d.high) if whole else choice(*range(d.low, d.high + 1, d.step))
    if isinstance(d, theirs.FloatDistribution) and d.step is None:
        kind = LogUniform if d.log else Uniform
        return kind(d.low, math.nextafter(d.high, math.inf))
    raise ValueError(f"{d!r} has no counterpart here: say choice(...) of its values")


def _labels(where: OneOf) -> list:
    """The alternatives in a table, no two the same."""
    return _distinct([label(a) for a in where.alternatives])


def _distinct(names: list) -> list:
    """The names, with their places where two are the same: a, b, a -> a [0], b, a [2]"""
    return [x if names.count(x) == 1 else f"{x} [{i}]" for i, x in enumerate(names)]


class Parameters:
    """The axes of a space as parameters of Optuna, where no two may have the same name.

    They are named as hyperparameters are. Where two structures have different distributions under
    a name, the labels of the structures are added: `learning_rate [adam]`.
    """

    def __init__(self, groups: Sequence[Group]):
        found = axes(list(groups))
        plain = [name for name, _ in found]
        full = [
            (axis[0] or STRUCTURE) + (_where(axis, groups) if plain.count(axis[0]) > 1 else "")
            for axis in found
        ]
        self.names: dict[Axis, str] = dict(zip(found, _distinct(full), strict=True))

    def distributions(self) -> dict[Axis, "BaseDistribution"]:
        """Those of Optuna. Errors: TypeError for one that it has not."""
        return {axis: to_distribution(axis[1]) for axis in self.names}


def _where(axis: Axis, groups: Sequence[Group]) -> str:
    """What the structures that have an axis have in common, in words."""
    labels = [group.labels().items() for group in groups if axis in axes([group])]
    common = [str(pair[1]) for pair in labels[0] if all(pair in other for other in labels)]
    return f" [{' '.join(common)}]"


# -------------------------------------------------------------------------------------- trials


def as_trial(
    status: str,
    values: Sequence[float],
    params: Mapping[str, tuple["BaseDistribution", Any]],
    curve: Mapping[int, float],
    attributes: Mapping[str, Any],
) -> "FrozenTrial":
    """A finished trial of Optuna's; numbers that are NaN are left out of it."""
    from optuna.trial import TrialState, create_trial

    scored = not any(map(math.isnan, values))
    state = TrialState[STATES[status]]
    if state == TrialState.COMPLETE and not scored:
        state = TrialState.FAIL
    told = {"status": status, **attributes}
    return create_trial(
        state=state,
        values=list(values) if scored and state != TrialState.FAIL else None,
        params={name: d.to_external_repr(d.to_internal_repr(x)) for name, (d, x) in params.items()},
        distributions={name: d for name, (d, _) in params.items()},
        user_attrs={name: x for name, x in told.items() if x == x and x is not None},
        intermediate_values={step: x for step, x in curve.items() if x == x},
    )


def open_study(storage: Any, study_name: str | None, modes: Sequence[str]) -> "optuna.Study":
    """A study in a storage: a new one, or the one of that name.

    storage: a URL, the path of a journal file, a storage of Optuna's, or None: in memory.
    """
    import optuna
    from optuna.storages.journal import JournalFileBackend

    kinds = optuna.study.StudyDirection
    directions = [kinds.MINIMIZE if mode == "min" else kinds.MAXIMIZE for mode in modes]
    if isinstance(storage, str | os.PathLike) and "://" not in str(storage):
        backend = JournalFileBackend(os.fspath(storage))
        storage = optuna.storages.JournalStorage(backend)
    found = optuna.create_study(
        storage=storage, study_name=study_name, directions=directions, load_if_exists=True
    )
    if found.directions != directions:
        raise ValueError(f"study_name = {study_name!r}: the storage has it with other directions")
    return found


def add_trials(target: "optuna.Study", trials: Iterable["FrozenTrial"], first: int = 0) -> None:
    """Adds trials first, first + 1, ... to a study; those that it holds already must be the same.

    Errors: ValueError where it holds another one in the place of a trial.
    """
    held = target.get_trials(deepcopy=False)
    for number, trial in enumerate(trials, first):
        if number < len(held):
            old = held[number]
            same = (old.state, old.values) == (trial.state, trial.values)
            check_params(target, number, trial.params, held)
            if not same:
                raise ValueError(_taken(target, number, "ended in another way"))
        else:
            target.add_trial(trial)


def check_params(
    target: "optuna.Study", number: int, params: dict[str, Any], held: Sequence["FrozenTrial"]
) -> None:
    """ValueError where the study holds a trial of this number with other parameters."""
    if number < len(held) and held[number].params != params:
        raise ValueError(_taken(target, number, "has other parameters"))


def _taken(target: "optuna.Study", number: int, why: str) -> str:
    return (
        f"the storage has trials of another sweep under study_name = {target.study_name!r} (trial "
        f"{number} {why}): choose another name"
    )


# ------------------------------------------------------------------------------------- studies


def to_optuna(study: Any, storage: Any = None, study_name: str | None = None) -> "optuna.Study":
    """A study of Optuna's with every trial, in order, for its pictures, dashboard and samplers.

    Each trial has its parameters with their distributions, its score, and as intermediate values
    its learning curve. Finished trials are COMPLETE, those that a rung stopped PRUNED, those that
    diverged or were interrupted FAIL, which has no score. Status, reason, steps and all other
    scores are user attributes.
    storage: a URL such as sqlite:///file.db, the path of a journal file, or a storage of Optuna's;
        by default it is in memory. Where the storage has the study already, trials are added that
        it has not.
    Distributions are those of the space; for a list or a batch of experiments, and where a number
    is outside its distribution, they reach from the smallest to the largest number (on a
    logarithmic scale where that is a factor of 100).
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
        target = open_study(storage, study_name, [study.mode])
        add_trials(target, _trials(study))
    return target


def _trials(study: Any) -> list["FrozenTrial"]:
    """All trials of a study in their order."""
    ranks = f"{study.split}_{study.metric}"
    others = {k: x.tolist() for k, x in study.columns.items() if k not in study.swept}
    curves, steps = study.curves[study.metric].tolist(), study.evaluations.tolist()
    made: dict[int, FrozenTrial] = {}
    for batch, params in zip(study.batches, _params(study), strict=True):
        for i, trial in enumerate(batch.trials.tolist()):
            told = {name: x[trial] for name, x in others.items()}
            here = {name: (d, values[i]) for name, (d, values) in params.items()}
            curve = dict(zip(steps, curves[trial], strict=True))
            made[trial] = as_trial(told.pop("status"), [told.pop(ranks)], here, curve, told)
    return [made[trial] for trial in sorted(made)]


def _params(study: Any) -> list[dict[str, tuple["BaseDistribution", list]]]:
    """Of each batch: the distribution and the values over its trials, by parameter."""
    listed = isinstance(study.space, list | tuple) and not hasattr(study.space, "_fields")
    found = [] if listed else groups(study.space)
    names = Parameters(found).names
    batches = [
        dict(_values(batch, found[batch.place] if found else Group((), None)))
        for batch in study.batches
    ]
    pooled: dict[Any, list] = {}
    for values in batches:
        for axis, x in values.items():
            pooled.setdefault(axis, []).extend(x)
    fitted = {axis: _fitted(axis[1], x) for axis, x in pooled.items()}
    called = {axis: names.get(axis, axis[0] or STRUCTURE) for axis in pooled}
    return [{called[axis]: (fitted[axis], x) for axis, x in v.items()} for v in batches]


def _values(batch: Any, group: Group) -> Iterator[tuple[Any, list]]:
    """Axis and values over the trials of a batch; what is not of a space has None for an axis."""
    n, numbers = len(batch.trials), group.distributions()
    for name, where, i in group.choices:
        yield (name, where), [_labels(where)[i]] * n
    for name, labelled in batch.labels.items():
        if name not in group.labels():
            yield (name, None), [labelled] * n
    for name, column in batch.columns.items():
        yield (name, numbers.get(name)), column.tolist()


def _fitted(what: Distribution | OneOf | None, values: list) -> "BaseDistribution":
    """The distribution of an axis, wide enough for the values."""
    from optuna import distributions as theirs

    if isinstance(what, OneOf | Choice):
        return to_distribution(what)
    if any(isinstance(x, bool) or not isinstance(x, int | float) for x in values):
        return theirs.CategoricalDistribution(list(dict.fromkeys(values)))
    low, high = min(values), max(values)
    log = low > 0 and high >= WIDE * low
    whole = all(isinstance(x, int) for x in values)
    if isinstance(what, Uniform | LogUniform | IntUniform):
        low, high = min(low, what.bounds()[0]), max(high, what.bounds()[1])
        log, whole = isinstance(what, LogUniform), isinstance(what, IntUniform)
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

    name, options = EVALUATORS[evaluator]
    trials = _trials(study) if step is None else _at(study, step)
    count = sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
    if count < 2:
        raise ValueError(f"importances: {count} trials have a score to compare: wanted 2 or more")
    with quiet():
        target = open_study(None, None, [study.mode])
        add_trials(target, trials)
        judge = getattr(optuna.importance, name)(**options)
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
