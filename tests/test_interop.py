"""Ours inside optax, Flax and Equinox; optax's inside ours."""

import functools
import inspect
import pickle
import subprocess
import sys
from types import FunctionType

import chex
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from flax import nnx
from flax.training.train_state import TrainState

from jaxopt_edu import data
from jaxopt_edu.engine.fitting import fit
from jaxopt_edu.nn import losses, models
from jaxopt_edu.optim.interop import from_optax, to_optax
from jaxopt_edu.optim.optimizers import adam, adamw, sgd
from jaxopt_edu.optim.regularizers import weights_only
from jaxopt_edu.optim.schedules import cosine_decay_schedule
from jaxopt_edu.optim.step_sizes import learning_rate_of
from jaxopt_edu.optim.transform import chain, told
from jaxopt_edu.search import sweep
from jaxopt_edu.train import Training
from jaxopt_edu.values.names import hyperparameters, replace
from jaxopt_edu.values.space import choice, log_uniform, one_of

STEPS = 4
START = {"w": np.linspace(-1.0, 2.0, 6).reshape(2, 3), "b": np.array([0.5, -1.5, 1.0])}
RATES = np.array([0.02, 0.1])


def loss_of(params):
    return sum(jnp.sum(jnp.sin(x) + x**2) for x in jax.tree.leaves(params))


def start(dtype=float):
    return jax.tree.map(lambda x: jnp.asarray(x, dtype), START)


def run(optimizer, params, extra=None):
    """The params after some steps in lax.scan; extra: what optax's update is to be told.

    Ours is told what it asks for.
    """

    def body(carry, t):
        params, state = carry
        value, grads = jax.value_and_grad(loss_of)(params)
        known = {"value": value, "grad": grads, "value_fn": loss_of, "obj_fn": loss_of}
        if extra is None:
            known = told(optimizer, value=value, grad=grads, value_fn=loss_of, t=t)
        else:
            known = {name: known[name] for name in extra}
        updates, state = optimizer.update(grads, state, params, **known)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(body, (params, optimizer.init(params)), jnp.arange(STEPS))
    return params


def assert_close(x, y, atol=1e-12):
    chex.assert_trees_all_close(x, y, rtol=0, atol=atol)


# ------------------------------------------------------------------------------- ours inside optax

SCHEDULE = optax.cosine_decay_schedule(0.1, 10)
PAIRS = {
    "sgd": (sgd(0.1, momentum=0.9), optax.sgd(0.1, momentum=0.9)),
    "adamw": (adamw(0.1, mask=weights_only), optax.adamw(0.1, mask=weights_only)),
    "optax's schedule in ours": (adam(SCHEDULE), optax.adam(SCHEDULE)),
    "our schedule in optax's": (optax.adam(cosine_decay_schedule(0.1, 10)), optax.adam(SCHEDULE)),
    "to_optax": (to_optax(adam(cosine_decay_schedule(0.1, 10))), optax.adam(SCHEDULE)),
}
PLACES = {
    "chain": lambda tx: optax.chain(optax.clip_by_global_norm(1.0), tx),
    "MultiSteps": lambda tx: optax.MultiSteps(tx, 2),
    "masked": lambda tx: optax.masked(tx, {"w": True, "b": False}),
    "partition": lambda tx: optax.partition(
        {"ours": tx, "theirs": optax.sgd(0.1)}, {"w": "ours", "b": "theirs"}
    ),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_ours_inside_optax_equals_optax(pair):
    """As it is in optax's combinators, and by itself in optax's place."""
    with jax.enable_x64(True):

        @jax.jit
        def both(params):
            found = {"alone": [run(tx, params) for tx in PAIRS[pair]]}
            return found | {
                name: [run(place(tx), params) for tx in PAIRS[pair]]
                for name, place in PLACES.items()
            }

        for ours, theirs in both(start()).values():
            assert_close(ours, theirs)


def test_to_optax_hands_extra_arguments_on():
    """optax.chain asks the type whether a transformation takes them."""
    optimizer = to_optax(from_optax(optax.polyak_sgd))
    with jax.enable_x64(True):
        theirs = run(optax.chain(optax.polyak_sgd()), start(), {"value"})
        assert_close(run(optax.chain(optimizer), start(), {"value"}), theirs)


def test_the_numbers_of_to_optax_are_state():
    """New numbers want no new trace; lanes of states have their own; optax finds them by name."""
    tx = to_optax(chain(sgd(0.3), adam(0.1)))
    params = start()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def step(state):
        updates, state = tx.update(jax.grad(loss_of)(params), state, params)
        return updates, state

    chex.clear_trace_counter()
    state = tx.init(params)
    assert list(state.hyperparams) == [
        "0.learning_rate",
        *(f"1.{n}" for n in hyperparameters(adam(1))),
    ]
    for rate in RATES:
        changed = optax.tree.set(state, **{"1.learning_rate": jnp.asarray(rate, jnp.float32)})
        updates, new = step(changed)
        by_hand = optax.chain(optax.sgd(0.3), optax.adam(rate))
        expected, _ = by_hand.update(jax.grad(loss_of)(params), by_hand.init(params), params)
        assert_close(updates, expected, 1e-5)
        assert new.hyperparams["1.learning_rate"] == np.float32(rate)

    def first_updates(rate):
        return to_optax(sgd(rate)).init(params)

    lanes = jax.vmap(first_updates)(RATES)
    updates, _ = jax.vmap(lambda s: to_optax(sgd(0.0)).update(params, s))(lanes)
    assert_close(updates["b"], -RATES[:, None] * START["b"], 1e-5)
    with pytest.raises(TypeError, match="is a distribution where a number is needed"):
        to_optax(sgd(log_uniform(0.1, 1.0))).init(params)


# ---------------------------------------------------------------------- ours in Flax and Equinox


def test_train_state():
    """As it is; by `to_optax` a new number wants no new trace."""
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=3)
    def step(state):
        return state.apply_gradients(grads=jax.grad(loss_of)(state.params))

    def train(state):
        for _ in range(STEPS):
            state = step(state)
        return state.params

    def make(tx):
        return TrainState.create(apply_fn=None, params=start(), tx=tx)

    theirs = train(make(optax.adam(0.1)))
    assert_close(train(make(adam(0.1))), theirs, 1e-5)
    state = make(to_optax(adam(0.5)))
    train(state)
    numbers = state.opt_state.hyperparams | {"learning_rate": jnp.float32(0.1)}
    state = state.replace(opt_state=state.opt_state._replace(hyperparams=numbers))
    assert_close(train(state), theirs, 1e-5)


def test_nnx_optimizer():
    """As it is; it refuses arrays, but not in the state, where new ones want no new trace."""

    @nnx.jit
    @chex.assert_max_traces(n=3)
    def step(model, optimizer):
        optimizer.update(model, nnx.grad(lambda m: jnp.mean((m(jnp.ones((4, 2))) - 1) ** 2))(model))

    def train(tx, rate=None):
        model = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
        optimizer = nnx.Optimizer(model, tx, wrt=nnx.Param)
        if rate is not None:
            optimizer.opt_state.hyperparams["learning_rate"][...] = rate
        for _ in range(STEPS):
            step(model, optimizer)
        return model.kernel[...]

    chex.clear_trace_counter()
    theirs = train(optax.adam(0.1))
    assert_close(train(adam(0.1)), theirs, 1e-5)
    with pytest.raises(ValueError, match="data"):
        train(adam(jnp.asarray(0.1)))
    tx = to_optax(adam(jnp.asarray(0.1)))
    assert_close(train(tx), theirs, 1e-5)
    assert np.abs(train(tx, rate=0.5) - theirs).max() > 0.1


def test_equinox_loop():
    """As it is; arrays for numbers are arguments of filter_jit, so new ones want no new trace."""
    model = eqx.nn.Linear(2, 3, key=jax.random.key(0))

    @eqx.filter_jit
    @chex.assert_max_traces(n=3)
    def step(optimizer, model, state):
        grads = eqx.filter_grad(lambda m: jnp.mean((jax.vmap(m)(jnp.ones((4, 2))) - 1) ** 2))(model)
        updates, state = optimizer.update(grads, state, eqx.filter(model, eqx.is_array))
        return eqx.apply_updates(model, updates), state

    def train(optimizer, model=model):
        state = optimizer.init(eqx.filter(model, eqx.is_array))
        for _ in range(STEPS):
            model, state = step(optimizer, model, state)
        return model.weight

    chex.clear_trace_counter()
    theirs = train(optax.adam(0.1))
    assert_close(train(adam(0.1)), theirs, 1e-5)
    for rate in 0.1, 0.5:
        arrays = jax.tree.map(jnp.asarray, adam(rate))
        assert (np.abs(train(arrays) - theirs).max() < 1e-5) == (rate == 0.1)


# ------------------------------------------------------------------------------- optax inside ours


def factories():
    """Every factory of optax that wants at most a learning rate, and what else it gets here."""
    for module in optax, optax.contrib:
        for name, factory in vars(module).items():
            if name.startswith("_") or not isinstance(factory, FunctionType | functools.partial):
                continue
            parameters = inspect.signature(factory).parameters
            wanted = {p.name for p in parameters.values() if p.default is p.empty}
            if "learning_rate" in parameters and wanted <= {"learning_rate"}:
                given = {"key": jax.random.key(0)} if "key" in parameters else {}
                yield pytest.param(factory, given, id=f"{module.__name__}.{name}")


def accepted(factory, optimizer):
    """What optax's own update is to be told, besides the gradient."""
    if factory is optax.contrib.sophia:
        return {"obj_fn"}
    takes = isinstance(optimizer, optax.GradientTransformationExtraArgs)
    return {"value", "grad", "value_fn"} if takes else set()


every_factory = pytest.mark.parametrize(("factory", "given"), list(factories()))
pytestmark = [
    pytest.mark.filterwarnings("ignore:.optimistic_adam. is deprecated:DeprecationWarning"),
    pytest.mark.usefixtures("compiled_quickly"),
]


@every_factory
def test_from_optax_equals_optax(factory, given):
    """A vmap over the learning rate, told what it asks for, equals a loop of optax's own."""

    @jax.jit
    def ours_and_theirs(rates, params):
        def theirs(rate):
            optimizer = factory(learning_rate=rate, **given)
            return run(optimizer, params, accepted(factory, optimizer))

        optimizers = jax.vmap(lambda rate: from_optax(factory, learning_rate=rate, **given))(rates)
        lanes = jax.vmap(lambda optimizer: run(optimizer, params))(optimizers)
        return lanes, jax.lax.map(theirs, rates)

    # on a GPU the singular vectors of many matrices are found to less than those of one
    few = factory is optax.contrib.galore and jax.default_backend() == "gpu"
    with jax.enable_x64(True):  # one leaf: half the compilation
        assert_close(*ours_and_theirs(RATES, start()["w"]), atol=1e-6 if few else 1e-12)


@every_factory
def test_from_optax_keeps_dtypes(factory, given):
    """With float32 arrays for all its floats and bfloat16 params, in lax.scan."""
    parameters = inspect.signature(factory).parameters
    floats = {name: p.default for name, p in parameters.items() if isinstance(p.default, float)}
    numbers = jax.tree.map(jnp.float32, {"learning_rate": 0.1} | floats)
    optimizer, params = from_optax(factory, **numbers, **given), start(jnp.bfloat16)
    assert hyperparameters(optimizer).keys() == (numbers | given).keys()
    new = jax.eval_shape(lambda optimizer: run(optimizer, params), optimizer)
    assert {x.dtype for x in jax.tree.leaves(new)} == {jnp.dtype(jnp.bfloat16)}


def test_from_optax_is_a_value():
    """hyperparameters, replace, ==, hash, pickle, repr; a flag is structure, given or replaced."""
    x = from_optax(optax.adamw, 0.1, weight_decay=0.2, mask=weights_only, nesterov=False)
    assert hyperparameters(x) == {"learning_rate": 0.1, "weight_decay": 0.2}
    names = {"optax": optax, "from_optax": from_optax, "weights_only": weights_only}
    for y in (
        x,
        replace(x, learning_rate=0.3, nesterov=True),
        from_optax(optax.contrib.muon, 0.1, ns_coeffs=(3.0, -4.0, 2.0), preconditioning="schatten"),
        from_optax(optax.lbfgs, memory_size=5),
        from_optax(optax.nadam, 0.1),
        from_optax(optax.adam, 0.1, mu_dtype="bfloat16"),
    ):
        assert eval(repr(y), names) == pickle.loads(pickle.dumps(y)) == y
        assert hash(pickle.loads(pickle.dumps(y))) == hash(y)
        assert jax.tree.unflatten(*reversed(jax.tree.flatten(y))) == y
        assert repr(jax.tree.map(lambda leaf: leaf, y)) == repr(y)
    assert replace(x, nesterov=True) != x
    assert jax.tree.structure(replace(x, nesterov=True)) != jax.tree.structure(x)
    assert hyperparameters(from_optax(optax.lbfgs, memory_size=5)) == {}
    assert from_optax(optax.nadam, 0.1) == from_optax(optax.adam, 0.1, nesterov=True)


def test_from_optax_holds_ours():
    """The numbers of our schedules and optimizers are hyperparameters inside optax's too."""
    schedule = cosine_decay_schedule(0.1, 10)
    inner = from_optax(optax.lion, schedule, weight_decay=0.1)
    outer = from_optax(optax.apply_if_finite, inner, max_consecutive_errors=3)
    assert list(hyperparameters(outer))[:2] == [
        "inner.learning_rate.init_value",
        "inner.learning_rate.decay_steps",
    ]
    assert "max_consecutive_errors" not in hyperparameters(outer)
    state = inner.init(start())
    assert learning_rate_of(inner, state) == schedule(0)
    _, state = inner.update(start(), state, start())
    assert learning_rate_of(inner, state) == schedule(1)
    assert learning_rate_of(from_optax(optax.sgd, 0.3), None) == 0.3
    with jax.enable_x64(True):
        theirs = optax.apply_if_finite(optax.lion(schedule, weight_decay=0.1), 3)
        assert_close(run(outer, start()), run(theirs, start(), set()))


def test_one_trace_and_gradients():
    """One trace serves all numbers of an optimizer, and jax.grad gives them in its shape."""
    chex.clear_trace_counter()

    @jax.jit
    @chex.assert_max_traces(n=1)
    def slope(optimizer, params):
        return jax.value_and_grad(lambda optimizer: loss_of(run(optimizer, params)))(optimizer)

    with jax.enable_x64(True):
        x = from_optax(optax.adamw, learning_rate=0.1, b1=0.8, weight_decay=0.1)
        for name, at in {"learning_rate": 0.1, "b1": 0.7, "weight_decay": 0.2}.items():
            around = [slope(replace(x, **{name: at + h}), start()) for h in (-1e-5, 0.0, 1e-5)]
            (low, _), (_, here), (high, _) = around
            expected = (high - low) / 2e-5
            assert abs(hyperparameters(here)[name] - expected) < 1e-6 * abs(expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: from_optax(optax.adam, lr=0.1),
            "optax.adam has no argument 'lr'; .*learning_rate",
        ),
        (lambda: from_optax(optax.adam, 0.1, b3=0.1), "'b3'; did you mean 'b"),
        (lambda: from_optax(optax.adam, b1=0.1), "optax.adam: missing .*'learning_rate'"),
        (lambda: from_optax(optax.lion, 0.1, learning_rate=0.1), "optax.lion: multiple values"),
        (lambda: from_optax(optax.adam(0.1)), "wanted a function, such as optax.adam"),
        (lambda: from_optax(optax.chain, optax.sgd(0.1)), "whose arguments all have names"),
        (
            lambda: from_optax(optax.lbfgs, memory_size=choice(5, 10)),
            r"memory_size = choice\(5, 10\): wanted an integer, or one_of",
        ),
    ],
)
def test_errors(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_fit_and_sweep():
    """optax's Adam is swept as ours is, with the same results, and trained by itself."""
    wine, spread = data.load("wine"), log_uniform(1e-3, 1e-1)
    loss = losses.softmax_cross_entropy_with_integer_labels
    alternatives = adam(spread), from_optax(optax.adam, spread)
    space = Training(models.Linear(13, 3), loss, one_of(*alternatives), wine)
    study = sweep(space, trials=4, steps=20, sampler="grid", progress=False)
    rates, scores = study.columns["optimizer.learning_rate"], study.columns["validation_loss"]
    assert list(study.columns["optimizer"]) == ["adam", "adam", "optax.adam", "optax.adam"]
    assert rates[0] == rates[2] != rates[1] == rates[3]
    assert_close(scores[:2], scores[2:], 1e-5)
    alone = fit(replace(space, optimizer=from_optax(optax.adam, rates[3])), 20, progress=False)
    assert abs(alone.evaluate("validation")["loss"] - scores[3]) < 1e-5


def test_import_leaves_optax_alone():
    code = "import sys, jaxopt_edu, jaxopt_edu.optim.interop; assert 'optax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
