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

    def settled(self, x: Any, shared: tuple[str, ...] = ()) -> Any:
        """A tree whose leaves live where they belong; shared: see `shardings`."""
        if self.mesh is None:
            return x
        return lax.with_sharding_constraint(x, self.shardings(x, shared))

    # ------------------------------------------------------------------------- who holds what

    def shardings(self, x: Any, shared: tuple[str, ...] = (), first: int = 0) -> Any:
        """The sharding of each leaf of a tree: all of it on every device.

        But for what is below the fields of a state that are shared: of its leaves each device has
        a share, along the largest axis, from the `first` on, that can be split evenly.
        """

        def home(path: tuple, leaf: Any) -> NamedSharding:
            if not any(getattr(key, "name", None) in shared for key in path):
                return self._split()
            sizes = dict(enumerate(leaf.shape[first:], first))
            devices = self._split().mesh.size
            axes = [axis for axis, size in sizes.items() if size and size % devices == 0]
            return self._split(max(axes, key=lambda axis: sizes[axis], default=None))

        return jax.tree_util.tree_map_with_path(home, x)

    def _split(self, axis: int | None = None) -> NamedSharding:
        """A share of this axis of an array on each device; None: all of it on every device."""
        assert self.mesh is not None
        axes = () if axis is None else (*[None] * axis, self.mesh.axis_names)
        return NamedSharding(self.mesh, PartitionSpec(*axes))

    @property
    def by_rows(self) -> NamedSharding:
        """A share of the rows on each device of the mesh."""
        return self._split(0)

    def put(self, x: Any, device: Any, shared: tuple[str, ...] = (), first: int = 0) -> Any:
        """The arrays of a tree, from wherever they are, on a device or on those of the mesh.

        shared, first: see `shardings`.
        """
        if self.mesh is None:
            return jax.device_put(x, device)
        return tree.map(_put, x, self.shardings(x, shared, first))


def _put(x: Any, home: NamedSharding) -> Any:
    """An array, all of which every process has, where it belongs; random keys on every device."""
    if not np.ndim(x):
        return x
    if isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
        data = _put(jax.random.key_data(x), NamedSharding(home.mesh, PartitionSpec()))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(x))
    x = np.asarray(x)
    x = x.astype(jax.dtypes.canonicalize_dtype(x.dtype), copy=False)
    return jax.make_array_from_callback(x.shape, home, lambda index: x[index])
