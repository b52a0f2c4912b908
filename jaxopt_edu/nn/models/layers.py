"""What models are made of: activations, initial weights, dense layers, dropout."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.models.kernels import matmul
from jaxopt_edu.values.pytrees import StandIn, check, show
from jaxopt_edu.values.random_bits import written_out

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


def check_model(model: Any) -> None:
    """What the models check when they are made: numbers, names, sizes, the activation.

    An activation given as a function that has a name here is stored by that name.
    """
    given: Any = model.activation
    if hasattr(given, "alternatives"):
        named = tuple(map(_activation, given.alternatives))
        given = dataclasses.replace(given, alternatives=named)
    elif not isinstance(given, StandIn):
        given = _activation(given)
    object.__setattr__(model, "activation", given)
    check(model)


def _activation(given: Any) -> Any:
    """The name of an activation; a function that has none as it is."""
    if not isinstance(given, str) and not callable(given):
        raise TypeError(
            f"activation = {show(given)}: wanted a function or one of {', '.join(ACTIVATIONS)}"
        )
    return next((name for name, f in ACTIVATIONS.items() if f is given), given)


def activation_of(model: Any) -> Callable[[Array], Array]:
    """The activation of a model as a function."""
    given = model.activation
    return ACTIVATIONS[given] if isinstance(given, str) else given


def layer_init(
    key: Array, inputs: tuple[int, ...], outputs: int, fans: tuple[Any, Any], scheme: str, gain: Any
) -> dict[str, Array]:
    """Weights gain N(0, variance of the scheme for these numbers of inputs and outputs), biases 0.

    Shapes: w (outputs, *inputs), b (outputs,); w is drawn with the outputs last.
    """
    deviation = VARIANCES[scheme](*fans) ** 0.5
    dtype = jnp.result_type(float)
    w = gain * deviation * jax.random.normal(written_out(key), (*inputs, outputs), dtype)
    return {"w": jnp.moveaxis(w, -1, 0).astype(dtype), "b": jnp.zeros(outputs, dtype)}


def dense_init(key: Array, fan_in: int, fan_out: int, scheme: str, gain: Any) -> dict[str, Array]:
    """Initial weights (fan_out, fan_in) and biases (fan_out,)."""
    return layer_init(key, (fan_in,), fan_out, (fan_in, fan_out), scheme, gain)


def dense(layer: dict[str, Array], x: Array) -> Array:
    """x w^T + b for x (n, inputs), w (outputs, inputs) and b (outputs,), if there is a b."""
    return matmul(x, layer["w"], layer.get("b"))


def readout(layer: dict[str, Array], x: Array) -> Array:
    """The last dense layer: (n, outputs), or (n,) where outputs is 1."""
    out = dense(layer, x)
    return out[:, 0] if out.shape[1] == 1 else out


def dropout(key: Array, x: Array, rate: Any) -> Array:
    """Each x_i is 0 with probability rate, else x_i / (1 - rate): the mean is kept.

    Source: Srivastava et al. 2014 (JMLR 15), in the inverted form.
    """
    kept = jax.random.uniform(written_out(key), x.shape) >= rate
    return jnp.where(kept, x / jnp.asarray(1 - rate, x.dtype), 0)


def check_input(x: Array, wanted: int, model: str) -> None:
    """ValueError where x is not (n, wanted)."""
    if jnp.ndim(x) != 2 or jnp.shape(x)[1] != wanted:
        raise ValueError(f"{model} wants x of shape (n, {wanted}), got {jnp.shape(x)}")
