"""Which features a model needs: by an L1 path, or by how much the score loses without them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.importance import permutation_importance
from jaxopt_edu.data.dataset import counted
from jaxopt_edu.engine.checks import check_numbers, check_run, ranking_split
from jaxopt_edu.engine.history import Run
from jaxopt_edu.engine.segments import run_tiles
from jaxopt_edu.engine.status import Status, diverged
from jaxopt_edu.engine.tiles import EvalPlan, TileProgram, numbers_of
from jaxopt_edu.engine.widths import tile_width
from jaxopt_edu.nn.models import Linear
from jaxopt_edu.nn.scores import resolve_mode
from jaxopt_edu.optim.optimizers import SGD
from jaxopt_edu.optim.regularizers import L1, proximal
from jaxopt_edu.optim.step_sizes import residual
from jaxopt_edu.train.objective import mean_loss
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import check_seed, nearest, show

# -------------------------------------------------------------------------------- by an L1 path


@dataclass(frozen=True)
class L1Path:
    """What `l1_path` found out, for each penalty.

    norms: (penalties, features), the norm of a feature's weights over the outputs; exactly 0 where
        the feature was dropped. params: those of the models, with a leading axis over penalties.
    scores: score name -> (penalties,), on the split that ranks: validation, or else training.
    residuals: (penalties,), max_j |p_j - prox_r(p_j - g_j)| on all training examples, which is 0
        at the minimum; one that is not small beside its penalty wants more steps.
    """

    penalties: np.ndarray
    features: tuple[str, ...]
    norms: np.ndarray
    params: Any
    scores: dict[str, np.ndarray]
    residuals: np.ndarray

    def __repr__(self) -> str:
        ends = ((self.norms[i] > 0).sum() for i in (0, -1))
        shown = " to ".join(
            f"{n} of {len(self.features)} features at {p:.4g}"
            for n, p in zip(ends, self.penalties[[0, -1]], strict=True)
        )
        return f"L1Path({len(self.penalties)} penalties: {shown})"

    def columns(self, i: int) -> tuple[int, ...]:
        """The columns of the features that stay at the i-th penalty, for `jo.data.select`."""
        return tuple(np.flatnonzero(self.norms[i] > 0).tolist())

    def kept(self, i: int) -> tuple[str, ...]:
        """The names of the features that stay at the i-th penalty."""
        return tuple(self.features[j] for j in self.columns(i))


def l1_path(
    experiment: Any,
    penalties: ArrayLike,
    *,
    steps: int,
    seed: int = 0,
    tile: int | None = None,
) -> L1Path:
    """A linear model under each of several L1 penalties, all trained by one compiled program.

    The larger the penalty, the fewer features have a weight that is not exactly zero.
    Formula: p_{t+1} = prox_{eta r}(p_t - eta g_t), with r(w) = penalty sum |w_j|, beside the mean
        loss; the intercept is not penalised
    experiment: a `Training` of a `Linear` model by `sgd` without momentum, without a regularizer.
        On standardized features, whose weights can be compared.
    steps: enough to converge, which `residuals` of the result tell: where features are correlated
        and the penalty is small it takes many.
    Units: beside l2_loss the penalty is scikit-learn's alpha of Lasso; of LogisticRegression it
        is 1 / (C n).
    Errors: TypeError for another model, ValueError for another optimizer (with momentum, proximal
        steps end elsewhere), for a regularizer, or penalties that are negative; ArithmeticError
        where a training diverges.
    Source: Tibshirani 1996, Regression Shrinkage and Selection via the Lasso.
    Agrees with: sklearn.linear_model.lasso_path, coefficients to 1e-6 and the same zeros in
        float64.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(10), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.2),
    ...     data=jo.data.load("diabetes"),
    ... )
    >>> path = jo.l1_path(experiment, [30.0, 10.0], steps=500)
    >>> path.kept(0)
    ('bmi', 's5')
    """
    penalties, seed = _check_path(experiment, penalties), check_seed(seed)
    space = dataclasses.replace(experiment, regularizer=proximal(L1(1.0)))
    splits, names = check_run(space, steps, "loss", tile)
    split, n = ranking_split(splits), len(penalties)
    numbers = numbers_of(space, n, {"regularizer.weight": penalties})
    program = TileProgram(space, tile or tile_width(space, [(1, n, steps)]))
    tiles = program.tiles(numbers, np.arange(n), seed=seed)
    for _ in run_tiles(tiles, EvalPlan((steps,), split, (split,), names, diverge_above=np.inf)):
        pass
    status = np.concatenate([one.status for one in tiles])
    for i in np.flatnonzero(diverged(status)):
        raise ArithmeticError(
            f"at penalty {penalties[i]} the training diverged ({Status(status[i]).reason}): "
            "lower the learning rate"
        )
    found = [(one.read(one.lanes.state.params), one.final[split]) for one in tiles]
    params, scores = jax.tree.map(lambda *parts: np.concatenate(parts), *found)
    norms = np.linalg.norm(params["w"].reshape(n, -1, experiment.model.inputs), axis=1)
    residuals = np.asarray(_residuals(experiment, params, penalties.astype(norms.dtype)))
    return L1Path(penalties, experiment.data.features, norms, params, scores, residuals)


@jax.jit
def _residuals(experiment: Any, params: Any, penalties: Any) -> Any:
    """How far each model is from the minimum of mean loss + penalty, on all training examples."""
    x, y, weights = experiment.data.train.first()

    def largest(params, penalty):
        def loss(params):
            return mean_loss(experiment.loss(experiment.model.apply(params, x), y), weights)

        away = residual(proximal(L1(penalty)), params, jax.grad(loss)(params))
        return jnp.max(jnp.stack([jnp.max(jnp.abs(d)) for d in tree.leaves(away)]))

    return jax.vmap(largest)(params, penalties)


def _check_path(experiment: Any, penalties: ArrayLike) -> np.ndarray:
    """The penalties, or an error that names what does not fit."""
    check_numbers(experiment, "l1_path")
    if not isinstance(getattr(experiment, "model", None), Linear):
        raise TypeError("experiment: wanted a Training of a Linear model")
    if experiment.regularizer is not None:
        raise ValueError("experiment: wanted none with a regularizer; l1_path puts its own there")
    if not isinstance(experiment.optimizer, SGD) or experiment.optimizer.momentum is not None:
        raise ValueError(f"optimizer = {experiment.optimizer!r}: wanted sgd without momentum")
    try:
        values = np.asarray(penalties, float)
    except (TypeError, ValueError):  # words, or rows of different lengths
        values = np.empty(0)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(f"penalties = {show(penalties)}: wanted a list of numbers of at least 0")
    return values


# --------------------------------------------------------------------------------- by importance


@dataclass(frozen=True)
class FeatureRanking:
    """What `rank_features` found out, for each feature in the order of the columns.

    mean, std: how much worse the score is when the feature is shuffled, over the repeats.
    """

    features: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray

    def __repr__(self) -> str:
        first = [f"{self.features[j]} {self.mean[j]:.3g}" for j in self.order[:4].tolist()]
        return f"FeatureRanking({', '.join(first)}{', ...' if len(self.features) > 4 else ''})"

    @property
    def order(self) -> np.ndarray:
        """The columns from the most important feature to the least."""
        return np.argsort(-self.mean, kind="stable")

    def columns(self, k: int) -> tuple[int, ...]:
        """The columns of the k most important features, for `jo.data.select`."""
        if not 1 <= k <= len(self.features):
            raise ValueError(f"k = {k}: wanted 1 to {len(self.features)}, the number of features")
        return tuple(self.order[:k].tolist())

    def kept(self, k: int) -> tuple[str, ...]:
        """The names of the k most important features."""
        return tuple(self.features[j] for j in self.columns(k))


def rank_features(
    run: Run,
    *,
    metric: Callable[..., Any] | None = None,
    mode: str = "auto",
    split: str = "validation",
    repeats: int = 10,
    seed: int = 0,
) -> FeatureRanking:
    """The features of a trained model by how much worse it scores when one is shuffled.

    metric: (predictions, targets) -> a number, such as any of `jo.metrics`; by default the mean
        loss.
    mode: "min" if less of the metric is better, "max" if more is. By default "min" for losses and
        errors and "max" for the other `jo.metrics`; it must be given for a metric of one's own.
    split: the part of the data that is scored: not the one that the model was trained on.
    See `jo.explain.permutation_importance`, also for what it does not say: of two features that
    say the same, each may seem unimportant.
    Errors: ValueError for an unknown split; TypeError for a run whose experiment has no data.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(10), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.2),
    ...     data=jo.data.load("diabetes"),
    ... )
    >>> ranking = jo.rank_features(jo.fit(experiment, steps=500))
    >>> sorted(ranking.kept(2))
    ['bmi', 's5']
    """
    if not hasattr(run, "experiment"):
        raise TypeError(f"run = {type(run).__name__}: wanted a Run, which fit returns")
    experiment, seed = run.experiment, check_seed(seed)
    if not hasattr(getattr(experiment, "data", None), "features"):
        raise TypeError(f"run: {type(experiment).__name__} has no data with features")
    if split not in run.scores:
        raise ValueError(f"unknown split {split!r}; {nearest(split, run.scores)}")
    x, y = counted(getattr(experiment.data, split))
    if metric is None:
        mode = resolve_mode(mode, "min", "the loss")
    score = (lambda p, y: experiment.loss(p, y).mean()) if metric is None else metric
    found = permutation_importance(
        run.apply, x, y, score, mode=mode, key=jax.random.key(np.uint32(seed)), repeats=repeats
    )
    return FeatureRanking(experiment.data.features, np.asarray(found.mean), np.asarray(found.std))
