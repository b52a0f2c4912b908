"""Confirmation: the best trials once more, with seeds that did not choose them."""

import csv
import dataclasses
import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sweeps import same

import jaxopt_edu as jo
from jaxopt_edu.cli.confirming import affordable
from jaxopt_edu.cli.program import main
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.search.confirmation import fresh_seeds
from jaxopt_edu.search.loading import load_confirmed

# Rungs of a few steps: what they rank is not looked at here.
pytestmark = pytest.mark.filterwarnings("ignore:rungs.*judges at step")

SPACE = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(jo.log_uniform(0.01, 30.0)),
    data=jo.data.load("iris"),
    batch_size=2,
)
TWO = dataclasses.replace(
    SPACE, optimizer=jo.one_of(SPACE.optimizer, jo.sgd(0.1, momentum=jo.uniform(0.0, 0.9)))
)
RUN = {"steps": 40, "eval_every": 2, "tile": 4}


@pytest.fixture(scope="module")
def study():
    return jo.sweep(TWO, 12, **RUN)


@pytest.fixture(scope="module")
def again(study):
    with Compilations() as compiled:
        again = study.confirm(best=5, seeds=3)
    assert compiled.as_dict() == {"engine": 0, "other": 0}
    return again


def test_the_best_are_trained_with_seeds_that_did_not_choose_them(study, again):
    assert again.columns["of"].tolist() == study.order[:5].tolist()
    assert again.repeats == ((1, None), (2, None), (3, None))
    assert [again.tiles[again.place(i)[0]] for i in range(5)] == [4] * 5
    for i, trial in enumerate(again.columns["of"].tolist()):
        assert again.hyperparameters(i) == study.hyperparameters(trial)
        assert again.experiment(i) == study.experiment(trial)


def test_their_means_decide(again):
    lanes = again.lanes["loss"][..., -4:].mean(-1)
    np.testing.assert_allclose(again.columns["rank_loss"], lanes.mean(1), rtol=1e-12)
    assert again.best_trial == np.argmin(lanes.mean(1))
    interval = again.interval(again.best_trial)
    assert interval.low < interval.mean < interval.high
    assert again.columns["rank_loss_high"][again.best_trial] == interval.high


def test_every_lane_is_that_of_a_sweep_with_its_seed(study, again):
    best = again.best_trial
    alone = jo.sweep([again.best], seed=again.repeats[1][0], **RUN)
    np.testing.assert_array_equal(alone.lanes["loss"][0, 0], again.lanes["loss"][best, 1])
    assert alone.scores()["test_loss"] == again.finals["test_loss"][best, 1]
    run = again.rerun(best, repeat=2)
    np.testing.assert_array_equal(run.history["loss"], again.lanes["loss"][best, 2])


def test_it_is_a_study_like_any_other(study, again):
    assert isinstance(again, jo.Study) and again.space is study.space
    assert set(again.columns) - set(study.columns) == {
        "of", "rank_loss_low", "rank_loss_high", "validation_loss_low", "validation_loss_high",
    }  # fmt: skip
    assert "of" not in again.score_names and list(again.columns)[0] == "of"
    assert len(again.to_optuna().trials) == 5
    third = again.confirm(best=2, seeds=1)  # the seeds go on
    assert third.repeats == ((4, None),)


def test_folds_are_trained_with_every_seed():
    study = jo.sweep(SPACE, 6, folds=3, seeds=2, **RUN)
    again = study.confirm(best=2, seeds=2)
    assert again.repeats == tuple((seed, fold) for seed in (2, 3) for fold in range(3))
    assert again.folds == 3 and again.finals["test_loss"].shape == (2, 6)


def test_those_that_were_stopped_are_left_out():
    study = jo.sweep(SPACE, 8, rungs=jo.halving(2, 10), **RUN)
    finished = np.flatnonzero(study.columns["status"] == "finished")
    again = study.confirm(best=8, seeds=2)
    assert sorted(again.columns["of"].tolist()) == finished.tolist()
    assert set(again.columns["status"]) == {"finished"} and again.rungs == ()


def test_a_population_takes_the_numbers_that_it_took():
    study = jo.sweep(SPACE, 8, rungs=jo.population(10), **RUN)
    again = study.confirm(best=4, seeds=2)
    for i, trial in enumerate(again.columns["of"].tolist()):
        assert again.lineage(i) == study.lineage(trial)
    moved = [i for i in range(4) if len(again.lineage(i)) > 1]
    assert moved
    run = jo.sweep([again.experiment(moved[0])], seed=1, **RUN)
    first = again.lineage(moved[0])[1][0] // 2  # evaluations before the numbers changed
    numbers = jo.replace(again.experiment(moved[0]), **again.lineage(moved[0])[0][1])
    run = jo.sweep([numbers], seed=1, **RUN)
    np.testing.assert_array_equal(
        run.lanes["loss"][0, 0, :first], again.lanes["loss"][moved[0], 0, :first]
    )
    rerun = again.rerun(moved[0], repeat=1)
    np.testing.assert_array_equal(rerun.history["loss"], again.lanes["loss"][moved[0], 1])


@jo.pytree
class Noisy(jo.Experiment):
    """Lands beside where it aims, by its seed."""

    aim: float = jo.number()

    def init(self, key):
        return 0.1 * jax.random.normal(key)

    def step(self, state, t, key):
        return state + 0.0 * t, jo.Step()

    def score(self, state, split):
        return {"miss": jnp.abs(self.aim + state), "loss": (self.aim + state) ** 2}


def test_experiments_of_ones_own_and_batches():
    study = jo.sweep(Noisy(jnp.linspace(-1, 1, 9)), steps=2, metric="miss", mode="min", tile=4)
    again = study.confirm(best=3, seeds=8)
    assert again.metric == "miss" and again.mode == "min" and len(again.repeats) == 8
    assert abs(again.best.aim) <= 0.25


def test_the_scores_are_those_of_the_seeds():
    study = jo.sweep(Noisy(jnp.full(32, 0.5)), steps=1, tile=4)
    spread = [jo.sweep([Noisy(0.5)], steps=1, seed=s, tile=4).scores()["rank_loss"] for s in (5, 6)]
    again = study.confirm(best=2, seeds=6)
    assert len(set(again.finals["rank_loss"][0])) == 6
    np.testing.assert_allclose(again.finals["rank_loss"][0, 4:], spread, rtol=1e-6)


def test_a_store_holds_it(tmp_path, study, again):
    first = study.confirm(best=5, seeds=3, store=tmp_path / "again")
    same(first, again)
    loaded = jo.load_study(tmp_path / "again")
    same(loaded, again)
    with Compilations() as compiled:
        same(study.confirm(best=5, seeds=3, store=tmp_path / "again"), again)
    assert compiled.as_dict() == {"engine": 0, "other": 0}
    with pytest.raises(ValueError, match="with other arguments: of was"):
        study.confirm(best=4, seeds=3, store=tmp_path / "again")


def test_a_study_of_a_store_is_confirmed_alike(tmp_path, study, again):
    jo.sweep(TWO, 12, store=tmp_path / "store", **RUN)
    same(jo.load_study(tmp_path / "store").confirm(best=5, seeds=3), again)


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_it_goes_on_where_it_was_interrupted(stage, tmp_path, monkeypatch):
    study = jo.sweep(SPACE, 8, rungs=jo.population(10), **RUN)
    driver, stages = sys.modules["jaxopt_edu.search.driver"], []
    run_tiles = driver.run_tiles

    def counted(tiles, settings, until, **more):
        stages.append(until)
        yield from run_tiles(tiles, settings, until, **more)

    def interrupted(tiles, settings, until, **more):
        for tile in counted(tiles, settings, until, **more):
            yield tile
            if len(stages) > stage:
                raise KeyboardInterrupt

    monkeypatch.setattr(driver, "run_tiles", counted)
    whole, ends = study.confirm(best=4, seeds=2), stages.copy()
    assert len(ends) > 2  # the best have taken over the states of others at several steps
    stages.clear()
    monkeypatch.setattr(driver, "run_tiles", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.confirm(best=4, seeds=2, store=tmp_path / "again")
    stages.clear()
    monkeypatch.setattr(driver, "run_tiles", counted)
    same(study.confirm(best=4, seeds=2, store=tmp_path / "again"), whole)
    assert stages == ends[stage:]


@pytest.mark.slow
def test_a_store_that_cannot_name_its_data_says_so(tmp_path):
    x = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)
    own = dataclasses.replace(SPACE, data=jo.data.from_arrays(x, np.arange(40) % 3))
    jo.sweep(own, 4, store=tmp_path / "store", **RUN)
    with pytest.raises(ValueError, match="confirm: data was .* could not name: load_study"):
        jo.load_study(tmp_path / "store").confirm()


def test_an_interruption_leaves_the_sweep(monkeypatch, study):
    before = {name: x.copy() for name, x in study.columns.items()}

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["jaxopt_edu.search.driver"], "run_tiles", interrupted)
    with pytest.raises(KeyboardInterrupt):
        study.confirm(best=2, seeds=2)
    for name, x in before.items():
        np.testing.assert_array_equal(study.columns[name], x)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"best": 0}, "best = 0: wanted an integer"),
        ({"seeds": 0}, "seeds = 0: wanted an integer"),
        ({"seeds": 2.0}, "seeds = 2.0: wanted an integer"),
    ],
)
def test_bad_input(study, more, message):
    with pytest.raises(ValueError, match=message):
        study.confirm(**more)


def test_where_none_went_all_steps_there_is_nothing_to_confirm(study):
    status = np.full(len(study), "interrupted")
    stopped = dataclasses.replace(study, columns=study.columns | {"status": status})
    with pytest.raises(ValueError, match="no trial went all steps"):
        stopped.confirm()


def test_fresh_seeds_are_fresh():
    assert fresh_seeds([0], 4) == [1, 2, 3, 4]
    assert fresh_seeds([7, 2**32 - 2], 3) == [2**32 - 1, 0, 1]
    assert fresh_seeds([2**32 - 1, 0, 2], 3) == [1, 3, 4]


def test_it_costs_an_eighth_at_most(study):
    info = study.info | {"useful_lane_steps": 256 * 40, "executed_lane_steps": 264 * 40}
    large = dataclasses.replace(study, info=info)
    assert affordable(large) == (8, 4)
    assert affordable(dataclasses.replace(large, tiles=(32, 32))) is None
    for trials in range(1, 257):
        work = {"useful_lane_steps": trials * 40, "executed_lane_steps": (trials + 6) * 40}
        size = affordable(dataclasses.replace(large, info=info | work))
        assert size is None or (8 * size[0] * size[1] <= trials and min(size) >= 2)
        assert size is not None or trials < 64
    assert affordable(dataclasses.replace(large, repeats=((0, 0), (0, 1), (0, 2), (0, 3)))) == (
        4,
        2,
    )


# --------------------------------------------------------------------------- the command line

LINEAR = ["iris", "--model", "linear", "--optimizer", "sgd", "--tile", "2", "--steps", "20"]


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_the_command_line_confirms_and_shows_it(elsewhere, capsys):
    arguments = ["sweep", *LINEAR, "--trials", "64", "--store", "mine"]
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "fresh loss" in out and "fresh seeds, 95% intervals" in out
    assert "0 programs compiled" in out and "confirm.csv" in out
    best = json.loads((elsewhere / "mine/best.json").read_text())
    told = best["confirmed"]["scores"]["rank_loss"]
    assert told["low"] < told["mean"] < told["high"]
    assert f"winner: trial {best['trial']}; on the test part: loss" in out
    rows = list(csv.DictReader((elsewhere / "mine/confirm.csv").read_text().splitlines()))
    means = {int(row["of"]): float(row["rank_loss"]) for row in rows}
    assert best["trial"] == min(means, key=means.get)
    assert jo.load_experiment(elsewhere / "mine/best.json").optimizer.learning_rate == (
        pytest.approx(best["hyperparameters"]["optimizer.learning_rate"])
    )
    page = (elsewhere / "mine/report.html").read_text()
    assert f"The winner: trial {best['trial']}" in page and "fresh seeds: means" in page
    study = jo.load_study("mine")
    again = load_confirmed(study, "mine")
    lanes = again.info["useful_lane_steps"]
    assert lanes <= study.info["useful_lane_steps"] / 8
    results = (elsewhere / "mine/confirm/results.npz").read_bytes()
    assert main([*arguments, "--json"]) == 0  # shown, not trained again
    assert json.loads(capsys.readouterr().out)["best"]["trial"] == best["trial"]
    assert (elsewhere / "mine/confirm/results.npz").read_bytes() == results
    for words in (["report", "mine"], ["compare", "mine", "mine"]):
        assert main(words) == 0
        assert "fresh" in capsys.readouterr().out
    assert main([*arguments, "--confirm", "0"]) == 0
    assert "fresh" not in capsys.readouterr().out
    assert not (elsewhere / "mine/confirm.csv").exists()


@pytest.mark.slow
def test_ctrl_c_while_it_confirms_leaves_the_sweep(elsewhere, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(jo.Study, "confirm", interrupted)
    arguments = ["sweep", *LINEAR, "--trials", "64", "--store", "mine"]
    assert main(arguments) == 130
    out, err = capsys.readouterr()
    assert "interrupted before the best were confirmed" in out and "--store mine goes on" in err
    assert json.loads((elsewhere / "mine/best.json").read_text())["confirmed"] is None
    monkeypatch.undo()
    monkeypatch.chdir(elsewhere)
    assert main(arguments) == 0
    assert "fresh seeds, 95% intervals" in capsys.readouterr().out


def test_a_diverged_fit_exits_with_1(elsewhere, capsys):
    diverging = ["--model", "linear", "--optimizer", "sgd", "--space", "learning_rate=1e35"]
    assert main(["fit", "iris", *diverging, "--steps", "20"]) == 1
    assert "diverged after" in capsys.readouterr().out


def test_a_sweep_too_small_to_confirm_says_so(elsewhere, capsys):
    assert main(["sweep", *LINEAR, "--trials", "8", "--out", "mine"]) == 0
    assert "not confirmed with fresh seeds" in capsys.readouterr().out
    assert json.loads((elsewhere / "mine/best.json").read_text())["confirmed"] is None
    assert main(["sweep", *LINEAR, "--trials", "8", "--confirm", "1"]) == 2
    assert "--confirm = 1: wanted an integer, at least 2" in capsys.readouterr().err


def test_the_command_line_names_no_winner_where_there_is_none(elsewhere, capsys):
    space = ["--space", "learning_rate=log_uniform(1e30,1e38)"]
    arguments = ["sweep", *LINEAR, *space, "--trials", "4", "--out", "mine"]
    assert main(["sweep", *LINEAR, "--trials", "4", "--out", "mine"]) == 0
    assert main([*arguments, "--overwrite"]) == 1
    out, err = capsys.readouterr()
    assert "no best: none of 4 trials" in err and "winner: trial" not in out.split("files:")[-2]
    assert not (elsewhere / "mine/best.json").exists()
    assert (elsewhere / "mine/trials.csv").exists() and (elsewhere / "mine/report.html").exists()
    assert main(["report", "mine", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["best"] is None
    assert main(["compare", "mine", "mine"]) == 0
