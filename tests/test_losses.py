"""Laws of the losses: every name in `losses.__all__` is held to optax, vmap, grad and its shapes.

What a loss wants as targets is read off its name and the names of its arguments, so a new loss of
a kind known here is tested without a line of test.
"""

import inspect
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxopt_edu.nn import losses
from jaxopt_edu.nn.losses import weighted_mean, with_numbers
from jaxopt_edu.values.names import hyperparameters, replace

pytestmark = pytest.mark.usefixtures("compiled_quickly")
TOOLS = (
    "ClassWeighted", "WithNumbers", "class_weighted", "smooth_labels", "weighted_mean",
    "with_numbers",
)  # fmt: skip
LOSSES = [name for name in losses.__all__ if name not in TOOLS]
NUMBERS = {"delta": 0.7, "alpha": 0.3, "gamma": 1.5, "label_smoothing": 0.1}
ENDS = {"delta": (0, 1), "alpha": (0, 1), "gamma": (0, 0.5), "label_smoothing": (0, 1)}
EXTREME = np.array([0.0, 1.0, -1.0, 30.0, -30.0, 1e4, -1e4])


def get(name):
    return getattr(losses, name)


def arguments(name):
    return list(inspect.signature(get(name)).parameters.values())


def numbers_of(name):
    keywords = [p.name for p in arguments(name) if p.kind is p.KEYWORD_ONLY]
    return {k: NUMBERS[k] for k in keywords}


def kind(name):
    first, second = (p.name for p in arguments(name)[:2])
    if "integer" in name or "multiclass" in name:
        return "class"
    if first == "log_predictions":
        return "log" if second == "log_targets" else "simplex"
    if first == "logits":
        return "simplex" if "softmax" in name else "probability"
    return "sign" if first == "predictor_outputs" else "real"


def softmax(x):
    return np.exp(x) / np.exp(x).sum(-1, keepdims=True)


def example(name, seed=0, n=5, k=4):
    """Generic predictions and targets, float64 or integer."""
    rng = np.random.default_rng(seed)
    x, z = rng.normal(size=(2, n, k))
    y = {
        "real": z,
        "sign": np.sign(z),
        "probability": softmax(z),
        "simplex": softmax(z),
        "log": np.log(softmax(z)),
        "class": rng.integers(k, size=n),
    }[kind(name)]
    return (np.log(softmax(x)) if arguments(name)[0].name == "log_predictions" else x), y


def extremes(name):
    """Predictions at 0, at ties and far out, against every corner of the targets."""
    x = np.stack(np.meshgrid(EXTREME, EXTREME, [0.0]), -1).reshape(-1, 3)
    corners = np.tile(np.eye(3), (len(x), 1))
    x = np.repeat(x, 3, 0)
    if arguments(name)[0].name == "log_predictions":
        x = np.asarray(jax.nn.log_softmax(x))
        x = np.where((corners == 0) & (x < -9e3), -np.inf, x)  # log 0 where the target is 0
    y = {
        "real": np.where(corners == 1, x, 0),
        "sign": 2 * corners - 1,
        "probability": corners,
        "simplex": corners,
        "log": np.where(corners == 1, 0, -np.inf),
        "class": corners.argmax(-1),
    }[kind(name)]
    return x.astype(np.float32), y if kind(name) == "class" else y.astype(np.float32)


def softmax_focal(x, y, gamma=2.0):
    """The formula, term by term, with the probability of the label picked out."""
    p = jax.nn.softmax(x)[jnp.arange(len(y)), y]
    return -((1 - p) ** gamma) * jnp.log(p)


OURS = {"softmax_focal_loss_with_integer_labels": softmax_focal}  # optax has none of that name


def oracle(name):
    """optax's loss; label smoothing as optax spells it."""
    if name in OURS:
        return OURS[name]
    theirs = getattr(optax.losses, name)
    if name != "softmax_cross_entropy_with_integer_labels":
        return theirs

    def smoothed(x, y, *args, label_smoothing=None, **where):
        if label_smoothing is None:
            return theirs(x, y, *args, **where)
        p = optax.smooth_labels(jax.nn.one_hot(y, x.shape[-1]), label_smoothing)
        return optax.softmax_cross_entropy(x, p)

    return smoothed


def with_gradients(loss):
    """(x, y, numbers) -> the losses, and the gradients of their sum in all that is float."""

    def value_and_grads(x, y, numbers):
        inputs = (x, numbers, y if jnp.issubdtype(y.dtype, jnp.floating) else None)

        def total(inputs):
            x, numbers, z = inputs
            out = loss(x, y if z is None else z, **numbers)
            return jnp.sum(out), out

        grads, out = jax.grad(total, has_aux=True)(inputs)
        return out, grads

    return value_and_grads


def close(ours, theirs, tol=1e-12):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, tol, tol), ours, theirs)


@pytest.mark.parametrize("name", [n for n in (*LOSSES, "smooth_labels") if n not in OURS])
def test_arguments_are_those_of_optax(name):
    def described(function):
        return [
            (p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()
        ]

    theirs = described(getattr(optax.losses, name))
    ours = described(get(name))
    assert ours[: len(theirs)] == theirs
    assert all(kind is inspect.Parameter.KEYWORD_ONLY for _, kind, _ in ours[len(theirs) :])


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_gradients_are_those_of_optax(name):
    with jax.enable_x64(True):

        @jax.jit
        def both(x, y, numbers):
            runs = with_gradients(get(name)), with_gradients(oracle(name))
            return [[run(x, y, {}), run(x, y, numbers) if numbers else None] for run in runs]

        close(*both(*map(jnp.asarray, example(name)), numbers_of(name)))


@pytest.mark.parametrize("name", [n for n in LOSSES if "axis" in str(inspect.signature(get(n)))])
def test_axis_and_where_are_those_of_optax(name):
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        x, y = example(name, n=6)
        labels = kind(name) == "class"
        both = rng.integers(12, size=2) if labels else y.reshape(2, 4, 3)
        where = rng.uniform(size=x.shape) < 0.6
        if labels:
            where |= y[:, None] == np.arange(4)

        @jax.jit
        def three(x, y, both, where):
            x3 = x.reshape(2, 3, 4).swapaxes(1, 2)
            y3 = y.reshape(2, 3) if labels else y.reshape(2, 3, 4).swapaxes(1, 2)
            return [
                (loss(x3, y3, 1), loss(x3, both, (2, 1)), loss(x, y, -1, where))
                for loss in (get(name), oracle(name))
            ]

        close(*three(x, y, both, where))


@pytest.mark.parametrize("name", [n for n in LOSSES if "where" in str(inspect.signature(get(n)))])
def test_examples_that_where_leaves_out_cost_nothing(name):
    x, y = example(name)
    some = np.arange(len(x)) < 3

    @jax.jit
    def run(x, y):
        out = get(name)(x, y, where=some)
        grad = jax.grad(lambda x: jnp.sum(get(name)(x, y, where=some)))(x)
        return out, grad, get(name)(x, y)

    out, grad, full = run(x, y)
    close(out, np.where(some, full, 0), 1e-6)
    assert np.all(np.isfinite(grad)) and np.all(grad[3:] == 0)


@pytest.mark.parametrize("name", LOSSES)
def test_vmap_is_a_loop_and_values_share_a_trace(name):
    with jax.enable_x64(True):
        many = [example(name, seed) for seed in range(3)]
        numbers = [{k: v * (1 + i) for k, v in numbers_of(name).items()} for i in range(3)]
        lanes = [jax.tree.map(jnp.asarray, (*xy, h)) for xy, h in zip(many, numbers, strict=True)]
        traces = []

        def run(x, y, numbers):
            traces.append(1)
            return get(name)(x, y, **numbers)

        one = jax.jit(run)
        looped = [one(*lane) for lane in lanes]
        assert len(traces) == 1
        mapped = jax.jit(jax.vmap(run))(*jax.tree.map(lambda *z: jnp.stack(z), *lanes))
        close(mapped, jnp.stack(looped))


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_finite_at_extremes(name):
    x, y = map(jnp.asarray, extremes(name))
    run = jax.jit(with_gradients(get(name)))
    for end in range(2 if numbers_of(name) else 1):
        numbers = {k: jnp.float32(ENDS[k][end]) for k in numbers_of(name)}
        out, grads = run(x, y, numbers)
        for leaf in jax.tree.leaves((out, grads)):
            assert np.all(np.isfinite(leaf))


@pytest.mark.parametrize("name", LOSSES)
def test_dtypes(name):
    x, y = example(name)

    def dtype(loss, x_dtype, y_dtype=None):
        y_dtype = y_dtype or (jnp.int32 if kind(name) == "class" else x_dtype)
        shapes = jax.ShapeDtypeStruct(x.shape, x_dtype), jax.ShapeDtypeStruct(y.shape, y_dtype)
        return jax.eval_shape(loss, *shapes).dtype

    for half in (jnp.bfloat16, jnp.float16, jnp.float32):
        assert dtype(get(name), half) == jnp.float32
    assert dtype(get(name), jnp.float32, jnp.int32) == jnp.float32
    with jax.enable_x64(True):
        for full in (jnp.float32, jnp.float64):
            assert dtype(get(name), full) == full
            assert dtype(get(name), full, jnp.int64) == full


@pytest.mark.parametrize("name", LOSSES)
def test_shapes_that_differ_are_an_error_that_prints_both(name):
    x, y = example(name)
    for wrong in (y[:-1], y[..., None], y[0]):
        with pytest.raises(ValueError) as error:
            get(name)(x, wrong)
        assert str(x.shape) in str(error.value) and str(wrong.shape) in str(error.value)


@pytest.mark.parametrize("name", LOSSES)
def test_predictions_that_are_no_floats_are_an_error(name):
    x, y = example(name)
    first = arguments(name)[0].name
    for wrong in (x.astype(int), x.astype(complex), x > 0):
        with pytest.raises(TypeError, match=first):
            get(name)(wrong, y)


def test_the_classic_trap():
    with pytest.raises(ValueError, match=re.escape("(1000,), targets have shape (1000, 1)")):
        losses.squared_error(np.zeros(1000), np.zeros((1000, 1)))


@pytest.mark.parametrize("name", LOSSES)
def test_lists_and_integer_targets_count_as_arrays(name):
    x, y = example(name)
    y = y if kind(name) == "class" else np.round(y).clip(-3, 3) + 0.0
    targets = (y, y.tolist(), y.astype(int), y.astype(np.int8))
    expected, *same = jax.jit(lambda: [get(name)(x.tolist(), t) for t in targets])()
    for out in same:
        close(out, expected, 1e-6)


def test_large_integer_targets_keep_their_digits():
    with jax.enable_x64(True):
        assert losses.squared_error(np.array([123456789.0]), np.array([123456788]))[0] == 1


@pytest.mark.parametrize("name", [n for n in LOSSES if kind(n) == "class"])
def test_labels(name):
    loss = jax.jit(get(name))
    x = np.zeros((4, 3), np.float32)
    out = np.asarray(loss(x, np.array([0, 2, 3, -1])))
    np.testing.assert_array_equal(np.isnan(out), [False, False, True, True])
    with pytest.raises(TypeError, match="float32"):
        loss(x, np.zeros(4, np.float32))
    with pytest.raises(ValueError, match="two classes"):
        loss(x[:, :1], np.zeros(4, int))


def test_classes_of_logit_minus_infinity_are_absent():
    loss = jax.jit(jax.value_and_grad(losses.softmax_cross_entropy_with_integer_labels))
    value, grad = loss(np.array([1.0, -np.inf, 2.0], np.float32), 0)
    expected, _ = loss(np.array([1.0, 2.0], np.float32), 0)
    close(value, expected, 1e-6)
    assert np.all(np.isfinite(grad)) and grad[1] == 0


def test_a_label_that_where_excludes_is_nan():
    loss = jax.jit(losses.softmax_cross_entropy_with_integer_labels)
    where = np.array([[True, False], [False, False]])
    out = loss(np.zeros((2, 2)), np.array([1, 1]), where=where)
    np.testing.assert_array_equal(out, [np.nan, 0])


def test_smooth_labels():
    y = np.eye(4)[[0, 2, 3]]
    where = np.array([[1, 0, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]], bool)
    cases = ({}, {"axis": 0}, {"axis": None}, {"where": where})

    @jax.jit
    def all_cases(alpha):
        ours = [losses.smooth_labels(t, alpha, **c) for t in (y, y.astype(int)) for c in cases]
        return ours, [optax.smooth_labels(y, alpha, **c) for c in (*cases, *cases)]

    with jax.enable_x64(True):
        for alpha in (0.0, 0.3):
            close(*all_cases(alpha))


def test_label_smoothing_counts_the_classes_that_where_keeps():
    where = np.array([[True, False, True], [False, False, False]])
    x, y = np.array([[1.0, 5.0, 2.0], [3.0, 4.0, 5.0]], np.float32), np.array([2, 0])

    @jax.jit
    def run(x, alpha):
        loss = losses.softmax_cross_entropy_with_integer_labels
        few = loss(x[0, ::2], 1, label_smoothing=alpha)
        out = loss(x, y, where=where, label_smoothing=alpha)
        return jnp.sum(out), (out, few)

    (_, (out, few)), grads = jax.value_and_grad(run, (0, 1), has_aux=True)(x, 0.3)
    close(out, np.array([few, 0]), 1e-6)
    assert np.all(np.isfinite(grads[0])) and np.all(grads[0][~where] == 0)
    assert np.isfinite(grads[1]) and grads[1] != 0


@pytest.mark.parametrize("name", [n for n in LOSSES if kind(n) != "class"])
def test_a_prediction_of_nan_is_never_hidden(name):
    x, y = extremes(name)
    out = jax.jit(get(name))(np.full_like(x, np.nan), y)
    assert np.all(np.isnan(out))
    if name.startswith("kl"):  # also where the target is 0
        targets = {"simplex": [0.0, 1.0], "log": [-np.inf, 0.0]}[kind(name)]
        assert np.isnan(get(name)(np.array([np.nan, 0.0]), np.array(targets)))


# ------------------------------------------------------------------------------------ weights


def test_weighted_mean_is_numpys_average():
    rng = np.random.default_rng(0)
    mean = jax.jit(weighted_mean)
    with jax.enable_x64(True):
        for shape in [(7,), (4, 2, 3)]:
            x, w = rng.normal(size=shape), rng.uniform(size=shape[0]) * (np.arange(shape[0]) != 2)
            close(mean(x, w), np.average(x.reshape(shape[0], -1).mean(1), weights=w))
            close(mean(x), x.mean())
        close(mean(x, np.ones(shape)), x.mean())


def test_weight_zero_leaves_an_example_out():
    mean = jax.jit(jax.value_and_grad(weighted_mean, (0, 1)))
    x = np.array([1.0, np.nan, 3.0, np.inf], np.float32)
    value, grads = mean(x, np.array([1, 0, 1, 0], np.float32))
    assert value == 2 and all(np.all(np.isfinite(g)) for g in grads)
    np.testing.assert_array_equal(grads[0], [0.5, 0, 0.5, 0])
    value, grads = mean(x[[0, 2]], np.zeros(2, np.float32))
    assert value == 0 and all(np.all(np.isfinite(g)) for g in grads)


def test_the_gradient_in_a_weight_of_zero_is_that_of_the_formula():
    grad = jax.jit(jax.grad(weighted_mean, 1))(np.array([1.0, 3.0]), np.array([2.0, 0.0]))
    close(grad, np.array([0.0, 1.0]), 1e-6)


def test_weights_of_another_shape_are_an_error():
    for shape in [(4,), (3, 1), (3, 2, 1)]:
        with pytest.raises(ValueError, match=re.escape(f"(3, 2), weights have shape {shape}")):
            weighted_mean(np.zeros((3, 2)), np.ones(shape))


# ------------------------------------------------------------------------------------ numbers


@pytest.mark.parametrize("name", [n for n in LOSSES if numbers_of(n)])
def test_with_numbers_is_a_value(name):
    x, y = example(name)
    numbers = numbers_of(name)
    loss = with_numbers(get(name), **numbers)
    assert hyperparameters(loss) == numbers
    assert eval(repr(loss), vars(losses)) == loss == pickle.loads(pickle.dumps(loss))
    assert hash(loss) == hash(with_numbers(get(name), **numbers))
    assert loss != with_numbers(get(name), **{k: v + 1 for k, v in numbers.items()})
    first = next(iter(numbers))
    assert hyperparameters(replace(loss, **{first: 0.2}))[first] == 0.2
    traces = []

    @jax.jit
    def run(loss, x, y):
        traces.append(1)
        given = get(name)(x, y, **loss.numbers)
        return jax.value_and_grad(lambda loss: jnp.sum(loss(x, y)))(loss), jnp.sum(given)

    for value in (0.1, 0.2):
        (total, grads), given = run(replace(loss, **{first: value}), x, y)
        close(total, given, 1e-6)
        assert all(np.isfinite(leaf) for leaf in jax.tree.leaves(grads))
    assert len(traces) == 1


def test_with_numbers_names_what_a_loss_does_not_take():
    with pytest.raises(TypeError, match="huber_loss takes no number 'dleta'; did you mean 'delta'"):
        with_numbers(losses.huber_loss, dleta=0.5)


def test_the_focal_loss_of_two_classes_is_the_one_of_yes_or_no():
    x, y = np.linspace(-6, 6, 13), np.arange(13) % 2
    with jax.enable_x64(True):
        two = losses.softmax_focal_loss_with_integer_labels(
            np.stack([np.zeros(13), x], 1), y, gamma=1.5
        )
        np.testing.assert_allclose(two, losses.sigmoid_focal_loss(x, y, gamma=1.5), 1e-12)


def test_class_weights_multiply_and_are_numbers():
    weighted = losses.class_weighted(losses.sigmoid_binary_cross_entropy, (1.0, 10.0))
    assert hyperparameters(weighted) == {"0": 1.0, "1": 10.0}
    assert repr(weighted) == (
        "ClassWeighted(loss=sigmoid_binary_cross_entropy, weights=(1.0, 10.0))"
    )
    x, y = jnp.array([0.3, -0.2, 2.0]), jnp.array([0, 1, 2])
    plain = losses.sigmoid_binary_cross_entropy(x, y)
    np.testing.assert_allclose(weighted(x, y), plain * jnp.array([1, 10, jnp.nan]), rtol=1e-6)
    grads = jax.grad(lambda w: weighted_mean(w(x[:2], y[:2])))(weighted)
    np.testing.assert_allclose(grads.weights, plain[:2] / 2, rtol=1e-6)
    batch = jax.vmap(lambda w: replace(weighted, **{"1": w})(x, y))(jnp.array([1.0, 10.0]))
    np.testing.assert_array_equal(batch[1], weighted(x, y))
    with pytest.raises(TypeError, match="targets are float32: wanted integers"):
        weighted(x, x)
    with pytest.raises(ValueError, match="the loss has shape"):
        losses.class_weighted(lambda x, y: jnp.mean(x), (1.0, 1.0))(x, y)
    with pytest.raises(TypeError, match="loss = 3: wanted a function"):
        losses.class_weighted(3, (1.0, 1.0))
    with pytest.raises(ValueError, match=r"weights = \(1.0,\): wanted one for each class"):
        losses.class_weighted(losses.hinge_loss, np.ones(1).tolist())
    with pytest.raises(ValueError, match=r"weights = .* is outside \[0"):
        losses.class_weighted(losses.sigmoid_binary_cross_entropy, (1.0, -1.0))
