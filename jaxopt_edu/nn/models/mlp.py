"""The multilayer perceptron."""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.models.layers import (
    ACTIVATIONS,
    VARIANCES,
    activation_of,
    check_input,
    check_model,
    dense,
    dropout,
    layer_init,
    readout,
)
from jaxopt_edu.values.pytrees import StandIn, number, pytree, static
from jaxopt_edu.values.random_bits import fold_in, written_out


@pytree
class MLP:
    """Dense layers with an activation, and dropout, between them.

    Formula: h_0 = x;  h_{l+1} = dropout(s(h_l w_l^T + b_l));  f(x) = h_L w_L^T + b_L
    Shapes: sizes (inputs, hidden..., outputs); x (n, inputs) -> (n, outputs), or (n,) where
        outputs is 1. Params: a list of {"w": (fan_out, fan_in), "b": (fan_out,)}.
    Initial weights: normal, mean 0, deviation gain sqrt(2 / fan_in) (he),
        gain sqrt(2 / (fan_in + fan_out)) (glorot) or gain sqrt(1 / fan_in) (lecun); biases 0.
    activation: a name, or any function of an array (for which JSON has no name).
    dropout: the probability that a hidden unit is left out of a training step; None: no dropout
        in the program at all.
    units: how many units of each hidden layer there are, at most its size; the others are padding,
        whose weights start and stay at zero. So networks of many widths are one program, which
        costs what the widest costs: cheaper than a program for each width where they are many or
        the trainings are short. None: all, and no padding in the program.
    In a space sizes, one of them, or the activation may be `one_of` or `choice` of several.
    Errors: ValueError for fewer than two sizes, an unknown activation or initial, more units than
        the largest hidden layer has, another number of features in x.
    Source: He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; LeCun et al. 1998; Srivastava
        et al. 2014.

    >>> import jaxopt_edu as jo
    >>> jo.models.MLP((64, 32, 10), dropout=0.1)
    MLP(sizes=(64, 32, 10), dropout=0.1, gain=1.0)
    """

    sizes: tuple[int, ...] = static(least=(1,))
    activation: Any = static(default="relu", among=ACTIVATIONS)
    dropout: Any = number(0, 1, default=None, smooth=False)
    initial: str = static(default="he", among=VARIANCES)
    gain: Any = number(0, default=1.0)
    units: Any = number(1, default=None, smooth=False)

    def __post_init__(self):
        check_model(self)
        if isinstance(self.sizes, StandIn):
            return
        if len(self.sizes) < 2:
            raise ValueError(f"MLP: sizes = {self.sizes}: wanted (inputs, hidden..., outputs)")
        hidden = self.sizes[1:-1]
        if any(isinstance(n, StandIn) for n in hidden):
            return
        most = max(hidden, default=0)
        ends = self.units.bounds() if hasattr(self.units, "bounds") else (self.units,)
        if any(isinstance(x, int | float) and x > most for x in ends):
            raise ValueError(f"units = {self.units}: the largest hidden layer has {most}")

    def init(self, key):
        layers = list(pairwise(self.sizes))
        keys, fans = jax.random.split(written_out(key), len(layers)), list(pairwise(self.counts))
        params = [
            layer_init(k, (inputs,), outputs, fan, self.initial, self.gain)
            for k, (inputs, outputs), fan in zip(keys, layers, fans, strict=True)
        ]
        for layer, (columns, rows) in zip(params, fans, strict=True):
            if self.units is not None:
                outputs, inputs = layer["w"].shape
                layer["w"] *= live(outputs, rows)[:, None] * live(inputs, columns)
        return params

    def apply(self, params, x, key=None):
        check_input(x, self.sizes[0], "MLP")
        *hidden, last = params
        for i, layer in enumerate(hidden):
            x = activation_of(self)(dense(layer, x))
            if self.units is not None:
                x *= live(x.shape[1], self.units).astype(x.dtype)
            if key is not None and self.dropout is not None:
                x = dropout(fold_in(key, i), x, self.dropout)
        return readout(last, x)

    @property
    def counts(self) -> list:
        """How many units each layer has, padding excluded."""
        sizes: list[Any] = list(self.sizes)
        if self.units is not None:
            sizes[1:-1] = [jnp.minimum(self.units, n) for n in sizes[1:-1]]
        return sizes


def live(size: int, count: Any) -> Array:
    """1 for the first units, so many as there are; 0 for padding."""
    return (jnp.arange(size) < count).astype(float)
