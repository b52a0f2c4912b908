"""Federated averaging and its relatives: a step is a round, its gradient what clients changed."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax, random

from jaxopt_edu.federated.clients import Clients
from jaxopt_edu.optim.optimizers import sgd
from jaxopt_edu.optim.regularizers import Regularizer
from jaxopt_edu.privacy.mechanism import clip_each, noisy_mean
from jaxopt_edu.privacy.training import Drawing
from jaxopt_edu.train import Batch, Estimate, Objective, Plain, Training, TrainingState
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.train.ingredients import check_optimizer, is_optax, optimizer_named, refuse_optax
from jaxopt_edu.values import keys, pytrees, tree
from jaxopt_edu.values.pytrees import number, pytree, show, static
from jaxopt_edu.values.random_bits import written_out


@pytree
class Federated(Drawing):
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
    epochs: int = static(default=1, least=1)
    batch_size: int | None = static(default=None, least=1)
    clients_per_round: int | None = static(default=None)
    mu: Any = number(0, default=None)
    max_norm: Any = number(0, default=None)
    noise_multiplier: Any = number(0, default=None)
    secure: Any = None
    at_a_time: int | None = static(default=None, least=1)

    was = "FedAvg"  # the class of 0.1: see `values.old_names`
    folds = False

    def __post_init__(self):
        pytrees.check(self)
        if isinstance(self.local, str):
            object.__setattr__(self, "local", optimizer_named(self.local))

    def _units(self, training):
        return len(self.clients), len(self.clients), self.clients_per_round

    def estimate(self, f, params):
        random_keys = keys.federated(f.key, f.t)
        alone = jax.vmap(self._train_alone, in_axes=(None, None, 0, 0, 0))

        def sums(chosen, present):
            each = jax.vmap(random.fold_in, (None, 0))(random_keys.local, chosen)
            rows, sizes = self.clients.take(chosen)
            new, states, losses = alone(f, params, rows, sizes, each)
            updates, states = _moved((new, states), (params, f.model_state))
            if self.max_norm is None:
                largest = jnp.max(jnp.asarray(self.clients.sizes))
                weights = jnp.where(present, sizes.astype(losses.dtype) / largest, 0)
            else:
                updates = clip_each(updates, self.max_norm, present)
                weights = present.astype(losses.dtype)
            weighted = jax.vmap(_share)(weights, (updates, states, losses))
            total, *others = tree.map(lambda x: jnp.sum(x, axis=0), (*weighted, weights))
            if self.secure is not None:  # those side by side share masks, new ones in every round
                total = self.secure(random.fold_in(random_keys.masks, chosen[0]), weighted[0])
            return total, *others

        total, moved, loss_sum, weight = self._sum(f, sums, self.at_a_time)
        some = jnp.where(weight > 0, weight, 1)
        expected = some if self.max_norm is None else self.clients_per_round or len(self.clients)
        noise = self.noise_multiplier
        deviation = None if noise is None else noise * self.max_norm
        d = noisy_mean(random_keys.noise, total, deviation, expected, params)
        model_state = tree.map(
            lambda x, old: (old + x / some).astype(old.dtype) if tree.is_float(old) else old,
            moved, f.model_state,
        )  # fmt: skip
        loss = loss_sum / some
        return Estimate(loss, loss, tree.map(jnp.negative, d), model_state, seen=weight > 0)

    def _train_alone(
        self, f: Objective, p_t: Any, rows: Array, size: Array, key: Array
    ) -> tuple[Any, Any, Array]:
        """The params and model state of a client after its epochs, and the loss of its last batch.

        The loss is NaN where the params are not finite, so that a run does not go on without it.
        """
        training: Any = f.training
        own = training._regularizer
        near = own if self.mu is None else Near(own, self.mu, p_t)
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
                coins = random.uniform(written_out(order_key), (len(rows),))
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
        return self.sample_rate(training) * self.epochs * self.clients.rows.size

    def epsilon(self, training: Any, rounds: int, delta: float, accountant: str) -> float:
        """What so many rounds of DP-FedAvg spend, a client being a record: `jo.privacy.epsilon`."""
        if self.max_norm is None or self.noise_multiplier is None:
            raise ValueError("epsilon: only with max_norm and noise_multiplier is it finite")
        return super().epsilon(training, rounds, delta, accountant)

    def check(self, training):
        if not isinstance(self.clients, Clients):
            raise TypeError("fed_avg: wanted data = Data without folds, and clients = Clients")
        check_optimizer("local", self.local)
        n, m = len(self.clients), self.clients_per_round
        last, examples = self.clients.rows.max(), training.data.train.size
        if last >= examples:
            raise ValueError(f"clients: row {last} of {examples} training examples")
        if m is not None and not 1 <= m <= n:
            raise ValueError(f"clients_per_round = {m}: wanted 1 to {n}, the number of clients")
        if self.noise_multiplier is not None and self.max_norm is None:
            raise ValueError("noise_multiplier: wanted max_norm too, the norm that it multiplies")
        if training.regularizer is not None and training.regularizer.needs_learning_rate:
            raise ValueError("regularizer: wanted a penalty, not a proximal or decoupled step")
        if training.batch_size is not None or training.balanced:
            raise ValueError(
                "batch_size, balanced: clients draw their own batches: wanted them in Federated"
            )
        if training.augment is not None:
            raise ValueError("augment: clients train on their examples as they are")
        if self.secure is not None and not callable(self.secure):
            raise TypeError(f"secure = {show(self.secure)}: wanted a jo.federated.SecureSum")
        if training.stateful:
            self._check_state(training)

    def _check_state(self, training: Any) -> None:
        """ValueError where clients would tell too much by it, or count padding."""
        if self.max_norm is not None or self.secure is not None:
            raise ValueError(
                "model: it has a state, which clients would hand over as it is: not with max_norm "
                "or secure"
            )
        width = self.batch_size or self.clients.sizes.max()
        if (self.clients.sizes % width).any() and mixes_rows(training):
            raise ValueError(
                f"model = {show(training.model)} mixes examples, as BatchNorm does, and some "
                f"clients have batches of fewer than {width} examples, whose padding would be "
                "mixed in: wanted a batch_size (of Federated) that divides the sizes of all clients"
            )


@pytree
class Near(Regularizer):
    """A regularizer and the pull of FedProx to a center: mu / 2 |p - center|^2."""

    regularizer: Any
    mu: Any
    center: Any

    def penalty(self, params):
        own = 0.0 if self.regularizer is None else self.regularizer.penalty(params)
        away = tree.sub(params, self.center)
        return own + self.mu / 2 * tree.dot(away, away).real


def _moved(params: Any, start: Any) -> Any:
    """How far each client's floats are from where they started."""
    return tree.map(
        lambda p, s: tree.wide(p) - s if tree.is_float(s) else jnp.zeros(len(p)), params, start
    )


def _share(weight: Array, update: Any) -> Any:
    """weight times update; nothing where the weight is 0, even if the update is NaN."""
    return tree.map(lambda x: jnp.where(weight > 0, weight * x, 0), update)


SERVER = sgd(1.0)


def fed_avg(
    model: Any, loss: Any, data: Any, clients: Clients, optimizer: Any, server: Any = SERVER,
    regularizer: Any = None, epochs: int = 1, batch_size: int | None = None,
    clients_per_round: int | None = None, mu: Any = None, max_norm: Any = None,
    noise_multiplier: Any = None, secure: Any = None, at_a_time: int | None = None,
    metrics: Any = None,
) -> Training:  # fmt: skip
    """A `Training` by the optimizer `server` whose estimator is `Federated(clients, optimizer)`.

    The clients' numbers are named estimator.local.*, the server's optimizer.*.

    >>> import jaxopt_edu as jo
    >>> digits = jo.data.load("digits")
    >>> experiment = jo.federated.fed_avg(
    ...     model=jo.models.Linear(64, 10),
    ...     loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    ...     data=digits, clients=jo.federated.dirichlet_split(digits.train.y, 50, alpha=0.5),
    ...     optimizer=jo.sgd(0.1), batch_size=10,
    ... )
    >>> jo.hyperparameters(experiment)
    {'optimizer.learning_rate': 1.0, 'estimator.local.learning_rate': 0.1}
    """
    for name, given in (("server", server), ("optimizer", optimizer)):
        if is_optax(given):
            raise refuse_optax(name)
    estimator = Federated(
        clients, optimizer, epochs, batch_size, clients_per_round, mu, max_norm, noise_multiplier,
        secure, at_a_time,
    )  # fmt: skip
    return Training(model, loss, server, data, regularizer, metrics=metrics, estimator=estimator)
