"""Experiments: anything that learns step by step; `Training` is the ready-made one."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu import keys, metrics, scores, tree
from jaxopt_edu.augment import losses_of
from jaxopt_edu.core import apply_updates
from jaxopt_edu.data.batches import balanced_indices, batch_indices
from jaxopt_edu.data.classes import class_counts
from jaxopt_edu.data.dataset import Rows
from jaxopt_edu.data.folds import Folds, k_fold
from jaxopt_edu.ingredients import check_params, check_parts, resolve_parts
from jaxopt_edu.lengths import check_lengths, residual, step_lengths, wants_lengths
from jaxopt_edu.measures import check_augment, check_loss, check_metric, some_examples
from jaxopt_edu.prior import among
from jaxopt_edu.shapes import weighted_mean
from jaxopt_edu.targets import check_targets, predicts_numbers
from jaxopt_edu.value import check as check_fields
from jaxopt_edu.value import check_count, pytree, show, static

BASELINE_EXAMPLES = 256  # at most, of whose loss before the first step divergence is a multiple


class Experiment(Protocol):
    """What `fit` and `sweep` run: three pure functions of a pytree whose scalars are the numbers.

    t is the 0-based step; t and key are shared by all lanes of a sweep, so a lane's own randomness
    belongs in its state. Where a state has a field `loss`, it is watched for divergence at every
    step. A score is a dict of named scalars, for one of the `splits`.
    One that goes through its data in batches may have `steps_per_epoch`: rungs wait for so many.
    `score_modes`, where there is one, says of scores by name whether less ("min") or more ("max")
    is better; of scores that have a name of this library's ("loss", "accuracy") that is known.
    An experiment that can be trained on folds has two more: `folded(folds)` gives one whose data
    are split into folds, as `jo.data.k_fold` does, and of that `fold(i)`, i traced, the i-th.
    """

    def init(self, key: Array) -> Any: ...
    def step(self, state: Any, t: Array, key: Array) -> Any: ...
    def score(self, state: Any, split: str) -> dict[str, Array]: ...


class TrainingState(NamedTuple):
    """params, the optimizer's state, the last training loss (before the first step: the loss of
    the initial weights on the first examples) and, where tracked, the norm of the last gradient,
    or with a proximal regularizer that of p - prox_r(p - g), which is 0 at the minimum."""

    params: Any
    optimizer: Any
    loss: Array
    gradient_norm: Array | None


@pytree
class Training:
    """A model, a loss, an optimizer, a regularizer and data: a whole training as one value.

    Formula: p_0 = model.init(key); at step t, on the batch B_t,
        g_t = gradient of  mean_{i in B_t} loss(model(p_t, x_i), y_i) + penalty(p_t)
        u_t, s_{t+1} = optimizer.update(g_t, s_t, p_t);   p_{t+1} = p_t + u_t
        and then the regularizer's own step, where it is proximal or decoupled.
    batch_size: None is gradient descent on all the training data, 1 the classic stochastic one.
        Every epoch goes through the data in a new order and skips the last n % batch_size examples
        of it. The order, the initial weights and the dropout masks come from the key alone, so all
        trials of a sweep share them (common random numbers).
    balanced: every batch has as many examples of each class, to within one, so that a rare class
        is drawn as often as a frequent one.
    augment: what happens to the examples of a step before the model sees them: (key, x, y) -> x, y,
        as `jo.augment.noise(0.1)`. Its key is new at each step, and the same in all trials. Scores
        are those of the examples as they are.
    score: the mean loss, without the penalty, and the metrics: by default accuracy for classes and
        R2 for numbers; none where outputs are no numbers in the units of the targets, as those of
        a sigmoid, softmax or hinge loss on the targets of a regression. Two metrics of one name
        are told apart by their arguments, or refused.
    Names of our own do for optimizer, loss and metrics: "adam" is jo.adam at the middle, in
        logarithms, of the learning rates that the command line searches, 0.00316.
    Shapes: as the model and the loss want them; checked by `check` before anything is compiled.

    >>> import jaxopt_edu as jo
    >>> experiment = jo.Training(
    ...     model=jo.models.Linear(30),
    ...     loss=jo.losses.sigmoid_binary_cross_entropy,
    ...     optimizer=jo.sgd(0.1),
    ...     data=jo.data.load("breast_cancer"),
    ...     batch_size=32,
    ... )
    >>> jo.hyperparameters(experiment)
    {'optimizer.learning_rate': 0.1}
    """

    model: Any
    loss: Any
    optimizer: Any
    data: Any
    regularizer: Any = None
    batch_size: int | None = static(default=None)
    metrics: tuple[Callable, ...] | None = static(default=None)
    track_gradient_norm: bool = static(default=False)
    balanced: bool = static(default=False)
    augment: Any = None

    def __post_init__(self):
        check_fields(self)
        resolve_parts(self)

    @property
    def splits(self) -> tuple[str, ...]:
        """The non-empty parts of the data, in the order train, validation, test."""
        names = ("train", "validation", "test")
        data = self.data.at(0) if isinstance(self.data, Folds) else self.data
        return tuple(s for s in names if getattr(data, s).size)

    @property
    def least_segment(self) -> int:
        """Steps that cost ten times what one evaluation on the validation part costs.

        An evaluation goes forward through all its examples, a step through a batch and back, which
        counts three times.
        """
        data = self.data.at(0) if isinstance(self.data, Folds) else self.data
        batch = self.batch_size or data.train.size
        return -(-10 * data.validation.size // (3 * batch))

    @property
    def steps_per_epoch(self) -> int | None:
        """Steps that go once through the training part; None without batches."""
        data = self.data.at(0) if isinstance(self.data, Folds) else self.data
        return None if self.batch_size is None else max(1, data.train.size // self.batch_size)

    def folded(self, folds: Any) -> "Training":
        """The same training with the training and validation part split into folds."""
        return dataclasses.replace(self, data=k_fold(self.data, folds))

    def unfolded(self) -> "Training":
        """The training on the data as they were before they were split into folds."""
        whole = self.data.of if isinstance(self.data, Folds) else self.data
        return dataclasses.replace(self, data=whole)

    def fold(self, k: Any) -> "Training":
        """The training on fold k."""
        return dataclasses.replace(self, data=self.data.at(k))

    def init(self, key):
        params = self.model.init(key)
        first = self._loss(params, *self.data.train.first(BASELINE_EXAMPLES))
        norm = jnp.full_like(first, jnp.inf) if self.track_gradient_norm else None
        return TrainingState(params, self.optimizer.init(params), first, norm)

    def step(self, state, t, key):
        batch = self.augmented(t, key, *self.batch(t, key))
        grads, loss = self.gradient(state.params, batch, self.dropout_key(t, key))
        return self.take_step(state, grads, loss, value=loss)

    def gradient(self, params: Any, batch: tuple[Any, Any, Any], key: Array) -> Any:
        """The gradient of a batch's loss and of the penalty, and the loss.

        By complex parameters it is the conjugate of JAX's: the direction in which the loss grows.
        """
        regularizer = self._regularizer

        def objective(params):
            loss = self._loss(params, *batch, key)
            penalty = 0 if regularizer is None else regularizer.penalty(params)
            return loss + penalty, loss

        grads, loss = jax.grad(objective, has_aux=True)(params)
        return tree.conjugate(grads), loss

    def dropout_key(self, t: Array, key: Array) -> Array:
        """The key of the dropout masks of step t."""
        return keys.dropout(key, t)

    def take_step(self, state: TrainingState, grads: Any, loss: Array, **told: Any) -> Any:
        """The state after the optimizer, told more by name, and the regularizer."""
        updates, new = self.optimizer.update(grads, state.optimizer, state.params, **told)
        params = apply_updates(state.params, updates)
        regularizer = self._regularizer
        if regularizer is not None:
            which = regularizer, self.optimizer, grads, state.optimizer, new, state.params
            params = regularizer.after(params, state.params, step_lengths(*which))
        if not self.track_gradient_norm:
            return TrainingState(params, new, loss, None)
        norm = tree.norm(residual(regularizer, state.params, grads)).astype(loss.dtype)
        return TrainingState(params, new, loss, norm)

    def score(self, state, split):
        x, y, weights = getattr(self.data, split).first()
        prediction = self.model.apply(state.params, x)
        named = {"loss": _mean(self.loss(prediction, y), weights)}
        extra = () if weights is None else (weights,)
        return named | {name: f(prediction, y, *extra) for name, f in self._named().items()}

    def batch(self, t: Array, key: Array) -> tuple[Array, Array, Array | None]:
        """The examples of step t, and weights where some of them are padding."""
        train = self.data.train
        if self.batch_size is None:
            return train.first()
        draw = keys.batch(key), t, train.examples, self.batch_size
        if self.balanced:
            index = balanced_indices(*draw, train.first()[1], self.data.n_classes)
        else:
            index = batch_indices(*draw)
        return *train.take(index), None

    def augmented(self, t: Array, key: Array, x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        """The batch of step t as the model is to see it."""
        if self.augment is not None:
            x, y = self.augment(keys.augment(key, t), x, y)
        return x, y, weights

    @property
    def _regularizer(self) -> Any:
        """The regularizer as it acts on the mean loss."""
        return among(self.regularizer, self.data.train.examples)

    def _loss(self, params, x, y, weights, key=None):
        return _mean(losses_of(self.loss, self.model.apply(params, x, key=key), y), weights)

    @property
    def score_modes(self) -> dict[str, str | None]:
        """Whether less or more of each score is better; None of a metric that does not say."""
        return {"loss": "min"} | {name: scores.mode_of(f) for name, f in self._named().items()}

    def _metrics(self) -> tuple[Callable, ...]:
        if self.metrics is not None:
            return self.metrics
        if self.data.task == "classification":
            return (metrics.accuracy,)
        return (metrics.r2_score,) if predicts_numbers(self.loss) else ()

    def _named(self) -> dict[str, Callable]:
        return scores.named(self._metrics())

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the part, before anything is compiled."""
        check_parts(self)
        if isinstance(self.data, Folds):
            padded = self.data.validation_counts is not None
            for name, f in self._named().items() if padded else ():
                if len(inspect.signature(f).parameters) < 3:
                    raise ValueError(
                        f"metric {name} takes no weights, which folds of unequal size need"
                    )
            return self.fold(self.data.smallest).check()
        self._check_augment()
        self._named()
        if wants_lengths(self.regularizer):
            check_lengths(self.optimizer, self.regularizer)
        train, b = self.data.train, self.batch_size
        n = int(train.examples)
        if b is not None:
            check_count("batch_size", b)
        if b is not None and not 1 <= b <= n:
            raise ValueError(f"batch_size = {b}: wanted 1 to {n}, the number of training examples")
        if self.balanced:
            if b is None or self.data.n_classes is None:
                raise ValueError("balanced: wanted batches (a batch_size) of a classification")
            class_counts(train.first()[1], self.data.n_classes)
        out, params = _predict.eval_shape(
            self.model, jax.eval_shape(lambda part: part.first()[0], train), 0
        )
        check_params(params)
        classes = self.data.n_classes
        if classes and out.ndim == 2 and out.shape[1] < classes:
            raise ValueError(
                f"model = {show(self.model)} gives {out.shape[1]} outputs; the data have "
                f"{classes} classes"
            )
        check_targets(self.loss, self.data, out.shape)
        for f in self._metrics():
            check_targets(f, self.data, out.shape, "metric")
        shapes = some_examples(out, train.first(1)[1], n)
        check_loss(self.loss, *shapes)
        for f in self._metrics():
            check_metric(f, *shapes)
        if self.augment is not None:
            check_augment(self.augment, random.key(0), *train.first(self.batch_size or n)[:2])

    def _check_augment(self) -> None:
        if self.augment is not None and not callable(self.augment):
            raise TypeError(
                f"augment = {show(self.augment)}: wanted (key, x, y) -> x, y, as jo.augment.noise"
            )
        padded = isinstance(self.data.train, Rows) and self.data.train.count is not None
        if padded and self.batch_size is None and getattr(self.augment, "mixes", False):
            raise ValueError(
                f"augment = {show(self.augment)} mixes examples: on folds of unequal size, whose "
                "padding must not be mixed in, it wants a batch_size"
            )


def _mean(losses: Array, weights: Array | None) -> Array:
    return jnp.mean(losses) if weights is None else weighted_mean(losses, weights)


@jax.jit
def _predict(model: Any, x: Array, seed: Array) -> tuple[Array, Any]:
    """What an untrained model predicts, and its params; only their shapes are asked for."""
    params = model.init(keys.weights(seed))
    return model.apply(params, x), params
