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

if not TYPE_CHECKING:
    _attribute = renamed_attributes(__name__, since="0.2.0", FedAvg="fed_avg")

    def __getattr__(name):
        if name == "FedState":
            raise AttributeError(
                "FedState is jo.TrainingState now: (params, model_state, optimizer, loss), whose "
                "optimizer is the server's"
            )
        return _attribute(name)
