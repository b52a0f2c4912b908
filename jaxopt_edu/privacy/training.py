"""A training whose parameters say little about any one record: DP-SGD, DP-Adam, DP-anything."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu.privacy.accounting import epsilon
from jaxopt_edu.privacy.gradients import add_noise, values_and_clipped
from jaxopt_edu.privacy.sampling import chunk_size, poisson_sample, sum_over
from jaxopt_edu.train import Estimate, Estimator, Training
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.train.placement import split_rows
from jaxopt_edu.values import keys, tree
from jaxopt_edu.values.pytrees import check_count, number, pytree, show, static

__all__ = ["Private", "PrivateTraining"]


class Drawn(NamedTuple):
    """Numbers of records, of which the first `count` were drawn."""

    rows: Array
    count: Any


@pytree
class Private(Estimator):
    """The noisy sum of clipped gradients of single examples: DP-SGD, in front of any optimizer.

    Formula: at step t every record is drawn with probability q = batch_size / n (B_t, maybe empty):
        g_t = (sum_{i in B_t} g_i min(1, max_norm / |g_i|) + noise_multiplier max_norm N(0, I))
              / batch_size  + gradient of penalty(p_t)
    With sgd it is DP-SGD, with adam DP-Adam. max_norm and noise_multiplier are numbers, so one
    program sweeps them; with noise 0 and a large max_norm it is `Plain` on Poisson batches.
    batch_size of the `Training`: the expected one; None takes all records at every step (q = 1).
    augment: of each example by itself; one that mixes examples (mixup) is refused, and so is a
        model that does (BatchNorm): then no record has a bounded part.
    microbatch: how many examples are differentiated at a time. A draw that is larger takes another
        pass, so none is cut short; None: what nearly every draw fits into.
    What is private: the params and the optimizer's state at all steps, at the price `epsilon`, if
        nobody knows the seed. What is not: the training loss, scores on the training part, data
        prepared from statistics of the training part. Trials of a sweep draw the same noise, and
        each of them spends: release one, trained with a seed of its own.
    The optimizer is not told the loss. The state of a model is that after a pass over an example of
    zeros: it depends on no record.
    Units: max_norm has the unit of the gradient of one example; noise_multiplier is a ratio.
    Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; McMahan et al. 2018, arXiv:1812.06210
        for the division by the expected batch.

    >>> import jaxopt_edu as jo
    >>> jo.hyperparameters(jo.Private(max_norm=1.0, noise_multiplier=1.1))
    {'max_norm': 1.0, 'noise_multiplier': 1.1}
    """

    max_norm: Any = number(0)
    noise_multiplier: Any = number(0)
    microbatch: int | None = static(default=None)

    private_draw = True
    was = "PrivateTraining"  # the class of 0.1: see `values.old_names`

    def draw(self, training, t, key):
        train, draw_key = training.data.train, keys.private(key, t).draw
        if training.batch_size is None:
            return Drawn(jnp.arange(train.size), train.examples)
        among = None if isinstance(train.examples, int) else train.examples
        return Drawn(*poisson_sample(draw_key, train.size, self.sample_rate(training), among))

    def prepared(self, training, batch, t, key):
        return batch

    def estimate(self, f, params):
        training, (rows, count) = f.training, f.batch
        random_keys = keys.private(f.key, f.t)

        def loss(params, example):
            x, y, row = example
            x, y = x[None], y[None]
            if training.augment is not None:
                x, y = training.augment(random.fold_in(random_keys.augment, row), x, y)
            key = random.fold_in(random_keys.dropout, row)
            prediction, _ = training.predict(params, f.model_state, x, key)
            return jnp.mean(training.loss(prediction, y))

        def sums(rows, present):
            rows, present = split_rows((rows, present))
            batch = (*training.data.train.take(rows), rows)
            each = values_and_clipped(loss, params, batch, self.max_norm, present)
            return tree.map(lambda x: jnp.sum(x, axis=0), each)

        loss_sum, total = sum_over(sums, rows, count, self._at_a_time(training))
        noisy = add_noise(random_keys.noise, total, self.noise_multiplier * self.max_norm)
        expected = training.batch_size or training.data.train.examples
        g = tree.map(lambda g, p: (g / expected).astype(p.dtype), noisy, params)
        if training.regularizer is not None:
            penalty = jax.grad(lambda p: jnp.asarray(training.penalty(p), float))
            slope = tree.conjugate(penalty(params))
            g = tree.map(lambda g, r: (g + r).astype(g.dtype), g, slope)
        mean = loss_sum / jnp.maximum(count, 1)
        model_state = _state_after(f, params, random_keys.dropout)
        return Estimate(mean, mean, g, model_state, seen=jnp.asarray(count) > 0)

    def _at_a_time(self, training: Any) -> int:
        """How many examples are differentiated at a time."""
        train, b = training.data.train, training.batch_size
        usual = train.size if b is None else chunk_size(b, train.size)
        return self.microbatch or usual

    def sample_rate(self, training: Any) -> float:
        """The probability with which a record is drawn at a step."""
        b = training.batch_size
        return 1.0 if b is None else b / training.data.train.examples

    def epsilon(self, training: Any, steps: int, delta: float, accountant: str) -> float:
        """What so many steps spend: see `jo.privacy.epsilon`."""
        return epsilon(
            noise_multiplier=float(self.noise_multiplier), sample_rate=self.sample_rate(training),
            steps=steps, delta=delta, accountant=accountant,
        )  # fmt: skip

    def check(self, training):
        if training.balanced:
            raise ValueError("balanced: a private training draws every record equally often")
        if getattr(training.augment, "mixes", False):
            raise ValueError(
                f"augment = {show(training.augment)} mixes examples: then no record has a bounded "
                "part"
            )
        if self.microbatch is not None:
            check_count("microbatch", self.microbatch)
        if mixes_rows(training):
            raise ValueError(
                f"model = {show(training.model)} mixes examples, as BatchNorm does: what it gives "
                "for one depends on the others, so that no record has a bounded part; wanted one "
                "with LayerNorm or GroupNorm"
            )


def _state_after(f: Any, params: Any, key: Array) -> Any:
    """The state of the model after a step, which does not depend on the examples."""
    if not f.training.stateful:
        return f.model_state
    x = tree.map(lambda leaf: jnp.zeros((1, *leaf.shape[1:]), leaf.dtype), f.training.data.train.x)
    return f.training.predict(params, f.model_state, x, key)[1]


def PrivateTraining(
    model: Any,
    loss: Any,
    optimizer: Any,
    data: Any,
    regularizer: Any = None,
    batch_size: int | None = None,
    metrics: Any = None,
    *,
    max_norm: Any,
    noise_multiplier: Any,
    microbatch: int | None = None,
    **more: Any,
) -> Training:
    """A `Training` whose estimator is `Private(max_norm, noise_multiplier, microbatch)`.

    >>> import jaxopt_edu as jo
    >>> private = jo.privacy.PrivateTraining(
    ...     model=jo.models.Linear(30), loss=jo.losses.sigmoid_binary_cross_entropy,
    ...     optimizer=jo.sgd(0.5), data=jo.data.load("breast_cancer"), batch_size=32,
    ...     max_norm=1.0, noise_multiplier=1.0,
    ... )
    >>> round(private.epsilon(steps=100, delta=1e-4), 2)
    6.39
    """
    estimator = Private(max_norm, noise_multiplier, microbatch)
    return Training(
        model, loss, optimizer, data, regularizer, batch_size, metrics, estimator=estimator, **more
    )
