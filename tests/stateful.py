"""Models with a state in plain JAX, and trainings of them: python stateful.py, on eight devices."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import random

import jaxopt_edu as jo

SOFTMAX = jo.losses.softmax_cross_entropy_with_integer_labels
KEPT = 0.9


def data():
    """60 rows of three classes; 36 to train on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 4)) * [1, 2, 3, 4] + 1
    return jo.data.from_arrays(x, np.argmax(x @ rng.normal(size=(4, 3)), 1))


DATA = data()


@jo.pytree
class Normed:
    """Batch normalization between two linear layers, with noise from a key of its own.

    Its state: running statistics; two random keys, a counter and a mask, which are no floats.
    """

    noise: float = 0.1

    stateful = True

    def init(self, key):
        first, second = random.split(key)
        params = {"w": random.normal(first, (4, 3)) / 2, "v": random.normal(second, (3, 3)) / 2}
        state = {
            "mean": jnp.zeros(3), "var": jnp.ones(3),
            "key": random.key(7), "other": random.key(3, impl="rbg"),
            "passes": jnp.zeros((), jnp.int32), "kept": jnp.array([True, True, False]),
        }  # fmt: skip
        return params, state

    def apply(self, params, state, x, key=None):
        h = x @ params["w"]
        if key is None:
            return self.rest(params, state, h, state["mean"], state["var"]), state
        mean, var = jnp.mean(h, 0), jnp.var(h, 0)
        own, noise = random.split(state["key"])
        h = h + self.noise * random.normal(noise, (3,))
        new = state | {
            "mean": KEPT * state["mean"] + (1 - KEPT) * mean,
            "var": KEPT * state["var"] + (1 - KEPT) * var,
            "key": own,
            "other": random.fold_in(state["other"], state["passes"]),
            "passes": state["passes"] + 1,
        }
        return self.rest(params, state, h, mean, var), new

    def rest(self, params, state, h, mean, var):
        h = (h - mean) / jnp.sqrt(var + 1e-2)
        return jnp.where(state["kept"], jnp.tanh(h), h) @ params["v"]


@jo.pytree
class Noisy:
    """A linear model with noise from a key in its state: it mixes no examples."""

    stateful = True

    def init(self, key):
        w = random.normal(key, (4, 3)) / 2
        return {"w": w}, {"key": random.key(7), "passes": jnp.zeros((), jnp.int32)}

    def apply(self, params, state, x, key=None):
        if key is None:
            return x @ params["w"], state
        own, noise = random.split(state["key"])
        x = x + 0.1 * random.normal(noise, (4,))
        return x @ params["w"], {"key": own, "passes": state["passes"] + 1}


def training(model=None, learning_rate=0.1, **more):
    model = Normed() if model is None else model
    optimizer = jo.sgd(learning_rate, momentum=0.9)
    return jo.Training(model, SOFTMAX, optimizer, DATA, **{"batch_size": 12} | more)


def plain(tree):
    """Its arrays as NumPy's, random keys as their words."""
    leaves = jax.tree.leaves(tree)
    is_key = [jnp.issubdtype(x.dtype, jax.dtypes.prng_key) for x in leaves]
    words = zip(leaves, is_key, strict=True)
    return [np.asarray(random.key_data(x) if key else x) for x, key in words]


def same(x, y):
    """Bit for bit."""
    assert jax.tree.structure(x) == jax.tree.structure(y)
    assert [a.tobytes() for a in plain(x)] == [b.tobytes() for b in plain(y)]


def close(x, y, tolerance=1e-6):
    assert jax.tree.structure(x) == jax.tree.structure(y)
    for a, b in zip(plain(x), plain(y), strict=True):
        np.testing.assert_allclose(a, b, tolerance, tolerance)


def ready(run):
    """Of a run, all that it learned for predictions."""
    return run.params, run.state.model_state


MESHED = {
    "even": training(batch_size=16),
    "rows that devices cannot share evenly": training(batch_size=10),
    "in parts": training(batch_size=32, estimator=jo.InParts(2)),
    "in parts, unevenly": training(batch_size=20, estimator=jo.InParts(2)),
    "all": training(batch_size=None),
}


def on_meshes():
    """Every one of them on four or eight devices equals that on one, and so does a sweep."""
    devices = jax.devices()
    four, eight = (jax.make_mesh((n,), ("data",), devices=devices[:n]) for n in (4, 8))
    for i, (what, one) in enumerate(MESHED.items()):
        alone = jo.fit(one, 5)
        for mesh in (four, eight) if what == "even" else (four,) if i % 2 else (eight,):
            close(ready(jo.fit(one, 5, mesh=mesh)), ready(alone))
        print(what)
    space = training(learning_rate=jo.log_uniform(0.01, 0.3), batch_size=16)
    given = {"trials": 4, "steps": 6, "tile": 2, "patience": 2, "eval_every": 2, "progress": False}
    study, other = jo.sweep(space, **given), jo.sweep(space, mesh=four, **given)
    for name in ("validation_loss", "test_loss"):
        np.testing.assert_allclose(other.columns[name], study.columns[name], 1e-5, 1e-6)
    print("a sweep")


if __name__ == "__main__":
    on_meshes()
