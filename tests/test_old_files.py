"""Files of version 0.1 with private and federated trainings are those of trainings of today."""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli.program import main
from jaxopt_edu.storage.disk import from_text_array, read_arrays
from jaxopt_edu.storage.files import write_arrays
from jaxopt_edu.storage.formats import name_in_file, newer_experiment, newer_name, newer_places
from jaxopt_edu.view import plot

FIXTURES = Path(__file__).parent / "fixtures"
FILES = FIXTURES / "renamed"
sys.path.append(str(FIXTURES))
from make_renamed import (  # noqa: E402
    CHOICES,
    FEDERATED,
    PLAIN,
    POPULATION,
    PRIVATE,
    SEVERAL,
    SWEEP,
)

SPACES = {"private": PRIVATE, "federated": FEDERATED}
SWEPT = {
    "private": ("optimizer.learning_rate", "estimator.noise_multiplier"),
    "federated": (
        "estimator.local", "estimator.local.learning_rate", "optimizer.learning_rate",
        "estimator.mu",
    ),
}  # fmt: skip
EVERY = pytest.mark.parametrize("name", SPACES)


def asked(name):
    return json.loads((FILES / name / "sweep" / "sweep.json").read_text())


def best_file(tmp_path, changed):
    """A best.json of 0.1, of a federated training."""
    told = json.loads((FILES / "federated" / "study" / "best.json").read_text())
    changed(told["experiment"])
    path = tmp_path / "best.json"
    path.write_text(json.dumps(told))
    return path


@EVERY
def test_they_were_written_by_0_1(name):
    found = asked(name)
    assert found["format"] == 3 and found["identity"]["libraries"]["jaxopt_edu"] == "0.1.0"
    assert found["asked"]["space"]["class"] in ("PrivateTraining", "FedAvg")


@EVERY
def test_a_study_has_the_names_of_today(name):
    store = FILES / name / "sweep"
    study = jo.load_study(store)  # warns of no edits
    assert study.swept == SWEPT[name] and study.space == SPACES[name]
    assert study.columns["status"].tolist() == ["finished"] * len(study)
    given = jo.load_study(store, space=SPACES[name])
    for trial in range(len(study)):
        experiment = study.experiment(trial)
        assert experiment == given.experiment(trial)
        numbers = jo.hyperparameters(experiment)
        swept = study.hyperparameters(trial)
        assert all(numbers[n] == x for n, x in swept.items() if not isinstance(x, str))
    assert study.best == given.best
    with pytest.raises(ValueError, match="is of another space: space"):
        jo.load_study(store, space=PLAIN)


def test_rates_of_clients_and_server_are_told_apart():
    held = read_arrays(FILES / "federated" / "sweep" / "results.npz")
    study = jo.load_study(FILES / "federated" / "sweep")
    clients = held["column/0/optimizer.learning_rate"]
    server = {k: held[f"column/{k}/server.learning_rate"] for k in (0, 1)}
    adam = study.columns["estimator.local"] == "adam"
    assert 0 < adam.sum() < len(study)
    columns = study.columns
    np.testing.assert_array_equal(columns["estimator.local.learning_rate"][~adam], clients)
    for k, mine in ((0, ~adam), (1, adam)):
        np.testing.assert_array_equal(columns["optimizer.learning_rate"][mine], server[k])
    assert study.moves
    for _, move in study.moves:
        assert set(move.numbers) == set(move.before) <= set(SWEPT["federated"])
    old = from_text_array(held["about"])["moves"]
    assert [m.numbers["optimizer.learning_rate"] for _, m in study.moves] == [
        numbers["server.learning_rate"] for *_, numbers, _ in old
    ]


def test_why_a_trial_ended_has_the_numbers_it_had(tmp_path):
    store = shutil.copytree(FILES / "private" / "sweep", tmp_path / "sweep")
    arrays = read_arrays(store / "results.npz")
    arrays["record/reasons"][:, 0] = [1, 2, 3]
    write_arrays(store / "results.npz", arrays)
    study = jo.load_study(store)
    assert study.columns["status"].tolist() == ["diverged"] * 3
    assert study.columns["reason"].tolist() == [
        "loss is not finite", "state is not finite", "loss above diverge_above"
    ]  # fmt: skip


def test_structures_are_found_by_their_choices():
    store = FILES / "choices" / "sweep"
    study, given = jo.load_study(store), jo.load_study(store, space=CHOICES)
    assert study.swept == ("estimator.local", "optimizer", "optimizer.learning_rate")
    columns = {name: study.columns[name].tolist() for name in ("estimator.local", "optimizer")}
    pairs = list(zip(*columns.values(), strict=True))
    assert {("sgd", "adam"), ("adam", "sgd")} < set(pairs)  # which change their places
    for trial, (local, server) in enumerate(pairs):
        experiment = study.experiment(trial)
        assert experiment == given.experiment(trial)
        assert type(experiment.estimator.local).__name__.lower() == local
        assert type(experiment.optimizer).__name__.lower() == server


def test_a_list_of_experiments_of_several_classes():
    store = FILES / "several" / "sweep"
    study, given = jo.load_study(store), jo.load_study(store, space=SEVERAL)
    assert [study.experiment(i) for i in range(3)] == SEVERAL
    assert [given.experiment(i) for i in range(3)] == SEVERAL
    names = ("optimizer", "estimator.max_norm", "estimator.noise_multiplier")
    assert study.swept == names
    assert [study.hyperparameters(i).get(names[2]) for i in range(3)] == [None, 1.0, 2.0]


def check_again(study, trial):
    loss = study.rerun(trial).scores["validation"]["loss"]
    np.testing.assert_allclose(loss, study.columns["validation_loss"][trial], rtol=1e-6)


def test_a_trial_gives_its_numbers_again():
    check_again(jo.load_study(FILES / "private" / "sweep"), 0)


@pytest.mark.slow
@EVERY
def test_all_trials_and_their_confirmation_give_their_numbers_again(name):
    study = jo.load_study(FILES / name / "sweep")
    for trial in range(len(study)):
        check_again(study, trial)
    known = jo.load_study(FILES / name / "sweep" / "confirm")
    found = study.confirm(best=1, seeds=2).finals
    for score, x in known.finals.items():
        np.testing.assert_allclose(found[score], x, rtol=1e-6)


@EVERY
def test_what_was_confirmed_and_saved_is_read(name, tmp_path, capsys):
    store = shutil.copytree(FILES / name / "sweep", tmp_path / "sweep")
    confirmed = jo.load_study(FILES / name / "sweep" / "confirm")
    assert jo.load_experiment(FILES / name / "study" / "best.json") == confirmed.best
    assert main(["report", str(store), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["best"]["confirmed"]["seeds"] == [seed for seed, _ in confirmed.repeats] == [1, 2]
    assert set(told["best"]["hyperparameters"]) <= set(SWEPT[name])
    model = jo.load_model(FILES / name / "model.jo")
    assert model.predict(np.zeros((2, 4))).shape == (2,)


def test_a_picture_is_drawn_by_names_of_today():
    study = jo.load_study(FILES / "federated" / "sweep")
    names = {"x": "optimizer.learning_rate", "y": "estimator.mu"}
    with pytest.warns(DeprecationWarning, match="^server.learning_rate is called optimizer.learn"):
        figure = plot.plot_contour(study, **names | {"x": "server.learning_rate"})
    wanted = plot.plot_contour(dataclasses.replace(study, space=None), **names)
    assert figure.axes[0].get_xlabel() == wanted.axes[0].get_xlabel() != ""
    for draw in (plot.plot_contour, plot.plot_divergence):
        with pytest.raises(ValueError, match="'optimizer.learning_rate' was the clients'"):
            draw(study, **names)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("private", SWEEP), ("federated", POPULATION), ("unfinished", SWEEP),
        ("private", SWEEP | {"trials": 5}),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:rungs")
def test_a_sweep_of_0_1_is_not_gone_on_with(name, arguments, tmp_path):
    store = shutil.copytree(FILES / name / "sweep", tmp_path / "sweep")
    before = {p: p.read_bytes() for p in store.rglob("*.*")}
    if name == "unfinished":
        assert len(list((store / "lanes").iterdir())) == 1
        arguments = arguments | {"rungs": jo.halving(2, first=2)}
        with pytest.raises(ValueError, match="has no results yet"):
            jo.load_study(store)
    with pytest.raises(ValueError, match="in format 3, which this one does not go on with: load"):
        jo.sweep(SPACES.get(name, PLAIN), store=store, **arguments)
    assert {p: p.read_bytes() for p in store.rglob("*.*") if p.name != ".lock"} == before


# -------------------------------------------------------------------------- parts that are given


def unname_both(told):
    told["optimizer"] = told["server"] = {"unnamed": "<lambda>"}


def test_parts_are_given_to_a_file_by_its_names_or_by_those_of_today(tmp_path):
    path = best_file(tmp_path, unname_both)
    clients, server = jo.sgd(0.2), jo.adam(0.3)
    with pytest.raises(ValueError, match="optimizer was <lambda>, .*: give it, optimizer="):
        jo.load_experiment(path)
    with pytest.raises(ValueError, match="'estimator.local' for the clients', 'server' for the"):
        jo.load_experiment(path, optimizer=clients, server=server)
    made = jo.load_experiment(path, **{"estimator.local": clients}, server=server, mu=0.5)
    assert made.optimizer == server and made.estimator.local == clients
    assert made.estimator.mu == 0.5 and type(made) is jo.Training
    with pytest.raises(ValueError, match="unknown part 'microbatch'"):
        jo.load_experiment(path, **{"estimator.local": clients}, server=server, microbatch=1)


def test_parts_are_given_to_a_file_of_today_by_names_of_today(tmp_path):
    path = tmp_path / "best.json"
    made = jo.load_experiment(FILES / "federated" / "study" / "best.json")
    jo.save_study(jo.load_study(FILES / "federated" / "sweep"), tmp_path)
    assert json.loads(path.read_text())["format"] == 3
    with pytest.raises(ValueError, match="'optimizer.learning_rate' was the clients' before"):
        jo.load_experiment(path, **{"optimizer.learning_rate": 0.5})
    with pytest.warns(DeprecationWarning, match="^server.learning_rate is called optimizer.learn"):
        given = jo.load_experiment(path, **{"server.learning_rate": 0.5})
    assert given.optimizer.learning_rate == 0.5
    assert given.estimator.clients == made.estimator.clients
    told = json.loads(path.read_text())
    told["experiment"]["optimizer"] = {"unnamed": "<lambda>"}
    path.write_text(json.dumps(told))
    assert jo.load_experiment(path, optimizer=jo.adam(0.1)).optimizer == jo.adam(0.1)


# -------------------------------------------------------------------------------- descriptions


def test_trainings_in_lists_and_choices_are_converted():
    private = asked("private")["asked"]["space"]
    plain = asked("unfinished")["asked"]["space"]
    assert private["track_gradient_norm"] is plain["track_gradient_norm"] is False
    both = {"list": [plain, {"class": "OneOf", "alternatives": {"tuple": [private, private]}}]}
    first, second = newer_experiment(both, 2)["list"]
    assert set(first) == set(plain) - {"track_gradient_norm"} and first["class"] == "Training"
    for one in second["alternatives"]["tuple"]:
        assert one["class"] == "Training" and one["estimator"] == {
            "class": "Private", "max_norm": 1.0, "microbatch": None,
            "noise_multiplier": private["noise_multiplier"],
        }  # fmt: skip
    assert newer_experiment(both, 3) is both
    own = {"class": "mine.Descent", "optimizer": 1, "track_gradient_norm": True}
    assert newer_experiment(own, 2) == own
    assert newer_experiment(plain | {"class": "mine.Training"}, 2)["class"] == "mine.Training"
    assert "track_gradient_norm" not in newer_experiment(plain | {"class": "mine.Training"}, 2)


def test_names_are_converted_by_the_description_they_belong_to():
    federated, private = asked("federated")["asked"]["space"], asked("private")["asked"]["space"]
    inside = {"dict": {"a.b": federated, "c": {"tuple": [private]}}}
    for old, new in {
        "optimizer": "estimator.local", "optimizer.learning_rate": "estimator.local.learning_rate",
        "server.learning_rate": "optimizer.learning_rate", "mu": "estimator.mu", "loss": "loss",
        "model.inputs": "model.inputs", "optimizer -> helper": "estimator.local -> helper",
        "multi": "multi", "": "",
    }.items():  # fmt: skip
        assert newer_name(federated, old) == new
        if old:
            assert newer_name(inside, f"a.b.{old}") == f"a.b.{new}"
    assert newer_name(inside, "c.0.max_norm") == "c.0.estimator.max_norm"
    assert newer_name(private, "optimizer.learning_rate") == "optimizer.learning_rate"
    assert newer_name({"unnamed": "x"}, "mu") == newer_name(None, "mu") == "mu"
    assert name_in_file(private, "optimizer.learning_rate") == "optimizer.learning_rate"
    assert name_in_file(federated, "server") == "optimizer"


def test_places_of_a_fingerprint_are_converted():
    federated = asked("federated")
    parts = federated["identity"]["parts"] | {"space.server -> f": "function f 12", "space(1)": "x"}
    found = newer_places(federated["asked"]["space"], "space", parts)
    assert found["space"] == "Training of jaxopt_edu" and found["space(1)"] == "x"
    assert found["space.optimizer"] == parts["space.server"]
    assert found["space.estimator.local"] == parts["space.optimizer"]
    assert found["space.optimizer -> f"] == "function f 12"
    plain = asked("unfinished")
    found = newer_places(plain["asked"]["space"], "space", plain["identity"]["parts"])
    gone = plain["identity"]["parts"].keys() - found.keys()
    assert gone == {"space.track_gradient_norm"}
