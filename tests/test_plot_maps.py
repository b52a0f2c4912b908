"""Beeswarms, dependences and heat maps of explanations: what is drawn is what the values say."""

import numpy as np
import pytest
from test_plot import pixels, words
from test_plot_explain import NAMES, X, check_whole, images, predict, row_names

from jaxopt_edu.analysis import explain
from jaxopt_edu.view import plot
from jaxopt_edu.view.plot.attributions import LOWERS, RAISES
from jaxopt_edu.view.plot.beeswarm import _apart, _ranks


@pytest.fixture(scope="module")
def values():
    return np.asarray(explain.shapley(predict, X, X[:8]))


# ---------------------------------------------------------------------------------- the beeswarm


def test_a_beeswarm_has_a_dot_for_each_attribution(values):
    figure = plot.plot_beeswarm(values, X, names=NAMES)
    order = np.argsort(-np.mean(np.abs(values), 0))
    assert row_names(figure) == [NAMES[j] for j in order]
    heights = figure.axes[0].get_yticks()
    drawn = figure.axes[0].collections
    for j, height, dots in zip(order, heights, drawn, strict=True):
        x, y = dots.get_offsets().T
        np.testing.assert_allclose(x, values[:, j])
        assert np.all(np.abs(y - height) <= 0.4 + 1e-9)  # within its row
        ranks = np.argsort(np.argsort(X[:, j])) / (len(X) - 1)
        np.testing.assert_allclose(dots.get_array(), ranks)  # bright where the feature is large
    check_whole(figure)


@pytest.mark.parametrize("n", [1, 5, 1000])
def test_dots_of_one_place_lie_beside_each_other(n):
    apart = _apart(np.zeros(n, int))
    assert len(set(apart.tolist())) == n and np.max(np.abs(apart)) <= 0.4
    assert apart[0] == 0 and abs(np.sum(apart)) <= np.max(np.abs(apart))  # as many on each side
    assert not _apart(np.arange(n)).any()  # alone in its place: on the line


def test_equal_features_have_one_colour():
    np.testing.assert_array_equal(_ranks(np.array([3.0, 1.0, 3.0, 7.0])), [0.5, 0, 0.5, 1])
    np.testing.assert_array_equal(_ranks(np.full(3, 9.0)), [0.5] * 3)
    pixels(plot.plot_beeswarm(np.zeros((3, 2)), np.ones((3, 2))))


# -------------------------------------------------------------------------------- the dependence


@pytest.mark.parametrize("n", [1, 40, 400, 401])
def test_dependence_is_the_mean_over_curves_of_which_at_most_200_are_drawn(n):
    found = explain.partial_dependence(predict, np.resize(X, (n, 5)), 2, points=7)
    figure = plot.plot_dependence(found, name="_worst ($)")
    [average] = figure.axes[0].lines
    np.testing.assert_allclose(average.get_xydata(), np.stack([found.grid, found.average], 1))
    curves = figure.axes[0].collections[0].get_segments()
    every = -(-n // 200)
    assert len(curves) == -(-n // every) <= 200
    for curve, expected in zip(curves, np.asarray(found.individual)[::every], strict=True):
        np.testing.assert_allclose(curve, np.stack([found.grid, expected], 1))
    text = words(figure).replace(r"\$", "$")
    assert f"mean of {n} examples" in text and "Predictions as a function of _worst ($)" in text
    assert (f"{len(curves)} examples of {n}" in text) == (n > 200)
    check_whole(figure)


def test_a_grid_of_one_value_is_seen():
    found = explain.partial_dependence(predict, X, 0, grid=[0.5])
    dots = [line for line in plot.plot_dependence(found).axes[0].lines if line.get_marker() == "o"]
    np.testing.assert_allclose(np.ravel(dots[0].get_ydata()), found.individual[:, 0])
    np.testing.assert_allclose(dots[1].get_xydata(), [[0.5, found.average[0]]])


# ---------------------------------------------------------------------------------- the heat map


def map_of(axes):
    return axes.get_images()[0]


def test_maps_are_on_one_scale_that_is_white_at_nothing():
    x = images()
    values = (x - 0.5)[..., None] * np.array([1.0, -3.0])
    figure = plot.plot_heat_map(values, x, outputs=["cat", "dog ($)"], labels=["a", "b", "c"])
    panels = figure.axes[:-1]
    assert len(panels) == 3 * (1 + 2)
    scale = np.max(np.abs(values))
    for i in range(3):
        image, *maps = panels[3 * i : 3 * i + 3]
        np.testing.assert_array_equal(map_of(image).get_array(), x[i].reshape(4, 4))
        assert image.get_ylabel() == "abc"[i]
        for k, axes in enumerate(maps):
            np.testing.assert_array_equal(map_of(axes).get_array(), values[i, :, k].reshape(4, 4))
            assert (map_of(axes).norm.vmin, map_of(axes).norm.vmax) == (-scale, scale)
    assert [axes.get_title() for axes in panels[:3]] == ["", "cat", r"dog (\$)"]
    paint = map_of(panels[1])
    np.testing.assert_allclose(paint.to_rgba(0.0), 1, atol=0.01)
    from matplotlib.colors import to_hex

    ends = [to_hex(paint.to_rgba(end)).upper() for end in (-scale, scale)]
    assert ends == [LOWERS, RAISES]
    check_whole(figure)


def test_one_map_for_each_image_is_under_it():
    x = images(2, 12)
    figure = plot.plot_heat_map(-x, x, shape=(3, 4), labels=[7, 9])
    first, second, under_first, under_second = figure.axes[:-1]
    assert (first.get_title(), second.get_title()) == ("7", "9")
    for i, (above, below) in enumerate([(first, under_first), (second, under_second)]):
        np.testing.assert_array_equal(map_of(above).get_array(), x[i].reshape(3, 4))
        np.testing.assert_array_equal(map_of(below).get_array(), -x[i].reshape(3, 4))
    figure.draw_without_rendering()
    assert first.get_position().y0 > under_first.get_position().y1


def test_the_outline_goes_around_the_pixels_that_are_dark():
    x = np.zeros((2, 16))
    x[0, 5] = 1.0  # row 1, column 1; the second image is of one shade
    figure = plot.plot_heat_map(x, x)
    drawn, none = (axes.collections for axes in figure.axes[2:4])
    line = np.concatenate([path.vertices for path in drawn[0].get_paths()])
    np.testing.assert_allclose(line.min(0), 0.5, atol=0.06)
    np.testing.assert_allclose(line.max(0), 1.5, atol=0.06)
    assert not len(none)
