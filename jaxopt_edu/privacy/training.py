"""A training whose parameters say little about any one record: DP-SGD, DP-Adam, DP-anything."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu.privacy import mechanism
from jaxopt_edu.privacy.accounting import epsilon
from jaxopt_edu.train import Estimate, Estimator, Objective, Training
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.values import keys, tree
from jaxopt_edu.values.pytrees import number, pytree, show, static
from jaxopt_edu.values.random_bits import fold_in, written_out


class Drawing(Estimator):
    """Base of the estimators that draw the units of a step themselves: records, or clients.

    Of n units, m are drawn at a step; None: all of them. With a max_norm each is drawn on its own,
    with probability m / n, as the price `epsilon` supposes; without one m are, each once. A draw is
    as that of `poisson_sample`: (their numbers, how many of the first of these were drawn).
    """

    max_norm: Any
    noise_multiplier: Any
    private_draw = True

    def _units(self, training: Any) -> tuple[int, Any, int | None]:
        """How many units there may be, n (which on a fold may be traced and less), and m."""
        raise NotImplementedError

    def draw(self, training, t, key):
        size, n, m = self._units(training)
        key = keys.private(key, t).draw  # the same as that of `keys.federated`
        if m in (None, size):
            return jnp.arange(size), n
        if self.max_norm is None:
            return random.permutation(written_out(key), size)[:m], m
        return mechanism.poisson_sample(key, size, m / n, n)

    def prepared(self, training, batch, t, key):
        return batch

    def _sum(self, f: Objective, of: Callable[[Array, Array], Any], at_a_time: int | None) -> Any:
        """The sum of of(units, present), a tree of sums over some units, over those that are drawn.

        at_a_time: how many are taken side by side; None: what nearly every draw fits into, which
        is the expected number and four deviations.
        """
        (units, count), (size, _, m) = f.batch, self._units(f.training)
        usual = len(units)
        if m is not None and self.max_norm is not None:
            usual = min(size, m + int(4 * (m * (1 - m / size)) ** 0.5 + 1))
        return mechanism.sum_over(of, units, count, at_a_time or usual)

    def sample_rate(self, training: Any) -> float:
        """The probability with which a unit is drawn at a step."""
        _, n, m = self._units(training)
        return 1.0 if m is None else m / n

    def epsilon(self, training: Any, steps: int, delta: float, accountant: str) -> float:
        """What so many steps spend: see `jo.privacy.epsilon`."""
        return epsilon(
            noise_multiplier=float(self.noise_multiplier), sample_rate=self.sample_rate(training),
            steps=steps, delta=delta, accountant=accountant,
        )  # fmt: skip


@pytree
class Private(Drawing):
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
    microbatch: int | None = static(default=None, least=1)

    was = "PrivateTraining"  # the class of 0.1: see `values.old_names`

    def _units(self, training):
        train = training.data.train
        return train.size, train.examples, training.batch_size

    def estimate(self, f, params):
        training, train, (_, count) = f.training, f.training.data.train, f.batch
        random_keys = keys.private(f.key, f.t)

        def loss(params, row):
            x, y = train.take(row[None])
            if training.augment is not None:
                x, y = training.augment(fold_in(random_keys.augment, row), x, y)
            key = fold_in(random_keys.dropout, row)
            prediction, _ = training.predict(params, f.model_state, x, key)
            return jnp.mean(training.loss(prediction, y))

        def sums(rows, present):
            each = jax.vmap(mechanism.value_and_clipped, (None, None, 0, None, 0))
            found = each(loss, params, rows, self.max_norm, present)
            return tree.map(lambda x: jnp.sum(x, axis=0), found)

        loss_sum, total = self._sum(f, sums, self.microbatch)
        deviation = self.noise_multiplier * self.max_norm
        expected = training.batch_size or train.examples
        g = mechanism.noisy_mean(random_keys.noise, total, deviation, expected, params)
        if training.regularizer is not None:
            penalty = jax.grad(lambda p: jnp.asarray(training.penalty(p), float))
            slope = tree.conjugate(penalty(params))
            g = tree.map(lambda g, r: (g + r).astype(g.dtype), g, slope)
        model_state = f.model_state
        if training.stateful:  # the next must not depend on the examples
            x = tree.map(lambda leaf: jnp.zeros((1, *leaf.shape[1:]), leaf.dtype), train.x)
            _, model_state = training.predict(params, model_state, x, random_keys.dropout)
        mean = loss_sum / jnp.maximum(count, 1)
        return Estimate(mean, mean, g, model_state, seen=jnp.asarray(count) > 0)

    def check(self, training):
        if training.balanced:
            raise ValueError("balanced: a private training draws every record equally often")
        if getattr(training.augment, "mixes", False):
            raise ValueError(
                f"augment = {show(training.augment)} mixes examples: then no record has a bounded "
                "part"
            )
        if mixes_rows(training):
            raise ValueError(
                f"model = {show(training.model)} mixes examples, as BatchNorm does: what it gives "
                "for one depends on the others, so that no record has a bounded part; wanted one "
                "with LayerNorm or GroupNorm"
            )


def PrivateTraining(
    model: Any, loss: Any, optimizer: Any, data: Any, regularizer: Any = None,
    batch_size: int | None = None, metrics: Any = None,
    *, max_norm: Any, noise_multiplier: Any, microbatch: int | None = None, **more: Any,
) -> Training:  # fmt: skip
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
