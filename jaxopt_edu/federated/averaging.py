"""Federated averaging and its relatives: a step is a round, its gradient what clients changed."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random

from jaxopt_edu.federated.checking import check_federated
from jaxopt_edu.federated.clients import Clients
from jaxopt_edu.privacy import add_noise, clip_each, epsilon, poisson_sample, sum_over
from jaxopt_edu.privacy.sampling import chunk_size
from jaxopt_edu.train import Batch, Estimate, Estimator, Objective, Plain, TrainingState
from jaxopt_edu.train.ingredients import optimizer_named
from jaxopt_edu.train.placement import split_rows
from jaxopt_edu.values import keys, tree
from jaxopt_edu.values.pytrees import check as check_fields
from jaxopt_edu.values.pytrees import number, pytree, static

__all__ = ["Federated"]


class Chosen(NamedTuple):
    """Numbers of clients, of which the first `count` were drawn."""

    clients: Array
    count: Any


@pytree
class Federated(Estimator):
    """Minus the mean of what clients change when each trains on its own examples: FedAvg.

    Formula: in round t, from each client k that was drawn, of n_k examples,
        p_k = params after `epochs` passes of `local` from p_t over batches of its examples, on
              mean loss + penalty(p) + mu / 2 |p - p_t|^2
        d = sum_k n_k (p_k - p_t) / sum_k n_k;   g = -d
    The optimizer of the `Training` is the server's: sgd(1.0) is FedAvg, any other is FedOpt. mu:
    FedProx.
    local: the clients' optimizer; it starts anew in every round.
    batch_size: None is one batch of all a client has. clients_per_round: None takes all; otherwise
        so many are drawn, each once.
    max_norm: DP-FedAvg. Each client is drawn with probability q = clients_per_round / clients, its
        update is shrunk to that norm, all count alike, and
        d = (sum_k clip(p_k - p_t) + noise_multiplier max_norm N(0, I)) / clients_per_round
        What is private then are the clients' whole data: in the params, at the price `epsilon`, if
        nobody knows the seed; not in the loss.
    secure: a `SecureSum`, which adds up the updates, weighted by n_k / max n, in masked integers.
    at_a_time: how many clients are trained side by side; None: all that are drawn. On a CPU a few
        are faster, as long as their params fit its cache.
    The state of a model: its floats (BatchNorm's statistics) are averaged as the params are, all
        else stays. It goes with neither max_norm nor secure, which would not protect it, and a
        model that mixes examples wants full batches, as padding would be mixed in.
    The server is not told the loss.
    Shapes: as `Training`. A round costs what epochs over the largest client cost, for each client.
    Errors: ValueError or TypeError by `check`, before anything is compiled.
    Source: McMahan et al. 2017, arXiv:1602.05629, algorithm 1; Li et al. 2020, arXiv:1812.06127
        (mu); Reddi et al. 2021, arXiv:2003.00295, algorithm 1 (server); McMahan et al. 2018,
        arXiv:1710.06963 (max_norm).
    Agrees with: an unpadded Python loop over the clients, 1e-6; centralised gradient descent, 1e-6,
        for all clients, sgd and a single batch.

    >>> import jaxopt_edu as jo
    >>> clients = jo.federated.Clients.of([[0, 3], [1], [2, 4, 5]])
    >>> jo.hyperparameters(jo.Federated(clients, jo.sgd(0.1)))
    {'local.learning_rate': 0.1}
    """

    clients: Clients
    local: Any
    epochs: int = static(default=1)
    batch_size: int | None = static(default=None)
    clients_per_round: int | None = static(default=None)
    mu: Any = number(0, default=None)
    max_norm: Any = number(0, default=None)
    noise_multiplier: Any = number(0, default=None)
    secure: Any = None
    at_a_time: int | None = static(default=None)

    private_draw = True
    was = "FedAvg"  # the class of 0.1: see `values.old_names`
    folds = False

    def __post_init__(self):
        check_fields(self)
        if isinstance(self.local, str):
            object.__setattr__(self, "local", optimizer_named(self.local))

    def draw(self, training, t, key):
        key = keys.federated(key, t).draw
        n, m = len(self.clients), self.clients_per_round or len(self.clients)
        if m == n:
            return Chosen(jnp.arange(n), n)
        if self.max_norm is None:
            return Chosen(random.permutation(key, n)[:m], m)
        return Chosen(*poisson_sample(key, n, m / n))

    def prepared(self, training, batch, t, key):
        return batch

    def estimate(self, f, params):
        random_keys = keys.federated(f.key, f.t)

        def sums(chosen, present):
            return self._add_up(f, params, split_rows((chosen, present)), random_keys)

        clients, count = f.batch
        total, model_total, weight, loss_sum = sum_over(sums, clients, count, self._side_by_side())
        some = jnp.where(weight > 0, weight, 1)
        loss = loss_sum / some
        shared: Any = some
        if self.max_norm is not None:
            shared = self.clients_per_round or len(self.clients)
            if self.noise_multiplier is not None:
                deviation = self.noise_multiplier * self.max_norm
                total = add_noise(random_keys.noise, total, deviation)
        g = tree.map(lambda x, p: -(x / shared).astype(p.dtype), total, params)
        model_state = tree.map(
            lambda x, old: (old + x / some).astype(old.dtype) if tree.is_float(old) else old,
            model_total, f.model_state,
        )  # fmt: skip
        return Estimate(loss, loss, g, model_state, seen=weight > 0)

    def _side_by_side(self) -> int:
        """How many clients are trained at a time."""
        n, m = len(self.clients), self.clients_per_round or len(self.clients)
        usual = m if m == n or self.max_norm is None else chunk_size(m, n)
        return self.at_a_time or usual

    def _add_up(
        self, f: Objective, p_t: Any, drawn: tuple[Array, Array], random_keys: Any
    ) -> tuple[Any, Any, Array, Array]:
        """Sums over some clients: of their weighted updates, weights, and weighted losses."""
        chosen, present = drawn
        each = jax.vmap(lambda k: random.fold_in(random_keys.local, k))(chosen)
        rows, sizes = self.clients.take(chosen)
        alone = jax.vmap(self._train_alone, in_axes=(None, None, 0, 0, 0))
        params, model_states, losses = alone(f, p_t, rows, sizes, each)
        updates = _moved(params, p_t)
        if self.max_norm is None:
            largest = jnp.max(jnp.asarray(self.clients.sizes))
            weights = jnp.where(present, sizes.astype(losses.dtype) / largest, 0)
        else:
            updates = clip_each(updates, self.max_norm, present)
            weights = present.astype(losses.dtype)
        weighted = jax.vmap(_share)(weights, updates)
        if self.secure is None:
            total = tree.map(lambda x: jnp.sum(x, axis=0), weighted)
        else:  # those who are trained side by side share masks, new ones in every round
            total = self.secure(random.fold_in(random_keys.masks, chosen[0]), weighted)
        states = jax.vmap(_share)(weights, _moved(model_states, f.model_state))
        states = tree.map(lambda x: jnp.sum(x, axis=0), states)
        return total, states, jnp.sum(weights), jnp.sum(_share(weights, losses))

    def _train_alone(
        self, f: Objective, p_t: Any, rows: Array, size: Array, key: Array
    ) -> tuple[Any, Any, Array]:
        """The params and model state of a client after its epochs, and the loss of its last batch.

        The loss is NaN where the params are not finite, so that a run does not go on without it.
        """
        training: Any = f.training
        near = Near(training._regularizer, self.mu, p_t)
        alone = dataclasses.replace(
            training, optimizer=self.local, estimator=Plain(), regularizer=near, tol=None
        )
        x, y = training.data.train.take(rows)
        width = self.batch_size or len(rows)
        batches = -(-len(rows) // width)
        present = (jnp.arange(batches * width) < size).reshape(batches, width)

        def batch(state, which):
            place, present, key, t = which
            rows = Batch(x[place], y[place], present)
            new, _ = alone.descend(state, Objective(alone, state.model_state, rows, t, key, key))
            return tree.map(lambda x, old: jnp.where(present.any(), x, old), new, state), None

        def epoch(state, numbered):
            i, key = numbered
            order_key, key = random.split(key)
            order = jnp.arange(len(rows))
            if self.batch_size is not None:
                coins = random.uniform(order_key, (len(rows),))
                order = jnp.argsort(jnp.where(order < size, coins, 2.0))
            order = jnp.pad(order, (0, batches * width - len(rows))).reshape(batches, width)
            t = i * batches + jnp.arange(batches)
            return lax.scan(batch, state, (order, present, random.split(key, batches), t))

        fresh = TrainingState(p_t, f.model_state, self.local.init(p_t), jnp.zeros(()))
        numbered = jnp.arange(self.epochs), random.split(key, self.epochs)
        end, _ = lax.scan(epoch, fresh, numbered)
        loss = jnp.where(tree.all_finite(end.params), end.loss, jnp.nan)
        return end.params, end.model_state, loss

    def examples_per_step(self, training):
        share = (self.clients_per_round or len(self.clients)) / len(self.clients)
        return share * self.epochs * int(np.size(self.clients.rows))

    def steps_per_epoch(self, training):
        return None

    def sample_rate(self, training: Any) -> float:
        """The probability with which a client is drawn in a round of DP-FedAvg."""
        return (self.clients_per_round or len(self.clients)) / len(self.clients)

    def epsilon(self, training: Any, rounds: int, delta: float, accountant: str) -> float:
        """What so many rounds of DP-FedAvg spend, a client being a record: `jo.privacy.epsilon`."""
        if self.max_norm is None or self.noise_multiplier is None:
            raise ValueError("epsilon: only with max_norm and noise_multiplier is it finite")
        return epsilon(
            noise_multiplier=float(self.noise_multiplier), sample_rate=self.sample_rate(training),
            steps=rounds, delta=delta, accountant=accountant,
        )  # fmt: skip

    def check(self, training):
        check_federated(self, training)


@pytree
class Near:
    """A regularizer and the pull of FedProx to a center: mu / 2 |p - center|^2."""

    regularizer: Any
    mu: Any
    center: Any

    needs_learning_rate = False

    def penalty(self, p: Any) -> Any:
        """What a client's loss gains."""
        total = 0.0 if self.regularizer is None else self.regularizer.penalty(p)
        if self.mu is None:
            return total
        away = tree.sub(p, self.center)
        return total + self.mu / 2 * tree.dot(away, away).real

    def after(self, new_params: Any, params: Any, learning_rate: Any) -> Any:
        """Nothing happens after the update."""
        del params, learning_rate
        return new_params


def _moved(params: Any, start: Any) -> Any:
    """How far each client's floats are from where they started."""
    return tree.map(
        lambda p, s: tree.wide(p) - s if tree.is_float(s) else jnp.zeros(len(p)), params, start
    )


def _share(weight: Array, update: Any) -> Any:
    """weight times update; nothing where the weight is 0, even if the update is NaN."""
    return tree.map(lambda x: jnp.where(weight > 0, weight * x, 0), update)
