"""Experiments as JSON and back; files are written whole."""

import csv
import dataclasses
import functools
import inspect
import io
import json
import os

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli.directories import check_directory, new_directory
from jaxopt_edu.search.export import as_csv
from jaxopt_edu.storage.files import write_text
from jaxopt_edu.storage.named import describe, rebuild, unnamed

EXPERIMENT = jo.Training(
    model=jo.models.MLP((13, 8, 3), "tanh", dropout=0.1),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.chain(
        jo.clip_by_global_norm(1.0),
        jo.adamw(jo.warmup_cosine_decay_schedule(0.0, 1e-2, 10, 100), mask={"w": True, "b": False}),
    ),
    data=jo.data.load("wine", seed=1, prepare="min_max"),
    regularizer=jo.proximal(jo.L1(1e-4)),
    batch_size=16,
)


def test_an_experiment_survives_json():
    again = rebuild(json.loads(json.dumps(describe(EXPERIMENT))))
    assert again == EXPERIMENT


CHAPTERS = (jo.optimizers, jo.schedules, jo.transforms, jo.regularizers, jo.models, jo.augment)
GIVEN = {  # what the arguments without a default are given
    "alpha": 0.3, "boundaries": [5], "clipping": 0.2, "cosine_kwargs": ({"init_value": 0.1,
    "peak_value": 0.4, "decay_steps": 9, "warmup_steps": 3},), "decay": 0.8, "decay_rate": 0.7,
    "decay_steps": 20, "end_value": 0.02, "eta": 0.1, "every_k_schedule": 3, "freeze_mask":
    {"w": True}, "gamma": 0.55, "init_value": 0.3, "inner": jo.trace(0.7), "inputs": 6,
    "interpolate_type": "linear", "learning_rate": 0.5, "mask": {"w": True, "b": False},
    "max_delta": 0.4, "max_norm": 1.5, "opt": jo.sgd(0.2), "optimizer": jo.sgd(0.2),
    "param_labels": {"w": "a", "b": "c"}, "peak_value": 0.6, "power": 2, "regularizer": jo.L1(0.1),
    "scale": 0.2, "schedules": [jo.constant_schedule(0.1), jo.linear_schedule(1.0, 0.0, 9)],
    "shape": (8, 8), "sizes": (6, 4, 3), "step_size": 0.9,
    "step_size_fn": jo.constant_schedule(2.0), "parts": (jo.augment.noise(0.1),),
    "threshold": 0.6, "tokens": 3, "transforms": {"a": jo.sgd(0.1), "c": jo.adam(0.2)},
    "transition_steps": 11, "value": 0.05, "warmup_steps": 4, "weight": 0.01,
}  # fmt: skip
NO_VALUES = {"Augmentation", "Brick", "Regularizer"}  # bases; then what a training calls
NO_VALUES |= {"Equinox", "Haiku", "Linen", "NNX"}  # of others: tests/test_adapters.py
NO_VALUES |= {"learning_rate_of", "losses_of", "step_lengths", "weights_only", "Mixed"}
NAMES = [
    f"{c.__name__.rpartition('.')[2]}.{n}"
    for c in CHAPTERS
    for n in c.__all__
    if n not in NO_VALUES
]


@pytest.mark.parametrize("name", NAMES)
def test_what_every_public_name_makes_comes_back_from_json(name):
    thing = functools.reduce(getattr, name.split("."), jo)
    arguments = inspect.signature(thing).parameters.values()
    needed = [p.name for p in arguments if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
    given = {argument: GIVEN[argument] for argument in needed}
    other = {p.name: not p.default for p in arguments if isinstance(p.default, bool)}
    other |= {p.name: p.default * 0.9 for p in arguments if isinstance(p.default, float)}
    for value in (thing(**given), thing(**given, **other)):
        described = describe(value)
        again = rebuild(json.loads(json.dumps(described)))
        assert type(again) is type(value) and again == value and unnamed(described) == {}


def my_loss(prediction, target):
    return (prediction - target) ** 2


def study_of(loss):
    data = jo.data.load("linear")
    space = jo.Training(jo.models.Linear(1), loss, jo.sgd(jo.log_uniform(0.01, 10.0)), data)
    return jo.sweep(space, 5, steps=20, tile=4)


def test_a_study_becomes_files_and_its_best_comes_back(tmp_path):
    study = study_of(jo.losses.squared_error)
    jo.save_study(study, tmp_path)
    assert jo.load_experiment(tmp_path / "best.json") == study.best
    best = json.loads((tmp_path / "best.json").read_text())
    assert best["trial"] == study.best_trial and best["scores"] == study.scores()
    rows = list(csv.DictReader(io.StringIO((tmp_path / "trials.csv").read_text())))
    assert [int(row["trial"]) for row in rows] == list(range(5))
    for row, value in zip(rows, study.columns["optimizer.learning_rate"], strict=True):
        assert float(row["optimizer.learning_rate"]) == value
    about = json.loads((tmp_path / "study.json").read_text())
    assert about["versions"]["jax"] and about["compilations"]["engine"] >= 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["best.json", "study.json", "trials.csv"]


def test_a_loss_without_a_name_is_said_and_asked_for(tmp_path):
    study = study_of(my_loss)
    with pytest.warns(UserWarning, match="cannot name loss = my_loss"):
        jo.save_study(study, tmp_path)
    with pytest.raises(ValueError, match=r"loss was my_loss, .* give it, loss="):
        jo.load_experiment(tmp_path / "best.json")
    assert jo.load_experiment(tmp_path / "best.json", loss=my_loss) == study.best
    assert unnamed(describe(dataclasses.replace(study.best, loss=lambda p, y: p))) == {
        "loss": "<lambda>"
    }


def test_a_foreign_file_is_no_experiment(tmp_path):
    for name, text in (
        ("a", "{"),
        ("b", "[]"),
        ("c", "{}"),
        ("d", '{"experiment": {"class": "X"}}'),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match="holds no experiment|has no 'X'"):
            jo.load_experiment(tmp_path / name)


def test_missing_values_are_empty_cells():
    study = study_of(jo.losses.squared_error)
    study.columns["test_loss"][2] = np.nan
    line = as_csv(study).splitlines()[3].split(",")
    assert line[list(study.columns).index("test_loss") + 1] == ""


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    target = tmp_path / "x.txt"
    write_text(target, "old")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk is full"):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


def test_directories_are_new_or_refused(tmp_path):
    assert [new_directory(tmp_path, "digits").name for _ in range(2)] == ["digits-1", "digits-2"]
    (tmp_path / "digits-7").mkdir()
    assert new_directory(tmp_path, "digits").name == "digits-8"
    (tmp_path / "digits-1" / "trials.csv").write_text("mine")
    with pytest.raises(ValueError, match="holds something already"):
        check_directory(tmp_path / "digits-1", overwrite=False, name="--out")
    check_directory(tmp_path / "digits-1", overwrite=True, name="--out")
    check_directory(tmp_path / "digits-2", overwrite=False, name="--out")
    with pytest.raises(ValueError, match="is a file"):
        check_directory(tmp_path / "digits-1" / "trials.csv", overwrite=True, name="--out")


def test_a_study_of_a_store_keeps_the_names_of_what_it_could_not_name(tmp_path):
    jo.sweep(study_of(my_loss).space, 3, steps=2, tile=2, store=tmp_path / "store")
    loaded = jo.load_study(tmp_path / "store")
    with pytest.warns(UserWarning, match="cannot name loss = my_loss: .*, loss=..."):
        jo.save_study(loaded, tmp_path / "saved")
    again = jo.load_experiment(tmp_path / "saved" / "best.json", loss=my_loss)
    assert again == dataclasses.replace(loaded.best, loss=my_loss)


def test_where_a_store_could_not_name_what_holds_the_numbers_there_is_no_best_json(tmp_path):
    optax = pytest.importorskip("optax")
    study = study_of(jo.losses.squared_error)
    made = jo.from_optax(lambda learning_rate: optax.sgd(learning_rate), jo.uniform(0.01, 0.1))
    space = dataclasses.replace(study.space, optimizer=made)
    jo.sweep(space, 2, steps=2, tile=2, store=tmp_path / "store")
    jo.save_study(study, tmp_path / "saved")  # whose best.json must not stay
    told = r"best.json is not written: optimizer was .*lambda.*, which the store could not name"
    with pytest.warns(UserWarning, match=told):
        jo.save_study(jo.load_study(tmp_path / "store"), tmp_path / "saved")
    assert sorted(p.name for p in (tmp_path / "saved").iterdir()) == ["study.json", "trials.csv"]


def test_a_confirmation_without_a_score_confirms_nothing(tmp_path):
    study = study_of(jo.losses.squared_error)
    jo.save_study(study, tmp_path, confirmed=study.confirm(2, 2))
    assert (tmp_path / "confirm.csv").exists()
    lost = study.confirm(2, 2)
    for column in lost.columns.values():
        if column.dtype.kind == "f":
            column[:] = np.nan
    for lanes in lost.lanes.values():
        lanes[:] = np.nan
    assert not lost.scored
    jo.save_study(study, tmp_path, confirmed=lost)
    assert not (tmp_path / "confirm.csv").exists()
    told = json.loads((tmp_path / "best.json").read_text())
    assert told["confirmed"] is None and told["trial"] == study.best_trial
