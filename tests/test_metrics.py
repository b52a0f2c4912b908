"""Laws of the metrics: every name in `metrics.__all__` is held to scikit-learn on random data.

The data have ties, absent classes and weights, some of them 0: an example of weight 0 is absent.
"""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sklearn.metrics

from jaxopt_edu.nn import metrics

pytestmark = pytest.mark.usefixtures("compiled_quickly")
N, K, SEEDS = 40, 5, 4
THEIRS = {
    "accuracy": "accuracy_score",
    "confusion_matrix": "confusion_matrix",
    "f1_score": "f1_score",
    "mean_absolute_error": "mean_absolute_error",
    "mean_squared_error": "mean_squared_error",
    "precision": "precision_score",
    "r2_score": "r2_score",
    "recall": "recall_score",
    "roc_auc": "roc_auc_score",
    "top_k_accuracy": "top_k_accuracy_score",
}
REGRESSION = ("mean_absolute_error", "mean_squared_error", "r2_score")
BY_CLASS = ("f1_score", "precision", "recall")
KINDS = {
    **dict.fromkeys(REGRESSION, ("number", "numbers")),
    "roc_auc": ("yes or no", "probabilities"),
    "top_k_accuracy": ("logits",),
}
CASES = [
    (name, kind)
    for name in metrics.__all__
    for kind in KINDS.get(name, ("logits", "yes or no", "classes"))
]


def data(kind, seed):
    """Predictions, targets and weights: scores on a coarse grid, classes 0 and 4 often absent."""
    rng = np.random.default_rng(seed)
    w = rng.uniform(size=N) * (rng.uniform(size=N) < 0.8)
    if kind in ("number", "numbers"):
        shape = (N,) if kind == "number" else (N, 2)
        return *rng.normal(size=(2, *shape)), w
    if kind == "yes or no":
        y = rng.integers(2, size=N)
        return np.round(rng.normal(size=N) + y, 0 if seed % 2 else 1), y, w
    if kind == "classes":
        return rng.integers(1, K, size=N), rng.integers(K - 1, size=N), w
    y = rng.integers(K - seed % 2, size=N)
    x = rng.normal(size=(N, K)) + np.eye(K)[y]
    return x if kind == "probabilities" else np.round(x), y, w


def options(name, kind):
    if name in BY_CLASS:
        averages = [None, "micro", "macro", "weighted"] + ["binary"] * (kind == "yes or no")
        sizes = {"n_classes": K} if kind == "classes" else {}
        return [{"average": average} | sizes for average in averages]
    if name == "confusion_matrix":
        return [{"n_classes": K}] if kind == "classes" else [{}]
    return [{"k": k} for k in (1, 2, 4)] if name == "top_k_accuracy" else [{}]


def scikit_learn(name, kind, x, y, w, option):
    """Its number for the examples that have weight; targets first."""
    keep = w > 0
    x, y, w = x[keep], y[keep], w[keep]
    score = getattr(sklearn.metrics, THEIRS[name])
    if name in REGRESSION:
        return score(y, x, sample_weight=w)
    if name == "top_k_accuracy":
        return score(y, x, k=option["k"], labels=range(K), sample_weight=w)
    if name == "roc_auc" and kind == "yes or no":
        return score(y, x, sample_weight=w)
    if name == "roc_auc":
        p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        if set(y) == set(range(K)):
            return score(y, p, sample_weight=w, multi_class="ovr")
        return np.mean([score(y == c, p[:, c], sample_weight=w) for c in set(y)])
    predicted = {"logits": lambda: x.argmax(1), "yes or no": lambda: x > 0}.get(kind, lambda: x)()
    if name == "accuracy":
        return score(y, predicted, sample_weight=w)
    labels = range(2 if kind == "yes or no" else K)
    if name == "confusion_matrix":
        return score(y, predicted, labels=labels, sample_weight=w)
    labels = labels if option["average"] is None else None
    how = {"average": option["average"], "labels": labels, "zero_division": 0}
    return score(y, predicted, sample_weight=w, **how)


def close(ours, theirs, tol=1e-12):
    np.testing.assert_allclose(ours, theirs, tol, tol)


@functools.cache
def compiled(name, kind):
    """SEEDS lanes of all options of a metric, and of the first without weights; its traces."""
    score, traces = getattr(metrics, name), []

    def run(x, y, w):
        traces.append(1)
        first, *_ = options(name, kind)
        return [score(x, y, w, **o) for o in options(name, kind)], score(x, y, **first)

    return jax.jit(jax.vmap(run)), traces


def lanes(*cases):
    return [jnp.stack(column) for column in zip(*cases, strict=True)]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_metrics_are_scikit_learns_and_share_a_trace(name, kind):
    run, traces = compiled(name, kind)
    sets = [data(kind, seed) for seed in range(SEEDS)]
    with jax.enable_x64(True):
        weighted, plain = run(*lanes(*sets))
        run(*lanes(*reversed(sets)))
        assert all(score.dtype == jnp.float64 for score in (*weighted, plain))
        for i, (x, y, w) in enumerate(sets):
            first, *_ = options(name, kind)
            close(plain[i], scikit_learn(name, kind, x, y, np.ones(N), first))
            for ours, option in zip(weighted, options(name, kind), strict=True):
                close(ours[i], scikit_learn(name, kind, x, y, w, option))
    assert len(traces) == 1


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_weights_count_examples(name, kind):
    run, _ = compiled(name, kind)
    x, y, _ = data(kind, 0)
    rows = np.sort(np.random.default_rng(0).integers(N, size=N))
    copies = np.bincount(rows, minlength=N).astype(float)
    absent = (copies == 0).reshape(N, *[1] * (x.ndim - 1))
    broken = x if kind == "classes" else np.where(absent, np.nan, x)
    repeated = x[rows], y[rows], np.ones(N)
    with jax.enable_x64(True):
        scores, _ = run(*lanes((x, y, copies), repeated, (broken, y, copies), (x, y, 0 * copies)))
    for weighted, again, without, nothing in map(np.asarray, scores):
        close(weighted, again)
        close(weighted, without)
        assert np.all(np.isnan(nothing) if name == "roc_auc" else nothing == 0)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_half_precision_gives_float32_and_lists_will_do(name, kind):
    x, y, w = data(kind, 1)
    score = getattr(metrics, name)
    for option in options(name, kind):
        half = x if kind == "classes" else jnp.asarray(x, jnp.bfloat16)
        out = jax.eval_shape(lambda *z, o=option: score(*z, **o), half, y, w)
        lists = jax.eval_shape(lambda o=option: score(x.tolist(), y.tolist(), w.tolist(), **o))
        assert out.dtype == lists.dtype == jnp.float32 and out.shape == lists.shape


@pytest.mark.parametrize("name", metrics.__all__)
def test_shapes_that_do_not_fit_are_an_error_that_prints_both(name):
    for x, y in [((7,), (7, 1)), ((7, 1), (7,)), ((7, 3), (6,)), ((7, 3), (3,)), ((), (7,))]:
        with pytest.raises(ValueError) as error:
            getattr(metrics, name)(np.zeros(x), np.zeros(y, int))
        assert str(x) in str(error.value) and str(y) in str(error.value)
    kind = KINDS.get(name, ("logits",))[0]
    x, y, w = data(kind, 0)
    for wrong in (w[:-1], w[:, None]):
        with pytest.raises(ValueError, match=re.escape(f"weights have shape {wrong.shape}")):
            getattr(metrics, name)(x, y, wrong, **options(name, kind)[0])


@pytest.mark.parametrize("name", [n for n in metrics.__all__ if n not in REGRESSION])
def test_targets_that_are_no_classes_are_an_error(name):
    with pytest.raises(TypeError, match="float32"):
        getattr(metrics, name)(np.zeros((7, 3)), np.zeros(7, np.float32))


def test_a_prediction_of_nan_is_never_right():
    x = np.full((3, 2), np.nan, np.float32)
    y = np.array([0, 1, 0])

    @jax.jit
    def scores(x, y):
        two = x[:, 0]
        right = [metrics.accuracy(z, y) for z in (x, two)]
        right += [metrics.top_k_accuracy(x, y), metrics.confusion_matrix(x, y)]
        right += [metrics.f1_score(z, y, average=None) for z in (x, two)]
        return right, [metrics.roc_auc(z, y) for z in (x, two)]

    right, auc = scores(x, y)
    assert all(np.all(r == 0) for r in right) and np.all(np.isnan(auc))


def test_labels_out_of_range_are_never_hit():
    x = np.array([[2.0, 1.0, 0.0]] * 3, np.float32)
    y = np.array([0, 3, -1])
    close(jax.jit(metrics.accuracy)(x, y), 1 / 3, 1e-6)
    close(jax.jit(metrics.top_k_accuracy)(x, y), 1 / 3, 1e-6)


def test_bools_are_classes():
    x, y = np.array([True, False, True, True]), np.array([True, False, False, True])
    both = jax.jit(lambda x, y: (metrics.accuracy(x, y), metrics.confusion_matrix(x, y)))(x, y)
    assert both[0] == 0.75
    np.testing.assert_array_equal(both[1], [[1, 1], [0, 2]])


def test_roc_auc_of_one_class_is_nan_and_infinite_scores_count():
    auc = jax.jit(metrics.roc_auc)
    assert np.isnan(auc(np.array([1.0, 2.0, 3.0, 4.0]), np.ones(4, int)))
    assert auc(np.array([-np.inf, 2.0, np.inf, np.inf]), np.array([0, 1, 0, 1])) == 0.625


def test_constant_targets_have_r2_one_or_zero():
    r2 = jax.jit(metrics.r2_score)
    assert r2(np.ones(4), np.ones(4)) == 1
    assert r2(np.array([1.0, 1.0, 1.0, 2.0]), np.ones(4)) == 0


@pytest.mark.parametrize("name", BY_CLASS)
def test_averages_and_classes_that_do_not_fit_are_named(name):
    score = getattr(metrics, name)
    with pytest.raises(ValueError, match="did you mean 'macro'"):
        score(np.zeros((7, 3)), np.zeros(7, int), average="marco")
    with pytest.raises(ValueError, match="'binary' with 3 classes"):
        score(np.zeros((7, 3)), np.zeros(7, int))
    with pytest.raises(ValueError, match="n_classes = None"):
        score(np.zeros(7, int), np.zeros(7, int), average="macro")
    with pytest.raises(ValueError, match="n_classes = 4, but predictions have 3"):
        score(np.zeros((7, 3)), np.zeros(7, int), average="macro", n_classes=4)
