"""`fit` against solvers that professionals trust, and its ways of stopping."""

import dataclasses
import importlib
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso
from sklearn.svm import LinearSVC

import jaxopt_edu as jo
from jaxopt_edu.engine import collectives
from jaxopt_edu.engine.fitting import FitDriver


def full_batch(model, loss, optimizer, data, **more):
    return jo.Training(model=model, loss=loss, optimizer=optimizer, data=data, **more)


def test_sgd_reaches_the_least_squares_line():
    with jax.enable_x64(True):
        data = jo.data.load("linear", seed=0)
        line = full_batch(jo.models.Linear(1), jo.losses.squared_error, jo.sgd(0.1), data)
        run = jo.fit(line, 2000)
        x = np.column_stack([data.train.x, np.ones(len(data.train.y))])
        w, b = np.linalg.lstsq(x, data.train.y, rcond=None)[0]
    np.testing.assert_allclose(run.params["w"], [w], atol=1e-5)
    np.testing.assert_allclose(run.params["b"], b, atol=1e-5)


def test_l1_by_proximal_steps_is_the_lasso_with_exact_zeros():
    alpha = 0.05
    with jax.enable_x64(True):
        data = jo.data.load("diabetes", seed=0)
        y = (data.train.y - data.train.y.mean()) / data.train.y.std()
        part = jo.data.from_arrays(
            data.train.x, y, validation=(data.test.x, data.test.y), test=0.0, prepare=None
        )
        experiment = full_batch(
            jo.models.Linear(10), jo.losses.l2_loss, jo.sgd(0.2), part,
            regularizer=jo.proximal(jo.L1(alpha)),
        )  # fmt: skip
        run = jo.fit(experiment, 4000)
    exact = Lasso(alpha=alpha, tol=1e-12, max_iter=100_000).fit(part.train.x, part.train.y)
    w = np.asarray(run.params["w"])
    np.testing.assert_allclose(w, exact.coef_, atol=1e-4)
    assert np.sum(w == 0) == np.sum(exact.coef_ == 0) > 0


def test_hinge_and_l2_are_the_support_vector_machine():
    c = 0.01
    with jax.enable_x64(True):
        data = jo.data.load("breast_cancer", seed=0)
        x, sign = np.asarray(data.train.x), 2.0 * data.train.y - 1
        n = len(sign)
        part = jo.data.from_arrays(
            x, sign, validation=(x, sign), test=0.0, task="regression", prepare=None
        )
        rate = jo.polynomial_schedule(0.5, 0.0, 1, 20_000)
        experiment = full_batch(
            jo.models.Linear(30), jo.losses.hinge_loss, jo.sgd(rate), part,
            regularizer=jo.L2(1 / (c * n), mask={"w": True, "b": True}),
        )  # fmt: skip
        run = jo.fit(experiment, 20_000, diverge_above=1e9)
    svm = LinearSVC(C=c, loss="hinge", tol=1e-8, max_iter=1_000_000).fit(x, sign)

    def objective(w, b):
        hinge = np.maximum(0, 1 - sign * (x @ w + b)).mean()
        return hinge + (w @ w + b * b) / (2 * c * n)

    ours = objective(np.asarray(run.params["w"]), float(run.params["b"]))
    theirs = objective(svm.coef_[0], svm.intercept_[0])
    np.testing.assert_allclose(ours, theirs, rtol=1e-3)


LINE = full_batch(jo.models.Linear(1), jo.losses.squared_error, jo.sgd(0.1), jo.data.load("linear"))


def test_tol_stops_at_the_first_gradient_below_it_and_says_so():
    run = jo.fit(LINE, 10_000, tol=1e-4)
    assert run.status == "converged" and run.reason == "the gradient norm fell to tol"
    assert 10 < run.steps < 10_000
    before = jo.fit(LINE, run.steps - 1, tol=1e-4)
    assert before.status == "finished"


def test_a_store_keeps_both_curves(tmp_path):
    experiment = jo.Training(
        model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.05),
        data=jo.data.load("linear"), batch_size=8,
    )  # fmt: skip
    given = {"eval_every": 5, "train_curve": True}
    jo.fit(experiment, 10, store=tmp_path, **given)
    resumed, whole = (
        jo.fit(experiment, 20, store=tmp_path, **given),
        jo.fit(experiment, 20, **given),
    )
    for found, wanted in (
        (resumed.history, whole.history),
        (resumed.train_history, whole.train_history),
    ):
        assert found.keys() == wanted.keys() and "loss" in found
        assert all(len(wanted[name]) == 4 for name in wanted)
        for name, x in wanted.items():
            np.testing.assert_array_equal(found[name], x)


def test_patience_returns_the_best_state():
    data = jo.data.load("wine", seed=0)
    experiment = jo.Training(
        model=jo.models.MLP((13, 64, 3)),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(0.02),
        data=data,
        batch_size=64,
    )
    run = jo.fit(experiment, 4000, eval_every=20, patience=5)
    assert run.status == "stopped early" and run.steps < 4000
    assert run.history["step"][-1] == run.steps
    best = int(np.argmin(run.history["loss"]))
    assert run.evaluate("validation")["loss"] == pytest.approx(run.history["loss"][best], rel=1e-6)
    assert len(run.history["loss"]) == best + 6
    # by the same program, which is another one without patience
    short = jo.fit(experiment, int(run.history["step"][best]), eval_every=20, patience=10_000)
    assert jax.tree.all(jax.tree.map(np.array_equal, short.state, run.state))


def test_dropout_is_off_where_a_training_is_scored():
    experiment = jo.Training(
        model=jo.models.MLP((13, 16, 3), dropout=0.5),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(0.01),
        data=jo.data.load("wine", seed=0),
    )
    run = jo.fit(experiment, 20)
    x, y = experiment.data.validation
    without = dataclasses.replace(experiment.model, dropout=0.0).apply(run.params, x)
    loss = experiment.loss(without, y).mean()
    np.testing.assert_allclose(run.evaluate()["loss"], loss, rtol=1e-5)
    key = jax.random.key(0)
    dropped = experiment.model.apply(run.params, x, key=key)
    assert np.abs(dropped - run.apply(x)).max() > 0.1


def test_a_divergence_ends_a_run_and_is_said():
    run = jo.fit(dataclasses.replace(LINE, optimizer=jo.sgd(100.0)), 1000)
    assert run.status == "diverged" and run.reason == "loss above diverge_above"
    assert run.steps < 10


def test_predictions_evaluate_to_the_scores():
    run = jo.fit(LINE, 100)
    part = LINE.data.test
    mse = np.mean((np.asarray(run.apply(part.x)) - part.y) ** 2)
    np.testing.assert_allclose(run.evaluate("test")["loss"], mse, rtol=1e-6)
    with pytest.raises(ValueError, match="unknown split 'tets'; did you mean 'test'"):
        run.evaluate("tets")


def test_batches_of_one_are_the_classic_stochastic_gradient():
    """Every step follows one row, and an epoch every row once."""
    x, y = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    data = jo.data.from_arrays(x[:, None], y, validation=(x[:, None], y), test=0.0, prepare=None)
    one = full_batch(jo.models.Linear(1), jo.losses.squared_error, jo.sgd(0.05), data, batch_size=1)
    runs = [jo.fit(one, steps).params for steps in range(1, 13)]
    w, b, rows = 0.0, 0.0, []
    for params in runs:
        found = np.array([float(params["w"].squeeze()), float(params["b"].squeeze())])
        slope = 2 * (w * x + b - y)
        after = np.stack([w - 0.05 * slope * x, b - 0.05 * slope], axis=1)
        near = np.abs(after - found).max(axis=1) < 1e-6
        assert near.sum() == 1
        rows.append(int(near.argmax()))
        w, b = found
    assert sorted(rows[:6]) == sorted(rows[6:]) == list(range(6)) and rows[:6] != rows[6:]


def test_hypergradients_pass_through_a_training():
    experiment = dataclasses.replace(LINE, regularizer=jo.L2(0.1), batch_size=32)

    def loss(numbers):
        e = jo.replace(experiment, **numbers)
        key = jax.random.key(0)
        state = e.init(key)
        state = jax.lax.fori_loop(0, 5, lambda t, s: e.step(s, t, key)[0], state)
        return e.score(state, "validation")["loss"]

    with jax.enable_x64(True):
        numbers = jo.hyperparameters(experiment)
        grads = jax.jit(jax.grad(loss))(numbers)
        for name in numbers:
            up, down = (loss(numbers | {name: numbers[name] + h}) for h in (1e-6, -1e-6))
            np.testing.assert_allclose(grads[name], (up - down) / 2e-6, rtol=1e-5)


def stopped(monkeypatch, evaluations, processes=1):
    """Ctrl-C after so many evaluations of a fit."""
    module = importlib.import_module("jaxopt_edu.engine.fitting")
    run_tiles = module.run_tiles

    def run(*args, **more):
        for _, tile in zip(range(evaluations), run_tiles(*args, **more), strict=False):
            yield tile
        monkeypatch.setattr(collectives, "processes", lambda: processes)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_tiles", run)


def test_ctrl_c_gives_the_run_so_far_once_there_is_one(monkeypatch):
    stopped(monkeypatch, 2)
    part = jo.fit(LINE, 8, eval_every=2)
    assert (part.status, part.steps) == ("interrupted", 4)
    assert part.history["step"].tolist() == [2, 4]
    monkeypatch.undo()
    whole = jo.fit(LINE, 4, eval_every=2)
    assert part.scores == whole.scores and whole.status == "finished"
    stopped(monkeypatch, 0)
    with pytest.raises(KeyboardInterrupt, match="fit interrupted before its first evaluation"):
        jo.fit(LINE, 8, eval_every=2)


def test_in_a_job_of_several_processes_ctrl_c_ends_the_job(monkeypatch):
    stopped(monkeypatch, 2, processes=2)
    with pytest.raises(KeyboardInterrupt):
        jo.fit(LINE, 8, eval_every=2)


def test_a_lost_process_is_told_where_the_fit_goes_on(tmp_path):
    tile, plan = SimpleNamespace(t=6), SimpleNamespace(steps=9)
    driver = FitDriver(tile, plan, None, False)
    told = "after step 6 of 9; start all processes again: "
    assert driver._where() == told + "without store= they begin anew"
    driver.directory, driver.saved = tmp_path, 4
    assert driver._where() == told + f"from {tmp_path} they go on at step 4"


@jo.pytree
class Overflow(jo.Experiment):
    """Its state is infinite from some step on; its loss never is."""

    at: int = 5

    def init(self, key):
        return jnp.ones(())

    def step(self, state, t, key):
        return jnp.where(t + 1 >= self.at, jnp.inf, state), jo.Step(jnp.ones(()))

    def score(self, state, split):
        return {"loss": jnp.minimum(state, 2.0)}


@pytest.mark.parametrize("at", [4, 5, 6, 7])
def test_what_the_last_evaluation_of_fewer_steps_found_is_found_where_more_look(at, tmp_path):
    """Of 5 steps the last is looked at; of 9 it is none of those at which evaluations come."""
    given = {"eval_every": 4}
    short = jo.fit(Overflow(at), 5, store=tmp_path, **given)
    grown = jo.fit(Overflow(at), 9, store=tmp_path, **given)
    alone = jo.fit(Overflow(at), 9, **given)
    assert short.status == ("diverged" if at <= 5 else "finished")
    assert (grown.status, grown.steps, grown.reason) == (alone.status, alone.steps, alone.reason)
    assert grown.status == "diverged"
    assert grown.history["step"].tolist() == alone.history["step"].tolist()
