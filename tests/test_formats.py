"""Files of every format ever written are read, converted, or refused by name."""

import json
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.cli.program import main
from jaxopt_edu.storage.disk import from_text_array, read_arrays, text_array
from jaxopt_edu.storage.files import write_arrays
from jaxopt_edu.storage.formats import EXPERIMENT
from jaxopt_edu.storage.identity import Fingerprint

STORES = Path(__file__).parent / "fixtures" / "stores"
sys.path.append(str(STORES.parent))
from make_stores import SPACE, SWEEP  # noqa: E402

FORMATS = {1: (1, 1), 2: (2, 1), 3: (3, 2), 5: (4, 3)}  # sweep -> fit, experiment
NOW = max(FORMATS)
LOSSES = [0.8744025826454163, 0.968680202960968, 1.0422182083129883]  # as format 1 has them
EVERY = pytest.mark.parametrize("version", FORMATS)


@pytest.fixture
def stored(tmp_path):
    def copied(version):
        return shutil.copytree(STORES / f"format-{version}", tmp_path / f"{version}")

    return copied


def set_format(path, version):
    """Writes another number into a results.npz."""
    arrays = read_arrays(path)
    about = from_text_array(arrays["about"])
    write_arrays(path, arrays | {"about": text_array(about | {"format": version})})


def test_there_is_one_of_each():
    assert {path.name for path in STORES.iterdir()} == {f"format-{k}" for k in FORMATS}
    for version, (fit, experiment) in FORMATS.items():
        store = STORES / f"format-{version}"
        for name, wanted in {"sweep/sweep.json": version, "fit/fit.json": fit}.items():
            assert json.loads((store / name).read_text())["format"] == wanted
        with np.load(store / "sweep" / "results.npz") as found:
            assert from_text_array(found["about"])["format"] == version
        if fit < 4:  # since then it is written as the tile of a sweep
            with np.load(store / "fit" / "checkpoint.npz") as found:
                assert from_text_array(found["about"])["format"] == fit
        best = json.loads((store / "study" / "best.json").read_text())
        assert best.get("format", 1) == experiment
    assert FORMATS[NOW][1] == EXPERIMENT


@EVERY
def test_a_sweep_of_every_format_is_read(version, stored, capsys):
    store = stored(version) / "sweep"
    study = jo.load_study(store)
    np.testing.assert_allclose(study.columns["validation_loss"], LOSSES, rtol=1e-5)
    assert study.columns["status"].tolist() == ["finished"] * 3
    assert study.space == SPACE
    assert study.best.optimizer.learning_rate.boundaries_and_scales == {3: 0.5, 6: 0.1}
    assert jo.load_study(store, space=SPACE).best == study.best
    other = jo.replace(SPACE, init_value=jo.uniform(0.01, 0.2))
    with pytest.raises(ValueError, match="is of another space") if version > 2 else nullcontext():
        jo.load_study(store, space=other)
    assert main(["report", str(store), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"]["trial"] == 0
    jo.save_study(study, store)
    assert jo.load_experiment(store / "best.json") == study.best


def test_rounds_in_files_of_their_own_were_format_4(stored):
    store = stored(NOW) / "sweep"
    known = jo.load_study(store)
    set_format(store / "results.npz", 4)
    study = jo.load_study(store)
    assert study.columns.keys() == known.columns.keys()
    np.testing.assert_array_equal(study.columns["rank_loss"], known.columns["rank_loss"])


@EVERY
def test_an_experiment_of_every_format_is_read(version, stored):
    best = jo.load_experiment(stored(version) / "study" / "best.json")
    assert best.optimizer.learning_rate.boundaries_and_scales == {3: 0.5, 6: 0.1}
    assert best == jo.replace(SPACE, init_value=best.optimizer.learning_rate.init_value)


@pytest.mark.parametrize("version", [version for version in FORMATS if version < NOW])
def test_stores_of_earlier_formats_are_not_gone_on_with(version, stored, monkeypatch):
    monkeypatch.setattr(Fingerprint, "differs", lambda self, stored: None)
    store = stored(version)
    before = {p: p.read_bytes() for p in store.rglob("*.*")}
    why = "does not say what functions" if version < 3 else "in format 3, .*does not go on with"
    with pytest.raises(ValueError, match=f"{why}.*: load_study reads it"):
        jo.sweep(SPACE, store=store / "sweep", **SWEEP)
    with pytest.raises(ValueError, match=f"{why}.*: load_study reads it"):
        jo.sweep(SPACE, store=store / "sweep", **SWEEP | {"trials": 5})
    experiment = jo.replace(SPACE, init_value=0.05)
    with pytest.raises(ValueError, match=rf"fit.json has format {version}: .* 4; give another"):
        jo.fit(experiment, 8, eval_every=4, store=store / "fit")
    assert {p: p.read_bytes() for p in store.rglob("*.*") if p.name != ".lock"} == before


def test_stores_of_this_format_are_gone_on_with(stored, monkeypatch):
    store = stored(NOW)
    monkeypatch.setattr(Fingerprint, "differs", lambda self, stored: None)  # another version wrote
    study = jo.sweep(SPACE, store=store / "sweep", **SWEEP)
    assert study.info["compilations"]["engine"] == 0
    np.testing.assert_allclose(study.columns["validation_loss"], LOSSES, rtol=1e-5)
    run = jo.fit(jo.replace(SPACE, init_value=0.05), 8, eval_every=4, store=store / "fit")
    assert run.steps == 8 and run.history["step"].tolist() == [4, 8]


@pytest.mark.parametrize("name", ["sweep/sweep.json", "study/best.json"])
def test_later_formats_are_refused_by_name(name, stored):
    path = stored(NOW) / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    read = jo.load_study if name.startswith("sweep") else jo.load_experiment
    with pytest.raises(ValueError, match=rf"{path.name} has format 99: this version reads 1"):
        read(path.parent if name.startswith("sweep") else path)


def test_later_results_are_refused_by_name(stored):
    store = stored(NOW) / "sweep"
    set_format(store / "results.npz", 6)
    with pytest.raises(ValueError, match=r"results.npz has format 6: this version reads 1, .* 5"):
        jo.load_study(store)
