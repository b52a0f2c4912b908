"""Several devices and processes: the same tables as on one, column by column, bit for bit."""

import json
import os
import signal
import subprocess
import sys
import threading
import types

import device_jobs as jobs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from children import ROOT, TOLD

import jaxopt_edu as jo
from jaxopt_edu.engine import collectives, peers, segments
from jaxopt_edu.engine.tiles import EvalPlan
from jaxopt_edu.engine.workers import on_workers, worker_devices, workers_of
from jaxopt_edu.search.result_arrays import Record
from jaxopt_edu.train.placement import Placement
from jaxopt_edu.values.signals import interrupts

SCRIPT = str(ROOT / "tests" / "device_jobs.py")
LAUNCH = ["-m", "jaxopt_edu.launch", "--grace", "30", "-n", "2", "--devices", "2"]
FOUR = "--xla_force_host_platform_device_count=4"


def start(*command, **environment):
    told = TOLD | {"JAX_PLATFORMS": "cpu"} | environment
    done = subprocess.run(
        [sys.executable, *map(str, command)], env=os.environ | told, timeout=300, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.slow
def test_four_devices_and_two_processes_of_two_equal_one(tmp_path):
    flags = os.environ.get("XLA_FLAGS", "")
    for name, command, more in (
        ("one", [], {}),
        ("four", [], {"XLA_FLAGS": f"{flags} {FOUR}"}),
        ("two", LAUNCH, {}),
    ):
        code, said = start(*command, SCRIPT, tmp_path / name, tmp_path / f"{name}-store", **more)
        assert code == 0, said
    one, four, two = (json.loads((tmp_path / n).read_text()) for n in ("one", "four", "two"))
    assert (one["devices"], four["devices"], two["devices"]) == (1, 4, 4)
    for name, found in one["found"].items():
        assert four["found"][name] == found, name
        assert two["found"][name] == found, name


@pytest.mark.slow
def test_a_lost_process_of_a_sweep_is_named_and_its_store_goes_on(tmp_path):
    arguments = [*LAUNCH, SCRIPT, tmp_path / "out", tmp_path / "store"]
    code, said = start(*arguments, KILL="1")
    assert code in (75, 137), said
    assert "jaxopt_edu: process 0 of 2 lost another process of this job in stage 2" in said
    assert f"start all processes again: from {tmp_path / 'store'} they go on" in said
    assert "a fit or a sweep with store= goes on" in said
    code, said = start(*arguments, ONLY="halving")
    assert code == 0, said
    found = json.loads((tmp_path / "out").read_text())["found"]
    code, said = start(SCRIPT, tmp_path / "whole", tmp_path / "other", ONLY="halving")
    assert code == 0, said
    assert found == json.loads((tmp_path / "whole").read_text())["found"]


def test_lanes_move_to_the_device_they_are_wanted_on(monkeypatch):
    here, there = jax.local_devices()[0], object()
    moved = []
    monkeypatch.setattr(segments.jax, "device_put", lambda x, device: moved.append(device))

    def on(status, device):
        program = types.SimpleNamespace(template=jo.Experiment())
        spec = types.SimpleNamespace(placement=Placement())
        lanes = types.SimpleNamespace(status=status)
        tile = types.SimpleNamespace(lanes=lanes, spec=spec, program=program)
        return segments._on(tile, device), lanes

    found, lanes = on(jnp.zeros(2, int), here)
    assert found is lanes and not moved
    on(jnp.zeros(2, int), there)
    on(np.zeros(2, int), here)
    assert moved == [there, here]


def test_a_lone_tile_stays_on_one_device():
    """In the thread that asks; of several each worker takes some, and those that go on again."""

    def task(job, worker):
        seen.append((job, worker, threading.current_thread()))
        together.wait(timeout=60)
        return job[1:]

    seen, workers, together = [], workers_of(Placement()), threading.Barrier(1)
    assert list(on_workers(task, ["ab"], Placement())) == ["ab", "b"]
    assert seen == [(job, workers[0], threading.current_thread()) for job in ("ab", "b")]
    seen, together = [], threading.Barrier(len(worker_devices()))
    done = list(on_workers(task, ["ab"] * 2 * len(workers), Placement()))
    assert sorted(done) == sorted(["ab", "b"] * 2 * len(workers))
    assert {worker for _, worker, _ in seen} == set(workers)
    assert threading.current_thread() not in {thread for _, _, thread in seen}


def test_an_interrupt_is_heard_once_and_not_lost():
    with pytest.raises(KeyboardInterrupt), interrupts() as heard:
        signal.raise_signal(signal.SIGINT)
        assert heard.is_set()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt), interrupts():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)  # at once


def test_columns_have_one_order_whoever_came_first_with_them():
    study = jobs.sweep("plain")
    settings = EvalPlan((10, 200), "validation", ("validation", "test"), ("b", "loss"))
    first = Record(3, 1, settings)
    other = Record(3, 1, settings)
    for name in ("b", "loss"):
        first._array(f"curve/{name}", 2)
    for name in ("test_b", "test_loss", "validation_loss", "validation_b"):
        first._array(f"final/{name}")
    other.share([], 3)
    wanted = ["validation_loss", "validation_b", "test_loss", "test_b"]
    for known in (first.results(), other.results()):
        assert list(known.finals) == wanted and list(known.lanes) == ["b", "loss"]
    assert list(study.columns)[-7:-3] == [
        "validation_loss", "validation_accuracy", "test_loss", "test_accuracy"
    ]  # fmt: skip


def test_rows_of_all_processes_are_told_once(monkeypatch):
    theirs = np.array([[1.0, 2.0], [5.0, 6.0]])
    answers = iter([np.array([2, 2]), np.array([2, 2])])
    monkeypatch.setattr(collectives, "processes", lambda: 2)
    monkeypatch.setattr(collectives, "all_gather", lambda x: next(answers))
    monkeypatch.setattr(
        collectives, "gather_rows", lambda x, counts: [x, theirs.view(np.uint8).reshape(2, -1)]
    )
    assert collectives.all_rows([(1, 2), (3, 4)]) == [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0)]


def test_a_lost_process_of_a_sweep_is_peer_lost(monkeypatch):
    def lost(name):
        raise jax.errors.JaxRuntimeError("UNKNOWN: Gloo AllGather failed: Connection reset by peer")

    monkeypatch.setattr(collectives, "barrier", lost)
    monkeypatch.setattr(peers, "processes", lambda: 2)
    with pytest.raises(jo.PeerLost, match="in stage 1 of the sweep; .*without store= they begin"):
        jobs.sweep("plain")
