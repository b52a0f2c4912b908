"""Functions that are compiled as hard as it is worth, by backend and size."""

import functools
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

import jax
import jaxlib

P = ParamSpec("P")
T = TypeVar("T")

# What XLA is told on a CPU. Its third level of optimization takes long, for random numbers most of
# all, and small programs do not run faster by it; without any, they run ten times slower.
QUICKLY = {"xla_backend_optimization_level": 2}
AT_ONCE: dict[str, Any] = {"xla_backend_optimization_level": 0}
if jaxlib.version.__version_info__ < (0, 11):  # later ones have no such option
    AT_ONCE["xla_cpu_use_fusion_emitters"] = False


class Compiled(Generic[P, T]):
    """A jitted function whose first argument is static, and says whether it is `small`.

    static, donated: names of arguments. small, large: what XLA is told on a CPU.
    """

    def __init__(
        self,
        f: Callable[P, T],
        static: str,
        donated: str = "",
        small: Any = None,
        large: Any = None,
    ):
        functools.update_wrapper(self, f)
        self._f, self._static, self._donated = f, static.split(), donated.split()
        self._told = {True: small, False: large}
        self._jitted = functools.cache(self._jit)

    def _jit(self, backend: str, small: bool) -> Any:
        told = self._told[small] if backend == "cpu" else None
        return jax.jit(
            self._f, static_argnames=self._static, donate_argnames=self._donated,
            compiler_options=told,
        )  # fmt: skip

    def of(self, first: Any) -> Any:
        """The jitted function for such a first argument."""
        return self._jitted(jax.default_backend(), first.small)

    def lower(self, *args: Any) -> Any:
        """What XLA is to compile for such arguments."""
        return self.of(args[0]).lower(*args)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.of(args[0])(*args, **kwargs)


def compiled(static: str, donated: str = "", **told: Any) -> Callable:
    """Makes a function a `Compiled` one."""
    return lambda f: Compiled(f, static, donated, **told)


def traced_once(f: Callable) -> Callable:
    """f(value, *arrays), traced once for all arrays that are alike.

    Python's numbers in the value stay what they are, so that 1 - b2 is as exact as in Python.
    """

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def applied(structure: Any, exact: tuple, others: list, *arrays: Any) -> Any:
        leaves = [x if e is None else e for e, x in zip(exact, others, strict=True)]
        return f(jax.tree.unflatten(structure, leaves), *arrays)

    def apply(value: Any, *arrays: Any) -> Any:
        leaves, structure = jax.tree.flatten(value)
        known = [type(x) in (int, float, complex) for x in leaves]
        exact = tuple(x if k else None for x, k in zip(leaves, known, strict=True))
        others = [None if k else x for x, k in zip(leaves, known, strict=True)]
        return applied(structure, exact, others, *arrays)

    return apply
