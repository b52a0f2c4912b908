"""Gradient estimators: from which examples a step learns its gradient, and by which formula.

Every step computes g, a weighted mean over units of the gradient of a unit (a batch, a part of it,
an example, a client), and hands it to the optimizer. An estimator is a value, a field of
`Training`: its numbers are swept like any other.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random

from jaxopt_edu.train.objective import Batch, Estimate, Objective
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import number, pytree, show, static


class Estimator:
    """Base of the estimators.

    The one rule of what goes with what: an estimator with `private_draw` chooses its examples
    itself, as its guarantee or its formula demands. So it takes no batches from outside (streams),
    is no part of another estimator, and the optimizer does not see its objective.
    """

    private_draw = False
    folds = True  # whether it goes with data that are split into folds

    @property
    def multiple(self) -> int:
        """Of which the number of rows on each device is best a multiple."""
        return 1

    def draw(self, training: Any, t: Array, key: Array) -> Any:
        """The examples of step t."""
        return training.batch(t, key)

    def prepared(self, training: Any, batch: Any, t: Array, key: Array) -> Any:
        """The batch as the model is to see it, its rows shared by the devices of a mesh."""
        return training.augmented(batch, t, key).split(self.multiple, pad=not training.stateful)

    def estimate(self, f: Objective, params: Any) -> Estimate:
        """The gradient at the params."""
        raise NotImplementedError(f"{type(self).__name__} has no estimate(f, params)")

    def objective(self, f: Objective) -> Callable[[Any], Array] | None:
        """The function of params whose value and gradient `estimate` finds: what line searches ask.

        None where the optimizer may not look.
        """
        return None if self.private_draw else f

    def examples_per_step(self, training: Any) -> float:
        """How many examples a step goes through, forward and back."""
        return training.batch_size or training.data.train.size

    def steps_per_epoch(self, training: Any) -> int | None:
        """Steps that go once through the training part; None without batches."""
        size = training.batch_size
        return None if size is None else max(1, training.data.train.size // size)

    def check(self, training: Any) -> None:
        """Raises ValueError or TypeError, naming the part, before anything is compiled."""


class Around(Estimator):
    """Base of estimators around another one, their field `of`."""

    of: Any

    @property
    def multiple(self):
        return self.of.multiple

    def check(self, training: Any) -> None:
        name = type(self).__name__
        if not isinstance(self.of, Estimator):
            raise TypeError(f"{name}: of = {show(self.of)}: wanted an estimator, jo.Plain()")
        if self.of.private_draw:
            raise TypeError(
                f"{name}: of = {type(self.of).__name__}, which chooses its examples itself: "
                "wanted Plain, InParts or Sharpness; microbatch= (of Private) and at_a_time= (of "
                "Federated) save memory"
            )
        self.of.check(training)


@pytree
class Plain(Estimator):
    """The gradient of the batch.

    Formula: g = gradient of  mean_{i in B} loss_i + penalty

    >>> import jaxopt_edu as jo
    >>> jo.Plain()
    Plain()
    """

    def estimate(self, f, params):
        return f.estimate(params)


@pytree
class InParts(Around):
    """The gradient of the batch, part by part: gradient accumulation, to save memory.

    Formula: with batch B in parts B_1, ..., B_k (rows j, j + k, j + 2k, ... are part j) and W_j
        the sum of the weights in B_j,
        g = sum_j (W_j / sum W) gradient of (mean_{i in B_j} loss_i + penalty)
    which is the gradient of the whole batch. On a mesh each device cuts the rows that it has.
    parts: k. of: what estimates the gradient of a part.
    A model with state: its state after the step is that of one pass over the whole batch (a pass
        more, forward only); within a part, BatchNorm normalizes by the part. Its batches want a
        multiple of k rows, as padding would be counted.
    Agrees with: `Plain`, 1e-12 in float64, for models that do not mix examples.

    >>> import jaxopt_edu as jo
    >>> jo.InParts(4)
    InParts(parts=4)
    """

    parts: int = static(least=1)
    of: Any = Plain()

    @property
    def multiple(self):
        return self.parts * self.of.multiple

    def estimate(self, f, params):
        if self.parts == 1:
            return self.of.estimate(f, params)
        parts, total = self._cut(f)

        def of_part(part):
            found = self.of.estimate(self._part(f, part), params)
            return found.value, found.loss, found.gradient

        def add(sums, part):
            share = jnp.sum(part[1].weights) / total
            new = of_part(part)
            return tree.map(lambda s, x: s + share.astype(s.dtype) * x, sums, new), None

        like = jax.eval_shape(of_part, tree.map(lambda x: x[0], parts))
        zeros = tree.map(lambda x: tree.wide(jnp.zeros(x.shape, x.dtype)), like)
        sums, _ = lax.scan(add, zeros, parts)
        value, loss, g = tree.map(lambda s, x: s.astype(x.dtype), sums, like)
        model_state = f.evaluate(params)[1][1] if f.training.stateful else f.model_state
        return Estimate(value, loss, g, model_state)

    def objective(self, f):
        if self.parts == 1:  # as estimate has it, the dropout masks too
            return self.of.objective(f)

        def value(params):
            parts, total = self._cut(f)

            @jax.checkpoint  # one part in memory at a time, back as well
            def add(sum_, part):
                found = self.of.objective(self._part(f, part))(params)
                return sum_ + jnp.sum(part[1].weights) / total * found, None

            return lax.scan(add, jnp.zeros(()), parts)[0]

        return value

    def _cut(self, f: Objective) -> tuple[tuple[Array, Batch], Array]:
        """The parts, numbered and stacked, and the sum of all weights."""
        if f.training.stateful and f.batch.rows % self.parts:
            raise ValueError(
                f"InParts: parts = {self.parts}: {f.batch.rows} rows want padding, which a model "
                f"with a state would count, {type(f.training.model).__name__}: wanted a divisor"
            )
        batch = f.batch.weighted().padded(self.parts)

        def cut(x):
            return x.reshape(-1, self.parts, *x.shape[1:]).swapaxes(0, 1)

        return (jnp.arange(self.parts), tree.map(cut, batch)), jnp.sum(batch.weights)

    def _part(self, f: Objective, part: tuple[Array, Batch]) -> Objective:
        """The objective of a part, which has dropout masks of its own."""
        j, batch = part
        return f.on(batch=batch, dropout_key=random.fold_in(f.dropout_key, j))


@pytree
class Sharpness(Around):
    """Sharpness-aware minimization (SAM): the gradient uphill from the params.

    Formula: with g(p) the gradient of the batch,
        e = rho g(p) / |g(p)|;   g = g(p + e)
    rho: how far uphill; 0 is the gradient itself. of: what estimates g.
    The value is that at p + e, the loss that is shown that at p. The state of a model (BatchNorm's
        statistics) is that of the first pass. A step costs two gradients.
    Units: rho has the unit of the params.
    Source: Foret, Kleiner, Mobahi & Neyshabur 2021, arXiv:2010.01412, algorithm 1.
    Agrees with: optax.contrib.sam in its opaque mode, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.hyperparameters(jo.Sharpness(0.05))
    {'rho': 0.05}
    """

    rho: Any = number(0)
    of: Any = Plain()

    def estimate(self, f, params):
        here = self.of.estimate(f, params)
        there = self.of.estimate(f, self._uphill(params, here.gradient))
        return here._replace(value=there.value, gradient=there.gradient)

    def objective(self, f):
        inner = self.of.objective(f)

        def value(params):
            g = self.of.estimate(f, params).gradient
            return inner(self._uphill(params, lax.stop_gradient(g)))

        return value

    def _uphill(self, params: Any, g: Any) -> Any:
        """p + e"""
        norm = tree.norm(g)
        length = self.rho / jnp.where(norm > 0, norm, 1)
        return tree.map(lambda p, g: (p + length * tree.wide(g)).astype(p.dtype), params, g)
