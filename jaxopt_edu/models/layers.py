"""What models are made of: activations, initial weights, dense layers, dropout."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.custom_derivatives import SymbolicZero

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "identity": lambda x: x,
}

# variance of a weight, from the number of inputs and outputs of its layer
VARIANCES = {
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
    "zeros": lambda fan_in, fan_out: 0.0,
}


def layer_init(
    key: Array, shape: tuple[int, ...], fans: tuple[int, int], scheme: str, gain: Any
) -> dict[str, Array]:
    """Weights gain N(0, variance of the scheme for these numbers of inputs and outputs), biases 0.

    The last axis of the shape is that of the outputs.
    """
    deviation = VARIANCES[scheme](*fans) ** 0.5
    dtype = jnp.result_type(float)
    w = gain * deviation * jax.random.normal(key, shape, dtype)
    return {"w": w.astype(dtype), "b": jnp.zeros(shape[-1], dtype)}


def dense_init(key: Array, fan_in: int, fan_out: int, scheme: str, gain: Any) -> dict[str, Array]:
    """Initial weights (fan_in, fan_out) and biases (fan_out,)."""
    return layer_init(key, (fan_in, fan_out), (fan_in, fan_out), scheme, gain)


def dense(layer: dict[str, Array], x: Array) -> Array:
    """x w + b"""
    return product(x, layer["w"]) + layer["b"]


def readout(layer: dict[str, Array], x: Array) -> Array:
    """The last dense layer: (n, outputs), or (n,) where outputs is 1."""
    out = dense(layer, x)
    return out[:, 0] if out.shape[1] == 1 else out


@jax.custom_jvp
def product(x: Array, w: Array) -> Array:
    """x w for x (n, inputs) and w (inputs, outputs).

    Its derivative is the usual one, but x^T and w^T are laid out in memory before they are factors
    of the gradients x^T g and g w^T: XLA's fast kernels for a CPU take no transposed factors, and
    without them these products took as long as all the rest of a training step (jax 0.10.2). And
    under vmap over w alone, an x that is no larger than w is copied for each w: of one product with
    all w side by side, XLA would turn every result round again.
    """
    return _own(x, w) @ w


def _product_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    (x, w), (dx, dw) = primals, tangents
    out = product(x, w)
    moved = jnp.zeros_like(out)
    if not isinstance(dx, SymbolicZero):
        moved = _times(dx, lax.optimization_barrier(w.T), 1)
    if not isinstance(dw, SymbolicZero):
        moved = moved + _times(lax.optimization_barrier(_own(x, w).T), dw, 0)
    return out, moved


def _times(a: Array, b: Array, axis: int) -> Array:
    """The products of a and b summed over this axis of both."""
    return lax.dot_general(a, b, (((axis,), (axis,)), ((), ())))


product.defjvp(_product_jvp, symbolic_zeros=True)


@jax.custom_jvp
def _own(x: Array, w: Array) -> Array:
    """x; where w is one of many in a batch and x is not, each has its own x, if that is small."""
    return _spread(x, w) if x.size <= w.size else x


@_own.defjvp
def _own_jvp(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return _own(*primals), tangents[0]


@jax.custom_batching.custom_vmap
def _spread(x: Array, w: Array) -> Array:
    return x


@_spread.def_vmap
def _spread_over(size: int, batched: list, x: Array, w: Array) -> tuple[Array, bool]:
    many_x, many_w = batched
    if many_w and not many_x:
        x = jnp.broadcast_to(x, (size, *x.shape))
    return x, many_x or many_w


def dropout(key: Array, x: Array, rate: Any) -> Array:
    """Each x_i is 0 with probability rate, else x_i / (1 - rate): the mean is kept.

    Source: Srivastava et al. 2014 (JMLR 15), in the inverted form.
    """
    kept = jax.random.uniform(key, x.shape) >= rate
    return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), 0)


def check_input(x: Array, wanted: int, model: str) -> None:
    """ValueError where x is not (n, wanted)."""
    if jnp.ndim(x) != 2 or jnp.shape(x)[1] != wanted:
        raise ValueError(f"{model} wants x of shape (n, {wanted}), got {jnp.shape(x)}")
