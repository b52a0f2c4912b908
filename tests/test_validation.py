"""Validation against scikit-learn: the same models, folds, weights and features."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV, lasso_path
from sklearn.metrics import recall_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneOut,
    ShuffleSplit,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_class_weight

import jaxopt_edu as jo
from jaxopt_edu.search.confidence import effective_folds, interval
from jaxopt_edu.storage.named import describe, rebuild

pytestmark = pytest.mark.usefixtures("compiled_quickly")
LOG_LOSS = jo.losses.sigmoid_binary_cross_entropy


@pytest.fixture(scope="module")
def tumours():
    """All of breast cancer, standardized; nothing held out."""
    with jax.enable_x64(True):
        return jo.data.load("breast_cancer", validation=0, test=0)


@pytest.fixture(scope="module")
def patients():
    """Sixty-one of diabetes: no number of folds divides them."""
    with jax.enable_x64(True):
        whole = jo.data.load("diabetes", validation=0, test=0)
        x, y = whole.train.x[:61], whole.train.y[:61]
        return jo.data.from_arrays(x, y, validation=0, test=0, prepare=None)


def ridge(data, alpha):
    return jo.Training(
        model=jo.models.Linear(10), loss=jo.losses.squared_error,
        optimizer=jo.sgd(0.05, momentum=0.8), data=data,
        regularizer=jo.prior(jo.L2(2 * alpha)),
    )  # fmt: skip


def logistic(data, weight, rate=0.04, **more):
    return jo.Training(
        model=jo.models.Linear(30), loss=LOG_LOSS,
        optimizer=jo.sgd(rate, momentum=0.98, nesterov=True), data=data,
        regularizer=jo.prior(jo.L2(weight)), **more,
    )  # fmt: skip


# --------------------------------------------------------------------------- the scores of folds


def test_k_fold_scores_are_those_of_scikit_learn(patients):
    with jax.enable_x64(True):
        pool = patients.pool
        dealt = jo.data.k_fold(patients, 4, seed=3)
        single = list(LeaveOneOut().split(pool.x))
        for folds in (dealt.pairs(), list(KFold(4).split(pool.x)), single):
            found = jo.cross_validate(ridge(patients, 5.0), folds, steps=300)
            theirs = cross_val_score(
                Ridge(5.0, tol=1e-12), *pool, cv=folds, scoring="neg_mean_squared_error"
            )
            np.testing.assert_allclose(found.scores["loss"], -theirs, rtol=1e-6)
            assert len(found) == len(folds)
        closed = jo.ridge_leave_one_out(*pool, 5.0)
        np.testing.assert_allclose(closed.errors**2, -theirs, rtol=1e-9)
    mean, low, high = found.interval()
    assert mean == found.means["loss"]
    assert high - low == pytest.approx(np.diff(interval(found.scores["loss"], 61)[1:])[0], rel=1e-9)
    shuffled = ShuffleSplit(7, test_size=0.5).split(pool.x)
    k = effective_folds(ridge(patients, 5.0).folded(shuffled), 7)
    assert k == pytest.approx(1 + 30 / 31)
    assert repr(found).startswith("CrossValidation(61 folds: loss ")
    with pytest.raises(ValueError, match="unknown score 'los'; did you mean 'loss'"):
        found.interval("los")


@pytest.mark.slow
def test_the_grid_search_of_scikit_learn_as_one_program(tumours, tmp_path):
    """20 penalties x 5 stratified folds, full batch, scored by log loss; kept in a store.

    The statistics of `standardize` are those of each fold's training rows, as in a pipeline.
    """
    C = np.logspace(-4, 0, 20)
    with jax.enable_x64(True):
        folds = list(StratifiedKFold(5).split(*tumours.pool))
        space = logistic(tumours, jo.choice((1 / C).tolist()))
        how = {"sampler": "grid", "folds": folds, "steps": 1600, "eval_every": 1600}
        study = jo.sweep(space, 20, store=tmp_path / "grid", **how)
        exact = LogisticRegression(solver="newton-cholesky", tol=1e-12)
        theirs = GridSearchCV(
            make_pipeline(StandardScaler(), exact), {"logisticregression__C": C},
            scoring=["neg_log_loss", "accuracy"], refit="neg_log_loss", cv=folds,
        ).fit(*tumours.pool)  # fmt: skip
        loaded = jo.load_study(tmp_path / "grid")
    assert study.info["compilations"]["engine"] <= 3 and study.diverged == 0
    order = np.argsort(-study.columns["regularizer.weight"])
    for name, scoring, sign in (("loss", "neg_log_loss", -1), ("accuracy", "accuracy", 1)):
        splits = [theirs.cv_results_[f"split{k}_test_{scoring}"] for k in range(5)]
        scores = study.finals[f"validation_{name}"][order]
        np.testing.assert_allclose(scores, sign * np.stack(splits, 1), atol=1e-6, rtol=0)
    best = 1 / study.hyperparameters()["regularizer.weight"]
    np.testing.assert_allclose(best, theirs.best_params_["logisticregression__C"], rtol=1e-12)

    given = jo.data.k_fold(tumours, folds)
    assert loaded.best.data == study.best.data == given.of == tumours
    assert given != jo.data.k_fold(tumours, folds[::-1])
    assert repr(given).startswith("k_fold(load('breast_cancer', seed=0, ") and len(given) == 5
    inner = jo.data.k_fold(given.at(0), 2)  # folds of what a fold trains on and holds out
    np.testing.assert_array_equal(np.sort(inner.pool.y), np.sort(tumours.pool.y))


@pytest.mark.parametrize(
    ("folds", "error", "message"),
    [
        (1, ValueError, "folds = 1: wanted at least 2"),
        (2.5, TypeError, "folds = 2.5: wanted a number, or pairs"),
        ([([0], [1])], ValueError, "folds: 1 given, wanted at least 2"),
        ([[0, 1, 2]] * 2, TypeError, "folds: wanted a pair"),
        ([([0], [1])] + [([0], [61])], ValueError, "fold 1 has row 61; the pool has 61"),
        ([([0], [1])] + [([0, 0], [1])], ValueError, "row 0 comes twice in fold 1"),
        ([([0], [1])] + [([0], [0])], ValueError, "row 0 comes twice in fold 1"),
        ([([0], [])] * 2, ValueError, "the validation rows of fold 0 are float64 of shape"),
        (62, ValueError, "folds = 62: there are only 61"),
    ],
)
def test_bad_folds_are_named(patients, folds, error, message):
    with jax.enable_x64(True), pytest.raises(error, match=message):
        jo.cross_validate(ridge(patients, 1.0), folds, steps=1)


def test_bad_experiments_are_named(patients):
    with jax.enable_x64(True):
        with pytest.raises(TypeError, match="cross_validate runs one experiment; `sweep` a space"):
            space = dataclasses.replace(ridge(patients, 1.0), optimizer=jo.sgd(jo.uniform(0, 1)))
            jo.cross_validate(space, steps=1)
        folds = [(range(40), range(40, 61)), (range(20, 61), range(20))]
        with pytest.raises(ValueError, match="batch_size = 41: wanted 1 to 40"):
            jo.cross_validate(
                dataclasses.replace(ridge(patients, 1.0), batch_size=41), folds, steps=1
            )
        with pytest.raises(ValueError, match="stratified: the folds are given"):
            jo.data.k_fold(patients, [([0], [1])] * 2, stratified=True)
    with pytest.raises(TypeError, match="experiment: L2 has no method folded"):
        jo.cross_validate(jo.L2(1.0), steps=1)


# ---------------------------------------------------------------------------------- leave one out


def test_leave_one_out_is_that_of_scikit_learn(patients):
    x, y = patients.pool
    y = np.stack([y, np.sin(y)], 1)
    alphas = np.logspace(-3, 3, 7)
    for intercept in (True, False):
        with jax.enable_x64(True):
            ours = jo.ridge_leave_one_out(x, y, alphas, intercept=intercept)
            one = jo.ridge_leave_one_out(x, y[:, 0], 1.0, intercept=intercept)
        theirs = RidgeCV(alphas, fit_intercept=intercept, store_cv_results=True).fit(x, y)
        squares = np.moveaxis(theirs.cv_results_, -1, 0)
        np.testing.assert_allclose(ours.errors**2, squares, rtol=1e-8, atol=1e-12)
        best = int(np.argmin(ours.scores))
        assert theirs.alpha_ == alphas[best]
        np.testing.assert_allclose(ours.w[best].T, theirs.coef_, rtol=1e-9, atol=1e-12)
        if intercept:
            np.testing.assert_allclose(ours.b[best], theirs.intercept_, rtol=1e-10)
        np.testing.assert_allclose(one.errors, ours.errors[3, :, 0], rtol=1e-9)
        assert one.errors.shape == (61,) and one.scores.shape == () and one.w.shape == (10,)


def test_leave_one_out_with_more_features_than_examples_and_its_derivative():
    x = np.random.default_rng(0).normal(size=(6, 9))
    y = x[:, 0] + np.arange(6)
    with jax.enable_x64(True):
        ours = jo.ridge_leave_one_out(x, y, 0.5)
        theirs = [
            y[i] - Ridge(0.5).fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[[i]])[0]
            for i in range(6)
        ]
        np.testing.assert_allclose(ours.errors, theirs, rtol=1e-9)
        score = jax.jit(lambda a: jo.ridge_leave_one_out(x, y, a).scores)
        slope = (score(0.5 + 1e-5) - score(0.5 - 1e-5)) / 2e-5
        np.testing.assert_allclose(jax.grad(score)(0.5), slope, rtol=1e-6)
    assert jo.ridge_leave_one_out(np.float32(x), np.float32(y), 0.5).errors.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([[0.0]], [0.0], 1.0), ValueError, "1 example: wanted at least 2"),
        (([[0.0], [1.0]], [0.0], 1.0), ValueError, "wanted as many rows"),
        (([[0.0], [1.0]], [0.0, 1.0], [1.0, -2.0]), ValueError, "penalties = -2.0"),
        (([[0.0], [1.0]], [0.0, 1.0], [[1.0]]), ValueError, "penalties have shape"),
        (([[0], [1]], [0.0, 1.0], 1.0), TypeError, "x is int32: wanted floats"),
    ],
)
def test_bad_ridges_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        jo.ridge_leave_one_out(*arguments)


# -------------------------------------------------------------------------------- rare classes


def rare(data, keep=30):
    """Of the malignant (class 0) only the first few, nothing else left out."""
    x, y = data.pool
    kept = np.flatnonzero((y == 1) | (np.cumsum(y == 0) <= keep))
    return jo.data.from_arrays(
        x[kept], y[kept], validation=(x, y), test=0, prepare=None, name="rare"
    )


def test_class_weights_do_what_scikit_learn_s_do(tumours):
    with jax.enable_x64(True):
        data = rare(tumours)
        weights = jo.data.class_weights(data)
        x, y = data.train.x, data.train.y
        np.testing.assert_array_equal(
            weights, compute_class_weight("balanced", classes=np.array([0, 1]), y=y)
        )
        recalls = []
        for ours, theirs in (((1.0, 1.0), None), (weights, "balanced")):
            experiment = dataclasses.replace(
                logistic(data, 1 / 0.01), loss=jo.losses.class_weighted(LOG_LOSS, ours)
            )
            run = jo.fit(experiment, 2000)
            model = LogisticRegression(
                C=0.01, class_weight=theirs, solver="newton-cholesky", tol=1e-12
            ).fit(x, y)
            np.testing.assert_allclose(run.params["w"], model.coef_[0], atol=1e-6)
            np.testing.assert_allclose(run.params["b"], model.intercept_[0], atol=1e-6)
            guess = np.asarray(run.apply(data.validation.x)) > 0
            recalls.append(recall_score(data.validation.y, guess, pos_label=0))
            assert recalls[-1] == recall_score(
                data.validation.y, model.predict(data.validation.x), pos_label=0
            )
    assert recalls[1] > recalls[0] + 0.05


def test_balanced_batches_hold_every_class_equally_and_use_every_row():
    labels = np.repeat([2, 0, 1], [40, 3, 10])
    draw = jax.jit(lambda t, n: jo.data.balanced_indices(jax.random.key(1), t, n, 12, labels, 3))
    rows = np.stack([draw(t, 53) for t in range(30)])
    assert (np.sort(labels[rows], 1) == np.repeat([0, 1, 2], 4)).all()
    for k, size in ((0, 3), (1, 10), (2, 40)):
        mine = rows[labels[rows] == k]
        assert len(np.unique(mine)) == size
        epoch = mine[: len(mine) // size * size].reshape(-1, size)
        assert (np.sort(epoch, 1) == np.flatnonzero(labels == k)).all()  # each once an epoch
    assert draw(0, 50).max() < 50  # rows from n on are padding


def recall_of_malignant(predictions, targets, weights=None):
    return jo.metrics.recall(-predictions, 1 - targets, weights)


def test_balanced_training_helps_a_rare_class_on_folds(tumours):
    with jax.enable_x64(True):
        x, y = tumours.pool
        scarce = np.flatnonzero((y == 1) | (np.cumsum(y == 0) <= 30))
        folds = [(rows, np.setdiff1d(np.arange(len(y)), rows)) for rows in (scarce, scarce[:300])]
        balanced = jo.Training(
            model=jo.models.Linear(30), loss=LOG_LOSS, optimizer=jo.sgd(0.1), data=tumours,
            batch_size=16, regularizer=jo.L2(0.2), metrics=(recall_of_malignant,), balanced=True,
        )  # fmt: skip
        found = jo.cross_validate(balanced, folds, steps=300)
    for ours, (train, held) in zip(found.scores["recall_of_malignant"], folds, strict=True):
        plain = LogisticRegression(C=1 / (0.2 * len(train))).fit(x[train], y[train])
        recall = recall_score(y[held], plain.predict(x[held]), pos_label=0)
        assert ours > recall + 0.05


def test_bad_balance_is_named(patients, tumours):
    base = jo.Training(
        model=jo.models.Linear(30), loss=LOG_LOSS, optimizer=jo.sgd(0.1), data=tumours,
        batch_size=8, balanced=True,
    )  # fmt: skip
    numbers = dataclasses.replace(ridge(patients, 1.0), batch_size=8, balanced=True)
    with jax.enable_x64(True):
        for experiment in (dataclasses.replace(base, batch_size=None), numbers):
            with pytest.raises(ValueError, match="balanced: wanted batches"):
                jo.fit(experiment, 1)
        malignant = np.flatnonzero(tumours.pool.y == 0)
        with pytest.raises(ValueError, match="class 1 has no example to train on"):
            jo.fit(base.folded([(malignant[:-1], malignant[-1:])] * 2).fold(0), 1)
    private = dataclasses.replace(base, estimator=jo.Private(1.0, 1.0))
    with pytest.raises(ValueError, match="balanced: a private training"):
        private.check()
    for data, error, message in (
        ([0.5], TypeError, "labels of float64"),
        ([0, 2], ValueError, "class 1 has no example"),
        ([-1, 0], ValueError, "labels: -1 is no class"),
        (patients, ValueError, "data: a regression has no classes"),
    ):
        with pytest.raises(error, match=message):
            jo.data.class_weights(data)


# ------------------------------------------------------------------------------------- features


def test_the_l1_path_is_the_lasso_s(patients):
    with jax.enable_x64(True):
        y = (patients.train.y - patients.train.y.mean()) / patients.train.y.std()
        x = patients.train.x - patients.train.x.mean(0)
        data = jo.data.from_arrays(x, y, validation=0, test=0, prepare=None)
        experiment = jo.Training(
            model=jo.models.Linear(10), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.2), data=data
        )
        penalties = np.logspace(0, -2, 12)
        path = jo.l1_path(experiment, penalties, steps=20_000)
        with pytest.raises(ArithmeticError, match="at penalty 1.0 the training diverged"):
            jo.l1_path(dataclasses.replace(experiment, optimizer=jo.sgd(9.0)), penalties, steps=400)
    _, theirs, _ = lasso_path(data.train.x, data.train.y, alphas=penalties, tol=1e-14)
    np.testing.assert_allclose(path.params["w"], theirs.T, atol=1e-6)
    np.testing.assert_array_equal(path.norms > 0, theirs.T != 0)
    assert path.kept(0) == () and len(path.kept(11)) >= 8
    assert path.residuals.max() < 1e-8
    assert "12 penalties: 0 of 10 features at 1 to" in repr(path)


def test_the_l1_path_of_logistic_regression_keeps_the_features_of_scikit_learn(tumours):
    C = np.array([0.02, 0.05])
    with jax.enable_x64(True):
        experiment = jo.Training(
            model=jo.models.Linear(30), loss=LOG_LOSS, optimizer=jo.sgd(0.28), data=tumours
        )
        path = jo.l1_path(experiment, 1 / (C * len(tumours.pool.y)), steps=10_000)
    for i in range(2):
        theirs = LogisticRegression(
            C=C[i], l1_ratio=1, solver="saga", tol=1e-9, max_iter=100_000
        ).fit(*tumours.pool)
        np.testing.assert_array_equal(path.norms[i] > 0, theirs.coef_[0] != 0)
        np.testing.assert_allclose(path.params["w"][i], theirs.coef_[0], atol=1e-4)
    assert set(path.kept(0)) < set(path.kept(1)) and path.residuals.max() < 1e-4


def test_what_is_new_in_an_experiment_can_be_written_down():
    data = jo.data.load("breast_cancer", prepare=("standardize", jo.data.select([3, 1])))
    experiment = jo.Training(
        model=jo.models.Linear(2), data=data, optimizer=jo.sgd(0.1), batch_size=16, balanced=True,
        loss=jo.losses.class_weighted(LOG_LOSS, jo.data.class_weights(data)),
        regularizer=jo.prior(jo.proximal(jo.L1(0.1))),
    )  # fmt: skip
    assert list(jo.hyperparameters(experiment)) == [
        "loss.0", "loss.1", "optimizer.learning_rate", "regularizer.weight",
    ]  # fmt: skip
    pairs = [(range(100), range(100, 200)), (range(50), range(90, 200))]
    for one in (experiment, experiment.folded(pairs), experiment.folded(3)):
        again = rebuild(json.loads(json.dumps(describe(one))))
        assert again == one and again.data == one.data
        assert hash(again) == hash(one)


def test_several_outputs_are_grouped_and_selections_can_be_loaded():
    data = jo.data.load("wine")
    experiment = jo.Training(
        model=jo.models.Linear(13, 3), data=data, optimizer=jo.sgd(0.3),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    )  # fmt: skip
    path = jo.l1_path(experiment, [0.1, 0.01], steps=1500)
    few, many = map(set, map(path.kept, (0, 1)))
    assert few < many and path.scores["accuracy"].shape == (2,)
    run = jo.fit(experiment, 300)
    ranking = jo.rank_features(run, seed=1)
    assert set(ranking.kept(3)) & few and "FeatureRanking(" in repr(ranking)
    columns = path.columns(0)
    fewer = jo.data.load("wine", prepare=("standardize", jo.data.select(columns)))
    assert fewer.features == path.kept(0)
    np.testing.assert_array_equal(fewer.train.x, data.train.x[:, list(columns)])
    again = jo.data.load(**jo.data.source_to_json(fewer.source))
    assert again == fewer and again.features == fewer.features
    with pytest.raises(ValueError, match="unknown split 'valid'; did you mean 'validation'"):
        jo.rank_features(run, split="valid")
    with pytest.raises(ValueError, match="k = 14: wanted 1 to 13"):
        ranking.columns(14)


@pytest.mark.parametrize(
    ("change", "penalties", "error", "message"),
    [
        ({"regularizer": jo.L2(0.1)}, [1.0], ValueError, "wanted none with a regularizer"),
        ({"optimizer": jo.adam(0.1)}, [1.0], ValueError, "wanted sgd without momentum"),
        ({"optimizer": jo.sgd(0.1, 0.9)}, [1.0], ValueError, "wanted sgd without momentum"),
        ({"model": jo.models.MLP((1, 2, 1))}, [1.0], TypeError, "wanted a Training of a Linear"),
        ({}, [], ValueError, "wanted a list of numbers"),
        ({}, [-1.0], ValueError, "wanted a list of numbers"),
    ],
)
def test_bad_paths_are_named(change, penalties, error, message):
    line = jo.Training(
        model=jo.models.Linear(1), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.1),
        data=jo.data.load("linear"),
    )  # fmt: skip
    with pytest.raises(error, match=message):
        jo.l1_path(dataclasses.replace(line, **change), penalties, steps=40)


def test_bad_selections_are_named():
    for columns in ([], [-1], [0, 0]):
        with pytest.raises(ValueError, match="columns = .*: wanted different numbers"):
            jo.data.select(columns)
    with pytest.raises(ValueError, match="select: column 3 of a table with 1 columns"):
        jo.data.load("linear", prepare=jo.data.select([3]))
