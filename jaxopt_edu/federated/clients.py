"""Who has which examples: clients of unequal size, as rows of one table."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from numpy import ndarray

from jaxopt_edu.values.arrays import plain
from jaxopt_edu.values.kinds import of_one_kind
from jaxopt_edu.values.pytrees import Constant, check_count, check_seed, pytree


@pytree
class Clients(Constant):
    """The rows of the training part that belong to each client; a sequence of arrays of rows.

    Shapes: rows (clients, largest size) int32, padded with 0; sizes (clients,) int32.

    >>> import jaxopt_edu as jo
    >>> clients = jo.federated.Clients.of([[0, 3], [1], [2, 4, 5]])
    >>> clients, len(clients), clients[2]
    (Clients(3 clients with 1 to 3 examples), 3, array([2, 4, 5], dtype=int32))
    """

    rows: Any
    sizes: Any

    @classmethod
    def of(cls, parts: Sequence[Any]) -> "Clients":
        """From one list of rows for each client; ValueError where they overlap or are none."""
        parts = [_rows(i, part) for i, part in enumerate(parts)]
        if not parts or not sum(map(len, parts)):
            raise ValueError("clients: wanted a list of rows for each, and rows in at least one")
        every = np.concatenate(parts)
        if every.min() < 0 or len(np.unique(every)) < len(every):
            raise ValueError("clients: wanted rows from 0, none of which belongs to two clients")
        sizes = np.array([len(part) for part in parts], np.int32)
        rows = np.stack([np.pad(part, (0, sizes.max() - len(part))) for part in parts])
        return cls(rows.astype(np.int32), sizes)

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, k: int) -> ndarray:
        return np.asarray(self.rows[k])[: self.sizes[k]]

    def take(self, k: Any) -> tuple[Array, Array]:
        """The padded rows and the sizes of some clients, whose numbers may be traced."""
        return jnp.asarray(self.rows)[k], jnp.asarray(self.sizes)[k]

    def __hash__(self):
        return hash((np.asarray(self.rows).tobytes(), np.asarray(self.sizes).tobytes()))

    def __repr__(self):
        few, many = np.min(self.sizes), np.max(self.sizes)
        return f"Clients({len(self)} clients with {few} to {many} examples)"


def _rows(i: int, part: Any) -> ndarray:
    """Row numbers of a client, or the error that says what else they are."""
    rows = plain(f"clients: part {i}", part)
    if rows.ndim != 1 or (len(rows) and rows.dtype.kind not in "iu"):
        raise TypeError(
            f"clients: part {i} is {rows.dtype} of shape {rows.shape}: wanted row numbers (n,)"
        )
    return rows.astype(np.int64)


def dirichlet_split(labels: Any, clients: int, alpha: float, seed: int = 0) -> Clients:
    """Deals examples to clients that differ in their classes and in their sizes.

    Formula: for each class, the shares of the clients are drawn from Dirichlet(alpha, ..., alpha),
        and its shuffled examples are cut at the rounded cumulative shares.
    alpha: large: all clients alike; small: each has few classes, and some may have no example.
    Shapes: labels (n,) -> clients whose rows are 0 to n - 1, each once.
    Errors: ValueError where labels are no vector or some are missing, clients < 1 or alpha <= 0.
    Source: Hsu, Qi & Brown 2019, arXiv:1909.06335, with the shares drawn for each class.

    >>> import jaxopt_edu as jo
    >>> labels = jo.data.load("digits").train.y
    >>> jo.federated.dirichlet_split(labels, 20, alpha=0.3)
    Clients(20 clients with 13 to 119 examples)
    """
    labels = plain("labels", labels)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"labels have shape {labels.shape}: wanted (n,), the class of each example"
        )
    of_one_kind("a column of labels", "labels", labels)
    check_count("clients", clients)
    if not 0 < alpha < np.inf:
        raise ValueError(f"alpha = {alpha}: wanted a number above 0")
    rng = np.random.default_rng(check_seed(seed, None))
    owner = np.empty(len(labels), int)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        cuts = np.cumsum(rng.dirichlet(np.full(clients, alpha)))
        owner[rows] = np.searchsorted(np.rint(cuts[:-1] * len(rows)), np.arange(len(rows)), "right")
    return Clients.of([np.flatnonzero(owner == k) for k in range(clients)])
