"""What all explanations share: checks of their arguments, and a loop in chunks."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
from jax import Array, random

from jaxopt_edu.nn.shapes import array

P = ParamSpec("P")
T = TypeVar("T")

CHUNK = 2**14  # rows that go to predict at once, unless told otherwise


def examples(name: str, x: Any) -> Array:
    """x as an array of floats of shape (n, d), or the error that says what it is instead."""
    x = array(name, x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(f"{name} is {x.dtype}: wanted floats")
    if x.ndim != 2 or 0 in x.shape:
        one = f"; a single example is {name}[None]" if x.ndim == 1 else ""
        raise ValueError(f"{name} has shape {x.shape}: wanted (n, d), one example a row{one}")
    return x


def examples_like(name: str, other: Any, x: Array) -> Array:
    """Examples with the features and the dtype of x."""
    other = examples(name, other)
    if other.shape[1] != x.shape[1]:
        raise ValueError(
            f"{name} has shape {other.shape}, x has shape {x.shape}: wanted as many features"
        )
    return other.astype(x.dtype)


def output_of(predict: Any, x: Array) -> jax.ShapeDtypeStruct:
    """Shape and dtype of predict(x), or the error that says why it cannot be explained."""
    if not callable(predict):
        raise TypeError(
            f"predict is of type {type(predict).__name__}: wanted a function of (n, d), "
            "such as run.apply"
        )
    out: Any = jax.eval_shape(predict, x)
    if not isinstance(out, jax.ShapeDtypeStruct):
        raise TypeError(f"predict returns a {type(out).__name__}: wanted one array")
    if out.shape[:1] != x.shape[:1] or out.ndim > 2:
        raise ValueError(
            f"predict maps {x.shape} to {out.shape}: wanted {x.shape[:1]} or ({len(x)}, outputs)"
        )
    if not jnp.issubdtype(out.dtype, jnp.floating):
        raise TypeError(f"predict returns {out.dtype}: wanted floats, such as probabilities")
    return out


def check_key(key: Any, given: Any, name: str) -> None:
    """ValueError unless there is exactly one of a key and of what is drawn with it."""
    if (key is None) == (given is None):
        got = "neither is" if key is None else "both are"
        raise ValueError(f"key and {name}: {got} given: wanted one, key=jax.random.key(0) say")


def draw_orders(key: Any, count: int, n: int) -> Array:
    """Random orders of n things, (count, n), each order as likely as any other."""
    return random.permutation(key, jnp.tile(jnp.arange(n), (count, 1)), axis=1, independent=True)


def one_program(f: Callable[P, T]) -> Callable[P, T]:
    """f, compiled anew at each call: what predict refers to may have changed since the last one."""
    signature = inspect.signature(f)

    @functools.wraps(f)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        given: dict[str, Any] = signature.bind(*args, **kwargs).arguments
        x = array("x", given.pop("x"))
        explain: Any = functools.partial(f, **given)
        return jax.jit(lambda x: explain(x=x))(x)

    return run


def in_chunks(predict: Callable, x: Array, chunk: int) -> Array:
    """predict(x), of no more rows at once than chunk."""
    return predict(x) if len(x) <= chunk else chunked(lambda row: predict(row[None])[0], x, chunk)


def exact_products() -> Any:
    """Within it, products of float32 are not rounded to fewer bits, as a GPU would to be fast."""
    return jax.default_matmul_precision("highest")


def chunked(f: Callable, xs: Any, size: int) -> Any:
    """f of each of the xs: all at once if they are no more than size, else in turns of size."""
    if jax.tree.leaves(xs)[0].shape[0] <= size:
        return jax.vmap(f)(xs)
    return jax.lax.map(f, xs, batch_size=max(1, size))
