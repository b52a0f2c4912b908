"""What the adapters share: the library behind them, the example, what a function takes."""

import importlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxopt_edu.values import tree
from jaxopt_edu.values.names import leaves_by_place
from jaxopt_edu.values.pytrees import StandIn, nearest, show

PACKAGES = {"flax": "flax", "equinox": "equinox", "haiku": "dm-haiku"}
OTHER_NAMES = ("training", "is_training", "train", "deterministic", "use_running_average")


def library(module: str, adapter: str) -> Any:
    """A module of another library. Errors: ImportError that says what to install."""
    package = PACKAGES[module.partition(".")[0]]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"jo.models.{adapter} needs {package}: pip install {package}") from error


# --------------------------------------------------------------------------------- the example


def read_example(adapter: Any) -> None:
    """Puts the shape and dtype of an example in its place: all that a model asks of it."""
    given = adapter.example
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        object.__setattr__(adapter, "example", tuple(given.shape))
        if adapter.dtype is None:
            object.__setattr__(adapter, "dtype", _name(given.dtype))
    elif not isinstance(given, tuple | list) or not all(type(n) is int for n in given):
        raise TypeError(f"example = {show(given)[:60]}: {_WANTED}")
    else:
        object.__setattr__(adapter, "example", tuple(given))
    shape = adapter.example
    if not shape or shape[0] != 1 or min(shape) < 1:
        raise ValueError(f"example has shape {shape}: {_WANTED}")
    try:
        jnp.dtype(adapter.dtype or float)
    except TypeError:
        raise TypeError(
            f"dtype = {adapter.dtype!r}: wanted the name of one, as 'int32', or None for floats"
        ) from None


_WANTED = (
    "wanted an array of one example with its leading axis, such as x[:1], or its shape, such as "
    "(1, 13)"
)


def _name(dtype: Any) -> str | None:
    """The name of a dtype as JAX has it; None for floats of the usual size."""
    own = jax.dtypes.canonicalize_dtype(dtype)
    return None if own == jnp.result_type(float) else own.name


def zeros(adapter: Any) -> Any:
    """An example of zeros."""
    return jnp.zeros(adapter.example, adapter.dtype or float)


def check_input(adapter: Any, x: Any) -> None:
    """ValueError where x is no batch of such examples."""
    if jnp.ndim(x) == 0 or jnp.shape(x)[1:] != adapter.example[1:]:
        wanted = ", ".join(map(str, ("n", *adapter.example[1:])))
        raise ValueError(
            f"{type(adapter).__name__} wants x of shape ({wanted}{',' * (wanted == 'n')}), as its "
            f"example is, got {jnp.shape(x)}"
        )


# ------------------------------------------------------------------------ functions and modules


def settled(given: Any) -> list:
    """The value of a field, or what it may become; what is yet to be drawn is left out."""
    several = getattr(given, "alternatives", ()) if isinstance(given, StandIn) else (given,)
    return [one for one in several if not isinstance(one, StandIn)]


def check_function(name: str, given: Any, wanted: str) -> None:
    """TypeError unless it can be called, or is yet to be chosen."""
    for one in settled(given):
        if not callable(one):
            raise TypeError(f"{name} = {show(one)[:60]}: wanted {wanted}")


def check_numbers(name: str, function: Any, numbers: Any) -> None:
    """TypeError unless numbers is a dict of numbers that the function takes by their names."""
    if numbers is None:
        return
    if type(numbers) is not dict or not all(isinstance(n, str) for n in numbers):
        raise TypeError(f"numbers = {show(numbers)[:60]}: wanted a dict by name, {{'rate': 0.1}}")
    for one in settled(function):
        known = inspect.signature(one).parameters
        for number, value in numbers.items():
            if isinstance(value, str | bool) or callable(value):
                raise TypeError(f"numbers: {number} = {show(value)[:60]}: wanted a number")
            if number not in known and not takes_any(one):
                hint = nearest(number, known)
                raise TypeError(f"numbers: {name} {show(one)} takes no {number!r}; {hint}")


def takes_any(function: Callable) -> bool:
    """Whether a function takes arguments of any name."""
    found = inspect.signature(function).parameters.values()
    return any(p.kind is p.VAR_KEYWORD for p in found)


def flag(function: Callable, name: str, adapter: str) -> bool:
    """Whether a function is to be told by this name whether it is in training.

    Errors: TypeError where it wants to be told by another name.
    """
    known = inspect.signature(function).parameters
    if name in known:
        return True
    for other in OTHER_NAMES:
        if other in known:
            raise TypeError(
                f"jo.models.{adapter}: {show(function)} takes {other}=: wanted {name}=, which says "
                "whether it is in training"
            )
    return False


# --------------------------------------------------------------------------- params and state


def check_params(params: Any, instead: str) -> None:
    """TypeError where a parameter holds no floats: it could not be trained."""
    for place, leaf in leaves_by_place(params).items():
        if not tree.is_float(leaf):
            raise TypeError(
                f"the parameter {place} holds {jnp.result_type(leaf)}, which no gradient reaches: "
                f"wanted {instead}"
            )


def kept(old: Any, new: Any, adapter: str) -> Any:
    """The state after a training pass, in the dtypes that it had.

    Errors: ValueError where it has another structure, other shapes, or other kinds of numbers.
    """
    shapes = [{place: _told(x) for place, x in leaves_by_place(s).items()} for s in (old, new)]
    for place in sorted(shapes[0] | shapes[1]):
        was, now = (found.get(place, "nothing") for found in shapes)
        if was != now:
            raise ValueError(
                f"jo.models.{adapter}: a training pass changes the state{place} from {was} to "
                f"{now}: wanted one that keeps its structure, shapes and dtypes"
            )
    leaves = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    cast = [x.astype(was.dtype) if tree.is_float(was) else x for was, x in leaves]
    return jax.tree.unflatten(jax.tree.structure(old), cast)


def _told(x: Any) -> str:
    """Shape and kind of an array: floats of all sizes are of one."""
    dtype = jnp.result_type(x)
    kinds = {"float": jnp.floating, "complex": jnp.complexfloating}
    kind = next((word for word, of in kinds.items() if jnp.issubdtype(dtype, of)), dtype)
    return f"{kind}{list(jnp.shape(x))}"
