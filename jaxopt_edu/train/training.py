"""`Training`: a model, a loss, an optimizer and data as one experiment."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.data.batches import balanced_indices, batch_indices
from jaxopt_edu.data.folds import Folds, k_fold
from jaxopt_edu.nn import metrics, scores
from jaxopt_edu.nn.targets import predicts_numbers
from jaxopt_edu.optim.extra_args import eval_params
from jaxopt_edu.optim.priors import among
from jaxopt_edu.optim.step_sizes import residual, step_lengths
from jaxopt_edu.optim.transform import apply_updates, told
from jaxopt_edu.train.calling import call_model, init_model, is_stateful
from jaxopt_edu.train.checking import check_training
from jaxopt_edu.train.estimators import Plain
from jaxopt_edu.train.experiment import Experiment, Step
from jaxopt_edu.train.ingredients import resolve_parts
from jaxopt_edu.train.objective import Batch, Objective, mean_loss
from jaxopt_edu.values import keys, pytrees, tree
from jaxopt_edu.values.deprecated import gone_arguments
from jaxopt_edu.values.old_names import NO_ARGUMENTS, OldNames
from jaxopt_edu.values.pytrees import number, pytree, show, static

BASELINE = 256  # examples whose loss under the initial weights later losses are compared with


class TrainingState(NamedTuple):
    """params, the state of the model (() where it has none), that of the optimizer, and the loss
    of the last step: before the first that of the initial weights on the first examples."""

    params: Any
    model_state: Any
    optimizer: Any
    loss: Array


@gone_arguments(NO_ARGUMENTS)
@pytree
class Training(OldNames, Experiment):
    """A model, a loss, an optimizer, a regularizer and data: a whole training as one value.

    Formula: p_0 = model.init(key); at step t, on the batch B_t,
        f(p) = mean_{i in B_t} loss(model(p, x_i), y_i) + penalty(p)
        g_t = estimator's gradient of f at p_t
        u_t, s_{t+1} = optimizer.update(g_t, s_t, p_t);   p_{t+1} = p_t + u_t
        and then the regularizer's own step, where it is proximal or decoupled.
    model: init(key) -> params and apply(params, x, key=None) -> predictions; or with a state, such
        as BatchNorm's statistics, which no optimizer or regularizer touches (`stateful = True`):
        init(key) -> params, state and apply(params, state, x, key=None) -> predictions, state.
        Without a key it predicts: no dropout, running statistics.
    estimator: how a step finds its gradient: Plain() of the batch, InParts(k), Sharpness(rho),
        Private(max_norm, noise_multiplier), Federated(clients, local).
    batch_size: None is gradient descent on all the training data, 1 the classic stochastic one.
        Every epoch goes through the data in a new order and skips the last n % batch_size examples
        of it. The order, the initial weights and the dropout masks come from the key alone, so all
        trials of a sweep share them (common random numbers).
    balanced: every batch has as many examples of each class, to within one, so that a rare class
        is drawn as often as a frequent one.
    augment: what happens to the examples of a step before the model sees them: (key, x, y) -> x, y,
        as `jo.augment.noise(0.1)`. Its key is new at each step, and the same in all trials. Scores
        are those of the examples as they are.
    tol: a number: the training is done as soon as the norm of a step's gradient, penalty included,
        is at most this; with a proximal regularizer r, that of p - prox_r(p - g), which is 0 at
        the minimum.
    score: the mean loss, without the penalty, and the metrics: by default accuracy for classes and
        R2 for numbers; none where outputs are no numbers in the units of the targets, as those of
        a sigmoid, softmax or hinge loss on the targets of a regression. Two metrics of one name
        are told apart by their arguments, or refused. An optimizer that keeps an average of the
        params (schedule-free) is scored there.
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
    balanced: bool = static(default=False, kw_only=True)
    augment: Any = dataclasses.field(default=None, kw_only=True)
    estimator: Any = dataclasses.field(default=Plain(), kw_only=True)
    tol: Any = number(0, default=None, kw_only=True)

    shared_state = ("optimizer",)
    why_done = "the gradient norm fell to tol"

    def __post_init__(self):
        pytrees.check(self)
        resolve_parts(self)

    # ---------------------------------------------------------------------------- the step

    def init(self, key):
        params, model_state = init_model(self.model, key)
        x, y, weights = self.data.train.first(BASELINE)
        loss = mean_loss(self.loss(self.predict(params, model_state, x)[0], y), weights)
        return TrainingState(params, model_state, self.optimizer.init(params), loss)

    def baseline(self, state):
        return state.loss

    def step(self, state, t, key):
        return self.learn(state, self.estimator.draw(self, t, key), t, key)

    def learn(self, state, batch, t, key):
        batch = self.estimator.prepared(self, batch, t, key)
        dropout_key = keys.dropout(key, t)
        return self.descend(state, Objective(self, state.model_state, batch, t, key, dropout_key))

    def descend(self, state: TrainingState, f: Objective) -> tuple[TrainingState, Step]:
        """The state after a step down f: the one place where a training's optimizer is called."""
        found, objective = self.estimator.estimate(f, state.params), self.estimator.objective(f)
        known = {"t": f.t, "key": keys.optimizer(f.key, f.t)}
        if objective is not None:
            known |= {"value": found.value, "grad": found.gradient, "value_fn": objective}
        updates, memory = self.optimizer.update(
            found.gradient, state.optimizer, state.params, **told(self.optimizer, **known)
        )
        params = apply_updates(state.params, updates)
        regularizer = self._regularizer
        if regularizer is not None:
            moves = found.gradient, state.optimizer, memory, state.params
            lengths = step_lengths(regularizer, self.optimizer, *moves)
            params = regularizer.after(params, state.params, lengths)
        loss = found.loss if found.seen is None else jnp.where(found.seen, found.loss, state.loss)
        new = TrainingState(params, found.model_state, memory, loss.astype(state.loss.dtype))
        return new, Step(new.loss, self._done(state.params, found.gradient))

    def _done(self, params: Any, gradient: Any) -> Array | None:
        if self.tol is None:
            return None
        return tree.norm(residual(self._regularizer, params, gradient)) <= self.tol

    # ------------------------------------------------------------------- what a step is made of

    def batch(self, t: Array, key: Array) -> Batch:
        """The examples of step t, and weights where some of them are padding."""
        train = self.data.train
        if self.batch_size is None:
            return Batch(*train.first())
        draw = keys.batch(key), t, train.examples, self.batch_size
        if self.balanced:
            index = balanced_indices(*draw, train.first()[1], self.data.n_classes)
        else:
            index = batch_indices(*draw)
        return Batch(*train.take(index))

    def augmented(self, batch: Batch, t: Array, key: Array) -> Batch:
        """The batch of step t as the model is to see it."""
        if self.augment is None:
            return batch
        x, y = self.augment(keys.augment(key, t), batch.x, batch.y)
        return Batch(x, y, batch.weights)

    @property
    def stateful(self) -> bool:
        """Whether the model has a state beside its params."""
        return is_stateful(self.model)

    def predict(
        self, params: Any, model_state: Any, x: Any, key: Array | None = None
    ) -> tuple[Any, Any]:
        """The model's predictions, and its state after them; key: of dropout, None where none."""
        return call_model(self.model, params, model_state, x, key)

    def penalty(self, params: Any) -> Any:
        """What the loss gains by the regularizer; None where there is none."""
        regularizer = self._regularizer
        return None if regularizer is None else regularizer.penalty(params)

    @property
    def _regularizer(self) -> Any:
        """The regularizer as it acts on the mean loss."""
        return among(self.regularizer, self.data.train.examples)

    # -------------------------------------------------------------------------------- scores

    def eval_params(self, state):
        return eval_params(self.optimizer, state.optimizer, state.params)

    def watched(self, state):
        """Params and the model's state: that of an optimizer may begin with infinity, as a best."""
        return state.params, state.model_state

    def score(self, state, split):
        return self.measure(self.eval_params(state), state.model_state, split)

    def measure(self, params: Any, model_state: Any, split: str) -> dict[str, Array]:
        """The scores of a trained model."""
        x, y, weights = getattr(self.data, split).first()
        prediction, _ = self.predict(params, model_state, x)
        loss = mean_loss(self.loss(prediction, y), weights)
        given = (prediction, y) if weights is None else (prediction, y, weights)
        return {"loss": loss} | {name: f(*given) for name, f in self._metrics().items()}

    @property
    def score_modes(self):
        """Whether less or more of each score is better; None of a metric that does not say."""
        return {"loss": "min"} | {name: scores.mode_of(f) for name, f in self._metrics().items()}

    def _metrics(self) -> dict[str, Callable]:
        """The metrics by name; those of the task where none are given."""
        if self.metrics is not None:
            return scores.named(self.metrics)
        if self.data.task == "classification":
            return {"accuracy": metrics.accuracy}
        return {"r2_score": metrics.r2_score} if predicts_numbers(self.loss) else {}

    @property
    def splits(self):
        """The non-empty parts of the data, in the order train, validation, test."""
        data = self._one.data
        return tuple(s for s in ("train", "validation", "test") if getattr(data, s).size)

    @property
    def min_eval_interval(self):
        """Minimum steps between evaluations, so that evaluation takes at most a tenth of the time.

        An evaluation goes forward through all its examples, a step through a batch and back, which
        counts three times.
        """
        one = self._one
        examples = one.estimator.examples_per_step(one)
        return -int(-10 * one.data.validation.size // (3 * examples))

    @property
    def steps_per_epoch(self):
        """Steps that go once through the training part; None without batches."""
        return self._one.estimator.steps_per_epoch(self._one)

    @property
    def sample_rate(self) -> float:
        """The probability with which a record is drawn at a step of a private training."""
        return self._private("sample_rate").sample_rate(self)

    def epsilon(self, steps: int, delta: float, accountant: str = "rdp") -> float:
        """What so many steps of a private training spend: see `jo.privacy.epsilon`."""
        return self._private("epsilon").epsilon(self, steps, delta, accountant)

    def _private(self, asked: str) -> Any:
        if not hasattr(self.estimator, "sample_rate"):
            raise TypeError(
                f"{asked}: estimator = {show(self.estimator)} is not private: wanted jo.Private or "
                "jo.Federated with max_norm and noise_multiplier"
            )
        return self.estimator

    # --------------------------------------------------------------------- checks and folds

    def check(self):
        check_training(self)

    def check_placement(self, doing):
        if doing == "batches" and self.estimator.private_draw:
            raise TypeError(
                f"batches: estimator = {show(self.estimator)} chooses its examples itself: "
                "wanted Plain, InParts or Sharpness"
            )

    def folded(self, folds):
        """The same training with the training and validation part split into folds."""
        if not self.estimator.folds:
            raise TypeError(
                f"folds: estimator = {show(self.estimator)}: its clients are rows of one training "
                "part, which folds are not"
            )
        return dataclasses.replace(self, data=k_fold(self.data, folds))

    def unfolded(self) -> "Training":
        """The training on the data as they were before they were split into folds."""
        whole = self.data.of if isinstance(self.data, Folds) else self.data
        return dataclasses.replace(self, data=whole)

    def fold(self, k):
        return dataclasses.replace(self, data=self.data.at(k))

    @property
    def _one(self) -> "Training":
        """The training, or that on a fold."""
        return self.fold(0) if isinstance(self.data, Folds) else self
