"""Laws of random spaces: what they sample, how alternatives are named, how parts are found."""

import dataclasses
import string

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.search.trials import plan
from jaxopt_edu.storage.named import describe, rebuild
from jaxopt_edu.values.labelling import labels
from jaxopt_edu.values.names import children, parts, short_names, vectors
from jaxopt_edu.values.pytrees import same
from jaxopt_edu.values.space import Choice, OneOf, groups

SAMPLERS = st.sampled_from(["random", "sobol", "latin_hypercube"])
NUMBERS = st.one_of(st.integers(-1000, 1000), st.floats(-1e6, 1e6, width=32))
# as Python has a number, and as NumPy and JAX have it
FORMS = st.sampled_from([lambda x: x, np.asarray, lambda x: np.asarray(x)[()], jnp.asarray])
LETTERS = st.text(string.ascii_lowercase, min_size=1, max_size=3)


@st.composite
def intervals(draw):
    low, high = sorted(draw(st.lists(st.floats(2**-20, 2**20, width=32), min_size=2, max_size=2)))
    assume(np.float32(low) < np.float32(high))
    form = draw(FORMS)
    return draw(st.sampled_from([jo.uniform, jo.log_uniform]))(form(low), form(high))


@st.composite
def integers(draw):
    low = draw(st.integers(-1000, 1000))
    form = draw(FORMS)
    return jo.int_uniform(form(low), form(low + draw(st.integers(0, 1000))))


@st.composite
def choices(draw):
    options = draw(st.lists(NUMBERS, min_size=1, max_size=5))
    many = [tuple, list, np.array, lambda x: [np.asarray(y)[()] for y in x]]
    return jo.choice(draw(st.sampled_from(many))(options))


DISTRIBUTIONS = st.one_of(intervals(), integers(), choices())
POSITIVE = intervals() | st.floats(1e-6, 1.0)
RULES = st.one_of(
    st.builds(jo.sgd, POSITIVE, st.none() | st.floats(0, 1)),
    st.builds(jo.adam, POSITIVE, st.floats(0.1, 0.9)),
    st.builds(lambda d, x: jo.chain(jo.clip(d), jo.sgd(x)), POSITIVE, POSITIVE),
)
SIZES = st.lists(st.integers(1, 99), min_size=2, max_size=4).map(tuple)
MODELS = st.one_of(
    st.builds(jo.models.MLP, SIZES, st.sampled_from(["relu", "tanh"])),
    st.builds(jo.models.SoftTree, st.integers(1, 9), depth=st.integers(1, 4)),
)
PLAIN = st.none() | st.booleans() | NUMBERS | LETTERS | SIZES
ALTERNATIVES = st.lists(RULES | MODELS | PLAIN, min_size=1, max_size=6)


# ----------------------------------------------------------------------------------- sampling


@given(DISTRIBUTIONS, SAMPLERS, st.integers(0, 2**31))
def test_samples_lie_within_the_bounds_in_the_type_of_the_distribution(d, sampler, seed):
    [batch] = plan({"x": d}, 9, seed, sampler).ask(0)
    low, high = d.bounds()
    column = batch.columns["x"]
    assert ((low <= column) & (column <= high)).all()
    whole = isinstance(d, jo.space.IntUniform) or (
        isinstance(d, Choice) and all(isinstance(x, int) for x in d.options)
    )
    assert column.dtype.kind == ("i" if whole else "f")
    assert type(batch.experiment(0)["x"]) is (int if whole else float)
    if isinstance(d, Choice):
        assert set(column.tolist()) <= {float(x) for x in d.options}


@given(DISTRIBUTIONS, st.integers(1, 9))
def test_levels_lie_within_the_bounds_and_are_as_many_as_asked(d, n):
    levels = d.levels(n)
    low, high = d.bounds()
    assert ((low <= levels) & (levels <= high)).all()
    assert len(levels) == len(d.options) if isinstance(d, Choice) else len(levels) <= n


@given(DISTRIBUTIONS)
def test_a_distribution_is_made_of_numbers_of_python_and_comes_back_from_json(d):
    for x in d.options if isinstance(d, Choice) else (d.low, d.high):
        assert type(x) in (int, float)
    assert rebuild(describe(d)) == d and eval(repr(d), vars(jo)) == d


@given(ALTERNATIVES, SAMPLERS)
def test_each_alternative_is_a_structure_under_its_own_name(alternatives, sampler):
    space = {"a": jo.one_of(*alternatives), "b": jo.uniform(0.0, 1.0)}
    found = groups(space)
    told = [group.labels()["a"] for group in found]
    assert len(set(map(str, told))) == len(told) == len(alternatives)
    for group, alternative in zip(found, alternatives, strict=True):
        assert same(group.experiment["a"], alternative)
        assert "b" in group.distributions()
    assert OneOf(space["a"].alternatives) == space["a"] == rebuild(describe(space["a"]))
    assert hash(OneOf(space["a"].alternatives)) == hash(space["a"])


# ------------------------------------------------------------------------------------- labels


@given(ALTERNATIVES)
def test_labels_are_equal_where_the_values_are(values):
    named = labels([*values, *values])
    assert named[: len(values)] == named[len(values) :]
    for i, x in enumerate(values):
        for j, y in enumerate(values):
            assert same(x, y) == (str(named[i]) == str(named[j]))
    assert all(len(str(name)) <= 70 for name in named)


@dataclasses.dataclass(frozen=True)
class Plain:
    """A value of a user's that is no pytree."""

    power: int = 1


@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([jo.models.MLP((64, 16, 10)), jo.models.MLP((64, 32, 10))],
         ["MLP 64-16-10", "MLP 64-32-10"]),
        ([jo.sgd(0.1), jo.sgd(0.1, momentum=0.9)], ["sgd", "sgd(momentum=0.9)"]),
        ([jo.adam(jo.uniform(0, 1)), jo.adam(jo.uniform(1, 2))],
         ["adam(learning_rate=uniform(0, 1))", "adam(learning_rate=uniform(1, 2))"]),
        ([jo.linear_schedule(1.0, 0.0, 10), jo.linear_schedule(1.0, 0.0, 20)],
         ["linear_schedule(transition_steps=10)", "linear_schedule(transition_steps=20)"]),
        ([jo.chain(jo.clip(1.0), jo.sgd(0.1)), jo.chain(jo.clip(2.0), jo.sgd(0.1)), jo.sgd(0.1)],
         ["clip(max_delta=1)+sgd", "clip(max_delta=2)+sgd", "sgd"]),
        ([lambda x: x, abs, lambda x: -x], ["lambda #0", "abs", "lambda #2"]),
        ([jo.L2(0.1), jo.proximal(jo.L1(0.1)), jo.proximal(jo.L1(0.2))],
         ["L2", "proximal(regularizer=L1(weight=0.1))", "proximal(regularizer=L1(weight=0.2))"]),
        ([jo.data.load("iris"), jo.data.load("iris", seed=1), jo.data.load("wine")],
         ["iris(seed=0)", "iris(seed=1)", "wine"]),
        ([jo.augment.noise(0.1), jo.augment.noise(0.2), None],
         ["noise(scale=0.1)", "noise(scale=0.2)", None]),
        ([jo.losses.with_numbers(jo.losses.huber_loss, delta=d) for d in (0.5, 1.0)],
         ["WithNumbers(delta=0.5)", "WithNumbers(delta=1)"]),
        ([jnp.array([1.0, 2.0]), jnp.array([1.0, 3.0])], ["[1, 2]", "[1, 3]"]),
        ([Plain(), Plain(2)], ["Plain", "Plain(power=2)"]),
    ],
    ids=lambda x: str(x[-1])[:20],
)  # fmt: skip
def test_what_differs_is_what_a_label_says(values, wanted):
    assert labels(values) == wanted


# -------------------------------------------------------------------------------------- names

TREES = st.recursive(
    st.floats(1, 9, width=32),
    lambda inner: st.one_of(
        st.dictionaries(st.sampled_from(["a", "b.c", "Dense_0", "d.0.e"]), inner, min_size=1),
        st.lists(inner, min_size=1, max_size=3),
        st.tuples(inner, inner),
        st.builds(jo.sgd, st.just(0.5)),
        st.builds(lambda x: jo.losses.with_numbers(jo.losses.huber_loss, delta=x), inner),
    ),
    max_leaves=6,
)


@given(st.dictionaries(LETTERS, TREES, min_size=1, max_size=3))
def test_every_part_is_replaced_under_its_name_and_nothing_else_is(tree):
    for name in parts(tree):
        changed = jo.replace(tree, **{name: 0.25})
        before, after = jo.hyperparameters(tree), jo.hyperparameters(changed)
        assert after.get(name, 0.25) == 0.25  # a flag is no number
        kept = {n: x for n, x in before.items() if n != name and not n.startswith(f"{name}.")}
        assert {n: x for n, x in after.items() if n != name} == kept


@given(
    st.lists(st.lists(LETTERS | st.just("1"), min_size=1, max_size=3).map(".".join), unique=True)
)
def test_short_names_are_endings_and_differ(names):
    short = short_names(names)
    assert len(set(short)) == len(names)
    assert all(n == s or n.endswith("." + s) for n, s in zip(names, short, strict=True))


def test_two_numbers_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"two numbers have the name 'a\.b\.c'"):
        jo.hyperparameters({"a": {"b.c": 1.0}, "a.b": {"c": 2.0}})


def test_vectors_are_looked_for_where_numbers_are_declared():
    v = jnp.array([1.0, 2.0])
    noisy = jo.augment.chain(jo.augment.noise(v), lambda key, x, y: (x, y))
    value = {"rule": jo.sgd(v), "augment": noisy, "weights": v, "matrix": jo.sgd(jnp.ones((2, 2)))}
    assert [name for name, _ in vectors(value)] == ["rule.learning_rate", "augment.0.scale"]
    assert children(v) == {}
