"""Pictures of a study: every shape of study draws, and what is drawn is what happened."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from studies import halved, made_up
from test_plot import check_drawn, pixels, words

import jaxopt_edu as jo
from jaxopt_edu.view import plot
from jaxopt_edu.view.plot.axis import Axis, axis_of, pair
from jaxopt_edu.view.plot.contour import smooth
from jaxopt_edu.view.plot.history import best_so_far
from jaxopt_edu.view.plot.importance_bars import importance_of_divergence
from jaxopt_edu.view.plot.parallel import parallel_axes
from jaxopt_edu.view.plot.pareto import pareto_front
from jaxopt_edu.view.plot.rungs import alive, at_rung, between_rungs, groups
from jaxopt_edu.view.plot.scores import best_line, ranked
from jaxopt_edu.view.plot.slices import medians, sliced
from jaxopt_edu.view.plot.timeline import box_corners, segments

PICTURES = {
    "curves": plot.plot_curves,
    "history": plot.plot_history,
    "rungs": plot.plot_rungs,
    "parallel": plot.plot_parallel,
    "slices": plot.plot_slices,
    "contour": plot.plot_contour,
    "divergence": plot.plot_divergence,
    "importance": plot.plot_importance,
    "timeline": plot.plot_timeline,
}
STUDIES = {
    "halved": lambda: halved(made_up(64, choices=(2,), dead=(1, 5)), repeats=3),
    "brackets, accuracy": lambda: halved(made_up(40, numbers=1, mode="max"), brackets=3),
    "one trial": lambda: made_up(1),
    "all dead": lambda: made_up(6, dead=range(6), choices=(2,)),
    "no number": lambda: made_up(20, numbers=0, choices=(3, 2), dead=(1, 2)),
    "nothing swept, nothing scored": lambda: made_up(3, numbers=0, scored=False),
    "many structures": lambda: made_up(60, choices=(12,), dead=range(0, 60, 7)),
}

NO_CHOICE = {"one trial", "nothing swept, nothing scored"}
PALE = {"nothing swept, nothing scored": ["parallel"]}  # a picture that draws axes only
UNDRAWN = {  # shapes of which a picture says that there is nothing to draw
    "curves": {"nothing swept, nothing scored"},
    "history": {"nothing swept, nothing scored"},
    "slices": NO_CHOICE,
    "contour": NO_CHOICE | {"brackets, accuracy"},
    "divergence": NO_CHOICE,
    "importance": NO_CHOICE | {"all dead"},
    "timeline": STUDIES.keys() - {"halved", "brackets, accuracy"},
}


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("shape", STUDIES)
def test_every_shape_of_study_draws(picture, shape):
    nothing = shape in UNDRAWN.get(picture, ())
    each = picture not in ("rungs", "importance", "timeline", *PALE.get(shape, ()))
    check_drawn(PICTURES[picture], STUDIES[shape](), nothing, each)


def test_ten_thousand_trials_are_drawn():
    study = halved(made_up(10_000, dead=range(0, 10_000, 9)))
    for picture in (plot.plot_history, plot.plot_rungs, plot.plot_contour):
        assert pixels(picture(study)).shape[:2] == (800, 1200)


def test_of_many_hyperparameters_those_that_matter_most_are_drawn():
    study = made_up(30, numbers=14)
    assert len(sliced(study)) == 12 and sliced(study)[0] == "optimizer.number0"
    assert "(the 12 of 14 that matter most)" in words(plot.plot_slices(study))
    axes = parallel_axes(study)
    assert len(axes) == 9 and axes[-1].name == "optimizer.number0"


def test_names_that_look_like_formulas_are_words():
    study = made_up(8, numbers=0, choices=(2, 2))
    for name in ("part0", "part1"):
        study.columns[name][:] = ["$x_", "_$\\frac{", None, "_b"] * 2
    for picture in (plot.plot_parallel, plot.plot_slices, plot.plot_contour):
        assert pixels(picture(study)).shape[:2] == (800, 1200)


@pytest.mark.parametrize("picture", ["curves", "history", "contour", "slices", "parallel"])
def test_pictures_name_the_best_and_count_the_others(picture):
    study = halved(made_up(64, dead=(3, 7, 8)))
    text = words(PICTURES[picture](study))
    assert f"best: trial {study.best_trial}" in text and "(3)" in text
    stopped = np.sum(study.columns["status"] == "stopped")
    assert picture == "parallel" or f"({stopped})" in text


# -------------------------------------------------------------------------------------- history


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_best_so_far_is_the_best_of_the_trials_so_far(mode):
    study = made_up(30, dead=(0, 1, 9), mode=mode)
    scores, best = study.columns["validation_loss"], best_so_far(study)
    assert np.isnan(best[:2]).all()
    choose = np.nanmin if mode == "min" else np.nanmax
    np.testing.assert_array_equal(best[2:], [choose(scores[: i + 1]) for i in range(2, 30)])


# ---------------------------------------------------------------------------------------- rungs


@pytest.mark.parametrize("brackets", [1, 3])
def test_rungs_account_for_every_trial(brackets):
    study = halved(made_up(96, dead=(3, 50)), brackets=brackets)
    status, ends = study.columns["status"], study.columns["steps"]
    assert sorted(np.concatenate(list(groups(study).values()))) == list(range(96))
    for trials in groups(study).values():
        steps, counts = alive(study, trials)
        assert counts[0] == len(trials) and np.all(np.diff(counts) <= 0)
        assert counts[-1] == np.sum(status[trials] == "finished")
        for step, count in between_rungs(study, trials)[1:]:
            assert count == np.sum(ends[trials] > step)
    for rung in study.rungs:
        trials, scores, on = at_rung(study, rung)
        stopped = np.flatnonzero((status == "stopped") & (ends == rung))
        np.testing.assert_array_equal(trials[~on], stopped)
        np.testing.assert_array_equal(scores[~on], study.columns["validation_loss"][stopped])
        if brackets == 1:
            assert scores[on].max() < scores[~on].min()


def test_the_numbers_at_the_rungs_are_written():
    study = halved(made_up(64))
    text = words(plot.plot_rungs(study)).split()
    assert {"64", "16", "4"} <= set(text)
    assert "No rungs" in words(plot.plot_rungs(made_up(5)))


def test_a_stopped_trial_ends_at_its_rung_with_a_ring():
    study = halved(made_up(64), repeats=2)
    axes = plot.plot_curves(study).axes[0]
    [rings] = [line for line in axes.lines if line.get_marker() == "o"]
    stopped = study.columns["status"] == "stopped"
    assert sorted(rings.get_xdata()) == sorted(study.columns["steps"][stopped])
    [band] = [c for c in axes.collections if c.get_label() == "" or hasattr(c, "get_paths")][-1:]
    top = band.get_paths()[0].vertices[:, 1].max()
    assert top == pytest.approx(study.lanes["loss"][study.best_trial].max())


# -------------------------------------------------------------------------------------- the axes


def test_axes_go_from_one_end_to_the_other():
    study = made_up(50, numbers=2, choices=(3,))
    study.columns["optimizer.number1"][:] = np.linspace(-2, 5, 50)
    for name in study.swept:
        axis = axis_of(study, name)
        np.testing.assert_allclose(axis.unit(np.array(axis.ends)), [0, 1], atol=1e-12)
        np.testing.assert_allclose(np.diff(axis.unit(axis.grid(9)), 2), 0, atol=1e-12)
        places, labels = axis.ticks()
        assert len(places) == len(labels) > 1
        assert np.all((axis.unit(places) >= 0) & (axis.unit(places) <= 1))
    assert axis_of(study, "optimizer.number0").log and not axis_of(study, "optimizer.number1").log


def test_the_places_of_a_choice_are_its_values_in_order():
    study = made_up(6, numbers=0, choices=(2,))
    study.columns["part0"] = np.array([64, "relu", 16, None, 16, "gelu"], object)
    axis = axis_of(study, "part0")
    assert axis.values == [16, 64, None, "gelu", "relu"]
    assert [axis.values[int(place)] for place in axis.places] == study.columns["part0"].tolist()
    assert np.all(np.abs(axis.spread() - axis.places) <= 0.25)


def test_unknown_names_are_told():
    study = made_up(8)
    for picture in (plot.plot_contour, plot.plot_divergence):
        with pytest.raises(ValueError, match="x = 'number0'.*did you mean 'optimizer.number0'"):
            picture(study, "number0")
        with pytest.raises(ValueError, match="another name"):
            picture(study, "optimizer.number0", "optimizer.number0")
    with pytest.raises(ValueError, match="y = 'val_loss'.*did you mean 'validation_loss'"):
        plot.plot_pareto(study, "steps", "val_loss")


def test_a_pair_is_what_matters_most_unless_it_is_named():
    study = made_up(100, numbers=3)
    shares = plot.importance(study)
    first, second = list(shares)[:2]
    assert [axis.name for axis in pair(study, None, None, shares)] == [first, second]
    assert [axis.name for axis in pair(study, None, first, shares)] == [second, first]
    figure = plot.plot_contour(study, x="optimizer.number2", y="optimizer.number1")
    assert figure.axes[0].get_xlabel() == "optimizer.number2"


# ------------------------------------------------------------------------------- slices and maps


def test_medians_of_a_choice_are_those_of_its_values():
    study = made_up(40, numbers=0, choices=(3,), dead=(0,))
    places, middles = medians(study, axis_of(study, "part0"))
    scores, kinds = study.columns["validation_loss"], study.columns["part0"]
    for place, middle in zip(places, middles, strict=True):
        assert middle == np.nanmedian(scores[kinds == f"kind{int(place)}"])


def test_a_map_is_the_weighted_mean_of_near_trials():
    rng = np.random.default_rng(0)
    x, y, values = rng.uniform(1, 2, 20), 10 ** rng.uniform(-3, 0, 20), rng.normal(size=20)
    right, up = Axis("x", x), Axis("y", y, None, True)
    drawn = smooth(right, up, values, 7)
    h = 0.29 * 20 ** (-1 / 6)
    for (i, b), (j, a) in itertools.product(enumerate(up.grid(7)), enumerate(right.grid(7))):
        d = np.hypot(right.unit(x) - right.unit(a), up.unit(y) - up.unit(b)) / h
        w = np.exp(-(d**2) / 2)
        expected = np.sum(w * values) / np.sum(w) if np.sum(w) > 0.5 else np.nan
        np.testing.assert_allclose(drawn[i, j], expected, rtol=1e-9)
    constant = smooth(right, up, np.ones(20), 7)
    np.testing.assert_allclose(constant[np.isfinite(constant)], 1)


def test_a_strip_of_a_map_knows_nothing_of_the_other_strips():
    x, kinds = np.linspace(0, 1, 20), np.arange(20) % 2.0
    right, up = Axis("x", x), Axis("kind", kinds, ["a", "b"])
    low, high = smooth(right, up, kinds, 9)
    np.testing.assert_allclose(low, 0)
    np.testing.assert_allclose(high, 1)


def test_divergence_is_mapped_over_what_tells_it():
    study = made_up(200, numbers=3)
    dead = study.columns["optimizer.number2"] > 0.1
    study.columns["status"][dead] = "diverged"
    assert next(iter(importance_of_divergence(study))) == "optimizer.number2"
    figure = plot.plot_divergence(study)
    assert figure.axes[0].get_xlabel() == "optimizer.number2"
    assert f"{dead.sum()} of 200 trials diverged" in words(figure)
    assert "No trial diverged" in words(plot.plot_divergence(made_up(8)))


# ---------------------------------------------------------------------------------------- Pareto


@pytest.mark.parametrize("modes", list(itertools.product(["min", "max"], repeat=2)))
def test_the_front_is_what_no_other_beats(modes):
    rng = np.random.default_rng(1)
    x, y = np.round(rng.uniform(size=(2, 60)), 1)
    x[3], y[4] = np.nan, np.inf
    signs = np.array([1 if mode == "min" else -1 for mode in modes])
    points = np.column_stack([x, y]) * signs
    known = np.flatnonzero(np.isfinite(points).all(axis=1))

    def beaten(i):
        less, more = points[known] <= points[i], points[known] < points[i]
        return np.any(less.all(axis=1) & more.any(axis=1))

    best = {tuple(points[i]) for i in known if not beaten(i)}
    front = pareto_front(x, y, modes)
    assert len(front) == len(best) and {tuple(points[i]) for i in front} == best
    assert np.all(np.diff(points[front, 0]) > 0) and np.all(np.diff(points[front, 1]) < 0)


def test_a_front_is_drawn_for_any_two_columns():
    study = halved(made_up(40, dead=(2,)))
    study.columns["validation_accuracy"] = 1 - study.columns["validation_loss"] / 10
    for x in ("validation_accuracy", "steps"):
        pixels(plot.plot_pareto(study, x, "validation_loss"))
    figure = plot.plot_pareto(study, "validation_accuracy", "validation_loss")
    assert figure.axes[0].get_xlabel() == "validation accuracy (large is good)"
    pixels(plot.plot_pareto(made_up(2, dead=(0, 1)), "steps", "validation_loss"))


# -------------------------------------------------------------------------------------- timeline


def test_boxes_of_the_timeline_are_as_large_as_the_work():
    study = halved(made_up(50, choices=(2,)))
    boxes = segments(study)
    corners = box_corners(boxes, boxes["share"])
    wide = corners[:, 1, 0] - corners[:, 0, 0]
    high = corners[:, 1, 1] - corners[:, 2, 1]
    share = study.timeline["useful"] / (study.timeline["width"] * study.timeline["steps"])
    np.testing.assert_allclose(wide, study.timeline["end"] - study.timeline["start"])
    np.testing.assert_allclose(high, 0.8 * share)
    text = words(plot.plot_timeline(study))
    assert "2 workers" in text and "1.03 for each one of use" in text
    for told in ({"useful_lane_steps": 0}, {"executed_lane_steps": None}):  # of older versions
        older = dataclasses.replace(study, info=study.info | told)
        text = words(plot.plot_timeline(older))
        assert "2 workers" in text and "for each one of use" not in text
    assert "no timeline was recorded" in words(plot.plot_timeline(made_up(2)))


def test_what_is_full_in_the_timeline_is_what_was_of_use():
    """A lane that dies within a segment counts up to there: in the picture as in the numbers."""
    space = jo.Training(
        model=jo.models.Linear(1), loss=jo.losses.squared_error, data=jo.data.load("linear"),
        optimizer=jax.vmap(jo.sgd)(jnp.array([0.1, 0.1, 3.0])),
    )  # fmt: skip
    study = jo.sweep(space, steps=64, eval_every=32, tile=2)
    boxes = segments(study)
    full = boxes["share"] * boxes["width"] * boxes["steps"]
    assert study.diverged == 1
    assert full.sum() == pytest.approx(study.info["useful_lane_steps"])
    assert full.sum() == pytest.approx(study.columns["steps"].sum())


def test_pictures_and_studies_agree_on_the_best():
    """A trial that was stopped early may have the best score; it is not the best trial."""
    study = halved(made_up(30))
    stopped = np.flatnonzero(study.columns["status"] == "stopped")[0]
    study.columns["validation_loss"][stopped] = -1.0
    assert ranked(study)[0] == study.best_trial != stopped
    assert f"trial {study.best_trial}," in best_line(study)
