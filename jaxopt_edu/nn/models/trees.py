"""Trees that gradient descent can train: every split is a probability."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.nn.models.layers import check_input, dense, dense_init, readout
from jaxopt_edu.values.pytrees import check_count, number, pytree, static

__all__ = ["ObliviousTrees", "SoftTree"]


@pytree
class SoftTree:
    """A decision tree whose nodes send x to the right with a probability, not altogether.

    Formula: P(right at node i) = sigmoid(beta (x w_i + b_i));
        log P_l = sum over the path to leaf l of log P(right) or log P(left);
        f(x) = sum_l P_l q_l + b
        Products of 12 probabilities, and their gradients, would underflow where sums of logarithms
        do not.
    Shapes: x (n, inputs) -> (n, outputs), or (n,) where outputs is 1. Params: {"splits": w
        (2^depth - 1, inputs), b (2^depth - 1,); "leaves": w = q^T (outputs, 2^depth), b}: nodes
        level by level, each level and the leaves from left to right.
    beta: how sharp the splits are; as it grows they become those of a decision tree.
    Initial weights: splits gain N(0, 1 / inputs), leaves 0.
    Errors: ValueError for depth < 1, another number of features in x.
    Source: Frosst & Hinton 2017, arXiv:1711.09784, section 2; their leaves are distributions and
        a penalty wants even splits; ours are any numbers, so that all losses go, and without it.

    >>> import jaxopt_edu as jo
    >>> jo.models.SoftTree(64, 10, depth=5)
    SoftTree(inputs=64, outputs=10, depth=5, beta=1.0, gain=1.0)
    """

    inputs: int = static(least=1)
    outputs: int = static(least=1, default=1)
    depth: int = static(default=6)
    beta: Any = number(0, default=1.0)
    gain: Any = number(0, default=1.0)

    def init(self, key):
        check_count("SoftTree: depth", self.depth)
        leaves = 2**self.depth
        return {
            "splits": dense_init(key, self.inputs, leaves - 1, "lecun", self.gain),
            "leaves": dense_init(key, leaves, self.outputs, "zeros", 0.0),
        }

    def apply(self, params, x, key=None):
        return readout(params["leaves"], jnp.exp(self.log_paths(params, x)))

    def log_paths(self, params: Any, x: Array) -> Array:
        """log P_l of every leaf: (n, 2^depth)."""
        check_input(x, self.inputs, "SoftTree")
        z = sharpened(self.beta, dense(params["splits"], x))
        paths = jnp.zeros_like(z, shape=(len(x), 1))
        for level in range(self.depth):
            first = 2**level - 1
            paths = branch(paths, z[:, first : 2 * first + 1])
        return paths


@pytree
class ObliviousTrees:
    """The mean of trees in which all nodes of a level ask the same question.

    Formula: P(right at level j of tree t) = sigmoid(beta (x w_tj + b_tj));
        log P_tl = sum over the levels of log P(right) or log P(left), as leaf l has it;
        f(x) = 1/trees sum_t sum_l P_tl q_tl + b
    Shapes: x (n, inputs) -> (n, outputs), or (n,) where outputs is 1. Params: {"splits": w
        (trees depth, inputs), b; "leaves": w = q^T (outputs, trees 2^depth), b}, tree by tree.
    beta: how sharp the splits are.
    Initial weights: splits gain N(0, 1 / inputs), leaves 0.
    Errors: ValueError for depth < 1 or trees < 1, another number of features in x.
    Source: Popov et al. 2019, arXiv:1909.06312, section 3.1, in a simple form: their splits choose
        features by entmax and are stacked in layers, ours are weighted sums in one layer.

    >>> import jaxopt_edu as jo
    >>> jo.models.ObliviousTrees(64, 10, trees=8, depth=4)
    ObliviousTrees(inputs=64, outputs=10, trees=8, depth=4, beta=1.0, gain=1.0)
    """

    inputs: int = static(least=1)
    outputs: int = static(least=1, default=1)
    trees: int = static(default=16)
    depth: int = static(default=6)
    beta: Any = number(0, default=1.0)
    gain: Any = number(0, default=1.0)

    def init(self, key):
        check_count("ObliviousTrees: depth", self.depth)
        check_count("ObliviousTrees: trees", self.trees)
        leaves = self.trees * 2**self.depth
        return {
            "splits": dense_init(key, self.inputs, self.trees * self.depth, "lecun", self.gain),
            "leaves": dense_init(key, leaves, self.outputs, "zeros", 0.0),
        }

    def apply(self, params, x, key=None):
        shares = jnp.exp(self.log_paths(params, x)) / self.trees
        return readout(params["leaves"], shares.reshape(len(x), -1))

    def log_paths(self, params: Any, x: Array) -> Array:
        """log P_tl of every leaf of every tree: (n, trees, 2^depth)."""
        check_input(x, self.inputs, "ObliviousTrees")
        z = sharpened(self.beta, dense(params["splits"], x)).reshape(-1, self.trees, self.depth)
        paths = jnp.zeros_like(z, shape=(len(x), self.trees, 1))
        for level in range(self.depth):
            paths = branch(paths, z[..., level : level + 1])
        return paths


def branch(paths: Array, z: Array) -> Array:
    """The log-probabilities of the paths (..., nodes) one level further down: (..., 2 nodes).

    z is the logit of going right, (..., nodes) or (..., 1) where all nodes of the level share it.
    """
    sides = jnp.stack((jax.nn.log_sigmoid(-z), jax.nn.log_sigmoid(z)), -1)
    return (paths[..., None] + sides).reshape(*paths.shape[:-1], -1)


def sharpened(beta: Any, z: Array) -> Array:
    """beta z in the dtype of z."""
    return jnp.asarray(beta, z.dtype) * z
