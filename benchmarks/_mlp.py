"""The training that fit.py and sweep.py time: a multilayer perceptron, with Adam, in batches.

The same model, loss, optimizer, batch size and number of steps in ours, in plain JAX with optax,
and in PyTorch; all data in memory. The peers' batches are drawn beforehand, ours in the program.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _common import to_torch

import jaxopt_edu as jo


@dataclass(frozen=True)
class Work:
    """One workload: layer sizes, examples, and the steps of one training."""

    name: str
    sizes: tuple[int, ...]
    x: np.ndarray
    y: np.ndarray
    steps: int
    batch: int = 32

    def rows(self) -> np.ndarray:
        """Which examples make up each batch, in a new order in every epoch: (steps, batch)."""
        rng = np.random.default_rng(0)
        whole = len(self.y) // self.batch * self.batch
        epochs = -(-self.steps * self.batch // whole)
        order = np.concatenate([rng.permutation(len(self.y))[:whole] for _ in range(epochs)])
        return order[: self.steps * self.batch].reshape(self.steps, self.batch).astype(np.int32)


def mnist_shaped(steps: int, examples: int) -> Work:
    """784 random features and 10 classes: which of the first ten is largest, with noise."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((examples, 784), np.float32)
    y = np.argmax(x[:, :10] + rng.standard_normal((examples, 10)), axis=1).astype(np.int32)
    return Work("MLP 784-128-128-10, MNIST-shaped data", (784, 128, 128, 10), x, y, steps)


def digits(steps: int) -> Work:
    """The training part of scikit-learn's digits, standardized."""
    x, y = jo.data.load("digits").train
    return Work("MLP 64-32-10, digits", (64, 32, 10), np.asarray(x), np.asarray(y), steps)


# ---------------------------------------------------------------------------------------- ours


@jo.pytree
class Lean(jo.Training):
    """A training that scores a few validation rows only: what is timed here is the training."""

    splits = ("validation",)


def experiment(work: Work, optimizer: Any) -> Lean:
    """The training as an experiment; its validation part is 32 of its rows."""
    few = work.x[:32], work.y[:32]
    data = jo.data.from_arrays(
        work.x, work.y, validation=few, test=0.0, prepare=None, name=work.name
    )
    return Lean(
        model=jo.models.MLP(work.sizes),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=optimizer,
        data=jax.device_put(data),
        batch_size=work.batch,
    )


def product_flops(work: Work) -> int:
    """FLOP of the matrix products in one training step of one model, read off its jaxpr."""
    lean = experiment(work, jo.adam(1e-3))
    key = jax.random.key(0)
    state = jax.eval_shape(lean.init, key)
    return _products(jax.make_jaxpr(lean.step)(state, 0, key).jaxpr)


def _products(jaxpr: Any) -> int:
    flops = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            terms = np.prod([shape[axis] for axis in contracted], dtype=int)
            flops += 2 * equation.outvars[0].aval.size * int(terms)
        inner = [getattr(p, "jaxpr", p) for p in equation.params.values()]
        flops += sum(_products(p) for p in inner if hasattr(p, "eqns"))
    return flops


# ---------------------------------------------------------------------------------- plain JAX


def init(key: Any, sizes: tuple[int, ...]) -> list:
    keys = jax.random.split(key, len(sizes) - 1)
    return [
        (jax.random.normal(k, (m, n)) * (2 / m) ** 0.5, jnp.zeros(n))
        for k, (m, n) in zip(keys, pairwise(sizes), strict=True)
    ]


def loss(params: list, x: Any, y: Any) -> Any:
    import optax

    *hidden, (w, b) = params
    for v, c in hidden:
        x = jax.nn.relu(x @ v + c)
    return optax.softmax_cross_entropy_with_integer_labels(x @ w + b, y).mean()


def step(optimizer: Any, params: list, state: Any, x: Any, y: Any) -> Any:
    """One step with an optimizer of optax."""
    import optax

    value, grads = jax.value_and_grad(loss)(params, x, y)
    updates, state = optimizer.update(grads, state, params)
    return optax.apply_updates(params, updates), state, value


def train(rate: Any, sizes: tuple[int, ...], x: Any, y: Any, rows: Any) -> Any:
    """A whole training as one scan over its batches; its last loss."""
    import optax

    optimizer = optax.adam(rate)

    def body(carry, rows):
        params, state, value = step(optimizer, *carry, x[rows], y[rows])
        return (params, state), value

    params = init(jax.random.key(0), sizes)
    return jax.lax.scan(body, (params, optimizer.init(params)), rows)[1][-1]


# ------------------------------------------------------------------------------------- PyTorch


class Torch:
    """The training in PyTorch, eager; the data are tensors from the start."""

    def __init__(self, work: Work, fused: bool):
        self.sizes, self.fused = work.sizes, fused or None  # None: PyTorch's default
        self.x, self.y = to_torch(work.x), to_torch(work.y.astype(np.int64))
        self.rows = to_torch(work.rows().astype(np.int64))

    def __call__(self, rate: float) -> float:
        """Trains a new model; its last loss."""
        import torch

        model = self.model().to(self.x.device)
        optimizer = torch.optim.Adam(model.parameters(), rate, fused=self.fused)
        for rows in self.rows:
            value = torch.nn.functional.cross_entropy(model(self.x[rows]), self.y[rows])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        return value.item()

    def model(self) -> Any:
        from torch import nn

        *hidden, last = [nn.Linear(m, n) for m, n in pairwise(self.sizes)]
        return nn.Sequential(*(part for layer in hidden for part in (layer, nn.ReLU())), last)
