"""Every value that can be swept comes back equal from JSON, and of the same types."""

import dataclasses
import enum
import functools
import json
import shutil
import sys
import types
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.cli.program import main
from jaxopt_edu.storage.files import from_json, to_json
from jaxopt_edu.storage.formats import EXPERIMENT, STUDY
from jaxopt_edu.storage.named import describe, rebuild, unnamed


class Colour(enum.Enum):
    RED = "red"
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Pair(NamedTuple):
    tuple: Any
    unnamed: Any = None


@dataclasses.dataclass(frozen=True)
class Own:
    dict: Any
    dtype: Any = 1.0


@jo.pytree
class Tree:
    array: Any
    rate: Any = jo.number(default=0.5)


class Inside:
    @dataclasses.dataclass(frozen=True)
    class Deep:
        items: Any


def is_same(a, b):
    """Whether two values are equal, and of the same types to any depth."""
    if type(a) is not type(b):
        return isinstance(a, jax.Array) and isinstance(b, jax.Array) and is_same_array(a, b)
    if isinstance(a, np.ndarray | jax.Array | np.generic):
        return is_same_array(a, b)
    if isinstance(a, float | complex):
        return repr(a) == repr(b)
    if isinstance(a, dict):
        pairs = zip(a.items(), b.items(), strict=False)
        return len(a) == len(b) and all(is_same(x, y) for x, y in pairs)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(is_same, a, b))
    if isinstance(a, functools.partial):
        return is_same((a.func, a.args, a.keywords), (b.func, b.args, b.keywords))
    if dataclasses.is_dataclass(a) and not isinstance(a, type):
        return all(is_same(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    return a == b


def is_same_array(a, b):
    if a.dtype != b.dtype or np.shape(a) != np.shape(b):
        return False
    if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
        return str(jax.random.key_impl(a)) == str(jax.random.key_impl(b)) and is_same_array(
            jax.random.key_data(a), jax.random.key_data(b)
        )
    if isinstance(a, jax.Array) and a.ndim == 0 and a.weak_type != b.weak_type:
        return False
    return np.asarray(a).tobytes() == np.asarray(b).tobytes()


DTYPES = ("bool", "int8", "uint64", "float16", "float32", "float64", "complex64", "<U3", "S2",
          "datetime64[D]", "bfloat16", ">i4")  # fmt: skip


def arrays(dtype, shape, seed):
    raw = np.random.default_rng(seed).integers(0, 100, shape)
    x = np.asarray(raw).astype(dtype)
    if x.dtype.kind in "fc" and x.size and seed % 2:
        x.reshape(-1)[0] = (np.nan, np.inf, -0.0)[seed % 3]
    return x


SHAPES = st.sampled_from([(), (0,), (2,), (2, 3), (1, 0, 2)])
ARRAYS = st.builds(arrays, st.sampled_from(DTYPES), SHAPES, st.integers(0, 9))
SCALARS = st.builds(lambda dtype, seed: arrays(dtype, (1,), seed)[0], st.sampled_from(DTYPES),
                    st.integers(0, 9))  # fmt: skip
OF_JAX = st.builds(
    lambda dtype, shape, seed: jnp.asarray(arrays(dtype, shape, seed)),
    st.sampled_from(("bool", "int8", "float16", "float32", "complex64", "bfloat16")),
    SHAPES, st.integers(0, 9),
)  # fmt: skip
WORDS = (
    st.sampled_from(("unnamed", "class", "tuple", "dict", "float", "array", "nan", "")) | st.text()
)
PLAIN = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers() | WORDS
    | st.binary(max_size=5)
)  # fmt: skip
THINGS = [
    ..., Colour.RED, Colour.BLUE, Level.LOW, slice(1, None, 2), range(3, 9, 2), np.dtype("float32"),
    np.dtype("bfloat16"), np.float32, jnp.float32, jnp.bfloat16, np.dtype(">i4"), np.bool_,
    jax.random.key(1), jax.random.key(2, impl="rbg"), jax.random.split(jax.random.key(3), 2),
    jnp.asarray(0.5), jnp.float32(0.5), jo.losses.squared_error, jo.metrics.accuracy,
    functools.partial(jo.metrics.top_k_accuracy, k=2), jo.log_uniform(0.1, 1.0),
    jo.choice(1, 2.5), jo.one_of(jo.sgd(0.1), None), frozenset({1, (2, "x")}), {3, None},
    jo.piecewise_constant_schedule(0.1, {3: 0.5, 6: jo.uniform(0.1, 0.2)}), jo.data.load("iris"),
    jo.partition({0: jo.sgd(0.1), 1: jo.adam(0.2)}, {"w": 0, "b": 1}),
    jo.adamw(0.1, mask={"w": True, "b": False}), jo.adam(0.1, mu_dtype=jnp.bfloat16),
    jo.sgd(np.float32(0.1)), jo.halving(np.int64(2), 5),
]  # fmt: skip
LEAVES = (
    PLAIN | st.integers(0, len(THINGS) - 1).map(lambda i: THINGS[i]) | ARRAYS | SCALARS | OF_JAX
)
KEYS = (
    st.none() | st.booleans() | st.integers() | WORDS | st.floats(allow_nan=False)
    | st.tuples(st.integers(), WORDS)
    | st.sampled_from([Colour.RED, b"x", np.int64(3), np.str_("a")])
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.dictionaries(WORDS, inner, max_size=3)
        | st.builds(Pair, inner, inner)
        | st.builds(Own, inner, inner)
        | st.builds(Tree, inner)
        | st.builds(Inside.Deep, inner)
        | inner.map(lambda x: functools.partial(jo.losses.squared_error, x, scale=x))
    ),
    max_leaves=8,
)


def strict(token):
    raise AssertionError(f"{token} is no JSON")


@given(VALUES)
def test_a_value_comes_back_equal(value):
    description = describe(value)
    assert unnamed(description) == {}
    text = to_json(description)
    json.loads(text, parse_constant=strict)
    again = rebuild(from_json(text))
    assert is_same(again, value), (value, again)
    assert jo.fingerprint(again) == jo.fingerprint(value)


@given(st.recursive(PLAIN, lambda x: st.lists(x) | st.dictionaries(st.text(), x), max_leaves=5))
def test_json_is_json_and_numbers_survive_it(value):
    def plain(x):
        if isinstance(x, complex | bytes):
            return 0
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        return [plain(y) for y in x] if isinstance(x, list) else x

    text = to_json(plain(value))
    json.loads(text, parse_constant=strict)
    assert is_same(from_json(text), plain(value))


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x, functools.partial(is_same, 1), object(), np.ma.array([1.0], mask=[True]),
        np.array([None]), np.zeros(2, [("a", int)]), functools.partial(jo.data.load, "iris"),
        type("Local", (), {})(), {1: is_same}, [print],
    ],
)  # fmt: skip
def test_what_has_no_name_is_said_and_asked_for(value):
    description = from_json(to_json(describe({"part": value})))
    assert [place.split(".")[0] for place in unnamed(description)] == ["part"]
    with pytest.raises(ValueError, match=r"part.* was .* which has no public name: give it, part"):
        rebuild(description)


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"class": "os.path.Path"}, "in no module that is imported"),
        ({"class": "subprocess.Popen", "args": "ls"}, "in no module that is imported"),
        ({"function": "system"}, "jaxopt_edu has no 'system'"),
        ({"partial": "encrypt_file", "args": [], "keywords": {}}, "jaxopt_edu has no"),
        ({"enum": "test_json.Own", "member": "RED"}, "has no member"),
        ({"enum": "test_json.Colour", "member": "GREEN"}, "has no member 'GREEN' any more"),
        ({"class": "test_json.Own", "dict": 1, "more": 2}, "is not the class it was"),
        ({"later": 1}, "unknown kind of value 'later'"),
        ({}, "unknown kind of value None"),
    ],
)
def test_a_file_makes_nothing_but_values(told, why):
    with pytest.raises(ValueError, match=why):
        rebuild(told)


def test_a_store_and_its_best_experiment_come_back_equal(tmp_path):
    labels = {"w": 0, "b": 1}
    rates = jo.piecewise_constant_schedule(jo.uniform(0.01, 0.1), {3: 0.5, 6: np.float32(0.1)})
    space = jo.Training(
        jo.models.Linear(4, 3),
        functools.partial(jo.losses.softmax_cross_entropy_with_integer_labels, label_smoothing=0.1),
        jo.partition({0: jo.sgd(rates), 1: jo.adam(0.1, mu_dtype=jnp.float32)}, labels),
        jo.data.load("iris"),
        metrics=(jo.metrics.accuracy, functools.partial(jo.metrics.top_k_accuracy, k=2)),
    )
    study = jo.sweep(space, 2, steps=2, store=tmp_path / "sweep")
    jo.save_study(study, tmp_path / "study")
    loaded = jo.load_study(tmp_path / "sweep")
    assert is_same(loaded.space, space) and is_same(loaded.best, study.best)
    assert is_same(jo.load_experiment(tmp_path / "study" / "best.json"), study.best)
    for name, version in {"best.json": EXPERIMENT, "study.json": STUDY}.items():
        found = json.loads((tmp_path / "study" / name).read_text(), parse_constant=strict)
        assert found["format"] == version


# ------------------------------------------------------------- experiments of the user's own


@jo.pytree
class Fall(jo.Experiment):
    """Gradient descent on a parabola of the user's own."""

    data: Any
    bend: Any
    learning_rate: Any = jo.number(low=0)
    splits = ("train",)

    def init(self, key):
        return jnp.ones(2)

    def step(self, w, t, key):
        return w - self.learning_rate * self.bend(w), jo.Step()

    def score(self, w, split):
        return {"loss": jnp.sum(w**2)}


@pytest.fixture(scope="module")
def fallen(tmp_path_factory):
    """A store of the user's own experiment, whose class and function it cannot write down."""
    space = Fall(jo.data.from_arrays(np.eye(20), np.arange(20.0)), jnp.tanh, jo.uniform(0.1, 0.9))
    directory = tmp_path_factory.mktemp("fallen")
    return directory, space, jo.sweep(space, 3, steps=4, store=directory, tile=2)


def test_experiments_are_made_of_the_space_that_is_given(fallen):
    directory, space, study = fallen
    loaded = jo.load_study(directory, space=space)
    assert loaded.best == study.best and loaded.experiment(2) == study.experiment(2)
    assert loaded.rerun(1).scores == study.rerun(1).scores
    other = dataclasses.replace(space, learning_rate=jo.uniform(0.1, 0.8))
    with pytest.raises(ValueError, match="of another space: space.learning_rate.high was 0.9, now"):
        jo.load_study(directory, space=other)


def test_a_class_is_found_by_its_name_where_it_is_imported(fallen, monkeypatch):
    directory, _, study = fallen
    loaded = jo.load_study(directory)
    assert isinstance(loaded.best, Fall) and loaded.best.data is None
    assert loaded.hyperparameters() == study.hyperparameters()
    with pytest.raises(ValueError, match="rerun: data was .* could not name: load_study"):
        loaded.rerun(0)
    moved = Fall
    monkeypatch.delattr(sys.modules[__name__], "Fall")
    for name in ("one", "two"):  # it has moved; then there are two of its name
        module = types.ModuleType(f"moved_{name}")
        other = dataclasses.make_dataclass("Fall", ["data"], namespace={"__module__": "moved_two"})
        module.Fall = moved if name == "one" else other
        monkeypatch.setitem(sys.modules, module.__name__, module)
        if name == "one":
            assert isinstance(jo.load_study(directory).best, moved)
    with pytest.raises(ValueError, match="may be any of .*: import only one of them"):
        jo.load_study(directory).experiment(0)


def test_a_report_needs_no_class(fallen, monkeypatch, tmp_path, capsys):
    directory, space, study = fallen
    shutil.copytree(directory, tmp_path / "copy")
    monkeypatch.delattr(sys.modules[__name__], "Fall")
    loaded = jo.load_study(tmp_path / "copy")
    assert loaded.columns["train_loss"].tolist() == study.columns["train_loss"].tolist()
    for use in (lambda: loaded.best, lambda: loaded.experiment(0), lambda: loaded.rerun(0)):
        with pytest.raises(ValueError, match="Fall is in no module that is imported"):
            use()
    with pytest.warns(UserWarning, match="best.json is not written: .*the class .*Fall is in no"):
        assert main(["report", str(tmp_path / "copy")]) == 0
    said = capsys.readouterr().out
    assert "winner: trial" in said and "best.json" not in said
    made = {p.name for p in (tmp_path / "copy").iterdir()}
    assert {"trials.csv", "study.json", "curves.png", "landscape.png", "report.html"} <= made
    monkeypatch.undo()
    assert jo.load_study(tmp_path / "copy", space=space).best == study.best
