"""Optuna's samplers, distributions, storages and importances."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState
from studies import made_up

import jaxopt_edu as jo
from jaxopt_edu.search.optuna_sampler import Search
from jaxopt_edu.search.samplers import as_sampler, axes
from jaxopt_edu.storage.named import describe, rebuild
from jaxopt_edu.values.space import Choice, OneOf, groups

NAN = np.nan
KINDS = ["tpe", "cmaes", "nsgaii", "nsgaiii", "random", "qmc"]  # gp wants torch


@jo.pytree
class Point:
    """Six numbers and a choice."""

    a: float
    b: float
    c: float
    d: float
    e: float
    f: float
    kind: str = jo.static()


CUBE = Point(*[jo.uniform(-1.0, 1.0)] * 6, kind=jo.one_of("x", "y", "z"))
NESTED = jo.one_of(
    jo.sgd(jo.log_uniform(0.01, 1.0), momentum=jo.one_of(None, jo.uniform(0.5, 0.9))),
    jo.adam(jo.log_uniform(1e-5, 1e-3), b1=jo.choice(0, 0.8, 0.9)),
    jo.adam(jo.log_uniform(1e-3, 1e-1), eps=jo.int_uniform(1, 4)),
)


def height(columns):
    """A bowl about 0.3, in one of three valleys."""
    numbers = sum((x - 0.3) ** 2 for (name, _), x in columns.items() if name != "kind")
    return numbers + next(x != 1 for (name, _), x in columns.items() if name == "kind")


def search(sampler, space, seed, trials, score, mode="min", batches=100, **more):
    """The points and scores of a search, at most so many batches of it."""
    asking = sampler.start(groups(space), trials, seed, mode)
    points, scores = [], []
    while len(points) * asking.batch < asking.total and len(points) < batches:
        points.append(asking.ask(asking.batch))
        scores.append(np.asarray(score(points[-1])))
        asking.tell(scores[-1], **{k: f(points[-1]) for k, f in more.items()})
    whole = {axis: np.concatenate([p[axis] for p in points]) for axis in points[0]}
    return whole, np.concatenate(scores)


def same(one, other):
    assert list(one) == list(other)
    return all(np.array_equal(x, other[axis]) for axis, x in one.items())


# ------------------------------------------------------------------------------- distributions


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (jo.uniform(0, 1), FloatDistribution(0, np.nextafter(1, 0))),
        (jo.uniform(-1.5, -0.1), FloatDistribution(-1.5, np.nextafter(-0.1, -1))),
        (jo.log_uniform(1e-4, 0.1), FloatDistribution(1e-4, np.nextafter(0.1, 0), log=True)),
        (jo.int_uniform(1, 8), IntDistribution(1, 8)),
        (jo.int_uniform(3, 3), IntDistribution(3, 3)),
        (jo.choice(0.5, 2, 3), CategoricalDistribution((0.5, 2, 3))),
        (jo.one_of("relu", "tanh", None), CategoricalDistribution(("relu", "tanh", None))),
        (jo.one_of(True, False), CategoricalDistribution((True, False))),
    ],
)
def test_distributions_go_there_and_back(ours, theirs):
    assert jo.to_distribution(ours) == theirs and jo.from_distribution(theirs) == ours


def test_alternatives_are_labelled_and_told_apart():
    values = jo.one_of(jo.sgd(0.1), jo.adam(0.1), jo.sgd(0.2), (64, 32))
    assert jo.to_distribution(values).choices == (
        "sgd(learning_rate=0.1)", "adam", "sgd(learning_rate=0.2)", "64-32",
    )  # fmt: skip
    assert jo.to_distribution(jo.one_of(16, 64)).choices == (16, 64)
    assert jo.from_distribution(IntDistribution(16, 48, step=16)) == jo.choice(16, 32, 48)
    for d in (IntDistribution(1, 8, log=True), FloatDistribution(0, 1, step=0.5)):
        with pytest.raises(ValueError, match="Distribution.* has no counterpart here"):
            jo.from_distribution(d)


# ------------------------------------------------------------------------------ asking and telling


def test_tpe_beats_random_search():
    best = {
        kind: np.median(
            [search(jo.optuna(kind, batch=16), CUBE, s, 64, height)[1].min() for s in range(5)]
        )
        for kind in ("tpe", "random")
    }
    assert best["tpe"] < 0.5 * best["random"]


def test_a_sampler_that_learns_does_so_by_default():
    for kind in ("tpe", "cmaes", "nsgaii"):
        _, scores = search(jo.optuna(kind), CUBE, 0, 64, height)
        assert scores[-16:].mean() < 0.7 * scores[:8].mean()
    sizes = {n: jo.optuna("tpe").start(groups(CUBE), n, 0, "min").batch for n in (2, 64, 256, 9999)}
    assert sizes == {2: 1, 64: 8, 256: 32, 9999: 64}
    assert jo.optuna("random").start(groups(CUBE), 9999, 0, "min").batch == 9999


@pytest.mark.parametrize(
    ("sampler", "trials"),
    [
        (jo.optuna("tpe", batch=64), 64),
        (jo.optuna("tpe", n_startup_trials=16), 16),
        (jo.optuna("cmaes"), 4),
        (jo.optuna("nsgaii", batch=8), 8),
        (jo.optuna("tpe"), 1),
    ],
)
def test_a_sampler_that_would_never_see_a_score_is_refused(sampler, trials):
    with pytest.raises(ValueError, match=f"of {trials} trials .* none would learn from a score"):
        sampler.start(groups(CUBE), trials, 0, "min")


def test_samplers_of_optunas_own_are_refused_by_name():
    given = optuna.samplers.TPESampler(n_startup_trials=64)
    with pytest.raises(TypeError, match=r'such as jo.optuna\("tpe", n_startup_trials=20'):
        as_sampler(given)
    with pytest.raises(ValueError, match=r"unknown sampler 'tpe'; jo.optuna\('tpe'\)"):
        as_sampler("tpe")


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_asked_and_told_again_gives_the_same_trials(kind):
    """Also with trials that diverged or were stopped; and another seed gives others."""

    def score(points):
        z = height(points)
        return np.where(z > np.median(z) + 0.5, NAN, z)

    def curves(points):
        return np.stack([score(points) + 1, np.where(stopped(points), NAN, score(points))], 1)

    def stopped(points):
        return np.abs(height(points) - 1) < 0.3

    def states(points):
        ended = np.where(stopped(points), "stopped", "finished")
        return np.where(np.isnan(score(points)), "diverged", ended)

    more = {"steps": lambda _: np.array([10, 20]), "curves": curves, "states": states}
    sampler = jo.optuna(kind, batch=8)
    first, second = (search(sampler, CUBE, 2**40 + 1, 32, score, **more)[0] for _ in range(2))
    assert same(first, second)
    assert not same(first, search(sampler, CUBE, 3, 32, score, **more)[0])
    for (name, what), x in first.items():
        if name == "kind":
            assert {1, 2} <= set(x.tolist()) <= {0, 1, 2}
        else:
            assert (what.low <= x).all() and (x < what.high).all() and len(set(x)) > 8


@pytest.mark.parametrize("kind", KINDS)
def test_structures_have_their_own_parameters(kind):
    """Each only where it is chosen, within its own range, also where names are the same."""
    asking = jo.optuna(kind, batch=30).start(groups(NESTED), 60, 0, "min")
    for _ in range(2):
        columns = asking.ask(30)
        asking.tell(np.arange(30.0))
    assert list(columns) == axes(groups(NESTED))
    for (_, what), x in columns.items():
        if isinstance(what, OneOf):
            assert x.dtype.kind == "i" and ((x >= 0) & (x < len(what.alternatives))).all()
        elif isinstance(what, Choice):
            assert set(x) <= {0.0, 0.8, 0.9}
        else:
            low, high = what.bounds()
            assert ((low <= x) & (x <= high)).all()
    names = {tuple(trial.params) for trial in asking._study.trials}
    assert names == {
        ("structure", "momentum [sgd]", "learning_rate [sgd]"),
        ("structure", "momentum [sgd]", "learning_rate [sgd]", "momentum [sgd uniform]"),
        ("structure", "learning_rate [adam(b1=choice)]", "b1"),
        ("structure", "learning_rate [adam(eps=int_uniform)]", "eps"),
    }


def test_several_objectives():
    """Rows of scores; the storage has them with their own signs."""

    def score(points):
        x, y = (points[axis] for axis in list(points)[1:3])
        z = np.stack([x**2 + y**2, -((x - 0.5) ** 2)], 1)
        z[0, 1] = NAN
        return z

    for kind in ("nsgaii", "tpe"):
        storage = optuna.storages.InMemoryStorage()
        sampler = jo.optuna(kind, batch=8, storage=storage)
        points, scores = search(sampler, CUBE, 0, 24, score, mode=("min", "max"))
        assert same(points, search(jo.optuna(kind, batch=8), CUBE, 0, 24, score, ["min"] * 2)[0])
        study = optuna.load_study(study_name="jaxopt_edu", storage=storage)
        assert [d.name for d in study.directions] == ["MINIMIZE", "MAXIMIZE"]
        for trial, row in zip(study.trials, scores * [1, -1], strict=True):
            assert trial.values == (None if np.isnan(row).any() else row.tolist())


# ------------------------------------------------------------------------------------ storages


@pytest.mark.parametrize("url", ["sqlite:///{}/study.db", "{}/journal.log"])
def test_the_storage_has_every_trial_once(url, tmp_path, capsys):
    storage = url.format(tmp_path)
    sampler = jo.optuna("tpe", batch=4, storage=storage, study_name="mine")

    def score(points):
        return np.where(points[axis] < -0.8, NAN, -height(points))

    def curves(points):
        return np.stack([score(points) + 1, np.full(4, NAN), score(points)], 1)

    axis = axes(groups(CUBE))[1]
    more = {
        "steps": lambda _: np.array([10, 20, 30]),
        "curves": curves,
        "states": lambda p: np.where(
            np.isnan(score(p)), "diverged", ["finished"] * 3 + ["stopped"]
        ),
        "attributes": lambda p: {"reason": np.array(["a", "b", "c", "d"]), "test_loss": p[axis]},
    }
    search(sampler, CUBE, 0, 12, score, "max", 1, **more)  # killed after its first batch
    points, scores = search(sampler, CUBE, 0, 12, score, "max", **more)
    if not storage.startswith("sqlite"):
        storage = optuna.storages.JournalStorage(
            optuna.storages.journal.JournalFileBackend(storage)
        )
    study = optuna.load_study(study_name="mine", storage=storage)
    assert study.direction.name == "MAXIMIZE" and len(study.trials) == 12
    for i, trial in enumerate(study.trials):
        assert trial.number == i
        for (name, _), x in points.items():
            assert trial.params[name] == (("x", "y", "z")[x[i]] if name == "kind" else x[i])
        dead, stopped = np.isnan(scores[i]), i % 4 == 3
        expected = "FAIL" if dead else "PRUNED" if stopped else "COMPLETE"
        assert trial.state.name == expected
        assert trial.values == (None if dead else [-scores[i]])
        curve = {} if dead else {10: -scores[i] - 1, 30: -scores[i]}
        assert trial.intermediate_values == pytest.approx(curve, rel=1e-15)
        status = "diverged" if dead else "stopped" if stopped else "finished"
        assert trial.user_attrs == {
            "status": status, "reason": "abcd"[i % 4], "test_loss": points[axis][i],
        }  # fmt: skip
    assert {TrialState.FAIL, TrialState.COMPLETE} < {t.state for t in study.trials}
    with pytest.raises(ValueError, match="another sweep under study_name = 'mine' .trial 0 has"):
        sampler.start(groups(CUBE), 12, 1, "max").ask(4)
    with pytest.raises(ValueError, match="'mine': the storage has it with other directions"):
        sampler.start(groups(CUBE), 12, 0, "min")
    with pytest.raises(ValueError, match="trial 0 has other values"):
        search(sampler, CUBE, 0, 12, lambda points: -height(points) + 1, "max")
    assert capsys.readouterr().err == ""


LINEAR = jo.Training(
    model=jo.models.Linear(1),
    loss=jo.losses.squared_error,
    optimizer=jo.one_of(
        jo.sgd(jo.log_uniform(1e-3, 1e6)), jo.adam(jo.log_uniform(1e-3, 1.0), jo.uniform(0.5, 0.9))
    ),
    data=jo.data.load("linear"),
)


HALVED = {"trials": 24, "steps": 40, "rungs": jo.halving(2, 10), "tile": 4}


@pytest.fixture(scope="module")
def halved(tmp_path_factory):
    """A sweep whose trials diverged, were stopped, or finished; and its storage."""
    url = f"sqlite:///{tmp_path_factory.mktemp('halved')}/study.db"
    return jo.sweep(LINEAR, sampler=jo.optuna("tpe", batch=8, storage=url), **HALVED), url


def test_a_sweep_and_its_storage_tell_the_same(halved):
    study, url = halved
    copied = optuna.load_study(study_name="jaxopt_edu", storage=url)
    made = study.to_optuna()
    assert len(copied.trials) == len(made.trials) == len(study) == 24
    states = {"finished": "COMPLETE", "stopped": "PRUNED", "diverged": "FAIL"}
    assert set(study.columns["status"]) == set(states)
    for i, (one, two) in enumerate(zip(copied.trials, made.trials, strict=True)):
        assert one.params == two.params and one.distributions == two.distributions
        assert (one.state, one.values) == (two.state, two.values)
        assert one.intermediate_values == two.intermediate_values
        row = study.row(i)
        dead = row["status"] == "diverged"
        assert two.state.name == states[row["status"]]
        assert two.values == (None if dead else [row["rank_loss"]])
        rate = f"optimizer.learning_rate [{row['optimizer']}]"
        assert two.params["optimizer"] == row["optimizer"]
        assert two.params[rate] == row["optimizer.learning_rate"]
        others = ("status", "reason", "steps", "test_loss", "test_r2_score")
        known = {name: row[name] for name in others if row[name] == row[name]}
        assert known.items() <= two.user_attrs.items()
        assert ("test_loss" in known) == ("test_loss" in two.user_attrs)
    assert made.best_trial.number == study.best_trial


def test_a_sweep_that_was_interrupted_goes_on_to_the_same(halved, tmp_path, monkeypatch):
    """Its sampler is told of the stored trials again, and its storage has each of them once."""
    journal = str(tmp_path / "journal.log")
    sampler = jo.optuna("tpe", batch=8, storage=journal)
    told = Search.tell

    def tell(self, scores, **more):
        if self._asked[0].number == 8:
            raise KeyboardInterrupt
        told(self, scores, **more)

    with monkeypatch.context() as patch, pytest.raises(jo.SweepInterrupted):
        patch.setattr(Search, "tell", tell)
        jo.sweep(LINEAR, sampler=sampler, store=tmp_path / "store", **HALVED)
    again = jo.sweep(LINEAR, sampler=sampler, store=tmp_path / "store", **HALVED)
    for name, x in halved[0].columns.items():
        np.testing.assert_array_equal(x, again.columns[name])
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    copied = optuna.load_study(study_name="jaxopt_edu", storage=storage)
    assert [t.params for t in copied.trials] == [t.params for t in again.to_optuna().trials]


def test_a_sweep_with_several_objectives():
    storage = optuna.storages.InMemoryStorage()
    study = jo.sweep(
        LINEAR, 16, steps=40, tile=4, metric=("loss", "r2_score"), mode=("min", "max"),
        sampler=jo.optuna("nsgaii", batch=8, storage=storage),
    )  # fmt: skip
    copied = optuna.load_study(study_name="jaxopt_edu", storage=storage)
    pairs = np.stack([study.columns[f"rank_{s}"] for s in ("loss", "r2_score")], 1)
    for trial, pair in zip(copied.trials, pairs.tolist(), strict=True):
        assert trial.values == (None if np.isnan(pair).any() else pair)
    assert len(copied.best_trials) > 0


def test_a_study_is_written_once(halved):
    study, url = halved
    study.to_optuna(url, "again")
    assert len(study.to_optuna(url, "again").trials) == 24
    wrong = dataclasses.replace(study, columns=study.columns | {"rank_loss": np.ones(24)})
    with pytest.raises(ValueError, match="another sweep under study_name = 'again'"):
        wrong.to_optuna(url, "again")


def test_lists_and_batches_have_the_ranges_of_their_columns():
    rates = jnp.array([1e-3, 1e-2, 1e-1])
    base = dataclasses.replace(LINEAR, optimizer=jo.sgd(0.1))
    batch = dataclasses.replace(base, optimizer=jax.vmap(jo.sgd)(rates))
    listed = [dataclasses.replace(base, optimizer=jo.sgd(r)) for r in (0.1, 0.3)]
    listed += [dataclasses.replace(base, optimizer=jo.adam(0.1, b1=b)) for b in (0.5, 0.9)]
    [one, two] = (jo.to_optuna(jo.sweep(x, steps=40, tile=4)) for x in (batch, listed))
    low, high = rates[jnp.array([0, 2])].tolist()
    assert {str(t.distributions) for t in one.trials} == {
        str({"optimizer.learning_rate": FloatDistribution(low, high, log=True)})
    }
    kinds = {"optimizer": CategoricalDistribution(("sgd", "adam"))}
    rate = {"optimizer.learning_rate": FloatDistribution(0.1, 0.3)}
    momentum = {"optimizer.b1": FloatDistribution(0.5, 0.9)}
    expected = [kinds | rate] * 2 + [kinds | momentum] * 2
    assert [t.distributions for t in two.trials] == expected
    assert [t.params["optimizer"] for t in two.trials] == ["sgd", "sgd", "adam", "adam"]


def test_an_interrupted_trial_failed_and_a_number_outside_widens():
    study = made_up(4, space=None)
    study.columns["status"] = np.array(["finished"] * 2 + ["interrupted", "finished"])
    trials = jo.to_optuna(study).trials
    assert [t.state.name for t in trials] == ["COMPLETE", "COMPLETE", "FAIL", "COMPLETE"]
    assert len(trials[2].intermediate_values) == 5 and trials[2].values is None
    grown = jo.sweep(
        dataclasses.replace(LINEAR, optimizer=jo.sgd(jo.uniform(1e-3, 0.1))), 3, steps=40, tile=4
    )
    grown.batches[0].columns["optimizer.learning_rate"][1] = 0.2
    [d] = {t.distributions["optimizer.learning_rate"] for t in jo.to_optuna(grown).trials}
    assert d == FloatDistribution(1e-3, 0.2)


# --------------------------------------------------------------------------------- importances


@pytest.mark.parametrize("evaluator", ["ped_anova", "fanova", "mdi"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_importances(evaluator, mode):
    study = made_up(60, numbers=3, choices=(2,), dead=(3, 4), mode=mode)
    found = jo.importances(study, evaluator)
    assert found == jo.importances(study, evaluator)
    assert list(found)[0] == "optimizer.number0" and found["optimizer.number0"] > 0.5
    assert set(found) == set(study.swept) and sum(found.values()) == pytest.approx(1)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_importances_at_a_rung():
    """Early scores are those of another number; of them there are more trials."""
    study = made_up(60, numbers=2)
    study.columns["status"] = np.array(["finished"] * 10 + ["stopped"] * 50)
    study.curves["loss"][:, 1] = np.log(study.columns["optimizer.number1"]) ** 2
    study.curves["loss"][10:, 2:] = NAN
    assert next(iter(jo.importances(study, step=21))) == "optimizer.number1"  # at 40
    with pytest.raises(ValueError, match="step = 101: wanted 0 to 100"):
        jo.importances(study, step=101)
    with pytest.raises(ValueError, match="evaluator = 'anova' is unknown; did you mean .*anova"):
        jo.importances(study, "anova")
    with pytest.raises(ValueError, match="0 trials have a score to compare: wanted 2 or more"):
        jo.importances(made_up(3, dead=range(3)))


# --------------------------------------------------------------------------------- the value


def test_a_sampler_is_a_value():
    sampler = jo.optuna("tpe", batch=32, storage=Path("a.log"), n_startup_trials=20, group=True)
    assert sampler.storage == "a.log" and callable(jo.optuna)
    equal = jo.optuna(batch=32, storage="a.log", group=True, n_startup_trials=20)
    assert sampler == equal and hash(sampler) == hash(equal) != hash(jo.optuna("tpe"))
    assert rebuild(json.loads(json.dumps(describe(sampler)))) == sampler
    assert eval(repr(sampler), {"Optuna": jo.Optuna}) == sampler


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: jo.optuna("tpa"), ValueError, "kind = 'tpa' is unknown; did you mean 'tpe'"),
        (
            lambda: jo.optuna("tpe", batch=0),
            ValueError,
            r"optuna\('tpe'\): batch = 0: wanted an integer, at least 1",
        ),
        (
            lambda: jo.optuna("cmaes", batch=2),
            ValueError,
            r"optuna\('cmaes'\): batch = 2: wanted an integer, at least 4",
        ),
        (
            lambda: jo.optuna("tpe", startup=3).start(groups(CUBE), 8, 0, "min"),
            TypeError,
            r"optuna\('tpe'\): no 'startup'; did you mean 'n_startup_trials'",
        ),
        (
            lambda: search(jo.optuna(batch=4), CUBE, 0, 8, lambda points: np.ones(3)),
            ValueError,
            "tell: 3 scores for 4 trials",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("kind", "package", "install"),
    [
        ("tpe", "optuna", "jaxopt_edu.optuna."),
        ("cmaes", "cmaes", "jaxopt_edu.optuna."),
        ("gp", "torch", "torch"),
    ],
)
def test_a_missing_package_is_named(kind, package, install, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(ImportError, match=f"'{kind}'. needs {package}: pip install '{install}'"):
        jo.optuna(kind).start(groups(CUBE), 8, 0, "min")


@pytest.mark.slow
def test_the_benchmark_runs(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "benchmarks")
    asked = ["--quick", "--out", str(tmp_path), "--repeats", "1", "--arms", "tpe-joint,tpe"]
    monkeypatch.setattr(sys, "argv", ["optuna_tpe.py", *asked])
    import optuna_tpe

    optuna_tpe.main()
    [record] = tmp_path.glob("*-optuna_tpe-quick.json")
    found = json.loads(record.read_text())
    assert [row["arm"] for row in found["results"]["rows"]] == ["tpe-joint", "tpe"]
    assert any("finds 16 of 16 trials" in note for note in found["notes"])
