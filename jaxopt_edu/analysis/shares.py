"""Which hyperparameters matter: the shares that they have of the differences between scores."""

from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.search.optuna_trials import add_trials, open_study, quiet, trials_of
from jaxopt_edu.values.environment import need
from jaxopt_edu.values.pytrees import resolve_among

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

EVALUATORS = {
    "ped_anova": ("PedAnovaImportanceEvaluator", {}),
    "fanova": ("FanovaImportanceEvaluator", {"seed": 0}),
    "mdi": ("MeanDecreaseImpurityImportanceEvaluator", {"seed": 0}),
}


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

    trials = trials_of(study) if step is None else _at(study, step)
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
    trials = [trial for trial in trials_of(study) if at in trial.intermediate_values]
    for trial in trials:
        trial.values, trial.state = [trial.intermediate_values[at]], TrialState.COMPLETE
    return trials
