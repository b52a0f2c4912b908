"""Convolutions, trees, random features and the transformer: laws, and what oracles say."""

import dataclasses
import functools
import json
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.kernel_approximation import RBFSampler
from sklearn.metrics.pairwise import rbf_kernel

import jaxopt_edu as jo
from jaxopt_edu.cli import main
from jaxopt_edu.describe import describe, rebuild
from jaxopt_edu.models.cnn import convolution, max_pool
from jaxopt_edu.models.transformer import attention, norm

KEY = jax.random.key(0)
jit = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
MODELS = {
    "CNN": jo.models.CNN((6, 6), 3, filters=(2, 3), hidden=(5,), dropout=0.3, gain=0.9),
    "SoftTree": jo.models.SoftTree(36, 3, depth=3, beta=1.5, gain=0.9),
    "ObliviousTrees": jo.models.ObliviousTrees(36, 3, trees=4, depth=3, beta=1.5, gain=0.9),
    "RandomFeatures": jo.models.RandomFeatures(36, 3, features=20, gamma=0.02),
    "Transformer": jo.models.Transformer(
        36, 3, tokens=6, width=8, heads=2, hidden=8, dropout=0.3, gain=0.9
    ),
}
DIGITS = {
    "cnn": jo.models.CNN,
    "soft_tree": jo.models.SoftTree,
    "oblivious_trees": jo.models.ObliviousTrees,
    "random_features": jo.models.RandomFeatures,
    "transformer": jo.models.Transformer,
}
every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def examples(n=4, inputs=36):
    return jax.random.normal(jax.random.key(1), (n, inputs), float)


def nudged(params):
    """Params away from their zeros, where a prediction would say nothing."""
    return jax.tree.map(
        lambda p: p + 0.1 * jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape), params
    )


def trained(model, x):
    return model.apply(nudged(model.init(KEY)), x, key=jax.random.key(2))


def equal(got, want, tolerance=1e-12):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


# ----------------------------------------------------------------------------------------- laws


@every_model
def test_every_number_vmaps_like_a_loop(model):
    numbers, structure = jax.tree.flatten(model)
    lanes = [jax.tree.unflatten(structure, [x * s for x in numbers]) for s in (1.0, 0.6)]
    with jax.enable_x64(True):
        batch = jax.tree.map(lambda *x: jnp.array(x), *lanes)
        together = jit(jax.vmap(trained, (0, None)))(batch, examples())
        one = jit(trained)
        equal(together, jnp.stack([one(lane, examples()) for lane in lanes]))
        assert not np.allclose(together[0], together[1])


@every_model
def test_dtypes_are_kept_and_gradients_are_finite(model):
    def loss(model, params, x):
        return jnp.sum(model.apply(params, x, key=KEY) ** 2)

    def grads(model, x):
        return jax.grad(loss, (0, 1, 2))(model, nudged(model.init(KEY)), x)

    numbers = jax.tree.map(np.float32, model)
    for dtype, wide in ((jnp.float32, False), (jnp.float64, True)):
        with jax.enable_x64(wide):
            x = jnp.zeros((4, 36))
            params = jax.eval_shape(model.init, KEY)
            out = jax.eval_shape(numbers.apply, params, x, KEY)
            dtypes = {
                v.dtype for v in jax.tree.leaves((params, out, jax.eval_shape(grads, model, x)[1:]))
            }
            assert dtypes == {jnp.dtype(dtype)}
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(jit(grads)(numbers, examples())))


@every_model
def test_dropout_acts_in_training_only(model):
    params, x = nudged(model.init(KEY)), examples()
    without = model.apply(params, x)
    if not hasattr(model, "dropout"):
        return np.testing.assert_array_equal(model.apply(params, x, key=KEY), without)
    assert not np.allclose(model.apply(params, x, key=KEY), without)
    calm = dataclasses.replace(model, dropout=None)
    np.testing.assert_array_equal(calm.apply(params, x, key=KEY), without)


@every_model
def test_values_survive_json_and_their_repr(model):
    assert rebuild(json.loads(json.dumps(describe(model)))) == model
    assert eval(repr(model), vars(jo.models)) == model


@every_model
def test_one_output_is_a_vector_and_wrong_inputs_are_named(model):
    one = dataclasses.replace(model, outputs=1)
    assert jax.eval_shape(lambda x: one.apply(one.init(KEY), x), examples()).shape == (4,)
    with pytest.raises(ValueError, match=r"wants x of shape \(n, 36\), got \(4, 35\)"):
        model.apply(model.init(KEY), jnp.zeros((4, 35)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (jo.models.CNN((6,)), r"shape = \(6,\): wanted \(height, width"),
        (jo.models.CNN((3, 9)), r"nothing is left of shape = \(3, 9\) after 2 poolings of 2 x 2"),
        (jo.models.SoftTree(3, depth=0), "SoftTree: depth = 0: wanted at least 1"),
        (jo.models.ObliviousTrees(3, depth=0), "ObliviousTrees: depth = 0: wanted at least 1"),
        (jo.models.ObliviousTrees(3, trees=0), "trees = 0: wanted at least 1"),
        (jo.models.Transformer(9, tokens=2), "tokens = 2: wanted a divisor of inputs = 9"),
        (jo.models.Transformer(9, tokens=3, heads=5), "heads = 5: wanted a divisor of width = 32"),
    ],
)
def test_wrong_sizes_are_named(model, message):
    with pytest.raises(ValueError, match=message):
        model.init(KEY)


# -------------------------------------------------------------------------------------- oracles


@pytest.mark.parametrize("kernel", [2, 3])
def test_a_convolution_is_that_of_flax(kernel):
    with jax.enable_x64(True):
        x = examples(2, 5 * 7 * 2).reshape(2, 5, 7, 2)
        theirs = nn.Conv(3, (kernel, kernel), dtype=float, param_dtype=float)
        params = nudged(theirs.init(KEY, x))
        ours = {"w": params["params"]["kernel"], "b": params["params"]["bias"]}
        h = x.transpose(3, 1, 2, 0)  # the examples last
        equal(convolution(ours, h).transpose(3, 1, 2, 0), theirs.apply(params, x))
        equal(max_pool(h, 2).transpose(3, 1, 2, 0), nn.max_pool(x, (2, 2), (2, 2)))


def test_pixels_are_read_row_by_row_with_their_channels():
    """A 1 x 1 filter that keeps the second channel, and a block of 2 x 2 pixels."""
    model = jo.models.CNN((2, 4, 2), 2, filters=(1,), hidden=(), kernel=1)
    x = jnp.arange(16.0).reshape(1, 16)
    params = model.init(KEY)
    params["convolutions"][0]["w"] = jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1)
    params["mlp"][0]["w"] = jnp.eye(2)
    np.testing.assert_array_equal(model.apply(params, x), [[11, 15]])


def walk(tree, params, x, node=0, level=0, place=0):
    """The prediction for one x by recursion, in plain Python."""
    w, b = params["splits"]["w"], params["splits"]["b"]
    if level == tree.depth:
        return params["leaves"]["w"][place]
    right = 1 / (1 + math.exp(-tree.beta * (x @ w[:, node] + b[node])))
    lower, upper = (
        walk(tree, params, x, 2 * node + 1 + side, level + 1, 2 * place + side) for side in (0, 1)
    )
    return (1 - right) * lower + right * upper


def test_a_soft_tree_is_a_recursion():
    tree = MODELS["SoftTree"]
    with jax.enable_x64(True):
        params, x = nudged(tree.init(KEY)), examples()
        got = tree.apply(params, x)
        plain = jax.tree.map(np.asarray, params)
        want = [walk(tree, plain, row) + plain["leaves"]["b"] for row in np.asarray(x)]
        equal(got, want)


def test_oblivious_trees_are_soft_trees_with_equal_splits_on_each_level():
    model = MODELS["ObliviousTrees"]
    tree = jo.models.SoftTree(36, 3, depth=model.depth, beta=model.beta)
    levels = np.repeat(np.arange(model.depth), 2 ** np.arange(model.depth))
    with jax.enable_x64(True):
        params, x = nudged(model.init(KEY)), examples()
        splits, leaves = params["splits"], params["leaves"]
        total = 0
        for t in range(model.trees):
            columns = t * model.depth + levels
            own = leaves["w"].reshape(model.trees, -1, 3)[t]
            total += tree.apply(
                {
                    "splits": {"w": splits["w"][:, columns], "b": splits["b"][columns]},
                    "leaves": {"w": own, "b": leaves["b"]},
                },
                x,
            )
        equal(model.apply(params, x), total / model.trees)


def test_a_tree_of_depth_12_does_not_underflow():
    """Splits so sharp that products of their probabilities are 0 in float32."""
    tree = jo.models.SoftTree(36, 3, depth=12, gain=20.0)
    params = nudged(tree.init(KEY))

    @jit
    def run(params, x):
        paths = tree.log_paths(params, x)
        grads = jax.grad(lambda p: jnp.sum(tree.apply(p, x) ** 2))(params)
        logs = jax.grad(lambda p: jnp.mean(tree.log_paths(p, x)))(params)["splits"]
        return paths, grads, logs

    paths, *grads = run(params, examples())
    assert paths.dtype == jnp.float32 and np.isfinite(paths).all()
    assert np.min(paths) < np.log(np.finfo(np.float32).tiny)
    np.testing.assert_allclose(jnp.exp(paths).sum(1), 1, rtol=1e-4)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert all(np.any(g != 0, axis=0).all() for g in grads[1].values())


def test_random_features_are_those_of_scikit_learn_and_approximate_the_kernel():
    model = jo.models.RandomFeatures(36, features=4000, gamma=0.01, seed=3)
    theirs = RBFSampler(gamma=0.01, n_components=4000, random_state=3)
    with jax.enable_x64(True):
        x = np.asarray(examples(6))
        ours = model.transform(x)
        equal(ours, theirs.fit(x).transform(x))
        assert np.abs(ours @ ours.T - rbf_kernel(x, gamma=0.01)).max() < 4 / 4000**0.5


def test_nothing_moves_the_frequencies():
    model = MODELS["RandomFeatures"]
    assert {k: v.shape for k, v in model.init(KEY).items()} == {"w": (20, 3), "b": (3,)}
    x = examples()
    np.testing.assert_array_equal(model.transform(x), dataclasses.replace(model).transform(x))
    other = dataclasses.replace(model, seed=1)
    assert not np.allclose(model.transform(x), other.transform(x))
    assert np.isfinite(
        jax.grad(lambda g: dataclasses.replace(model, gamma=g).transform(x).sum())(0.0)
    )


def test_attention_and_norm_are_those_of_flax():
    model = MODELS["Transformer"]
    heads, each = model.heads, model.width // model.heads
    with jax.enable_x64(True):
        block = nudged(model.init(KEY))["blocks"][0]
        h = examples(2 * 6, model.width)
        theirs = nn.MultiHeadDotProductAttention(heads, dtype=float, param_dtype=float)
        w, b = (
            block["qkv"]["w"].reshape(-1, 3, heads, each),
            block["qkv"]["b"].reshape(3, heads, -1),
        )
        params = {
            name: {"kernel": w[:, i], "bias": b[i]}
            for i, name in enumerate(("query", "key", "value"))
        }
        params["out"] = {
            "kernel": block["out"]["w"].reshape(heads, each, -1), "bias": block["out"]["b"]
        }  # fmt: skip
        want = theirs.apply({"params": params}, h.reshape(2, 6, -1))
        equal(attention(block, h, 6, heads), want.reshape(h.shape))
        layer = block["mlp_norm"]
        flax_norm = {"params": {"scale": layer["scale"], "bias": layer["shift"]}}
        equal(
            norm(layer, h), nn.LayerNorm(dtype=float, use_fast_variance=False).apply(flax_norm, h)
        )


def test_a_transformer_without_positions_does_not_see_the_order_of_the_tokens():
    model = MODELS["Transformer"]
    params, x = nudged(model.init(KEY)), examples()
    turned = x.reshape(4, 6, 6)[:, ::-1].reshape(4, 36)
    assert not np.allclose(model.apply(params, x), model.apply(params, turned))
    params["positions"] = jnp.zeros_like(params["positions"])
    np.testing.assert_allclose(model.apply(params, x), model.apply(params, turned), rtol=1e-4)


# ------------------------------------------------------------------------------------- training


@pytest.mark.parametrize("name", DIGITS)
def test_every_model_trains_from_the_command_line(name, capsys):
    more = ["--space", "blocks=1"] if name == "transformer" else []
    arguments = ["fit", "digits", "--model", name, "--depth", "3", "--optimizer", "adam"]
    assert main([*arguments, *more, "--steps", "40", "--eval-every", "40", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["status"] == "finished"
    assert answer["scores"]["train"]["accuracy"] > 0.3  # chance: 0.1
    named = {n for n in answer["hyperparameters"] if n.startswith("model.")}
    assert named == {f"model.{n}" for n in jo.hyperparameters(DIGITS[name](
        **{"shape": (8, 8)} if name == "cnn" else {"inputs": 64},
        **{"gamma": 1.0} if name == "random_features" else {},
        **{"tokens": 8} if name == "transformer" else {},
    ))}  # fmt: skip


@pytest.mark.parametrize("name", ["cnn", "transformer"])
def test_images_that_are_not_square_are_named(name, capsys):
    assert main(["fit", "wine", "--model", name]) == 2
    assert "wants square images, row by row; wine has 13 features" in capsys.readouterr().err


def test_models_compete_in_one_sweep():
    space = jo.Training(
        model=jo.one_of(
            jo.models.SoftTree(4, 3, depth=2, beta=jo.log_uniform(0.5, 2.0)),
            jo.models.RandomFeatures(4, 3, features=8, gamma=jo.log_uniform(0.1, 1.0)),
        ),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(jo.log_uniform(1e-2, 1e-1)),
        data=jo.data.load("iris"),
        batch_size=16,
    )
    study = jo.sweep(space, 6, steps=30, tile=2)
    assert study.diverged == 0 and {"model.beta", "model.gamma"} <= set(study.columns)
