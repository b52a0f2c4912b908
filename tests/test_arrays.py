"""Arrays that are not plain numbers: understood, or refused by column and row."""

import datetime
import decimal
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import jaxopt_edu as jo
import jaxopt_edu.data as data
from jaxopt_edu.diagnosis import find_shift
from jaxopt_edu.values.arrays import plain

N = 30
X = np.random.default_rng(0).normal(size=(N, 2))
Y = np.arange(N) % 3
FRAME = pd.DataFrame(X, columns=["a", "b"])
GAPS = np.arange(2 * N).reshape(N, 2) % 7 == 3  # row 1, column 1 is the first
FILL = ("impute", "standardize")


def same(x, wanted, prepare="standardize"):
    """Data from x are those from the plain array wanted."""
    ours, theirs = (data.from_arrays(z, Y, prepare=prepare) for z in (x, wanted))
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


# ------------------------------------------------------------------------------------ understood


HOLES = np.where(GAPS, np.nan, X)
WHOLE = np.arange(2 * N).reshape(N, 2)
UNDERSTOOD = {
    "masked": (np.ma.array(X, mask=GAPS), HOLES),
    "a mask of nothing": (np.ma.array(X, mask=False), X),
    "masked integers": (np.ma.array(WHOLE, mask=GAPS), np.where(GAPS, np.nan, WHOLE)),
    "a list of masked rows": (list(np.ma.array(X, mask=GAPS)), HOLES),
    "masked among numbers": ([[1.0, np.ma.masked], [2.0, 3.0]] * 15, [[1.0, np.nan], [2, 3]] * 15),
    "None among numbers": (np.where(GAPS, None, X), HOLES),
    "nullable floats": (pd.DataFrame(HOLES).convert_dtypes(), HOLES),
    "nullable integers": (
        pd.DataFrame(WHOLE).astype("Int64").mask(GAPS), np.where(GAPS, np.nan, WHOLE)
    ),
    "nullable bools": (pd.DataFrame(X > 0).astype("boolean"), X > 0),
    "categories of numbers": (pd.DataFrame(WHOLE % 3).astype("category"), WHOLE % 3),
    "sparse columns": (pd.DataFrame(WHOLE % 3).astype("Sparse[int]"), WHOLE % 3),
    "bools beside numbers": (FRAME.assign(a=X[:, 0] > 0), np.column_stack([X[:, 0] > 0, X[:, 1]])),
    "decimals": ([[decimal.Decimal(i), 1] for i in range(N)], [[i, 1] for i in range(N)]),
    "objects": (X.astype(object), X),
    "a structured array": (np.rec.fromarrays(X.T, names="a,b"), X),
    "long doubles": (X.astype(np.longdouble), X),
    "half precision": (X.astype(np.float16), X.astype(np.float16).astype(float)),
    "bfloat16": (jnp.asarray(X, jnp.bfloat16), np.asarray(jnp.asarray(X, jnp.bfloat16), float)),
    "an array of JAX's": (jnp.asarray(X), X.astype(np.float32)),
    "text that is numbers": (X.astype(str), X),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNDERSTOOD)
def test_what_is_obvious_is_understood(kind):
    x, wanted = UNDERSTOOD[kind]
    same(x, np.asarray(wanted), FILL)


def test_large_integers_are_told_apart():
    ids = np.array([2**60 + i % 2 for i in range(N)])
    for x in (
        pd.DataFrame({"id": ids, "b": X[:, 1]}),
        [[int(i), b] for i, b in zip(ids, X[:, 1], strict=True)],
        np.ma.array(np.column_stack([ids, ids]), mask=False)[:, :2],
    ):
        d = data.from_arrays(x, Y, prepare=data.on([0], "one_hot"))
        assert d.features[0].endswith(f"={2**60}") and d.features[1].endswith(f"={2**60 + 1}")


def test_names_come_from_tables():
    levels = pd.MultiIndex.from_tuples([("a", "x"), ("b", "y")])
    assert data.from_arrays(FRAME.set_axis(levels, axis=1), Y).features == ("a.x", "b.y")
    assert data.from_arrays(np.rec.fromarrays(X.T, names="p,q"), Y).features == ("p", "q")
    with pytest.raises(ValueError, match="x has two columns named 'a'"):
        data.from_arrays(FRAME.set_axis(["a", "a"], axis=1), Y)
    prices = data.from_arrays(FRAME, FRAME[["a"]])
    assert prices.train.y.ndim == 1 and prices.task == "regression"
    kinds = pd.Series(pd.Categorical(["lo", "hi"] * 15, categories=["lo", "hi", "none"]))
    assert data.from_arrays(FRAME, kinds).labels == ("hi", "lo")


# --------------------------------------------------------------------------------------- refused


DAYS = pd.date_range("2020-01-01", periods=N)
WORDS = np.array(["u", "v", None] * 10, dtype=object)
MIXED = pd.Series([1, "x", 2] * 10)
WANTED_DAYS = r"holds dates .*make numbers of them, such as days"
REFUSED = {
    "dates": (FRAME.assign(when=DAYS), Y, "standardize", f"x column 'when' {WANTED_DAYS}"),
    "dates alone": (DAYS.to_numpy()[:, None], Y, "standardize", f"x column 'x0' {WANTED_DAYS}"),
    "days of Python": (
        FRAME.assign(a=[datetime.date(2020, 1, 1 + i) for i in range(N)]), Y, "one_hot",
        f"x column 'a' {WANTED_DAYS}",
    ),
    "a missing date": (
        FRAME.assign(when=DAYS.where(DAYS[4] != DAYS)), Y, "standardize",
        "x column 'when' holds missing dates .missing in row 4.; make numbers",
    ),
    "time spans": (FRAME.assign(a=DAYS - DAYS[0]), Y, "standardize", "'a' holds time spans"),
    "complex": (X + 1j, Y, "standardize", "'x0' holds complex numbers"),
    "strings among numbers": (
        FRAME.assign(city=MIXED), Y, data.on([2], "one_hot"),
        "x column 'city' holds .*(strings|numbers) .* in row .*one_hot wants one kind",
    ),
    "strings to be scaled": (
        FRAME.assign(city=list("uvw") * 10), Y, "standardize", "x column 'city' holds strings"
    ),
    "categories with missing values": (
        FRAME.assign(city=pd.Categorical(WORDS)), Y, data.on([2], "one_hot"),
        r"x holds missing values .* first in row 2, column 2 .'city'.; prepare",
    ),
    "missing categories after another step": (
        FRAME.assign(city=WORDS), Y, (data.on([0], "impute"), data.on([2], "one_hot")),
        "x column 'city' holds missing values .missing in row .*one_hot wants none",
    ),
    "gaps that nothing fills": (
        FRAME.mask(GAPS), Y, (data.on([0], "impute"), "standardize"),
        r"a missing value .NaN. in row \d+, column 'b'",
    ),
    "sparse": (scipy.sparse.csr_matrix(X), Y, None, r"x is a sparse matrix.*toarray\(\)"),
    "sparse targets": (X, scipy.sparse.csr_matrix(Y[:, None]), None, "y is a sparse matrix"),
    "a dict": ({"a": X[:, 0]}, Y, None, "x is dict: wanted an array"),
    "a generator": ((row for row in X), Y, None, "x is generator"),
    "ragged rows": ([[1, 2]] * 29 + [[1]], Y, None, "x has 2 values in row 0, 1 in row 29"),
    "intervals": (
        pd.DataFrame({"a": pd.cut(X[:, 0], 3)}), Y, "one_hot", "values of type Interval"
    ),
    "labels of two kinds": (X, ["a", 1, "b"] * 10, None, r"y holds strings and numbers .1 in r"),
    "dates as targets": (X, DAYS, None, "y holds dates"),
    "masked labels": (X, np.ma.array(Y, mask=Y == 2), None, "y holds missing values .* row 2"),
    "missing labels": (X, pd.Series(WORDS), None, "y holds missing values .* first in row 2"),
    "tuples as labels": (X, pd.Series([(1, 2), (3, 4)] * 15), None, "y holds values of type tuple"),
    "one-hot labels": (X, np.eye(3, dtype=int)[Y], None, r"wanted one label a row.*argmax"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_the_rest_is_refused_by_name_and_place(kind):
    x, y, prepare, message = REFUSED[kind]
    with pytest.raises((ValueError, TypeError), match=message):
        data.from_arrays(x, y, prepare=prepare)


def test_places_are_the_user_s():
    """The row is that of the array that was given, also where a shuffled part was looked at."""
    for row in range(N):
        column = ["u"] * N
        column[row] = 5
        with pytest.raises(TypeError) as error:
            data.from_arrays(FRAME.assign(city=column), Y, prepare=data.on([2], "one_hot"))
        assert "'city'" in str(error.value)
        assert f"(5 in row {row})" in str(error.value) or "('u' in row" in str(error.value)
    good = FRAME.assign(city=list("uvw") * 10)
    bad = good.assign(city=[*"uvw" * 9, "u", "v", 7])
    with pytest.raises(TypeError, match=r"test x column 'city' holds .*7 in row 29"):
        data.from_arrays(good, Y, test=(bad, Y), prepare=data.on([2], "one_hot"))
    with pytest.raises(TypeError, match="column 0 holds numbers .1 in row 0.; the training part"):
        data.one_hot().fit([["a"], ["b"]]).apply([[1]])
    with pytest.raises(TypeError, match="x column 1 holds strings .'c' in row 1"):
        data.on([1], "min_max").fit([["a", 1], ["b", "c"]])


def test_odd_columns_that_are_dropped_do_no_harm():
    d = data.from_arrays(FRAME.assign(when=DAYS), Y, prepare=(data.select([0, 1]), "standardize"))
    jax.tree.map(np.testing.assert_array_equal, d, data.from_arrays(FRAME, Y))


def test_counts_are_not_taken_for_classes_in_silence():
    with pytest.warns(UserWarning, match="y holds 30 different integers in 30 rows.*regression"):
        data.from_arrays(X, np.arange(N), validation=0, test=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        many = data.from_arrays(X, np.arange(N), validation=0, test=0, task="classification")
    assert many.n_classes == N and many.labels == tuple(range(N))
    assert data.from_arrays(X, np.arange(N), task="regression").n_classes is None


# ------------------------------------------------------------------------------- everywhere else


MASKED = np.ma.array(X, mask=GAPS)
ELSEWHERE = {
    "class weights of large ids": (lambda: data.class_weights([10**12, 5]), "one is 10{12}"),
    "class weights of 1-based labels": (lambda: data.class_weights([1, 2]), "class 0 has no exa"),
    "k_anonymous": (lambda: jo.privacy.k_anonymous(MASKED, 2), "x column 1 holds missing.* row 1"),
    "clients of half rows": (lambda: jo.federated.Clients.of([[0.5], [1]]), "part 0 is float64"),
    "clients by missing labels": (
        lambda: jo.federated.dirichlet_split(WORDS, 2, 1.0), "labels holds missing .* row 2"
    ),
    "find_shift": (lambda: find_shift(FRAME, FRAME.mask(GAPS)), "second column 'b' holds missing"),
    "masked targets of a metric": (
        lambda: jo.metrics.r2_score(X[:, 0], MASKED[:, 1]), "targets are masked in row 1"
    ),
    "large ids in a metric": (lambda: jo.metrics.accuracy([10**12], [7]), "10{12}, beyond int32"),
    "strings in a loss": (lambda: jo.losses.hinge_loss(["a"], [1]), "outputs hold strings"),
    "masked rows explained": (
        lambda: jo.explain.permutation_importance(
            lambda x: x[:, 0], MASKED, X[:, 0], jo.metrics.r2_score, key=jax.random.key(0)
        ),
        "x are masked in row 1",
    ),
    "traced data": (lambda: jax.jit(lambda x: data.from_arrays(x, Y))(X), "x is traced"),
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_other_arrays_of_the_host_are_read_the_same_way(name):
    call, message = ELSEWHERE[name]
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_streams_are_read_the_same_way():
    d = data.load("iris")
    x, y = d.train.x[:8], d.train.y[:8]
    experiment = jo.Training(
        model=jo.models.Linear(4, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(0.1), data=d,
    )  # fmt: skip
    run = jo.fit(experiment, 2, batches=[(pd.DataFrame(x), pd.Series(y))])
    assert run.scores == jo.fit(experiment, 2, batches=[(x, y)]).scores
    for bad, message in (
        ((np.ma.array(x, mask=x == x[2, 1]), y), "batches: x holds missing values, first in row 2"),
        ((x, y + 1), "batches: y holds the label 3 in row 1: wanted class numbers, 0 to 2"),
        ((scipy.sparse.csr_matrix(x), y), "batches: x is a sparse matrix"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            jo.fit(experiment, 2, batches=[bad])


# ------------------------------------------------------------------------- tables of all kinds


NUMBER = st.floats(-1e3, 1e3, width=32) | st.integers(-1000, 1000)
WORD = st.sampled_from(["", "a", "b c", "1", "None"])
COLUMNS = st.lists(
    st.sampled_from(["float", "gaps", "int", "bool", "word"]), min_size=1, max_size=4
)
ASKED = {"float": "float64", "gaps": "Float64", "int": "Int64", "bool": "boolean", "word": "string"}


@given(COLUMNS, st.integers(0, 2**32 - 1), st.booleans())
def test_tables_of_all_kinds_are_those_of_scikit_learn(kinds, seed, nullable):
    rng, frame, steps, ours = np.random.default_rng(seed), {}, [], []
    for j, kind in enumerate(kinds):
        frame[f"c{j}"] = {
            "float": lambda: rng.normal(size=N), "int": lambda: rng.integers(-5, 5, N),
            "gaps": lambda: np.where(np.arange(N) % 5 == 2, np.nan, rng.normal(size=N)),
            "bool": lambda: rng.random(N) < 0.5, "word": lambda: rng.choice(["a", "b", ""], N),
        }[kind]()  # fmt: skip
        encode = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
        step = encode if kind == "word" else make_pipeline(SimpleImputer(), StandardScaler())
        steps.append((f"c{j}", step, [f"c{j}"]))
        ours.append(data.on([j], "one_hot" if kind == "word" else FILL))
    table = pd.DataFrame(frame)
    asked = table.astype({f"c{j}": ASKED[k] for j, k in enumerate(kinds)}) if nullable else table
    last = ours[::-1]  # from the right, so that columns keep their numbers
    with jax.enable_x64(True):
        d = data.from_arrays(asked, Y, validation=0, test=0, prepare=tuple(last))
        rows = data.from_arrays(np.arange(N)[:, None], Y, validation=0, test=0, prepare=None)
    place = rows.train.x[:, 0].astype(int)
    numbers = [f"c{j}" for j, kind in enumerate(kinds) if kind != "word"]
    theirs = ColumnTransformer(steps).fit_transform(table.astype(dict.fromkeys(numbers, float)))
    np.testing.assert_allclose(d.train.x, theirs[place], atol=1e-9)


@given(
    st.one_of(
        st.lists(st.integers(-(2**70), 2**70)), st.lists(WORD), st.lists(st.booleans()),
        st.lists(st.binary(max_size=3).filter(lambda b: not b.endswith(b"\0"))),
    ).filter(lambda labels: len(set(labels)) > 1)
)  # fmt: skip
def test_labels_of_any_type_come_back(labels):
    d = data.from_arrays(
        np.arange(float(len(labels)))[:, None], labels, task="classification", prepare=None,
        validation=0, test=0,
    )  # fmt: skip
    assert d.labels == tuple(sorted(set(labels))) and d.n_classes == len(d.targets)
    found = [d.labels[k] for k in d.train.y]
    wanted = [labels[int(i)] for i in d.train.x[:, 0]]
    assert found == wanted and list(map(type, found)) == list(map(type, wanted))


@given(st.lists(st.lists(NUMBER | st.none(), min_size=2, max_size=2), min_size=1, max_size=6))
def test_lists_with_gaps_are_plain_tables(rows):
    wanted = np.array([[np.nan if v is None else v for v in row] for row in rows], float)
    found = plain("x", rows)
    np.testing.assert_array_equal(np.asarray(found, float), wanted)


HUGE = [10**400, *range(N - 1)]


@pytest.mark.parametrize(
    "call",
    [
        lambda: data.from_arrays([[v] for v in HUGE], Y),
        lambda: data.from_arrays(X, HUGE, task="regression"),
        lambda: data.from_arrays(pd.DataFrame({"a": HUGE}), Y, prepare="impute"),
        lambda: data.standardize().fit([[1], [10**400]]),
        lambda: data.min_max().fit([[1], [2]]).apply([[-(10**400)]]),
    ],
)
def test_integers_beyond_floats_are_refused_by_their_place(call):
    with pytest.raises(
        ValueError, match=r"[xy] .*beyond float64 \(-?10{30,40}\.\.\. in row [01]\)"
    ):
        call()
