"""Finders: what they suggest is right where it is known, and each uses one program."""

import dataclasses

import numpy as np
import pytest
from test_plot import pixels, words

import jaxopt_edu as jo
from jaxopt_edu.diagnosis.finders.sizes import powers

pytestmark = pytest.mark.usefixtures("compiled_quickly")
LINE = jo.Training(
    model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    data=jo.data.load("linear"),
)  # fmt: skip
WINE = jo.Training(
    model=jo.models.Linear(13, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.chain(jo.clip_by_global_norm(1.0), jo.adam(1e-3)),
    data=jo.data.load("wine"),
)


@pytest.fixture(scope="module")
def rates():
    return jo.find_learning_rate(LINE, 50, low=1e-4, high=10.0, rates=16)


def test_the_suggestion_is_within_the_interval_where_gradient_descent_contracts(rates):
    """On standardized x the step of w - w* is 1 - 2 eta, so that 0 < eta < 1 converges."""
    low, high = rates.plateau
    assert low < rates.suggested < high < 1 and not rates.open_end
    assert rates.suggested in rates.values
    assert np.sqrt(low * high) == pytest.approx(rates.suggested, rel=0.5)
    alone = jo.fit(rates.experiment, 50).evaluate("validation")["loss"]
    assert alone == pytest.approx(rates.scores[rates.values == rates.suggested][0], rel=1e-4)
    assert rates.untrained > 5 * alone


def test_all_rates_are_one_program(rates):
    assert len(rates.study.tiles) == 1 and len(rates.values) == 16
    assert rates.study.info["compilations"]["engine"] <= 3


def test_the_picture_of_the_rates(rates):
    picture = rates.plot()
    text = words(picture)
    assert "suggested" in text and "optimizer.learning_rate" in text
    assert f"diverged ({rates.study.diverged})" in text
    assert np.mean(pixels(picture)[..., :3] < 0.9) > 0.005


def test_a_score_to_be_large_and_a_rate_deep_in_a_chain():
    found = jo.find_learning_rate(
        WINE, 40, low=1e-6, high=1e-2, rates=8, metric="accuracy", mode="max"
    )
    assert found.name == "optimizer.1.learning_rate" and found.scores.max() > 0.9
    assert found.open_end and "open" in words(found.plot())


@pytest.fixture(scope="module")
def sizes():
    space = dataclasses.replace(LINE, optimizer=jo.sgd(jo.log_uniform(1e-3, 1.0)))
    return jo.find_batch_size(space, epochs=1, sizes=(10, 600), trials=4)


def test_sizes_see_equally_many_examples_and_the_fastest_good_one_is_suggested(sizes):
    assert sizes.steps == (60, 1)
    assert sizes.scores[0] < sizes.scores[1]
    near = sizes.scores <= sizes.scores.min() + 0.05 * (sizes.untrained - sizes.scores.min())
    fastest = np.argmin(np.where(near, sizes.seconds, np.inf))
    assert sizes.suggested == sizes.sizes[fastest]
    assert sizes.experiment.batch_size == sizes.suggested
    assert all(len(study) == 4 and len(study.tiles) == 1 for study in sizes.studies)
    assert (sizes.seconds > 0).all()


def test_the_picture_of_the_sizes(sizes):
    picture = sizes.plot()
    assert f"take {sizes.suggested}" in words(picture) and "seconds of work" in words(picture)
    assert np.mean(pixels(picture)[..., :3] < 0.9) > 0.005


def test_sizes_are_powers_of_two_up_to_half_of_the_data():
    assert [powers(n) for n in (15, 16, 50, 64)] == [(), (8,), (8, 16), (8, 16, 32)]


WRONG = {
    "rates = 2: wanted an integer, at least 3": lambda: jo.find_learning_rate(LINE, 5, rates=2),
    "low = 1.0, high = 0.1: wanted": lambda: jo.find_learning_rate(LINE, 5, low=1.0, high=0.1),
    "tolerance = 0: wanted a share": lambda: jo.find_learning_rate(LINE, 5, tolerance=0),
    "unknown name 'learning_rat'; did you mean 'optimizer.learning_rate'": (
        lambda: jo.find_learning_rate(LINE, 5, name="learning_rat")
    ),
    "unknown metric 'los'; did you mean 'loss'": (
        lambda: jo.find_learning_rate(LINE, 5, metric="los")
    ),
    "steps = 0: wanted an integer": lambda: jo.find_learning_rate(LINE, 0),
    "is not a number: find_learning_rate runs one experiment": lambda: jo.find_learning_rate(
        dataclasses.replace(LINE, optimizer=jo.sgd(jo.log_uniform(0.1, 1.0))), 5
    ),
    "no training ends better than it starts": (
        lambda: jo.find_learning_rate(LINE, 2, low=2.0, high=4.0, rates=4)
    ),
    "epochs = 0: wanted an integer": lambda: jo.find_batch_size(LINE, 0),
    r"sizes: 601: wanted integers from 1 to 600": lambda: jo.find_batch_size(LINE, sizes=(601,)),
    r"sizes = \(8, 8\): one of them comes twice": lambda: jo.find_batch_size(LINE, sizes=(8, 8)),
    "Linear: wanted a Training, whose batch_size": lambda: jo.find_batch_size(LINE.model),
}


@pytest.mark.parametrize("message", WRONG)
def test_bad_input_is_named(message):
    with pytest.raises((ValueError, TypeError), match=message):
        WRONG[message]()
