"""Laws of every optimizer that `jaxopt_edu.optimizers` exports, found by introspection."""

import dataclasses
import functools
import inspect
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu import optimizers
from jaxopt_edu.core import apply_updates

STEPS = 5
RECIPES = {
    name: value for name, value in vars(optimizers).items() if inspect.isfunction(value)
}


# -------------------------------------------------------------------------- values to test with


def fields(name):
    """The number fields of a recipe's class, by name."""
    cls = type(RECIPES[name](learning_rate=0.1))
    return {f.name: f for f in dataclasses.fields(cls) if not f.metadata.get("static")}


def flags(name, kind):
    """The defaults of a recipe's static fields of a kind, by name."""
    parameters = inspect.signature(RECIPES[name]).parameters.items()
    return {k: p.default for k, p in parameters if kind(k, p.default)}


def generic(field):
    """A value of a number field at which nothing special happens."""
    if field.name.startswith("eps"):
        return 1e-3
    if field.default is dataclasses.MISSING:
        return 0.05
    return 0.5 if field.default is None else 0.9 * field.default or 0.01


def make(name, **changes):
    return RECIPES[name](**{k: generic(f) for k, f in fields(name).items()} | changes)


def variants():
    """Every recipe; with every flag turned; with every number absent that may be."""
    for name in RECIPES:
        yield pytest.param(name, {}, id=name)
        for flag, default in flags(name, lambda k, default: isinstance(default, bool)).items():
            yield pytest.param(name, {flag: not default}, id=f"{name}-{flag}={not default}")
        for number, field in fields(name).items():
            if field.default is None:
                yield pytest.param(name, {number: None}, id=f"{name}-{number}=None")


every_recipe = pytest.mark.parametrize("name", RECIPES)
every_variant = pytest.mark.parametrize(("name", "changes"), list(variants()))


def arrays(opt, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), opt)


# --------------------------------------------------------------------------- something to minimize


def normal(seed, *batch):
    """A tree with a matrix, a vector, a scalar and a None."""
    rng = np.random.default_rng(seed)
    layer = {"w": rng.normal(size=(*batch, 2, 3)), "b": rng.normal(size=(*batch, 3))}
    return {"layer": layer, "scale": rng.normal(size=(*batch,)), "none": None}


START, WEIGHTS, TARGETS = normal(0), normal(1), normal(2, STEPS)
ZERO = jax.tree.map(np.zeros_like, START)
CURVATURE = jax.tree.map(lambda x: np.exp(0.3 * x), normal(3))
CURVATURE["layer"]["b"][0] = 0.0  # a coordinate whose gradient is always exactly zero


def cast(x, dtype):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), x)


def step(opt, params, state, target):
    """One step on sum a (p - c_t)^2 / 2."""
    grads = jax.tree.map(
        lambda a, p, c: (a * (p - c)).astype(p.dtype), CURVATURE, params, target
    )
    updates, state = opt.update(grads, state, params)
    return apply_updates(params, updates), state


def run(opt, params):
    def body(carry, target):
        return step(opt, *carry, target), None

    (params, _), _ = jax.lax.scan(body, (params, opt.init(params)), cast(TARGETS, float))
    return params


def score(params):
    """A number that depends on every parameter."""
    return sum((w * p).sum() for w, p in zip(*map(jax.tree.leaves, (WEIGHTS, params)), strict=True))


many = jax.jit(jax.vmap(run, in_axes=(0, None)))
slope = jax.jit(jax.grad(lambda opt, params: score(run(opt, params))))


def stack(trees):
    return jax.tree.map(lambda *x: jnp.stack([jnp.asarray(y) for y in x]), *trees)


def around(opt):
    """opt with each of its numbers, in turn, a little larger and a little smaller."""
    leaves, structure = jax.tree.flatten(opt)
    for i, x in enumerate(leaves):
        for h in (1e-4, -1e-4):
            yield jax.tree.unflatten(structure, leaves[:i] + [x * (1 + h)] + leaves[i + 1 :])


# ---------------------------------------------------------------------------------------- the laws


@every_variant
def test_every_number_maps_and_differentiates(name, changes):
    """vmap equals the loop; one trace serves all values; gradients are central differences."""
    chex.clear_trace_counter()
    opt = make(name, **changes)
    numbers = [f for k, f in fields(name).items() if getattr(opt, k) is not None]
    with jax.enable_x64(True):
        one = jax.jit(chex.assert_max_traces(run, n=1))
        for params in START, ZERO:
            lanes = many(stack(around(opt)), params)
            loop = [one(opt, params) for opt in around(opt)]
            chex.assert_trees_all_close(lanes, stack(loop), rtol=0, atol=1e-12)
            scores = np.reshape([score(p) for p in loop], (-1, 2))
            slopes = slope(opt, params)
            for field, (high, low) in zip(numbers, scores, strict=True):
                expected = (high - low) / (2e-4 * getattr(opt, field.name))
                got = getattr(slopes, field.name)
                print(name, changes, field.name, float(got), float(expected), abs(float((got-expected)/(expected+1e-30))))
                assert np.isfinite(got)
                if field.metadata["smooth"]:
                    np.testing.assert_allclose(got, expected, rtol=1e-5, err_msg=field.name)
