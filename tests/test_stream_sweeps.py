"""Sweeps over a stream of batches: all trials see the same ones, interrupted or not."""

import itertools

import numpy as np
import pytest

import jaxopt_edu as jo

IRIS = jo.data.load("iris")
SPACE = jo.Training(
    model=jo.models.Linear(4, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(jo.log_uniform(1e-2, 1.0)), data=IRIS,
)  # fmt: skip


def batches():
    """Five batches of one size and a smaller one."""
    return [(IRIS.train.x[i : i + 16], IRIS.train.y[i : i + 16]) for i in range(0, 90, 16)]


def sweep(store=None, **more):
    given = {"steps": 40, "tile": 2, "batches": batches, "eval_every": 5, "store": store}
    return jo.sweep(SPACE, 5, **given | more)


@pytest.fixture(scope="module")
def study():
    return sweep()


def same(x, y):
    for name in x.curves:
        np.testing.assert_array_equal(x.curves[name], y.curves[name])
    for name in ("status", "steps", "validation_loss", "test_accuracy"):
        assert x.columns[name].tolist() == y.columns[name].tolist()


def test_each_trial_is_a_fit_on_the_same_batches(study):
    for trial in range(5):
        run = jo.fit(study.experiment(trial), 40, batches=batches, tile=2, eval_every=5)
        np.testing.assert_array_equal(run.history["loss"], study.curves["loss"][trial])
        assert run.evaluate("test")["loss"] == study.row(trial)["test_loss"]
    with pytest.raises(ValueError, match="rerun: the trials saw a stream"):
        study.rerun(0)
    with pytest.raises(ValueError, match="confirm: the trials saw a stream"):
        study.confirm()


@pytest.mark.parametrize("when", [1, 7, 12])
def test_an_interrupted_one_goes_on_to_the_same_study(when, study, tmp_path, monkeypatch):
    """Wherever it stops: what is read again is the set of tiles that are at one step."""
    from jaxopt_edu.search import driver, store

    def interrupted(tiles, settings, until, feed):
        for tile in run_tiles(tiles, settings, until, feed=feed):
            yield tile
            if next(count) == when:
                raise KeyboardInterrupt

    count, run_tiles = itertools.count(), driver.run_tiles
    with monkeypatch.context() as broken:
        broken.setattr(store, "LANES_EVERY", 0.0)  # every evaluation is kept
        broken.setattr(driver, "run_tiles", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path)
    same(sweep(tmp_path), study)


@pytest.mark.parametrize("when", [3, 8, 13])
def test_a_set_of_tiles_that_is_not_complete_is_not_read(when, study, tmp_path, monkeypatch):
    """As where a process is killed between two files."""
    from jaxopt_edu.engine import checkpoint
    from jaxopt_edu.search import store

    def killed(path, arrays):
        if "lanes" in str(path) and next(count) == when:
            raise SystemExit
        write(path, arrays)

    count, write = itertools.count(), checkpoint.write_arrays
    with monkeypatch.context() as broken:
        broken.setattr(store, "LANES_EVERY", 0.0)
        broken.setattr(checkpoint, "write_arrays", killed)
        with pytest.raises(SystemExit):
            sweep(tmp_path)
    same(sweep(tmp_path), study)


def test_rungs_and_learning_samplers_begin_where_they_left_or_anew(study, tmp_path):
    halved = sweep(rungs=jo.halving(3, first=10))
    went = halved.finished()
    assert 0 < len(went) < 5
    for trial in went:
        np.testing.assert_array_equal(
            halved.curves["loss"][trial][:2], study.curves["loss"][trial][:2]
        )
    pytest.importorskip("optuna")
    asked = sweep(sampler=jo.optuna("random", batch=2))
    run = jo.fit(asked.experiment(4), 40, batches=batches, tile=2, eval_every=5)
    np.testing.assert_array_equal(run.history["loss"], asked.curves["loss"][4])
