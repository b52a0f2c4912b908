"""What can be said about a federated training before anything is compiled."""

from typing import Any

import numpy as np

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.federated.clients import Clients
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.train.ingredients import check_optimizer
from jaxopt_edu.values.pytrees import check_count, show

__all__ = ["check_federated"]


def check_federated(estimator: Any, training: Any) -> None:
    """Raises ValueError or TypeError, naming the part."""
    if not isinstance(training.data, Data) or not isinstance(estimator.clients, Clients):
        raise TypeError("fed_avg: wanted data = Data without folds, and clients = Clients")
    check_optimizer("local", estimator.local)
    n, m = len(estimator.clients), estimator.clients_per_round
    last = int(np.max(estimator.clients.rows))
    if last >= training.data.train.size:
        raise ValueError(f"clients: row {last} of {training.data.train.size} training examples")
    if m is not None and not 1 <= m <= n:
        raise ValueError(f"clients_per_round = {m}: wanted 1 to {n}, the number of clients")
    for name in ("epochs", "batch_size", "at_a_time"):
        if getattr(estimator, name) is not None:
            check_count(name, getattr(estimator, name))
    if estimator.noise_multiplier is not None and estimator.max_norm is None:
        raise ValueError("noise_multiplier: wanted max_norm too, the norm that it multiplies")
    if training.regularizer is not None and training.regularizer.needs_learning_rate:
        raise ValueError("regularizer: wanted a penalty, not a proximal or decoupled step")
    if training.batch_size is not None or training.balanced:
        raise ValueError(
            "batch_size, balanced: clients draw their own batches: wanted them in Federated"
        )
    if training.augment is not None:
        raise ValueError("augment: clients train on their examples as they are")
    if training.stateful and (estimator.max_norm is not None or estimator.secure is not None):
        raise ValueError(
            "model: it has a state, which clients would hand over as it is: not with max_norm "
            "or secure"
        )
    _check_full(estimator, training)


def _check_full(estimator: Any, training: Any) -> None:
    """ValueError where a model that mixes examples would mix in the padding of a batch."""
    sizes = np.asarray(estimator.clients.sizes)
    width = estimator.batch_size or int(np.max(sizes))
    if training.stateful and (sizes % width).any() and mixes_rows(training):
        raise ValueError(
            f"model = {show(training.model)} mixes examples, as BatchNorm does, and some clients "
            f"have batches of fewer than {width} examples, whose padding would be mixed in: wanted "
            "a batch_size (of Federated) that divides the sizes of all clients"
        )
