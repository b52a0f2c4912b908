"""The table of docs/estimators.md: each estimator in each place is equal to its reference."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import estimator_cells as table
import estimator_loops as loops
import jax
import numpy as np
import pytest
from children import ROOT, TOLD

import jaxopt_edu as jo
from jaxopt_edu.launch import main as launch
from jaxopt_edu.parallel.store import Store

pytestmark = pytest.mark.usefixtures("compiled_quickly")
DOCS = (ROOT / "docs" / "estimators.md").read_text()


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def each(column):
    """The estimators of a column, the costly ones in the second tier."""
    return pytest.mark.parametrize("name", table.cells(column))


@functools.cache
def alone(name):
    """The training by itself, uninterrupted, on one device."""
    return table.fit(name)


def equal(one, other, atol=1e-12):
    np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def same(run, other):
    """Whether two runs are equal bit for bit."""
    assert (run.steps, run.status) == (other.steps, other.status)
    for x, y in zip(
        jax.tree.leaves((run.state, run.history, run.scores)),
        jax.tree.leaves((other.state, other.history, other.scores)),
        strict=True,
    ):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


@each("one device")
def test_one_device_is_the_loop_written_out(name):
    equal(table.params(alone(name)), loops.written_out(name))


@each("sweep over its numbers")
def test_a_sweep_is_a_loop_of_fits(name):
    numbers = table.SWEPT[name]
    assert len(set(swept(name))) == 3
    for i, loss in enumerate(swept(name)):
        own = jo.replace(table.training(name), **{n: x[i] for n, x in numbers.items()})
        equal(table.fit(name, own).scores["validation"]["loss"], loss)


@functools.cache
def swept(name):
    """The validation losses of its trials, two in a tile, in one process on one device."""
    return table.sweep(name).columns["validation_loss"]


def job(name, out, *options):
    """What a job of several devices or processes came to."""
    command = [sys.executable, "-m", "jaxopt_edu.launch", "--timeout", "100", *options]
    done = subprocess.run(
        [*command, table.__file__, out, name], env=os.environ | TOLD, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return np.load(out)


def alone_in_float32(name):
    with jax.enable_x64(False):
        return table.params(table.fit(name))


@each("mesh of 4 and 8")
def test_meshes_are_one_device(name, tmp_path):
    found = job(name, tmp_path / "out.npz", "--devices", "8")
    for devices in (4, 8):
        equal(found[f"fit over {devices}"], table.params(alone(name)))
    equal(found["sweep"], swept(name))
    equal(found["fit in float32"], alone_in_float32(name), 1e-6)


@each("two processes")
def test_two_processes_are_one(name, tmp_path):
    found = job(name, tmp_path / "out.npz", "-n", "2")
    equal(found["fit over 2"], table.params(alone(name)))
    assert found["sweep"].tobytes() == swept(name).tobytes()
    equal(found["fit in float32"], alone_in_float32(name), 1e-6)


@each("hypergradient")
def test_hypergradients_are_differences_of_fits(name):
    experiment = table.training(name)
    score, gradient = jo.hypergradient(experiment, table.STEPS, seed=table.SEED)
    gradient = jo.hyperparameters(gradient)
    equal(score, alone(name).scores["validation"]["loss"])
    assert gradient.keys() >= table.SWEPT[name].keys()
    for number, slope in gradient.items():
        h = 1e-5 * jo.hyperparameters(experiment)[number]
        x = jo.hyperparameters(experiment)[number]
        up, down = (
            table.fit(name, jo.replace(experiment, **{number: at})).scores["validation"]["loss"]
            for at in (x + h, x - h)
        )
        assert slope == pytest.approx((up - down) / (2 * h), rel=1e-6, abs=1e-9), number


@each("stream")
def test_a_stream_is_the_loop_on_its_batches(name):
    rows = [np.arange(first, min(first + 9, table.ROWS)) for first in range(0, table.ROWS, 9)]
    experiment = table.training(name, batch_size=None)
    stream = [(table.X[i], table.Y[i]) for i in rows]
    run = table.fit(name, experiment, batches=stream)
    equal(table.params(run), loops.written_out(name, rows * 9))


@pytest.mark.parametrize("name", [name for name, _ in sorted(table.REFUSED)])
def test_what_cannot_go_together_is_refused(name):
    estimator = table.ESTIMATORS[name]
    kind = type(estimator).__name__
    says = rf"batches: estimator = {kind}\(.* chooses its examples itself: wanted Plain, InParts"
    with pytest.raises(TypeError, match=says):
        table.fit(name, batches=[(table.X, table.Y)])
    for around in (jo.InParts(2, of=estimator), jo.Sharpness(0.1, of=estimator)):
        says = f"{type(around).__name__}: of = {kind}, which chooses its examples itself: wanted"
        training = jo.replace(table.training(name), estimator=around)
        with pytest.raises(TypeError, match=says):
            table.fit(name, training)
    with pytest.raises(TypeError, match=f"InParts: of = {kind}, which chooses"):
        table.fit(name, accumulate=2)
