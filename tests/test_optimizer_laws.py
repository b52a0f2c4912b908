"""Laws of every optimizer that `jaxopt_edu.optim.optimizers` exports, found by introspection."""

import dataclasses
import functools
import inspect
import itertools
import math
import pickle

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.optim import optimizers
from jaxopt_edu.optim.transform import apply_updates

pytestmark = pytest.mark.usefixtures("compiled_quickly")
RECIPES = {name: f for name, f in vars(optimizers).items() if inspect.isfunction(f)}
STEPS = 5
H = 3e-5  # of a number, for central differences


# -------------------------------------------------------------------------- numbers to test with


def numbers(name):
    """The fields of a recipe's class that are numbers, by name."""
    cls = type(RECIPES[name](learning_rate=0.1))
    return {f.name: f for f in dataclasses.fields(cls) if not f.metadata.get("static")}


def generic(field):
    """A value at which nothing special happens."""
    if field.name.startswith("eps"):
        return 1e-3
    if field.default is dataclasses.MISSING:
        return 0.05
    return 0.5 if field.default is None else 0.9 * field.default or 0.01


def default(field):
    return generic(field) if field.default in (None, dataclasses.MISSING) else field.default


def scaled(factor):
    """Generic values times a factor."""
    return lambda field: factor * generic(field)


def lowest(field):
    return 1e-3 if field.name.startswith("eps") else float(field.metadata["low"])


def make(name, value=generic, **changes):
    return RECIPES[name](**{k: value(f) for k, f in numbers(name).items()} | changes)


def turns(name):
    """Every flag of a recipe turned, and every number absent that may be, one at a time."""
    parameters = inspect.signature(RECIPES[name]).parameters.values()
    flags = [{p.name: not p.default} for p in parameters if isinstance(p.default, bool)]
    return [{}, *flags, *({k: None} for k, f in numbers(name).items() if f.default is None)]


def dtypes(name):
    """Every argument of a recipe that is a dtype, set to bfloat16."""
    return [{k: "bfloat16"} for k in inspect.signature(RECIPES[name]).parameters if "dtype" in k]


def label(value):
    return ",".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value


every_recipe = pytest.mark.parametrize("name", RECIPES)
every_variant = pytest.mark.parametrize(
    ("name", "changes"), [(name, turn) for name in RECIPES for turn in turns(name)], ids=label
)


# ------------------------------------------------------------------------- something to minimize

VECTOR = np.array([0.3, -0.8, 1.1, 0.6])
TREE = {"layer": {"w": VECTOR, "b": -VECTOR}, "scale": VECTOR[0], "none": None}
WEIGHTS = np.array([0.7, -1.2, 0.4, 0.9])


def gradient(t, p):
    """Of sum_i a_i (p_i - cos(t i))^2 / 2, where a_4 = 0: a gradient that is always exactly 0."""
    i = jnp.arange(1, p.size + 1).reshape(p.shape)
    return (i % 4 / 2 * (p - jnp.cos((t + 1) * i))).astype(p.dtype)


def step(opt, params, state, t):
    grads = jax.tree.map(lambda p: gradient(t, p), params)
    updates, state = opt.update(grads, state, params)
    return apply_updates(params, updates), state


def run(opt, params):
    def body(carry, t):
        return step(opt, *carry, t), None

    return jax.lax.scan(body, (params, opt.init(params)), jnp.arange(STEPS))[0][0]


def walk(opts, params):
    """The same, one call of update after another, the optimizer of each step given."""
    state = opts[0].init(params)
    for t, opt in enumerate(opts):
        params, state = step(opt, params, state, t)
    return params


def score(opt, params):
    """A number that depends on every parameter after the run; and these parameters."""
    params = run(opt, params)
    return WEIGHTS @ params, params


many = jax.jit(jax.vmap(run, in_axes=(0, None)))


def stack(trees):
    return jax.tree.map(lambda *x: np.stack(x), *trees)


def arrays(x, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), x)


def shapes(x):
    return jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype, leaf.weak_type), x)


def around(opt):
    """opt with each of its numbers, in turn, a little larger and a little smaller."""
    leaves, structure = jax.tree.flatten(opt)
    for i, x in enumerate(leaves):
        for h in (H, -H):
            yield jax.tree.unflatten(structure, [*leaves[:i], x * (1 + h), *leaves[i + 1 :]])


# ---------------------------------------------------------------------------------------- the laws


@every_variant
def test_every_number_maps_and_differentiates(name, changes):
    """vmap equals the loop; one trace serves all values; gradients are central differences."""
    chex.clear_trace_counter()
    opt = make(name, **changes)
    fields = [f for k, f in numbers(name).items() if getattr(opt, k) is not None]
    with jax.enable_x64(True):
        counted = chex.assert_max_traces(score, n=1)
        one = jax.jit(jax.grad(counted, has_aux=True))
        for params in VECTOR, 0 * VECTOR:
            lanes = many(stack(around(opt)), params)
            loop = np.stack([one(x, params)[1] for x in around(opt)])
            np.testing.assert_allclose(lanes, loop, rtol=0, atol=1e-12)
            slopes, _ = one(opt, params)
            for field, (high, low) in zip(fields, (loop @ WEIGHTS).reshape(-1, 2), strict=True):
                expected = (high - low) / (2 * H * getattr(opt, field.name))
                got = getattr(slopes, field.name)
                if field.metadata["smooth"]:
                    np.testing.assert_allclose(got, expected, rtol=1e-5, err_msg=field.name)
            for value in generic, default, lowest:
                chex.assert_tree_all_finite(one(make(name, value, **changes), params))


@every_recipe
def test_dtypes_stay(name):
    """Those of params and state, whatever those of the numbers; so a scan carries them."""
    opts = [make(name, **changes) for changes in turns(name) + dtypes(name)]
    for x64, of_params, of_numbers in (
        (False, ("bfloat16", "float16", "float32"), (None, "float32")),
        (True, ("float16", "float64"), (None, "float32", "float64")),
    ):
        for dtype, of, opt in itertools.product(of_params, of_numbers, opts):
            with jax.enable_x64(x64):
                opt = arrays(opt, of) if of else opt
                params = jax.ShapeDtypeStruct((), dtype)
                before = params, jax.eval_shape(opt.init, params)
                after = jax.eval_shape(functools.partial(step, opt, t=0), *before)
                assert shapes(after) == shapes(before), (opt, dtype)


@every_recipe
def test_memory_in_another_dtype(name):
    for changes in dtypes(name):
        state = make(name, **changes).init(jnp.ones(3))
        assert [x.dtype for x in jax.tree.leaves(state)].count(jnp.bfloat16) == 1


@every_recipe
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_zero_gradients_are_no_trouble(name, dtype):
    """With default numbers, whose eps is 0 in half precision."""
    for opt in make(name, default), arrays(make(name, default), "float32"):
        params, state = jnp.zeros(3, dtype), opt.init(jnp.zeros(3, dtype))
        for _ in range(STEPS):
            updates, state = opt.update(jnp.zeros(3, dtype), state, params)
            chex.assert_tree_all_finite((updates, state))


@every_recipe
def test_is_a_value(name):
    for changes in turns(name) + dtypes(name):
        opt = make(name, **changes)
        assert pickle.loads(pickle.dumps(opt)) == opt
        assert eval(repr(opt), vars(optimizers)) == opt
    opt = make(name)
    assert hash(make(name)) == hash(opt) and len({opt, make(name)}) == 1
    assert (opt == make(name, learning_rate=0.07)) is False
    assert (opt == arrays(opt, "float32")) is False
    many = stack([opt, opt])
    assert (many == stack([opt, opt])) is True and (many == opt) is False


@every_recipe
def test_export(name):
    opts = jax.tree.map(jnp.asarray, stack([make(name), make(name)]))
    exported = jax.export.export(many, platforms=("cpu", "cuda", "tpu"))(opts, jnp.ones(3))
    assert exported.platforms == ("cpu", "cuda", "tpu")


@every_recipe
def test_schedules(name):
    """Every number may be a function of the step, which is 0 at the first."""
    with jax.enable_x64(True):
        fixed = [make(name, scaled(1 + t / 99.0)) for t in range(STEPS)]
        scheduled = make(name, lambda field: lambda t: (1 + t / 99.0) * generic(field))
        params = arrays(TREE, float)
        got, expected = walk([scheduled] * STEPS, params), walk(fixed, params)
        chex.assert_trees_all_close(got, expected, rtol=0, atol=1e-12)


@every_recipe
def test_trees_of_numbers(name):
    """A tree of numbers over the layers gives each layer the run with its numbers."""
    with jax.enable_x64(True):
        factors = {"layer": 1.0, "scale": 0.99, "none": 0.98}
        params = arrays(TREE, float)
        tree = make(name, lambda f: {k: c * generic(f) for k, c in factors.items()})
        got = walk([tree] * STEPS, params)
        for k, c in factors.items():
            expected = walk([make(name, scaled(c))] * STEPS, params)
            chex.assert_trees_all_close(got[k], expected[k], rtol=0, atol=1e-12)


@every_recipe
def test_none_leaves(name):
    """A None among the params has no state and no update, and changes nothing else."""
    opt, params = make(name), arrays(TREE, "float32")
    full = {k: x for k, x in params.items() if k != "none"}
    got = walk([opt] * STEPS, params)
    assert got.pop("none") is None
    chex.assert_trees_all_equal(got, walk([opt] * STEPS, full))


@every_recipe
def test_bad_numbers(name):
    """A Python number outside its bounds is an error that names it."""
    for k, field in numbers(name).items():
        low, high = field.metadata["low"], field.metadata["high"]
        bad = [low - 0.1, high + 0.1, math.nan] + [high] * (not field.metadata["closed"])
        for value in bad:
            with pytest.raises(ValueError, match=rf"^{k} = {value} is outside \["):
                make(name, **{k: value})


@every_recipe
def test_without_params(name):
    opt, g = make(name), jnp.ones(3)
    if opt.needs_params:
        with pytest.raises(ValueError, match=f"{type(opt).__name__}.update wants params"):
            opt.update(g, opt.init(g))
    else:
        chex.assert_trees_all_equal(opt.update(g, opt.init(g)), opt.update(g, opt.init(g), g))
