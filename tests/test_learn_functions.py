"""Checks of losses, proximal operators, splits, batches, gradients and optimizers of one's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.learn import functions
from jaxopt_edu.values.pytrees import number, pytree

learn = jo.learn


# ----------------------------------------------------------------------------------------- losses


@pytest.mark.parametrize("name", [*functions.BY_NUMBER, *functions.BY_CLASS])
def test_our_losses_are_right_one_by_one_and_as_means(name):
    loss = getattr(jo.losses, name)
    for f in (loss, lambda x, y: jnp.mean(loss(x, y))):
        verdict = learn.check_loss(name, f)
        assert verdict.ok, verdict.message


@pytest.mark.parametrize(
    ("name", "f", "words"),
    [
        ("squared_error", lambda x, y: np.sum((x - y) ** 2), "the sum over the examples"),
        ("squared_error", lambda x, y: (x - y) ** 2 / 2, "differs"),
        ("squared_error", lambda x, y: abs(x - y), "stands where"),
        ("l2_loss", lambda x, y: (x - y) ** 2, "the division by 2 is missing"),
        ("hinge_loss", lambda x, y: 1 - y * x, "without the max"),
        ("hinge_loss", lambda x, y: np.maximum(0, 1 + y * x), "the sign of y x is turned round"),
        (
            "softmax_cross_entropy_with_integer_labels",
            lambda x, y: -x[np.arange(len(y)), y], "the division by (sum_j exp(x_j)) is missing",
        ),
        (
            "sigmoid_binary_cross_entropy",
            lambda x, y: -y * np.log(1 / (1 + np.exp(-x))), "is missing",
        ),
        ("squared_error", lambda x, y: np.stack([x, y]), "has shape (2, 12)"),
        ("squared_error", lambda x: x, "does not run"),
    ],
)  # fmt: skip
def test_mistakes_in_a_loss(name, f, words):
    verdict = learn.check_loss(name, f)
    assert not verdict.ok and words in verdict.message, verdict.message


def test_a_loss_that_stretches_is_told_by_its_axes():
    verdict = learn.check_loss("squared_error", lambda x, y: np.mean((x - y) ** 2))
    assert not verdict.ok and "stretched to (n, n)" in verdict.message

    def refuses(x, y):
        if x.shape != y.shape:
            raise ValueError(x.shape)
        return np.mean((x - y) ** 2)

    assert learn.check_loss("squared_error", refuses).ok
    with pytest.raises(ValueError, match="name = 'mse'"):
        learn.check_loss("mse", refuses)


# ------------------------------------------------------------------------------ proximal operators


@pytest.mark.parametrize("name", functions.PENALTIES)
def test_our_proximal_operators_are_right(name):
    def prox(w, s, weight, **more):
        return getattr(jo, name)(weight, **more).prox({"w": w}, s)["w"]

    def elastic(w, s, weight, l1_ratio):
        return prox(w, s, weight, l1_ratio=l1_ratio)

    def plain(w, s, weight):
        return prox(w, s, weight)

    assert learn.check_prox(name, elastic if name == "ElasticNet" else plain).ok


@pytest.mark.parametrize(
    ("f", "words"),
    [
        (lambda w, s, weight: np.sign(w) * (abs(w) - s * weight), "without the max"),
        (lambda w, weight: np.sign(w) * np.maximum(abs(w) - weight, 0), "the factor s is missing"),
        (lambda w, s, weight: np.maximum(abs(w) - s * weight, 0), "the factor sign(w) is missing"),
        (lambda w, s, weight: np.where(abs(w) < s * weight, w, w - np.sign(w) * s * weight),
         "wrong where |w| < s weight"),
        (lambda w, s, weight: np.where(abs(w) < s * weight, 0, w), "wrong where |w| > s weight"),
        (lambda w, s, weight: np.where(w > 0, np.maximum(w - s * weight, 0), w),
         "wrong where w < 0"),
        (lambda w, weight: np.sign(w) * np.maximum(abs(w) - 0.5 * weight, 0), "wrong"),
        (lambda w: np.sign(w) * np.maximum(abs(w) - 0.4, 0), "wrong"),
        (lambda w, lam: w, "asks for lam"),
        (lambda w: w[:3], "has shape (3,)"),
        (lambda w: 1 / 0, "does not run"),
    ],
)  # fmt: skip
def test_mistakes_in_a_proximal_operator(f, words):
    verdict = learn.check_prox("L1", f)
    assert not verdict.ok and words in verdict.message, verdict.message
    with pytest.raises(ValueError, match="name = 'L3'"):
        learn.check_prox("L3", f)


# ---------------------------------------------------------------------------------- splits, batches


def order(n, seed=0):
    return np.random.default_rng(seed).permutation(n)


def cut(x, y, at=80):
    return (x[:at], y[:at]), (x[at:], y[at:])


def scaled_by(x, mean, sd):
    return (x - mean) / sd


def good(x, y, seed):
    i = order(len(y), seed)
    (a, ya), (b, yb) = cut(x[i], y[i])
    mean, sd = a.mean(0), a.std(0)
    return (scaled_by(a, mean, sd), ya), (scaled_by(b, mean, sd), yb)


def leaks(x, y):
    i = order(len(y))
    return cut(scaled_by(x, x.mean(0), x.std(0))[i], y[i])


def each_by_itself(x, y):
    i = order(len(y))
    return [(scaled_by(a, a.mean(0), a.std(0)), b) for a, b in cut(x[i], y[i])]


def twice(x, y):
    i = order(len(y))
    return (x[i[:80]], y[i[:80]]), (x[i[40:80]], y[i[40:80]])


def apart(x, y):
    i, j = order(len(y)), order(len(y), 1)
    return cut(x[i], y[j])


def changed(x, y):
    i = order(len(y))
    return cut(x[i] ** 3, y[i])


def scaled(statistic, of_all=False, seed=0):
    def split(x, y):
        i = order(len(y), seed)
        (a, ya), (b, yb) = cut(x[i], y[i])
        shift, scale = statistic(x if of_all else a)
        return ((a - shift) / scale, ya), ((b - shift) / scale, yb)

    return split


@pytest.mark.parametrize(
    "statistic",
    [
        lambda x: (x.min(0), np.ptp(x, 0)),
        lambda x: (np.median(x, 0), np.subtract(*np.percentile(x, [75, 25], axis=0))),
        lambda x: (0, abs(x).max(0)),
        lambda x: (x.mean(0), x.std(0, ddof=1)),
    ],
)
def test_scaling_by_the_training_part_is_right_and_by_all_rows_leaks(statistic):
    assert all(learn.check_split(scaled(statistic, seed=k)).ok for k in range(3))
    told = [learn.check_split(scaled(statistic, True, seed=k)) for k in range(6)]
    assert any("it leaks" in one.message for one in told)


def test_scaling_by_what_is_no_statistic_of_the_rows_is_right():
    assert learn.check_split(scaled(lambda x: (0, 10))).ok
    assert learn.check_split(scaled(lambda x: (x.mean(), x.std()))).ok


def test_splits_that_are_right():
    assert learn.check_split(good).ok
    i = order(120)
    thirds = lambda x, y: [(x[i[k : k + 40]], y[i[k : k + 40]]) for k in (0, 40, 80)]  # noqa: E731
    assert learn.check_split(thirds).ok


@pytest.mark.parametrize(
    ("split", "words"),
    [
        (leaks, "it leaks"),
        (each_by_itself, "scaled by numbers of its own"),
        (twice, "a row stands in two parts"),
        (lambda x, y: cut(x, y), "has no example of class"),
        (lambda x, y: (cut(x, y)[0], (x[90:], y[90:])), "10 rows are lost"),
        (lambda x, y: (cut(x, y)[0], (x[70:], y[70:])), "10 rows come twice"),
        (apart, "the targets do not stand beside their rows"),
        (changed, "rows are changed"),
        (lambda x, y: x, "gives no pairs"),
        (lambda x, y: 1 / 0, "does not run"),
        (lambda x, y: [(x, y)], "wanted 2 or 3 parts"),
    ],
)
def test_mistakes_in_a_split(split, words):
    verdict = learn.check_split(split)
    assert not verdict.ok and words in verdict.message, verdict.message


def shuffled(n, batch_size, epoch, seed):
    i = np.random.default_rng([seed, epoch]).permutation(n)
    return [i[k : k + batch_size] for k in range(0, n, batch_size)]


def test_batches_that_are_right():
    assert learn.check_batches(shuffled).ok
    assert learn.check_batches(
        lambda n, batch_size, epoch, seed: shuffled(n, batch_size, epoch, seed)[: n // batch_size]
    ).ok

    def ours(n, batch_size, epoch, seed):
        per = n // batch_size
        key = jax.random.key(seed)
        return [jo.data.batch_indices(key, epoch * per + k, n, batch_size) for k in range(per)]

    assert learn.check_batches(ours).ok


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        (lambda n, batch_size: np.arange(n - n % batch_size).reshape(-1, batch_size),
         "has the order of the first"),
        (lambda n, batch_size, epoch: np.random.default_rng(epoch).integers(n, size=(6, 4)),
         "a row comes twice"),
        (lambda n, batch_size, epoch: shuffled(n + 1, batch_size, epoch, 0), "it takes row"),
        (lambda n, batch_size, epoch: shuffled(n, batch_size, epoch, 0)[1:], "are left out"),
        (lambda n, batch_size, epoch: shuffled(n, 5, epoch, 0), "it makes batches of"),
        (lambda n, batch_size, epoch: [k + order(min(4, n - k), epoch) for k in range(0, n, 4)],
         "hold the same rows in each epoch"),
        (lambda n, batch_size, epoch: [np.ones(batch_size)], "arrays of row numbers"),
        (lambda n, size: [], "asks for size"),
        (lambda n, batch_size, epoch: np.split(np.roll(np.arange(n)[:24], epoch), 6),
         "has the order of the data"),
    ],
)  # fmt: skip
def test_mistakes_in_batches(batches, words):
    verdict = learn.check_batches(batches)
    assert not verdict.ok and words in verdict.message, verdict.message


# -------------------------------------------------------------------------------------- gradients


def test_gradients():
    f = lambda p: jnp.sum(p["w"] ** 3) + jnp.sin(p["b"])  # noqa: E731
    at = {"w": jnp.array([[1.0, -2.0]]), "b": jnp.array(0.3)}
    assert learn.check_gradient(f, at).ok
    assert learn.check_gradient(f, at, jax.grad(f)(at)).ok
    wrong = learn.check_gradient(f, at, lambda p: {"w": 2 * p["w"] ** 2, "b": jnp.cos(p["b"])})
    assert not wrong.ok and "entry [0, 0] of leaf 1 of the gradient is 2" in wrong.message
    small = np.array([5e-5, 1.0])
    assert learn.check_gradient(lambda x: jnp.log(x).sum(), small, lambda x: 1 / x).ok
    waves = learn.check_gradient(lambda x: jnp.sin(1000 * x).sum(), np.array([1.0, 2.0]))
    assert waves.ok or "nothing can be told" in waves.message
    for bad, words in (
        (lambda x: x, "has shape (2,)"), (lambda x: 1 / 0, "does not run"),
        (lambda x: None, "None"), (lambda x: float(np.asarray(x).sum()), "does not run"),
    ):  # fmt: skip
        told = learn.check_gradient(bad, small)
        assert not told.ok and told.line is None
        assert words in told.message or "does not run" in told.message
    with pytest.raises(TypeError, match="f = 3"):
        learn.check_gradient(3, small)
    with pytest.raises(TypeError, match="x: wanted an array"):
        learn.check_gradient(f, None)
    shapes = learn.check_gradient(f, at, {"w": jnp.ones(2), "b": jnp.array(1.0)})
    assert not shapes.ok and "has shapes" in shapes.message


# ------------------------------------------------------------------------------------------- laws


@pytest.mark.parametrize(
    "make", [lambda: jo.sgd(0.1, momentum=0.9), lambda: jo.adam(1e-3), lambda: jo.lion(1e-3)]
)
def test_our_optimizers_keep_the_laws(make):
    verdict = learn.check_rule(make())
    assert verdict.ok, verdict.message


class Plain:
    """An object whose numbers are no leaves."""

    sign = -1

    def init(self, params):
        return jax.tree.map(jnp.zeros_like, params)

    def update(self, updates, state, params=None):
        state = jax.tree.map(lambda s, g: 0.9 * s + g, state, updates)
        return jax.tree.map(lambda s: self.sign * 0.1 * s, state), state


class Uphill(Plain):
    sign = 1


def test_objects_and_optax_are_held_to_the_laws_that_they_can_have():
    import optax

    assert learn.check_rule(Plain()).ok and learn.check_rule(optax.adam(1e-3)).ok
    assert "goes uphill" in learn.check_rule(Uphill()).message


@pytree
class Mine(jo.Rule):
    learning_rate: float = number(0)

    def init(self, params):
        return ()

    def update(self, updates, state, params=None, **extra):
        return jax.tree.map(self.one, updates), state

    def one(self, g):
        return -self.learning_rate * g


def broken(**methods):
    kind = pytree(type("Broken", (Mine,), methods | {"__annotations__": {}}))
    return kind(0.1)


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (3.0, "has no init"),
        (broken(one=lambda self, g: self.learning_rate * g), "goes uphill"),
        (broken(one=lambda self, g: -self.learning_rate * g.astype(jnp.float32)),
         "get updates of float32"),
        (broken(one=lambda self, g: -self.learning_rate * g / jnp.sqrt(g**2)), "not finite"),
        (broken(one=lambda self, g: -g if self.learning_rate > 0.5 else -0.1 * g), "Tracer"),
        (broken(update=lambda self, u, state, params=None: (u["w"], state)), "another tree"),
        (broken(update=lambda self, u, state, params=None: (u, (1,))), "another structure"),
    ],
)  # fmt: skip
def test_broken_laws_are_named(optimizer, words):
    verdict = learn.check_rule(optimizer)
    assert not verdict.ok and words in verdict.message, verdict.message


# ------------------------------------------------------------------- what a right answer is not yet


def no_column(f):
    """The loss, refusing (n, 1) beside (n,)."""

    def checked(predictions, targets, **numbers):
        if np.shape(predictions) != np.shape(targets):
            raise ValueError("shapes differ")
        return f(np.abs(predictions - targets), **numbers)

    return checked


def test_a_loss_says_whether_it_is_a_mean_and_what_it_does_with_a_column():
    each = jo.learn.check_loss("squared_error", no_column(lambda e: e**2))
    assert each.ok and "the loss of each example; (n, 1) beside (n,) is refused" in each.message
    mean = jo.learn.check_loss("squared_error", lambda x, y: np.mean((np.ravel(x) - y) ** 2))
    assert mean.ok and "the mean over the examples; (n, 1) beside (n,) is read as" in mean.message


def test_a_number_that_a_loss_takes_is_tried_at_other_values():
    def huber(predictions, targets, delta=1.0):
        if np.shape(predictions) != np.shape(targets):
            raise ValueError("shapes differ")
        e, delta = np.abs(predictions - targets), used(delta)
        return np.where(e <= delta, e**2 / 2, delta * (e - delta / 2))

    used = lambda delta: delta  # noqa: E731
    assert jo.learn.check_loss("huber_loss", huber).ok
    used = lambda delta: 1.0  # noqa: E731
    found = jo.learn.check_loss("huber_loss", huber)
    assert not found.ok and found.message.startswith("with delta = 0.5: ")
    assert jo.learn.check_loss("huber_loss", huber, delta=1.0).ok  # as it was asked for


def test_batches_are_the_same_again_and_others_for_another_seed():
    def cut(order, size):
        return np.array_split(order, range(size, len(order), size))

    def fresh(n, batch_size, epoch, seed):
        return cut(np.random.default_rng().permutation(n), batch_size)

    def unseeded(n, batch_size, epoch, seed):
        return cut(np.random.default_rng(epoch).permutation(n), batch_size)

    def short(n, batch_size, epoch, seed):
        order = np.random.default_rng((seed, epoch)).permutation(n)
        return order[: n // batch_size * batch_size].reshape(-1, batch_size)

    assert "another order the second time" in jo.learn.check_batches(fresh).message
    assert "does not use it" in jo.learn.check_batches(unseeded).message
    right = jo.learn.check_batches(short)
    assert right.ok and "the last 2 of 26 are left out" in right.message
