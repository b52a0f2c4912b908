"""The multilayer perceptron."""

from itertools import pairwise
from typing import Any

import jax

from jaxopt_edu.models.layers import (
    ACTIVATIONS,
    VARIANCES,
    check_input,
    dense,
    dense_init,
    dropout,
    readout,
)
from jaxopt_edu.value import number, pytree, static


@pytree
class MLP:
    """Dense layers with an activation, and dropout, between them.

    Formula: h_0 = x;  h_{l+1} = dropout(s(h_l w_l + b_l));  f(x) = h_L w_L + b_L
    Shapes: sizes (inputs, hidden..., outputs); x (n, inputs) -> (n, outputs), or (n,) where
        outputs is 1. Params: a list of {"w": (fan_in, fan_out), "b": (fan_out,)}.
    Initial weights: normal, mean 0, deviation gain sqrt(2 / fan_in) (he),
        gain sqrt(2 / (fan_in + fan_out)) (glorot) or gain sqrt(1 / fan_in) (lecun); biases 0.
    dropout: the probability that a hidden unit is left out of a training step; None: no dropout
        in the program at all.
    Errors: ValueError for fewer than two sizes, an unknown activation or initial, another number
        of features in x.
    Source: He et al. 2015, arXiv:1502.01852; Glorot & Bengio 2010; LeCun et al. 1998; Srivastava
        et al. 2014.

    >>> import jaxopt_edu as jo
    >>> jo.models.MLP((64, 32, 10), dropout=0.1)
    MLP(sizes=(64, 32, 10), dropout=0.1, gain=1.0)
    """

    sizes: tuple[int, ...] = static()
    activation: str = static(default="relu", among=ACTIVATIONS)
    dropout: Any = number(0, 1, default=None, smooth=False)
    initial: str = static(default="he", among=VARIANCES)
    gain: Any = number(0, default=1.0)

    def init(self, key):
        layers = list(pairwise(self.sizes))
        if not layers:
            raise ValueError(f"MLP: sizes = {self.sizes}: wanted (inputs, hidden..., outputs)")
        keys = jax.random.split(key, len(layers))
        return [
            dense_init(k, *fans, self.initial, self.gain)
            for k, fans in zip(keys, layers, strict=True)
        ]

    def apply(self, params, x, key=None):
        check_input(x, self.sizes[0], "MLP")
        *hidden, last = params
        for i, layer in enumerate(hidden):
            x = ACTIVATIONS[self.activation](dense(layer, x))
            if key is not None and self.dropout is not None:
                x = dropout(jax.random.fold_in(key, i), x, self.dropout)
        return readout(last, x)
