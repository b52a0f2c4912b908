"""Bars and waterfalls of explanations say what the values are; each picture names a wrong input."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_plot import pixels, words

from jaxopt_edu.analysis import explain
from jaxopt_edu.view import plot
from jaxopt_edu.view.plot.attributions import LOWERS, RAISES

X = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
NAMES = ["mean radius", "co-op price ($)", "_worst", "longitude in degrees from Greenwich", "e"]
WEIGHTS = np.array([2.0, -1.5, 0.7, -0.2, 0.0], np.float32)


def predict(x):
    return jnp.tanh(x @ WEIGHTS) + x[:, 0] * x[:, 2]


@pytest.fixture(scope="module")
def shares():
    """Attributions (40, 5) and the base that they start from."""
    return np.asarray(explain.shapley(predict, X, X[:8])), float(jnp.mean(predict(X[:8])))


def images(n=3, d=16):
    return np.random.default_rng(1).uniform(size=(n, d))


def bars(figure):
    """(left end, width, colour) of each bar, the top one first."""
    from matplotlib.colors import to_hex

    drawn = sorted(figure.axes[0].patches, key=lambda bar: -bar.get_y())  # stable
    return [(bar.get_x(), bar.get_width(), to_hex(bar.get_facecolor()).upper()) for bar in drawn]


def row_names(figure):
    """The names of the rows, the top one first, as they are read."""
    shown = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    return [name.replace(r"\$", "$").replace("\u2212", "-") for name in shown]


def numbers(figure):
    """The numbers beside the bars of a waterfall, the top one first."""
    said = sorted(figure.axes[0].texts[:-2], key=lambda text: -text.xy[1])
    return [float(text.get_text().replace("\u2212", "-")) for text in said]


def whiskers(figure):
    """(from, to, height) of each error bar."""
    found = [c for c in figure.axes[0].containers if type(c).__name__ == "ErrorbarContainer"]
    ends = [line for c in found for line in c[2][0].get_segments()]
    return [(left[0], right[0], left[1]) for left, right in ends]


def seen_words(figure):
    """All texts but the labels of ticks that are beyond the ends of their axis."""
    from matplotlib.text import Text

    beyond = set()
    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
        beyond |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high}
    found = set(figure.findobj(Text)) - beyond
    return [text for text in found if text.get_text() and text.get_visible()]


def check_whole(figure):
    """No word is cut by the edge of the picture, and no two of them run into each other."""
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    boxes = [(text.get_text(), text.get_window_extent()) for text in seen_words(figure)]
    for i, (one, box) in enumerate(boxes):
        assert -1 <= box.x0 < box.x1 <= width + 1 and -1 <= box.y0 < box.y1 <= height + 1, one
        for other, under in boxes[:i]:
            wide = min(box.x1, under.x1) - max(box.x0, under.x0)
            high = min(box.y1, under.y1) - max(box.y0, under.y0)
            assert wide <= -2 or high <= 1, (one, other)


# -------------------------------------------------------------------------------------- bars


def test_a_bar_is_the_mean_size_and_its_parts_are_what_raised_and_what_lowered(shares):
    values, _ = shares
    figure = plot.plot_bars(values, names=NAMES)
    size = np.mean(np.abs(values), 0)
    order = np.argsort(-size)
    assert row_names(figure) == [NAMES[j] for j in order]
    drawn = bars(figure)
    assert len(drawn) == 2 * values.shape[1]
    for j, raised, lowered in zip(order, drawn[::2], drawn[1::2], strict=True):
        assert (raised[0], raised[2], lowered[2]) == (0, RAISES, LOWERS)
        np.testing.assert_allclose(lowered[0], raised[1])
        np.testing.assert_allclose(raised[1] + lowered[1], size[j], rtol=1e-6)
        np.testing.assert_allclose(raised[1] - lowered[1], values[:, j].mean(), atol=1e-6)
    assert "40 examples" in words(figure)
    check_whole(figure)


def test_bars_of_sizes_start_at_the_edge_even_where_each_has_two_parts():
    axes = plot.plot_bars([[1.0, -2.0], [2.0, 1e-9]]).axes[0]
    assert axes.get_xlim()[0] == 0 and axes.get_xlim()[1] >= 1.5


def test_of_many_features_the_most_important_are_drawn_and_counted(shares):
    values, _ = shares
    figure = plot.plot_bars(values, most=2)
    largest = np.argsort(-np.mean(np.abs(values), 0))[:2]
    assert row_names(figure) == [f"feature {j}" for j in largest]
    assert "(2 of 5 features)" in words(figure)
    assert "(2 of 5 features)" in words(plot.plot_beeswarm(values, X, most=2))
    assert "features)" not in words(plot.plot_bars(values))


def test_importances_have_their_errors_and_fall_from_top_to_bottom():
    key = jax.random.key(0)
    found = explain.permutation_importance(
        predict, X, predict(X), lambda p, y: jnp.mean((p - y) ** 2), mode="min", key=key
    )
    figure = plot.plot_bars(found.mean, found.std, names=NAMES)
    mean, std = (np.asarray(x, float) for x in (found.mean, found.std))
    order = np.argsort(-mean)
    assert row_names(figure) == [NAMES[j] for j in order]
    assert [bar[:2] for bar in bars(figure)] == [(0, mean[j]) for j in order]
    heights = figure.axes[0].get_yticks()
    seen = [(j, y) for j, y in zip(order, heights, strict=True) if std[j] > 0]
    assert 0 < len(seen) < len(order)  # the last feature is never used: no error, no bar of it
    expected = [(mean[j] - std[j], mean[j] + std[j], y) for j, y in seen]
    np.testing.assert_allclose(whiskers(figure), expected)
    assert "standard deviation" in figure.axes[0].get_xlabel()
    assert "deviation" not in plot.plot_bars(found.mean).axes[0].get_xlabel()


def test_what_harms_is_the_lowest_bar_and_goes_to_the_left():
    figure = plot.plot_bars([0.1, -0.4, 0.3], most=2)
    assert row_names(figure) == ["feature 2", "feature 1"]
    assert [bar[:2] for bar in bars(figure)] == [(0, 0.3), (0, -0.4)]


# --------------------------------------------------------------------------------- the waterfall


@pytest.mark.parametrize("most", [1, 3, 10])
def test_a_waterfall_goes_from_the_base_to_the_prediction(shares, most):
    values, base = shares
    figure = plot.plot_waterfall(values[1], base, X[1], names=NAMES, most=most)
    drawn = bars(figure)
    assert len(drawn) == min(most, 5)
    assert drawn[-1][0] == pytest.approx(base)
    for (left, _, _), (start, step, _) in zip(drawn, drawn[1:], strict=False):
        assert left == pytest.approx(start + step)  # each starts where the one below it ended
    end = drawn[0][0] + drawn[0][1]
    assert end == pytest.approx(float(predict(X[1:2])[0]), abs=1e-5)
    assert f"base {base:.3g}" in words(figure)
    assert f"prediction {end:.3g}".replace("-", "\u2212") in words(figure)
    for (_, step, colour), said in zip(drawn, numbers(figure), strict=True):
        assert said == pytest.approx(step, rel=6e-3)
        assert colour == (LOWERS if step < 0 else RAISES)
    assert sum(numbers(figure)) == pytest.approx(end - base, rel=0.03)
    check_whole(figure)


def test_a_waterfall_names_the_values_and_counts_the_features_that_it_sums(shares):
    values, base = shares
    figure = plot.plot_waterfall(values[0], base, X[0], names=NAMES, most=3)
    first = np.argsort(-np.abs(values[0]))[:2]
    shown = [f"{NAMES[j]} = {X[0, j]:.3g}" for j in first]
    assert row_names(figure) == [*shown, "3 other features"]
    assert "co-op" in words(plot.plot_waterfall(values[0], base, X[0], names=NAMES))


def test_errors_of_a_waterfall_are_at_the_ends_of_its_bars():
    values, errors = [2.0, -1.0, 0.5], [0.25, 0.0, 0.125]
    figure = plot.plot_waterfall(values, 1.0, errors=errors)
    starts = {0: 0.5, 1: 1.5, 2: 1.0}
    expected = [
        (starts[j] + values[j] - e, starts[j] + values[j] + e, 2 - j)
        for j, e in enumerate(errors)
        if e
    ]
    assert whiskers(figure) == expected
    few = plot.plot_waterfall(values, 1.0, errors=errors, most=2)  # that of a sum is not known
    assert whiskers(few) == [(2.25, 2.75, 1)]


def test_numbers_are_to_the_right_of_their_bars_and_errors():
    values, errors = [2.0, -1.0, -0.1, 0.5], [0.25, 0.5, 0.3, 0.0]
    figure = plot.plot_waterfall(values, 1.0, errors=errors)
    figure.draw_without_rendering()
    said = sorted(figure.axes[0].texts[:-2], key=lambda text: -text.xy[1])
    errors = {height: right for _, right, height in whiskers(figure)}
    for (left, step, _), text in zip(bars(figure), said, strict=True):
        most = max(left, left + step, errors.get(text.xy[1], -np.inf))
        edge = figure.axes[0].transData.transform((most, 0))[0]
        assert 0 < text.get_window_extent().x0 - edge < 20


@pytest.mark.parametrize(
    ("values", "base"),
    [
        ([0.0, 0.0], 1.0),
        ([1e-3, -1e-3, 2e-4], 100.0),
        ([-1e-6, -3e-6], -5.0),
        ([5.0, -4.999, 1e-9, -1e-9], 0.0),
        ([-1.0], 0.0),
    ],
)
@pytest.mark.parametrize("name", ["f", "a name that goes on and on " * 6])
def test_words_of_a_waterfall_do_not_cover_each_other(values, base, name):
    figure = plot.plot_waterfall(values, base, names=[name] * len(values))
    check_whole(figure)
    left, right = figure.axes[0].get_xlim()
    assert left < min(base, base + sum(values)) <= max(base, base + sum(values)) < right
    said = {text.get_text() for text in figure.axes[0].texts[-2:]}
    ends = [float(words.split()[1].replace("\u2212", "-")) for words in said]
    if sum(values):  # the two numbers tell how far it is from one to the other
        assert abs(ends[1] - ends[0]) == pytest.approx(abs(sum(values)), rel=0.1)


# ------------------------------------------------------------------------------------ for each


BAD = {
    "values are numbers": (lambda: plot.plot_bars(3.0), r"values has shape \(\): wanted \(d,\) or"),
    "no values": (lambda: plot.plot_bars(np.zeros((0, 3))), r"values has shape \(0, 3\)"),
    "outputs": (lambda: plot.plot_beeswarm(np.ones((2, 3, 4)), X), r"an output: values\[..., 0\]"),
    "examples": (lambda: plot.plot_waterfall(np.ones((2, 3)), 0.0), r"wanted \(d,\); choose"),
    "not finite": (lambda: plot.plot_bars([1, np.nan]), "values: 1 of 2 numbers are not finite"),
    "base": (lambda: plot.plot_waterfall([1.0], [1.0, 2.0]), r"base has shape \(2,\): wanted a"),
    "base nan": (lambda: plot.plot_waterfall([1.0], np.nan), "base: 1 of 1 numbers"),
    "errors": (lambda: plot.plot_bars(np.ones(3), np.ones(2)), r"errors has shape \(2,\): wanted"),
    "errors nan": (lambda: plot.plot_waterfall([1], 0, errors=[np.inf]), "errors: 1 of 1"),
    "errors of many": (lambda: plot.plot_bars(np.ones((2, 3)), np.ones(3)), "errors belong to one"),
    "x": (lambda: plot.plot_beeswarm(np.ones((2, 3)), X), r"x has shape \(40, 5\): .* \(2, 3\)"),
    "names": (lambda: plot.plot_bars(np.ones(3), names=["a"]), "names: 1 for 3 features"),
    "most": (lambda: plot.plot_bars(np.ones(3), most=0), "most = 0"),
    "images": (lambda: plot.plot_heat_map(np.ones((2, 4)), np.ones((2, 9))), r"images have .*2, 9"),
    "shape": (lambda: plot.plot_heat_map(images(), images(), shape=(2, 4)), r"\(2, 4\): wanted"),
    "shape of one": (lambda: plot.plot_heat_map(images(), images(), shape=(16,)), "shape = .16,.:"),
    "no square": (lambda: plot.plot_heat_map(np.ones((1, 6)), np.ones((1, 6))), "of 6 pixels"),
    "labels": (lambda: plot.plot_heat_map(images(), images(), labels="ab"), "labels: 2 for 3 im"),
    "curves": (
        lambda: plot.plot_dependence(explain.PartialDependence(*map(np.ones, [2, 2, (3, 2, 4)]))),
        r"individual has shape \(3, 2, 4\): wanted \(n, g\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_arguments_are_named(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_another_value_than_a_dependence_is_named():
    with pytest.raises(TypeError, match="found = list: plot_dependence wants a PartialDependence"):
        plot.plot_dependence([1, 2, 3])


def test_titles_are_those_given_and_nothing_global_is_changed(shares):
    import matplotlib
    from matplotlib import _pylab_helpers

    before = dict(matplotlib.rcParams)
    values, base = shares
    found = explain.PartialDependence(np.arange(2), np.ones(2), np.ones((3, 2)))
    for figure in (
        plot.plot_bars(values, title="of mine"),
        plot.plot_waterfall(values[0], base, title="of mine"),
        plot.plot_beeswarm(values, X, title="of mine"),
        plot.plot_dependence(found, title="of mine"),
        plot.plot_heat_map(images(), images(), title="of mine"),
    ):
        assert figure.get_suptitle() == "of mine"
        assert pixels(figure).shape[1] == 1200
    assert dict(matplotlib.rcParams) == before and not _pylab_helpers.Gcf.figs
