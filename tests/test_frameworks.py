"""Models with batch normalization of Flax, Equinox and Haiku: trained, swept, saved and loaded."""

import functools

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from stateful import DATA, SOFTMAX, close, ready, training
from test_adapters import PLAIN, WITH_DROPOUT, EquinoxNet, LinenNet, NNXNet, haiku_net

import jaxopt_edu as jo
from jaxopt_edu.values import keys

pytestmark = pytest.mark.usefixtures("compiled_quickly")

STEPS = 5
X, Y = jnp.asarray(DATA.train.x), jnp.asarray(DATA.train.y)
NEW = np.asarray(DATA.test.x)
each = pytest.mark.parametrize("name", PLAIN)


def slow(name):
    return pytest.param(name, marks=pytest.mark.slow)


def batches(experiment):
    """What the steps of a fit see."""
    for t in range(STEPS):
        key = keys.batch(keys.order(0))
        rows = jo.data.batch_indices(key, t, len(Y), experiment.batch_size)
        yield X[rows], Y[rows]


def mean_loss(out, y):
    return jnp.mean(SOFTMAX(out, y))


@functools.cache
def fitted(name):
    return jo.fit(training(PLAIN[name]), STEPS)


# ------------------------------------------------------------------- the framework's own loop


def in_linen(start):
    tx = optax.sgd(0.1, momentum=0.9)
    variables = LinenNet().init(start, X[:1], train=False)
    params, stats = variables["params"], variables["batch_stats"]

    @jax.jit
    def step(params, stats, opt_state, x, y):
        def loss(params):
            variables = {"params": params, "batch_stats": stats}
            out, new = LinenNet().apply(variables, x, train=True, mutable=["batch_stats"])
            return mean_loss(out, y), new["batch_stats"]

        g, stats_ = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = tx.update(g, opt_state)
        return optax.apply_updates(params, updates), stats_, opt_state

    opt_state = tx.init(params)
    for x, y in batches(training()):
        params, stats, opt_state = step(params, stats, opt_state, x, y)
    out = LinenNet().apply({"params": params, "batch_stats": stats}, NEW, train=False)
    return params, stats, out


def in_nnx(start):
    module = NNXNet(nnx.Rngs(start))
    module.train()
    optimizer = nnx.Optimizer(module, optax.sgd(0.1, momentum=0.9), wrt=nnx.Param)

    @nnx.jit
    def step(module, optimizer, x, y):
        optimizer.update(module, nnx.grad(lambda module: mean_loss(module(x), y))(module))

    for x, y in batches(training()):
        step(module, optimizer, x, y)
    module.eval()
    params = {n: getattr(module.norm, n)[...] for n in ("scale", "bias")}
    return params, {n: getattr(module.norm, n)[...] for n in ("mean", "var")}, module(NEW)


def in_equinox(start):
    tx = optax.sgd(0.1, momentum=0.9)
    module, state = eqx.nn.make_with_state(EquinoxNet)(start)
    opt_state = tx.init(eqx.filter(module, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(module, state, opt_state, x, y):
        @functools.partial(eqx.filter_grad, has_aux=True)
        def grads(module):
            run = jax.vmap(module, axis_name="batch", in_axes=(0, None, None), out_axes=(0, None))
            out, new = run(x, state, jax.random.key(0))
            return mean_loss(out, y), new

        g, new = grads(module)
        updates, opt_state = tx.update(g, opt_state)
        return eqx.apply_updates(module, updates), new, opt_state

    for x, y in batches(training()):
        module, state, opt_state = step(module, state, opt_state, x, y)
    quiet = eqx.nn.inference_mode(module)
    run = jax.vmap(quiet, axis_name="batch", in_axes=(0, None, None), out_axes=(0, None))
    return (
        [module.layers[0].weight, module.norm.bias],
        jax.tree.leaves(state),
        run(NEW, state, None)[0],
    )


def in_haiku(start):
    tx = optax.sgd(0.1, momentum=0.9)
    pair = hk.transform_with_state(haiku_net)
    params, state = pair.init(start, X[:1], is_training=True)

    @jax.jit
    def step(params, state, opt_state, x, y):
        def loss(params):
            out, new = pair.apply(params, state, None, x, is_training=True)
            return mean_loss(out, y), new

        g, new = jax.grad(loss, has_aux=True)(params)
        updates, opt_state = tx.update(g, opt_state)
        return optax.apply_updates(params, updates), new, opt_state

    opt_state = tx.init(params)
    for x, y in batches(training()):
        params, state, opt_state = step(params, state, opt_state, x, y)
    return params, state, pair.apply(params, state, None, NEW, is_training=False)[0]


OWN = {"linen": in_linen, "nnx": in_nnx, "equinox": in_equinox, "haiku": in_haiku}
PARTS = {  # of what is found, those that the loop gives
    "linen": lambda params, state: (params, state["batch_stats"]),
    "nnx": lambda params, state: (params["norm"], state["norm"]),
    "equinox": lambda params, state: (
        [params["layers"][0]["weight"], params["norm"]["bias"]], jax.tree.leaves(state["state"]),
    ),
    "haiku": lambda params, state: (params, state),
}  # fmt: skip


@each
def test_a_fit_is_the_frameworks_own_loop(name):
    run = fitted(name)
    params, statistics, out = OWN[name](keys.weights(0))
    close(PARTS[name](*ready(run)), (params, statistics))
    close(run.apply(NEW), out)


def test_what_is_no_parameter_is_never_trained():
    params, state = PLAIN["equinox"].init(keys.weights(0))
    after = fitted("equinox").state
    assert jax.tree.structure(after.params) == jax.tree.structure(params)
    close(after.model_state["buffers"], state["buffers"], 0)
    _, state = WITH_DROPOUT["nnx"](0.2).init(keys.weights(0))
    run = jo.fit(training(WITH_DROPOUT["nnx"](0.2)), STEPS)
    close(run.state.model_state["dropout"], state["dropout"], 0)


@jo.pytree
class Started:
    """A model that starts from given weights."""

    of: object
    start: object

    stateful = True

    def init(self, key):
        return self.start

    def apply(self, params, state, x, key=None):
        return self.of.apply(params, state, x, key)


def test_linen_and_nnx_of_the_same_weights_have_the_same_statistics():
    params, _ = PLAIN["linen"].init(keys.weights(0))
    own = {"layers": {i: params[f"Dense_{i}"] for i in (0, 1)}, "norm": params["BatchNorm_0"]}
    model = Started(PLAIN["nnx"], (own, PLAIN["nnx"].init(keys.weights(1))[1]))
    run = jo.fit(training(model), STEPS)
    close(
        run.state.model_state["norm"],
        fitted("linen").state.model_state["batch_stats"]["BatchNorm_0"],
    )


# ----------------------------------------------------------------------- sweeps and files


@each
def test_a_file_gives_the_same_answers(name, tmp_path):
    run = fitted(name)
    run.save(tmp_path / "model.jo")
    with pytest.raises(ValueError, match=r"has no public name: give load_model model=\.\.\."):
        jo.load_model(tmp_path / "model.jo")
    found = jo.load_model(tmp_path / "model.jo", model=PLAIN[name])
    close((found.params, found.model_state), ready(run), 0)
    answers = found.predict_proba(NEW, prepared=True)
    np.testing.assert_array_equal(answers, run.predict_proba("test"))


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow if name != "linen" else ()) for name in PLAIN],
)
def test_learning_rates_are_swept(name, tmp_path):
    space = training(PLAIN[name], jo.log_uniform(0.01, 0.5))
    study = jo.sweep(space, trials=4, steps=STEPS, tile=2, store=tmp_path, progress=False)
    best = study.rerun(study.order[0])
    close(ready(best), ready(jo.fit(study.best, STEPS)), 1e-5)
    loaded = jo.load_study(tmp_path, space=space)
    close(ready(loaded.rerun(study.order[0])), ready(best), 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["equinox", "haiku"])
def test_dropout_is_swept_as_a_number(name):
    space = training(WITH_DROPOUT[name](jo.uniform(0.0, 0.5)))
    study = jo.sweep(space, trials=3, steps=STEPS, tile=4, progress=False)
    assert len(study.tiles) == 1
    rate = study.columns["model.rate"][2]
    alone = jo.fit(training(WITH_DROPOUT[name](float(rate))), STEPS)
    assert alone.scores["validation"]["loss"] == pytest.approx(
        study.columns["validation_loss"][2], 1e-5
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linen", "nnx"])
def test_dropout_is_swept_as_modules(name):
    make = WITH_DROPOUT[name]
    field = "module" if name == "linen" else "make"
    models = [make(rate) for rate in (0.0, 0.4)]
    several = jo.one_of(*(getattr(model, field) for model in models))
    space = training(jo.replace(models[0], **{field: several}), jo.log_uniform(0.01, 0.5))
    study = jo.sweep(space, trials=4, steps=STEPS, tile=2, progress=False)
    assert len(study.tiles) == 2
    again = study.rerun(3)
    place, _ = study.place(3)
    alone = training(models[place], float(study.columns["optimizer.learning_rate"][3]))
    close(ready(again), ready(jo.fit(alone, STEPS)), 1e-5)


@pytest.mark.slow
@each
def test_privacy_and_no_batch_normalization(name):
    with pytest.raises(ValueError, match=r"model = (Linen|NNX|Equinox|Haiku)\(.* mixes examples"):
        jo.fit(training(PLAIN[name], estimator=jo.Private(1.0, 1.0)), 1)


@pytest.mark.slow
def test_a_dropout_of_nnx_is_trained_privately():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.out, self.dropout = nnx.Linear(4, 3, rngs=rngs), nnx.Dropout(0.2, rngs=rngs)

        def __call__(self, x):
            return self.out(self.dropout(x))

    model = jo.models.NNX(Net, (1, 4))
    run = jo.fit(training(model, estimator=jo.Private(1.0, 1.0)), STEPS)
    assert np.isfinite(run.scores["validation"]["loss"])
