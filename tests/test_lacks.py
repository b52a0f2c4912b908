"""What experiments, estimators, stores, streams and calls lack is named."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from test_edges import IRIS, Best

import jaxopt_edu as jo
from jaxopt_edu.engine import collectives
from jaxopt_edu.search.confidence import interval
from jaxopt_edu.storage import disk
from jaxopt_edu.values import environment


@pytest.mark.parametrize(
    ("ask", "error", "why"),
    [
        (lambda e: e.init(None), NotImplementedError, r"Bare has no init\(key\)"),
        (
            lambda e: e.step(None, 0, None),
            NotImplementedError,
            r"Bare has no step\(state, t, key\)",
        ),
        (lambda e: e.score(None, "test"), NotImplementedError, r"has no score\(state, split\)"),
        (lambda e: e.learn(None, None, 0, None), TypeError, "batches: Bare has no learn.*its own"),
        (lambda e: e.folded(3), TypeError, "folds: Bare has no method folded"),
        (lambda e: e.fold(0), TypeError, "folds: Bare has no method fold$"),
        (lambda e: jo.fit(e, 2), NotImplementedError, "Bare has no init"),
        (lambda e: jo.fit(e, 2, accumulate=2), TypeError, "accumulate: Bare has a step of its own"),
        (lambda e: jo.sweep([e], steps=2, folds=2), TypeError, "Bare has no method folded"),
    ],
)
def test_an_experiment_says_what_it_lacks(ask, error, why):
    with pytest.raises(error, match=why):
        ask(jo.pytree(type("Bare", (jo.Experiment,), {}))())


def test_an_estimator_says_what_it_lacks():
    bare = type("Bare", (jo.Estimator,), {})
    with pytest.raises(NotImplementedError, match=r"Bare has no estimate\(f, params\)"):
        jo.fit(dataclasses.replace(IRIS, estimator=jo.pytree(bare)()), 2)


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (lambda: jo.InParts(2, of=3), "InParts: of = 3: wanted an estimator"),
        (lambda: jo.Sharpness(0.1, of=jo.sgd(0.1)), "Sharpness: of = SGD.*: wanted an estimator"),
        (lambda: jo.InParts(2, of=jo.Private(1.0, 1.0)), "of = Private, which chooses its exam"),
    ],
)
def test_what_is_around_an_estimator_wants_one(estimator, why):
    with pytest.raises(TypeError, match=why):
        jo.fit(dataclasses.replace(IRIS, estimator=estimator()), 2)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda x: None, r"there is no array lanes\.state\.params\['w'\]"),
        (
            lambda x: x[:, :2],
            r"lanes\.state\.params\['w'\] has shape \(1, 2, 4\): wanted \(1, 3, 4\)",
        ),
    ],
)
def test_arrays_that_a_checkpoint_lacks_are_named(damage, why, tmp_path):
    jo.fit(IRIS, 2, store=tmp_path)
    [path] = (tmp_path / "lanes").iterdir()
    with np.load(path) as found:
        arrays = dict(found)
    [name] = [name for name in arrays if name.endswith(".params['w']")]
    arrays[name] = damage(arrays[name])
    np.savez(path, **{name: x for name, x in arrays.items() if x is not None})
    with pytest.raises(ValueError, match=rf"{path.name} is damaged or no part of a store: .*{why}"):
        jo.fit(IRIS, 2, store=tmp_path)


def test_versions_of_packages_that_are_not_installed(monkeypatch):
    def missing(package):
        if package == "scipy":
            raise environment.metadata.PackageNotFoundError(package)
        return f"{package}'s"

    environment._version.cache_clear()
    monkeypatch.setattr(environment.metadata, "version", missing)
    try:
        told = environment.versions()
    finally:
        environment._version.cache_clear()
    assert (told["scipy"], told["jax"]) == ("not installed", "jax's")
    with pytest.raises(ImportError, match=r"this needs no_such: pip install 'no_such'"):
        environment.need("this", "json", "no_such")


def own(step):
    """An experiment with this step."""
    kind = type("Own", (Best,), {"step": lambda self, state, t, key: step(state)})
    return jo.pytree(kind)(0.1)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda s: ({"w": s[0]}, jo.Step()), "step changes the structure of the state: .* became"),
        (
            lambda s: ((s[0], s[1] * jnp.ones(2)), jo.Step()),
            r"state\[1\]: float32\[\] became .*\[2\]",
        ),
        (lambda s: ((s[0] > 0, s[1]), jo.Step()), r"state\[0\]: float32\[\] became bool\[\]"),
        (lambda s: (s, jo.Step(jnp.ones(3))), r"Step: loss has shape \(3,\): wanted one number"),
        (lambda s: s, "Own.step gives tuple|wanted the new state and a jo.Step"),
    ],
)
def test_a_step_that_gives_another_state_is_told(step, why):
    with pytest.raises(TypeError, match=why):
        jo.fit(own(step), 2)
    with pytest.raises(TypeError, match=why):
        jo.sweep([own(step)], steps=2)


class Kept:
    """Batches that go on from a state, which may be none that JSON has."""

    def __init__(self, state):
        self.made = state

    def __iter__(self):
        return self

    def __next__(self):
        return np.asarray(IRIS.data.train.x[:16]), np.asarray(IRIS.data.train.y[:16])

    def get_state(self):
        return self.made

    def set_state(self, state):
        self.made = state


def test_streams_whose_state_no_store_can_keep_or_take_are_told(tmp_path):
    one = dataclasses.replace(IRIS, batch_size=None)
    with pytest.raises(TypeError, match="no store can keep their state .*set.*batches=lambda"):
        jo.fit(one, 2, batches=Kept({1, 2}), store=tmp_path / "set")
    jo.fit(one, 2, batches=Kept(b"bytes"), store=tmp_path / "kept")
    batch = next(Kept(None))
    with pytest.raises(ValueError, match="those of the store had a state.*these do not"):
        jo.fit(one, 4, batches=[batch] * 4, store=tmp_path / "kept", eval_every=2)


SPACE = jo.replace(IRIS, learning_rate=jo.uniform(0.01, 0.1))


OTHER = [
    (lambda: jo.sweep(SPACE, 2, steps=2, metric=("loss", "accuracy"), mode=("min",)),
     r"mode = \('min',\): wanted one for each metric of \['loss', 'accuracy'\]"),
    (lambda: interval([1.0, 2.0], None, level=1.0), r"level = 1.0: wanted a number in \(0, 1\)"),
    (lambda: jo.sample(SPACE, 4, sampler=jo.optuna("tpe", batch=2)), "sample: .* learns from"),
    (lambda: jo.sample(jo.one_of(jo.sgd(0.1), jo.adam(0.1)), 2), "sample: the space has 2 struct"),
    (lambda: jo.privacy.noise_multiplier(epsilon=0.1, sample_rate=0.5, steps=9, delta=1e-300),
     "epsilon = 0.1: no noise_multiplier up to"),
    (lambda: collectives.check_same("steps", 3), r"steps differs between the .*: \[3, 4\]"),
]  # fmt: skip


class State(NamedTuple):
    params: Any


@pytest.mark.parametrize(("call", "why"), OTHER)
def test_other_wrong_arguments_are_told(call, why, monkeypatch):
    monkeypatch.setattr(collectives, "all_gather", lambda x: np.stack([x, x + 1]))
    with pytest.raises(ValueError, match=why):
        call()


def test_a_stream_of_another_number_of_processes_is_told(tmp_path):
    one = dataclasses.replace(IRIS, batch_size=None)
    jo.fit(one, 2, batches=Kept("here"), store=tmp_path)
    [path] = (tmp_path / "lanes").iterdir()
    with np.load(path) as found:
        arrays = dict(found)
    *known, state = disk.from_text_array(arrays["stream"])
    arrays["stream"] = disk.text_array([*known, state * 2])
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="batches came from 2 processes, this job has 1"):
        jo.fit(one, 4, batches=Kept("here"), store=tmp_path, eval_every=2)


def test_what_an_experiment_of_ones_own_predicts_with_are_the_params_of_its_state():
    @jo.pytree
    class Line(jo.Experiment):
        rate: float

        def init(self, key):
            return State(jnp.ones(2))

        def step(self, state, t, key):
            return State((1 - self.rate) * state.params), jo.Step()

        def score(self, state, split):
            return {"loss": jnp.sum(state.params)}

    run = jo.fit(Line(0.5), 3)
    np.testing.assert_array_equal(run.params, [0.125, 0.125])
