"""Federated learning: data stay with the clients, which send updates instead."""

from jaxopt_edu.federated.averaging import Federated
from jaxopt_edu.federated.clients import Clients, dirichlet_split
from jaxopt_edu.federated.recipes import fed_avg
from jaxopt_edu.federated.secure import SecureSum, masked_updates, secure_sum

__all__ = [
    "Clients", "Federated", "SecureSum", "dirichlet_split", "fed_avg", "masked_updates",
    "secure_sum",
]  # fmt: skip
