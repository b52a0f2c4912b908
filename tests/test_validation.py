"""Validation against scikit-learn: the same models, folds, weights and features."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge, RidgeCV, lasso_path
from sklearn.metrics import recall_score
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneOut,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.utils.class_weight import compute_class_weight

import jaxopt_edu as jo

LOG_LOSS = jo.losses.sigmoid_binary_cross_entropy


@pytest.fixture(scope="module")
def tumours():
    """All of breast cancer, standardized beforehand; nothing held out."""
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
            found = jo.cross_validate(ridge(patients, 5.0), folds, steps=400)
            theirs = cross_val_score(
                Ridge(5.0, tol=1e-12), *pool, cv=folds, scoring="neg_mean_squared_error"
            )
            np.testing.assert_allclose(found.scores["loss"], -theirs, rtol=1e-6)
            assert len(found) == len(folds)
        closed = jo.ridge_leave_one_out(*pool, 5.0)
        np.testing.assert_allclose(closed.errors**2, -theirs, rtol=1e-9)


def test_stratified_scores_are_those_of_scikit_learn(tumours):
    with jax.enable_x64(True):
        folds = list(StratifiedKFold(3).split(*tumours.pool))
        found = jo.cross_validate(logistic(tumours, 1 / 0.01), folds, steps=1000)
        model = LogisticRegression(C=0.01, solver="newton-cholesky", tol=1e-12)
        for name, scoring, sign in (("loss", "neg_log_loss", -1), ("accuracy", "accuracy", 1)):
            theirs = cross_val_score(model, *tumours.pool, cv=folds, scoring=scoring)
            np.testing.assert_allclose(found.scores[name], sign * theirs, atol=1e-6)
    assert repr(found).startswith("CrossValidation(3 folds: loss 0.")
    mean, low, high = found.interval("accuracy")
    assert low < mean < high and mean == found.means["accuracy"]


def test_the_grid_search_of_scikit_learn_as_one_program(tumours):
    """20 penalties x 5 folds, full batch, scored by log loss."""
    C = np.logspace(-4, 0, 20)
    with jax.enable_x64(True):
        dealt = jo.data.k_fold(tumours, 5).pairs()
        space = logistic(tumours, jo.choice((1 / C).tolist()))
        study = jo.sweep(space, 20, sampler="grid", folds=dealt, steps=3000, eval_every=3000)
        theirs = GridSearchCV(
            LogisticRegression(solver="newton-cholesky", tol=1e-12), {"C": C},
            scoring="neg_log_loss", cv=dealt,
        ).fit(*tumours.pool)  # fmt: skip
    assert study.info["compilations"]["engine"] <= 3 and study.diverged == 0
    order = np.argsort(-study.columns["regularizer.weight"])
    scores = study.finals["validation_loss"][order]
    splits = [theirs.cv_results_[f"split{k}_test_score"] for k in range(5)]
    np.testing.assert_allclose(scores, -np.stack(splits, 1), atol=1e-6, rtol=0)
    best = 1 / study.hyperparameters()["regularizer.weight"]
    np.testing.assert_allclose(best, theirs.best_params_["C"], rtol=1e-12)


def test_a_fold_alone_is_its_lane_and_the_smallest_is_checked(patients):
    with jax.enable_x64(True):
        experiment = dataclasses.replace(ridge(patients, 5.0), batch_size=16)
        folds = [(range(40), range(40, 61)), (range(20, 61), range(20))]
        found = jo.cross_validate(experiment, folds, steps=30, tile=1)
        alone = jo.fit(experiment.folded(folds).fold(1), 30)
        assert alone.evaluate()["loss"] == pytest.approx(found.scores["loss"][1], rel=1e-9)
        assert found.overlap == pytest.approx((21 / 40 + 20 / 41) / 2)
        with pytest.raises(ValueError, match="batch_size = 41: wanted 1 to 40"):
            jo.cross_validate(dataclasses.replace(experiment, batch_size=41), folds, steps=1)


def test_given_folds_are_kept_by_a_store_and_a_description(tmp_path):
    space = jo.Training(
        model=jo.models.Linear(13, 3), data=jo.data.load("wine"),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.sgd(jo.log_uniform(0.01, 0.1)),
    )  # fmt: skip
    folds = list(KFold(3).split(space.data.pool.x))
    study = jo.sweep(space, 2, steps=4, folds=folds, store=tmp_path / "s")
    loaded = jo.load_study(tmp_path / "s")
    assert loaded.best.data == study.best.data == jo.data.k_fold(space.data, folds)
    assert loaded.best.data != jo.data.k_fold(space.data, folds[::-1])
    assert repr(loaded.best.data).startswith("k_fold(load('wine', seed=0), 3 given, ")
    inner = jo.data.k_fold(loaded.best.data.at(0), 2)  # folds of a fold
    np.testing.assert_array_equal(np.sort(inner.pool.y), np.sort(space.data.pool.y))


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
            jo.cross_validate(ridge(patients, jo.uniform(0.0, 1.0)), steps=1)
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
    assert jo.ridge_leave_one_out(jnp.asarray(x), y, 0.5).errors.dtype == jnp.float32


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
            guess = np.asarray(run.predict(data.validation.x)) > 0
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


def test_balanced_training_helps_a_rare_class_and_runs_on_folds(tumours):
    with jax.enable_x64(True):
        data = rare(tumours)
        experiment = jo.Training(
            model=jo.models.Linear(30), loss=LOG_LOSS, optimizer=jo.sgd(0.1), data=data,
            batch_size=16, regularizer=jo.L2(0.2),
        )  # fmt: skip
        recalls = []
        for balanced in (False, True):
            run = jo.fit(dataclasses.replace(experiment, balanced=balanced), 300)
            guess = np.asarray(run.predict(data.validation.x)) > 0
            recalls.append(recall_score(data.validation.y, guess, pos_label=0))
        assert recalls[1] > recalls[0] + 0.05
        found = jo.cross_validate(dataclasses.replace(experiment, balanced=True), 3, steps=20)
        assert np.isfinite(found.scores["loss"]).all()


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
        with pytest.raises(ValueError, match="class 1 has no example to train on"):
            jo.fit(base.folded([(np.flatnonzero(tumours.pool.y == 0), [0])] * 2).fold(0), 1)
    private = jo.privacy.PrivateTraining(
        **{f.name: getattr(base, f.name) for f in dataclasses.fields(base)},
        max_norm=1.0, noise_multiplier=1.0,
    )  # fmt: skip
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
    _, theirs, _ = lasso_path(data.train.x, data.train.y, alphas=penalties, tol=1e-14)
    np.testing.assert_allclose(path.params["w"], theirs.T, atol=1e-6)
    np.testing.assert_array_equal(path.norms > 0, theirs.T != 0)
    assert path.kept(0) == () and len(path.kept(11)) >= 8
    assert "12 penalties: 0 of 10 features at 1 to" in repr(path)


def test_several_outputs_are_grouped_and_selections_train(tmp_path):
    data = jo.data.load("wine")
    experiment = jo.Training(
        model=jo.models.Linear(13, 3), data=data, optimizer=jo.sgd(0.3),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    )  # fmt: skip
    path = jo.l1_path(experiment, [0.1, 0.01], steps=1500)
    few, many = map(set, map(path.kept, (0, 1)))
    assert few < many and path.scores["accuracy"].shape == (2,)
    ranking = jo.rank_features(jo.fit(experiment, 300), seed=1)
    assert set(ranking.kept(3)) & few and "FeatureRanking(" in repr(ranking)
    columns = path.columns(0)
    fewer = jo.data.load("wine", prepare=("standardize", jo.data.select(columns)))
    assert fewer.features == path.kept(0)
    np.testing.assert_array_equal(fewer.train.x, data.train.x[:, list(columns)])
    again = jo.data.load(**jo.data.source_to_json(fewer.source))
    assert again == fewer and again.features == fewer.features
    small = dataclasses.replace(experiment, data=fewer, model=jo.models.Linear(len(columns), 3))
    assert jo.fit(small, 200).evaluate("validation")["accuracy"] > 0.85


@pytest.mark.parametrize(
    ("change", "penalties", "error", "message"),
    [
        ({"regularizer": jo.L2(0.1)}, [1.0], ValueError, "wanted none with a regularizer"),
        ({"optimizer": jo.adam(0.1)}, [1.0], ValueError, "wanted sgd without momentum"),
        ({"optimizer": jo.sgd(0.1, 0.9)}, [1.0], ValueError, "wanted sgd without momentum"),
        ({"model": jo.models.MLP((1, 2, 1))}, [1.0], TypeError, "wanted a Training of a Linear"),
        ({}, [], ValueError, "wanted a list of numbers"),
        ({}, [-1.0], ValueError, "wanted a list of numbers"),
        ({"optimizer": jo.sgd(1e30)}, [1.0], ArithmeticError, "at penalty 1.0 the training div"),
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
    line = jo.Training(
        model=jo.models.Linear(1), loss=jo.losses.l2_loss, optimizer=jo.sgd(0.1),
        data=jo.data.load("linear"),
    )  # fmt: skip
    run = jo.fit(line, 5)
    with pytest.raises(ValueError, match="unknown split 'valid'; did you mean 'validation'"):
        jo.rank_features(run, split="valid")
    with pytest.raises(ValueError, match="k = 2: wanted 1 to 1"):
        jo.rank_features(run).columns(2)
    for columns in ([], [-1], [0, 0]):
        with pytest.raises(ValueError, match="columns = .*: wanted different numbers"):
            jo.data.select(columns)
    with pytest.raises(ValueError, match="select: column 3 of a table with 1 columns"):
        jo.data.load("linear", prepare=jo.data.select([3]))
