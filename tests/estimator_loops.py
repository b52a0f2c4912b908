"""The trainings of estimator_cells.py written out as loops over examples, parts and clients.

NumPy, but for the gradients of the examples, the random keys, and which rows make up a batch.
"""

import functools

import estimator_cells as cells
import jax
import jax.numpy as jnp
import numpy as np
from estimator_cells import BATCH, DECAY, EPOCHS, MU, NOISE, NORM, OWNERS, PARTS, ROWS, STEPS
from jax import random

from jaxopt_edu.data import batch_indices
from jaxopt_edu.values import keys

SHAPES = (3,), (3, 4), (2,), (2, 3)  # of the biases and weights of the two layers
WEIGHTS = np.concatenate([np.full(np.prod(shape), len(shape) > 1) for shape in SHAPES])


def loss(p, x, y):
    """The cross entropy of one example under the network with params p."""
    ends = np.cumsum([np.prod(shape) for shape in SHAPES])[:-1]
    b, w, c, v = (part.reshape(s) for part, s in zip(jnp.split(p, ends), SHAPES, strict=True))
    z = v @ jnp.tanh(w @ x + b) + c
    return jnp.log(jnp.sum(jnp.exp(z))) - z[y]


gradients_of_all = jax.jit(jax.vmap(jax.grad(loss), (None, 0, 0)))


def each(p):
    """The gradients of all examples, (48, params)."""
    return np.asarray(gradients_of_all(p, cells.X, cells.Y))


def penalty(p):
    """The gradient of decay / 2 |weights|^2."""
    return DECAY * WEIGHTS * p


def trained(gradient):
    """The params after 50 steps of gradient descent with momentum; gradient: of (p, t)."""
    model = cells.training("plain").model
    p = np.concatenate([np.ravel(x) for x in jax.tree.leaves(model.init(keys.weights(cells.SEED)))])
    moved = np.zeros_like(p)
    for t in range(STEPS):
        moved = gradient(p, t) + cells.MOMENTUM * moved
        p = p - cells.RATE * moved
    return p


def drawn(draw):
    """What draw(key, t) gives at each step, as NumPy has it."""
    key = keys.order(cells.SEED)
    return jax.device_get(jax.jit(jax.vmap(functools.partial(draw, key)))(jnp.arange(STEPS)))


def batches():
    """The rows of each step."""
    return drawn(lambda key, t: batch_indices(keys.batch(key), t, ROWS, BATCH))


def of_rows(rows):
    """(p, t) -> the gradient of the mean loss of rows[t], and of the penalty."""
    return lambda p, t: each(p)[rows[t]].mean(0) + penalty(p)


def of_parts(rows):
    """The same, part by part: a weighted mean of the means of rows j, j + 3, ... of a batch."""

    def gradient(p, t):
        parts = [rows[t][j::PARTS] for j in range(PARTS)]
        means = [each(p)[part].mean(0) + penalty(p) for part in parts]
        return sum(len(part) / len(rows[t]) * g for part, g in zip(parts, means, strict=True))

    return gradient


def of_uphill(rows):
    """The gradient a step uphill from p."""
    g = of_rows(rows)

    def gradient(p, t):
        up = g(p, t)
        return g(p + cells.RHO * up / np.linalg.norm(up), t)

    return gradient


def clipped(g, most):
    """g, as long as most at most."""
    return g * min(1, most / np.linalg.norm(g))


def of_noise():
    """The sum of the clipped gradients of examples that were drawn each by itself, with noise."""

    def draw(key, t):
        of = keys.private(key, t)
        chosen = random.bernoulli(of.draw, BATCH / ROWS, (ROWS,))
        return chosen, random.normal(of.noise, WEIGHTS.shape, float)

    chosen, noise = drawn(draw)
    assert len(set(chosen.sum(1))) > 4  # draws of many sizes

    def gradient(p, t):
        total = sum((clipped(g, NORM) for g in each(p)[chosen[t]]), np.zeros_like(p))
        return (total + NOISE * NORM * noise[t]) / BATCH + penalty(p)

    return gradient


def of_clients(private=False):
    """Minus what clients change: of three, the mean by examples; or clipped, and with noise."""
    count, largest = OWNERS.max() + 1, np.bincount(OWNERS).max()

    def draw(key, t):
        of = keys.federated(key, t)
        if private:
            chosen = random.bernoulli(of.draw, 3 / count, (count,))
        else:
            chosen = jnp.zeros(count, bool).at[random.permutation(of.draw, count)[:3]].set(True)

        def coins(k):  # those that shuffle the examples of a client, for each epoch
            of_epochs = random.split(random.fold_in(of.local, k), EPOCHS)
            return jax.vmap(lambda key: random.uniform(random.split(key)[0], (largest,)))(of_epochs)

        noise = random.normal(of.noise, WEIGHTS.shape, float)
        return chosen, jax.vmap(coins)(jnp.arange(count)), noise

    chosen, coins, noise = drawn(draw)

    def moved(p, t, k):
        start, rows = p, np.flatnonzero(k == OWNERS)
        for of_epoch in coins[t, k]:
            order = rows[np.argsort(of_epoch[: len(rows)])]
            for first in range(0, len(rows), cells.LOCAL_BATCH):
                g = each(p)[order[first : first + cells.LOCAL_BATCH]].mean(0) + penalty(p)
                p = p - cells.LOCAL_RATE * (g + MU * (p - start))
        return p - start

    def gradient(p, t):
        clients = np.flatnonzero(chosen[t])
        updates = [moved(p, t, k) for k in clients]
        if private:
            total = sum((clipped(d, cells.UPDATE_NORM) for d in updates), np.zeros_like(p))
            return -(total + NOISE * cells.UPDATE_NORM * noise[t]) / 3
        sizes = np.bincount(OWNERS)[clients]
        return -sum(n * d for n, d in zip(sizes, updates, strict=True)) / sizes.sum()

    return gradient


OF_ROWS = {"plain": of_rows, "in parts": of_parts, "sharpness": of_uphill}
OTHERS = {
    "private": of_noise,
    "federated": of_clients,
    "federated, private": functools.partial(of_clients, private=True),
}


def written_out(name, rows=None):
    """The params after the training by that name; rows: of each step, where they are given."""
    if name in OTHERS:
        return trained(OTHERS[name]())
    return trained(OF_ROWS[name](batches() if rows is None else rows))
