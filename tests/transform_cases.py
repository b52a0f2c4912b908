"""What the tests of bricks share: a line for each that makes ours or optax's, and trajectories."""

import inspect
import math
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxopt_edu.optim import optimizers, transforms
from jaxopt_edu.optim import transform as core
from jaxopt_edu.optim.transform import apply_updates

NAMES = {name: getattr(transforms, name) for name in transforms.__all__}
OURS = SimpleNamespace(**vars(core) | vars(optimizers) | NAMES)
OPTAX = SimpleNamespace(**vars(optax.transforms) | vars(optax))
RECIPES = [name for name, x in NAMES.items() if not inspect.isclass(x)]
CLASSES = [x for x in NAMES.values() if inspect.isclass(x) and x is not transforms.Brick]

HEAD = {"w": True, "v": {"b": False, "s": True}}
LABELS = {"w": "fast", "v": "slow"}


def matrices(tree):
    return jax.tree.map(lambda x: x.ndim > 1, tree)


def halving(t):
    return 0.5**t


CASES = {
    "clip": lambda o: o.clip(0.5),
    "clip_by_global_norm": lambda o: o.clip_by_global_norm(1.5),
    "clip_by_block_rms": lambda o: o.clip_by_block_rms(0.5),
    "adaptive_grad_clip": lambda o: o.adaptive_grad_clip(0.2, eps=0.01),
    "adaptive_grad_clip(axis)": lambda o: o.masked(o.adaptive_grad_clip(0.2, axis=1), matrices),
    "identity": lambda o: o.identity(),
    "set_to_zero": lambda o: o.set_to_zero(),
    "scale": lambda o: o.scale(-0.3),
    "scale_by_schedule": lambda o: o.scale_by_schedule(halving),
    "scale_by_learning_rate": lambda o: o.scale_by_learning_rate(0.1),
    "scale_by_learning_rate(None)": lambda o: o.scale_by_learning_rate(None),
    "scale_by_learning_rate(schedule)": lambda o: o.scale_by_learning_rate(halving),
    "scale_by_learning_rate(+)": lambda o: o.scale_by_learning_rate(0.1, flip_sign=False),
    "add_decayed_weights": lambda o: o.add_decayed_weights(0.1),
    "add_decayed_weights(mask)": lambda o: o.add_decayed_weights(0.1, mask=HEAD),
    "add_decayed_weights(schedule)": lambda o: o.add_decayed_weights(halving, matrices),
    "normalize_by_update_norm": lambda o: o.normalize_by_update_norm(0.7, eps=1e-3),
    "centralize": lambda o: o.centralize(),
    "keep_params_nonnegative": lambda o: o.keep_params_nonnegative(),
    "add_noise": lambda o: o.add_noise(0.1, 0.55, key=3),
    "zero_nans": lambda o: o.zero_nans(),
    "trace": lambda o: o.trace(0.9),
    "trace(nesterov)": lambda o: o.trace(0.9, True),
    "trace(dtype)": lambda o: o.trace(0.9, accumulator_dtype="float32"),
    "ema": lambda o: o.ema(0.9),
    "ema(biased)": lambda o: o.ema(0.9, debias=False),
    "multi_steps": lambda o: o.MultiSteps(o.adam(0.1), 3, accumulator_dtype="float64"),
    "multi_steps(sum)": lambda o: o.MultiSteps(o.sgd(0.1), 2, False, accumulator_dtype="float64"),
    "multi_steps(schedule)": lambda o: o.MultiSteps(
        o.sgd(0.1, 0.9), lambda n: n + 1, accumulator_dtype="float64"
    ),
    "apply_if_finite": lambda o: o.apply_if_finite(o.adam(0.1), 100),
    "masked": lambda o: o.masked(o.adam(0.1), HEAD),
    "masked(function)": lambda o: o.masked(o.clip_by_global_norm(0.5), matrices),
    "freeze": lambda o: o.freeze(HEAD),
    "selective_transform": lambda o: o.selective_transform(o.adam(0.1), freeze_mask=HEAD),
    "partition": lambda o: o.partition(
        {"fast": o.sgd(0.5, momentum=0.9), "slow": o.chain(o.clip(0.1), o.adam(0.1))}, LABELS
    ),
    "chain": lambda o: o.chain(
        o.clip_by_global_norm(1.0),
        o.masked(o.partition({"fast": o.trace(0.5), "slow": o.set_to_zero()}, LABELS), HEAD),
        o.MultiSteps(o.apply_if_finite(o.adam(0.1), 9), 2, accumulator_dtype="float64")
        if o is OURS
        else o.MultiSteps(
            o.apply_if_finite(o.adam(0.1), 9), 2, accumulator_dtype="float64"
        ).gradient_transformation(),
    ),
}


# ------------------------------------------------------------------------------- trajectories


def some_tree(seed, dtype=float):
    rng = np.random.default_rng(seed)
    w, b, s = rng.normal(size=(3, 2)), rng.normal(size=2), rng.normal()
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), {"w": w, "v": {"b": b, "s": s}})


def gradients(dtype=float):
    """Six steps: large and small ones, a coordinate of exactly zero, and a step of zeros."""
    steps = [some_tree(seed, dtype) for seed in range(6)]
    g = jax.tree.map(lambda *xs: jnp.stack(xs), *steps)
    g = jax.tree.map(lambda x: x.at[1].multiply(10).at[3].set(0).at[4].multiply(1e-3), g)
    return g | {"w": g["w"].at[:, 0, 0].set(0)}


def broken():
    """Six steps with a NaN, an infinity, and both."""
    g, nan, inf = gradients(), math.nan, math.inf
    w = g["w"].at[1, 1, 1].set(nan).at[4, 2, 1].set(inf).at[4, 2, 0].set(nan)
    return {"w": w, "v": g["v"] | {"b": g["v"]["b"].at[2, 1].set(-inf)}}


TRACES: list = []


def steps(transform, g, p):
    """All updates and the last state."""
    TRACES.append(transform)

    def step(carry, g):
        p, state = carry
        u, state = transform.update(g, state, p)
        return (apply_updates(p, jax.tree.map(lambda u: 0.1 * u, u)), state), u

    (_, state), u = jax.lax.scan(step, (p, transform.init(p)), g)
    return u, state


run = jax.jit(steps)


def is_float(x):
    return jnp.issubdtype(jnp.result_type(x), jnp.floating)


def as_arrays(x, dtype=None):
    """x with an array for every number, its floats in this dtype."""
    return jax.tree.map(lambda x: jnp.asarray(x, dtype if is_float(x) else None), x)


def close(x, y, tolerance=1e-12):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, tolerance, tolerance), x, y)
