"""Who holds what: every device the params, and a share of each batch and of the optimizer's state.

Nothing here says how devices talk to each other. Arrays are told where they live, and XLA's
partitioner puts the sums over all devices where a step needs them.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxopt_edu import tree
from jaxopt_edu.experiment import Training, TrainingState
from jaxopt_edu.programs import Lane


@dataclass(frozen=True)
class Layout:
    """A mesh of devices, and how many parts of a batch a step takes one after the other.

    Formula: with batch B in parts B_1, ..., B_k (k = accumulate), W_j the sum of w_i over B_j,
        g = sum_j (W_j / W) gradient of (mean_{i in B_j} loss_i + penalty)
    which is the gradient of the whole batch; the rows of a part are shared by the devices.
    """

    mesh: Mesh
    accumulate: int = 1

    @property
    def everywhere(self) -> NamedSharding:
        """All of an array on every device."""
        return NamedSharding(self.mesh, PartitionSpec())

    @property
    def by_rows(self) -> NamedSharding:
        """A share of the rows on each device."""
        return NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names))

    def by_largest(self, x: Any) -> NamedSharding:
        """A share of the largest axis that can be shared evenly; all of it where none can."""
        axes = [i for i, size in enumerate(x.shape) if size and size % self.mesh.size == 0]
        if not axes:
            return self.everywhere
        axis = max(axes, key=lambda i: x.shape[i])
        spec = PartitionSpec(*[None] * axis, self.mesh.axis_names)
        return NamedSharding(self.mesh, spec)

    def homes(self, state: Any) -> Any:
        """Where each leaf of an experiment's state lives."""
        homes = tree.map(lambda x: self.everywhere, state)
        if not isinstance(state, TrainingState):
            return homes
        return homes._replace(optimizer=tree.map(self.by_largest, state.optimizer))

    def homes_of_lane(self, lane: Lane) -> Lane:
        """Where each leaf of a training lives."""
        homes = tree.map(lambda x: self.everywhere, lane)
        return homes._replace(state=self.homes(lane.state))

    def put(self, x: Any) -> Any:
        """The arrays of a tree on every device; each process has them all. Numbers stay numbers."""
        return tree.map(lambda leaf: self._put(leaf) if np.ndim(leaf) else leaf, x)

    def _put(self, x: Any) -> Array:
        x = np.asarray(x)
        x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)
        return jax.make_array_from_callback(x.shape, self.everywhere, lambda index: x[index])

    # ------------------------------------------------------------------------------ inside jit

    def settle(self, state: Any) -> Any:
        """A state whose leaves are where they live."""
        return lax.with_sharding_constraint(state, self.homes(state))

    def step(self, experiment: Any, state: Any, t: Array, key: Array) -> Any:
        """The state after step t."""
        if not takes_batches(experiment):
            return experiment.step(state, t, key)
        return self.learn(experiment, state, experiment.batch(t, key), t, key)

    def learn(self, experiment: Any, state: Any, batch: tuple, t: Array, key: Array) -> Any:
        """The state after step t on a batch, whose rows the devices share."""
        batch = self.spread(experiment.augmented(t, key, *batch))
        key = experiment.dropout_key(t, key)
        grads, loss = self.gradient(experiment, state.params, batch, key)
        return self.settle(experiment.take_step(state, grads, loss, value=loss))

    def gradient(self, experiment: Any, params: Any, batch: tuple, key: Array) -> Any:
        """The gradient of a batch, part by part, and its loss."""
        if self.accumulate == 1:
            return experiment.gradient(params, batch, key)
        parts, total = tree.map(self.in_parts, batch), jnp.sum(batch[2])

        def add(sums, numbered):
            j, part = numbered
            new = experiment.gradient(params, part, random.fold_in(key, j))
            share = jnp.sum(part[2]) / total
            return tree.map(lambda s, g: s + share.astype(s.dtype) * g, sums, new), None

        first = tree.map(lambda x: x[0], parts)
        like = jax.eval_shape(experiment.gradient, params, first, key)
        zeros = tree.map(lambda x: tree.wide(jnp.zeros(x.shape, x.dtype)), like)
        sums, _ = lax.scan(add, zeros, (jnp.arange(self.accumulate), parts))
        return tree.map(lambda s, x: s.astype(x.dtype), sums, like)

    def spread(self, batch: tuple) -> tuple:
        """A batch shared by rows; where it does not come out even, rows of weight 0 are added."""
        x, y, weights = batch
        n = len(x)
        short = self.short(n)
        if weights is None and (short or self.accumulate > 1):
            weights = jnp.ones(n, jnp.result_type(float))
        if short:
            rows = jnp.minimum(jnp.arange(n + short), n - 1)
            x, y = tree.map(lambda a: a[rows], (x, y))
            weights = jnp.pad(weights, (0, short))
        batch = x, y, weights
        return lax.with_sharding_constraint(batch, tree.map(lambda x: self.by_rows, batch))

    def short(self, rows: int) -> int:
        """How many rows are missing so that every device has as many in every part."""
        return -rows % (self.mesh.size * self.accumulate)

    def short_here(self, rows: int) -> int:
        """How many are missing of the rows that this process brings."""
        return -rows % (len(self.mesh.local_devices) * self.accumulate)

    def in_parts(self, x: Array) -> Array:
        """(rows, ...) as (parts, rows of a part, ...); each device cuts the rows that it has."""
        devices, parts = self.mesh.size, self.accumulate
        cut = x.reshape(devices, parts, -1, *x.shape[1:]).swapaxes(0, 1)
        spec = PartitionSpec(None, self.mesh.axis_names)
        flat = cut.reshape(parts, -1, *x.shape[1:])
        return lax.with_sharding_constraint(flat, NamedSharding(self.mesh, spec))


def takes_batches(experiment: Any) -> bool:
    """Whether a step is `take_step` after the `gradient` of a `batch`, which can be shared."""
    return isinstance(experiment, Training) and type(experiment).step is Training.step
