"""Diagnoses of trainings whose fault is known, and of some that have none."""

import dataclasses

import numpy as np
import pytest
from test_plot import pixels, words

import jaxopt_edu as jo
from jaxopt_edu.diagnosis import baselines, find_shift

pytestmark = pytest.mark.usefixtures("compiled_quickly")
RING, FEW = 600, 60


def rings(n, seed=0, noise=0.0):
    """Two classes, one around the other; with labels that are wrong with a probability."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    y = (np.hypot(*x.T) > 1.18).astype(int)
    return x, np.where(rng.random(n) < noise, 1 - y, y)


def data_of(n, **options):
    (x, y), (x_test, y_test) = rings(n, **options), rings(400, seed=1)
    return jo.data.from_arrays(x, y, validation=0.4, test=(x_test, y_test), prepare=None)


def training(data, hidden=(), optimizer=None):
    return jo.Training(
        model=jo.models.MLP((2, *hidden, 1)),
        loss=jo.losses.sigmoid_binary_cross_entropy,
        optimizer=optimizer or jo.adam(0.02),
        data=data,
    )


def test_a_line_through_rings_is_under_fitted():
    found = jo.diagnose(jo.fit(training(data_of(RING)), 300))
    assert found.verdicts == ("under-fitting",)
    assert found.numbers["neighbours_error"] < 0.1 < 0.3 < found.numbers["train_error"]
    assert "no better than that of a constant" in found.sentences[0]


def test_a_large_network_on_few_noisy_examples_is_over_fitted():
    experiment = training(data_of(FEW, noise=0.25), (64, 64), jo.adam(0.01))
    run = jo.fit(experiment, 400, train_curve=True)
    found = jo.diagnose(run)
    assert found.verdicts == ("over-fitting",)
    assert "is not true of new examples" in found.sentences[0]
    assert "has risen since" in found.sentences[0]
    assert found.numbers["train_error"] < 0.05 < 0.2 < found.numbers["validation_error"]
    assert found.curves["train"][-1] == pytest.approx(run.evaluate("train")["loss"])
    assert found.numbers["train_loss"] == pytest.approx(run.evaluate("train")["loss"], rel=1e-4)
    assert "Over-fitting" in words(found.plot())


def test_a_fit_that_is_right_and_one_that_was_cut_short():
    experiment = training(data_of(RING), (16,), jo.adam(0.02))
    right = jo.diagnose(jo.fit(experiment, 600))
    assert right.verdicts == ("good fit",) and not right.shift.found
    short = jo.diagnose(jo.fit(experiment, 40))
    assert "not converged" in short.verdicts and "over-fitting" not in short.verdicts
    assert short.numbers["to_gain"] > 0
    few = jo.diagnose(jo.fit(experiment, 600, eval_every=200))
    assert few.verdicts == ("good fit",) and "cannot be told from 3 evaluations" in few.sentences[1]


def test_other_test_data_are_noticed_and_the_feature_is_named():
    data = data_of(RING)
    moved = np.asarray(data.test.x) * [1.0, 2.5]  # its mean stays
    other = dataclasses.replace(data, test=data.test._replace(x=moved.astype(np.float32)))
    found = jo.diagnose(jo.fit(training(other, (16,)), 600))
    assert found.verdicts == ("good fit", "shift")
    assert found.shift.features == ("x1",) and found.shift.auc > 0.6
    assert "x1 differs" in found.sentences[-1]
    picture = found.plot()
    assert f"AUC {found.shift.auc:.2f}" in words(picture)
    assert np.mean(pixels(picture)[..., :3] < 0.9) > 0.005


def test_real_data_are_not_shifted_and_a_linear_model_fits_them():
    wine = jo.Training(
        model=jo.models.Linear(13, 3),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(0.1),
        data=jo.data.load("wine"),
        regularizer=jo.L2(0.05),
    )
    assert jo.diagnose(jo.fit(wine, 400)).verdicts == ("good fit",)


def test_samples_of_one_distribution_are_rarely_told_apart():
    rng = np.random.default_rng(0)
    shifts = [find_shift(rng.normal(size=(120, 3)), rng.normal(size=(50, 3))) for _ in range(20)]
    assert not any(shift.found for shift in shifts)
    p = np.sort([shift.p_value for shift in shifts])
    assert np.max(np.abs(p - np.linspace(0, 1, 20))) < 0.4


def test_differences_are_in_deviations_and_auc_is_that_of_a_shifted_normal():
    from scipy.stats import norm

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1000, 2)) * [1, 10] + [[[0, 0]], [[0, 10]]]
    found = find_shift(a, b, ("still", "moved"))
    assert found.features == ("moved",)
    np.testing.assert_allclose(found.differences, [0, 1], atol=0.12)
    np.testing.assert_allclose(found.auc, norm.cdf(1 / np.sqrt(2)), atol=0.03)


def test_a_diverged_run_says_so():
    experiment = training(data_of(RING), optimizer=jo.adam(1e8))
    found = jo.diagnose(jo.fit(experiment, 300))
    assert found.verdicts == ("diverged",) and "smaller learning rate" in repr(found)
    assert "diverged" in words(found.plot())


def test_bad_input_is_named():
    run = jo.fit(training(data_of(RING)), 300)
    with pytest.raises(TypeError, match="run is of type int: wanted what `fit` returns"):
        jo.diagnose(3)
    alone = jo.data.from_arrays(*rings(FEW), validation=0.0, test=0.2)
    with pytest.raises(ValueError, match="run: its data have no validation part"):
        jo.diagnose(dataclasses.replace(run, experiment=training(alone)))
    with pytest.raises(ValueError, match="neighbours_k = 0: wanted an integer"):
        jo.diagnose(run, neighbours_k=0)
    with pytest.raises(TypeError, match="run is of a Linear: wanted a Training"):
        jo.diagnose(dataclasses.replace(run, experiment=jo.models.Linear(1)))
    with pytest.raises(ValueError, match=r"rows of shape \(20, 2\) and \(20, 3\)"):
        find_shift(np.zeros((20, 2)), np.zeros((20, 3)))
    with pytest.raises(ValueError, match="20 and 9 rows: wanted at least 10"):
        find_shift(np.zeros((20, 2)), np.zeros((9, 2)))


def test_errors_of_signs_are_those_of_the_classes():
    rng = np.random.default_rng(0)
    y, scores = rng.integers(0, 2, 50), rng.normal(size=50)
    as_classes = baselines.errors(scores, y)
    np.testing.assert_array_equal(baselines.errors(scores, 2.0 * y - 1), as_classes)
    assert 0 < as_classes.mean() < 1
    assert baselines.errors(np.zeros(1), np.ones(1)).tolist() == [1.0]  # 0 has no sign
    halves = baselines.errors(scores, y + 0.5, scale=2.0)
    np.testing.assert_allclose(halves, (scores - y - 0.5) ** 2 / 2)


def test_of_large_parts_the_same_two_thousand_rows_are_looked_at():
    x, y = np.arange(9000.0).reshape(3000, 3, 1), np.arange(3000)
    rows, targets = baselines.thinned(x, y, seed=1)
    assert rows.shape == (2000, 3) and len(set(targets.tolist())) == 2000
    np.testing.assert_array_equal(rows, x.reshape(3000, 3)[targets])  # rows and targets go together
    np.testing.assert_array_equal(baselines.thinned(x, y, seed=1)[1], targets)
    assert (baselines.thinned(x, y, seed=2)[1] != targets).any()
    np.testing.assert_array_equal(baselines.thinned(x[:2000], y[:2000], seed=1)[1], y[:2000])
