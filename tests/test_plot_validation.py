"""Paths of weights and validation curves: what is drawn is what was found."""

import dataclasses

import numpy as np
import pytest
from studies import halved, made_up
from test_plot import check_drawn, ink, pixels, words

import jaxopt_edu as jo
from jaxopt_edu.analysis.validation import L1Path
from jaxopt_edu.search.ranking import ranks
from jaxopt_edu.view import plot
from jaxopt_edu.view.plot.l1 import NAMED, spread
from jaxopt_edu.view.plot.validation import curves_of

DIABETES = jo.Training(
    model=jo.models.Linear(10), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.2),
    data=jo.data.load("diabetes"),
)  # fmt: skip


# ---------------------------------------------------------------------------------- the L1 path


def made_up_path(penalties, features=5, outputs=1, residuals=0.0):
    """A path whose weights grow as the penalty falls, each from a penalty of its own on."""
    penalties = np.asarray(penalties, float)
    rng = np.random.default_rng(0)
    ends = rng.normal(size=(outputs, features) if outputs > 1 else features)
    enters = np.arange(features)[None] < 1.5 * np.arange(len(penalties))[np.argsort(
        np.argsort(-penalties))][:, None]  # fmt: skip
    enters = enters if outputs == 1 else enters[:, None]
    w = enters * ends / (1 + penalties.reshape(-1, *[1] * ends.ndim))
    norms = np.linalg.norm(w.reshape(len(penalties), -1, features), axis=1)
    names = tuple(f"feature{j}" for j in range(features))
    far = np.full(len(penalties), residuals)
    return L1Path(penalties, names, norms, {"w": w}, {"loss": penalties}, far)


def lines(figure):
    """The lines of features as (x, y) from the strongest penalty on; not those across the axes."""
    axes = figure.axes[0]
    own = [line for line in axes.lines if line.get_transform() == axes.transData]
    return [np.asarray(line.get_xydata()) for line in own]


def test_each_line_is_the_weight_of_a_feature_from_the_strongest_penalty_on():
    path = jo.l1_path(DIABETES, [1.0, 30.0, 3.0, 10.0], steps=300)
    figure = plot.plot_l1_path(path)
    order = np.argsort(-path.penalties)
    drawn = sorted(xy[:, 1].tolist() for xy in lines(figure))
    np.testing.assert_array_equal(drawn, sorted(path.params["w"][order].T.tolist()))
    axes, top = figure.axes
    assert axes.get_xscale() == "log" and axes.get_xlim()[0] > axes.get_xlim()[1]
    ticks = dict(zip(top.get_xticks(), [t.get_text() for t in top.get_xticklabels()], strict=True))
    counts = {p: str(len(path.kept(i))) for i, p in enumerate(path.penalties)}
    assert ticks.items() <= counts.items() and {1.0, 30.0} <= ticks.keys()
    assert np.allclose(top.get_xlim(), axes.get_xlim())
    assert figure.get_suptitle() == (
        f"{len(path.kept(1))} of 10 features have a weight at penalty 30, {len(path.kept(0))} at 1"
    )


def test_names_stand_in_the_order_of_the_ends_and_apart():
    path = made_up_path(np.geomspace(10, 0.1, 9), features=12)
    figure = plot.plot_l1_path(path)
    ends = dict(zip(path.features, path.params["w"][-1], strict=True))
    said = {t.get_text(): t.xyann[1] for t in figure.axes[0].texts if t.get_text() in ends}
    assert set(said) == set(ends)
    by_end, by_place = sorted(ends, key=ends.get), sorted(said, key=said.get)
    assert [ends[n] for n in by_end] == pytest.approx([ends[n] for n in by_place])
    assert np.min(np.diff(sorted(said.values()))) > 0.04


def test_of_many_features_the_largest_are_named_and_the_others_grey():
    path = made_up_path(np.geomspace(10, 0.1, 60), features=40)
    figure = plot.plot_l1_path(path)
    texts = [t.get_text() for t in figure.axes[0].texts]
    largest = np.argsort(-np.abs(path.params["w"][-1]))[:NAMED]
    assert set(texts) == {path.features[j] for j in largest}
    grey = [x for x in figure.axes[0].lines if x.get_color() == "#bbbbbb"]
    assert len(grey) == 40 - NAMED and "the 24 other features" in words(figure)


@pytest.mark.parametrize(
    "penalties", [[1.0], [0.0], [1.0, 0.0], [0.0, 10.0, 1.0, 0.1], [2.0, 2.0], [1e-9, 1e9]]
)
@pytest.mark.parametrize("outputs", [1, 3])
def test_every_path_draws(penalties, outputs):
    figure = plot.plot_l1_path(made_up_path(penalties, outputs=outputs))
    assert ink(figure) > 1e-5
    side = figure.axes[0].get_ylabel()
    assert side == ("weight" if outputs == 1 else "norm of the weights over 3 outputs")
    x = lines(figure)[-1][:, 0]
    assert np.all(np.diff(x) <= 0) and (0 in x) == (penalties == [0.0])


def test_a_path_that_has_not_converged_says_so():
    assert "take more steps" not in words(plot.plot_l1_path(made_up_path([3.0, 1.0, 0.0])))
    figure = plot.plot_l1_path(made_up_path([3.0, 1.0, 0.0], residuals=0.2))
    assert "above a tenth of the penalty at 1 of 3: take more steps" in words(figure)


def test_spread_moves_no_more_than_it_must():
    rng = np.random.default_rng(0)
    for n in (1, 2, 5, 16):
        for places in (rng.uniform(size=n), np.zeros(n), np.ones(n), rng.uniform(0.9, 1, n)):
            moved = spread(places, 0.05)
            assert moved.min() >= -1e-9 and moved.max() <= 1 + 1e-9
            assert n == 1 or np.min(np.diff(np.sort(moved))) > 0.05 - 1e-9
            again = spread(moved, 0.05)
            np.testing.assert_allclose(again, moved, atol=1e-9)
    far = np.array([0.9, 0.1, 0.5])
    np.testing.assert_array_equal(spread(far, 0.05), far)


# ------------------------------------------------------------------------ the validation curve


@pytest.fixture(scope="module")
def study():
    space = jo.replace(DIABETES, learning_rate=jo.log_uniform(1e-3, 10.0))
    return jo.sweep(space, 9, steps=40, sampler="grid", folds=3)


def test_the_lines_are_means_over_folds_and_the_star_is_the_best(study):
    figure = plot.plot_validation_curve(study)
    [axes] = figure.axes
    alive = study.columns["status"] == "finished"
    rates = study.columns["optimizer.learning_rate"][alive]
    order = np.argsort(rates)
    drawn = [line for line in axes.lines if len(line.get_xdata()) == alive.sum()]
    validation, training = drawn
    np.testing.assert_allclose(validation.get_xdata(), rates[order])
    seen = validation.get_ydata() < axes.get_ylim()[1]
    found = study.finals["rank_loss"][alive][order].mean(1)
    np.testing.assert_allclose(validation.get_ydata()[seen], found[seen])
    lanes = study.lanes["training_loss"][alive][order]
    count = np.isfinite(lanes).sum(-1)
    expected = ranks(lanes, count, lanes[..., -1], study.rank_by, 1).mean(1)
    assert seen.sum() > 3
    np.testing.assert_allclose(training.get_ydata()[seen], expected[seen], rtol=1e-6)
    [star] = [line for line in axes.lines if line.get_marker() == "*"]
    assert star.get_xdata()[0] == study.columns["optimizer.learning_rate"][study.best_trial]
    assert star.get_ydata()[0] == pytest.approx(study.columns["rank_loss"][study.best_trial])
    assert axes.get_xscale() == "log"
    dead = int((~alive).sum())
    assert dead > 0 and f"diverged ({dead})" in words(figure)
    assert "mean and standard deviation over 3 folds" in words(figure)


def test_the_band_is_one_standard_deviation(study):
    [axes] = plot.plot_validation_curve(study).axes
    alive = np.flatnonzero(study.columns["status"] == "finished")
    order = alive[np.argsort(study.columns["optimizer.learning_rate"][alive])]
    bands = [c.get_paths()[0].vertices for c in axes.collections]
    assert len(bands) == 2
    for band, curve in zip(bands, curves_of(study, order), strict=True):
        rate = study.columns["optimizer.learning_rate"][order[0]]
        ends = sorted(y for x, y in band if np.isclose(x, rate))
        wanted = (curve.mean[0] - curve.std[0], curve.mean[0] + curve.std[0])
        assert (ends[0], ends[-1]) == pytest.approx(wanted)
    found = study.finals["rank_loss"][order]
    np.testing.assert_allclose(curves_of(study, order)[0].std, found.std(1))


@pytest.mark.parametrize(
    "shape",
    [
        dict(n=20, numbers=1, dead=(0,)), dict(n=1, numbers=1), dict(n=2, numbers=1, dead=(0,)),
        dict(n=20, numbers=0, choices=(3,), dead=(1, 2)), dict(n=30, numbers=1, mode="max"),
    ],
    ids=str,
)  # fmt: skip
def test_every_shape_of_study_of_one_hyperparameter_draws(shape):
    check_drawn(plot.plot_validation_curve, made_up(**shape), each=shape["n"] < 20)


def test_where_no_trial_has_a_score_it_says_so():
    for study in (made_up(4, 1, dead=range(4)), made_up(4, 1, scored=False)):
        figure = plot.plot_validation_curve(study)
        assert "no trial reached a score" in words(figure) and ink(figure) == 0


def test_trials_that_were_stopped_are_counted_and_not_drawn():
    study = halved(made_up(64, 1, dead=(1, 5)), repeats=3)
    figure = plot.plot_validation_curve(study)
    finished = int((study.columns["status"] == "finished").sum())
    assert f"{64 - 2 - finished} stopped early are not shown" in words(figure)
    assert len(figure.axes[0].lines[0].get_xdata()) == finished


def test_of_another_score_only_the_validation_is_drawn(study):
    found = dataclasses.replace(study, metric="r2_score", mode="max", rank_by="last")
    words_of = words(plot.plot_validation_curve(found))
    assert "validation r2_score, mean" in words_of and "training" not in words_of


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda: plot.plot_validation_curve(3), TypeError, "study = int: .* wants a Study"),
        (
            lambda: plot.plot_validation_curve(made_up(4, 2)), ValueError,
            r"2 hyperparameters were swept \(optimizer.number0, .*\): wanted one; .*plot_slices",
        ),
        (
            lambda: plot.plot_validation_curve(made_up(4, 0)), ValueError,
            r"0 hyperparameters were swept \(none\): wanted one",
        ),
        (lambda: plot.plot_l1_path(3), TypeError, "path = int: plot_l1_path wants a L1Path"),
    ],
)  # fmt: skip
def test_what_is_no_study_of_one_hyperparameter_is_named(call, error, said):
    with pytest.raises(error, match=said):
        call()


def test_names_that_look_like_formulas():
    path = dataclasses.replace(
        made_up_path([2.0, 1.0]), features=("$x_", "_b", "$$", "\\", "a" * 99)
    )
    assert "..." in words(plot.plot_l1_path(path))
    pixels(plot.plot_l1_path(path))
    study = made_up(4, 0, choices=(2,))
    study.columns["part0"][:] = ["$x_", "_$\\frac{"] * 2
    pixels(plot.plot_validation_curve(study))


@pytest.mark.parametrize("penalties", ["abc", ["a"], [[1.0], [1.0, 2.0]], None, 3.0, [np.inf]])
def test_penalties_that_are_no_list_of_numbers_are_named(penalties):
    with pytest.raises(ValueError, match=r"penalties = .*: wanted a list of numbers of at least 0"):
        jo.l1_path(DIABETES, penalties, steps=10)
