"""Laws of models: shapes, initial weights, dropout, and numbers that vmap and differentiate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.nn.models.layers import ACTIVATIONS, dropout

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (5, 4))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_trains(name):
    model = jo.models.MLP((4, 6, 3), name, dropout=0.2, gain=0.7)

    def out(model, x):
        return jnp.sum(model.apply(model.init(KEY), x, key=KEY) ** 2)

    grads = jax.jit(jax.grad(out))(model, X)
    assert all(np.isfinite(g) for g in jax.tree.leaves(grads))


def test_numbers_of_a_model_vmap_like_a_loop():
    gains, rates = jnp.array([0.5, 1.0, 2.0]), jnp.array([0.0, 0.3, 0.6])

    def out(gain, rate):
        model = jo.models.MLP((4, 6, 3), dropout=rate, gain=gain)
        return model.apply(model.init(KEY), X, key=KEY)

    with jax.enable_x64(True):
        looped = jnp.stack([out(g, r) for g, r in zip(gains, rates, strict=True)])
        np.testing.assert_allclose(jax.vmap(out)(gains, rates), looped, rtol=1e-12)


def test_the_slope_of_the_gain_is_that_of_central_differences():
    def out(gain):
        model = jo.models.MLP((4, 6, 3), "tanh", gain=gain)
        return jnp.sum(model.apply(model.init(KEY), X) ** 2)

    with jax.enable_x64(True):
        difference = (out(0.7 + 1e-6) - out(0.7 - 1e-6)) / 2e-6
        np.testing.assert_allclose(jax.grad(out)(0.7), difference, rtol=1e-5)


@pytest.mark.parametrize(
    ("scheme", "variance"), [("he", 2 / 400), ("glorot", 2 / 700), ("lecun", 1 / 400), ("zeros", 0)]
)
def test_initial_weights_have_their_variance(scheme, variance):
    w = jo.models.MLP((400, 300), initial=scheme, gain=2.0).init(KEY)[0]["w"]
    np.testing.assert_allclose(jnp.var(w), 4 * variance, rtol=0.02)


def test_dropout_keeps_the_mean_and_is_off_without_a_key():
    x = jnp.ones(200_000)
    y = dropout(KEY, x, 0.25)
    assert set(np.unique(y).round(5)) == {0.0, np.float32(4 / 3).round(5)}
    np.testing.assert_allclose(jnp.mean(y), 1, atol=0.01)
    model = jo.models.MLP((4, 6, 3), dropout=0.5)
    params = model.init(KEY)
    np.testing.assert_array_equal(model.apply(params, X), model.apply(params, X))
    assert not np.array_equal(model.apply(params, X), model.apply(params, X, key=KEY))


def test_shapes_of_predictions():
    assert jo.models.MLP((4, 3, 1)).apply(jo.models.MLP((4, 3, 1)).init(KEY), X).shape == (5,)
    for outputs, shape in ((1, (5,)), (3, (5, 3))):
        for intercept in (True, False):
            model = jo.models.Linear(4, outputs, intercept)
            assert model.apply(model.init(KEY), X).shape == shape


def test_wrong_inputs_are_named():
    for model in (jo.models.MLP((3, 2)), jo.models.Linear(3)):
        with pytest.raises(ValueError, match=r"wants x of shape \(n, 3\), got \(5, 4\)"):
            model.apply(model.init(KEY), X)
    with pytest.raises(ValueError, match="wanted .inputs, hidden..., outputs"):
        jo.models.MLP((3,)).init(KEY)


def test_gradients_are_clipped_by_the_rows_of_the_weights():
    params = jo.models.MLP((4, 3, 2)).init(KEY)
    grads = jax.tree.map(jnp.cos, params)

    def turned(tree):
        return jax.tree.map(jnp.transpose, tree)

    rows = jo.adaptive_grad_clip(0.1, outputs_first=True)
    columns = jo.adaptive_grad_clip(0.1)
    ours, _ = rows.update(grads, rows.init(params), params)
    theirs, _ = columns.update(turned(grads), columns.init(params), turned(params))
    jax.tree.map(np.testing.assert_array_equal, ours, turned(theirs))


def test_a_padded_network_trains_like_the_narrow_one_within_it():
    wide = jo.models.MLP((4, 8, 6, 3), "softplus", units=5)  # softplus(0) is not 0
    narrow = jo.models.MLP((4, 5, 5, 3), "softplus")
    x, y = X, jnp.arange(5) % 3

    def train(model, params):
        rule = jo.adamw(0.01)

        def loss(params):
            return jnp.mean(
                jo.losses.softmax_cross_entropy_with_integer_labels(model.apply(params, x), y)
            )

        def step(carry, _):
            params, state = carry
            updates, state = rule.update(jax.grad(loss)(params), state, params)
            return (jo.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, rule.init(params)), length=20)[0][0]

    def cut(params):
        sizes = [(4, 5), (5, 5), (5, 3)]
        return [
            {"w": layer["w"][:n, :m], "b": layer["b"][:n]}
            for layer, (m, n) in zip(params, sizes, strict=True)
        ]

    with jax.enable_x64(True):
        start = wide.init(KEY)
        end = jax.jit(train)(wide, start)
        alone = jax.jit(train)(narrow, cut(start))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11), cut(end), alone)
    for layer, (m, n) in zip(end, [(4, 5), (5, 5), (5, 3)], strict=True):
        assert not layer["w"][n:].any() and not layer["w"][:, m:].any() and not layer["b"][n:].any()


def test_the_units_of_a_network_are_a_number():
    """Networks of many widths are one batch; their initial weights have the right variance."""
    batch = jax.vmap(lambda n: jo.models.MLP((400, 300, 3), units=n))(jnp.array([100, 300]))
    for scheme, narrower in (("he", 3), ("glorot", 303 / 103)):
        model = jo.replace(batch, initial=scheme)
        _, last = jax.vmap(lambda model: model.init(KEY))(model)
        ratio = jnp.var(last["w"][0, :, :100]) / jnp.var(last["w"][1])
        np.testing.assert_allclose(ratio, narrower, rtol=0.3)
    with pytest.raises(ValueError, match="units = 9: the largest hidden layer has 8"):
        jo.models.MLP((4, 8, 3), units=9)
    with pytest.raises(ValueError, match="the largest hidden layer has 8"):
        jo.models.MLP((4, 8, 3), units=jo.int_uniform(2, 16))
