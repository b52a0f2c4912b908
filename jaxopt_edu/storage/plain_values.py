"""Values that JSON has no word for, as JSON and back: numbers of NumPy, arrays, dtypes, keys."""

import base64
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

FEW = 1000  # numbers that are written one by one; more of them as bytes
SCALARS = type(jnp.float32)  # the class of jax.numpy.float32 and its like


def plainly(x: Any) -> Any:
    """A value of these kinds as JSON; NotImplemented for another one."""
    if x is None or type(x) in (bool, int, str):
        return x
    if type(x) is float:
        return x if math.isfinite(x) else {"float": str(x)}
    if type(x) is complex:
        return {"complex": [plainly(x.real), plainly(x.imag)]}
    if type(x) is bytes:
        return {"bytes": _text(x)}
    if x is Ellipsis:
        return {"ellipsis": None}
    if isinstance(x, np.generic) and x.dtype.names is None and not x.dtype.hasobject:
        return {"number": _numbers(np.asarray(x)), "dtype": _name(x.dtype)}
    if isinstance(x, np.ndarray | jax.Array):
        return _array(x)
    return _dtype(x)


def _dtype(x: Any) -> Any:
    if isinstance(x, np.dtype) and not x.hasobject and x.names is None:
        return {"dtype": _name(x)}
    if isinstance(x, SCALARS):
        return {"dtype": np.dtype(x).name, "of": "jax.numpy"}
    if isinstance(x, type) and issubclass(x, np.generic) and x.__module__ == "numpy":
        try:
            return {"dtype": np.dtype(x).name, "of": "numpy"}
        except TypeError:
            return NotImplemented
    return NotImplemented


def _array(x: Any) -> Any:
    if isinstance(x, jax.core.Tracer) or np.ma.isMA(x):
        return NotImplemented
    if isinstance(x, jax.Array):
        if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            implementation = str(jax.random.key_impl(x))
            return {"keys": np.asarray(jax.random.key_data(x)).tolist(), "kind": implementation}
        told = _array(np.asarray(x))
        return told | {"of": "jax.numpy"} | ({"weak": True} if x.weak_type else {})
    if x.dtype.hasobject or x.dtype.names is not None:
        return NotImplemented
    shape = {"shape": list(x.shape)} if x.size == 0 or x.ndim == 0 else {}
    return {"array": _numbers(x), "dtype": _name(x.dtype), **shape}


def _name(dtype: np.dtype) -> str:
    """How NumPy finds the dtype again: by its name, or with its length or unit and byte order."""
    return dtype.str if dtype.kind in "USMm" or not dtype.isnative else dtype.name


def _numbers(x: np.ndarray) -> Any:
    """The numbers as lists where JSON has them all, else {"bytes": ...} in C order."""
    numbers = x.dtype.kind == "f" and x.dtype.itemsize <= 8 and bool(np.isfinite(x).all())
    if (numbers or x.dtype.kind in "biuU") and x.size <= FEW:
        return x.tolist()
    return {"bytes": _text(x.tobytes()), "shape": list(x.shape)}


def _text(x: bytes) -> str:
    return base64.b64encode(x).decode()


# ------------------------------------------------------------------------------------- back


def number(held: Any, told: dict[str, Any]) -> Any:
    """A number of NumPy."""
    return _of_numbers(held, np.dtype(told["dtype"]))[()]


def array(held: Any, told: dict[str, Any]) -> Any:
    """An array of NumPy or JAX; in older files there is no dtype."""
    if "dtype" not in told:
        return jnp.asarray(held)
    x = _of_numbers(held, np.dtype(told["dtype"]))
    x = x.reshape(told["shape"]) if "shape" in told else x
    if told.get("of") != "jax.numpy":
        return x
    if told.get("weak") and x.ndim == 0:
        return jnp.asarray(x.item())
    return jnp.asarray(x)


def _of_numbers(held: Any, dtype: np.dtype) -> np.ndarray:
    if isinstance(held, dict):
        flat = np.frombuffer(base64.b64decode(held["bytes"]), dtype)
        return flat.reshape(held["shape"]).copy()
    return np.asarray(held, dtype)


def dtype(held: Any, told: dict[str, Any]) -> Any:
    """A dtype as it was given: NumPy's, or the type of numbers of NumPy or JAX."""
    if "of" not in told:
        return np.dtype(held)
    return getattr(jnp, held) if told["of"] == "jax.numpy" else np.dtype(held).type


def keys(held: Any, told: dict[str, Any]) -> Any:
    """Typed random keys."""
    return jax.random.wrap_key_data(jnp.asarray(held, jnp.uint32), impl=told["kind"])


BACK = {
    "float": lambda held, told: float(held),
    "complex": lambda held, told: complex(*(x if isinstance(x, float) else float(x) for x in held)),
    "bytes": lambda held, told: base64.b64decode(held),
    "ellipsis": lambda held, told: ...,
    "number": number,
    "array": array,
    "dtype": dtype,
    "keys": keys,
}
