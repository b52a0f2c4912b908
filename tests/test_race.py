"""Test functions have the minima they say, and a race is what a loop would find."""

import functools
import json
import pickle
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxopt_edu.analysis import functions
from jaxopt_edu.analysis.functions import FUNCTIONS
from jaxopt_edu.analysis.races import _run, race, racers
from jaxopt_edu.optim.optimizers import adam, sgd
from jaxopt_edu.optim.transform import apply_updates
from jaxopt_edu.optim.transforms import clip
from jaxopt_edu.values.names import hyperparameters
from jaxopt_edu.view import plot
from jaxopt_edu.view.plot.figure import png

pytestmark = pytest.mark.usefixtures("compiled_quickly")
every_function = pytest.mark.parametrize("name", FUNCTIONS)


# ---------------------------------------------------------------------------------- the functions


@every_function
def test_minima_are_where_the_function_says(name):
    function = FUNCTIONS[name]
    with jax.enable_x64(True):
        minima = jnp.asarray(function.minima)
        values, slopes = jax.vmap(jax.value_and_grad(function))(minima)
        np.testing.assert_allclose(values, function.minimum, atol=1e-12)
        np.testing.assert_allclose(slopes, 0, atol=1e-10)
        axes = [jnp.linspace(*ends, 201) for ends in zip(function.low, function.high, strict=True)]
        points = jnp.stack(jnp.meshgrid(*axes), -1).reshape(-1, 2)
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(function)))(points)
        assert jnp.min(values) >= function.minimum - 1e-12
        assert jnp.all(jnp.isfinite(slopes))
        near = function.distance(points[jnp.argsort(values)[:5]])
        assert np.all(near < 0.5 * np.max(np.subtract(function.high, function.low)))


@every_function
def test_function_is_a_value(name):
    function = FUNCTIONS[name]
    assert function.name == name and getattr(functions, name) is function
    assert name in functions.__all__
    assert pickle.loads(pickle.dumps(function)) == function
    assert hash(function) == hash(function)
    assert function.formula.startswith("f(x, y) = ") and function.source
    inside = np.array([function.start, *function.minima])
    assert np.all((function.low < inside) & (inside < function.high))


@every_function
def test_function_is_its_formula(name):
    """The formula in words, read as Python, gives the numbers of the code."""
    function = FUNCTIONS[name]
    said = function.formula.removeprefix("f(x, y) = ").split(", with")[0]
    code = re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", said.replace("^", "**"))
    names = {"cos": np.cos, "exp": np.exp, "sqrt": np.sqrt, "pi": np.pi, "e": np.e}
    with jax.enable_x64(True):
        for x, y in ((0.3, -0.7), (1.9, 2.3), (-1.1, 0.4)):
            expected = eval(code, {"__builtins__": {}}, names | {"x": x, "y": y})
            np.testing.assert_allclose(function((x, y)), expected, rtol=1e-12)


def test_values_printed_in_the_literature():
    with jax.enable_x64(True):
        for name, point, value in (
            ("rosenbrock", (-1.2, 1.0), 24.2),  # More, Garbow & Hillstrom
            ("beale", (1.0, 1.0), 14.203125),
            ("himmelblau", (0.0, 0.0), 170.0),
            ("booth", (0.0, 0.0), 74.0),
        ):
            np.testing.assert_allclose(FUNCTIONS[name](point), value, rtol=1e-12)


def test_an_unknown_function_gets_the_nearest_name():
    with pytest.raises(ValueError, match="unknown function 'rosenbrok'.*'rosenbrock'"):
        race("rosenbrok", ["sgd"])


# --------------------------------------------------------------------------------------- the race


@pytest.fixture(scope="module")
def result():
    return race("beale", ["sgd", "adam"], steps=60, scans=8, low=1e-3, high=1e3)


def loop(function, optimizer, steps):
    """The path one step at a time."""

    @jax.jit
    def step(x, state):
        value, gradient = jax.value_and_grad(function)(x)
        updates, state = optimizer.update(gradient, state, x, value=value)
        return apply_updates(x, updates), state

    path = [jnp.asarray(function.start)]
    state = optimizer.init(path[0])
    for _ in range(steps):
        x, state = step(path[-1], state)
        path.append(x)
    return np.stack(path)


@pytest.mark.parametrize("recipe", [sgd, functools.partial(sgd, momentum=0.9), adam])
def test_a_race_equals_a_loop_at_every_learning_rate(recipe):
    function = FUNCTIONS["rosenbrock"]
    with jax.enable_x64(True):
        result = race(function, {"one": recipe(1.0)}, steps=30, scans=3, low=1e-5, high=1e-2)
        for rate, value in zip(result.learning_rates, result.racers[0].final_values, strict=True):
            path = loop(function, recipe(float(rate)), 30)
            np.testing.assert_allclose(value, function(path[-1]), rtol=1e-12)
        racer = result.racers[0]
        path = loop(function, racer.optimizer, 30)
        np.testing.assert_allclose(racer.path, path, rtol=1e-12)
        np.testing.assert_allclose(racer.distance, np.hypot(*(path[-1] - 1)), rtol=1e-10)
        np.testing.assert_allclose(racer.value, np.nanmin(racer.final_values), rtol=1e-12)


def test_racers_run_at_their_best_and_are_in_order(result):
    gaps = [racer.value - result.function.minimum for racer in result.racers]
    assert gaps == sorted(gaps) and min(gaps) > result.tolerance / 100
    for racer in result.racers:
        assert racer.path.shape == (61, 2)
        assert hyperparameters(racer.optimizer)["learning_rate"] == racer.learning_rate
        finite = racer.final_values[np.isfinite(racer.final_values)]
        assert len(finite) < 8 if racer.name == "sgd" else len(finite) == 8
        assert racer.value == np.min(finite)
        heights = np.asarray(jax.vmap(result.function)(racer.path)) - result.function.minimum
        assert racer.reached is None and heights[-1] > result.tolerance


def test_of_learning_rates_that_all_arrive_the_one_that_is_there_soonest_is_best():
    result = race("booth", ["sgd"], steps=100, scans=9, low=1e-3, high=1e-1)
    [racer] = result.racers
    heights = np.asarray(jax.vmap(result.function)(racer.path))
    assert np.all(heights[racer.reached :] <= result.tolerance) and 0 < racer.reached < 100
    assert heights[racer.reached - 1] > result.tolerance
    arrived = result.learning_rates[racer.final_values <= result.tolerance / 100]
    assert len(arrived) > 1
    for rate in arrived:
        again = race("booth", ["sgd"], steps=100, scans=1, low=rate, high=2 * rate)
        assert again.racers[0].reached >= racer.reached


def test_one_program_for_each_kind_of_optimizer():
    before = _run._cache_size()
    names = {"a": sgd(0.1), "b": sgd(0.5), "c": sgd(0.1, momentum=0.5), "d": sgd(0.1, momentum=0.9)}
    race("matyas", names, steps=5, scans=4)
    race("matyas", names, steps=5, scans=4, low=1e-3)
    assert _run._cache_size() == before + 2


def test_any_optimizer_with_a_learning_rate_may_run():
    from jaxopt_edu.optim.transform import chain

    result = race("booth", {"clipped": chain(clip(1.0), sgd(0.1))}, steps=5, scans=4)
    assert hyperparameters(result.racers[0].optimizer)["0.max_delta"] == 1.0
    assert set(racers()) >= {"sgd", "adam", "lion", "adagrad", "rmsprop"}


def test_what_cannot_race_is_refused():
    for optimizers, said in (
        (["sgd", "adamm"], "unknown optimizer 'adamm'.*'adam'"),
        ([], "there are none"),
        (["sgd", sgd(0.1)], "two optimizers are named 'sgd'"),
        ([clip(1.0)], "no learning_rate"),
    ):
        with pytest.raises(ValueError, match=said):
            race("booth", optimizers)
    with pytest.raises(TypeError, match="wanted a list"):
        race("booth", "sgd")
    with pytest.raises(ValueError, match="steps = 0"):
        race("booth", ["sgd"], steps=0)
    with pytest.raises(ValueError, match="low = 1.0"):
        race("booth", ["sgd"], low=1.0, high=0.1)


# ------------------------------------------------------ a function and learning rates of one's own


def test_a_function_of_ones_own_races_as_the_test_function_that_it_is():
    known = FUNCTIONS["beale"]
    options = {"steps": 40, "scans": 8, "low": 1e-3, "high": 1e1}
    named = race("beale", ["sgd", "adam"], **options)
    own = race(known.f, ["sgd", "adam"], start=known.start, **options)
    assert [r.name for r in own.racers] == [r.name for r in named.racers]
    for mine, theirs in zip(own.racers, named.racers, strict=True):
        np.testing.assert_array_equal(mine.path, theirs.path)
        np.testing.assert_array_equal(mine.final_values, theirs.final_values)
        assert np.isnan(mine.distance) and mine.learning_rate == theirs.learning_rate
    least = min(float(known(point)) for r in own.racers for point in r.path)
    assert own.function.minimum == pytest.approx(least, rel=1e-6) and not own.function.minima
    assert own.function.formula == known.formula
    assert json.loads(json.dumps(own.as_dict(), allow_nan=False))["racers"][0]["distance"] is None
    assert "distance to a minimum" not in own.rows()[0]
    assert repr(own.function) == "TestFunction(_beale)" and repr(known) == "functions.beale"


def test_the_window_is_what_was_asked_for_or_around_the_paths():
    def bowl(x):
        """f(x, y) = x^2 + 10 y^2

        Narrow.
        """
        return x[0] ** 2 + 10 * x[1] ** 2

    found = race(bowl, ["sgd", "adam"], 30, scans=8, start=(3, 1), learning_rate=0.05).function
    paths = race(bowl, ["sgd", "adam"], 30, scans=8, start=(3, 1), learning_rate=0.05).racers
    for racer in paths:
        heights = np.asarray(jax.vmap(found)(racer.path))
        inside = racer.path[heights <= heights[0]]
        assert np.all(found.low < inside.min(0)) and np.all(inside.max(0) < found.high)
    assert np.max(np.subtract(found.high, found.low)) < 2 * np.ptp(paths[0].path[:, 0])
    assert found.formula == "f(x, y) = x^2 + 10 y^2" and found.start == (3.0, 1.0)
    asked = race(bowl, ["sgd"], 5, scans=2, start=(3, 1), xlim=(-9, 9)).function
    assert (asked.low[0], asked.high[0]) == (-9, 9) and asked.low[1] < 1 < asked.high[1]
    asked = race("booth", ["sgd"], 5, scans=2, ylim=(0, 5), start=(1, 2)).function
    assert (asked.low, asked.high) == ((-6.0, 0.0), (6.0, 5.0)) and asked.start == (1.0, 2.0)


@pytest.mark.parametrize("given", [0.02, {"adam": 0.02}, jnp.float32(0.02)])
def test_a_chosen_learning_rate_is_run_and_the_scan_stays_as_it_was(given):
    plain = race("rosenbrock", ["sgd", "adam"], steps=20, scans=4)
    with jax.enable_x64(False):
        chosen = race("rosenbrock", ["sgd", "adam"], steps=20, scans=4, learning_rate=given)
    before = {r.name: r for r in plain.racers}
    for racer in chosen.racers:
        np.testing.assert_allclose(racer.final_values, before[racer.name].final_values, rtol=1e-5)
        asked = racer.name == "adam" or not isinstance(given, dict)
        assert racer.chosen == asked
        if asked:
            assert racer.best_rate == pytest.approx(0.02)
            path = loop(FUNCTIONS["rosenbrock"], racer.optimizer, 20)
            np.testing.assert_allclose(racer.path, path, rtol=1e-3, atol=1e-3)
        else:
            assert racer.learning_rate == before[racer.name].learning_rate


def test_the_steepest_rate_that_diverges_is_shown_as_chosen():
    result = race("rosenbrock", ["sgd"], steps=20, scans=4, learning_rate=1e3)
    [racer] = result.racers
    assert not np.isfinite(racer.value) and racer.best_rate == 1e3
    assert result.as_dict()["racers"][0]["learning_rate"] == 1e3
    figure = plot.plot_race(result)
    png(figure)
    right = figure.axes[1]
    [mark] = [line for line in right.lines if len(line.get_xdata()) == 1]
    assert mark.get_xdata()[0] == 1e3 and mark.get_ydata()[0] == pytest.approx(right.get_ylim()[1])
    assert "diverged" in figure.legends[0].get_texts()[0].get_text()
    assert figure.get_suptitle().endswith("at its chosen learning rate")


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x[0] ** 2 - x[1] ** 2,  # has no minimum
        lambda x: jnp.where(x[0] > 0, jnp.log(x[0]) ** 2, jnp.nan) + jnp.abs(x[1]),
        lambda x: 0 * x[0],
        lambda x: jnp.exp(20 * x[0]),  # overflows
    ],
)
def test_odd_functions_have_a_race_and_a_picture(f):
    result = race(f, ["sgd", "adam"], 30, scans=8, start=(1.0, 0.5), learning_rate={"sgd": 0.1})
    assert np.isfinite(result.function.minimum)
    assert all(np.isfinite([*result.function.low, *result.function.high]))
    png(plot.plot_race(result))
    if not np.isfinite(result.racers[-1].value):
        assert result.racers[0].value <= 0 or np.isfinite(result.racers[0].value)


ONES = {"optimizers": ["sgd"], "start": (1.0, 1.0)}


@pytest.mark.parametrize(
    ("f", "options", "error", "said"),
    [
        (lambda x: np.sin(x[0]), {}, TypeError, "calls NumPy: wanted jax.numpy in its place"),
        (lambda x, y: x * y, {}, TypeError, "missing 1 required .* one array of shape"),
        (lambda x: x, {}, TypeError, r"gave float32\[2\]: wanted one real number"),
        (lambda x: (x[0], x[1]), {}, TypeError, "gave tuple: wanted one real number"),
        (lambda x: 3, {}, TypeError, r"gave int32\[\]: wanted one real number"),
        (lambda x: x[0] * 1j, {}, TypeError, r"gave complex64\[\]"),
        (lambda x: x[5, 0], {}, TypeError, "raised IndexError"),
        (lambda x: jnp.log(-x[0]), {}, ValueError, r"<lambda> is nan at start = \(1.0, 1.0\)"),
        (lambda x: jnp.sqrt(x[0] - 1), {}, ValueError, "the gradient of function = <lambda>"),
        (lambda x: x[0], {"start": None}, TypeError, "wanted a name.* or a function .* its start"),
        (lambda x: x[0], {"start": (1.0,)}, ValueError, r"start = \(1.0,\): wanted two finite"),
        (lambda x: x[0], {"start": (1.0, np.inf)}, ValueError, "start = .*inf.*: wanted two"),
        (lambda x: x[0], {"start": "ab"}, ValueError, "start = 'ab': wanted two finite"),
        (3, {}, TypeError, "function = 3: wanted a name"),
        ("booth", {"xlim": (1, -1)}, ValueError, r"xlim = \(1, -1\): wanted \(low, high\)"),
        ("booth", {"ylim": 3}, ValueError, r"ylim = 3: wanted \(low, high\)"),
        ("booth", {"learning_rate": 0}, ValueError, "learning_rate = 0: wanted a number above 0"),
        ("booth", {"learning_rate": np.nan}, ValueError, "learning_rate = nan: wanted a number"),
        ("booth", {"learning_rate": True}, ValueError, "learning_rate = True: wanted a number"),
        ("booth", {"learning_rate": "0.1"}, ValueError, "learning_rate = '0.1': wanted a number"),
        ("booth", {"learning_rate": {"sgd": -1}}, ValueError, r"learning_rate\['sgd'\] = -1: want"),
        ("booth", {"learning_rate": {"sdg": 1}}, ValueError, "no racer 'sdg'; did you mean 'sgd'"),
        ("booth", {"learning_rate": {}}, ValueError, "learning_rate = {}: wanted name -> learning"),
        ("booth", {"tolerance": -1}, ValueError, "tolerance = -1: wanted a number above 0"),
        ("booth", {"tolerance": "1"}, ValueError, "tolerance = '1': wanted a number above 0"),
        ("booth", {"low": "1"}, ValueError, "low = '1', high = 100.0: wanted 0 < low < high"),
        (lambda x: x[0] + x[1] + x[2], {}, TypeError, r"beyond .* shape \(2,\): index 2 is out"),
        (lambda x: x[-3] * x[0], {}, TypeError, "reads beyond its array"),
        (jax.jit(lambda x: x[0] + x[2]), {}, TypeError, "reads beyond its array"),
        (lambda x: jax.vmap(lambda i: x[i])(jnp.arange(3)).sum(), {}, TypeError, "index 2 is out"),
        ("rosenbrock", {"start": (1e30, 1)}, ValueError, "rosenbrock is inf at start"),
    ],
)  # fmt: skip
def test_functions_and_learning_rates_that_cannot_be_are_named(f, options, error, said):
    with jax.enable_x64(False), pytest.raises(error, match=said):
        race(f, **ONES | options)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x.at[0].set(3.0).sum(),
        lambda x: jnp.interp(x[0], jnp.arange(4.0), jnp.arange(4.0)) + x[1] ** 2,
        lambda x: jnp.sort(x)[0] + jnp.sum(x[1:] ** 2),
        lambda x: jax.lax.fori_loop(0, 2, lambda i, total: total + x[i] ** 2, 0.0),
        lambda x: jnp.linalg.solve(2 * jnp.eye(2), x) @ x,
        lambda x: jnp.array([1.0, 2.0, 3.0]).at[7].get(mode="fill", fill_value=0.0) + x[0] ** 2,
    ],
)
def test_functions_of_two_numbers_by_any_means_of_jax_race(f):
    with jax.enable_x64(False):
        assert race(f, ["sgd"], 2, scans=2, start=(1.0, 0.5)).racers[0].path.shape == (3, 2)


def valley(x):
    return (x[0] - 1) ** 2 + 5 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (valley, "log"),
        (lambda x: valley(x) - 5, "linear"),
        (lambda x: x[0] ** 2 - x[1] ** 2, "symlog"),
        (lambda x: 0 * x[0] + 7, "linear"),
    ],
)
def test_where_no_minimum_is_known_f_itself_is_drawn(f, kind):
    """No curve falls to the floor at the best point: what is drawn are the values of f."""
    rates = {"sgd": 0.02, "adam": 0.1}
    result = race(f, list(rates), 100, scans=8, start=(-1.0, 1.0), learning_rate=rates)
    figure = plot.plot_race(result)
    right, stage = figure.axes[1], plot.animate_race(result)._stage
    words = [text.get_text() for text in figure.legends[0].get_texts()]
    for i, (racer, lines) in enumerate(zip(result.racers, stage.lines, strict=True)):
        values = np.asarray(jax.vmap(f)(racer.path), float)
        np.testing.assert_allclose(lines[1][1].grown[1], values, rtol=1e-6)
        drawn = right.lines[2 * i].get_ydata()
        (low, high), wanted = right.get_ylim(), racer.final_values
        inside = (wanted > low) & (wanted < high)
        np.testing.assert_allclose(drawn[inside], wanted[inside], rtol=1e-6)
        assert inside.any() and low < racer.value < high
        assert f"{racer.value:.4g}" in words[i]
        if racer.reached is not None:
            near = values - result.function.minimum <= result.tolerance
            assert near[racer.reached :].all()
            assert "within 0.001 of the least f found from step" in " ".join(words[i].split())
    assert right.get_yscale() == kind == stage.right.get_yscale()
    assert right.get_ylabel().startswith("f") and "above" not in right.get_ylabel()


def test_a_racer_is_told_in_one_line(result):
    assert re.fullmatch(r"Racer\(\w+, learning_rate=[\d.e+-]+, value=[\d.e+-]+\)",
                        repr(result.racers[0]))  # fmt: skip
    one = race("booth", ["sgd"], 1, scans=1, low=0.01)
    assert repr(one).startswith("Race(booth, 1 step: ")
    title = plot.plot_race(one).get_suptitle()
    assert title == "1 step on booth, each optimizer at the best of 1 learning rate"


def test_a_race_as_a_table_and_as_json(result):
    rows = result.rows()
    assert [row[0] for row in rows] == ["optimizer", *(racer.name for racer in result.racers)]
    assert len({len(row) for row in rows}) == 1
    told = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert told["function"] == "beale" and told["scans"] == 8
    assert told["racers"][0]["value"] == pytest.approx(result.racers[0].value)
    assert "adam" in repr(result)


def test_the_picture_of_a_race(result):
    figure = plot.plot_race(result)
    assert png(figure).startswith(b"\x89PNG")
    left, right = figure.axes
    assert (right.get_xscale(), right.get_yscale()) == ("log", "log")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert [label.split(",")[0] for label in labels] == [racer.name for racer in result.racers]
    assert "beale" in figure.get_suptitle() and left.get_title().startswith("f(x, y)")


def test_a_race_that_nobody_survives_has_a_picture():
    result = race("rosenbrock", ["sgd"], steps=20, scans=2, low=1e2, high=1e3)
    assert not np.isfinite(result.racers[0].value)
    assert result.as_dict()["racers"][0]["value"] is None
    png(plot.plot_race(result))
