"""Laws of the store: whatever happens to a sweep, going on gives the same study bit for bit."""

import contextlib
import itertools
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import sweeps

import jaxopt_edu as jo
from jaxopt_edu.search.resuming import _where
from jaxopt_edu.search.store import Store, opened
from jaxopt_edu.storage import disk

SCRIPT = Path(sweeps.__file__)


@pytest.fixture(scope="module")
def whole():
    return {}


def reference(whole, kind):
    """The study of an uninterrupted sweep, without a store."""
    if kind not in whole:
        whole[kind] = sweeps.run(kind)
    return whole[kind]


@contextlib.contextmanager
def running(*arguments):
    child = subprocess.Popen([sys.executable, SCRIPT, *map(str, arguments)])
    try:
        yield child
    finally:
        child.kill()
        child.wait()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["halving", "plain", "tpe"])
def test_a_killed_sweep_goes_on_to_the_same_study(kind, whole, tmp_path):
    store = tmp_path / "store"
    with running(store, kind) as child:
        while child.poll() is None and not list(store.glob("lanes/*.npz")):
            time.sleep(0.01)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert child.returncode == -signal.SIGKILL
    assert list(store.glob("lanes/*.npz"))
    sweeps.same(sweeps.run(kind, store), reference(whole, kind))
    assert not (store / "lanes").exists()


@pytest.mark.parametrize(
    "kind", [pytest.param("folds", marks=pytest.mark.slow), "population", "tpe"]
)
def test_an_interrupted_sweep_goes_on_to_the_same_study(kind, whole, tmp_path, monkeypatch):
    from jaxopt_edu.search import driver

    def interrupted(tiles, settings, until, **more):
        for tile in run_tiles(tiles, settings, until, most=1, **more):
            yield tile
            if until >= 0.35 * settings.steps and next(late) == 4:
                raise KeyboardInterrupt

    late, run_tiles = itertools.count(), driver.run_tiles
    monkeypatch.setattr(driver, "run_tiles", interrupted)
    with pytest.raises(jo.SweepInterrupted) as stop:
        sweeps.run(kind, tmp_path)
    part = stop.value.study
    assert "interrupted" in part.columns["status"]
    sweeps.same(jo.load_study(tmp_path), part)
    monkeypatch.undo()
    sweeps.same(sweeps.run(kind, tmp_path), reference(whole, kind))


def test_numbers_of_numpy_are_asked_for_as_those_of_python(tmp_path):
    def study(integer):
        more = {"trials": integer(6), "steps": integer(20), "seeds": integer(2)}
        rungs = jo.halving(integer(2), integer(6))
        return sweeps.run("halving", tmp_path, **more, tile=integer(2), rungs=rungs)

    sweeps.same(study(np.int64), study(int))


def test_a_finished_store_is_shown_and_can_be_loaded(whole, tmp_path):
    first = sweeps.run("population", tmp_path)
    again = sweeps.run("population", tmp_path)
    loaded = jo.load_study(tmp_path)
    for study in (again, loaded):
        sweeps.same(study, first)
        assert study.best == first.best and study.space == first.space
        assert study.moves == first.moves
        assert study.info["seconds"] == pytest.approx(first.info["seconds"], abs=1)
    assert again.info["compilations"]["engine"] == 0
    assert loaded.rerun(3).evaluate() == first.rerun(3).evaluate()


def test_other_arguments_are_refused_with_the_difference(tmp_path):
    sweeps.run("plain", tmp_path, steps=20)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="other arguments: steps was 20, now 40"):
        sweeps.run("plain", tmp_path, steps=40)
    with pytest.raises(ValueError, match="space.optimizer"):
        sweeps.run("plain", tmp_path, steps=20, space=sweeps.BASE)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_foreign_directory_a_file_and_a_second_writer_are_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="holds 'thesis.tex', but no sweep"):
        sweeps.run("plain", tmp_path, steps=20)
    with pytest.raises(ValueError, match=r"thesis.tex is a file"):
        sweeps.run("plain", tmp_path / "thesis.tex", steps=20)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    with opened(tmp_path / "store", {"steps": 1}, {}), pytest.raises(BlockingIOError) as error:
        sweeps.run("plain", tmp_path / "store", steps=20)
    assert f"in use by process {os.getpid()}" in str(error.value)
    with pytest.raises(ValueError, match="holds no sweep"):
        jo.load_study(tmp_path)


@pytest.mark.parametrize("name", ["results.npz", "sweep.json"])
def test_a_damaged_store_is_an_error_that_damages_nothing(name, tmp_path):
    sweeps.run("plain", tmp_path, steps=20)
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        sweeps.run("plain", tmp_path, steps=20)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_a_store_with_other_stops_is_left_as_it_is(tmp_path):
    """Versions to come may evaluate at other steps of the same arguments."""
    sweeps.run("plain", tmp_path, steps=20)
    path = tmp_path / "results.npz"
    with np.load(path) as found:
        arrays = dict(found)
    about = disk.from_text_array(arrays["about"])
    arrays["about"] = disk.text_array(about | {"stops": about["stops"][1:]})
    np.savez(path, **arrays)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="begun with other rungs or evaluations.* eval_every="):
        sweeps.run("plain", tmp_path, steps=20)
    assert path.read_bytes() == before


def test_a_sweep_that_is_finished_while_it_is_read_is_read_finished(tmp_path, monkeypatch, whole):
    from jaxopt_edu.search import driver, store

    def interrupted(*args, **more):
        yield from run_tiles(*args, **more)
        if list(tmp_path.glob("rounds/*")):
            raise KeyboardInterrupt

    run_tiles, results = driver.run_tiles, store._results
    monkeypatch.setattr(driver, "run_tiles", interrupted)
    with pytest.raises(jo.SweepInterrupted):
        sweeps.run("tpe", tmp_path, steps=20)
    monkeypatch.undo()
    assert list(tmp_path.glob("rounds/*"))

    def finished_after(path):
        found = results(path)
        monkeypatch.undo()
        sweeps.run("tpe", tmp_path, steps=20)
        return found

    monkeypatch.setattr(store, "_results", finished_after)
    study = jo.load_study(tmp_path)
    assert not list(tmp_path.glob("rounds/*"))
    sweeps.same(study, sweeps.run("tpe", steps=20))


def test_a_lost_process_is_told_where_the_sweep_goes_on(tmp_path):
    driver = SimpleNamespace(stage=2)
    told = "in stage 3 of the sweep; start all processes again: "
    assert _where(driver, None) == told + "without store= they begin anew"
    store = Store(tmp_path)
    assert _where(driver, store) == told + f"from {tmp_path} they go on where they were"


def test_a_later_format_is_refused(tmp_path):
    sweeps.run("plain", tmp_path, steps=20)
    asked = json.loads((tmp_path / "sweep.json").read_text())
    (tmp_path / "sweep.json").write_text(json.dumps(asked | {"format": 99}))
    with pytest.raises(ValueError, match="has format 99: this version reads 1, 2, 3, 4 and 5"):
        jo.load_study(tmp_path)


def test_a_full_disk_is_an_error_that_damages_nothing(tmp_path):
    whole = sweeps.run("plain", tmp_path / "whole", steps=20)
    asked, results = (
        (tmp_path / "whole" / n).stat().st_size for n in ("sweep.json", "results.npz")
    )
    room = asked + 500
    assert room < results - 500
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        with pytest.raises(OSError, match=r"cannot write .*results.npz: File too large"):
            sweeps.run("plain", tmp_path / "full", steps=20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(p.name for p in (tmp_path / "full").iterdir()) == [".lock", "sweep.json"]
    sweeps.same(sweeps.run("plain", tmp_path / "full", steps=20), whole)


@pytest.mark.slow
@pytest.mark.skipif(jax.default_backend() != "cpu", reason="each process wants its own device")
@pytest.mark.parametrize("kind", ["halving", "tpe"])
def test_two_processes_make_the_same_table(kind, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    out = [tmp_path / f"{i}.npz" for i in (0, 1)]
    with running(port, 0, kind, out[0]) as one, running(port, 1, kind, out[1]) as two:
        assert one.wait(90) == two.wait(90) == 0
    alone = sweeps.run(kind, steps=200, rungs=sweeps.RUNGS.get(kind))
    for path in out:
        found = np.load(path)
        assert found["processes"] == 2
        for name, x in alone.columns.items():
            np.testing.assert_array_equal(found[name], np.asarray(x).astype(str))
