"""What a step descends on: the mean loss of a batch and the penalty, with their gradient."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.data.augment import losses_of
from jaxopt_edu.nn.shapes import weighted_mean
from jaxopt_edu.train.placement import shares, split_rows
from jaxopt_edu.values import tree


class Batch(NamedTuple):
    """Examples of a step, their targets, and weights: 0 for padding; None where there is none."""

    x: Any
    y: Any
    weights: Any = None

    @property
    def rows(self) -> int:
        """How many examples, padding included."""
        return len(jax.tree.leaves(self.x)[0])

    def weighted(self) -> "Batch":
        """The batch with weights."""
        weights = jnp.ones(self.rows) if self.weights is None else self.weights
        return self._replace(weights=weights)

    def padded(self, multiple: int) -> "Batch":
        """The batch with rows of weight 0 at its end, so that their number is a multiple."""
        n = self.rows
        short = -n % multiple
        if not short:
            return self
        rows = jnp.minimum(jnp.arange(n + short), n - 1)
        x, y = tree.map(lambda a: jnp.asarray(a)[rows], (self.x, self.y))
        return Batch(x, y, jnp.pad(self.weighted().weights, (0, short)))

    def split(self, multiple: int = 1, pad: bool = True) -> "Batch":
        """The batch whose rows the devices of a mesh share; each has a multiple of that many.

        pad: whether rows may be added for that, which batch normalization would count; without
        them some devices have fewer.
        """
        if shares() == 1:
            return self
        return split_rows(self.padded(shares() * multiple) if pad else self)


class Estimate(NamedTuple):
    """What an estimator found at the params.

    value: of the function whose gradient this is. loss: without the penalty; shown and watched.
    gradient: by complex params the conjugate of JAX's: the direction in which the value grows.
    seen: whether there was an example at all; None: there always is one.
    """

    value: Array
    loss: Array
    gradient: Any
    model_state: Any
    seen: Array | None = None


@dataclass(frozen=True, eq=False)
class Objective:
    """f(p) = mean loss of a batch + penalty(p), where a step begins.

    training: whose model, loss and penalty these are. t, key: of the step. dropout_key: of the
        masks of this batch.
    """

    training: Any
    model_state: Any
    batch: Any
    t: Array
    key: Array
    dropout_key: Array

    def __call__(self, params: Any) -> Array:
        """f(params)"""
        return self.evaluate(params)[0]

    def evaluate(self, params: Any) -> tuple[Array, tuple[Array, Any]]:
        """f(params), and beside it the loss alone and the model's state after the pass."""
        training, batch = self.training, self.batch
        prediction, model_state = training.predict(
            params, self.model_state, batch.x, self.dropout_key
        )
        loss = mean_loss(losses_of(training.loss, prediction, batch.y), batch.weights)
        penalty = training.penalty(params)
        return (loss if penalty is None else loss + penalty), (loss, model_state)

    def estimate(self, params: Any) -> Estimate:
        """The value and its gradient, by one pass forward and back."""
        gradient = jax.value_and_grad(self.evaluate, has_aux=True)
        (value, (loss, model_state)), g = gradient(params)
        return Estimate(value, loss, tree.conjugate(g), model_state)

    def on(self, **changes: Any) -> "Objective":
        """The objective of another batch, model state or key."""
        return replace(self, **changes)


def mean_loss(losses: Array, weights: Array | None) -> Array:
    """The mean of the losses of a batch."""
    return jnp.mean(losses) if weights is None else weighted_mean(losses, weights)
