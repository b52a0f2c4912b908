"""Explanations: what shap, lime and scikit-learn say, and the laws that make them fair."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.analysis import explain
from jaxopt_edu.analysis.explain.kernel import draw_coalitions
from jaxopt_edu.nn import metrics

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(0)
STORED = np.load(Path(__file__).parent / "fixtures" / "explain.npz")
D = 5


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def stored(case):
    """What tests/fixtures/make_explain.py stored, and the network that it is about."""
    found = {name.split("/")[1]: STORED[name] for name in STORED if name.startswith(case)}

    def predict(x):
        return jnp.tanh(x @ found["W"] + found["b"]) @ found["V"]

    return predict, found


def close(x, y, tolerance):
    np.testing.assert_allclose(x, y, rtol=0, atol=tolerance)


# ------------------------------------------------------------------------------------ the oracles


@pytest.mark.parametrize("case", ["shap_8", "shap_10"])
def test_shapley_values_are_those_of_shap(case):
    predict, found = stored(case)

    def both(x, background):
        return [f(predict, x, background) for f in (explain.shapley, explain.kernel_shapley)]

    exact, kernel = jax.jit(both)(found["x"], found["background"])
    for ours in (exact, kernel):
        close(ours, found["exact"], 1e-12)
        close(ours, found["kernel"], 1e-12)


def test_lime_is_that_of_lime_base():
    predict, found = stored("lime_6")
    ours = explain.lime(
        predict, found["x"], noise=found["noise"], scale=found["scale"], width=found["width"]
    )
    for name in explain.Lime._fields:
        close(getattr(ours, name), found[name], 1e-12)


def estimator():
    """The first output of a stored network as scikit-learn sees it and as we do, and data."""
    from sklearn.base import BaseEstimator, RegressorMixin

    network, found = stored("shap_8")

    class Fitted(RegressorMixin, BaseEstimator):
        def fit(self, x, y):
            return self

        def __sklearn_is_fitted__(self):
            return True

        def predict(self, x):
            return np.asarray(network(x)[:, 0])

    x = found["background"]
    return Fitted(), lambda x: network(x)[:, 0], x, np.sin(x[:, 0])


@pytest.mark.parametrize(
    ("metric", "mode", "scoring"),
    [
        (metrics.r2_score, "max", "r2"),
        (metrics.mean_squared_error, "min", "neg_mean_squared_error"),
    ],
)
def test_permutation_importance_is_that_of_scikit_learn(metric, mode, scoring):
    from sklearn import inspection

    fitted, predict, x, y = estimator()
    theirs = inspection.permutation_importance(
        fitted, x, y, scoring=scoring, n_repeats=3, random_state=7
    )
    shuffled = np.random.RandomState(np.random.RandomState(7).randint(2**31))
    order, orders = np.arange(len(x)), [np.arange(len(x))]
    for _ in range(3):  # it shuffles what it has shuffled
        shuffled.shuffle(order)
        orders.append(orders[-1][order])
    ours = explain.permutation_importance(
        predict, x, y, metric, mode=mode, permutations=np.array(orders[1:])
    )
    close(ours.importances, theirs.importances, 1e-12)
    close(ours.mean, theirs.importances_mean, 1e-12)
    close(ours.std, theirs.importances_std, 1e-12)


def test_partial_dependence_is_that_of_scikit_learn():
    from sklearn import inspection

    fitted, predict, x, _ = estimator()
    theirs = inspection.partial_dependence(
        fitted, x, [2], method="brute", kind="both", grid_resolution=7
    )
    ours = explain.partial_dependence(predict, x, 2, grid=theirs["grid_values"][0])
    close(ours.average, theirs["average"][0], 1e-12)
    close(ours.individual, theirs["individual"][0], 1e-12)
    usual = explain.partial_dependence(predict, x, 2)
    close(usual.grid[jnp.array([0, -1])], np.quantile(x[:, 2], [0.05, 0.95]), 1e-12)


# --------------------------------------------------------------------------------- the fair shares

RNG = np.random.default_rng(1)
X, BACKGROUND = RNG.normal(size=(3, D)), RNG.normal(size=(2, D))
SHAPLEY = {
    "exact": explain.shapley,
    "kernel": explain.kernel_shapley,
    "sampled": lambda *args: explain.kernel_shapley(*args, key=KEY, samples=40),
    "permutation": lambda *args: explain.permutation_shapley(*args, key=KEY, permutations=8).values,
}


def game(a, x):
    """Linear in a; features 0 and 1 are interchangeable, feature 4 is a dummy; two outputs."""
    pair = jnp.tanh(x[:, 0] + x[:, 1])
    return jnp.stack([a[0] * pair * x[:, 2] + a[1] * x[:, 3] ** 2, a[0] * x[:, 2] + a[1] * pair], 1)


@pytest.mark.parametrize("name", SHAPLEY)
def test_the_axioms(name):
    x, background = X.copy(), BACKGROUND.copy()
    x[:, 1], background[:, 1] = x[:, 0], background[:, 0]

    def shares(a):
        return SHAPLEY[name](lambda x: game(a, x), x, background)

    phi = jax.jit(shares)
    a, b = jnp.array([1.0, 0.5]), jnp.array([-0.3, 2.0])
    efficient = game(a, x) - jnp.mean(game(a, background), 0)
    close(jnp.sum(phi(a), 1), efficient, 1e-12)
    close(phi(2 * a - 3 * b), 2 * phi(a) - 3 * phi(b), 1e-12)
    if name != "sampled":  # the regression spreads its noise over all features
        close(phi(a)[:, 4], 0, 1e-12)
    if name in ("exact", "kernel"):  # the others are symmetrical on average only
        close(phi(a)[:, 0], phi(a)[:, 1], 1e-12)


def test_a_linear_model_gets_its_weights_from_every_method():
    w, mean = RNG.normal(size=D), BACKGROUND.mean(0)

    def predict(x):
        return x @ w + 0.7

    def everything(x):
        found = {name: f(predict, x, BACKGROUND) for name, f in SHAPLEY.items()}
        gradients = explain.integrated_gradients(predict, x, mean, nodes=1)
        lime = explain.lime(predict, x, key=KEY, scale=2.0, samples=20, ridge=0.0)
        return found | {"gradients": gradients.attributions}, gradients.gap, lime

    found, gap, lime = jax.jit(everything)(X)
    for phi in found.values():
        close(phi, w * (X - mean), 1e-12)
    close(gap, 0, 1e-12)
    close(lime.weights, np.tile(2 * w, (3, 1)), 1e-12)
    close(lime.intercept, predict(X), 1e-12)
    close(lime.score, 1, 1e-12)


def test_standard_errors_tell_how_far_the_estimates_are():
    predict, found = stored("shap_8")
    estimated = explain.permutation_shapley(
        predict, found["x"], found["background"], key=KEY, permutations=200
    )
    z = (estimated.values - found["exact"])[:, :-1] / estimated.standard_errors[:, :-1]
    assert np.max(np.abs(z)) < 4
    assert 0.6 < np.sqrt(np.mean(z**2)) < 1.4
    close(estimated.values[:, -1], 0, 1e-12)
    close(estimated.standard_errors[:, -1], 0, 1e-12)


def test_sampled_coalitions_are_near_and_drawn_by_the_kernel():
    predict, found = stored("shap_10")
    sampled = explain.kernel_shapley(predict, found["x"], found["background"], key=KEY, samples=400)
    assert np.max(np.abs(sampled - found["exact"])) < 0.15
    draw = jax.jit(draw_coalitions, static_argnums=(1, 2))
    S = np.asarray(draw(KEY, 20_001, 5))
    assert S.shape == (20_002, 5)
    np.testing.assert_array_equal(S[: len(S) // 2], ~S[len(S) // 2 :])
    s = np.arange(1, 5)
    share = 1 / (s * (5 - s))
    seen = np.bincount(S.sum(1), minlength=6)
    assert seen[0] == seen[5] == 0
    close(seen[1:5] / len(S), share / share.sum(), 0.015)
    close(S.mean(0), 0.5, 1e-12)


# ------------------------------------------------------------------------------------ completeness


def test_the_gap_of_a_smooth_model_vanishes():
    predict, found = stored("shap_8")
    gap = explain.integrated_gradients(predict, found["x"], 0.0, nodes=32).gap
    assert gap.shape == (3, 2)
    close(gap, 0, 1e-10)


def test_the_gap_of_a_model_with_kinks_is_told_and_falls():
    _, found = stored("shap_8")
    x = RNG.normal(size=(40, 8))

    def predict(x):
        return jax.nn.relu(x @ found["W"] + found["b"]) @ found["V"][:, 0]

    start, gaps = found["background"].mean(0, keepdims=True), []
    for nodes in (4, 16, 64, 256):
        phi, gap = explain.integrated_gradients(predict, x, start[0], nodes=nodes)
        close(jnp.sum(phi, 1) + gap, predict(x) - predict(start), 1e-12)
        gaps.append(float(jnp.sqrt(jnp.mean(gap**2))))
    assert gaps[0] > 2 * gaps[1] > 4 * gaps[2] > 8 * gaps[3] > 0


# ------------------------------------------------------------------------- transformations, dtypes

Y, NOISE, ORDERS = RNG.normal(size=3), RNG.normal(size=(9, D)), np.array([[2, 0, 1], [1, 0, 2]])


def everything(x, background, chunk=2**14):
    """All functions of the chapter."""

    def predict(x):
        return jnp.stack([jnp.tanh(x[:, 0] * x[:, 1] + x[:, 2]), jnp.sum(x**2, 1)], 1)

    def first(x):
        return predict(x)[:, 0]

    y, noise = Y.astype(x.dtype), NOISE.astype(x.dtype)
    return {
        "exact": explain.shapley(predict, x, background, chunk=chunk),
        "kernel": explain.kernel_shapley(first, x, background, chunk=chunk),
        "permutation": explain.permutation_shapley(
            predict, x, background, key=KEY, permutations=4, chunk=chunk
        ),
        "gradients": explain.integrated_gradients(predict, x, x[::-1], nodes=3, chunk=chunk),
        "lime": explain.lime(predict, x, noise=noise, chunk=chunk),
        "importance": explain.permutation_importance(
            first, x, y, metrics.mean_squared_error, mode="min", permutations=ORDERS, chunk=chunk
        ),
        "dependence": explain.partial_dependence(predict, x, 1, points=3, chunk=chunk),
    }


once = jax.jit(everything, static_argnums=2)


def same(x, y):
    jax.tree.map(lambda x, y: close(x, y, 1e-10), x, y)


def test_chunks_change_nothing():
    same(once(X, BACKGROUND, 7), once(X, BACKGROUND))


def test_vmap_is_a_loop():
    xs = jnp.stack([X, 2 * X])
    looped = jax.tree.map(lambda *x: jnp.stack(x), *[once(x, BACKGROUND) for x in xs])
    many = jax.jit(jax.vmap(everything, (0, None)))
    same(many(xs, BACKGROUND), looped)


def test_gradients_are_finite():
    def total(x, background):
        return sum(jnp.sum(leaf) for leaf in jax.tree.leaves(everything(x, background)))

    slopes = jax.jit(jax.grad(total, (0, 1)))(X, BACKGROUND)
    for slope in slopes:
        assert np.all(np.isfinite(slope)) and np.any(slope != 0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes_are_kept(dtype):
    x, background = (jnp.asarray(a, dtype) for a in (X, BACKGROUND))
    shapes = jax.eval_shape(everything, x, background)
    metric = shapes.pop("importance")
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype(dtype)}
    assert {leaf.dtype for leaf in metric} == {jnp.promote_types(dtype, jnp.float32)}


def test_half_precision_is_summed_in_single():
    background = np.ones((300, 2), "float16")
    phi = explain.shapley(lambda x: 300 * x[:, 0], np.zeros((1, 2), "float16"), background)
    close(phi, [[-300, 0]], 0.2)


def test_one_feature_takes_all():
    x, background = X[:, :1], BACKGROUND[:, :1]
    expected = jnp.sin(x) - jnp.mean(jnp.sin(background))
    for name in ("exact", "sampled", "permutation"):
        close(SHAPLEY[name](lambda x: jnp.sin(x[:, 0]), x, background), expected, 1e-12)


@pytest.mark.parametrize("value", [2.0, 0.1, 1 / 3])
def test_lime_of_a_constant_model(value):
    found = explain.lime(lambda x: 0 * x[:, 0] + value, X, noise=NOISE)
    close(found.weights, 0, 0)
    close(found.intercept, value, 0)
    close(found.score, 1, 0)


# ----------------------------------------------------------------------------------------- errors


def f(x):
    return x[:, 0]


WIDE = np.zeros((2, 40))
BAD = {
    "an example alone": (
        lambda: explain.shapley(f, X[0], X),
        r"x has shape \(5,\): wanted \(n, d\).*x\[None\]",
    ),
    "integers": (lambda: explain.shapley(f, X.astype(int), X), "x is int64: wanted floats"),
    "no examples": (lambda: explain.lime(f, X[:0], key=KEY), r"x has shape \(0, 5\)"),
    "other features": (
        lambda: explain.shapley(f, X, X[:, :3]),
        r"background has shape \(3, 3\), x has shape \(3, 5\)",
    ),
    "a background alone": (lambda: explain.kernel_shapley(f, X, X[0]), r"background\[None\]"),
    "too many to be exact": (
        lambda: explain.shapley(f, WIDE, WIDE),
        r"40 features, hence 2\^40 = 1\.1e\+12 .*kernel_shapley.*permutation_shapley",
    ),
    "too many for all": (lambda: explain.kernel_shapley(f, WIDE, WIDE), "give a key"),
    "no function": (lambda: explain.shapley("mlp", X, X), "predict is of type str.*run.apply"),
    "three axes": (lambda: explain.shapley(lambda x: x[..., None], X, X), "predict maps"),
    "one number": (lambda: explain.lime(jnp.sum, X, key=KEY), r"maps \(3, 5\) to \(\)"),
    "two arrays": (lambda: explain.shapley(lambda x: (x, x), X, X), "predict returns a tuple"),
    "classes": (
        lambda: explain.partial_dependence(lambda x: jnp.argmax(x, 1), X, 0),
        "predict returns int64: wanted floats",
    ),
    "few samples": (
        lambda: explain.kernel_shapley(f, X, X, key=KEY, samples=19),
        "samples = 19: wanted an integer, at least 20",
    ),
    "odd orders": (
        lambda: explain.permutation_shapley(f, X, X, key=KEY, permutations=5),
        "permutations = 5: wanted an even number",
    ),
    "chunk": (lambda: explain.shapley(f, X, X, chunk=0), "chunk = 0: wanted an integer"),
    "nodes": (lambda: explain.integrated_gradients(f, X, 0.0, nodes=0.5), "nodes = 0.5"),
    "baseline": (
        lambda: explain.integrated_gradients(f, X, np.zeros(3)),
        r"baseline has shape \(3,\).*wanted a number, \(5,\) or \(3, 5\)",
    ),
    "no key": (lambda: explain.lime(f, X), "key and noise: neither is given"),
    "both": (lambda: explain.lime(f, X, key=KEY, noise=X), "key and noise: both are given"),
    "width": (lambda: explain.lime(f, X, key=KEY, width=0.0), "width = 0.0"),
    "ridge": (lambda: explain.lime(f, X, key=KEY, ridge=-1), "ridge = -1"),
    "scale": (lambda: explain.lime(f, X, key=KEY, scale=np.ones(3)), r"wanted a number or \(5,\)"),
    "noise": (lambda: explain.lime(f, X, noise=np.ones((9, 2))), r"noise has shape \(9, 2\)"),
    "feature": (lambda: explain.partial_dependence(f, X, 5), "feature = 5: x has 5 features"),
    "a name": (lambda: explain.partial_dependence(f, X, "age"), "feature = 'age'"),
    "grid": (lambda: explain.partial_dependence(f, X, 0, grid=1.0), r"grid has shape \(\)"),
    "targets": (
        lambda: explain.permutation_importance(f, X, Y[:2], metrics.r2_score, key=KEY),
        r"y has shape \(2,\), x has shape \(3, 5\)",
    ),
    "mode": (
        lambda: explain.permutation_importance(f, X, Y, metrics.r2_score, key=KEY, mode="up"),
        "mode = 'up'",
    ),
    "loss of each": (
        lambda: explain.permutation_importance(f, X, Y, lambda p, y: p - y, mode="min", key=KEY),
        r"metric returns shape \(3,\): wanted one number",
    ),
    "orders": (
        lambda: explain.permutation_importance(f, X, Y, metrics.r2_score, permutations=[0, 1, 2]),
        r"permutations are int64 of shape \(3,\)",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_named(name):
    call, message = BAD[name]
    with pytest.raises((TypeError, ValueError), match=message):
        call()
