"""Files of every format ever written are read, converted, or refused by name."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli import main
from jaxopt_edu.disk import from_text_array
from jaxopt_edu.fingerprint import Fingerprint

STORES = Path(__file__).parent / "fixtures" / "stores"
sys.path.append(str(STORES.parent))
from make_stores import SPACE, SWEEP  # noqa: E402

FORMATS = (1, 2, 3)
LOSSES = [0.8744025826454163, 0.968680202960968, 1.0422182083129883]  # as format 1 has them
EVERY = pytest.mark.parametrize("version", FORMATS)


@pytest.fixture
def stored(tmp_path):
    def copied(version):
        return shutil.copytree(STORES / f"format-{version}", tmp_path / f"{version}")

    return copied


def test_there_is_one_of_each():
    assert {path.name for path in STORES.iterdir()} == {f"format-{k}" for k in FORMATS}
    for version in FORMATS:
        store = STORES / f"format-{version}"
        for name in ("sweep/sweep.json", "fit/fit.json"):
            assert json.loads((store / name).read_text())["format"] == version
        for name in ("sweep/results.npz", "fit/checkpoint.npz"):
            with np.load(store / name) as found:
                assert from_text_array(found["about"])["format"] == version


@EVERY
def test_a_sweep_of_every_format_is_read(version, stored, capsys):
    store = stored(version) / "sweep"
    study = jo.load_study(store)
    np.testing.assert_allclose(study.columns["validation_loss"], LOSSES, rtol=1e-5)
    assert study.space == SPACE
    assert study.best.optimizer.learning_rate.boundaries_and_scales == {3: 0.5, 6: 0.1}
    assert jo.load_study(store, space=SPACE).best == study.best
    assert main(["report", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["trial"] == 0
    assert jo.load_experiment(store / "best.json") == study.best


@EVERY
def test_an_experiment_of_every_format_is_read(version, stored):
    best = jo.load_experiment(stored(version) / "study" / "best.json")
    assert best.optimizer.learning_rate.boundaries_and_scales == {3: 0.5, 6: 0.1}
    assert best == jo.replace(SPACE, init_value=best.optimizer.learning_rate.init_value)


@pytest.mark.parametrize("version", FORMATS[:-1])
def test_stores_that_do_not_say_what_they_were_made_of_are_not_gone_on_with(version, stored):
    store = stored(version)
    before = {p: p.read_bytes() for p in store.rglob("*.*")}
    with pytest.raises(ValueError, match="does not say what functions .*: load_study reads it"):
        jo.sweep(SPACE, store=store / "sweep", **SWEEP)
    with pytest.raises(ValueError, match="does not say what functions .*: give another directory"):
        experiment = jo.replace(SPACE, init_value=0.05)
        jo.fit(experiment, 8, eval_every=4, store=store / "fit")
    assert {p: p.read_bytes() for p in store.rglob("*.*") if p.name != ".lock"} == before


def test_stores_of_the_last_format_are_gone_on_with(stored, monkeypatch):
    store = stored(FORMATS[-1])
    monkeypatch.setattr(Fingerprint, "differs", lambda self, stored: None)  # another version wrote
    study = jo.sweep(SPACE, store=store / "sweep", **SWEEP)
    assert study.info["compilations"]["engine"] == 0
    np.testing.assert_allclose(study.columns["validation_loss"], LOSSES, rtol=1e-5)
    run = jo.fit(jo.replace(SPACE, init_value=0.05), 8, eval_every=4, store=store / "fit")
    assert run.steps == 8 and run.history["step"].tolist() == [4, 8]


@pytest.mark.parametrize("name", ["sweep/sweep.json", "study/best.json"])
def test_later_formats_are_refused_by_name(name, stored):
    path = stored(3) / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    read = jo.load_study if name.startswith("sweep") else jo.load_experiment
    with pytest.raises(ValueError, match=rf"{path.name} has format 99: this version reads 1"):
        read(path.parent if name.startswith("sweep") else path)
