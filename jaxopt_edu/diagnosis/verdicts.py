"""`diagnose`: what the scores and learning curves of a run say, by criteria that are stated."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.diagnosis.baselines import (
    constant_losses,
    errors,
    look,
    mean_and_error,
    neighbours,
    thinned,
)
from jaxopt_edu.diagnosis.picture import plot_diagnosis
from jaxopt_edu.diagnosis.shift import FOLDS, Shift, find_shift
from jaxopt_edu.engine.history import Run
from jaxopt_edu.train import Training
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import check_count, check_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Diagnosis", "diagnose"]


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found out.

    verdicts: of "under-fitting", "over-fitting", "not converged", or "good fit" where it is none
        of these; "diverged"; and "shift" between the training and the test part.
    sentences: what was seen and what may help, a sentence or two for each verdict.
    numbers: what they were told by. shift: the comparison with the test part, where there is one.
    curves: "step", "train" and "validation": the losses over the run.
    """

    run: Run
    verdicts: tuple[str, ...]
    sentences: tuple[str, ...]
    numbers: dict[str, float]
    curves: dict[str, ndarray]
    shift: Shift | None

    def __repr__(self) -> str:
        return f"Diagnosis({', '.join(self.verdicts)}: {' '.join(self.sentences)})"

    def _repr_html_(self) -> str:
        numbers = notebook.table(("number", "value"), self.numbers.items())
        words = map(notebook.text, self.sentences)
        return notebook.card(", ".join(self.verdicts), *words, numbers)

    def plot(self) -> "Figure":
        """The learning curves, the errors beside what they are compared with, and the shift."""
        return plot_diagnosis(self)


def diagnose(run: Run, *, neighbours_k: int = 10, seed: int = 0) -> Diagnosis:
    """Says of a run of `fit` whether it fits, too little or too much, and long enough.

    Formula: with L_t, L_v the mean losses on the training and validation part, L_c that of the best
        constant prediction on the training part, G = max(L_c - L_t, L_c / 20) what was learned,
        and e the error (share of wrong classes; e^2 over the variance of the targets), it is
        under-fitting   where the model is not better than a constant on the training part by two
                        standard errors; or where e on the training part is above that of the
                        nearest neighbours on the validation part, by two standard errors and 0.02:
                        so much can be reached, and on new examples at that;
        over-fitting    where L_v - L_t is above G / 5 and two standard errors: a fifth of what was
                        learned is not true of new examples; or where all of the last three
                        evaluations of L_v are above the least one by G / 10, and the state is the
                        last one (no patience);
        not converged   where a line through the last quarter of the curve of L_v falls, by two
                        standard errors of its slope, and another quarter of the steps would gain
                        G / 50 by it; told from 8 evaluations on;
        shift           where the training and the test part differ: see `find_shift`.
    run: of a `Training` whose data have a validation part. With `fit(..., train_curve=True)` the
        curve of L_t is that of the whole training part, otherwise of the last batch of a step.
    neighbours_k: how many neighbours vote. seed: of the rows that are drawn where there are many.
    Errors: TypeError for what is no run of a Training; ValueError without a validation part.

    >>> import jaxopt_edu as jo
    >>> line = jo.Training(
    ...     model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    ...     data=jo.data.load("linear"),
    ... )
    >>> jo.diagnose(jo.fit(line, 500)).verdicts
    ('good fit',)
    """
    experiment, seed = _checked(run, neighbours_k), check_seed(seed, None)
    shift, about_shift = _shift(experiment.data, seed)
    curves = _curves(run)
    numbers: dict[str, float] = {}
    verdicts: tuple[str, ...]
    words: tuple[str, ...]
    if run.status == "diverged":
        told = f"The training diverged: {run.reason}. A smaller learning rate may help."
        verdicts, words = ("diverged",), (told,)
    else:
        numbers = _numbers(run, experiment, neighbours_k, seed) | _trend(run)
        found = _under(numbers) | _over(numbers, run) | _unfinished(numbers)
        verdicts, words = tuple(found), tuple(found.values())
        if not found:
            verdicts, words = ("good fit",), (_good(numbers),)
        if "slope" not in numbers:
            words += (_few(len(run.history["step"])),)
    if shift is not None and shift.found:
        verdicts += ("shift",)
    return Diagnosis(run, verdicts, (*words, *about_shift), numbers, curves, shift)


def _checked(run: Any, k: Any) -> Training:
    """The experiment of a run that can be diagnosed."""
    if not isinstance(run, Run):
        raise TypeError(f"run is of type {type(run).__name__}: wanted what `fit` returns")
    experiment = run.experiment
    if not isinstance(experiment, Training) or not isinstance(experiment.data, Data):
        raise TypeError(
            f"run is of a {type(experiment).__name__}: wanted a Training, on data without folds"
        )
    if "validation" not in experiment.splits:
        raise ValueError("run: its data have no validation part, so over-fitting cannot be seen")
    check_count("neighbours_k", k)
    return experiment


# ----------------------------------------------------------------------------------- what is seen


def _curves(run: Run) -> dict[str, ndarray]:
    whole = run.train_history.get("loss", run.history.get("training_loss"))
    found = {"step": run.history["step"], "train": whole, "validation": run.history["loss"]}
    return {name: x for name, x in found.items() if x is not None}


def _numbers(run: Run, experiment: Training, k: int, seed: int) -> dict[str, float]:
    """Losses and errors on both parts, and those that they are compared with."""
    data = experiment.data
    train, validation = (
        look(experiment, run.params, run.state.model_state, part)
        for part in (data.train, data.validation)
    )
    constant = constant_losses(experiment, train.y, train.predictions)
    scale = np.maximum(np.var(train.y, 0), 1e-300) if train.y.dtype.kind == "f" else 1.0
    pairs = {
        "train_loss": train.losses,
        "validation_loss": validation.losses,
        "constant_loss": constant,
        "better_than_constant": constant - train.losses,
        "train_error": errors(train.predictions, train.y, scale),
        "validation_error": errors(validation.predictions, validation.y, scale),
        "neighbours_error": neighbours(train, validation, k, scale, seed),
    }
    out: dict[str, float] = {}
    for name, x in pairs.items():
        out[name], out[f"{name}_se"] = mean_and_error(x)
    out["learned"] = max(out["constant_loss"] - out["train_loss"], abs(out["constant_loss"]) / 20)
    return out


def _trend(run: Run) -> dict[str, float]:
    """How the validation loss went at the end of the run."""
    steps, losses = run.history["step"].astype(float), run.history["loss"]
    out = {"least_validation_loss": float(losses.min()), "at": float(steps[np.argmin(losses)])}
    out["risen"] = float(losses[-3:].min() - losses.min())
    if len(losses) < 8:
        return out
    last = max(4, len(losses) // 4)
    t, l = steps[-last:], losses[-last:]
    away = t - t.mean()
    slope = away @ l / (away @ away)
    rest = l - l.mean() - slope * away
    out["slope"] = float(slope)
    out["slope_se"] = float(np.sqrt(rest @ rest / (last - 2) / (away @ away)))
    out["to_gain"] = float(-slope * steps[-1] / 4)
    return out


def _shift(data: Data, seed: int) -> tuple[Shift | None, tuple[str, ...]]:
    """The comparison of the training and the test part, in numbers and in words."""
    sizes = data.train.size, data.test.size
    if min(sizes) < 2 * FOLDS:
        return None, (f"The test part has {sizes[1]} rows: too few to be compared.",)
    first, second = (thinned(*part.first()[:2], seed)[0] for part in (data.train, data.test))
    names = data.features if len(data.features) == first.shape[1] else ()
    shift = find_shift(first, second, names, seed)
    if not shift.found:
        return shift, ()
    told = f"A classifier tells training from test rows with an AUC of {shift.auc:.2f}"
    many = len(shift.features)
    which = ", ".join(shift.features[:5]) + (f" and {many - 5} more" if many > 5 else "")
    differ = f"; {which} differ{'s' * (many == 1)}" if many else ""
    return shift, (f"{told}{differ}: the test scores are of other data than was trained on.",)


# --------------------------------------------------------------------------------------- verdicts


def _under(n: dict[str, float]) -> dict[str, str]:
    helps = "A richer model, less regularization, a better learning rate or more steps may help."
    if n["better_than_constant"] <= 2 * n["better_than_constant_se"]:
        seen = (
            f"The training loss {n['train_loss']:.3g} is no better than that of a constant "
            f"prediction, {n['constant_loss']:.3g}."
        )
        return {"under-fitting": f"{seen} {helps}"}
    away = n["train_error"] - n["neighbours_error"]
    doubt = np.hypot(n["train_error_se"], n["neighbours_error_se"])
    if away > 2 * doubt and away > 0.02:
        seen = (
            f"The error on the training part is {n['train_error']:.3g}; the nearest neighbours "
            f"reach {n['neighbours_error']:.3g}, on new examples."
        )
        return {"under-fitting": f"{seen} {helps}"}
    return {}


def _over(n: dict[str, float], run: Run) -> dict[str, str]:
    gap = n["validation_loss"] - n["train_loss"]
    doubt = np.hypot(n["train_loss_se"], n["validation_loss_se"])
    helps = "More data, augmentation, regularization, a smaller model or `patience` may help."
    seen = []
    if gap > n["learned"] / 5 and gap > 2 * doubt:
        lost = gap / n["learned"]
        much = f"{lost:.0%} of what" if lost < 1 else "all that"
        seen.append(
            f"The loss is {n['train_loss']:.3g} on the training part and "
            f"{n['validation_loss']:.3g} on the validation part: {much} was learned is not true "
            "of new examples."
        )
    if run.status != "stopped early" and n["risen"] > n["learned"] / 10:
        seen.append(
            f"The validation loss was {n['least_validation_loss']:.3g} at step {n['at']:.0f} and "
            "has risen since."
        )
    return {"over-fitting": " ".join([*seen, helps])} if seen else {}


def _unfinished(n: dict[str, float]) -> dict[str, str]:
    if "slope" not in n or n["slope"] >= -2 * n["slope_se"] or n["to_gain"] <= n["learned"] / 50:
        return {}
    return {
        "not converged": (
            "The validation loss is still falling: at this rate a quarter more steps would gain "
            f"{n['to_gain']:.3g}. More steps or a larger learning rate may help."
        )
    }


def _good(n: dict[str, float]) -> str:
    return (
        f"The loss is {n['train_loss']:.3g} on the training part and {n['validation_loss']:.3g} on "
        f"the validation part (a constant prediction: {n['constant_loss']:.3g}), and settled."
    )


def _few(evaluations: int) -> str:
    return (
        f"Whether it has converged cannot be told from {evaluations} evaluations: wanted 8, by a "
        "smaller eval_every."
    )
