"""`jo.learn.explore`: every position of every slider is what a run alone gives; kept on disk."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.learn import exploring, kept

RATES, MUS = [0.01, 0.1, 0.3], [0.0, 0.9]


def experiment(**more):
    return jo.Training(
        model=jo.models.Linear(13, 3),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(0.1, momentum=0.5),
        data=jo.data.load("wine", seed=0),
        batch_size=16,
        **more,
    )


@pytest.fixture(scope="module")
def explored():
    sliders = {"learning_rate": RATES, "momentum": MUS}
    return jo.learn.explore(experiment(), sliders, steps=20, every=10, seeds=2, cache=False)


def test_a_function_is_run_at_the_product_of_its_sliders():
    def f(shift, a, b):
        return {"sum": a + b + shift, "pair": (a, b)}

    sliders = {"a": [1, 2, 3], "b": np.array([10.0, 20.0])}
    found = jo.learn.explore(f, sliders, arrays=(jnp.ones(4),), cache=False)
    assert found.axes == ("a", "b") and found.steps == ()
    wanted = np.add.outer([1, 2, 3], [10, 20])[..., None] + np.ones(4)
    np.testing.assert_allclose(found.arrays["sum"], wanted)
    np.testing.assert_allclose(found.arrays["pair"][1], [[10, 20]] * 3)
    np.testing.assert_allclose(found.at(a=1)["sum"], wanted[1])
    with pytest.raises(ValueError, match="'c' is no axis: there are a, b"):
        found.at(c=0)


def test_a_position_is_what_fit_gives(explored):
    assert explored.axes == ("learning_rate", "momentum", "seed", "step")
    assert explored.steps == (10, 20)
    assert explored.arrays["loss"].shape == (3, 2, 2, 2)
    for i, j, seed in ((0, 0, 0), (2, 1, 1)):
        one = jo.replace(experiment(), learning_rate=RATES[i], momentum=MUS[j])
        run = jo.fit(one, 20, seed=seed, eval_every=10, progress=False)
        ours = explored.at(learning_rate=i, momentum=j, seed=seed)
        for name in ("loss", "accuracy"):
            np.testing.assert_allclose(ours[name], run.history[name], rtol=2e-5, atol=1e-6)
        np.testing.assert_allclose(ours["training_loss"], run.history["training_loss"], rtol=2e-5)


def test_parts_are_structures_and_come_where_they_stand():
    sliders = {"optimizer": [jo.sgd(0.1), jo.adam(0.1)], "weight": [0.0, 0.1, 1.0]}
    look = lambda e, state: state.params["w"]  # noqa: E731
    found = jo.learn.explore(
        experiment(regularizer=jo.L2(0.0)), sliders, steps=5, look=look, cache=False
    )
    assert found.axes == ("optimizer", "weight") and found.arrays.shape == (2, 3, 3, 13)
    one = jo.replace(experiment(regularizer=jo.L2(0.1)), optimizer=jo.adam(0.1))
    run = jo.fit(one, 5, progress=False)
    np.testing.assert_allclose(found.arrays[1, 1], run.params["w"], rtol=1e-5, atol=1e-6)


def test_more_lanes_than_a_program_has(monkeypatch):
    monkeypatch.setattr(exploring, "LANES", 4)
    found = jo.learn.explore(lambda a: a**2, {"a": np.arange(11.0)}, cache=False)
    np.testing.assert_allclose(found.arrays, np.arange(11.0) ** 2)


def test_structures_are_compiled_once_for_all_lanes_and_seeds():
    traces = []

    def look(e, state):
        traces.append(1)
        return state.loss

    sliders = {"learning_rate": np.geomspace(1e-3, 1, 100)}
    jo.learn.explore(experiment(), sliders, steps=2, look=look, seeds=3, cache=False)
    assert len(traces) <= 2  # for the shapes, and for the program


def times(factor):
    return lambda a: {"x": [a * factor]}


def test_results_are_kept_by_what_they_are_of(tmp_path, monkeypatch):
    run, runs = exploring.Plan.run, []
    monkeypatch.setattr(exploring.Plan, "run", lambda plan: runs.append(1) or run(plan))

    def asked(factor=2.0, values=(1.0, 2.0)):
        return jo.learn.explore(times(factor), {"a": values}, cache=tmp_path).arrays["x"][0]

    first, again = asked(), asked()
    assert len(runs) == len(list(tmp_path.iterdir())) == 1
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(asked(3.0), [3.0, 6.0])  # what the function closes over counts
    np.testing.assert_allclose(asked(2.0, (1.0, 3.0)), [2.0, 6.0])
    assert len(runs) == len(list(tmp_path.iterdir())) == 3
    for file in tmp_path.iterdir():
        file.write_bytes(b"damaged")
    np.testing.assert_array_equal(asked(), first)
    assert len(runs) == 4


def test_what_cannot_be_kept_is_made_anew(tmp_path):
    def f(a):
        return jo.sgd(a)  # no dict, list or tuple of arrays

    found = jo.learn.explore(f, {"a": [1.0, 2.0]}, cache=tmp_path)
    np.testing.assert_array_equal(found.arrays.learning_rate, [1.0, 2.0])
    assert list(tmp_path.iterdir()) == []
    assert kept.Kept(None).read() is None
    with pytest.raises(TypeError, match="cache = 3"):
        jo.learn.explore(f, {"a": [1.0]}, cache=3)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"sliders": {}}, TypeError, "sliders = {}"),
        ({"sliders": {"learning_rate": []}}, ValueError, "learning_rate has no values"),
        ({"sliders": {"rate": [0.1]}}, ValueError, "rate"),
        ({"steps": None}, TypeError, "steps: wanted a number of steps"),
        ({"steps": 10, "every": 3}, ValueError, "steps = 10: wanted a multiple of every = 3"),
        ({"every": 0}, ValueError, "every"),
        ({"seeds": 0}, ValueError, "seeds"),
        ({"arrays": (1,)}, TypeError, "arrays"),
        ({"what": 3}, TypeError, "what = 3"),
        ({"sliders": {"learning_rate": 0.1}}, TypeError, "learning_rate = 0.1: wanted a sequence"),
        ({"sliders": {"learning_rate": np.ones((2, 2))}}, ValueError, "learning_rate has 2 axes"),
        ({"sliders": {"learning_rate": [None]}}, TypeError, "learning_rate = None"),
        ({"sliders": {"momentum": [0.5, 2.0]}}, ValueError, "momentum"),
        ({"sliders": {3: [1.0]}}, TypeError, "3 is no name"),
        ({"look": 3}, TypeError, "look = 3"),
        ({"look": lambda e: 1}, TypeError, r"look = <lambda>\(e\): wanted .*\(experiment, st"),
        ({"look": lambda e, s: s.nothing}, TypeError, "look = <lambda> does not run with the slid"),
        ({"look": lambda e, state: None}, TypeError, "look = <lambda> gives no arrays"),
        ({"arrays": 3}, TypeError, "arrays = 3"),
        ({"what": lambda a: a}, TypeError, "steps: a function takes none"),
    ],
)  # fmt: skip
def test_errors_name_the_argument(change, error, words):
    given = {"what": experiment(), "sliders": {"learning_rate": [0.1]}, "steps": 10} | change
    with pytest.raises(error, match=words):
        jo.learn.explore(**given, cache=False)


@pytest.mark.parametrize(
    ("f", "sliders", "arrays", "words"),
    [
        (lambda a, b: a, "ac", (), r"'c' is no argument of what = <lambda>\(a, b\); there are"),
        (lambda alpha: 1, ["alpa"], (), "'alpa' is no argument of .*; did you mean 'alpha'"),
        (lambda: 1, "a", (), r"'a' is no argument of what = <lambda>\(\); it takes none by name"),
        (lambda a, /: a, "a", (), "'a' is no argument"),
        (lambda a, b: a, "a", (), "its argument 'b' has no value: wanted a slider of this name"),
        (lambda a: a, "a", (1.0,), "arrays: the argument 'a' of .* gets an array and is a slider"),
        (lambda a: a, "a", (1.0, 2.0), r"arrays: there are 2, but what = <lambda>\(a\) takes 1"),
        (lambda a: None, "a", (), "what = <lambda> gives no arrays: wanted a number or array"),
        (lambda a: a + "x", "a", (), "what = <lambda> does not run with the sliders a"),
    ],
)
def test_a_function_gets_each_argument_once(f, sliders, arrays, words):
    with pytest.raises(TypeError, match=words):
        given = {name: [1.0, 2.0] for name in sliders}
        jo.learn.explore(f, given, arrays=arrays, cache=False)


def test_any_way_to_take_arguments_will_do():
    for f in (
        lambda x, *, a, b=3.0: x + a,
        lambda *xs, **numbers: xs[0] + numbers["a"],
        lambda x, /, a: x + a,
        lambda x, a, other=None: x + a,
    ):
        found = jo.learn.explore(f, {"a": [1.0, 2.0]}, arrays=(jnp.float32(1),), cache=False)
        np.testing.assert_allclose(found.arrays, [2.0, 3.0])


def test_a_cache_that_is_a_file_is_refused(tmp_path):
    file = tmp_path / "afile"
    file.write_bytes(b"mine")
    with pytest.raises(NotADirectoryError, match="cache = .*afile' is a file: wanted True, False"):
        jo.learn.explore(lambda a: a, {"a": [1.0]}, cache=file)
    assert file.read_bytes() == b"mine"


def test_too_much_is_refused_before_it_is_computed(monkeypatch):
    monkeypatch.setattr(exploring, "program_memory", lambda: 1000.0)
    with pytest.raises(MemoryError, match="would take 0 MiB|wanted fewer positions"):
        jo.learn.explore(lambda a: a * jnp.ones(100), {"a": np.arange(9.0)}, cache=False)


def test_sizes_are_programs_and_whole_numbers_stay_whole():
    found = jo.learn.explore(experiment(), {"batch_size": [8, 16]}, steps=5, cache=False)
    run = jo.fit(experiment(), 5, progress=False)
    np.testing.assert_allclose(found.at(batch_size=1)["loss"], run.evaluate()["loss"], rtol=1e-5)
    found = jo.learn.explore(lambda n: jnp.arange(5)[n], {"n": [0, 3]}, cache=False)
    assert found.arrays.tolist() == [0, 3]
    with pytest.raises(ValueError, match="4294967296 is beyond int32"):
        jo.learn.explore(lambda n: n, {"n": [2**32]}, cache=False)


def test_the_order_of_the_sliders_is_that_of_the_axes_when_kept_too(tmp_path):
    f, a, b = lambda a, b: 10 * a + b, [1.0, 2.0], [3.0, 4.0]  # noqa: E731
    first = jo.learn.explore(f, {"a": a, "b": b}, cache=tmp_path).arrays
    second = jo.learn.explore(f, {"b": b, "a": a}, cache=tmp_path).arrays
    np.testing.assert_array_equal(first.T, second)


def test_parts_whose_results_differ_in_shape_are_refused():
    models = [jo.models.Linear(13, 3), jo.models.MLP((13, 4, 3))]
    look = lambda e, state: state.params  # noqa: E731
    with pytest.raises(ValueError, match="the results of model have not one shape"):
        jo.learn.explore(experiment(), {"model": models}, steps=2, look=look, cache=False)


def test_positions_are_whole_numbers(explored):
    for bad in (5, 1.0, "a"):
        with pytest.raises(ValueError, match="learning_rate = .*: wanted a position from 0 to 2"):
            explored.at(learning_rate=bad)
    assert explored == explored and hash(explored)
    with pytest.raises(TypeError, match="no option 'colour'"):
        explored.show(colour="red")


def test_says_what_it_is(explored):
    assert repr(explored) == "Explored(3 learning_rate x 2 momentum)"
