"""What outputs mean follows from the loss: each loss says it, its wrappers pass it on."""

import functools
import inspect

import jax
import numpy as np
import optax
import pytest

import jaxopt_edu as jo
from jaxopt_edu.nn import losses
from jaxopt_edu.nn.link import LINKS, link_named, link_of

# losses whose outputs are scores of two arguments: all that are exported but these
NO_LOSSES = {"class_weighted", "smooth_labels", "weighted_mean", "with_numbers"}
LOSSES = [getattr(losses, n) for n in losses.__all__ if n.islower() and n not in NO_LOSSES]
SOFTMAX = losses.softmax_cross_entropy_with_integer_labels


@pytest.mark.parametrize("loss", LOSSES, ids=lambda f: f.__name__)
def test_every_loss_says_its_link(loss):
    assert link_of(loss).name in LINKS
    assert link_of(getattr(optax, loss.__name__, loss)) is link_of(loss)
    assert link_of(functools.partial(loss)) is link_of(loss)
    assert link_of(jax.jit(loss)) is link_of(loss)
    assert link_of(losses.class_weighted(loss, (1, 2))) is link_of(loss)
    assert link_of(losses.with_numbers(loss)) is link_of(loss)


@pytest.mark.parametrize(
    "loss",
    [
        lambda p, y: SOFTMAX(p, y),
        functools.partial(lambda p, y, c: c * SOFTMAX(p, y), c=2),
        losses.class_weighted(lambda p, y: SOFTMAX(p, y), (1, 2)),
        functools.partial(losses.softmax_cross_entropy, axis=0),
        functools.partial(SOFTMAX, where=np.array([True, False])),
        optax.cosine_distance,
    ],
)
def test_a_loss_that_does_not_say_is_refused(loss):
    with pytest.raises(ValueError, match="give link=, one of softmax, log, sigmoid"):
        link_of(loss)


def test_a_loss_of_ones_own_may_say_it():
    def mine(p, y):
        return SOFTMAX(p, y)

    mine.link = "softmax"
    assert link_of(functools.partial(mine)).name == "softmax"
    with pytest.raises(ValueError, match="did you mean 'softmax'"):
        link_named("sotfmax")


def test_probabilities_are_those_of_jax():
    x = np.random.default_rng(0).normal(0, 30, (50, 4))
    softmax, sigmoid = LINKS["softmax"].probabilities, LINKS["sigmoid"].probabilities
    np.testing.assert_allclose(softmax(x), jax.nn.softmax(x), atol=1e-6)
    np.testing.assert_allclose(sigmoid(x[:, 0])[:, 1], jax.nn.sigmoid(x[:, 0]), atol=1e-6)
    np.testing.assert_allclose(softmax(x).sum(1), 1, rtol=1e-14)
    np.testing.assert_allclose(sigmoid(x[:, 0]).sum(1), 1, rtol=1e-14)
    assert softmax(np.array([[-np.inf, 0.0], [np.inf, 0.0], [np.inf, np.inf]])).tolist() == [
        [0, 1],
        [1, 0],
        [0.5, 0.5],
    ]
    assert sigmoid(np.array([-1e4, 1e4])).tolist() == [[1, 0], [0, 1]]


def test_a_link_of_logarithms_has_their_exponentials():
    x = np.log([[0.25, 0.75], [0.9, 0.1]])
    link = LINKS["log"]
    assert link.classes(x).tolist() == [1, 0]
    for answer in (link.probabilities, link.numbers):
        np.testing.assert_allclose(answer(x), [[0.25, 0.75], [0.9, 0.1]], rtol=1e-15)


@pytest.mark.parametrize("name", [name for name in LINKS if name != "identity"])
def test_outputs_of_another_shape_are_named(name):
    several = name in ("softmax", "log", "argmax")
    wanted = r"wanted \(rows, classes\)" if several else "wanted one number a row"
    with pytest.raises(
        ValueError, match=rf"outputs of shape {'.5,.' if several else '.5, 3.'}: {wanted}"
    ):
        LINKS[name].classes(np.zeros(5) if several else np.zeros((5, 3)))


def test_a_loss_that_wraps_one_has_its_link():
    @functools.wraps(SOFTMAX)
    def logged(p, y):
        return SOFTMAX(p, y)

    assert link_of(logged) is LINKS["softmax"]
    del logged.link  # functools.wraps took it over; what it wraps still says
    assert link_of(logged) is LINKS["softmax"]


def test_classes_are_those_that_accuracy_counts():
    x, y = np.random.default_rng(1).normal(size=(40, 3)), np.arange(40) % 2
    for name, outputs in (("softmax", x), ("argmax", x), ("sigmoid", x[:, 0]), ("sign", x[:, 0])):
        classes = LINKS[name].classes(outputs)
        assert np.mean(classes == y) == pytest.approx(float(jo.metrics.accuracy(outputs, y)))


def test_docstrings_and_signatures_are_kept():
    assert list(inspect.signature(losses.hinge_loss).parameters) == ["predictor_outputs", "targets"]
    assert losses.hinge_loss.__name__ == "hinge_loss"


@pytest.mark.parametrize("link", [3, ["softmax"], b"log"])
def test_a_link_is_a_name(link):
    with pytest.raises(TypeError, match="link = .*: wanted one of: softmax, log, sigmoid"):
        link_named(link)
