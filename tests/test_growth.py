"""Laws of going on: more trials, or more steps, give what asking for them at once would have."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest
import sweeps

import jaxopt_edu as jo
from jaxopt_edu.search import driver
from jaxopt_edu.search.store import ASKED

# Rungs of a few steps: what they rank is not looked at here.
pytestmark = pytest.mark.filterwarnings("ignore:rungs.*judges at step")

SPACE = jo.Training(
    jo.models.Linear(13, 3),
    jo.losses.softmax_cross_entropy_with_integer_labels,
    jo.one_of(jo.sgd(jo.log_uniform(0.01, 1e30)), jo.adam(jo.log_uniform(1e-3, 1e-1))),
    jo.data.load("wine"),
    batch_size=16,
)
ONE = dataclasses.replace(SPACE, optimizer=jo.sgd(jo.log_uniform(0.01, 1.0)))


def sweep(trials, store=None, space=SPACE, **more):
    return jo.sweep(space, trials, **{"steps": 20, "tile": 2, "store": store} | more)


@contextlib.contextmanager
def interrupted(monkeypatch):
    """Ctrl-C after a segment."""

    def run(tiles, settings, until, **more):
        for tile in run_tiles(tiles, settings, until, **more):
            yield tile
            raise KeyboardInterrupt

    run_tiles = driver.run_tiles
    monkeypatch.setattr(driver, "run_tiles", run)
    with pytest.raises(jo.SweepInterrupted):
        yield
    monkeypatch.undo()


@pytest.fixture(scope="module")
def whole():
    return {}


def fresh(whole, sampler, trials):
    if (sampler, trials) not in whole:
        whole[sampler, trials] = sweep(trials, sampler=sampler)
    return whole[sampler, trials]


@pytest.mark.parametrize("sampler", ["random", "sobol", "grid"])
def test_a_sweep_of_more_trials_goes_on_with_the_others(sampler, whole, tmp_path):
    sweep(5, tmp_path, sampler=sampler)
    steps = len(jo.load_study(tmp_path).timeline["start"])
    study = sweep(9, tmp_path, sampler=sampler)
    sweeps.same(study, fresh(whole, sampler, 9))
    sweeps.same(jo.load_study(tmp_path), study)
    if sampler != "grid":  # whose points of 5 and 9 are others
        alone = len(fresh(whole, sampler, 9).timeline["start"])
        assert 0 < len(study.timeline["start"]) - steps < alone
    sweeps.same(sweep(9, tmp_path, sampler=sampler), study)


@pytest.mark.slow
def test_a_grid_keeps_the_points_that_a_larger_one_has_too(tmp_path):
    space = dataclasses.replace(
        ONE, optimizer=jo.sgd(jo.choice(0.1, 0.2), momentum=jo.uniform(0, 1))
    )
    sweep(2, tmp_path, space, sampler="grid")
    study = sweep(6, tmp_path, space, sampler="grid")  # one level of the momentum, then three
    sweeps.same(study, sweep(6, None, space, sampler="grid"))
    assert study.timeline["useful"].sum() == 20 * 6


def test_a_sweep_that_was_interrupted_goes_on_and_grows(whole, tmp_path, monkeypatch):
    with interrupted(monkeypatch):
        sweep(5, tmp_path)
    grown = []
    while True not in grown:  # first within the old trials, then within the new ones
        with interrupted(monkeypatch):
            sweep(9, tmp_path)
        grown.append(ASKED.read(tmp_path)["trials"] == 9)
    assert False in grown and "interrupted" in jo.load_study(tmp_path).columns["status"]
    sweeps.same(sweep(9, tmp_path), fresh(whole, "random", 9))


@pytest.mark.parametrize(
    ("more", "trials", "why"),
    [
        ({}, 3, "trials was 4, now 3: a sweep goes on with more trials only"),
        ({"rungs": jo.halving(2, 5)}, 6, "trials was 4, now 6: rungs have compared"),
        ({"sampler": "latin_hypercube"}, 6, "each point of a latin_hypercube depends on how many"),
        ({"sampler": jo.optuna("tpe", batch=2, n_startup_trials=2)}, 6, "has learned from the"),
        ({"tile": 1}, 4, "tile was 1, now 2"),
        ({"eval_every": 5}, 6, "eval_every was 5, now null"),
    ],
)
def test_what_cannot_go_on_says_why(more, trials, why, tmp_path):
    sweep(4, tmp_path, ONE, **more)
    kept = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    again = {k: x for k, x in more.items() if k in ("rungs", "sampler")}
    with pytest.raises(ValueError, match=why):
        sweep(trials, tmp_path, ONE, **again)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == kept


# ------------------------------------------------------------------------------- more steps


EXPERIMENT = jo.replace(ONE, learning_rate=0.1)


def bits(run):
    leaves = [np.asarray(x).tobytes() for x in jax.tree.leaves(run.state)]
    history = {name: np.where(x == x, x, np.nan).tobytes() for name, x in run.history.items()}
    return leaves, history, repr(run.scores), run.status, run.steps, run.reason


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        ((160, 320), {}),  # evaluated every 8 steps, then every 16
        ((25, 40), {"eval_every": 10}),  # the last one, at 25, is none of the 40's
        ((20, 60), {"eval_every": 4, "patience": 2, "learning_rate": 3.0}),
        ((20, 40), {"learning_rate": 1e38}),  # diverges at once
        pytest.param((20, 40), {"tol": 0.25, "full": True}, marks=pytest.mark.slow),
    ],
)
def test_a_training_of_more_steps_goes_on_to_the_same_run(steps, more, tmp_path):
    more = dict(more)
    changed = {k: more.pop(k) for k in ("learning_rate",) if k in more}
    experiment = jo.replace(EXPERIMENT, **changed)
    if more.pop("full", False):
        experiment = dataclasses.replace(experiment, batch_size=None)
    jo.fit(experiment, steps[0], store=tmp_path / "store", **more)
    grown = jo.fit(experiment, steps[1], store=tmp_path / "store", **more)
    alone = jo.fit(experiment, steps[1], store=tmp_path / "alone", **more)
    assert bits(grown) == bits(alone)
    assert bits(jo.fit(experiment, steps[1], store=tmp_path / "store", **more)) == bits(alone)


@pytest.mark.parametrize(
    ("steps", "more", "again", "why"),
    [
        ((40, 20), {}, {}, "steps was 40, now 20: a training goes on with more steps only"),
        (
            (20, 40),
            {"eval_every": 4},
            {"eval_every": 5},
            "at step 5, .* none: eval_every=4 goes",
        ),
        (
            (20, 40),
            {"patience": 50, "eval_every": 2},
            {"eval_every": 4},
            "evaluation at step 2,",
        ),
        ((25, 40), {"eval_every": 10, "patience": 50}, {}, "the evaluation at step 25"),
        ((20, 20), {"eval_every": 10}, {"eval_every": 5}, "evaluations was"),
    ],
)
def test_a_training_that_cannot_go_on_says_why(steps, more, again, why, tmp_path):
    jo.fit(EXPERIMENT, steps[0], store=tmp_path, **more)
    kept = {p: p.read_bytes() for p in tmp_path.rglob("*.*")}
    with pytest.raises(ValueError, match=why):
        jo.fit(EXPERIMENT, steps[1], store=tmp_path, **more | again)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*.*")} == kept
