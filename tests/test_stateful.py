"""Models with state go through all that a training goes through: the engine, files, finders."""

import dataclasses
import functools
import importlib
import itertools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import stateful
from children import ROOT, TOLD
from jax import random
from optax.contrib import schedule_free_sgd
from stateful import DATA, SOFTMAX, Noisy, Normed, close, ready, same, training

import jaxopt_edu as jo
from jaxopt_edu.storage.archive import read_archive, write_archive
from jaxopt_edu.train.calling import mixes_rows
from jaxopt_edu.values import keys

pytestmark = pytest.mark.usefixtures("compiled_quickly")

SPACE = training(learning_rate=jo.log_uniform(0.01, 0.3))
GIVEN = {"steps": 8, "eval_every": 2, "progress": False}
X, Y = np.asarray(DATA.test.x), np.asarray(DATA.test.y)


@pytest.fixture(scope="module")
def run():
    return jo.fit(training(), 8)


@pytest.fixture(scope="module")
def study():
    return jo.sweep(SPACE, trials=6, tile=4, seeds=2, **GIVEN)


@jax.jit
@functools.partial(jax.value_and_grad, has_aux=True)
def gradient(params, state, x, y, noise=0.1):
    """(loss, state), gradient"""
    out, new = Normed(noise).apply(params, state, x, random.key(0))
    return jnp.mean(SOFTMAX(out, y)), new


def loop(steps):
    """(params, model_state) after the same steps, written by hand."""
    params, state = Normed().init(keys.weights(0))
    velocity = jax.tree.map(np.zeros_like, params)
    for t in range(steps):
        rows = jo.data.batch_indices(keys.batch(keys.order(0)), t, len(DATA.train.y), 12)
        (_, state), g = gradient(params, state, DATA.train.x[rows], DATA.train.y[rows])
        velocity = jax.tree.map(lambda v, g: 0.9 * v + g, velocity, g)
        params = jax.tree.map(lambda p, v: p - 0.1 * v, params, velocity)
    return params, state


# ---------------------------------------------------------------------------------- the engine


def test_a_fit_is_a_loop(run):
    close(ready(run), loop(8))
    state = run.state.model_state
    assert state["passes"] == 8 and state["kept"].tolist() == [True, True, False]
    assert str(random.key_impl(state["other"])) == "rbg"


def test_a_trial_of_a_sweep_is_its_fit(study):
    for trial in (1, 4):
        alone = jo.fit(study.experiment(trial), 8, seed=study.repeats[1][0])
        again = study.rerun(trial, repeat=1)
        close(ready(again), ready(alone), 1e-5)
        assert again.state.model_state["passes"] == 8
    assert np.isfinite(study.confirm(2, seeds=2).columns["validation_loss"]).all()


def test_a_lane_that_ended_keeps_its_state():
    study = jo.sweep([training(learning_rate=rate) for rate in (1e30, 0.1)], tile=4, **GIVEN)
    assert study.columns["status"].tolist() == ["diverged", "finished"]
    end = study.rerun(0)
    assert end.state.model_state["passes"] == end.steps < 8
    close(ready(study.rerun(1)), loop(8))


def test_patience_keeps_the_state_of_the_best_evaluation():
    patient = jo.fit(training(learning_rate=3.0), 40, patience=2, eval_every=2)
    best = patient.history["step"][np.argmin(patient.history["loss"])]
    assert patient.status == "stopped early" and best < patient.steps
    assert patient.state.model_state["passes"] == best
    close(ready(patient), ready(jo.fit(training(learning_rate=3.0), int(best))))


def test_a_fit_that_was_interrupted_goes_on_bit_for_bit(tmp_path, monkeypatch):
    module = importlib.import_module("jaxopt_edu.engine.fitting")
    count, run_tiles = itertools.count(), module.run_tiles

    def interrupted(*args, **given):
        for tile in run_tiles(*args, **given):
            yield tile
            if next(count) == 1:
                raise KeyboardInterrupt

    whole = jo.fit(training(), 8, eval_every=2)
    monkeypatch.setattr(module, "run_tiles", interrupted)
    part = jo.fit(training(), 8, eval_every=2, store=tmp_path)
    assert part.status == "interrupted" and part.steps == 4
    monkeypatch.undo()
    same(jo.fit(training(), 8, eval_every=2, store=tmp_path).state, whole.state)


def test_populations_copy_states_and_a_store_keeps_them(tmp_path):
    given = {"trials": 6, "tile": 4, "steps": 12, "rungs": jo.population(every=4)}
    study = jo.sweep(SPACE, store=tmp_path, eval_every=4, progress=False, **given)
    moved = [i for i in range(6) if len(study.lineage(i)) > 1]
    assert moved
    again = study.rerun(moved[0])
    assert again.state.model_state["passes"] == 12  # its own or its parent's, never both
    loaded = jo.load_study(tmp_path, space=SPACE)
    close(ready(loaded.rerun(moved[0])), ready(again), 0)


def test_folds_have_states_of_their_own():
    study = jo.sweep(SPACE, trials=2, folds=3, tile=4, **GIVEN)
    assert np.isfinite(study.columns["validation_loss"]).all()
    first, second = (study.rerun(0, repeat=k).state.model_state["mean"] for k in (0, 1))
    assert not np.allclose(first, second)
    with pytest.raises(ValueError, match=r"model = Normed.* mixes examples.*wants a batch_size"):
        jo.cross_validate(training(batch_size=None), folds=5, steps=2)  # 48 rows


def test_the_hypergradient_goes_through_the_statistics(run):
    score, slopes = jo.hypergradient(training(), 8)
    assert float(score) == pytest.approx(run.scores["validation"]["loss"], 1e-5)
    low, high = (jo.fit(training(learning_rate=rate), 8) for rate in (0.095, 0.105))
    difference = high.scores["validation"]["loss"] - low.scores["validation"]["loss"]
    assert float(slopes.optimizer.learning_rate) == pytest.approx(difference / 0.01, 1e-2)


def test_a_mesh_takes_random_keys_in_the_state(run, tmp_path):
    mesh = jax.make_mesh((1,), ("data",))
    given = {"mesh": mesh, "store": tmp_path, "patience": 9, "eval_every": 4}
    first = jo.fit(training(), 8, **given)
    close(ready(first), ready(run))
    same(jo.fit(training(), 8, **given).state, first.state)


@pytest.mark.slow
def test_meshes_of_four_and_eight_equal_one_device():
    told = {"XLA_FLAGS": "--xla_force_host_platform_device_count=8", "JAX_PLATFORMS": "cpu"}
    out = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "stateful.py")], env=os.environ | TOLD | told,
        capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert out.returncode == 0, out.stderr[-3000:]
    assert out.stdout.split("\n")[:-1] == [*stateful.MESHED, "a sweep"]


# ---------------------------------------------------------------------------------- estimators


@functools.cache
def start(model):
    return jax.jit(training(model, batch_size=12).init)(keys.weights(0))


def after_one_step(experiment):
    step = jax.jit(lambda state: experiment.step(state, jnp.int32(0), keys.order(0))[0])
    begin = start(experiment.model)
    memory = experiment.optimizer.init(begin.params)
    return step(begin._replace(optimizer=memory))


def test_in_parts_the_state_is_that_of_the_whole_batch():
    plainly = after_one_step(training())
    parts = after_one_step(training(estimator=jo.InParts(3)))
    close(parts.model_state, plainly.model_state)
    with pytest.raises(ValueError, match=r"InParts: parts = 5: 12 rows want padding.*Normed"):
        jo.fit(training(estimator=jo.InParts(5)), 2)


def federated(clients, model=None, **more):
    estimator = jo.Federated(jo.federated.Clients.of(clients), jo.sgd(0.1), **more)
    return dataclasses.replace(
        training(model, batch_size=None, estimator=estimator), optimizer=jo.sgd(1.0)
    )


def alone(params, state, rows, key, width):
    """(params, model_state) of a client of four or eight examples after an epoch, by hand."""
    order_key, _ = random.split(random.split(key, 1)[0])
    coins = random.uniform(order_key, (width,))
    order = np.argsort(np.where(np.arange(width) < len(rows), coins, 2.0))
    for first in range(0, len(rows), 4):
        own = np.asarray(rows)[order[first : first + 4]]
        (_, state), g = gradient(params, state, DATA.train.x[own], DATA.train.y[own], 0.0)
        params = jax.tree.map(lambda p, g: p - 0.1 * g, params, g)
    return params, state


def test_clients_average_floats_and_keep_the_rest():
    clients = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11, 12, 13, 14, 15]]
    after = after_one_step(federated(clients, model=Normed(0.0), batch_size=4))
    before, new = start(Normed(0.0)), after.model_state
    old = before.model_state
    local = keys.federated(keys.order(0), 0).local
    found = [
        alone(before.params, old, rows, random.fold_in(local, k), 8)
        for k, rows in enumerate(clients)
    ]
    for name in ("mean", "var"):
        weighted = [len(rows) * end[1][name] for rows, end in zip(clients, found, strict=True)]
        np.testing.assert_allclose(new[name], sum(weighted) / 16, 1e-6, 1e-6)
    weighted = [len(rows) * end[0]["w"] for rows, end in zip(clients, found, strict=True)]
    np.testing.assert_allclose(after.params["w"], sum(weighted) / 16, 1e-6, 1e-6)
    kept = ("key", "other", "kept", "passes")
    same([new[name] for name in kept], [old[name] for name in kept])


@pytest.mark.parametrize("more", [{"max_norm": 1.0}, {"secure": jo.federated.SecureSum(2)}])
def test_a_state_is_not_handed_over_in_secret(more):
    with pytest.raises(ValueError, match="model: it has a state.*not with max_norm or secure"):
        jo.fit(federated([[0, 1], [2, 3]], **more), 1)


def test_padding_is_not_mixed_in():
    with pytest.raises(ValueError, match=r"model = Normed.* mixes.*fewer than 3.*divides"):
        jo.fit(federated([[0, 1, 2], [3, 4]]), 1)
    short = [(DATA.train.x[i:j], DATA.train.y[i:j]) for i, j in ((0, 12), (12, 20))]
    with pytest.raises(ValueError, match="batches: one of 8 rows, where all are to have 12: the"):
        jo.fit(training(batch_size=None), 2, batches=short)


@pytest.mark.slow
def test_streams_of_full_batches_and_of_models_that_mix_nothing():
    full = (DATA.train.x[:12], DATA.train.y[:12])
    short = (DATA.train.x[:8], DATA.train.y[:8])
    assert jo.fit(training(Noisy(), batch_size=None), 2, batches=[full, short]).steps == 2
    assert jo.fit(training(batch_size=None), 2, batches=[full, full]).steps == 2
    sharp = after_one_step(training(estimator=jo.Sharpness(0.1)))
    close(sharp.model_state, after_one_step(training()).model_state)


def test_a_model_that_mixes_no_examples_is_trained_privately():
    with pytest.raises(ValueError, match=r"model = Normed.* mixes examples, as BatchNorm does"):
        jo.fit(training(estimator=jo.Private(1.0, 1.0)), 1)
    private = training(Noisy(), estimator=jo.Private(1e6, 0.0), batch_size=None)
    new = after_one_step(private)
    plainly = after_one_step(training(Noisy(), batch_size=None))
    close((new.params, new.model_state), (plainly.params, plainly.model_state))
    assert new.model_state["passes"] == 1


# --------------------------------------------------------------------------------------- files


def test_a_file_holds_the_state(run, tmp_path):
    run.save(tmp_path / "model.jo")
    with pytest.raises(ValueError, match=r"model was stateful.Normed, which .*model="):
        jo.load_model(tmp_path / "model.jo")
    found = jo.load_model(tmp_path / "model.jo", model=Normed())
    same((found.params, found.model_state), ready(run))
    for rows in (X, "test"):
        answer = run.predict(rows, prepared=None if isinstance(rows, str) else True)
        np.testing.assert_array_equal(found.predict(X, prepared=True), answer)
    np.testing.assert_array_equal(found.predict_proba(X, prepared=True), run.predict_proba("test"))
    close(found.apply(X), run.apply(X))
    scores = {name: pytest.approx(x, 1e-6) for name, x in run.evaluate("test").items()}
    assert found.evaluate(X, Y, prepared=True) == run.evaluate(X, Y, prepared=True) == scores
    with pytest.raises(ValueError, match="holds the params of another model"):
        jo.load_model(tmp_path / "model.jo", model=Noisy())


def test_older_files_are_read_and_newer_ones_refused(tmp_path):
    linear = jo.fit(training(jo.models.Linear(4, 3)), 2)
    linear.save(tmp_path / "new.jo")
    content, arrays = read_archive(tmp_path / "new.jo")
    assert content["format"] == 2 and content.pop("model_state") == []
    write_archive(tmp_path / "old.jo", content | {"format": 1}, arrays)
    found = jo.load_model(tmp_path / "old.jo")
    np.testing.assert_array_equal(found.predict(X, prepared=True), linear.predict("test"))
    write_archive(tmp_path / "newer.jo", content | {"format": 3}, arrays)
    with pytest.raises(ValueError, match="has format 3: this version reads 1 to 2"):
        jo.load_model(tmp_path / "newer.jo")


def test_averaged_params_predict_with_the_state(tmp_path):
    averaged = dataclasses.replace(training(), optimizer=jo.from_optax(schedule_free_sgd, 0.05))
    run = jo.fit(averaged, 8)
    params = jo.eval_params(averaged.optimizer, run.state.optimizer, run.state.params)
    out, _ = Normed().apply(params, run.state.model_state, X)
    close(run.apply(X), out)
    run.save(tmp_path / "model.jo")
    close(jo.load_model(tmp_path / "model.jo", model=Normed()).apply(X), out)
    assert run.evaluate(X, Y, prepared=True)["loss"] == pytest.approx(
        run.scores["test"]["loss"], 1e-6
    )


# ------------------------------------------------------- what looks at models, and what trains


def test_what_looks_at_a_model_knows_its_state(run):
    losses = SOFTMAX(run.apply(np.asarray(DATA.train.x)), DATA.train.y)
    numbers = jo.diagnose(run).numbers
    assert numbers["train_loss"] == pytest.approx(float(jnp.mean(losses)), 1e-5)
    ranking = jo.rank_features(run, repeats=2)
    assert np.isfinite(ranking.mean).all() and ranking.mean.any()
    found = jo.explain.integrated_gradients(lambda x: run.apply(x)[:, 0], X[:2], X[3])
    total = run.apply(X[:2])[:, 0] - run.apply(X[3:4])[:, 0]
    np.testing.assert_allclose(found.attributions.sum(1), total, atol=2e-3)


def test_what_trains_models_trains_these():
    rates = jo.find_learning_rate(training(), 8, rates=4, low=1e-3, progress=False)
    assert 1e-3 <= rates.suggested <= 10
    halved = jo.sweep(SPACE, trials=4, tile=4, rungs=jo.halving(2, 4), **GIVEN)
    assert (halved.columns["status"] == "stopped").any()


@pytest.mark.slow
def test_more_that_trains_these_models(study):
    checked = study.rerun(0, debug=True)
    close(ready(checked), ready(study.rerun(0)), 1e-5)
    assert jo.cross_validate(training(), folds=3, steps=2).scores["loss"].shape == (3,)
    tuned = jo.tune(SPACE, 4, updates=2, starts=2, progress=False)
    assert np.isfinite(tuned.best_score)
    study = jo.sweep(
        training(Noisy(), estimator=jo.Private(1.0, jo.uniform(0.5, 2.0))), trials=3, **GIVEN
    )
    assert np.isfinite(study.columns["validation_loss"]).all()


def test_an_experiment_of_ones_own_says_where_the_state_is(run):
    class Own(jo.Experiment):
        model, loss, data = Normed(), SOFTMAX, DATA

    state = dataclasses.make_dataclass("State", ["params"])(run.params)
    odd = dataclasses.replace(run, experiment=Own(), state=state)
    for use in (odd.apply, lambda x: odd.predict(x, prepared=True)):
        with pytest.raises(TypeError, match=r"model = .*wanted it as the field model_state .* Own"):
            use(X)


@pytest.mark.parametrize(("rows", "mixes"), [(1, False), (2, True), (9, True)])
def test_one_example_is_mixed_with_no_other(rows, mixes):
    x = np.asarray(DATA.train.x[:rows])
    y = x[:, 0]
    part = jo.data.from_arrays(x, y, validation=(x, y), test=0, task="regression", prepare=None)
    assert mixes_rows(dataclasses.replace(training(batch_size=None), data=part)) == mixes
    assert not mixes_rows(dataclasses.replace(training(Noisy(), batch_size=None), data=part))
