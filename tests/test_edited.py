"""No program of a function that was edited runs as it was: in one process, as in a notebook."""

import warnings

import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.engine.telemetry import Compilations

FACTOR = 1.0
TABLE = np.ones(3)


class Settings:
    factor = 1.0


def helper(x):
    return x


def loss(outputs, labels):
    losses = jo.losses.softmax_cross_entropy_with_integer_labels(outputs, labels)
    return FACTOR * Settings.factor * helper(losses) * jnp.asarray(TABLE)[labels]


SPACE = jo.Training(
    model=jo.models.Linear(4, 3), loss=loss, optimizer=jo.sgd(jo.log_uniform(1e-3, 0.1)),
    data=jo.data.load("iris"),
)  # fmt: skip
RUNS = {
    "sweep": lambda: jo.sweep(SPACE, 2, steps=3, tile=2).columns["validation_loss"],
    "fit": lambda: jo.fit(jo.replace(SPACE, learning_rate=0.0), 1).evaluate()["loss"],
    "hypergradient": lambda: (
        jo.hypergradient(jo.replace(SPACE, learning_rate=0.0), 2)[1].optimizer.learning_rate
    ),
}


@pytest.mark.parametrize(
    "run", [name if name == "fit" else pytest.param(name, marks=pytest.mark.slow) for name in RUNS]
)
def test_what_a_loss_reads_may_change_between_two_calls(run, monkeypatch):
    before = np.asarray(RUNS[run]())
    with Compilations() as none:
        np.testing.assert_array_equal(RUNS[run](), before)
    assert none.as_dict()["engine"] == 0
    power = 2 if run == "hypergradient" else 1  # the slope of f(p - eta g) by eta is -|g|^2
    monkeypatch.setitem(globals(), "FACTOR", 2.0)
    np.testing.assert_allclose(RUNS[run](), 2**power * before, rtol=0.2)
    monkeypatch.setattr(Settings, "factor", 2.0)
    np.testing.assert_allclose(RUNS[run](), 4**power * before, rtol=0.2)
    monkeypatch.setitem(globals(), "helper", lambda x: 0.25 * x)
    np.testing.assert_allclose(RUNS[run](), before, rtol=1e-5)
    TABLE[:] = 2.0
    try:
        np.testing.assert_allclose(RUNS[run](), 2**power * before, rtol=0.2)
    finally:
        TABLE[:] = 1.0


@jo.pytree
class Slope(jo.Experiment):
    """Goes down a line; what it reads may change."""

    rate: float = jo.number(low=0)

    def init(self, key):
        return jnp.zeros(())

    def step(self, state, t, key):
        return state - self.rate * FACTOR, jo.Step()

    def score(self, state, split):
        return {"loss": state}


@jo.pytree
class Wide(Slope):
    """Scores two numbers under one name."""

    rate: float = jo.number(low=0)

    def score(self, state, split):
        return {"loss": jnp.stack([state, state])}


def test_a_store_of_a_class_that_was_edited_since_says_so(tmp_path, monkeypatch):
    study = jo.sweep(Slope(jo.uniform(0.1, 1.0)), 2, steps=2, store=tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert jo.load_study(tmp_path).rerun(0).evaluate() == study.rerun(0).evaluate()
    monkeypatch.setitem(globals(), "FACTOR", 3.0)
    with pytest.warns(UserWarning, match="FACTOR was 1.0, now 3.0: training again, as rerun"):
        jo.load_study(tmp_path)


def test_what_no_program_can_count_or_rank_is_named():
    with pytest.raises(ValueError, match="steps = 999999999999: wanted at most 2147483647"):
        jo.fit(Slope(0.1), 999_999_999_999)

    def errors(outputs, labels, weights=None):
        return 1.0 * (jnp.argmax(outputs, -1) != labels)

    with pytest.raises(ValueError, match=r"metric = errors gives the shape \(90,\): wanted one"):
        jo.fit(jo.replace(SPACE, learning_rate=0.1, metrics=(errors,)), 2)
    with pytest.raises(ValueError, match=r"score 'loss' has shape \(2,\): wanted one number"):
        jo.fit(Wide(0.1), 2)
