"""Convolutions, trees, random features and the transformer: laws, and what oracles say."""

import dataclasses
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
from jaxopt_edu.cli.program import main
from jaxopt_edu.nn.models.kernels import conv2d, max_pool
from jaxopt_edu.nn.models.transformer import attention, norm
from jaxopt_edu.storage.named import describe, rebuild

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
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
    return np.random.default_rng(0).normal(size=(n, inputs))


def some_params(model):
    """Params of the right shapes, none of them 0."""
    draw = np.random.default_rng(1)
    return jax.tree.map(
        lambda p: draw.normal(size=p.shape, scale=0.3).astype(p.dtype),
        jax.eval_shape(model.init, KEY),
    )


def predict(model, x):
    """As in training, from initial params moved away from their zeros."""
    params = jax.tree.map(
        lambda p: p + 0.1 * jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape),
        model.init(KEY),
    )
    return model.apply(params, x, key=KEY)


def equal(got, want, tolerance=1e-12):
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


# ----------------------------------------------------------------------------------------- laws


@every_model
def test_numbers_vmap_like_a_loop_and_have_finite_gradients(model):
    numbers, structure = jax.tree.flatten(model)
    lanes = [jax.tree.unflatten(structure, [x * s for x in numbers]) for s in (1.0, 0.6)]

    def squares(model, x):
        out = predict(model, x)
        return jnp.sum(out**2), out

    with jax.enable_x64(True):
        batch = jax.tree.map(lambda *x: np.array(x), *lanes)
        together = jax.jit(jax.vmap(predict, (0, None)))(batch, examples())
        one = jax.jit(jax.grad(squares, (0, 1), has_aux=True))
        for i, lane in enumerate(lanes):
            grads, alone = one(lane, examples())
            equal(together[i], alone)
            assert all(np.isfinite(g).all() and np.any(g) for g in jax.tree.leaves(grads))
        assert not np.allclose(*together)


@every_model
def test_dtypes_are_kept(model):
    def grads(params, x):
        return jax.grad(lambda p: jnp.sum(numbers.apply(p, x, key=KEY) ** 2))(params)

    numbers = jax.tree.map(np.float32, model)  # as under vmap, not weak
    for dtype, wide in ((jnp.float32, False), (jnp.float64, True)):
        with jax.enable_x64(wide):
            x = jnp.zeros((4, 36))
            params = jax.eval_shape(model.init, KEY)
            out = jax.eval_shape(numbers.apply, params, x, KEY)
            found = (params, out, jax.eval_shape(grads, params, x))
            assert {a.dtype for a in jax.tree.leaves(found)} == {jnp.dtype(dtype)}


@every_model
def test_nothing_is_drawn_without_a_key(model):
    params = some_params(model)
    for key, draws in ((None, False), (KEY, hasattr(model, "dropout"))):
        program = jax.make_jaxpr(lambda x, key=key: model.apply(params, x, key=key))(examples())
        assert ("random_bits" in str(program)) == draws


@every_model
def test_values_survive_json_and_their_repr(model):
    assert rebuild(json.loads(json.dumps(describe(model)))) == model
    assert eval(repr(model), vars(jo.models)) == model
    data, loss = jo.data.load("linear"), jo.losses.squared_error
    whole = jo.Training(model=model, loss=loss, optimizer=jo.sgd(0.1), data=data)
    assert repr(model) in repr(whole)


@every_model
def test_one_output_is_a_vector_and_wrong_inputs_are_named(model):
    one = dataclasses.replace(model, outputs=1)
    assert jax.eval_shape(lambda x: one.apply(one.init(KEY), x), examples()).shape == (4,)
    with pytest.raises(ValueError, match=r"wants x of shape \(n, 36\), got \(4, 35\)"):
        model.apply(some_params(model), np.zeros((4, 35)))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (jo.models.CNN((6,)), r"shape = \(6,\): wanted \(height, width"),
        (jo.models.CNN((3, 9)), r"nothing is left of shape = \(3, 9\) after 2 poolings of 2 x 2"),
        (jo.models.SoftTree(3, depth=0), "SoftTree: depth = 0: wanted an integer, at least 1"),
        (
            jo.models.ObliviousTrees(3, depth=0),
            "ObliviousTrees: depth = 0: wanted an integer, at least 1",
        ),
        (jo.models.ObliviousTrees(3, trees=0), "trees = 0: wanted an integer, at least 1"),
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
    draw = np.random.default_rng(1)
    layer = {"w": draw.normal(size=(3, kernel, kernel, 2)), "b": draw.normal(size=3)}
    x = examples(2, 5 * 7 * 2).reshape(2, 5, 7, 2)
    theirs = nn.Conv(3, (kernel, kernel), dtype=jnp.float64, param_dtype=jnp.float64)

    def ours(x):
        return conv2d(x, layer["w"]) + layer["b"], max_pool(x, 2)

    with jax.enable_x64(True):
        convolved, pooled = jax.jit(ours)(x)
        kernel_of = {"kernel": np.moveaxis(layer["w"], 0, -1), "bias": layer["b"]}
        equal(convolved, theirs.apply({"params": kernel_of}, x))
        equal(pooled, nn.max_pool(x, (2, 2), (2, 2)))


def test_pixels_are_read_row_by_row_with_their_channels():
    """A 1 x 1 filter that keeps the second channel, and a block of 2 x 2 pixels."""
    model = jo.models.CNN((2, 4, 2), 2, filters=(1,), hidden=(), kernel=1)
    x = np.arange(16.0, dtype=np.float32).reshape(1, 16)
    params = jax.tree.map(np.zeros_like, some_params(model))
    params["convolutions"][0]["w"][0, 0, 0, 1] = 1
    params["mlp"][0]["w"][:] = np.eye(2)
    np.testing.assert_array_equal(jax.jit(model.apply)(params, x), [[11, 15]])


def walk(tree, params, x, node=0, level=0, place=0):
    """The prediction for one x by recursion, in plain Python."""
    w, b = params["splits"]["w"], params["splits"]["b"]
    if level == tree.depth:
        return params["leaves"]["w"][:, place]
    right = 1 / (1 + math.exp(-tree.beta * (x @ w[node] + b[node])))
    lower, upper = (
        walk(tree, params, x, 2 * node + 1 + side, level + 1, 2 * place + side) for side in (0, 1)
    )
    return (1 - right) * lower + right * upper


def test_a_soft_tree_is_a_recursion():
    tree = MODELS["SoftTree"]
    with jax.enable_x64(True):
        params, x = some_params(tree), examples()
        want = [walk(tree, params, row) + params["leaves"]["b"] for row in x]
        equal(jax.jit(tree.apply)(params, x), want)


def test_oblivious_trees_are_soft_trees_with_equal_splits_on_each_level():
    model = MODELS["ObliviousTrees"]
    tree = jo.models.SoftTree(36, 3, depth=model.depth, beta=model.beta)
    levels = np.repeat(np.arange(model.depth), 2 ** np.arange(model.depth))
    with jax.enable_x64(True):
        params, x = some_params(model), examples()
        splits, leaves = params["splits"], params["leaves"]
        one, total = jax.jit(tree.apply), 0
        for t in range(model.trees):
            rows = t * model.depth + levels
            same = {"w": splits["w"][rows], "b": splits["b"][rows]}
            own = {"w": leaves["w"].reshape(3, model.trees, -1)[:, t], "b": leaves["b"]}
            total += one({"splits": same, "leaves": own}, x)
        equal(jax.jit(model.apply)(params, x), total / model.trees)


def test_a_tree_of_depth_12_does_not_underflow():
    """Splits so sharp that products of their probabilities are 0 in float32."""
    tree = jo.models.SoftTree(36, 3, depth=12, beta=20.0)
    params, x = some_params(tree), examples().astype(np.float32)

    @jax.jit
    def run(params):
        paths = tree.log_paths(params, x)
        grads = jax.grad(lambda p: jnp.sum(tree.apply(p, x) ** 2))(params)
        logs = jax.grad(lambda p: jnp.mean(tree.log_paths(p, x)))(params)
        return paths, grads, logs["splits"]

    paths, grads, logs = run(params)
    assert paths.dtype == jnp.float32 and np.isfinite(paths).all()
    assert np.min(paths) < np.log(np.finfo(np.float32).tiny)
    np.testing.assert_allclose(np.exp(paths).sum(1), 1, rtol=1e-4)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves((grads, logs)))
    assert np.any(logs["w"] != 0, axis=1).all() and np.any(grads["splits"]["w"])


def test_random_features_are_those_of_scikit_learn_and_approximate_the_kernel():
    model = jo.models.RandomFeatures(36, features=4000, gamma=0.01, seed=3)
    theirs = RBFSampler(gamma=0.01, n_components=4000, random_state=3)
    with jax.enable_x64(True):
        x = examples(6)
        ours = np.asarray(model.transform(x))
        equal(ours, theirs.fit(x).transform(x))
        assert np.abs(ours @ ours.T - rbf_kernel(x, gamma=0.01)).max() < 4 / 4000**0.5


def test_nothing_moves_the_frequencies():
    model, x = MODELS["RandomFeatures"], examples()
    shapes = jax.tree.map(jnp.shape, jax.eval_shape(model.init, KEY))
    assert shapes == {"w": (3, 20), "b": (3,)}
    np.testing.assert_array_equal(model.transform(x), dataclasses.replace(model).transform(x))
    assert not np.allclose(model.transform(x), dataclasses.replace(model, seed=1).transform(x))


def test_the_slope_in_gamma_is_finite_at_0():
    model, x = MODELS["RandomFeatures"], examples()
    out = jax.jit(lambda gamma: dataclasses.replace(model, gamma=gamma).transform(x).sum())
    assert np.isfinite(jax.grad(out)(0.0))


def test_attention_and_norm_are_those_of_flax():
    model, f64 = MODELS["Transformer"], {"dtype": jnp.float64}
    heads, width = model.heads, model.width
    with jax.enable_x64(True):
        block, h = some_params(model)["blocks"][0], examples(2 * 6, width)
        w = block["qkv"]["w"].T.reshape(width, 3, heads, -1)
        b = block["qkv"]["b"].reshape(3, heads, -1)
        names = ("query", "key", "value")
        params = {name: {"kernel": w[:, i], "bias": b[i]} for i, name in enumerate(names)}
        out = block["out"]
        params["out"] = {"kernel": out["w"].T.reshape(heads, -1, width), "bias": out["b"]}
        theirs = nn.MultiHeadDotProductAttention(heads, **f64)
        want = jax.jit(theirs.apply)({"params": params}, h.reshape(2, 6, width))
        got = jax.jit(attention, static_argnums=(2, 3))(block, h, 6, heads)
        equal(got, want.reshape(h.shape))
        layer = block["mlp_norm"]
        renamed = {"params": {"scale": layer["scale"], "bias": layer["shift"]}}
        want = jax.jit(nn.LayerNorm(**f64, use_fast_variance=False).apply)(renamed, h)
        equal(jax.jit(norm)(layer, h), want)


def test_a_transformer_without_positions_does_not_see_the_order_of_the_tokens():
    model = MODELS["Transformer"]
    with jax.enable_x64(True):
        params, x = some_params(model), examples()
        turned = x.reshape(4, 6, 6)[:, ::-1].reshape(4, 36)
        run = jax.jit(model.apply)
        assert not np.allclose(run(params, x), run(params, turned))
        params["positions"] = np.zeros_like(params["positions"])
        equal(run(params, x), run(params, turned))


# ------------------------------------------------------------------------------------- training


DEAR = ("cnn", "transformer")


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in DEAR else n for n in DIGITS]
)
def test_every_model_trains_from_the_command_line(name, capsys):
    arguments = ["fit", "digits", "--model", name, "--depth", "2", "--batch-size", "0"]
    assert main([*arguments, "--steps", "40", "--eval-every", "40", "--json"]) == 0
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
    )
    study = jo.sweep(space, 6, steps=30, tile=2)
    assert study.diverged == 0 and {"model.beta", "model.gamma"} <= set(study.columns)
