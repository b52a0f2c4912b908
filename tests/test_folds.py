"""Folds prepared by their own training rows, and what comes of a sweep with folds."""

import dataclasses
import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

import jaxopt_edu as jo
import jaxopt_edu.data as data
from jaxopt_edu.data.prepared import prepared_by
from jaxopt_edu.search.export import best_json

pytestmark = pytest.mark.usefixtures("compiled_quickly")
RANDOM = np.random.default_rng(0)
ROWS = 48


def table():
    """Two numbers far from 0, one with gaps, and a category that is rare in places."""
    x = RANDOM.normal(size=(ROWS, 3)) * [1.0, 50.0, 1e-3] + [0.0, 300.0, 1.0]
    x[::7, 2] = np.nan
    city = np.array(["a", "b", "c"], object)[RANDOM.integers(0, 3, ROWS)]
    city[5] = "rare"
    return pd.DataFrame(x, columns=["u", "v", "w"]).assign(city=city)


TABLE = table()
TARGET = TABLE["u"].to_numpy() + TABLE["v"].to_numpy() / 50 + RANDOM.normal(size=ROWS) / 4
NUMBERS, CITY, GAPS = TABLE[["u", "v"]], TABLE[["city"]], TABLE[["u", "v", "w"]]
SCALED = ColumnTransformer([("u", "passthrough", [0]), ("v", StandardScaler(), [1])])
ONE_HOT = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
PARTS = ("train", "validation", "test")
CASES = {
    "standardize": (NUMBERS, "standardize", StandardScaler(), False),
    "min_max": (NUMBERS, "min_max", MinMaxScaler(), False),
    "two of them": (NUMBERS, ("min_max", "standardize"), StandardScaler(), False),
    "one column": (NUMBERS, data.on([1], "standardize"), SCALED, False),
    "nothing": (NUMBERS / [1, 300], None, "passthrough", False),
    "select": (NUMBERS, (data.select([1]), "standardize"), (("v",), StandardScaler()), False),
    "impute": (GAPS, ("impute", "standardize"), (SimpleImputer(), StandardScaler()), True),
    "one_hot": (CITY, "one_hot", ONE_HOT, True),
}


def pipeline_of(theirs):
    steps = list(theirs) if isinstance(theirs, tuple) else [theirs]
    if isinstance(steps[0], tuple):
        steps[0] = ColumnTransformer([("kept", "passthrough", [1])])
    return make_pipeline(*steps)


@pytest.mark.parametrize("case", CASES)
def test_a_fold_is_prepared_as_in_a_pipeline_of_scikit_learn(case):
    x, prepare, theirs, stacked = CASES[case]
    with jax.enable_x64(True):
        d = data.from_arrays(x, TARGET, validation=0, test=0.25, prepare=prepare)
        raw = data.from_arrays(
            np.arange(ROWS)[:, None], TARGET, validation=0, test=0.25, prepare=None
        )
        rows, held_out = (np.ravel(part.x).astype(int) for part in (raw.train, raw.test))
        folds = data.k_fold(d, 3)
        assert folds.stacked == stacked and len(folds.pool.x) == 36 * (3 if stacked else 1)
        table = x.to_numpy()[rows]
        traced = jax.jit(lambda f, k: {p: getattr(f.at(k), p).first()[0] for p in PARTS})
        for k, (train, held) in enumerate(folds.pairs()):
            fitted = pipeline_of(theirs).fit(table[train])
            names = d.features
            if case == "one_hot":  # columns are those of the data: what a fold lacks is all zeros
                own = [f"city={c}" for c in fitted[-1].categories_[0]]
                names = [own.index(name) if name in own else -1 for name in d.features]
            for part, some in (
                ("train", table[train]), ("validation", table[held]),
                ("test", x.to_numpy()[held_out]),
            ):  # fmt: skip
                want = fitted.transform(some).astype(float)
                if case == "one_hot":
                    want = np.where(np.array(names) < 0, 0, want[:, names])
                np.testing.assert_allclose(traced(folds, k)[part], want, atol=1e-9)
                np.testing.assert_allclose(getattr(folds.at(k), part).first()[0], want, atol=1e-9)
            prepared = folds.at(k).prepare(table[held])
            np.testing.assert_allclose(prepared, folds.at(k).validation.first()[0], atol=1e-9)


def test_scores_of_folds_are_those_of_a_pipeline():
    with jax.enable_x64(True):
        d = data.from_arrays(NUMBERS, TARGET, validation=0, test=0)
        n = len(d.train.y)
        experiment = jo.Training(
            model=jo.models.Linear(2), loss=jo.losses.squared_error, data=d,
            optimizer=jo.sgd(0.1, momentum=0.8), regularizer=jo.prior(jo.L2(2.0)),
        )  # fmt: skip
        folds = list(KFold(3).split(d.pool.x))
        found = jo.cross_validate(experiment, folds, steps=300).scores["loss"]
        theirs = cross_val_score(
            make_pipeline(StandardScaler(), Ridge(1.0)), *d.pool, cv=folds,
            scoring="neg_mean_squared_error",
        )  # fmt: skip
    assert n == ROWS
    np.testing.assert_allclose(found, -theirs, rtol=1e-6)


def test_the_shift_of_a_fold_keeps_float32_exact():
    """Columns at 10^6 with a spread of 1: from raw float32 numbers little would be left."""
    x = RANDOM.normal(size=(60, 2)) + 1e6
    folds = data.k_fold(data.from_arrays(x, x[:, 0], validation=0.2, test=0), 4)
    d = folds.of
    raw = np.concatenate([c.x[c.rows] for c in d.given[:2]])
    for k, (train, held) in enumerate(folds.pairs()):
        want = (raw[held] - raw[train].mean(0)) / raw[train].std(0)
        np.testing.assert_allclose(folds.at(k).validation.first()[0], want, atol=2e-6)


def test_folds_of_what_cannot_be_fitted_again_are_refused(monkeypatch):
    x, y = np.array(NUMBERS), TARGET
    d = data.from_arrays(x, y)
    x *= 2
    with pytest.raises(ValueError, match="rows that the data were made from have changed"):
        data.k_fold(d, 3)
    bare = dataclasses.replace(d, given=())
    with pytest.raises(ValueError, match="do not know what they were before Standardize"):
        data.k_fold(bare, 3)
    plain = data.from_arrays(np.array(NUMBERS), y, prepare=None)
    assert len(data.k_fold(dataclasses.replace(plain, given=()), 3)) == 3
    gaps = np.full((ROWS, 1), np.nan)
    gaps[:20, 0] = 1.0
    d = data.from_arrays(gaps, y, prepare="impute", validation=0, test=0)
    order = np.argsort(np.isnan(d.given[0].x[d.given[0].rows, 0]), kind="stable")
    with pytest.raises(ValueError, match="fold 1: impute: column 'x0' has no value"):
        data.k_fold(d, [(order[:24], order[24:]), (order[24:], order[:24])])
    monkeypatch.setattr("jaxopt_edu.data.refitting.MOST_BYTES", 100)
    with pytest.raises(ValueError, match="folds = 4: .*GiB, above"):
        data.k_fold(data.from_arrays(CITY, y, prepare="one_hot"), 4)


class Widest(data.Preparation):
    """The column that varies most: of the user's own, whose width is the same in every fold."""

    def fit(self, x):
        return Picked(int(np.argmax(np.std(np.asarray(x, float), axis=0))))


class Picked:
    def __init__(self, column):
        self.column = column

    def apply(self, x):
        return np.asarray(x, float)[:, [self.column]]

    def names(self, names):
        return (names[self.column],)


def test_a_preparation_of_one_s_own_is_fitted_to_each_fold():
    x = np.zeros((24, 2))
    x[:12, 0], x[12:, 1] = np.arange(12) * 3, np.arange(12)
    d = data.from_arrays(x, np.arange(24.0), prepare=Widest(), validation=0, test=0)
    rows = np.argsort(d.train.y)
    halves = rows[:12], rows[12:]
    folds = data.k_fold(d, [halves, halves[::-1]])
    assert d.features == ("x0",)
    np.testing.assert_array_equal(folds.at(0).train.first()[0][:, 0], x[:12, 0])
    np.testing.assert_array_equal(folds.at(1).train.first()[0][:, 0], 0)  # x1: not a feature


class Many(data.Preparation):
    """As many columns as there are values in the first one: not the same in every fold."""

    def fit(self, x):
        return Repeated(len(set(np.asarray(x)[:, 0].tolist())))


class Repeated(Picked):
    def apply(self, x):
        return np.repeat(np.asarray(x, float)[:, :1], self.column, axis=1)

    def names(self, names):
        return ()


def test_folds_whose_columns_cannot_be_matched_are_refused():
    x = np.arange(24.0)[:, None].clip(0, 15)  # the last half has fewer values
    d = data.from_arrays(x, np.arange(24.0), prepare=Many(), validation=0, test=0)
    rows = np.argsort(d.train.y)
    halves = rows[:12], rows[12:]
    message = r"folds: .*Many.* gives a fold features of shape \(12,\), .* part \(16,\): wanted the"
    with pytest.raises(ValueError, match=message):
        data.k_fold(d, [halves, halves[::-1]])


def test_folds_are_values():
    d = data.load("iris")
    folds = data.k_fold(d, 3)
    assert data.k_fold(d, 3) is folds and data.k_fold(d, 3, seed=1) != folds
    again = pickle.loads(pickle.dumps(folds))
    assert (
        again == folds and repr(again) == repr(folds) == "k_fold(load('iris', seed=0), 3, seed=0)"
    )
    jax.tree.map(np.testing.assert_array_equal, again, folds)
    assert data.k_fold(folds, 4).of is d and folds.targets == d.targets
    inner = data.k_fold(folds.at(1), 2)
    train = inner.pairs()[0][0]
    x = inner.at(0).train.first()[0]
    np.testing.assert_allclose(np.mean(x, 0), 0, atol=1e-5)
    assert len(train) == len(x)
    np.testing.assert_allclose(np.std(x, 0), 1, atol=1e-5)


# ------------------------------------------------------------------------- the best of a sweep


def space(d):
    return jo.Training(
        model=jo.models.Linear(4, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(jo.log_uniform(1e-2, 1.0)), data=d,
    )  # fmt: skip


def test_the_best_of_a_sweep_with_folds_trains_on_all_data(tmp_path):
    d = data.load("iris")
    study = jo.sweep(space(d), 4, steps=10, folds=3, store=tmp_path / "store")
    loaded = jo.load_study(tmp_path / "store")
    run = jo.fit(study.best, 10)
    for best in (study.best, loaded.best, study.experiment(study.best_trial)):
        assert best == dataclasses.replace(study.best, data=d) and best.data.train is not None
        assert jo.fit(best, 10).scores == run.scores
    again = study.rerun(study.best_trial, repeat=1)
    fold = study.batches[0].template.data.at(1)
    assert (
        again.scores["validation"]["loss"] == study.finals["validation_loss"][study.best_trial][1]
    )
    np.testing.assert_array_equal(
        again.experiment.data.pairs if False else fold.train.rows, again.experiment.data.train.rows
    )
    assert jo.sweep([study.best], steps=10).best == study.best
    assert jo.cross_validate(study.best, 3, steps=10).scores["loss"].shape == (3,)
    jo.find_learning_rate(study.best, 40, rates=4)


def test_a_store_with_folds_of_given_arrays_can_be_read(tmp_path):
    iris = data.load("iris", prepare=None)
    d = data.from_arrays(*iris.train, validation=tuple(iris.validation), test=tuple(iris.test))
    study = jo.sweep(space(d), 4, steps=10, folds=3, store=tmp_path / "store")
    loaded = jo.load_study(tmp_path / "store")
    assert loaded.best.data is None and loaded.folds == 3
    assert dataclasses.replace(loaded.best, data=d) == study.best
    first = jax.jit(lambda folds: folds.at(0).train.first()[0])(jo.data.k_fold(d, 3))
    np.testing.assert_allclose(first, jo.data.k_fold(d, 3).at(0).train.first()[0], atol=1e-6)


def test_best_json_of_a_sweep_with_folds_can_be_fitted(tmp_path):
    study = jo.sweep(space(data.load("iris")), 4, steps=10, folds=3)
    (tmp_path / "best.json").write_text(json.dumps(best_json(study, study.best)))
    best = jo.load_experiment(tmp_path / "best.json")
    assert best == study.best and jo.fit(best, 10).status == "finished"


def test_what_trains_on_one_set_refuses_folds_by_name():
    folded = jo.replace(space(data.load("iris")), learning_rate=0.1).folded(3)
    for f in (
        lambda: jo.fit(folded, 5),
        lambda: jo.hypergradient(folded, 5),
        lambda: jo.sweep([folded], steps=5),
        lambda: jo.find_learning_rate(folded, 5),
    ):
        with pytest.raises(ValueError, match=r"data = k_fold\(load\('iris', seed=0\), 3, seed=0\)"):
            f()
    assert jo.cross_validate(folded, 4, steps=5).study.folds == 4


RAW = np.random.default_rng(3).normal(5, 3, (38, 3))
GAPS = np.where(np.random.default_rng(4).random(RAW.shape) < 0.2, np.nan, RAW)


@pytest.mark.parametrize("prepare", ["standardize", "stacked", None])
@pytest.mark.parametrize("count", [4, 3])  # equal sizes, and folds that are padded
def test_the_rows_of_a_fold_are_its_own(prepare, count):
    x, stacked = (GAPS, True) if prepare == "stacked" else (RAW, False)
    d = jo.data.from_arrays(
        x, np.arange(38) % 2, prepare=("impute", "standardize") if stacked else prepare
    )
    folds = jo.data.k_fold(d, count)
    assert folds.stacked == stacked
    for k in (0, np.int64(count - 1)):
        fold = folds.at(k)
        sizes = [len(getattr(fold, p).x) for p in PARTS]
        assert sum(sizes[:2]) == len(d.pool.y) and sizes[2] == d.test.size
        for name, given in zip(PARTS, fold.given or d.given, strict=True):
            part = getattr(fold, name)
            if prepare is None:
                np.testing.assert_array_equal(part.x, part.first()[0][: len(part.y)])
                continue
            n = len(given.rows)
            assert prepared_by(part.x) == fold.source.mark
            np.testing.assert_array_equal(part.x, part.first()[0][:n])
            np.testing.assert_array_equal(part.y, part.first()[1][:n])
            np.testing.assert_allclose(part.x, fold.prepare(given.x[given.rows]), atol=1e-6)
            np.testing.assert_array_equal(part.y, given.y[given.rows])


def test_the_rows_of_a_traced_fold_are_its_first_ones():
    folds = jo.data.k_fold(jo.data.from_arrays(RAW, np.arange(38) % 2), 3)
    both = jax.vmap(lambda k: (folds.at(k).train.x, folds.at(k).train.first()[0]))(jnp.arange(3))
    np.testing.assert_array_equal(*both)
    assert len(jax.tree.leaves(folds.at(0).train)) == 6


@pytest.mark.parametrize("prepare", ["standardize", "min_max"])
def test_a_run_on_a_fold_knows_the_rows_of_its_fold(prepare):
    d = jo.data.from_arrays(RAW, np.arange(38) % 2, prepare=prepare)
    of = jo.Training(
        model=jo.models.Linear(3, 2),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(0.1),
        data=d,
    )
    run = jo.fit(of.folded(4).fold(1), steps=2)
    for name in PARTS:
        x = getattr(run.experiment.data, name).x
        np.testing.assert_array_equal(run.predict(x), run.predict(name))
        with pytest.raises(ValueError, match="prepared already"):
            run.predict(np.array(x))
    with pytest.raises(ValueError, match="prepared for other data"):
        run.predict(of.folded(4).fold(0).data.test.x)
