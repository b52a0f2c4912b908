"""Trainings of every kind give the numbers that were recorded of them, to 1e-12 in float64."""

import os
import subprocess
import sys

import numpy as np
import pytest
import recorded
from children import ROOT

pytestmark = pytest.mark.usefixtures("compiled_quickly")
DEVICES = 8
SLOW = (
    "fit_breast_cancer", "fit_convolutions", "fit_optax", "fit_transformer", "private_network",
    "private_hypergradient", "rerun_debug",
)  # fmt: skip


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in recorded.CASES]
)
def test_numbers_are_those_recorded(name):
    assert recorded.differences(name, recorded.run(name)) == []


def test_every_record_has_its_case():
    assert {path.stem for path in recorded.DIRECTORY.glob("*")} == set(recorded.CASES)


@pytest.mark.slow
def test_eight_devices_give_the_numbers_recorded_on_one():
    names = [name for name in recorded.CASES if "mesh" in name or "stream" in name]
    names += ["fit_whole_batch", "sweep_optimizers", "sweep_some_diverge"]
    names += ["folds_sweep", "halving", "population"]
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={DEVICES}"
    done = subprocess.run(
        [sys.executable, "-W", "error", recorded.__file__, "check", *names],
        env=os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_what_differs_is_told():
    old = np.array([1.0, -200.0, np.nan, np.inf])
    assert recorded.difference(old, old * (1 + 1e-13)) == ""
    for place, x in ((0, 1.0 + 1e-9), (1, np.nan), (2, 0.0), (3, -np.inf)):
        new = old.copy()
        new[place] = x
        assert recorded.difference(old, new)
    assert recorded.difference(old, old[:3])
    assert recorded.difference(np.array([1, 2]), np.array([1, 3]))
    assert recorded.difference(np.array(["finished"]), np.array(["stopped"]))
    found = recorded.run("raced")
    found["new"] = found.pop("adam/value")
    told = recorded.differences("raced", found)
    assert told == ["adam/value: recorded, but not found", "new: found, but not recorded"]


def test_what_is_recorded_is_not_written_over():
    before = (recorded.DIRECTORY / "raced.npz").read_bytes()
    with pytest.raises(SystemExit, match="raced.npz is there: --force writes over it"):
        recorded.main(["record", "raced"])
    assert (recorded.DIRECTORY / "raced.npz").read_bytes() == before
