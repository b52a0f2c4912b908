"""To and from optax.

Ours go where optax's go as they are: into `optax.chain`, Flax's TrainState, nnx.Optimizer and
Equinox's loops, for init and update have optax's signatures. `to_optax` is for numbers that change
or are arrays there; `from_optax` makes a value of what optax has and this library has not.
"""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.core import Transform
from jaxopt_edu.names import hyperparameters
from jaxopt_edu.space import Distribution
from jaxopt_edu.tree import is_float, wide
from jaxopt_edu.value import nearest, number, pytree, show, static

if TYPE_CHECKING:
    import optax

__all__ = ["FromOptax", "from_optax", "to_optax"]


# ------------------------------------------------------------------------------------- to optax


class OptaxState(NamedTuple):
    """The numbers of an optimizer by name, and its own state, named as optax names them."""

    hyperparams: dict[str, Any]
    inner_state: Any


def to_optax(optimizer: Transform) -> "optax.GradientTransformationExtraArgs":
    """The optimizer as optax's pair of functions, its numbers in the state.

    The state is (hyperparams, inner_state), as that of optax.inject_hyperparams. So the numbers
    are data: they change without a new trace, by `optax.tree.set(state, learning_rate=0.1)` or
    `state.hyperparams["learning_rate"] = 0.1`, are saved with the state, and a vmap over states
    maps over them. `tx.init` puts the optimizer's own numbers there; nothing else reads them.
    Where it is needed: nnx.Optimizer refuses arrays outside the state; TrainState and optax.chain
        make the numbers part of the program, which is compiled anew for new ones; optax.chain
        keeps value= and other extra arguments from ours unless they come by `to_optax`.
    Make tx once: two of them are different structures to jax.jit, even of equal optimizers.
    Errors: TypeError at `tx.init` where a distribution stands in the place of a number.
    Agrees with: the optimizer itself, 1e-12 in float64; the numbers have the precision of arrays.

    >>> import jaxopt_edu as jo
    >>> tx = jo.to_optax(jo.sgd(0.5))
    >>> state = tx.init(params=jnp.ones(2))
    >>> state.hyperparams["learning_rate"] = 0.25
    >>> tx.update(jnp.ones(2), state)[0]
    Array([-0.25, -0.25], dtype=float32)
    """
    import optax

    names = list(hyperparameters(optimizer))
    structure = jax.tree.structure(optimizer)

    def init(params):
        numbers = map(_strong, jax.tree.leaves(optimizer))
        return OptaxState(dict(zip(names, numbers, strict=True)), optimizer.init(params))

    def update(updates, state, params=None, **extra):
        ours = jax.tree.unflatten(structure, [state.hyperparams[name] for name in names])
        updates, inner = ours.update(updates, state.inner_state, params, **extra)
        return updates, OptaxState(dict(state.hyperparams), inner)

    return optax.GradientTransformationExtraArgs(init, update)


def _strong(x: Any) -> Any:
    """x as an array of the dtype it has, which a Python number has only weakly."""
    x = jnp.asarray(x)
    return jnp.asarray(x, x.dtype)


# ----------------------------------------------------------------------------------- from optax


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Fixed:
    """An argument, or a part of one, that is structure."""

    value: Any


@pytree
class FromOptax:
    """An optimizer of optax as a value: see `from_optax`, which makes it."""

    factory: Callable = static()
    arguments: dict[str, Any] = number()
    inlined = "arguments"

    def __post_init__(self):
        parameters = inspect.signature(self.factory).parameters
        sizes = {name for name, p in parameters.items() if p.annotation in (int, int | None)}
        marked = {name: _mark(name, x, name in sizes) for name, x in self.arguments.items()}
        object.__setattr__(self, "arguments", marked)

    def given(self) -> dict[str, Any]:
        """The arguments as the factory wants them, in its order."""
        names = inspect.signature(self.factory).parameters
        return {name: _unmark(self.arguments[name]) for name in names if name in self.arguments}

    def init(self, params):
        return jax.tree.map(_strong, self.factory(**self.given()).init(params))

    def update(self, updates, state, params=None, **extra):
        import optax

        optimizer = optax.with_extra_args_support(self.factory(**self.given()))
        old = updates, state
        try:
            new = optimizer.update(*jax.tree.map(_wide, (*old, params)), **extra)
        except TypeError as error:
            if "required keyword-only argument" not in str(error):
                raise
            wanted = str(error).partition("argument")[2].partition(":")[2].lstrip("s: ") or str(
                error
            )
            raise TypeError(
                f"{self.__name__}: its update wants more than it was told: {wanted}. A `Training` "
                "tells its optimizer value=, the loss, and nothing else"
            ) from error
        return jax.tree.map(lambda x, old: jnp.asarray(x, jnp.result_type(old)), new, old)

    def learning_rates(self, state: Any) -> list:
        """The learning rate at this state, where one was given: what `learning_rate_of` wants."""
        import optax

        rate = _unmark(self.arguments.get("learning_rate"))
        if not callable(rate):
            return [] if rate is None else [rate]
        clock = optax.ScaleByScheduleState
        parts = jax.tree.leaves(state, is_leaf=lambda part: isinstance(part, clock))
        return [rate(part.count) for part in parts if isinstance(part, clock)][:1]

    @property
    def __name__(self):
        """What a table calls it: optax.lion."""
        return _public_name(self.factory)

    def __repr__(self):
        shown = [f"{name}={show(x)}" for name, x in self.given().items()]
        return f"from_optax({', '.join([self.__name__, *shown])})"


def from_optax(factory: Callable, *args: Any, **arguments: Any) -> FromOptax:
    """An optimizer of optax, or of any function that returns one, as a value like ours.

    Of the arguments given, floats, arrays and distributions are hyperparameters, and so are the
    numbers of our own schedules and optimizers among them: they are swept, mapped, differentiated.
    The rest is structure: bools, strings, dtypes, functions, and integers where the signature says
    int (memory_size, seed). Arguments not given keep their defaults and are no hyperparameters.
    A function of your own may return a chain, and makes structure of the floats it gives itself.
    Dtypes: as ours: updates and state keep the dtypes of the gradients and of `init`, so that
        lax.scan can carry them, and bfloat16 and float16 are computed with as float32. optax alone
        computes in bfloat16, or changes the state to float32 where a number is a float32 array.
    Extra arguments of update (value=, grad=, value_fn=) reach the optimizers that take them.
    Errors: TypeError for an unknown or missing argument, for an optimizer in the place of the
        function, for a distribution in the place of an int. Bounds are not checked.
    Agrees with: the same optax optimizer, called with the same arrays, to rounding.

    >>> import jaxopt_edu as jo
    >>> import optax
    >>> jo.from_optax(optax.lion, 1e-4, weight_decay=0.1, mask=jo.weights_only)
    from_optax(optax.lion, learning_rate=0.0001, weight_decay=0.1, mask=weights_only)
    >>> jo.hyperparameters(_)
    {'learning_rate': 0.0001, 'weight_decay': 0.1}
    """
    if isinstance(factory, functools.partial):  # such as optax.nadam
        return from_optax(factory.func, *factory.args, *args, **factory.keywords | arguments)
    if not callable(factory):
        raise TypeError(f"factory = {show(factory)}: wanted a function, such as optax.adam")
    name, signature = _public_name(factory), inspect.signature(factory)
    known = signature.parameters
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in known.values()):
        raise TypeError(f"{name}{signature}: wanted a function whose arguments all have names")
    for argument in arguments:
        if argument not in known:
            raise TypeError(f"{name} has no argument {argument!r}; {nearest(argument, known)}")
    try:
        return FromOptax(factory, dict(signature.bind(*args, **arguments).arguments))
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def _wide(x: Any) -> Any:
    """x in at least float32 if it holds floats."""
    return wide(x) if is_float(x) else x


def _mark(name: str, x: Any, size: bool) -> Any:
    """An argument with `Fixed` around all that is structure in it."""

    def mark(leaf):
        if size and isinstance(leaf, Distribution):
            raise TypeError(f"{name} = {leaf!r}: wanted an integer, or one_of(...) to try several")
        fixed = callable(leaf) or isinstance(leaf, bool | np.bool_ | str | np.dtype)
        return Fixed(leaf) if fixed or (size and isinstance(leaf, int | np.integer)) else leaf

    return jax.tree.map(mark, x)


def _unmark(x: Any) -> Any:
    """The inverse of `_mark`."""

    def is_fixed(part):
        return isinstance(part, Fixed)

    return jax.tree.map(lambda part: part.value if is_fixed(part) else part, x, is_leaf=is_fixed)


def _public_name(factory: Callable) -> str:
    """optax.lion, or the function's own name."""
    import optax.contrib

    public = {"optax": optax, "optax.contrib": optax.contrib}
    names = (f"{m}.{n}" for m in public for n, x in vars(public[m]).items() if x is factory)
    return next(names, show(factory))
