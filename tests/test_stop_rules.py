"""What ends a training, alone or in a sweep: its own word, tol, patience, divergence."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.engine.status import COMPLETE, WORDS, Status, diverged

LINE = jo.Training(
    model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
    data=jo.data.load("linear"),
)  # fmt: skip
RATES = [0.02, 0.05, 0.1, 0.3, 3.0, 0.001]  # the last but one diverges, the last is not done
SPACE = [jo.replace(LINE, learning_rate=rate) for rate in RATES]
IRIS = jo.Training(
    model=jo.models.MLP((4, 16, 3)), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.adam(0.05), data=jo.data.load("iris"), batch_size=16,
)  # fmt: skip


@jo.pytree
class Countdown(jo.Experiment):
    """Is done after so many steps, and would go on for ever."""

    length: float = jo.number(0)

    def init(self, key):
        return jnp.zeros(())

    def step(self, state, t, key):
        return state + 1, jo.Step(done=state + 1 >= self.length)

    def score(self, state, split):
        return {"loss": -state}


def assert_rows_are_runs(study, runs):
    for trial, run in enumerate(runs):
        row = study.row(trial)
        assert (row["status"], row["steps"], row["reason"]) == (run.status, run.steps, run.reason)
        if run.status != "diverged":
            for split in (study.split, "test"):
                for name, x in run.scores.get(split, {}).items():
                    assert row[f"{split}_{name}"] == pytest.approx(x, rel=1e-5)


@pytest.mark.parametrize("tile", [1, 4])
def test_a_sweep_ends_each_trial_where_fit_ends_it_by_tol(tile):
    study = jo.sweep(SPACE, steps=300, tol=1e-4, tile=tile)
    runs = [jo.fit(e, 300, tol=1e-4) for e in SPACE]
    assert {run.status for run in runs} == {"converged", "diverged", "finished"}
    # a gradient of 1e-4 is met a step earlier or later where sums are rounded differently
    for trial, run in enumerate(runs):
        assert study.row(trial)["status"] == run.status
        assert abs(study.row(trial)["steps"] - run.steps) <= 1
    done = [trial for trial, run in enumerate(runs) if run.status == "converged"]
    for trial in done:  # frozen: every later evaluation gives the same number
        curve, steps = study.curves["loss"][trial], study.row(trial)["steps"]
        assert len(set(curve[study.evaluations >= steps].tolist())) == 1
        assert study.rerun(trial).steps == steps
        assert study.rerun(trial).reason == "the gradient norm fell to tol"
    assert study.experiment(0).tol == 1e-4


def test_tol_is_a_number_like_any_other():
    space = dataclasses.replace(LINE, tol=jo.log_uniform(1e-6, 1e-1))
    study = jo.sweep(space, 6, steps=300, tile=4)
    order = np.argsort(study.columns["tol"])
    assert (np.diff(study.columns["steps"][order]) <= 0).all()
    assert set(study.columns["status"]) == {"converged"}
    with pytest.raises(ValueError, match="tol"):
        jo.sweep(SPACE, steps=3, tol=-1)


@pytest.mark.parametrize("tile", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_a_sweep_ends_each_trial_where_fit_ends_it_by_patience(tile):
    space = [jo.replace(IRIS, learning_rate=rate) for rate in (0.3, 0.05, 0.003)]
    study = jo.sweep(space, steps=120, patience=2, tile=tile, eval_every=6)
    runs = [jo.fit(e, 120, patience=2, tile=tile, eval_every=6) for e in space]
    assert "stopped early" in {run.status for run in runs}
    assert_rows_are_runs(study, runs)
    for trial, run in enumerate(runs):  # the best state, not the last
        # scored by a program of its own, which rounds as it likes
        assert run.evaluate()["loss"] == pytest.approx(min(run.history["loss"]), rel=1e-6)
        again = study.rerun(trial)
        assert (again.status, again.steps, again.scores) == (run.status, run.steps, run.scores)


def test_patience_and_tol_go_on_from_a_store(tmp_path, monkeypatch):
    from jaxopt_edu.search import driver

    given = {"steps": 120, "patience": 2, "tile": 2, "eval_every": 6}
    space = [jo.replace(IRIS, learning_rate=rate) for rate in (0.3, 0.05, 0.003)]
    whole = jo.sweep(space, **given)

    def interrupted(tiles, settings, until, **more):
        for i, tile in enumerate(run_tiles(tiles, settings, until, most=2, **more)):
            yield tile
            if i == 3:
                raise KeyboardInterrupt

    run_tiles = driver.run_tiles
    with monkeypatch.context() as broken:
        broken.setattr(driver, "run_tiles", interrupted)
        with pytest.raises(jo.SweepInterrupted):
            jo.sweep(space, store=tmp_path, **given)
    again = jo.sweep(space, store=tmp_path, **given)
    for name, column in whole.columns.items():
        assert again.columns[name].tolist() == column.tolist()
    assert jo.load_study(tmp_path, space=space).patience == 2


def test_rungs_and_folds_with_trials_that_have_ended():
    space = dataclasses.replace(LINE, optimizer=jo.sgd(jo.log_uniform(0.01, 1.0)))
    study = jo.sweep(space, 16, steps=240, tol=1e-3, tile=4, rungs=jo.halving(2, first=30))
    done = study.columns["status"] == "converged"
    assert done.any() and np.isfinite(study.columns[study.ranks][done]).all()
    assert study.columns["status"][study.best_trial] in COMPLETE
    folds = jo.sweep(space, 4, steps=240, tol=1e-3, tile=4, folds=3, seeds=2)
    assert folds.finals["validation_loss"].shape == (4, 6)
    assert np.isfinite(folds.columns["validation_loss"]).all()
    again = folds.confirm(best=2, seeds=2)
    assert again.experiment(0).tol == 1e-3 and set(again.columns["status"]) <= set(COMPLETE)


def test_a_step_may_say_that_it_is_done():
    study = jo.sweep(Countdown(jo.int_uniform(1, 30)), 8, steps=25, tile=4)
    length = study.columns["length"]
    assert study.columns["steps"].tolist() == np.minimum(length, 25).tolist()
    assert (study.columns["status"] == np.where(length <= 25, "converged", "finished")).all()
    assert study.columns["validation_loss"].tolist() == (-np.minimum(length, 25)).tolist()
    run = jo.fit(Countdown(7), 25)
    assert (run.steps, run.state, run.reason) == (7, 7, "its step said that it is done")
    assert "training_loss" not in run.history


def test_what_a_step_must_give_is_said_before_anything_is_compiled():
    class Plain(Countdown):
        def step(self, state, t, key):
            return state + 1

    class Pair(Countdown):
        def step(self, state, t, key):
            return state + 1, state

    class Vector(Countdown):
        def step(self, state, t, key):
            return state + 1, jo.Step(loss=jnp.zeros(3))

    @jo.pytree
    class Bare:
        init, step, score = Countdown.init, Countdown.step, Countdown.score

    for kind in (Plain, Pair):
        with pytest.raises(TypeError, match=r"return state, jo.Step\(loss\)"):
            jo.fit(jo.pytree(kind)(3.0), 2)
    with pytest.raises(TypeError, match=r"Step: loss has shape \(3,\): wanted one number"):
        jo.fit(jo.pytree(Vector)(3.0), 2)
    for call in (jo.fit, lambda e, steps: jo.sweep([e], steps=steps), jo.hypergradient):
        with pytest.raises(TypeError, match=r"class Bare\(jo.Experiment\):\n.*return state, jo.St"):
            call(Bare(), 2)


def test_words_are_those_of_the_statuses():
    assert WORDS[Status.RUNNING] == "finished"  # a lane that ran to its last step
    for status in Status:
        assert (status.word == "diverged") == diverged(np.array(status)) == (1 <= status <= 3)
    assert jax.eval_shape(lambda: jnp.asarray(Status.LOSS_ABOVE)).shape == ()
