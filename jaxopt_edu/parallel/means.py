"""By what means a training is run: what `fit` may be given besides the experiment."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh

from jaxopt_edu.describe import describe
from jaxopt_edu.engine import Settings
from jaxopt_edu.history import History
from jaxopt_edu.parallel.layout import Layout, takes_batches
from jaxopt_edu.prior import Prior
from jaxopt_edu.value import check_count, show


@dataclass(frozen=True)
class Means:
    """Devices, parts of a step, a stream of batches, a directory: see `fit`."""

    mesh: Any = None
    accumulate: int = 1
    batches: Any = None
    prefetch: int = 2
    store: Any = None

    @property
    def given(self) -> dict[str, bool]:
        """Which of them were given."""
        return {
            "mesh": self.mesh is not None,
            "accumulate": self.accumulate != 1,
            "batches": self.batches is not None,
            "store": self.store is not None,
        }

    def check(self, experiment: Any, tol: float | None, tile: int) -> None:
        """ValueError or TypeError that names the argument."""
        name = next(name for name, given in self.given.items() if given)
        if tile != 1:
            raise ValueError(f"tile = {tile}: with {name} the program has 1 lane")
        for name in ("accumulate", "prefetch"):
            check_count(name, getattr(self, name))
        for name in ("mesh", "accumulate", "batches"):
            if self.given[name] and not takes_batches(experiment):
                raise TypeError(
                    f"{name}: {type(experiment).__name__} has a step of its own, which does not "
                    "say how its examples could be shared: wanted a Training"
                )
        if self.batches is not None:
            if not callable(self.batches) and not hasattr(self.batches, "__iter__"):
                raise TypeError(
                    f"batches = {show(self.batches)}: wanted pairs (x, y), or a function that "
                    "makes them"
                )
            _check_stream(experiment, tol)
        self._check_mesh()

    def _check_mesh(self) -> None:
        count = jax.process_count()
        if self.mesh is None:
            if count > 1:
                raise ValueError(
                    f"mesh: this job has {count} processes: give a mesh of all its devices, "
                    "jax.make_mesh((jax.device_count(),), ('data',))"
                )
            return
        if not isinstance(self.mesh, Mesh):
            example = "jax.make_mesh((8,), ('data',))"
            raise TypeError(f"mesh = {self.mesh!r}: wanted a mesh, such as {example}")
        each = Counter(d.process_index for d in self.mesh.devices.flat)
        if set(each) != set(range(count)) or len(set(each.values())) > 1:
            raise ValueError(
                f"mesh has devices, by process: {dict(each)}; wanted as many of each of the "
                f"{count} of this job"
            )

    def layout(self) -> Layout:
        """Where the training lives: on the mesh, or on one device."""
        mesh = self.mesh
        if mesh is None:
            mesh = Mesh(np.array(jax.local_devices()[:1]), ("data",))
        kinds = (AxisType.Auto,) * len(mesh.axis_names)  # jax.make_mesh makes them explicit
        return Layout(Mesh(mesh.devices, mesh.axis_names, axis_types=kinds), int(self.accumulate))

    def asked(
        self, experiment: Any, settings: Settings, history: History, seed: int
    ) -> dict[str, Any]:
        """All that the result depends on, to the last bit but one, as JSON: what a store holds."""
        return {
            "experiment": describe(experiment),
            "steps": settings.steps,
            "seed": int(seed),
            "tol": settings.tol,
            "patience": history.patience,
            "metric": history.metric,
            "mode": "min" if history.sign == 1 else "max",
            "evaluations": list(settings.stops),
            "diverge_above": settings.diverge_above,
            "accumulate": int(self.accumulate),
            "batches": self.batches is not None,
            "float": str(jnp.result_type(float)),
        }


def _check_stream(experiment: Any, tol: float | None) -> None:
    """What needs to know all examples does not go with a stream of batches."""
    if tol is not None:
        raise ValueError(f"tol = {tol}: not with batches, whose gradients are never those of all")
    if experiment.balanced:
        raise ValueError("balanced: not with batches, which are taken as they come")
    if experiment.batch_size is not None:
        raise ValueError(
            f"batch_size = {experiment.batch_size}: with batches it is None, as they say "
            "themselves how many rows they have"
        )
    if getattr(experiment.augment, "mixes", False):
        raise ValueError(
            f"augment = {show(experiment.augment)} mixes examples: not with batches, whose last "
            "ones may be padded"
        )
    if isinstance(experiment.regularizer, Prior):
        raise ValueError(
            f"regularizer = {show(experiment.regularizer)}: not with batches, as nobody knows how "
            "many examples there are"
        )
