"""Federated trainings in one call."""

from typing import Any

from jaxopt_edu.federated.averaging import Federated
from jaxopt_edu.federated.clients import Clients
from jaxopt_edu.optim.optimizers import sgd
from jaxopt_edu.train import Training
from jaxopt_edu.train.ingredients import is_optax, refuse_optax

__all__ = ["fed_avg"]

SERVER = sgd(1.0)


def fed_avg(
    model: Any,
    loss: Any,
    data: Any,
    clients: Clients,
    optimizer: Any,
    server: Any = SERVER,
    regularizer: Any = None,
    epochs: int = 1,
    batch_size: int | None = None,
    clients_per_round: int | None = None,
    mu: Any = None,
    max_norm: Any = None,
    noise_multiplier: Any = None,
    secure: Any = None,
    at_a_time: int | None = None,
    metrics: Any = None,
) -> Training:
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
