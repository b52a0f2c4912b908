"""The table of docs/guides/estimators.md: each estimator in each place equals its reference."""

import functools
import inspect
import itertools
import os
import re
import subprocess
import sys

import estimator_cells as table
import estimator_loops as loops
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from children import ROOT, TOLD

import jaxopt_edu as jo
from jaxopt_edu.engine import fitting
from jaxopt_edu.launch import main as launch
from jaxopt_edu.train import Estimator
from jaxopt_edu.values.names import with_parts

pytestmark = pytest.mark.usefixtures("compiled_quickly")
DOCS = (ROOT / "docs" / "guides" / "estimators.md").read_text()


@pytest.fixture(autouse=True)
def in_float64():
    with jax.enable_x64(True):
        yield


def each(column):
    """The estimators of a column, in the tier that the table says."""
    slow = {name: [pytest.mark.slow] * table.is_slow(name, column) for name in table.ESTIMATORS}
    names = [pytest.param(name, marks=slow[name]) for name in table.cells(column)]
    return pytest.mark.parametrize("name", names)


@functools.cache
def alone(name):
    """The training by itself, uninterrupted, on one device."""
    return table.fit(name)


def equal(one, other, atol=1e-12):
    np.testing.assert_allclose(one, other, rtol=0, atol=atol)


def bits(x):
    """The bytes of an array, of random keys too."""
    is_key = jax.dtypes.issubdtype(jnp.result_type(x), jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(x) if is_key else x).tobytes()


def same(run, other):
    """Whether two runs are equal bit for bit."""
    assert (run.steps, run.status) == (other.steps, other.status)
    for x, y in zip(
        jax.tree.leaves((run.state, run.history, run.scores)),
        jax.tree.leaves((other.state, other.history, other.scores)),
        strict=True,
    ):
        assert bits(x) == bits(y)


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


@pytest.fixture
def job(tmp_path, capfd, monkeypatch):
    """Runs a training over several devices or processes: what it came to."""

    def run(name, *options):
        for variable, value in TOLD.items():
            monkeypatch.setenv(variable, value)
        out = tmp_path / "out.npz"
        code = launch(["--timeout", "300", *options, table.__file__, str(out), name])
        assert code == 0, "".join(capfd.readouterr())
        return np.load(out)

    return run


def alone_in_float32(name):
    with jax.enable_x64(False):
        return table.params(table.fit(name))


@each("mesh of 4 and 8")
def test_meshes_are_one_device(name, job):
    found = job(name, "--devices", "8")
    for devices in (4, 8):
        equal(found[f"fit over {devices}"], table.params(alone(name)))
    equal(found["sweep"], swept(name))
    equal(found["fit in float32"], alone_in_float32(name), 1e-6)


@each("two processes")
def test_two_processes_are_one(name, job):
    found = job(name, "-n", "2")
    equal(found["fit over 2"], table.params(alone(name)))
    assert found["sweep"].tobytes() == swept(name).tobytes()


KILLS = {"fit": (3, -2), "sweep": (4,)}  # see estimator_kills.py


def kill(kind, name, directory):
    """Starts a fit or a sweep, and kills it as often as KILLS says, at other moments."""
    script, moments = ROOT / "tests" / "estimator_kills.py", map(str, KILLS[kind])
    done = subprocess.run(
        [sys.executable, script, kind, name, directory, *moments], env=os.environ | TOLD,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.split() == ["-9"] * len(KILLS[kind]), done.stdout + done.stderr


@each("kill and resume")
def test_killed_it_goes_on(name, tmp_path):
    kill("fit", name, tmp_path / "fit")
    same(table.fit(name, store=tmp_path / "fit"), alone(name))
    kill("sweep", name, tmp_path / "sweep")
    assert list(tmp_path.glob("sweep/lanes/*.npz"))
    again = table.sweep(name, store=tmp_path / "sweep")
    assert again.columns["validation_loss"].tobytes() == swept(name).tobytes()


@pytest.mark.slow
def test_a_killed_model_with_state_goes_on(tmp_path):
    kill("fit", table.WITH_STATE, tmp_path)
    run = table.fit(table.WITH_STATE, store=tmp_path)
    assert run.state.model_state["seen"] == table.STEPS
    same(run, table.fit(table.WITH_STATE))


def test_twenty_are_killed():
    of_each = sum(map(len, KILLS.values()))
    assert of_each * len(table.cells("kill and resume")) + len(KILLS["fit"]) == 20


class Stopped(Exception):
    pass


@pytest.mark.parametrize("name", table.ESTIMATORS)
def test_stopped_it_goes_on(name, tmp_path, monkeypatch):
    def write_or_stop(path, tile, *rest):
        write(path, tile, *rest)
        if tile.t == 3 * table.EVERY:
            raise Stopped

    write = fitting.write_tile
    monkeypatch.setattr(fitting, "write_tile", write_or_stop)
    with pytest.raises(Stopped):
        table.fit(name, store=tmp_path)
    monkeypatch.undo()
    same(table.fit(name, store=tmp_path), alone(name))


def test_a_mesh_of_one_is_one_device():
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])
    equal(table.params(table.fit("private", mesh=mesh)), table.params(alone("private")))


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
            table.fit(name, with_parts(experiment, {number: at})).scores["validation"]["loss"]
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
    curious = table.training(name, optimizer=jo.from_optax(optax.polyak_sgd), regularizer=None)
    says = f"optimizer = .* wants to be told value, but {kind} shows it nothing but gradients"
    with pytest.raises(TypeError, match=says):
        table.fit(name, curious)


# ------------------------------------------------------------------------------ what the docs say


def test_the_docs_have_the_table():
    told = DOCS.split("## The table\n\n")[1].split("\n\n## ")[0]
    assert told.strip() == table.table(), f"wanted in docs/guides/estimators.md:\n{table.table()}"


def test_every_cell_has_its_test():
    for name, column in itertools.product(table.ESTIMATORS, table.COLUMNS):
        test, given = re.fullmatch(r"(\w+)\[(.+)\]", table.test_of(name, column)).groups()
        [cases] = [m.args[1] for m in globals()[test].pytestmark if m.name == "parametrize"]
        assert given in [getattr(case, "values", [case])[0] for case in cases]


def test_few_are_refused_by_the_rule_of_the_docstring():
    chosen = {name for name, e in table.ESTIMATORS.items() if e.private_draw}
    assert set(table.REFUSED) == {(name, "stream") for name in chosen}
    assert len(chosen) <= 8
    rule = " ".join(inspect.getdoc(Estimator).split("\n\n")[1].split())
    assert rule in " ".join(DOCS.replace("\n> ", " ").split())
