"""Where a training runs: on one device, or on a mesh whose devices share the rows of each batch.

Nothing here says how devices talk to each other. Arrays are told how they are split, and XLA's
partitioner puts sums over the devices where a step needs them. A step is traced within the mesh
(`Placement.entered`), and what has rows in it is split by `split_rows`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from jaxopt_edu.values import tree

__all__ = ["Placement", "shares", "split_rows"]


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

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """While a step is traced: `split_rows` and `shares` know the mesh."""
        if self.mesh is None:
            yield
            return
        with jax.sharding.use_abstract_mesh(self.mesh.abstract_mesh):
            yield

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
        homes = tree.map(lambda x: self.everywhere, state)
        parts = {name: tree.map(self.by_largest, getattr(state, name)) for name in shared}
        return homes._replace(**parts) if parts else homes

    @property
    def everywhere(self) -> Any:
        """All of an array on every device."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    @property
    def by_rows(self) -> Any:
        """A share of the rows on each device."""
        if self.mesh is None:
            return None
        return NamedSharding(self.mesh, PartitionSpec(self.mesh.axis_names))

    def by_largest(self, x: Any) -> Any:
        """A share of the largest axis that can be split evenly; all of it where none can."""
        assert self.mesh is not None
        axes = [i for i, size in enumerate(x.shape) if size and size % self.mesh.size == 0]
        if not axes:
            return self.everywhere
        axis = max(axes, key=lambda i: x.shape[i])
        spec = PartitionSpec(*[None] * axis, self.mesh.axis_names)
        return NamedSharding(self.mesh, spec)

    def placed(self, lanes: Any, shared: tuple[str, ...], device: Any) -> Any:
        """The lanes of a tile, from wherever they are, on a device or on those of the mesh.

        Their arrays have an axis of lanes in front, which no device splits.
        """
        if self.mesh is None:
            return jax.device_put(lanes, device)
        one = tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), lanes)
        homes = tree.map(lambda x: self.everywhere, one)
        homes = homes._replace(state=self.shardings(one.state, shared))
        if one.best is not None:
            state = self.shardings(one.best.state, shared)
            homes = homes._replace(best=homes.best._replace(state=state))
        return jax.tree.map(_put_lanes, lanes, homes)

    def put(self, x: Any, device: Any = None) -> Any:
        """The arrays of a tree on a device, or on every one of the mesh."""
        return jax.device_put(x, device) if self.mesh is None else tree.map(self._put, x)

    def _put(self, x: Any) -> Any:
        if not np.ndim(x):
            return x
        x = np.asarray(x)
        x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)
        return jax.make_array_from_callback(x.shape, self.everywhere, lambda index: x[index])


def _put_lanes(x: Any, home: NamedSharding) -> Any:
    """Lanes, each of which has this home; every process has all of x."""
    spec = NamedSharding(home.mesh, PartitionSpec(None, *home.spec))
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = np.asarray(jax.random.key_data(x))
        whole = NamedSharding(home.mesh, PartitionSpec())
        put = jax.make_array_from_callback(data.shape, whole, lambda index: data[index])
        return jax.random.wrap_key_data(put, impl=jax.random.key_impl(x))
    x = np.asarray(x)
    return jax.make_array_from_callback(x.shape, spec, lambda index: x[index])
