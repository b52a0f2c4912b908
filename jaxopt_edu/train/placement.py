"""Where a training runs: on one device, or on a mesh whose devices share the rows of each batch.

Nothing here says how devices talk to each other. Arrays are told how they are split, and XLA's
partitioner puts sums over the devices where a step needs them. A step is traced within the mesh
(`Placement.entered`), and what has rows in it is split by `split_rows`.
"""

import contextlib
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_edu.values import tree


def shares() -> int:
    """Into how many shares rows are split: the devices of the mesh that is entered, or 1."""
    mesh = jax.sharding.get_abstract_mesh()
    return 1 if mesh.empty else mesh.size


def split_rows(x: Any) -> Any:
    """A tree of arrays whose rows are split over the mesh that is entered, or as they are."""
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x
    spec = PartitionSpec(mesh.axis_names)
    return tree.map(lambda leaf: lax.with_sharding_constraint(leaf, spec), x)


@dataclass(frozen=True)
class Placement:
    """One device for each worker, or a mesh that is one worker.

    On a mesh every device has all params, and a share of each batch and of the optimizer's state
    (ZeRO-1). The result is that of one device, to rounding.
    """

    mesh: Mesh | None = None

    @classmethod
    def on(cls, mesh: Mesh | None) -> "Placement":
        """On this mesh; its axes are automatic, as jax.make_mesh makes them explicit."""
        if mesh is None:
            return cls()
        kinds = (AxisType.Auto,) * len(mesh.axis_names)
        return cls(Mesh(mesh.devices, mesh.axis_names, axis_types=kinds))

    @property
    def local_devices(self) -> int:
        """How many of the shares are in this process."""
        return 1 if self.mesh is None else len(self.mesh.local_devices)

    # ---------------------------------------------------------------------------- inside jit

    def entered(self) -> contextlib.AbstractContextManager[Any]:
        """While a step is traced: `split_rows` and `shares` know the mesh."""
        if self.mesh is None:
            return contextlib.nullcontext()
        return jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh)

    def settled(self, state: Any, shared: tuple[str, ...] = ()) -> Any:
        """A state whose leaves live where they belong; shared: its fields that devices split."""
        if self.mesh is None:
            return state
        return lax.with_sharding_constraint(state, self.shardings(state, shared))

    def gathered(self, x: Any) -> Any:
        """A tree with all of every leaf on every device."""
        return self.settled(x)

    # ------------------------------------------------------------------------- who holds what

    def shardings(self, state: Any, shared: tuple[str, ...] = ()) -> Any:
        """The sharding of each leaf of a state."""
        homes = tree.map(lambda x: self._split(), state)
        parts = {name: tree.map(self._by_largest, getattr(state, name)) for name in shared}
        return homes._replace(**parts) if parts else homes

    def _split(self, axis: int | None = None) -> NamedSharding:
        """A share of this axis of an array on each device; None: all of it on every device."""
        assert self.mesh is not None
        axes = () if axis is None else (*[None] * axis, self.mesh.axis_names)
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    def _by_largest(self, x: Any) -> NamedSharding:
        """A share of the largest axis that can be split evenly; all of it where none can."""
        devices = self._split().mesh.size
        axes = [i for i, size in enumerate(x.shape) if size and size % devices == 0]
        return self._split(max(axes, key=lambda i: x.shape[i], default=None))

    @property
    def by_rows(self) -> NamedSharding:
        """A share of the rows on each device of the mesh."""
        return self._split(0)

    def placed(self, lanes: Any, shared: tuple[str, ...], device: Any) -> Any:
        """The lanes of a tile, from wherever they are, on a device or on those of the mesh.

        Their arrays have an axis of lanes in front, which no device splits.
        """
        if self.mesh is None:
            return jax.device_put(lanes, device)
        one = tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), lanes)
        homes = self.shardings(one)._replace(state=self.shardings(one.state, shared))
        if one.best is not None:
            state = self.shardings(one.best.state, shared)
            homes = homes._replace(best=homes.best._replace(state=state))
        return jax.tree.map(_put_lanes, lanes, homes)

    def put(self, x: Any, device: Any) -> Any:
        """The arrays of a tree on a device, or on every one of the mesh."""
        if self.mesh is None:
            return jax.device_put(x, device)
        return tree.map(lambda leaf: _put(leaf, self._split()) if np.ndim(leaf) else leaf, x)


def _put_lanes(x: Any, home: NamedSharding) -> Any:
    """Lanes, each of which has this home."""
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(x), NamedSharding(home.mesh, PartitionSpec()))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    return _put(x, NamedSharding(home.mesh, PartitionSpec(None, *home.spec)))


def _put(x: Any, home: NamedSharding) -> jax.Array:
    """An array, all of which every process has, where it belongs."""
    x = np.asarray(x)
    x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)
    return jax.make_array_from_callback(x.shape, home, lambda index: x[index])
