"""Laws of a training on many devices, on a stream, from a store: always the same training."""

import dataclasses
import functools
import json
import os
import re
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import parallel_jobs as jobs
import pytest
from children import ROOT, TOLD

import jaxopt_edu as jo
from jaxopt_edu.launch import main


@pytest.fixture
def launch(capfd, monkeypatch):
    """Runs a job of local processes: (exit code, what it printed)."""

    def run(*options, **environment):
        with monkeypatch.context() as patch:
            for name, value in (environment | TOLD).items():
                patch.setenv(name, value)
            code = main(["--timeout", "100", *map(str, options)])
        return code, "".join(capfd.readouterr())

    return run


@functools.cache
def alone(name):
    """A training without a mesh."""
    return jobs.fit(name)


def same(one, other):
    """Whether two runs are equal bit for bit."""
    assert (one.steps, one.status, one.reason) == (other.steps, other.status, other.reason)
    for x, y in zip(
        jax.tree.leaves((one.state, one.history, one.scores)),
        jax.tree.leaves((other.state, other.history, other.scores)),
        strict=True,
    ):
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def equals_alone(out, names, share):
    """Whether a job came to the params and scores of one device, sharing the optimizer's state."""
    found = np.load(out)
    for name in names.split(","):
        assert found[f"{name} share"] == share
        atol = 1e-12 if name.endswith("64") else 1e-6
        np.testing.assert_allclose(found[name], jobs.params(alone(name)), rtol=0, atol=atol)
        scores = list(alone(name).evaluate().values())
        np.testing.assert_allclose(found[f"{name} scores"], scores, rtol=0, atol=10 * atol)
    predictions = alone(name).apply(jobs.DATA.train.x)
    np.testing.assert_allclose(found["predictions"], predictions, rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "names"),
    [(("-n", 1, "--devices", 8), "stream"), (("-n", 2, "--devices", 4), "sgd64,stream")],
)
def test_eight_devices_equal_one_also_where_it_began_on_one(options, names, tmp_path, launch):
    out, store = tmp_path / "out.npz", tmp_path / "store"
    if options[1] == 1:
        with pytest.raises(Torn):
            jobs.fit("stream", batches=torn(9, 3), store=store)
    code, said = launch(*options, jobs.__file__, out, store, names)
    assert code == 0, said
    equals_alone(out, names, share=1 / 8)


@pytest.mark.slow
def test_two_processes_equal_one_and_the_loss_of_one_ends_a_job_that_goes_on_later(
    tmp_path, launch
):
    names, whole = "sgd64,stream", tmp_path / "whole.npz"
    code, said = launch("-n", 2, jobs.__file__, whole, tmp_path / "whole", names)
    assert code == 0, said
    equals_alone(whole, names, share=1 / 2)
    assert "mesh: this job has 2 processes: give a mesh of all its devices" in said
    assert "wanted as many of each of the 2 of this job" in said

    again = ("-n", 2, jobs.__file__, tmp_path / "again.npz", tmp_path / "store", "stream")
    code, said = launch(*again, KILL="1")
    assert code != 0
    assert "process 1 was killed by SIGKILL" in said
    assert "[0] jaxopt_edu: process 0 of 2 lost another process of this job after step" in said
    assert f"start all processes again: from {tmp_path / 'store'} they go on at step" in said
    code, said = launch(*again)
    assert code == 0, said
    assert np.load(whole)["stream"].tobytes() == np.load(again[3])["stream"].tobytes()


# ------------------------------------------------------------------------------------- streams


class Torn(Exception):
    pass


def torn(epoch, batch):
    """The batches of the jobs, but for an error in one epoch."""
    epochs = iter(range(100))

    def make():
        mine = next(epochs)
        for i, pair in enumerate(jobs.shares()):
            if (mine, i) == (epoch, batch):
                raise Torn
            yield pair

    return make


def test_a_torn_stream_goes_on_at_the_right_batch(tmp_path):
    for epoch in (2, 9):
        with pytest.raises(Torn) as error:
            jobs.fit("stream", batches=torn(epoch, 3), store=tmp_path)
        assert "in batches=, after" in error.value.__notes__[0]
    same(jobs.fit("stream", store=tmp_path), alone("stream"))
    same(jobs.fit("stream", store=tmp_path, batches=[]), alone("stream"))  # finished: reads none


def test_a_stream_of_the_training_part_is_the_training():
    whole = jo.fit(jobs.asked("stream")[0], 60, seed=1)
    stream = jobs.fit("stream", batches=[jobs.DATA.train])
    np.testing.assert_allclose(jobs.params(stream), jobs.params(whole), rtol=0, atol=1e-6)


class Seeking:
    """An endless iterator with a state, as Grain's are, torn after so many reads."""

    pairs = tuple(jobs.shares())

    def __init__(self, limit):
        self.place, self.left = 0, limit

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise Torn
        self.place, self.left = self.place + 1, self.left - 1
        return self.pairs[(self.place - 1) % len(self.pairs)]

    def get_state(self):
        return {"place": self.place}

    def set_state(self, state):
        self.place = state["place"]


class Loading(Seeking):
    """An iterable with a state of its own, in bytes, as torchdata's may be."""

    def __iter__(self):
        while True:
            yield self.__next__()

    def state_dict(self):
        return bytes([self.place])

    def load_state_dict(self, state):
        [self.place] = state


@pytest.mark.parametrize("kind", [Seeking, Loading])
def test_a_stream_with_a_state_is_not_read_again(kind, tmp_path):
    with pytest.raises(Torn):
        jobs.fit("stream", batches=kind(30), store=tmp_path)
    same(jobs.fit("stream", batches=kind(35), store=tmp_path), alone("stream"))


def test_a_stream_is_read_ahead_and_no_further():
    read = []

    def make():
        for pair in jobs.shares():
            read.append(pair)
            yield pair

    same(jobs.fit("stream", batches=make, prefetch=1), alone("stream"))
    assert len(read) <= 60 + 3


X, Y = jobs.DATA.train
PAIR = (X[:32], Y[:32])


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        (3, TypeError, "batches = 3: wanted pairs"),
        ([], ValueError, "batches: there are none"),
        (lambda: iter(()), ValueError, "batches: there are none"),
        (iter([PAIR] * 7), ValueError, "they ended after 7, and an iterator cannot begin again"),
        ([X], TypeError, "one is an array: wanted pairs"),
        ([(X, Y, Y)], TypeError, "one is a tuple: wanted pairs"),
        ([(X[:, :5], Y)], ValueError, r"x has shape \(107, 5\): wanted \(rows, 16\)"),
        ([(X, Y[:5])], ValueError, "107 rows in x, 5 in y"),
        ([(X[:0], Y[:0])], ValueError, "0 rows in x, 0 in y: wanted as many, at least 1"),
        ([(X, Y.astype(float))], TypeError, "y is float64: wanted int32"),
        ([PAIR, (X, Y)], ValueError, "one of 107 rows after one of 32"),
    ],
)
def test_bad_batches_are_named(batches, error, message):
    with pytest.raises(error, match=message):
        jobs.fit("stream", batches=batches)


# ------------------------------------------------------------------------------------ the rest


MESH = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])
PRIVATE = jo.privacy.PrivateTraining(
    model=jo.models.Linear(16, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(0.1), data=jobs.DATA, batch_size=16, max_norm=1.0, noise_multiplier=1.0,
)  # fmt: skip
AUGMENTED = dataclasses.replace(
    jobs.training(jo.sgd(0.1), 16), balanced=True,
    augment=jo.augment.chain(jo.augment.noise(0.1), jo.augment.mixup(0.4)),
)  # fmt: skip
WITH_PRIOR = dataclasses.replace(jobs.training(jo.sgd(0.1)), regularizer=jo.prior(jo.L2(1.0)))


def test_all_that_a_step_consists_of_is_there_in_parts():
    for experiment in (AUGMENTED, WITH_PRIOR):
        whole, parts = (jo.fit(experiment, 12, seed=3, accumulate=k).params for k in (1, 2))
        jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), whole, parts)


@pytest.mark.parametrize(
    ("experiment", "given", "error", "message"),
    [
        (jobs.training(jo.sgd(0.1)), {"mesh": 8}, TypeError, "mesh = 8: wanted a mesh"),
        (jobs.training(jo.sgd(0.1)), {"accumulate": 0}, ValueError, "accumulate = 0: wanted"),
        (jobs.training(jo.sgd(0.1)), {"accumulate": 1.5}, ValueError, "accumulate = 1.5: wanted"),
        (jobs.training(jo.sgd(0.1)), {"batches": [], "prefetch": 0}, ValueError, "prefetch = 0"),
        (jobs.training(jo.sgd(0.1)), {"batches": [], "tol": 0.1}, ValueError, "tol = 0.1: not"),
        (jobs.training(jo.sgd(0.1), 8), {"batches": []}, ValueError, "batch_size = 8: not with"),
        (AUGMENTED, {"batches": []}, ValueError, "balanced = True: not with batches"),
        (
            jo.replace(AUGMENTED, balanced=False, batch_size=None),
            {"batches": []},
            ValueError,
            "augment = .* mixes",
        ),
        (WITH_PRIOR, {"batches": []}, ValueError, "regularizer = Prior.*nobody knows"),
        (PRIVATE, {"accumulate": 2}, TypeError, "InParts: of = Private, which chooses"),
        (
            PRIVATE,
            {"batches": []},
            TypeError,
            "batches: estimator = Private.* chooses its",
        ),
    ],
)
def test_bad_arguments_are_named(experiment, given, error, message):
    with pytest.raises(error, match=message):
        jo.fit(experiment, 10, **given)
    with pytest.raises(error, match=message):
        jo.sweep([experiment], steps=10, **given)


@pytest.mark.parametrize("given", [{"mesh": MESH}, {"batches": []}, {"accumulate": 2}])
def test_a_step_of_its_own_says_not_how_its_examples_are_shared(given):
    with pytest.raises(TypeError, match=f"{next(iter(given))}: Walk has a step of its own"):
        jo.fit(Walk(0.1), 10, **given)


@jo.pytree
class Walk(jo.Experiment):
    """A step of its own: a random walk."""

    size: float

    def init(self, key):
        return jnp.zeros(3)

    def step(self, state, t, key):
        step = self.size * jax.random.normal(jax.random.fold_in(key, t), state.shape)
        return state + step, jo.Step()

    def score(self, state, split):
        return {"loss": jnp.sum(state)}


def test_a_step_of_its_own_goes_on_from_a_store(tmp_path):
    whole = jo.fit(Walk(0.1), 20)
    kept = jo.fit(Walk(0.1), 20, store=tmp_path)
    np.testing.assert_allclose(kept.state, whole.state, rtol=0, atol=1e-6)
    same(jo.fit(Walk(0.1), 20, store=tmp_path), kept)


@pytest.mark.filterwarnings("ignore:mode = 'min', but more of 'r2_score'")
def test_ways_to_end_over_a_mesh_are_those_of_a_fit():
    line = jo.Training(
        model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
        data=jo.data.load("linear"),
    )  # fmt: skip
    for experiment, given in (
        (line, {"tol": 1e-4}),
        (dataclasses.replace(line, optimizer=jo.sgd(100.0)), {"tol": 0.0}),
        (line, {"tol": 0.0, "patience": 2, "metric": "r2_score", "mode": "min"}),
    ):
        run = jo.fit(experiment, 2000, **given)
        over = jo.fit(experiment, 2000, mesh=MESH, **given)
        assert run.status != "finished"
        assert (over.steps, over.status, over.reason) == (run.steps, run.status, run.reason)
        for name, x in run.history.items():
            np.testing.assert_allclose(over.history[name], x, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(jobs.params(over), jobs.params(run), rtol=1e-5, atol=1e-7)


def test_an_interrupted_fit_goes_on_to_the_same_run(tmp_path, monkeypatch):
    from jaxopt_edu.engine import history

    def interrupted(self, tile):
        note(self, tile)
        if tile.t >= 30:
            signal.raise_signal(signal.SIGINT)

    note = history.History.note_tile
    given = {"mesh": MESH, "store": tmp_path, "patience": 50}
    monkeypatch.setattr(history.History, "note_tile", interrupted)
    part = jobs.fit("sgd", **given)
    assert part.status == "interrupted" and 30 < part.steps < 60
    monkeypatch.undo()
    same(jobs.fit("sgd", **given), jobs.fit("sgd", **given | {"store": None}))


def test_a_store_refuses_what_it_does_not_hold(tmp_path):
    jobs.fit("sgd", store=tmp_path / "fit")
    files = [p for p in (tmp_path / "fit").rglob("*") if p.is_file()]
    before = {p: p.read_bytes() for p in files}
    with pytest.raises(ValueError, match="holds a fit with other arguments: experiment.estimator"):
        jobs.fit("sgd", store=tmp_path / "fit", accumulate=2)
    changed = jo.replace(jobs.asked("sgd")[0], **{"optimizer.learning_rate": 0.2})
    with pytest.raises(ValueError, match=r"experiment.optimizer.learning_rate was 0.1, now 0.2"):
        jo.fit(changed, 60, seed=1, store=tmp_path / "fit")
    with pytest.raises(ValueError, match="holds 'fit', but no fit"):
        jobs.fit("sgd", store=tmp_path)
    with pytest.raises(ValueError, match=r"fit.json is a file: wanted a directory"):
        jobs.fit("sgd", store=tmp_path / "fit" / "fit.json")
    assert {p: p.read_bytes() for p in files} == before


@pytest.mark.parametrize("name", ["fit.json", "lanes/00000-00000.npz"])
def test_a_damaged_or_later_store_is_an_error(name, tmp_path):
    jobs.fit("sgd", store=tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        jobs.fit("sgd", store=tmp_path)
    if name == "fit.json":
        path.write_text(json.dumps(json.loads(whole) | {"format": 99}))
        with pytest.raises(ValueError, match="has format 99: this version reads 4; give another"):
            jobs.fit("sgd", store=tmp_path)


@pytest.mark.slow
def test_launch_passes_on_arguments_errors_and_the_code_of_the_first_that_failed(tmp_path, capfd):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, jax; from jaxopt_edu.engine.collectives import barrier; print(sys.argv[1:])\n"
        "barrier('begun')\n"
        "if jax.process_index() == 1: raise OSError('no such part')\n"
        "try: barrier('never')\n"
        "except Exception: sys.exit(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "jaxopt_edu.launch", "-n", "2", script, "7", "--x"],
        env=os.environ | TOLD, timeout=100, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    code, said = done.returncode, done.stdout
    assert code in (1, 3), said  # that of the first to end
    assert "[0] ['7', '--x']" in said and "[1] OSError: no such part" in said
    assert re.search("launch: process [01] ended with code [13]; the others have 20 s", said), said
    for options, message in (
        (["none.py"], "there is no script none.py"),
        (["-n", "0", str(script)], "-n and --devices: wanted at least 1"),
        (["--devices", "2", "--platform", "cuda", str(script)], "not with --platform cuda"),
    ):
        with pytest.raises(SystemExit) as stop:
            main(options)
        assert stop.value.code == 2 and message in capfd.readouterr().err
    script.write_text("import time; time.sleep(60)")
    assert main(["--timeout", "0", str(script)]) == 124


@pytest.mark.slow
def test_a_quarter_of_a_gigabyte_in_less_and_from_the_right_batch(tmp_path):
    script = ROOT / "benchmarks" / "stream.py"
    done = subprocess.run(
        [sys.executable, "-W", "error", script, "--quick", "--out", tmp_path],
        env=os.environ | TOLD,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    [record] = tmp_path.glob("*.json")
    found = json.loads(record.read_text())["results"]
    left_alone, again = found["processes"].values()
    assert left_alone["params"] == again["params"]
    assert again["made"] < left_alone["made"]
    assert left_alone["extra"] < found["streamed"]
