"""A training whose parameters say little about any one record: DP-SGD, DP-Adam, DP-anything."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu import tree
from jaxopt_edu.experiment import Training
from jaxopt_edu.privacy.accounting import epsilon
from jaxopt_edu.privacy.gradients import add_noise, values_and_clipped
from jaxopt_edu.privacy.sampling import chunk_size, poisson_sample, sum_over
from jaxopt_edu.value import check_count, number, pytree, show, static

__all__ = ["PrivateTraining"]


@pytree
class PrivateTraining(Training):
    """A `Training` by noisy gradients of bounded sensitivity, in front of any optimizer.

    Formula: at step t every record is drawn with probability q = batch_size / n (B_t, maybe empty):
        g_t = (sum_{i in B_t} g_i min(1, max_norm / |g_i|) + noise_multiplier max_norm N(0, I))
              / batch_size  + gradient of penalty(p_t)
        and the rest as in `Training`, but for `value`: the optimizer does not see the loss.
    With sgd it is DP-SGD, with adam DP-Adam. max_norm and noise_multiplier are numbers, so one
    program sweeps them; with noise 0 and a large max_norm it is `Training` on Poisson batches.
    batch_size: the expected one; None takes all records at every step (q = 1).
    augment: of each example by itself; one that mixes examples (mixup) is refused.
    microbatch: how many examples are differentiated at a time. A draw that is larger takes another
        pass, so none is cut short; None: what nearly every draw fits into.
    What is private: the params and the optimizer's state at all steps, at the price `epsilon`, if
        nobody knows the seed. What is not: the training loss, scores on the training part, data
        prepared from statistics of the training part. Trials of a sweep draw the same noise, and
        each of them spends: release one, trained with a seed of its own.
    What bounds the influence of a record is its step, so `fit` refuses mesh, accumulate and batches
        (microbatch is what saves memory here); store works.
    Gradients with respect to its numbers (`hypergradient`) exist for batch_size=None only: JAX does
        not go backwards through a loop over chunks whose number is drawn.
    Units: max_norm has the unit of the gradient of one example; noise_multiplier is a ratio.
    Source: Abadi et al. 2016, arXiv:1607.00133, algorithm 1; McMahan et al. 2018, arXiv:1812.06210
        for the division by the expected batch.

    >>> import jaxopt_edu as jo
    >>> private = jo.privacy.PrivateTraining(
    ...     model=jo.models.Linear(30), loss=jo.losses.sigmoid_binary_cross_entropy,
    ...     optimizer=jo.sgd(0.5), data=jo.data.load("breast_cancer"), batch_size=32,
    ...     max_norm=1.0, noise_multiplier=1.0,
    ... )
    >>> round(private.epsilon(steps=100, delta=1e-4), 2)
    6.39
    """

    max_norm: Any = number(0, kw_only=True)
    noise_multiplier: Any = number(0, kw_only=True)
    microbatch: int | None = static(default=None, kw_only=True)

    @property
    def sample_rate(self) -> float:
        """The probability with which a record is drawn at a step."""
        return 1.0 if self.batch_size is None else self.batch_size / self.data.train.examples

    def epsilon(self, steps: int, delta: float, accountant: str = "rdp") -> float:
        """What so many steps spend: see `jo.privacy.epsilon`."""
        return epsilon(
            noise_multiplier=float(self.noise_multiplier), sample_rate=self.sample_rate,
            steps=steps, delta=delta, accountant=accountant,
        )  # fmt: skip

    def step(self, state, t, key):
        draw_key, dropout_key, noise_key, augment_key = random.split(random.fold_in(key, t), 4)

        def loss(params, example):
            x, y, row = example
            x, y = x[None], y[None]
            if self.augment is not None:
                x, y = self.augment(random.fold_in(augment_key, row), x, y)
            prediction = self.model.apply(params, x, key=random.fold_in(dropout_key, row))
            return jnp.mean(self.loss(prediction, y))

        def sums(rows, present):
            batch = (*self.data.train.take(rows), rows)
            each = values_and_clipped(loss, state.params, batch, self.max_norm, present)
            return tree.map(lambda x: jnp.sum(x, axis=0), each)

        rows, count, size = self.draw(draw_key)
        total_loss, total = sum_over(sums, rows, count, size)
        loss_now = jnp.where(count > 0, total_loss / jnp.maximum(count, 1), state.loss)
        noisy = add_noise(noise_key, total, self.noise_multiplier * self.max_norm)
        expected = self.data.train.examples if self.batch_size is None else self.batch_size
        grads = tree.map(lambda g, p: (g / expected).astype(p.dtype), noisy, state.params)
        regularizer = self._regularizer
        if regularizer is not None:
            penalty = jax.grad(lambda p: jnp.asarray(regularizer.penalty(p), float))
            slope = tree.conjugate(penalty(state.params))
            grads = tree.map(lambda g, r: (g + r).astype(g.dtype), grads, slope)
        return self.take_step(state, grads, loss_now.astype(state.loss.dtype))

    def draw(self, key: Array) -> tuple[Array, Any, int]:
        """The rows of a step, how many of them count, and how many are taken at a time."""
        train = self.data.train
        if self.batch_size is None:
            return jnp.arange(train.size), train.examples, self.microbatch or train.size
        among = None if isinstance(train.examples, int) else train.examples
        rows, count = poisson_sample(key, train.size, self.sample_rate, among)
        return rows, count, self.microbatch or chunk_size(self.batch_size, train.size)

    def check(self) -> None:
        super().check()
        if self.balanced:
            raise ValueError("balanced: a private training draws every record equally often")
        if getattr(self.augment, "mixes", False):
            raise ValueError(
                f"augment = {show(self.augment)} mixes examples: then no record has a bounded part"
            )
        if self.microbatch is not None:
            check_count("microbatch", self.microbatch)
