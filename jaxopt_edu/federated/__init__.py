"""Federated learning: data stay with the clients, which send updates instead."""

from typing import TYPE_CHECKING

from jaxopt_edu.federated.averaging import Federated, fed_avg
from jaxopt_edu.federated.clients import Clients, dirichlet_split
from jaxopt_edu.federated.secure import SecureSum, masked_updates, secure_sum
from jaxopt_edu.values.deprecated import renamed_attributes

__all__ = [
    "Clients", "Federated", "SecureSum", "dirichlet_split", "fed_avg", "masked_updates",
    "secure_sum",
]  # fmt: skip

GONE = {
    "FedState": "FedState is jo.TrainingState now: (params, model_state, optimizer, loss), whose "
    "optimizer is the server's"
}
if not TYPE_CHECKING:
    __getattr__ = renamed_attributes(__name__, "0.2.0", GONE, FedAvg="fed_avg")
