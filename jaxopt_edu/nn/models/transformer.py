"""The transformer's encoder."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.models.layers import (
    ACTIVATIONS,
    activation_of,
    check_input,
    check_model,
    dense,
    dense_init,
    dropout,
    readout,
)
from jaxopt_edu.values.pytrees import number, pytree, static
from jaxopt_edu.values.random_bits import fold_in, written_out

__all__ = ["Transformer"]

EPS = 1e-6  # in a layer norm
POSITION = 0.02  # deviation of the initial position embeddings


@pytree
class Transformer:
    """Blocks of self-attention and a small MLP over the tokens of x, then the mean of the tokens.

    Formula: H = dense(tokens of x) + positions;  in each block
            H = H + dropout(attention(norm(H)));  H = H + dropout(dense(s(dense(norm(H)))))
        f(x) = dense(mean over tokens of norm(H)),  dense(h) = h w^T + b, each with its own w and b
        attention: for each head A = softmax(Q K^T / sqrt(d)) V,  Q, K, V = dense(H) of width
            d = width / heads each; then dense(the heads side by side)
        norm(h) = scale (h - mean(h)) / sqrt(var(h) + 1e-6) + shift, for each token
    Shapes: x (n, inputs), cut into so many tokens of inputs / tokens features (an image with one
        token for each row of pixels) -> (n, outputs), or (n,) where outputs is 1. Params: {"embed",
        "positions": (tokens, width), "blocks": [...], "norm", "head"}.
    hidden: size of the hidden layer of a block's MLP. dropout: as in `MLP`, on what a block adds.
    Initial weights: gain N(0, 1 / fan_in), positions N(0, 0.02^2), biases 0.
    Errors: ValueError where tokens do not divide inputs or heads the width, for another number of
        features in x.
    Source: Vaswani et al. 2017, arXiv:1706.03762; norms before the blocks' parts: Xiong et al.
        2020, arXiv:2002.04745; tokens of pixels and positions: Dosovitskiy et al. 2021,
        arXiv:2010.11929.
    Agrees with: flax.linen's MultiHeadDotProductAttention and LayerNorm, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.models.Transformer(64, 10, tokens=8, dropout=0.1)
    Transformer(inputs=64, outputs=10, tokens=8, dropout=0.1, gain=1.0)
    """

    inputs: int = static(least=1)
    outputs: int = static(least=1, default=1)
    tokens: int = static(least=1, kw_only=True)
    width: int = static(least=1, default=32)
    heads: int = static(least=1, default=4)
    blocks: int = static(least=1, default=1)
    hidden: int = static(least=1, default=64)
    activation: Any = static(default="gelu", among=ACTIVATIONS)
    dropout: Any = number(0, 1, default=None, smooth=False)
    gain: Any = number(0, default=1.0)

    def __post_init__(self):
        check_model(self)

    def init(self, key):
        if self.inputs % self.tokens:
            raise ValueError(
                f"Transformer: tokens = {self.tokens}: wanted a divisor of inputs = {self.inputs}"
            )
        if self.width % self.heads:
            raise ValueError(
                f"Transformer: heads = {self.heads}: wanted a divisor of width = {self.width}"
            )
        embed, positions, blocks, head = jax.random.split(written_out(key), 4)
        shape, dtype = (self.tokens, self.width), jnp.result_type(float)
        return {
            "embed": self._dense(embed, self.inputs // self.tokens, self.width),
            "positions": POSITION * jax.random.normal(positions, shape, dtype),
            "blocks": [self._block(k) for k in jax.random.split(blocks, self.blocks)],
            "norm": norm_init(self.width),
            "head": self._dense(head, self.width, self.outputs),
        }

    def _block(self, key: Array) -> dict[str, Any]:
        qkv, out, up, down = jax.random.split(key, 4)
        return {
            "attention_norm": norm_init(self.width),
            "qkv": self._dense(qkv, self.width, 3 * self.width),
            "out": self._dense(out, self.width, self.width),
            "mlp_norm": norm_init(self.width),
            "up": self._dense(up, self.width, self.hidden),
            "down": self._dense(down, self.hidden, self.width),
        }

    def _dense(self, key: Array, fan_in: int, fan_out: int) -> dict[str, Array]:
        return dense_init(key, fan_in, fan_out, "lecun", self.gain)

    def apply(self, params, x, key=None):
        check_input(x, self.inputs, "Transformer")
        shape = (len(x), self.tokens, self.width)
        h = dense(params["embed"], x.reshape(-1, self.inputs // self.tokens))
        h = (h.reshape(shape) + params["positions"]).reshape(-1, self.width)
        for i, block in enumerate(params["blocks"]):
            attended = attention(block, norm(block["attention_norm"], h), self.tokens, self.heads)
            h = h + self._dropped(key, 2 * i, attended)
            hidden = activation_of(self)(dense(block["up"], norm(block["mlp_norm"], h)))
            h = h + self._dropped(key, 2 * i + 1, dense(block["down"], hidden))
        return readout(params["head"], norm(params["norm"], h).reshape(shape).mean(1))

    def _dropped(self, key: Any, place: int, x: Array) -> Array:
        """x with dropout, where there is any."""
        if key is None or self.dropout is None:
            return x
        return dropout(fold_in(key, place), x, self.dropout)


def attention(block: dict[str, Any], h: Array, tokens: int, heads: int) -> Array:
    """Self-attention of the tokens of each example: (n tokens, width), the tokens in rows."""
    width = h.shape[1]
    size = width // heads
    q, k, v = jnp.unstack(dense(block["qkv"], h).reshape(-1, tokens, 3, heads, size), axis=2)
    weights = jax.nn.softmax(jnp.einsum("nihd,njhd->nhij", q, k) / size**0.5)
    return dense(block["out"], jnp.einsum("nhij,njhd->nihd", weights, v).reshape(-1, width))


def norm(layer: dict[str, Array], h: Array) -> Array:
    """Layer norm of each row."""
    centred = h - h.mean(1, keepdims=True)
    variance = jnp.square(centred).mean(1, keepdims=True)
    return layer["scale"] * centred * jax.lax.rsqrt(variance + EPS) + layer["shift"]


def norm_init(width: int) -> dict[str, Array]:
    """A layer norm that only standardizes."""
    dtype = jnp.result_type(float)
    return {"scale": jnp.ones(width, dtype), "shift": jnp.zeros(width, dtype)}
