"""Whether a model's training pass mixes the examples of a batch."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax, random
from numpy import ndarray

from jaxopt_edu.values.tree import is_float

__all__ = ["mixes_examples"]

MOST = 8  # examples that are looked at
CHANGED = 3  # of them, one at a time
SIZES = (0.0, -1.0, 1e2, -1e4)  # by which one is multiplied


def mixes_examples(model: Any, params: Any, model_state: Any, x: Any) -> bool:
    """Whether in training the output of an example depends on the others, as by BatchNorm.

    Formula: True where f(x')_j != f(x)_j for an x' that differs from x in row i alone and some
        j != i, or where the state after the pass is another one; f is the model in training, with
        the same key for all. Numbers are compared bit for bit; NaN is the same as NaN.
    x: (n, ...), of more than eight rows the first; numbers that are not finite count as 0. Three
        rows are changed, one at a time: to 0, -x_i, 100 x_i + 100 and -10^4 x_i - 10^4; where x
        holds integers or bools, to other values among those of x.
    params: as they are, and moved a little, for what a weight of 0 hides at the start (the last
        scale of a residual block). model_state: None for a model without one.
    A state that depends on the examples counts, whatever the outputs do: it would remember them
    without noise.
    Errors: ValueError for fewer than two examples.

    >>> import jaxopt_edu as jo
    >>> model = jo.models.Linear(2)
    >>> mixes_examples(model, model.init(jax.random.key(0)), None, jnp.ones((3, 2)))
    False
    """
    if jnp.ndim(x) == 0 or len(x) < 2:
        raise ValueError(f"x has shape {jnp.shape(x)}: wanted at least two examples")
    x = np.asarray(x)[:MOST]
    x = np.where(np.isfinite(x), x, 0).astype(x.dtype) if is_float(x) else x
    rows = sorted({int(i) for i in np.linspace(0, len(x) - 1, CHANGED)})
    changed = [(i, other) for i in rows for other in _others(x, i)]
    batches = np.stack([x, *(np.concatenate([x[:i], [y], x[i + 1 :]]) for i, y in changed)])
    places = np.array([-1, *(i for i, _ in changed)])  # the first batch is x itself
    params = jax.tree.map(lambda *p: np.stack(p), params, _nearby(params))
    return bool(_mixes(model, params, model_state, batches, places))


def _others(x: ndarray, i: int) -> list[ndarray]:
    """What may stand in the place of row i."""
    row, least, most = x[i], x.min(), x.max()
    if x.dtype == bool:
        return [~row, np.zeros_like(row), np.ones_like(row)]
    if not is_float(x):
        most = most + (least == most)
        mirrored = (most - (row - least)).astype(x.dtype)
        return [mirrored, np.full_like(row, least), np.full_like(row, most), np.flip(row)]
    return [(size * row + (size if abs(size) > 1 else 0)).astype(x.dtype) for size in SIZES]


def _nearby(params: Any) -> Any:
    """Other params: p + N(0, 1) / 10, in the dtype of p."""
    generator = np.random.default_rng(0)

    def moved(p: Any) -> ndarray:
        p = np.asarray(p)
        return (p + generator.normal(size=p.shape) / 10).astype(p.dtype)

    return jax.tree.map(moved, params)


@jax.jit
def _mixes(model: Any, params: Any, model_state: Any, batches: Array, places: Array) -> Array:
    """Whether any batch gives something else than the first, but for the row at its place."""

    def predict(params: Any, x: Array) -> Any:
        key = random.key(0)
        if getattr(model, "stateful", False):
            return model.apply(params, model_state, x, key=key)
        return model.apply(params, x, key=key), ()

    def of_params(params: Any) -> Array:
        predictions, states = lax.map(lambda x: predict(params, x), batches)
        return _differ(predictions, places, batches.shape[1]) | _differ(states, places, None)

    return jnp.any(lax.map(of_params, params))


def _differ(x: Any, places: Array, n: int | None) -> Array:
    """Whether what stands first differs from the others, but for the rows at these places.

    n: how many rows leaves have that are one of each example; None: there are none.
    """
    found = [jnp.array(False)]
    for leaf in jax.tree.leaves(x):
        if jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = random.key_data(leaf)
        first = leaf[:1]
        unlike = ~((leaf == first) | ((leaf != leaf) & (first != first)))
        if n is not None and leaf.ndim > 1 and leaf.shape[1] == n:
            others = jnp.arange(n) != places[:, None]
            unlike &= others.reshape(*others.shape, *[1] * (leaf.ndim - 2))
        found.append(jnp.any(unlike))
    return jnp.any(jnp.stack(found))
