"""Federated averaging and its relatives, as an experiment whose step is a round."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random

from jaxopt_edu import tree
from jaxopt_edu.core import apply_updates
from jaxopt_edu.data.dataset import Data
from jaxopt_edu.experiment import Training
from jaxopt_edu.federated.clients import Clients
from jaxopt_edu.ingredients import check_optimizer, resolve_parts
from jaxopt_edu.optimizers import sgd
from jaxopt_edu.prior import among
from jaxopt_edu.privacy import add_noise, clip_each, epsilon, poisson_sample, sum_over
from jaxopt_edu.privacy.sampling import chunk_size
from jaxopt_edu.shapes import weighted_mean
from jaxopt_edu.value import check as check_fields
from jaxopt_edu.value import check_count, number, pytree, recipe, static

__all__ = ["FedAvg", "FedState", "fed_avg"]


class FedState(NamedTuple):
    """The global params, the server's optimizer state, and the mean of the clients' last losses."""

    params: Any
    server: Any
    loss: Array


@pytree
class FedAvg:
    """Clients train on their own examples, and the server steps along the mean of their updates.

    Formula: in round t, from each client k that was drawn, of n_k examples,
        p_k = params after `epochs` passes of `optimizer` from p_t over batches of its examples, on
              mean loss + penalty(p) + mu / 2 |p - p_t|^2
        d = sum_k n_k (p_k - p_t) / sum_k n_k
        p_{t+1} = p_t + u_t,   u_t = server's update for the gradient -d
    server: sgd(1.0) is FedAvg; any other optimizer is FedOpt. mu: FedProx.
    optimizer: the clients'; it starts anew in every round.
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
    Shapes: as `Training`. A round costs what epochs over the largest client cost, for each client.
    Errors: ValueError or TypeError by `check`, before anything is compiled.
    Source: McMahan et al. 2017, arXiv:1602.05629, algorithm 1; Li et al. 2020, arXiv:1812.06127
        (mu); Reddi et al. 2021, arXiv:2003.00295, algorithm 1 (server); McMahan et al. 2018,
        arXiv:1710.06963 (max_norm).
    Agrees with: an unpadded Python loop over the clients, 1e-6; centralised gradient descent, 1e-6,
        for all clients, sgd and a single batch.

    >>> import jaxopt_edu as jo
    >>> digits = jo.data.load("digits")
    >>> experiment = jo.federated.fed_avg(
    ...     model=jo.models.Linear(64, 10),
    ...     loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    ...     data=digits, clients=jo.federated.dirichlet_split(digits.train.y, 50, alpha=0.5),
    ...     optimizer=jo.sgd(0.1), batch_size=10,
    ... )
    >>> jo.hyperparameters(experiment)
    {'optimizer.learning_rate': 0.1, 'server.learning_rate': 1.0}
    """

    model: Any
    loss: Any
    data: Any
    clients: Clients
    optimizer: Any
    server: Any = sgd(1.0)
    regularizer: Any = None
    epochs: int = static(default=1)
    batch_size: int | None = static(default=None)
    clients_per_round: int | None = static(default=None)
    mu: Any = number(0, default=None)
    max_norm: Any = number(0, default=None)
    noise_multiplier: Any = number(0, default=None)
    secure: Any = None
    at_a_time: int | None = static(default=None)
    metrics: tuple[Callable, ...] | None = static(default=None)

    def __post_init__(self):
        check_fields(self)
        resolve_parts(self)

    def init(self, key):
        start = self.centralised.init(key)
        return FedState(start.params, start.optimizer, start.loss)

    def step(self, state, t, key):
        draw_key, local_key, noise_key, mask_key = random.split(random.fold_in(key, t), 4)

        def sums(chosen, present):
            return self.add_up(state.params, chosen, present, local_key, mask_key)

        total, weight, loss = sum_over(sums, *self.draw(draw_key))
        loss = jnp.where(weight > 0, loss / jnp.where(weight > 0, weight, 1), state.loss)
        if self.max_norm is not None:
            weight = self.clients_per_round or len(self.clients)
            if self.noise_multiplier is not None:
                total = add_noise(noise_key, total, self.noise_multiplier * self.max_norm)
        d = tree.map(lambda x: x / jnp.where(weight > 0, weight, 1), total)
        gradient = tree.map(lambda d, p: -d.astype(p.dtype), d, state.params)
        updates, server = self.server.update(gradient, state.server, state.params)
        params = apply_updates(state.params, updates)
        return FedState(params, server, loss.astype(state.loss.dtype))

    def add_up(
        self, p_t: Any, chosen: Array, present: Array, local_key: Array, mask_key: Array
    ) -> tuple[Any, Array, Array]:
        """Sums over some clients: of their weighted updates, their weights, and weighted losses."""
        keys = jax.vmap(lambda k: random.fold_in(local_key, k))(chosen)
        rows, sizes = self.clients.take(chosen)
        alone = jax.vmap(self.train_alone, in_axes=(None, 0, 0, 0))
        params, losses = alone(p_t, rows, sizes, keys)
        updates = tree.map(lambda p, start: tree.wide(p) - start, params, p_t)
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
            total = self.secure(random.fold_in(mask_key, chosen[0]), weighted)
        return total, jnp.sum(weights), jnp.sum(_share(weights, losses))

    def train_alone(self, p_t: Any, rows: Array, size: Array, key: Array) -> tuple[Any, Array]:
        """The params of a client after its epochs, and the loss of its last batch.

        The loss is NaN where the params are not finite, so that a run does not go on without it.
        """
        x, y = self.data.train.take(rows)
        width = self.batch_size or len(rows)
        batches = -(-len(rows) // width)
        present = (jnp.arange(batches * width) < size).reshape(batches, width)

        def batch(carry, which):
            params, state, last = carry
            place, present, key = which

            def objective(p):
                prediction = self.model.apply(p, x[place], key=key)
                loss = weighted_mean(self.loss(prediction, y[place]), present)
                return loss + self.penalty(p, p_t), loss

            grads, loss = jax.grad(objective, has_aux=True)(params)
            updates, new = self.optimizer.update(tree.conjugate(grads), state, params, value=loss)
            new = apply_updates(params, updates), new, loss.astype(last.dtype)
            return tree.map(lambda x, old: jnp.where(present.any(), x, old), new, carry), None

        def epoch(carry, key):
            order_key, key = random.split(key)
            order = jnp.arange(len(rows))
            if self.batch_size is not None:
                coins = random.uniform(order_key, (len(rows),))
                order = jnp.argsort(jnp.where(order < size, coins, 2.0))
            order = jnp.pad(order, (0, batches * width - len(rows))).reshape(batches, width)
            return lax.scan(batch, carry, (order, present, random.split(key, batches)))

        fresh = p_t, self.optimizer.init(p_t), jnp.zeros(())
        (params, _, loss), _ = lax.scan(epoch, fresh, random.split(key, self.epochs))
        return params, jnp.where(tree.all_finite(params), loss, jnp.nan)

    def penalty(self, p: Any, p_t: Any) -> Array | float:
        """What a client's loss gains: the regularizer, and FedProx's pull to the global params."""
        regularizer = among(self.regularizer, self.data.train.examples)
        total = 0.0 if regularizer is None else regularizer.penalty(p)
        away = tree.sub(p, p_t)
        return total if self.mu is None else total + self.mu / 2 * tree.dot(away, away).real

    def draw(self, key: Array) -> tuple[Array, Any, int]:
        """Numbers of clients, how many of them count, and how many are trained at a time."""
        n, m = len(self.clients), self.clients_per_round or len(self.clients)
        if m == n:
            return jnp.arange(n), n, self.at_a_time or n
        if self.max_norm is None:
            return random.permutation(key, n)[:m], m, self.at_a_time or m
        return *poisson_sample(key, n, m / n), self.at_a_time or chunk_size(m, n)

    def epsilon(self, rounds: int, delta: float, accountant: str = "rdp") -> float:
        """What so many rounds of DP-FedAvg spend, a client being a record: `jo.privacy.epsilon`."""
        if self.max_norm is None or self.noise_multiplier is None:
            raise ValueError("epsilon: only with max_norm and noise_multiplier is it finite")
        m, n = self.clients_per_round or len(self.clients), len(self.clients)
        return epsilon(
            noise_multiplier=float(self.noise_multiplier), sample_rate=m / n, steps=rounds,
            delta=delta, accountant=accountant,
        )  # fmt: skip

    @property
    def centralised(self) -> Training:
        """The training of the server's optimizer on all examples together, in one batch."""
        return Training(
            self.model, self.loss, self.server, self.data, self.regularizer, metrics=self.metrics
        )

    @property
    def splits(self) -> tuple[str, ...]:
        return self.centralised.splits

    @property
    def least_segment(self) -> int:
        """Rounds that cost ten times what one evaluation on the validation part costs."""
        share = (self.clients_per_round or len(self.clients)) / len(self.clients)
        examples = share * self.epochs * int(np.size(self.clients.rows))
        return math.ceil(10 * self.data.validation.size / (3 * examples))

    @property
    def score_modes(self) -> dict[str, str | None]:
        return self.centralised.score_modes

    def score(self, state, split):
        return self.centralised.score(state, split)

    def check(self) -> None:
        """Raises ValueError or TypeError, naming the part, before anything is compiled."""
        if not isinstance(self.data, Data) or not isinstance(self.clients, Clients):
            raise TypeError("fed_avg: wanted data = Data without folds, and clients = Clients")
        for name in ("optimizer", "server"):
            check_optimizer(name, getattr(self, name))
        self.centralised.check()
        n, m, last = len(self.clients), self.clients_per_round, int(np.max(self.clients.rows))
        if last >= self.data.train.size:
            raise ValueError(f"clients: row {last} of {self.data.train.size} training examples")
        if m is not None and not 1 <= m <= n:
            raise ValueError(f"clients_per_round = {m}: wanted 1 to {n}, the number of clients")
        for name in ("epochs", "batch_size", "at_a_time"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if self.noise_multiplier is not None and self.max_norm is None:
            raise ValueError("noise_multiplier: wanted max_norm too, the norm that it multiplies")
        if self.regularizer is not None and self.regularizer.needs_learning_rate:
            raise ValueError("regularizer: wanted a penalty, not a proximal or decoupled step")


fed_avg = recipe("fed_avg", FedAvg)


def _share(weight: Array, update: Any) -> Any:
    """weight times update; nothing where the weight is 0, even if the update is NaN."""
    return tree.map(lambda x: jnp.where(weight > 0, weight * x, 0), update)
