"""Pictures: every shape of study draws without a warning, and shows what it should."""

import dataclasses
import io

import numpy as np
import pytest
from studies import made_up

from jaxopt_edu import data
from jaxopt_edu.engine.fitting import fit
from jaxopt_edu.nn import losses
from jaxopt_edu.nn.models import Linear
from jaxopt_edu.optim.optimizers import sgd
from jaxopt_edu.search import sweep
from jaxopt_edu.train import Training
from jaxopt_edu.values.space import log_uniform
from jaxopt_edu.view import plot
from jaxopt_edu.view.plot.figure import png, score_range, spread_in_logs

SHAPES = {
    "usual": dict(n=40, dead=(3, 7)),
    "one trial": dict(n=1),
    "one trial, dead": dict(n=1, dead=(0,)),
    "all dead": dict(n=6, dead=range(6), choices=(2,)),
    "thousand": dict(n=1000, numbers=3, choices=(3, 2), dead=range(0, 1000, 7)),
    "one number": dict(n=20, numbers=1, dead=(0,)),
    "one number, two structures": dict(n=20, numbers=1, choices=(2,)),
    "no number": dict(n=20, numbers=0, choices=(3,), dead=(1, 2)),
    "no number, two choices": dict(n=20, numbers=0, choices=(3, 2)),
    "many structures": dict(n=60, numbers=2, choices=(12,)),
    "accuracy": dict(n=30, mode="max", dead=(0,)),
    "one evaluation": dict(n=5, evaluations=1),
    "nothing swept": dict(n=3, numbers=0),
    "nothing scored": dict(n=3, scored=False),
}
NOTHING = {  # what pictures say where there is nothing to draw
    "plot_curves": "no trial reached a score",
    "plot_history": "none reached one",
    "plot_slices": "no hyperparameter has more than one value",
    "plot_contour": "there are no two hyperparameters with more than one value",
    "plot_divergence": "No trial diverged",
    "plot_importance": "No hyperparameter by itself explains",
    "plot_timeline": "no timeline was recorded",
}
PICTURES = {"curves": plot.plot_curves, "landscape": plot.plot_landscape}


def pixels(figure):
    from matplotlib.image import imread

    return imread(io.BytesIO(png(figure)))


def ink(figure):
    """The share of the pixels that marks of the data darken: all that surrounds them is clear."""
    from matplotlib.text import Text

    around = [*figure.findobj(Text), figure.patch]
    for axes in figure.axes:
        around += [
            axes.patch,
            *axes.spines.values(),
            *axes.get_xgridlines(),
            *axes.get_ygridlines(),
        ]
        around += [*axes.get_xticklines(minor=True), *axes.get_yticklines(minor=True)]
        around += [*axes.get_xticklines(), *axes.get_yticklines()]
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        around += legend.findobj() if legend else []
    for artist in around:
        artist.set_alpha(0)
    drawn = pixels(figure)
    assert drawn.shape[:2] == (800, 1200)
    light = drawn[..., :3] * drawn[..., 3:] + 1 - drawn[..., 3:]
    return np.mean(light.min(axis=-1) < 0.9)


def marks(figure):
    """How many points and curves the axes hold that have a place."""
    found = 0
    for axes in figure.axes:
        lines = [line.get_xydata() for line in axes.lines if line.get_marker() != "None"]
        found += sum(np.isfinite(np.asarray(xy, float)).all(axis=1).sum() for xy in lines)
        for drawn in axes.collections:
            if hasattr(drawn, "get_segments"):
                found += sum(np.isfinite(xy).any() for xy in drawn.get_segments())
            elif type(drawn).__name__ == "PathCollection":
                places = np.ma.filled(drawn.get_offsets().astype(float), np.nan)
                found += np.isfinite(places).all(axis=1).sum()
    return found


def check_drawn(picture, study, nothing=False, each=True):
    """There is a mark for each trial; nothing: words say why there is none."""
    figure = picture(study)
    if nothing:
        assert NOTHING[picture.__name__] in words(figure) and ink(figure) == 0 == marks(figure)
    else:
        assert not each or marks(figure) >= len(study)
        assert ink(figure) > 3e-5 * min(len(study), 20)


def words(figure):
    """All text of a figure."""
    from matplotlib.text import Text

    return " ".join(" ".join(text.get_text().split()) for text in figure.findobj(Text))


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_of_study_draws(picture, shape):
    each = shape not in ("many structures", "nothing scored") or picture == "curves"
    nothing = (picture, shape) == ("curves", "nothing scored")
    check_drawn(PICTURES[picture], made_up(**SHAPES[shape]), nothing, each)


def test_scores_that_are_not_finite_or_all_equal():
    study = made_up(8)
    study.columns["validation_loss"][:] = 0.5
    study.columns["validation_loss"][2:4] = np.inf, np.nan
    study.curves["loss"][:] = 0.5
    study.curves["loss"][2] = np.inf
    for picture in PICTURES.values():
        pixels(picture(study))
    assert "trial 0" in words(plot.plot_curves(study))


def test_names_that_look_like_formulas():
    study = made_up(8, numbers=0, choices=(2, 2))
    for name in ("part0", "part1"):
        study.columns[name][:] = ["$x_", "_$\\frac{", None, "_b"] * 2
    for picture in PICTURES.values():
        pixels(picture(study))
    [_, beside] = plot.plot_landscape(study).legends
    assert len(beside.get_texts()) == 4


@pytest.mark.parametrize("picture", PICTURES)
def test_pictures_name_the_best_trial_and_count_the_dead(picture):
    study = made_up(40, dead=(3, 7, 8))
    text = words(PICTURES[picture](study))
    assert f"best: trial {study.best_trial}" in text
    assert "(3)" in text


def test_a_landscape_has_the_axes_that_matter_on_their_scales():
    axes = plot.plot_landscape(made_up(100, numbers=3, dead=(3,))).axes[0]
    assert axes.get_xlabel() == "optimizer.number0"
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    study = made_up(100, numbers=1)
    axes = plot.plot_landscape(study).axes[0]
    assert axes.get_ylabel() == "validation loss"


def test_a_number_of_some_structures_only_has_a_panel_where_it_is():
    study = made_up(60, numbers=2, choices=(2,))
    first = study.columns["part0"] == "kind0"
    study.columns["optimizer.number0"][first] = np.nan
    figure = plot.plot_landscape(study)
    labels = {axes.get_title(): axes.get_xlabel() for axes in figure.axes if axes.get_title()}
    assert labels["part0 = kind1"] == "optimizer.number0"
    assert labels["part0 = kind0"] == "optimizer.number1"


def test_drawing_touches_no_global_state():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot.plot_curves(made_up(3))
    assert dict(matplotlib.rcParams) == before
    from matplotlib import _pylab_helpers

    assert not _pylab_helpers.Gcf.figs


# ---------------------------------------------------------------------------------- importance


def test_importance_finds_what_the_score_is_made_of():
    study = made_up(300, numbers=3, choices=(3,))
    shares = plot.importance(study)
    assert next(iter(shares)) == "optimizer.number0"
    assert shares["optimizer.number0"] > 0.8
    assert all(0 <= share < 0.05 for name, share in shares.items() if name != "optimizer.number0")
    assert next(iter(plot.importance(made_up(60, numbers=0, choices=(3, 3))))) == "part0"


def test_importance_does_not_see_what_it_should_not():
    study = made_up(50, numbers=2, choices=(2,), dead=(1,))
    shares = plot.importance(study)
    scores = study.columns["validation_loss"]
    squeezed = dataclasses.replace(study, columns=study.columns | {"validation_loss": scores**3})
    assert plot.importance(squeezed) == shares  # the ranks are the same
    flipped = dataclasses.replace(
        study, mode="max", columns=study.columns | {"validation_loss": -scores}
    )
    assert plot.importance(flipped) == shares


def test_importance_equals_the_formula_by_hand():
    study = made_up(6, numbers=0, choices=(2,))
    study.columns["part0"] = np.array(["a", "a", "a", "b", "b", "b"], object)
    study.columns["validation_loss"] = np.array([1.0, 2.0, 4.0, 3.0, 5.0, 6.0])
    between, within = 2 * 3 * (7 / 6) ** 2, 17.5 - 2 * 3 * (7 / 6) ** 2
    expected = (between - within / 4) / 17.5
    np.testing.assert_allclose(plot.importance(study)["part0"], expected, rtol=1e-12)


def test_importance_of_a_number_is_judged_where_it_exists():
    study = made_up(120, numbers=2, choices=(2,))
    lacking = study.columns["part0"] == "kind0"
    study.columns["optimizer.number0"][lacking] = np.nan
    alone = plot.importance(study, np.flatnonzero(~lacking))
    assert plot.importance(study)["optimizer.number0"] == alone["optimizer.number0"]


# -------------------------------------------------------------------------------------- scales


def test_numbers_sampled_on_a_log_scale_are_told_from_others():
    u = (np.arange(50) + 0.5) / 50
    assert spread_in_logs(10 ** (-4 + 4 * u))
    assert spread_in_logs(np.array([1e-3, 1e-2, 1e-1, np.nan]))
    assert not spread_in_logs(u)
    assert not spread_in_logs(10 ** (-4 + 4 * u) - 0.1)
    assert not spread_in_logs(np.array([np.nan]))


def test_a_far_off_score_does_not_squeeze_the_others():
    scores = np.append(np.linspace(0.1, 0.2, 99), 1e6)
    assert score_range(scores, "min") == (0.1, pytest.approx(0.195, abs=0.01), False)
    low, high, _ = score_range(-scores, "max")
    assert (low, high) == (pytest.approx(-0.195, abs=0.01), -0.1)
    assert score_range(np.geomspace(0.01, 10, 50), "min")[2]
    assert not score_range(np.geomspace(0.01, 10, 50), "max")[2]


# ----------------------------------------------------------------------------- what was really run


@pytest.fixture(scope="module")
def experiment():
    return Training(Linear(1), losses.squared_error, sgd(0.1), data.load("linear"))


def test_the_pictures_of_a_real_study(experiment):
    space = dataclasses.replace(experiment, optimizer=sgd(log_uniform(1e-3, 1e3)))
    study = sweep(space, trials=10, steps=20, tile=4)
    assert 0 < study.diverged < 10
    for picture in PICTURES.values():
        text = words(picture(study))
        assert "optimizer.learning_rate" in text and f"({study.diverged})" in text


@pytest.mark.parametrize("rate", [0.1, 1e6])
def test_the_history_of_a_run(experiment, rate):
    run = fit(dataclasses.replace(experiment, optimizer=sgd(rate)), steps=20)
    figure = plot.plot_run(run)
    assert pixels(figure).shape[:2] == (800, 1200)
    text = words(figure)
    assert f"after {run.steps} steps" in text and "training loss" in text
    line = figure.axes[0].lines[1]
    np.testing.assert_array_equal(line.get_ydata(), run.history["loss"])


def test_save_writes_the_whole_picture_or_leaves_the_old(tmp_path):
    path = plot.save(plot.plot_curves(made_up(3)), tmp_path / "picture.png")
    old = path.read_bytes()
    assert old.startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="foo"):
        plot.save(plot.plot_curves(made_up(3)), tmp_path / "picture.foo")

    class Broken:
        def savefig(self, file, format):
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        plot.save(Broken(), path)
    assert path.read_bytes() == old
    assert [p.name for p in tmp_path.iterdir()] == ["picture.png"]
    assert b"<svg" in plot.save(plot.plot_curves(made_up(3)), tmp_path / "p.svg").read_bytes()
