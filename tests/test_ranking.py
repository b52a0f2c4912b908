"""Ranking: by the last score of a curve, the mean of its tail, or its best."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxopt_edu as jo
from jaxopt_edu.search.ranking import RULES, followed, ranks, standing_scores
from jaxopt_edu.search.schedulers import Exploit
from jaxopt_edu.storage.disk import from_text_array, read_arrays, text_array
from jaxopt_edu.storage.files import write_arrays

# Rungs of a few steps: what they rank is not looked at here.
pytestmark = pytest.mark.filterwarnings("ignore:rungs.*judges at step")

NOISY = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(jo.log_uniform(0.01, 30.0)),
    data=jo.data.load("iris"),
    batch_size=2,
)
RUN = {"steps": 40, "eval_every": 2, "tile": 4}


# --------------------------------------------------------------------------------- the rules

SCORES = st.one_of(st.floats(-10, 10), st.sampled_from([np.inf, np.nan]))


@given(st.lists(SCORES, min_size=1, max_size=40), st.sampled_from(RULES), st.sampled_from([1, -1]))
def test_ranks_are_what_they_say(curve, rule, sign):
    seen = len(curve)
    padded = np.array([*curve, np.nan, np.nan])
    found = float(ranks(padded, np.array(seen), np.array(curve[-1]), rule, sign))
    finite = [x for x in curve if np.isfinite(x)]
    best = (min(finite) if sign == 1 else max(finite)) if finite else curve[-1]
    tail = curve[-max(1, seen // 5) :]
    wanted = {"last": curve[-1], "best": best, "tail": sum(tail) / len(tail)}[rule]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@given(st.integers(1, 30), st.integers(0, 29), st.sampled_from(RULES))
def test_a_standing_is_the_rank_of_the_curve_up_to_there(n, place, rule):
    curves = np.random.default_rng(n).normal(size=(3, 2, max(n, place + 1)))
    upto = curves[..., : place + 1]
    wanted = ranks(upto, np.full((3, 2), place + 1), upto[..., -1], rule, 1)
    np.testing.assert_array_equal(standing_scores(curves, place, rule, 1), wanted)


def test_what_was_not_evaluated_has_no_standing():
    curve = np.array([[1.0, np.nan], [np.nan, np.nan]])
    assert np.isnan(standing_scores(curve, 1, "tail", 1)).all()


def test_a_curve_follows_the_states():
    curves = np.arange(12.0).reshape(3, 1, 4)
    moves = [(20, Exploit(2, 0, {}, {})), (30, Exploit(1, 2, {}, {}))]
    found = followed(curves, moves, [10, 20, 30, 40])
    np.testing.assert_array_equal(found[:, 0], [[0, 1, 2, 3], [0, 1, 10, 7], [0, 1, 10, 11]])


# ---------------------------------------------------------------------------------- in a sweep


@pytest.fixture(scope="module")
def studies():
    return {rule: jo.sweep(NOISY, 12, rank_by=rule, **RUN) for rule in RULES}


def test_every_rule_ranks_by_its_column(studies):
    for rule, study in studies.items():
        curves = study.curves["loss"]
        wanted = {
            "last": study.columns["validation_loss"],
            "tail": curves[:, -4:].mean(1),
            "best": curves.min(1),
        }[rule]
        np.testing.assert_array_equal(study.columns["rank_loss"], wanted)
        assert study.ranks == "rank_loss" and study.rank_by == rule
        assert study.best_trial == np.nanargmin(wanted)
        np.testing.assert_array_equal(study.order, np.argsort(wanted, kind="stable"))
        last = studies["last"].columns["validation_loss"]
        np.testing.assert_array_equal(study.columns["validation_loss"], last)


def test_the_tail_is_the_default_and_named(studies):
    assert jo.sweep(NOISY, 12, **RUN).columns["rank_loss"].tolist() == (
        studies["tail"].columns["rank_loss"].tolist()
    )
    assert "best validation loss (tail)" in repr(studies["tail"])
    assert "best validation loss 0" in repr(studies["last"])


def test_the_best_accuracy_of_a_curve_is_its_largest():
    study = jo.sweep(NOISY, 4, metric="accuracy", rank_by="best", **RUN)
    np.testing.assert_array_equal(study.columns["rank_accuracy"], study.curves["accuracy"].max(1))


def test_intervals_and_pairs_are_of_what_ranks():
    study = jo.sweep(NOISY, 4, seeds=3, **RUN)
    lanes = study.lanes["loss"][..., -4:].mean(-1)
    np.testing.assert_allclose(study.finals["rank_loss"], lanes, rtol=1e-12)
    assert study.interval(1).mean == lanes[1].mean() == study.columns["rank_loss"][1]
    low, high = study.columns["rank_loss_low"][1], study.columns["rank_loss_high"][1]
    assert (study.interval(1).low, study.interval(1).high) == (low, high)
    assert study.paired(1, 2).mean == pytest.approx((lanes[1] - lanes[2]).mean())
    assert study.interval(1, "validation_loss").mean == study.columns["validation_loss"][1]
    with pytest.raises(ValueError, match="score = 'validation_los' is unknown; did you mean"):
        study.interval(1, "validation_los")


def test_rungs_judge_by_the_tail():
    study = jo.sweep(NOISY, 8, rungs=jo.halving(2, 20), **RUN)
    full = jo.sweep(NOISY, 8, **RUN)
    at = int(np.flatnonzero(full.evaluations == 20)[0])
    tail = full.curves["loss"][:, at - 1 : at + 1].mean(1)
    went_on = set(np.flatnonzero(study.columns["status"] == "finished").tolist())
    assert went_on == set(np.argsort(tail, kind="stable")[:4].tolist())
    stopped = study.columns["status"] == "stopped"
    np.testing.assert_allclose(study.columns["rank_loss"][stopped], tail[stopped], rtol=1e-12)


def test_a_population_ranks_the_states_that_its_trials_have():
    study = jo.sweep(NOISY, 8, rungs=jo.population(38), **RUN)
    assert study.moves
    for _, copy in study.moves:
        own, parent = study.lanes["loss"][copy.trial, 0], study.lanes["loss"][copy.parent, 0]
        wanted = np.mean([*parent[-4:-1], own[-1]])
        assert study.columns["rank_loss"][copy.trial] == pytest.approx(wanted, rel=1e-12)


def test_samplers_are_told_what_ranks():
    told = []

    class Listening:
        def start(self, groups, trials, seed, mode):
            self.asking = jo.Random().start(groups, trials, seed, mode)
            self.asking.tell = lambda scores, **more: told.append(scores)
            return self.asking

    study = jo.sweep(NOISY, 4, sampler=Listening(), **RUN)
    np.testing.assert_array_equal(told[0], study.columns["rank_loss"])


def test_one_evaluation_is_all_the_same(studies):
    once = RUN | {"eval_every": 40}
    for rule in RULES:
        study = jo.sweep(NOISY, 12, rank_by=rule, **once)
        np.testing.assert_allclose(
            study.columns["rank_loss"], study.columns["validation_loss"], rtol=1e-6
        )


def test_a_store_from_before_the_rules_ranks_by_the_last(tmp_path, studies):
    study = jo.sweep(NOISY, 12, store=tmp_path / "store", **RUN)
    assert jo.load_study(tmp_path / "store").best_trial == study.best_trial
    arrays = read_arrays(tmp_path / "store/results.npz")
    about = from_text_array(arrays["about"])
    older = {name: x for name, x in about.items() if name not in ("rank_by", "of")}
    write_arrays(tmp_path / "store/results.npz", arrays | {"about": text_array(older)})
    loaded = jo.load_study(tmp_path / "store")
    assert loaded.rank_by == "last" and loaded.best_trial == studies["last"].best_trial


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="rank_by = 'tial' is unknown; did you mean 'tail'"):
        jo.sweep(NOISY, 4, rank_by="tial", **RUN)


# ------------------------------------------------------------------------------ nothing to rank

LOST = dataclasses.replace(NOISY, optimizer=jo.sgd(jo.log_uniform(1e30, 1e38)))


@pytest.fixture(scope="module")
def lost():
    return jo.sweep(LOST, 4, **RUN)


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.best, lambda s: s.best_trial, lambda s: s.tile, lambda s: s.hyperparameters(),
        lambda s: s.scores(), lambda s: s.paired(1), lambda s: s.confirm(),
    ],
)  # fmt: skip
def test_where_all_diverged_there_is_no_best(lost, ask):
    why = r"no best: none of 4 trials has a score: .*diverged \(loss.*wanted a space with some"
    with pytest.raises(ValueError, match=why):
        ask(lost)


def test_where_all_diverged_the_rest_is_there(lost, tmp_path):
    assert repr(lost) == "Study(4 trials, 4 diverged, none has a score)"
    assert len(lost.to_pandas()) == len(lost.to_optuna().trials) == 4
    assert lost.rerun(1).status == "diverged" and lost.experiment(1).optimizer
    (tmp_path / "best.json").write_text("{}")  # of an earlier sweep
    jo.save_study(lost, tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"study.json", "trials.csv"}
    with pytest.raises(ValueError, match="0 trials have a score"):
        jo.importances(lost)


@pytest.mark.parametrize(
    "more", [{"folds": 2}, {"rungs": jo.halving(2, 10)}, {"metric": "accuracy"}]
)
def test_no_best_of_any_kind_of_sweep(more):
    with pytest.raises(ValueError, match="no best: none of 4 trials"):
        jo.sweep(LOST, 4, **RUN | more).best  # noqa: B018


@pytest.mark.slow
def test_finders_and_tune_say_that_nothing_is_left():
    one = jo.replace(NOISY, learning_rate=1e35)
    with pytest.raises(ValueError, match="all 4 trainings diverged"):
        jo.find_learning_rate(one, 5, low=1e30, high=1e36, rates=4)
    with pytest.raises(ValueError, match="all 2 trainings diverged"):
        jo.find_batch_size(one, sizes=(2, 4), epochs=1)
    with pytest.raises(ValueError, match="no start of 2 has a finite"):
        jo.tune(LOST, 5, updates=2, starts=2)
    lost = jo.race("rosenbrock", ["sgd"], steps=5, low=1e30, high=1e35, scans=2)
    assert lost.rows()[1][1:3] == ["-", "-"]
    assert lost.as_dict()["racers"][0]["learning_rate"] is None
