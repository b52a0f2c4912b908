"""Recipes that optax has give optax's numbers; the classic formulas give NumPy's."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_edu.optim import optimizers
from jaxopt_edu.optim.transform import apply_updates

pytestmark = pytest.mark.usefixtures("compiled_quickly")
FUNCTIONS = {name: f for name, f in vars(optimizers).items() if inspect.isfunction(f)}
RECIPES = {name: f for name, f in FUNCTIONS.items() if hasattr(optax, name)}
CLASSIC = """sgd adagrad rmsprop adadelta adam adamw nadam nadamw amsgrad adamax adamaxw radam
    adabelief yogi lion sign_sgd signum"""
STEPS = 50
RATE = 0.03


def normal(seed, *batch):
    rng = np.random.default_rng(seed)
    layer = {"matrix": rng.normal(size=(*batch, 2, 3)), "vector": rng.normal(size=(*batch, 3))}
    return {"layer": layer, "scalar": rng.normal(size=batch)}


def matrices(params):
    return jax.tree.map(lambda p: jnp.ndim(p) > 1, params)


PARAMS, GRADS = normal(0), normal(1, STEPS)
MASK = {"layer": True, "scalar": False}
DECAY = {"weight_decay": 0.1}
MOMENTS = {"b1": 0.7, "b2": 0.9, "eps": 1e-3}
ROOT = MOMENTS | {"eps_root": 1e-3}
RMS = {"decay": 0.8, "eps": 1e-3, "initial_scale": 0.5}

ARGUMENTS = {  # besides the defaults
    "sgd": [
        {"momentum": 0.9},
        {"momentum": 0.8, "nesterov": True, "accumulator_dtype": "float32"},
    ],
    "adagrad": [{"initial_accumulator_value": 0.5, "eps": 1e-3}],
    "rmsprop": [
        RMS | {"momentum": 0.9},
        RMS | {"eps_in_sqrt": False, "bias_correction": True},
        RMS | {"eps_in_sqrt": False, "centered": True, "momentum": 0.9, "nesterov": True},
        RMS | {"centered": True, "bias_correction": True},
        {"centered": True},
    ],
    "adadelta": [
        {"rho": 0.8, "eps": 1e-3, "weight_decay_mask": matrices} | DECAY,
        {"weight_decay_mask": MASK} | DECAY,
    ],
    "adam": [ROOT | {"mu_dtype": "float32"}, {"nesterov": True}],
    "adamw": [DECAY | {"mask": matrices}, DECAY | ROOT | {"mask": MASK, "nesterov": True}],
    "nadam": [ROOT],
    "nadamw": [DECAY | {"mask": MASK, "mu_dtype": "float32"}],
    "amsgrad": [
        ROOT | {"bias_correction_mu": False, "mu_dtype": "float32"},
        MOMENTS | {"bias_correction_nu": False},
    ],
    "adamax": [MOMENTS],
    "adamaxw": [MOMENTS | DECAY | {"mask": MASK}],
    "radam": [ROOT | {"threshold": 8.0, "nesterov": True}],
    "adabelief": [ROOT | {"nesterov": True}],
    "yogi": [MOMENTS],
    "lion": [{"b1": 0.7, "b2": 0.9, "mu_dtype": "float32", "mask": MASK}, {"mask": matrices}],
    "signum": [{"beta": 0.6, "accumulator_dtype": "float32"}],
}

every_recipe = pytest.mark.parametrize("name", RECIPES)
every_case = pytest.mark.parametrize(
    ("name", "arguments"),
    [(name, arguments) for name in RECIPES for arguments in [{}, *ARGUMENTS.get(name, [])]],
    ids=lambda x: x if isinstance(x, str) else ",".join(x),
)


def run(opt, params, grads):
    """The updates of all steps."""

    def body(carry, g):
        params, state = carry
        updates, state = opt.update(g, state, params)
        return (apply_updates(params, updates), state), updates

    return jax.lax.scan(body, (params, opt.init(params)), grads)[1]


def cast(x, dtype):
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), x)


def error(ours, theirs):
    """The largest difference over the largest update, the worst of all leaves."""

    def of(x, y):
        assert x.dtype == y.dtype
        return np.max(np.abs(x - y)) / np.max(np.abs(y))

    return max(jax.tree.leaves(jax.tree.map(of, ours, theirs)))


def error_in_float64(ours, theirs):
    with jax.enable_x64(True):
        both = jax.jit(lambda *args: (run(ours, *args), run(theirs, *args)))
        return error(*both(*cast((PARAMS, GRADS), "float64")))


def numbers(name, arguments):
    """The numbers of a recipe by name, without those that are None."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(RECIPES[name](RATE, **arguments))
    return {path[0].name: leaf for path, leaf in leaves}


# -------------------------------------------------------------------------------------------- optax


def test_the_classics_are_there():
    assert set(CLASSIC.split()) <= set(RECIPES)


@every_recipe
def test_signature_is_that_of_optax(name):
    """Names, kinds, order and defaults; ours may add arguments that are given by keyword only."""
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(f).parameters.values()]
        for f in (RECIPES[name], getattr(optax, name))
    )
    assert ours[: len(theirs)] == theirs
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in ours[len(theirs) :])


@every_case
def test_equals_optax(name, arguments):
    ours, theirs = (f(RATE, **arguments) for f in (RECIPES[name], getattr(optax, name)))
    assert error_in_float64(ours, theirs) < 1e-12


@every_recipe
def test_equals_optax_with_schedules(name):
    """For all numbers, by inject_hyperparams, which is how optax schedules most of them."""

    def schedule(value):
        return lambda t: value / (1 + t / 99.0)

    arguments = ARGUMENTS.get(name, [{}])[0]
    arguments = {k: v for k, v in arguments.items() if "dtype" not in k}
    scheduled = {k: schedule(v) for k, v in numbers(name, arguments).items()}
    fixed = arguments.keys() - scheduled
    inject = optax.inject_hyperparams(getattr(optax, name), static_args=fixed)
    ours, theirs = (f(**arguments | scheduled) for f in (RECIPES[name], inject))
    assert error_in_float64(ours, theirs) < 1e-12


@every_case
def test_equals_optax_in_float32(name, arguments):
    """Each compiled by itself, given the same arrays."""
    args = cast((numbers(name, arguments), PARAMS, GRADS), "float32")
    ours, theirs = (
        jax.jit(lambda values, *args, f=f: run(f(**arguments | values), *args))(*args)
        for f in (RECIPES[name], getattr(optax, name))
    )
    assert error(ours, theirs) < 2e-6


def test_adadelta_without_a_learning_rate_goes_down():
    """In optax 0.2.8 it climbs: with learning_rate=None the minus sign is left out as well."""
    ours, theirs = optimizers.adadelta(), optax.adadelta()
    assert error_in_float64(ours, optimizers.adadelta(1.0)) == 0
    climb = optax.chain(theirs, optax.scale(-1.0))
    assert error_in_float64(ours, climb) < 1e-12


# -------------------------------------------------------------- as classic introductions print them


def by_hand(step, *state):
    """The updates of a rule in NumPy: step(t, g, *state) -> (update, *state)."""
    updates = []
    for t, g in enumerate(GRADS["layer"]["matrix"], 1):
        u, *state = step(t, g, *state)
        updates.append(u)
    return np.stack(updates)


def adagrad(t, g, G):
    G = G + g**2
    return -RATE * g / (np.sqrt(G) + 1e-8), G


def rmsprop(t, g, v):
    v = 0.9 * v + 0.1 * g**2
    return -RATE * g / (np.sqrt(v) + 1e-8), v


def adam(t, g, m, v):
    m = 0.9 * m + 0.1 * g
    v = 0.999 * v + 0.001 * g**2
    return -RATE * m / (np.sqrt(v) + 1e-8), m, v


@pytest.mark.parametrize(
    ("opt", "step", "slots"),
    [
        (
            optimizers.adagrad(RATE, initial_accumulator_value=0.0, eps=1e-8, eps_in_sqrt=False),
            adagrad,
            1,
        ),
        (optimizers.rmsprop(RATE, eps_in_sqrt=False), rmsprop, 1),
        (optimizers.adam(RATE, bias_correction=False), adam, 2),
    ],
    ids=["adagrad", "rmsprop", "adam"],
)
def test_classic_formulas(opt, step, slots):
    with jax.enable_x64(True):
        ours = jax.jit(run)(opt, *cast((PARAMS, GRADS), "float64"))["layer"]["matrix"]
        assert error(ours, by_hand(step, *[np.zeros((2, 3))] * slots)) < 1e-12


# ------------------------------------------------------------------------------ better than optax


@pytest.mark.parametrize("eps_in_sqrt", [True, False])
def test_centered_rmsprop_survives_constant_gradients(eps_in_sqrt):
    """v - m^2 tends to 0 and rounding makes it negative: 18% of these are NaN in optax 0.2.8."""
    opt = optimizers.rmsprop(RATE, centered=True, eps_in_sqrt=eps_in_sqrt)
    g = jnp.asarray(np.random.default_rng(0).uniform(0.1, 100, 200), "float32")
    assert np.all(np.isfinite(jax.jit(run)(opt, jnp.zeros(200), jnp.tile(g, (500, 1)))))
