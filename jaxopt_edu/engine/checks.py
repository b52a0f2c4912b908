"""What can be said about a run before anything is compiled."""

import os
from collections.abc import Iterable
from numbers import Integral, Number, Real
from typing import Any

import jax
import numpy as np

from jaxopt_edu.data.folds import Folds
from jaxopt_edu.engine import traced
from jaxopt_edu.nn.scores import AUTO, TRAINING_LOSS, modes_of, resolve_mode
from jaxopt_edu.storage.edited import forget_edited
from jaxopt_edu.train import Experiment, Step
from jaxopt_edu.train.ingredients import is_optax, refuse_optax
from jaxopt_edu.values import keys
from jaxopt_edu.values.messages import nearest, short
from jaxopt_edu.values.names import hyperparameters, vectors
from jaxopt_edu.values.pytrees import StandIn, check_count
from jaxopt_edu.values.space import OneOf, structural

MOST_STEPS = 2**31 - 1


def check_numbers(experiment: Any, doing: str) -> None:
    """TypeError where a distribution stands in the place of a number, or a batch of optimizers."""
    for name, x in vectors(getattr(experiment, "optimizer", None)):
        raise TypeError(
            f"optimizer.{name} is a vector of {len(x)} numbers, a batch: {doing} runs "
            "one experiment; `sweep` many"
        )
    for name, x in (*hyperparameters(experiment).items(), *structural(experiment)):
        if isinstance(x, StandIn):
            what = f"{name or 'experiment'} = {x!r}"
            what += "" if isinstance(x, OneOf) else " is not a number"
            raise TypeError(f"{what}: {doing} runs one experiment; `sweep` a space")


def check_space(space: Any, doing: str = "sweep") -> None:
    """TypeError unless it is an experiment, to sweep also a list, without an optax optimizer."""
    many = doing == "sweep" and type(space) in (list, tuple)
    for experiment in space if many else [space]:
        _check_experiment(experiment, doing)
        for path, leaf in jax.tree.leaves_with_path(experiment, is_leaf=is_optax):
            if is_optax(leaf):
                name = jax.tree_util.keystr(path, simple=True, separator=".")
                raise refuse_optax(name.replace("..", "."))  # what is inlined has no name


def _check_experiment(experiment: Any, doing: str) -> None:
    """TypeError unless it has the methods of an experiment, or is a place for some."""
    if isinstance(experiment, Experiment | OneOf):
        return
    kind, hint = type(experiment).__name__, ""
    if type(experiment) in (list, tuple):
        hint = f": {doing} takes one, sweep several"
    elif isinstance(experiment, type):
        kind, hint = f"the class {experiment.__name__}", ": wanted a value of it"
    elif all(callable(getattr(experiment, name, None)) for name in ("init", "step", "score")):
        hint = f". Two lines make it one:\n{TWO_LINES.format(kind)}"
    elif callable(experiment):
        hint = ": a function of your own becomes one in docs/guides/experiments.md"
    raise TypeError(
        f"{kind} is no jo.Experiment, which {doing} wants, such as jo.Training(...){hint}"
    )


TWO_LINES = """    class {}(jo.Experiment):
        return state, jo.Step(loss)  # of step; jo.Step() where there is no loss to watch"""


def _check_leaves(experiment: Any) -> None:
    """TypeError, with its name, where something else stands in the place of a number."""
    for name, leaf in hyperparameters(experiment).items():
        if not name and leaf is experiment:
            raise TypeError(
                f"{type(leaf).__name__} is no pytree, whose numbers are seen: decorate the class "
                "with @jo.pytree"
            )
        if not isinstance(leaf, StandIn | Number) and not hasattr(leaf, "dtype"):
            raise TypeError(
                f"{name} = {short(leaf)}: wanted a number; what is none belongs into a field "
                "made by jo.static()"
            )


def check_run(
    experiment: Any, steps: int, metric: str, tile: int | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(splits, names of scores) of a runnable experiment, or an error that says what is wrong.

    Shapes are followed through init, step and score without computing anything.
    """
    check_count("steps", steps)
    if steps > MOST_STEPS:
        raise ValueError(f"steps = {steps}: wanted at most {MOST_STEPS}, an int32")
    if tile is not None:
        check_count("tile", tile)
    data = getattr(experiment, "data", None)
    if isinstance(data, Folds):
        raise ValueError(
            f"data = {data!r}: wanted one set of data: data.of, all of them, or data.at(0), a fold "
            "(sweep(folds=) and cross_validate train on each)"
        )
    check_space(experiment, "a run")
    experiment.check()
    _check_leaves(experiment)
    forget_edited(experiment)

    splits = tuple(experiment.splits)
    told, scores = _traced(experiment, splits[0])
    if metric not in list(scores):
        raise ValueError(f"unknown metric {metric!r}; {nearest(str(metric), scores)}")
    watched = () if told.loss is None else (TRAINING_LOSS,)
    for name, score in scores.items():
        if score.shape:
            raise ValueError(
                f"score {name!r} has shape {score.shape}: wanted one number, such as the mean over "
                "the examples"
            )
        bound = name.removesuffix("_low").removesuffix("_high")
        if name in watched or (bound != name and bound in scores):
            what = "the loss of the state" if name in watched else f"a bound of {bound!r}"
            raise ValueError(f"score {name!r} has the name of {what}: name it otherwise")
    return splits, (*scores, *watched)


def _traced(experiment: Any, split: str) -> tuple[Step, dict[str, Any]]:
    """What a step tells and the shapes of the scores; an error names vectors among the numbers."""
    try:
        state, new, scores = _walk(experiment, split)
        if not isinstance(scores, dict):
            kind = type(experiment).__name__
            raise TypeError(f"{kind}.score gives {short(scores)}: wanted a dict of named numbers")
        return _check_step(experiment, state, new), scores
    except (TypeError, ValueError) as error:
        given = [f"{name} ({len(x)} numbers)" for name, x in vectors(experiment)]
        if not given:
            raise
        raise TypeError(
            f"{', '.join(given)}: a vector where a number is declared, with which the experiment "
            f"does not run; `sweep` takes a batch of experiments. It says: {error}"
        ) from error


def _check_step(experiment: Any, state: Any, new: Any) -> Step:
    """What a step tells; TypeError unless it gives a state like the one it got, and a `Step`."""
    if type(new) is not tuple or len(new) != 2 or not isinstance(new[1], Step):
        kind = type(experiment).__name__
        raise TypeError(
            f"{kind}.step gives {type(new).__name__}: wanted the new state and a jo.Step:\n"
            f"{TWO_LINES.format(kind)}"
        )
    new, told = new
    for name, x in told._asdict().items():
        if getattr(x, "shape", ()) != ():
            raise TypeError(f"Step: {name} has shape {x.shape}: wanted one number")
    if not np.issubdtype(getattr(told.done, "dtype", bool), bool):
        raise TypeError(f"Step: done is {told.done.dtype}: wanted a bool, such as norm(g) <= tol")
    before: Any = jax.tree.structure(state)
    after: Any = jax.tree.structure(new)
    if before != after:
        raise TypeError(f"step changes the structure of the state: {before} became {after}")
    for (path, x), y in zip(jax.tree.leaves_with_path(state), jax.tree.leaves(new), strict=True):
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            raise TypeError(
                f"step changes state{jax.tree_util.keystr(path)}: {x.dtype}{list(x.shape)} "
                f"became {y.dtype}{list(y.shape)}"
            )
    return told


def mode_for(experiments: Iterable[Any], metric: str, mode: str, needed: bool = True) -> str:
    """min or max, of a score of experiments that are compared by it.

    Errors: ValueError where mode is auto and they do not say, or not all the same; where nothing is
        compared it is not needed, and min.
    """
    told = {modes_of(experiment, [metric])[metric] for experiment in experiments}
    known = told.pop() if len(told) == 1 else None
    if mode == AUTO and known is None and not needed:
        return "min"
    return resolve_mode(mode, known, repr(metric))


def _walk(experiment: Any, split: str) -> Any:
    """The shapes of state, next state and scores, for numbers like those of a lane."""
    lane = traced.like_a_lane(experiment)
    state = traced.init.eval_shape(lane, np.uint32(0))
    stepped = traced.step.eval_shape(lane, state, np.int32(0), jax.eval_shape(keys.order, 0))
    return state, stepped, traced.score.eval_shape(lane, state, split=split)


def ranking_split(splits: tuple[str, ...]) -> str:
    """The split whose scores rank trials and stop runs."""
    return "validation" if "validation" in splits else splits[0]


def evaluations(every: int, steps: int, more: tuple[int, ...] = ()) -> tuple[int, ...]:
    """The steps at which lanes are scored: multiples of `every`, some more, and the last."""
    return tuple(sorted({*range(every, steps, every), *more, steps}))


def segment_length(experiment: Any, steps: int, eval_every: int | None) -> int:
    """Steps from one evaluation to the next: as asked, or a twentieth of all.

    It is at least the experiment's `min_eval_interval`, so that evaluations stay cheap.
    """
    return eval_every or max(-(-steps // 20), experiment.min_eval_interval)


# ------------------------------------------------------------------------------- options by name


def check_options(**given: Any) -> None:
    """ValueError or TypeError that names the first option which is not what it is to be.

    given: all arguments of a call; what is none of these options is checked elsewhere.
    """
    for name, (kind, wanted, fine) in OPTIONS.items():
        absent = name not in given or (given[name] is None and name in OPTIONAL)
        if not absent and not fine(given[name]):
            raise kind(f"{name} = {short(given[name])}: wanted {wanted}")


def _is_real(x: Any) -> bool:
    return isinstance(x, Real) and not isinstance(x, bool)


def _is_count(x: Any) -> bool:
    return isinstance(x, Integral) and not isinstance(x, bool) and int(x) >= 1


def _is_folds(x: Any) -> bool:
    return (_is_count(x) and x >= 2) or (isinstance(x, Iterable) and not isinstance(x, str))


def _is_policy(x: Any) -> bool:
    methods = (getattr(x, name, None) for name in ("stops", "expected", "judge"))
    return not isinstance(x, type) and all(map(callable, methods))


def _are_names(x: Any) -> bool:
    many = isinstance(x, list | tuple) and len(x) > 0
    return isinstance(x, str) or (many and all(isinstance(name, str) for name in x))


COUNT = (ValueError, "an integer, at least 1", _is_count)
OPTIONS = {  # by name: the error, what is wanted, and whether it is that
    "metric": (ValueError, "the name of a score, or several", _are_names),
    "tol": (ValueError, "a number, at least 0", lambda x: _is_real(x) and 0 <= x < np.inf),
    **dict.fromkeys(("patience", "eval_every", "tile", "accumulate", "prefetch"), COUNT),
    "diverge_above": (ValueError, "a number above 0", lambda x: _is_real(x) and x > 0),
    "progress": (TypeError, "True, False or None", lambda x: isinstance(x, bool)),
    "train_curve": (TypeError, "True or False", lambda x: isinstance(x, bool)),
    "store": (TypeError, "a directory", lambda x: isinstance(x, str | os.PathLike) and x != ""),
    "folds": (ValueError, "an integer, at least 2, or pairs of rows", _is_folds),
    "rungs": (TypeError, "a policy, such as jo.halving(3) or jo.median_stopping()", _is_policy),
}
OPTIONAL = {"tol", "patience", "eval_every", "tile", "progress", "store", "folds", "rungs"}
