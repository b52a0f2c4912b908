"""Laws of rungs, folds, seeds, samplers and populations: who goes on, and how nobody else does."""

import dataclasses
import heapq

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.engine import widths
from jaxopt_edu.search.confidence import interval
from jaxopt_edu.search.schedulers import RungState

WINE = jo.data.load("wine", seed=0)
BASE = jo.Training(
    model=jo.models.MLP((13, 8, 3), dropout=0.1),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)),
    data=WINE,
    regularizer=jo.L2(1e-4),
    batch_size=16,
)
STEPS, TRIALS = 64, 16
POLICIES = [
    jo.halving(2, 8),
    jo.hyperband(2, 8),
    jo.median_stopping(8, 16),
    jo.population(16),
]


def columns(study):
    return {k: np.asarray(x).astype(str).tolist() for k, x in study.columns.items()}


@pytest.fixture(scope="module")
def full():
    return jo.sweep(BASE, TRIALS, steps=STEPS, tile=4, eval_every=8)


@pytest.fixture(scope="module", params=POLICIES, ids=lambda p: type(p).__name__)
def pair(request, full):
    study = jo.sweep(BASE, TRIALS, steps=STEPS, tile=4, eval_every=8, rungs=request.param)
    return request.param, study, full


def test_trials_go_the_way_of_a_full_training_as_far_as_they_go(pair):
    policy, study, full = pair
    if isinstance(policy, jo.Population):
        untouched = set(range(TRIALS)) - {copy.trial for _, copy in study.moves}
        assert untouched
    else:
        untouched = range(TRIALS)
    for trial in untouched:
        reached = study.evaluations <= study.columns["steps"][trial]
        for name, curves in study.curves.items():
            np.testing.assert_array_equal(curves[trial][reached], full.curves[name][trial][reached])
            assert np.isnan(curves[trial][~reached]).all()


def test_stopped_trials_say_where_and_keep_their_last_score(pair):
    policy, study, _ = pair
    stopped = np.flatnonzero(study.columns["status"] == "stopped")
    assert isinstance(policy, jo.Population) == (len(stopped) == 0)
    assert set(study.columns["steps"][stopped].tolist()) <= set(study.rungs)
    for trial in stopped.tolist():
        at = study.evaluations.tolist().index(study.columns["steps"][trial])
        assert study.columns["validation_loss"][trial] == study.curves["loss"][trial, at]
        assert np.isnan(study.columns["test_loss"][trial])
        assert f"at step {study.columns['steps'][trial]}" in study.columns["reason"][trial]
    assert study.columns["status"][study.best_trial] == "finished"
    assert study.info["stopped"] == len(stopped)


def test_useful_steps_are_those_of_living_lanes(pair):
    _, study, _ = pair
    assert study.info["useful_lane_steps"] == study.columns["steps"].sum()
    assert study.info["executed_lane_steps"] >= study.info["useful_lane_steps"]
    assert study.info["compilations"]["engine"] == 0  # the program of the full study serves


def test_a_rung_does_not_depend_on_how_tiles_are_cut(pair):
    policy, study, _ = pair
    again = jo.sweep(BASE, TRIALS, steps=STEPS, tile=4, eval_every=8, rungs=policy)
    assert columns(again) == columns(study)


def test_halving_keeps_the_best_share():
    policy = jo.halving(eta=4, first=40)
    scores = np.array([3.0, 1.0, np.nan, 2.0, 0.5, 9.0, 8.0, 7.0])
    going = np.ones(8, bool)
    verdict = policy.judge(RungState(40, 2560, scores, going, scores[:, None], going * 0, 0), [])
    assert np.flatnonzero(verdict.active).tolist() == [1, 4]
    assert policy.expected(1024, 2560) == [(1024, 40), (256, 120), (64, 480), (16, 1920)]


def test_hyperband_gives_each_bracket_its_share_whatever_follows():
    policy = jo.hyperband(eta=3, first=1)
    brackets = policy.brackets(1000, 81)
    share = np.bincount(brackets) / 1000
    want = 3.0 ** np.arange(5) / (np.arange(5) + 1)
    np.testing.assert_allclose(share, want / want.sum(), atol=2e-3)
    np.testing.assert_array_equal(policy.brackets(10, 81), brackets[:10])


def test_median_stopping_is_its_formula():
    rng = np.random.default_rng(0)
    curves = rng.random((9, 4))
    going = np.ones(9, bool)
    standing = RungState(4, 10, curves[:, -1], going, curves, going * 0, 0)
    got = jo.median_stopping(1, 1).judge(standing, []).active
    for i in range(9):
        others = [curves[j].mean() for j in range(9) if j != i]
        assert got[i] == (curves[i].min() <= np.median(others))


def test_the_winner_of_a_population_carries_its_lineage(full):
    study = jo.sweep(BASE, TRIALS, steps=STEPS, tile=4, eval_every=8, rungs=jo.population(8))
    assert study.moves
    moved = max((c.trial for _, c in study.moves), key=lambda i: len(study.lineage(i)))
    run = study.rerun(moved)
    assert run.evaluate("test")["loss"] == study.columns["test_loss"][moved]
    stages = study.lineage(study.best_trial)
    assert stages[0][0] == 0 and stages[-1][1] == {
        "optimizer.learning_rate": study.columns["optimizer.learning_rate"][study.best_trial]
    }
    again = jo.fit(study.best, STEPS, tile=4)
    np.testing.assert_allclose(
        again.evaluate("test")["loss"], study.scores()["test_loss"], rtol=1e-4
    )
    low, high = BASE.optimizer.learning_rate.bounds()
    rates = study.columns["optimizer.learning_rate"]
    assert np.all((rates >= low) & (rates <= high))
    assert np.median(study.columns["validation_loss"]) < np.median(full.columns["validation_loss"])


def test_a_population_replaces_what_diverged():
    space = dataclasses.replace(BASE, optimizer=jo.sgd(jo.log_uniform(1e-2, 1e5)))
    study = jo.sweep(space, 12, steps=STEPS, tile=4, rungs=jo.population(8))
    plain = jo.sweep(space, 12, steps=STEPS, tile=4)
    assert plain.diverged > study.diverged


def test_a_trial_run_again_diverges_where_it_did():
    space = dataclasses.replace(BASE, optimizer=jo.sgd(jo.log_uniform(1e-2, 1e5)))
    study = jo.sweep(space, 12, steps=STEPS, tile=4, diverge_above=1.2)
    early = study.columns["status"] == "diverged"
    assert early.sum() > jo.sweep(space, 12, steps=STEPS, tile=4).diverged
    for trial in np.flatnonzero(early)[:3].tolist():
        again = study.rerun(trial)
        assert (again.status, again.steps) == ("diverged", study.columns["steps"][trial])
        assert again.reason == study.columns["reason"][trial]


def test_a_lane_run_again_goes_on_where_another_seed_ended_the_trial():
    space = dataclasses.replace(BASE, optimizer=jo.sgd(jo.log_uniform(1.0, 1e2)))
    study = jo.sweep(space, 8, steps=STEPS, tile=4, seeds=2, diverge_above=1.2)
    curves = study.lanes["loss"]
    whole = np.isfinite(curves[:, :, -1]) & (study.columns["status"] == "diverged")[:, None]
    trial, repeat = (int(i[0]) for i in np.nonzero(whole))
    again = study.rerun(trial, repeat=repeat)
    assert (again.status, again.steps) == ("finished", STEPS)
    assert again.evaluate()["loss"] == curves[trial, repeat, -1]


def test_rungs_of_a_sweep_wait_for_an_epoch():
    assert jo.sweep(BASE, 4, steps=STEPS, tile=4, rungs=jo.halving(2)).rungs == (6, 12, 24, 48)


@pytest.mark.slow
def test_folds_and_seeds_are_lanes_of_a_trial():
    study = jo.sweep(BASE, 3, steps=32, folds=3, seeds=2, tile=2)
    assert study.repeats == ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2))
    losses = study.finals["validation_loss"]
    np.testing.assert_array_equal(losses.mean(1), study.columns["validation_loss"])
    seed, fold = study.repeats[4]
    alone = jo.fit(study.experiment(2).folded(3).fold(fold), 32, seed=seed)
    assert alone.evaluate()["loss"] == pytest.approx(losses[2, 4], rel=1e-4)
    for trial, repeat in ((0, 0), (2, 4)):
        again = study.rerun(trial, repeat=repeat)
        assert again.evaluate()["loss"] == losses[trial, repeat]
    paired = study.paired(0, 1)
    apart = [study.interval(i) for i in (0, 1)]
    assert paired.mean == pytest.approx(apart[0].mean - apart[1].mean, abs=1e-12)
    assert study.columns["validation_loss_low"][0] == apart[0].low
    assert study.info["compilations"]["engine"] <= 3


def test_folds_partition_the_pool_and_keep_the_classes():
    folds = jo.data.k_fold(WINE, 4, seed=1)
    n = WINE.train.size + WINE.validation.size
    taken = []
    for k in range(4):
        data = folds.at(k)
        train = data.train.rows[: int(data.train.examples)]
        held = data.validation.rows[: int(data.validation.examples)]
        assert sorted([*train, *held]) == list(range(n))
        taken += held.tolist()
        shares = np.bincount(folds.pool.y[held], minlength=3) / np.bincount(folds.pool.y)
        np.testing.assert_allclose(shares, 1 / 4, atol=1 / 20)
    assert sorted(taken) == list(range(n))
    assert folds == jo.data.k_fold(WINE, 4, seed=1) != jo.data.k_fold(WINE, 4, seed=2)


def test_intervals_cover_and_agree_with_scipy():
    from scipy import stats

    values = np.random.default_rng(0).normal(size=7)
    got = interval(values, None, 0.9)
    want = stats.t.interval(0.9, 6, values.mean(), stats.sem(values))
    np.testing.assert_allclose(got[1:], want, rtol=1e-12)
    assert np.isnan(interval([1.0], None).low)


def test_a_hypercube_has_one_point_in_each_interval():
    space = jo.adam(jo.uniform(0.0, 1.0), b1=jo.uniform(0.0, 1.0))
    batch = jo.sample(space, 20, sampler=jo.latin_hypercube())
    for x in (batch.learning_rate, batch.b1):
        assert sorted((np.asarray(x) * 20).astype(int).tolist()) == list(range(20))
    for name, value in (("sobol", jo.sobol()), ("latin_hypercube", jo.latin_hypercube())):
        np.testing.assert_array_equal(
            jo.sample(space, 8, sampler=name).b1, jo.sample(space, 8, sampler=value).b1
        )


def played(width, work, workers):
    """How long the workers take, tile by tile, each taken by the one who is free first."""
    now = 0.0
    for groups, lanes, steps in work:
        free = [now] * workers
        for _ in range(groups):
            left = lanes
            while left > 0:
                left -= width
                heapq.heappush(free, heapq.heappop(free) + steps * (width + widths.OVERHEAD))
        now = max(free)  # a rung waits for all
    return now


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
def test_the_width_of_a_tile_is_the_one_whose_work_is_done_first(workers, monkeypatch):
    monkeypatch.setattr(widths, "worker_devices", lambda: [None] * workers)
    rng = np.random.default_rng(workers)
    for _ in range(20):
        work = [tuple(rng.integers(1, (6, 99, 50)).tolist()) for _ in range(rng.integers(1, 4))]
        times = {2**k: played(2**k, work, workers) for k in range(9)}
        for width, time in times.items():
            np.testing.assert_allclose(widths.makespan(width, work, workers), time)
        width = widths.tile_width(jo.sgd(0.1), work)  # has no params: as wide as any
        assert times[width] <= min(times.values()) * (1 + 1e-9), work


def test_the_states_of_a_tile_fit_the_cache_of_a_core(monkeypatch):
    experiment = dataclasses.replace(BASE, model=jo.models.Linear(13, 300), optimizer=jo.sgd(0.1))
    lane = 4 * 300 * (13 + 1)  # bytes of its params
    width = widths.tile_width(experiment)
    assert width * lane <= widths.CPU_BYTES < 2 * width * 1.01 * lane
    monkeypatch.setattr(widths, "CPU_BYTES", 4 * widths.CPU_BYTES)
    assert widths.tile_width(experiment) == 4 * width
    monkeypatch.setattr(widths, "CPU_BYTES", 1)
    assert widths.tile_width(experiment) == 1


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jo.halving(1), ValueError, "halving: eta = 1"),
        (lambda: jo.halving(4, 0), ValueError, "halving: first = 0"),
        (lambda: jo.hyperband(2.5), ValueError, "hyperband: eta = 2.5"),
        (lambda: jo.median_stopping(every=0), ValueError, "every = 0"),
        (lambda: jo.population(fraction=0.7), ValueError, "fraction = 0.7"),
        (lambda: jo.sweep(BASE, 2, steps=4, folds=1), ValueError, "folds = 1"),
        (lambda: jo.sweep(BASE, 2, steps=4, folds=90), ValueError, "only .* of class"),
        (lambda: jo.sweep(BASE, 2, steps=4, seeds=0), ValueError, "seeds = 0"),
        (lambda: jo.sweep(BASE, 2, steps=4, sampler=3), TypeError, "sampler = 3"),
        (lambda: jo.data.k_fold(WINE, 1), ValueError, "folds = 1"),
    ],
)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_sampler_of_several_objectives_is_told_them_all():
    asked = []

    class Asking(type(jo.sobol().start([], 0, 0, "min"))):
        def tell(self, scores, **more):
            asked.append((scores, more))

    @dataclasses.dataclass(frozen=True)
    class Told(jo.Random):
        def start(self, groups, trials, seed, mode):
            given = super().start(groups, trials, seed, mode)
            asking = Asking(given._columns, trials)
            asking.batch = 4
            assert mode == ["min", "max"]
            return asking

    metrics = {"metric": ("loss", "accuracy"), "mode": ("min", "max")}
    study = jo.sweep(BASE, 8, steps=8, tile=4, sampler=Told(), **metrics)
    assert [len(scores) for scores, _ in asked] == [4, 4]
    got = np.concatenate([scores for scores, _ in asked])
    np.testing.assert_array_equal(got[:, 0], study.columns["validation_loss"])
    np.testing.assert_array_equal(got[:, 1], -study.columns["validation_accuracy"])
    assert study.metric == "loss"
