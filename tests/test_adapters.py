"""Models of Flax, Equinox and Haiku: their statistics, their randomness, what they refuse."""

import dataclasses
import functools
import pickle
import subprocess
import sys

import equinox as eqx
import flax.linen as nn
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxopt_edu as jo
from jaxopt_edu.nn.models import NNX, Equinox, Haiku, Linen
from jaxopt_edu.nn.models.mixing import mixes_examples
from jaxopt_edu.storage.edited import forget_edited
from jaxopt_edu.storage.files import to_json
from jaxopt_edu.storage.formats import EXPERIMENT
from jaxopt_edu.storage.named import describe, rebuild, unnamed
from jaxopt_edu.values import tree

pytestmark = pytest.mark.usefixtures("compiled_quickly")

KEY = jax.random.key(3)
X = jax.random.normal(jax.random.key(1), (12, 4)) * jnp.arange(1.0, 5) + 2
Y = jax.random.normal(jax.random.key(2), (12, 3))
EXAMPLE = (1, 4)
RATE, STEPS = 0.1, 4


# ------------------------------------------------------------- one network in four frameworks


class LinenNet(nn.Module):
    rate: float = 0.0

    @nn.compact
    def __call__(self, x, train):
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Dense(6)(x))
        return nn.Dense(3)(nn.Dropout(self.rate, deterministic=not train)(nn.relu(x)))


class NNXNet(nnx.Module):
    def __init__(self, rngs, rate=0.0):
        self.layers = nnx.List([nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(6, momentum=0.9, rngs=rngs)
        self.dropout = nnx.Dropout(rate, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](self.dropout(nnx.relu(self.norm(self.layers[0](x)))))


class EquinoxNet(eqx.Module):
    layers: list
    norm: eqx.nn.BatchNorm
    dropout: eqx.nn.Dropout
    order: jax.Array  # a buffer of integers
    kept: jax.Array  # and one of bools

    def __init__(self, key, rate=0.0):
        first, second, third = jax.random.split(key, 3)
        self.layers = [eqx.nn.Linear(4, 6, key=first), eqx.nn.Linear(6, 3, key=second)]
        self.norm = eqx.nn.BatchNorm(6, "batch", momentum=0.9, mode="batch")
        self.dropout = eqx.nn.Dropout(rate)
        self.order = jax.random.permutation(third, 6)
        self.kept = jnp.ones(6, bool)

    def __call__(self, x, state, key):
        x, state = self.norm(self.layers[0](x), state)
        x = jnp.where(self.kept, jax.nn.relu(x)[self.order], 0)
        return self.layers[1](self.dropout(x, key=key)), state


def haiku_net(x, is_training, rate=None):
    x = jax.nn.relu(hk.BatchNorm(True, True, 0.9)(hk.Linear(6)(x), is_training))
    if rate is not None and is_training:
        x = hk.dropout(hk.next_rng_key(), rate, x)
    return hk.Linear(3)(x)


def equinox_dropout(rate):
    return Equinox(EquinoxNet, {"rate": rate})


def haiku_dropout(rate):
    return Haiku(haiku_net, EXAMPLE, {"rate": rate})


def linen_dropout(rate):
    return Linen(LinenNet(rate), EXAMPLE)


def nnx_dropout(rate):
    return NNX(functools.partial(NNXNet, rate=rate), EXAMPLE)


PLAIN = {
    "linen": Linen(LinenNet(), EXAMPLE),
    "nnx": NNX(NNXNet, EXAMPLE),
    "equinox": Equinox(EquinoxNet),
    "haiku": Haiku(haiku_net, EXAMPLE),
}
WITH_DROPOUT = {
    "linen": linen_dropout,
    "nnx": nnx_dropout,
    "equinox": equinox_dropout,
    "haiku": haiku_dropout,
}
each = pytest.mark.parametrize("name", PLAIN)
each_dropout = pytest.mark.parametrize("name", WITH_DROPOUT)


@functools.cache
def start(name):
    return jax.jit(PLAIN[name].init)(KEY)


def error(prediction):
    return jnp.mean((prediction - Y) ** 2)


def descend(params, grads):
    return jax.tree.map(lambda p, g: p - RATE * g, params, grads)


def trained(model, params, model_state):
    """(params, model_state) after some steps of gradient descent."""

    @jax.jit
    def step(params, model_state, key):
        def loss(params):
            prediction, new = model.apply(params, model_state, X, key)
            return error(prediction), new

        grads, new = jax.grad(loss, has_aux=True)(params)
        return descend(params, grads), new

    for t in range(STEPS):
        params, model_state = step(params, model_state, jax.random.fold_in(KEY, t))
    return params, model_state


@functools.cache
def end(name):
    return trained(PLAIN[name], *start(name))


def assert_close(x, y, tolerance=1e-6):
    assert jax.tree.structure(x) == jax.tree.structure(y)
    for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True):
        np.testing.assert_allclose(plain(a), plain(b), tolerance, tolerance)


def plain(x):
    is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x)


def differ(x, y):
    return any(
        not np.array_equal(plain(a), plain(b))
        for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    )


# -------------------------------------------------------- statistics of the framework's own loop


def test_linen_is_its_own_loop():
    variables = LinenNet().init(KEY, X[:1], train=False)
    params, stats = variables["params"], variables["batch_stats"]

    @jax.jit
    def step(params, stats):
        def loss(params):
            variables = {"params": params, "batch_stats": stats}
            out, new = LinenNet().apply(variables, X, train=True, mutable=["batch_stats"])
            return error(out), new["batch_stats"]

        grads, stats_ = jax.grad(loss, has_aux=True)(params)
        return descend(params, grads), stats_

    for _ in range(STEPS):
        params, stats = step(params, stats)
    assert_close(end("linen"), (params, {"batch_stats": stats}))
    assert differ(end("linen")[1], start("linen")[1])
    out = LinenNet().apply({"params": params, "batch_stats": stats}, X, train=False)
    assert_close(PLAIN["linen"].apply(*end("linen"), X)[0], out)


def test_nnx_is_its_own_loop():
    module = NNXNet(nnx.Rngs(KEY))
    module.train()

    @nnx.jit
    def step(module):
        grads = nnx.grad(lambda module: error(module(X)))(module)
        params = nnx.state(module, nnx.Param)
        nnx.update(module, descend(params, grads))

    for _ in range(STEPS):
        step(module)
    params, model_state = end("nnx")
    assert_close(
        params["layers"][1], {n: module.layers[1].__dict__[n][...] for n in ("kernel", "bias")}
    )
    assert_close(params["norm"], {n: getattr(module.norm, n)[...] for n in ("scale", "bias")})
    assert_close(model_state["norm"], {n: getattr(module.norm, n)[...] for n in ("mean", "var")})
    module.eval()
    assert_close(PLAIN["nnx"].apply(params, model_state, X)[0], module(X))
    built = PLAIN["nnx"].build(params, model_state)
    assert_close(built(X), module(X))


def test_equinox_is_its_own_loop():
    module, state = eqx.nn.make_with_state(EquinoxNet)(KEY)

    @eqx.filter_jit
    def step(module, state, key):
        @functools.partial(eqx.filter_grad, has_aux=True)
        def grads(module):
            batched = jax.vmap(module, axis_name="batch", in_axes=(0, None, 0), out_axes=(0, None))
            out, new = batched(X, state, jax.random.split(key, len(X)))
            return error(out), new

        g, new = grads(module)
        return eqx.apply_updates(module, jax.tree.map(lambda g: -RATE * g, g)), new

    for t in range(STEPS):
        module, state = step(module, state, jax.random.fold_in(KEY, t))
    params, model_state = end("equinox")
    assert_close(params["layers"][0]["weight"], module.layers[0].weight)
    assert_close(params["norm"]["bias"], module.norm.bias)
    assert_close(jax.tree.leaves(model_state["state"]), jax.tree.leaves(state))
    assert jnp.issubdtype(model_state["buffers"]["order"].dtype, jnp.integer)
    assert_close(model_state["buffers"]["order"], module.order)
    quiet = eqx.nn.inference_mode(module)
    out, _ = jax.vmap(quiet, axis_name="batch", in_axes=(0, None, None), out_axes=(0, None))(
        X, state, None
    )
    assert_close(PLAIN["equinox"].apply(params, model_state, X)[0], out)
    built, own = PLAIN["equinox"].build(params, model_state)
    assert_close(built(X[0], own, None)[0], out[0])


def test_haiku_is_its_own_loop():
    pair = hk.transform_with_state(haiku_net)
    params, state = pair.init(KEY, X[:1], is_training=True)

    @jax.jit
    def step(params, state):
        def loss(params):
            out, new = pair.apply(params, state, None, X, is_training=True)
            return error(out), new

        grads, new = jax.grad(loss, has_aux=True)(params)
        return descend(params, grads), new

    for _ in range(STEPS):
        params, state = step(params, state)
    assert_close(end("haiku"), (params, state))
    out, _ = pair.apply(params, state, None, X, is_training=False)
    assert_close(PLAIN["haiku"].apply(params, state, X)[0], out)


def test_linen_and_nnx_of_the_same_weights_have_the_same_statistics():
    params, model_state = start("linen")
    layers = {0: params["Dense_0"], 1: params["Dense_1"]}
    own = {"layers": layers, "norm": params["BatchNorm_0"]}
    found, statistics = trained(PLAIN["nnx"], own, start("nnx")[1])
    params, model_state = end("linen")
    assert_close(statistics["norm"], model_state["batch_stats"]["BatchNorm_0"])
    assert_close(found["layers"][1], params["Dense_1"])


# ----------------------------------------------------------------------- the protocol of a model


@each
def test_evaluation_leaves_the_state_alone(name):
    params, model_state = end(name)
    model = PLAIN[name]
    assert model.stateful is True
    prediction, after = jax.jit(model.apply)(params, model_state, X)
    assert prediction.shape == (12, 3)
    assert not differ(after, model_state)
    alone, _ = jax.jit(model.apply)(params, model_state, X[:1])
    assert_close(alone, prediction[:1])  # running averages: an example knows nothing of others


@each
def test_a_state_keeps_its_structure_and_is_finite(name):
    for before, after in zip(start(name), end(name), strict=True):
        assert jax.tree.map(jnp.shape, before) == jax.tree.map(jnp.shape, after)
        assert jax.tree.map(jnp.result_type, before) == jax.tree.map(jnp.result_type, after)
    assert bool(tree.all_finite(end(name)))
    assert all(tree.is_float(p) for p in jax.tree.leaves(start(name)[0]))


@each_dropout
def test_dropout_is_a_function_of_the_key(name):
    model = WITH_DROPOUT[name](0.5)
    params, model_state = jax.jit(model.init)(KEY)
    run = jax.jit(model.apply)
    first, after = run(params, model_state, X, KEY)
    moved = jax.tree.map(lambda p: p, after)
    assert_close(run(params, model_state, X, KEY), (first, after), 0)
    assert_close(run(params, moved, X, KEY)[0], first, 0)  # whatever has been before
    assert differ(run(params, model_state, X, jax.random.key(9))[0], first)
    assert differ(run(params, model_state, X)[0], first)
    twins = np.asarray(run(params, model_state, jnp.tile(X[:2], (6, 1)), KEY)[0])[::2]
    assert len(np.unique(twins, axis=0)) > 1  # every example has a mask of its own


def test_two_layers_of_dropout_have_two_masks():
    class Twice(nnx.Module):
        def __init__(self, rngs):
            self.first, self.second = nnx.Dropout(0.5, rngs=rngs), nnx.Dropout(0.5, rngs=rngs)

        def __call__(self, x):
            return jnp.concatenate([self.first(x), self.second(x)])

    model = NNX(Twice, EXAMPLE)
    params, model_state = model.init(KEY)
    out, after = model.apply(params, model_state, X, KEY)
    assert params == {} and differ(out[:12], out[12:])
    assert jnp.issubdtype(model_state["first"]["rngs"]["key"].dtype, jax.dtypes.prng_key)
    assert not differ(after, model_state)  # the keys in the state are those of the start


@each
def test_an_equal_adapter_is_the_same_program(name):
    traces = []

    @jax.jit
    def predict(model, params, model_state):
        traces.append(name)
        return model.apply(params, model_state, X)[0]

    model = PLAIN[name]
    other = dataclasses.replace(model)
    params, model_state = start(name)
    predict(model, params, model_state)
    predict(other, params, model_state)
    assert other == model and hash(other) == hash(model) and traces == [name]
    assert pickle.loads(pickle.dumps(model)) == model
    assert jo.fingerprint(model).digest == jo.fingerprint(other).digest


@pytest.mark.parametrize("name", ["equinox", "haiku"])
def test_a_rate_is_a_number(name):
    make = WITH_DROPOUT[name]
    assert jo.hyperparameters(make(0.25)) == {"rate": 0.25}
    assert jo.replace(make(0.25), rate=0.5) == make(0.5)
    assert eval(repr(make(0.25)), {**vars(jo.models), **globals()}) == make(0.25)
    params, model_state = jax.jit(make(0.25).init)(KEY)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, start(name)[0])
    traces = []

    @jax.jit
    def predict(model):
        traces.append(name)
        return model.apply(params, model_state, X, KEY)

    rates = [0.0, 0.2, 0.6]
    alone = [predict(make(rate)) for rate in rates]
    assert traces == [name]
    together = jax.vmap(predict)(make(jnp.asarray(rates)))
    for i, one in enumerate(alone):
        assert_close(jax.tree.map(lambda x, i=i: x[i], together), one)
    assert differ(alone[1][0], alone[2][0])
    assert_close(alone[0][0], PLAIN[name].apply(params, model_state, X, KEY)[0])


def test_numbers_that_a_module_computes_with_are_no_parameters():
    class Leaky(eqx.Module):
        keep: float
        scale: jax.Array
        layer: eqx.nn.Linear

        def __init__(self, key, rate, gain):
            self.keep = 1 - rate
            self.layer = eqx.nn.Linear(4, 2, key=key)
            self.scale = gain * jnp.ones(2)

        def __call__(self, x):
            return self.keep * self.scale * self.layer(x)

    model = Equinox(Leaky, {"rate": 0.25, "gain": 2.0})
    params, model_state = jax.jit(model.init)(KEY)
    assert set(params) == {"scale", "layer"} and model_state == {}
    np.testing.assert_allclose(params["scale"], 2.0)
    out, slope = jax.value_and_grad(lambda m: jnp.sum(m.apply(params, {}, X)[0]))(model)
    np.testing.assert_allclose(slope.numbers["rate"], -out / 0.75, 1e-5)
    assert slope.numbers["gain"] == 0  # it is where the training starts from
    begun = jax.grad(lambda m: jnp.sum(m.init(KEY)[0]["scale"]))(model)
    assert begun.numbers["gain"] == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda key: eqx.nn.MLP(4, 3, 5, depth=1, key=key),
        lambda key: eqx.nn.Linear(4, 3, key=key),
        lambda key: eqx.nn.Sequential([eqx.nn.Linear(4, 3, key=key), eqx.nn.Dropout(0.5)]),
        lambda key: eqx.nn.Lambda(lambda x: x[:3]),
        lambda key: lambda x: x[:3],
    ],
)
def test_equinox_modules_without_state(make):
    model = Equinox(make)
    params, model_state = model.init(KEY)
    assert model_state == {}
    module = make(KEY)
    out, after = model.apply(params, model_state, X)
    quiet = eqx.nn.inference_mode(module) if isinstance(module, eqx.Module) else module
    assert_close(out, jax.vmap(quiet)(X))
    assert after == {} and model.apply(params, {}, X, KEY)[0].shape == (12, 3)


def test_linen_modules_without_train_and_with_streams_of_their_own():
    model = Linen(nn.Sequential([nn.Dense(5), nn.relu, nn.Dense(3)]), X[:1])
    params, model_state = model.init(KEY)
    out, after = model.apply(params, model_state, X, KEY)
    assert out.shape == (12, 3) and model_state == after == {}
    assert hash(model) == hash(dataclasses.replace(model))

    class Noisy(nn.Module):
        @nn.compact
        def __call__(self, x, train=False):
            scale = self.variable("constants", "scale", lambda: jnp.full(4, 3.0)).value
            noise = jax.random.normal(self.make_rng("noise"), x.shape) if train else 0.0
            return scale * x + noise

    model = Linen(Noisy(), EXAMPLE)
    params, model_state = model.init(KEY)
    assert params == {} and set(model_state) == {"constants"}
    np.testing.assert_allclose(model.apply(params, model_state, X)[0], 3 * X)
    first, after = model.apply(params, model_state, X, KEY)
    assert differ(first, model.apply(params, model_state, X, jax.random.key(7))[0])
    assert not differ(after, model_state)


class HalfMean(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        mean = self.variable("statistics", "mean", lambda: jnp.zeros(4, jnp.bfloat16))
        if train:
            mean.value = 0.5 * mean.value + 0.5 * jnp.mean(x, 0)  # which is of float32
        return x - mean.value


def test_a_state_keeps_its_dtype():
    model = Linen(HalfMean(), EXAMPLE)
    _, model_state = model.init(KEY)
    _, after = model.apply({}, model_state, X, KEY)
    mean = after["statistics"]["mean"]
    assert mean.dtype == jnp.bfloat16
    np.testing.assert_allclose(mean.astype(float), X.mean(0) / 2, 1e-2)


def test_integers_go_into_an_embedding():
    tokens = jax.random.randint(KEY, (6, 5), 0, 9)
    model = Linen(nn.Embed(9, 2), tokens[:1])
    assert (model.example, model.dtype) == ((1, 5), "int32")
    params, model_state = model.init(KEY)
    assert model.apply(params, model_state, tokens, KEY)[0].shape == (6, 5, 2)
    assert Linen(nn.Embed(9, 2), np.zeros((1, 5))).dtype is None


# ------------------------------------------------------------------------------ files and spaces


def test_a_module_of_ones_own_is_found_by_its_name():
    model = Linen(LinenNet(0.25), X[:1])
    assert unnamed(describe(model)) == {} and rebuild(describe(model)) == model
    told = unnamed(describe(haiku_dropout(0.25)))
    assert told == {"function": "haiku_net"}
    assert set(unnamed(describe(PLAIN["nnx"]))) == {"make"}
    with pytest.raises(ValueError, match="make was .*, which has no public name: give it"):
        rebuild(describe(PLAIN["equinox"]))


@pytest.mark.parametrize("name", ["nnx", "equinox", "haiku"])
def test_a_function_is_given_again(name, tmp_path):
    model = WITH_DROPOUT[name](0.25)
    training = jo.Training(model, "squared_error", jo.sgd(0.1), jo.data.load("linear"))
    path, part = tmp_path / "best.json", "function" if name == "haiku" else "make"
    path.write_text(to_json({"format": EXPERIMENT, "experiment": describe(training)}))
    with pytest.raises(ValueError, match=f"model.{part} was"):
        jo.load_experiment(path)
    found = jo.load_experiment(path, **{f"model.{part}": getattr(model, part)})
    assert found.model == model


def test_alternatives_open_groups():
    modules = jo.one_of(LinenNet(0.0), LinenNet(0.5))
    space = Linen(modules, EXAMPLE)
    assert space.module is modules and jo.hyperparameters(space) == {}
    assert Equinox(jo.one_of(EquinoxNet, EquinoxNet), {"rate": jo.uniform(0.0, 0.5)})
    assert NNX(jo.one_of(NNXNet, NNXNet), EXAMPLE) and Haiku(jo.one_of(haiku_net), EXAMPLE)


def test_a_module_is_shown_as_the_call_that_makes_it():
    assert repr(linen_dropout(0.25)) == "Linen(module=LinenNet(rate=0.25), example=(1, 4))"
    net = nn.Sequential([nn.Dense(5), nn.relu])
    for model in (linen_dropout(0.25), Linen(net, EXAMPLE, "int32"), *PLAIN.values()):
        names = {**vars(jo.models), **globals(), **vars(nn)}
        assert eval(repr(model), names) == model
    several = Linen(jo.one_of(LinenNet(0.25), LinenNet()), EXAMPLE)
    assert "one_of(LinenNet(rate=0.25), LinenNet())" in repr(several)


SIZE = {0: 5}


def make_of_size(key):
    return eqx.nn.Linear(4, SIZE[0], key=key)


def nnx_of_size(rngs):
    return nnx.Linear(4, SIZE[0], rngs=rngs)


@pytest.mark.parametrize("model", [Equinox(make_of_size), NNX(nnx_of_size, EXAMPLE)])
def test_a_function_that_was_edited_is_called_anew(model, monkeypatch):
    forget_edited(model)
    assert model.apply(*model.init(KEY), X)[0].shape == (12, 5)
    monkeypatch.setitem(SIZE, 0, 2)
    forget_edited(model)
    assert model.apply(*model.init(KEY), X)[0].shape == (12, 2)


# ---------------------------------------------------------------------------- examples in a batch


class Normed(nn.Module):
    norm: str = "none"
    first_scale: float = 1.0

    @nn.compact
    def __call__(self, x, train):
        x = nn.Embed(9, 4)(x) if x.dtype == jnp.int32 else nn.Dense(4)(x)
        x = x.mean(tuple(range(1, x.ndim - 1))) if x.ndim > 2 else x
        scale = nn.initializers.constant(self.first_scale)
        if self.norm == "batch":
            x = nn.BatchNorm(use_running_average=not train, scale_init=scale)(x)
        if self.norm == "layer":
            x = nn.GroupNorm(2)(nn.LayerNorm()(x))
        if self.norm == "largest" and train:
            x = x - 0.1 * jnp.max(x, axis=0)  # which most examples do not change
        return nn.Dropout(0.5, deterministic=not train)(nn.relu(x))


TOKENS = jax.random.randint(KEY, (4, 3), 0, 9)


@pytest.mark.parametrize(
    ("module", "x", "mixes"),
    [
        (Normed(), X, False),
        (Normed("layer"), X, False),
        (Normed("batch"), X, True),
        (Normed("batch"), X[:2], True),
        (Normed("batch", 0.0), X, True),
        (Normed("largest"), X, True),
        (Normed("batch"), TOKENS, True),
        (Normed("layer"), TOKENS, False),
        (Normed("batch"), X > 2, True),
        (Normed("batch"), X.at[0, 0].set(jnp.nan), True),
        (Normed("layer"), X.at[0, 0].set(jnp.nan), False),
    ],
)
def test_what_mixes_examples_is_found(module, x, mixes):
    model = Linen(module, x[:1])
    assert mixes_examples(model, *model.init(KEY), x) is mixes


@each
def test_batch_normalization_mixes_in_every_framework(name):
    assert mixes_examples(PLAIN[name], *start(name), X)


def test_our_own_models_do_not_mix():
    model = jo.models.MLP((4, 3, 2), dropout=0.5)
    assert not mixes_examples(model, model.init(KEY), None, X)
    with pytest.raises(ValueError, match=r"x has shape \(1, 4\): wanted at least two examples"):
        mixes_examples(model, model.init(KEY), None, X[:1])


@jo.pytree
class Remembers:
    """A model whose outputs are each example's own, but whose state remembers the mean."""

    stateful = True

    def init(self, key):
        return {"w": jnp.ones(4)}, jnp.zeros(())

    def apply(self, params, model_state, x, key=None):
        out = x @ params["w"]
        return out, model_state if key is None else 0.9 * model_state + jnp.mean(out)


def test_a_state_that_remembers_the_examples_counts():
    assert mixes_examples(Remembers(), *Remembers().init(KEY), X)


# ------------------------------------------------------------------------------- what is refused


class WithTraining(nn.Module):
    def __call__(self, x, training):
        return x


class NoCall(nn.Module):
    pass


class IntegerParameter(nn.Module):
    @nn.compact
    def __call__(self, x):
        return x + self.param("shift", lambda key: jnp.arange(4))


class Sowing(nn.Module):
    @nn.compact
    def __call__(self, x):
        self.sow("losses", "size", jnp.sum(x))
        return x


class StaticArray(nnx.Module):
    def __init__(self, rngs):
        self.table = jnp.arange(4)

    def __call__(self, x):
        return x + self.table


class IntegerParam(nnx.Module):
    def __init__(self, rngs):
        self.table = nnx.Param(jnp.arange(4))

    def __call__(self, x):
        return x + self.table


class Growing(nnx.Module):
    def __init__(self, rngs):
        pass

    def __call__(self, x):
        self.last = nnx.Variable(x)
        return x


class TwoInputs(eqx.Module):
    def __call__(self, x, y):
        return x + y


class Counting(eqx.Module):
    count: eqx.nn.StateIndex

    def __init__(self, key):
        self.count = eqx.nn.StateIndex(jnp.array(0))

    def __call__(self, x):
        return x


class OtherAxis(eqx.Module):
    norm: eqx.nn.BatchNorm

    def __init__(self, key):
        self.norm = eqx.nn.BatchNorm(4, "rows", mode="batch")

    def __call__(self, x, state):
        return self.norm(x, state)


class ForgetsState(eqx.Module):
    def __call__(self, x, state):
        return x


def of_two_structures(key, rate):
    layer = eqx.nn.Linear(4, 3, key=key)
    return layer if isinstance(rate, float) else eqx.nn.Sequential([layer, eqx.nn.Dropout(rate)])


def integer_haiku(x):
    return x + hk.get_parameter("shift", (4,), jnp.int32, jnp.zeros)


def always_random(x):
    return hk.dropout(hk.next_rng_key(), 0.5, x)


def begin(model):
    return jax.jit(lambda model: model.apply(*model.init(KEY), X, KEY))(model)


REFUSED = {
    "no module": (lambda: Linen(NNXNet, EXAMPLE), "module = .*NNXNet.*wanted a module of flax.lin"),
    "no call": (lambda: Linen(NoCall(), EXAMPLE), "wanted one with a __call__"),
    "training": (lambda: Linen(WithTraining(), EXAMPLE), "takes training=: wanted train="),
    "running": (lambda: Linen(nn.BatchNorm(), EXAMPLE), "takes use_running_average=: wanted train"),
    "integers": (lambda: begin(Linen(IntegerParameter(), EXAMPLE)), r"'shift'\] holds int.*cons"),
    "sow": (
        lambda: begin(Linen(Sowing(), EXAMPLE)),
        r"state\['losses'\]\['size'\].*from nothing t",
    ),
    "no example": (
        lambda: Linen(LinenNet(), 4),
        r"example = 4: wanted an array of one example.*x\[",
    ),
    "no axis": (lambda: NNX(NNXNet, X[0]), r"example has shape \(4,\): wanted .*leading axis"),
    "batch": (lambda: Haiku(haiku_net, X), r"example has shape \(12, 4\): wanted .*leading axis"),
    "dtype": (lambda: Linen(LinenNet(), EXAMPLE, "floaty"), "dtype = 'floaty': wanted the name"),
    "x": (lambda: PLAIN["nnx"].apply(*start("nnx"), X[:, :3]), r"NNX wants x of shape \(n, 4\)"),
    "no make": (lambda: NNX(3, EXAMPLE), "make = 3: wanted a function of rngs"),
    "no nnx": (lambda: begin(NNX(lambda rngs: 3, EXAMPLE)), "gives 3: wanted an nnx.Module"),
    "static": (lambda: begin(NNX(StaticArray, EXAMPLE)), r"StaticArray.table .*nnx.data\(...\)"),
    "int nnx": (lambda: begin(NNX(IntegerParam, EXAMPLE)), r"'table'\] holds int.*nnx.Variable"),
    "grows": (lambda: begin(NNX(Growing, EXAMPLE)), r"places: \['last'\].*keeps its str"),
    "no eqx": (lambda: begin(Equinox(lambda key: 3)), "gives 3: wanted a module"),
    "call": (
        lambda: begin(Equinox(lambda key: TwoInputs())),
        r"called as \(x, y\): wanted \(x\), ",
    ),
    "lost": (lambda: begin(Equinox(Counting)), r"called as \(x\) though it has a state: wanted"),
    "pair": (lambda: begin(Equinox(lambda key: ForgetsState())), r"must give \(prediction, state"),
    "axis": (lambda: begin(Equinox(OtherAxis)), "the axis of the batch is called 'batch'"),
    "unknown": (lambda: Equinox(EquinoxNet, {"rat": 0.1}), "takes no 'rat'; did you mean 'rate'"),
    "structures": (lambda: begin(Equinox(of_two_structures, {"rate": 0.1})), "another structure"),
    "schedule": (lambda: equinox_dropout(jo.cosine_decay_schedule(0.1, 3)), "rate = .*a number"),
    "no dict": (lambda: Equinox(EquinoxNet, 0.1), "numbers = 0.1: wanted a dict by name"),
    "no haiku": (lambda: Haiku("net", EXAMPLE), "function = 'net': wanted a function of x"),
    "train": (lambda: Haiku(lambda x, train: x, EXAMPLE), "takes train=: wanted is_training="),
    "int hk": (lambda: begin(Haiku(integer_haiku, EXAMPLE)), r"'shift'\] holds int.*get_state"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_model_is_refused(what):
    call, message = REFUSED[what]
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def test_randomness_in_evaluation_is_refused_by_the_framework():
    model = Haiku(always_random, EXAMPLE)
    params, model_state = model.init(KEY)
    with pytest.raises(ValueError, match="PRNGKey"):
        model.apply(params, model_state, X)


@pytest.mark.parametrize(
    ("adapter", "package"),
    [("Linen", "flax"), ("NNX", "flax"), ("Equinox", "equinox"), ("Haiku", "dm-haiku")],
)
def test_an_absent_library_is_named(monkeypatch, adapter, package):
    for name in ("flax", "flax.linen", "flax.nnx", "equinox", "haiku"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=f"jo.models.{adapter} needs {package}: pip install"):
        getattr(jo.models, adapter)(print, *([EXAMPLE] if adapter != "Equinox" else []))


@pytest.mark.slow
def test_importing_brings_no_framework():
    code = (
        "import sys, jaxopt_edu; print(*{'flax', 'equinox', 'haiku'} & {m.split('.')[0] for m in"
        " sys.modules})"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
