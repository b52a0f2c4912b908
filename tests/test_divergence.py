"""A run that diverged: its step, and all else that it holds at that step, whichever way it ran."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

JUMPY = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(30.0),
    data=jo.data.load("iris"),
    regularizer=jo.L2(1.0),
)
MESH = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])


def whole():
    return iter([(JUMPY.data.train.x, JUMPY.data.train.y)])


@pytest.fixture(scope="module")
def by_hand():
    """The first step whose loss is above 10,000 times the first one, and the state after it."""
    state = JUMPY.init(jax.random.fold_in(jax.random.key(np.uint32(0)), 0))
    key, first = jax.random.fold_in(jax.random.key(np.uint32(0)), 1), state.loss
    step = jax.jit(lambda state, t: JUMPY.step(state, t, key))
    for t in range(60):
        state, _ = step(state, np.int32(t))
        if state.loss > 1e4 * first:
            return t + 1, state
    raise AssertionError("it did not diverge")


@pytest.mark.parametrize(
    "given", [{}, {"tile": 3}, {"patience": 1}, {"mesh": MESH},
              {"batches": whole}, {"tol": 0.0}],
    ids=lambda given: "".join(given) or "plain",
)  # fmt: skip
def test_state_history_and_scores_are_those_of_the_step_it_reports(given, by_hand, tmp_path):
    steps, state = by_hand
    assert steps % 3  # not an evaluation's, which come every third step
    run = jo.fit(JUMPY, 60, **given)
    assert (run.status, run.reason) == ("diverged", "loss above diverge_above")
    assert run.steps == steps == run.history["step"][-1]
    assert np.isclose(run.history["training_loss"][-1], state.loss, rtol=1e-4)
    if "patience" not in given or len(run.history["step"]) == 1:
        for x, y in zip(jax.tree.leaves(run.params), jax.tree.leaves(state.params), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-3)
        loss = JUMPY.score(run.state, "test")["loss"]
        assert np.isclose(run.evaluate("test")["loss"], loss, rtol=1e-4)
    else:  # the best state, as ever, which is one of before
        assert run.evaluate()["loss"] < 1e3 * run.history["loss"][0]


def test_a_bound_beyond_float32_is_none():
    tame = jo.replace(JUMPY, learning_rate=0.01)
    assert jo.fit(tame, 4, diverge_above=1e300).scores == jo.fit(tame, 4).scores


def test_a_store_and_a_rerun_give_the_same_step(by_hand, tmp_path):
    steps, _ = by_hand
    run = jo.fit(JUMPY, 60)
    for _ in range(2):
        kept = jo.fit(JUMPY, 60, store=tmp_path)
        assert kept.steps == steps
        for x, y in zip(jax.tree.leaves(kept.params), jax.tree.leaves(run.params), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-5)
    tame = jo.replace(JUMPY, learning_rate=0.1)
    study = jo.sweep([tame, JUMPY], steps=60, tile=2)
    assert study.columns["steps"].tolist() == [60, steps]
    again = study.rerun(1)
    assert again.steps == steps == again.history["step"][-1]
    np.testing.assert_allclose(
        jax.tree.leaves(again.params)[0], jax.tree.leaves(run.params)[0], rtol=1e-4
    )


def test_private_and_federated_runs_too():
    private = jo.privacy.PrivateTraining(
        model=JUMPY.model, loss=JUMPY.loss, optimizer=jo.sgd(1e38), data=JUMPY.data, batch_size=8,
        max_norm=1e3, noise_multiplier=0.0,
    )  # fmt: skip
    federated = jo.federated.fed_avg(
        model=JUMPY.model, loss=JUMPY.loss, data=JUMPY.data, optimizer=jo.sgd(3e37),
        clients=jo.federated.dirichlet_split(JUMPY.data.train.y, 3, alpha=1.0),
        regularizer=jo.L2(1.0),
    )  # fmt: skip
    for experiment in (private, federated):
        run = jo.fit(experiment, 40)
        assert run.status == "diverged" and run.history["step"][-1] == run.steps < 40
        short = jo.fit(experiment, run.steps)
        np.testing.assert_array_equal(
            jax.tree.leaves(short.params)[0], jax.tree.leaves(run.params)[0]
        )


# ----------------------------------------------------------------------------- debug=True


@jo.pytree
class Steps(jo.Experiment):
    """A made-up loss, and two arrays of which the first grows."""

    factor: float
    at: int = 3

    def init(self, key):
        return {"grows": jnp.ones(()), "stays": jnp.ones(2)}

    def told(self, state, t):
        return state["grows"]

    def step(self, state, t, key):
        return state | {"grows": self.factor * state["grows"]}, jo.Step(self.told(state, t))

    def score(self, state, split):
        return {"loss": state["grows"]}


@jo.pytree
class Logged(Steps):
    def told(self, state, t):  # infinite in one step only; the state is not touched
        return jnp.log(jnp.where(t == self.at, 0.0, 2.0))


@jo.pytree
class Said(Steps):
    def told(self, state, t):
        return np.float32(np.nan)  # no operation makes it


@jo.pytree
class Alone(Steps):
    """Its state is one array, and it tells no loss."""

    def init(self, key):
        return jnp.ones(())

    def step(self, state, t, key):
        return self.factor * state, jo.Step()

    def score(self, state, split):
        return {"loss": state}


@pytest.mark.parametrize(
    ("kind", "factor", "message"),
    [
        (Steps, 1e20, r"step 2: the state is not finite in \['grows'\]; first in .*\(inf\).* mul"),
        (Logged, 0.5, r"step 4: the loss is not finite; first in an operation: .* in log"),
        (Said, 0.5, "step 1: the loss is not finite$"),
        (Alone, 1e20, "step 2: the state is not finite; first in an operation: .* in mul"),
    ],
)
def test_debugging_names_step_part_and_operation(kind, factor, message):
    study = jo.sweep([kind(factor), Steps(0.5)], steps=6, eval_every=2)
    assert study.columns["status"].tolist() == ["diverged", "finished"]
    with pytest.raises(FloatingPointError, match=message):
        study.rerun(0, debug=True)
    checked = study.rerun(1, debug=True)
    assert (checked.status, checked.steps) == ("finished", 6)
    assert checked.scores["validation"]["loss"] == study.rerun(1).evaluate()["loss"] == 0.5**6
    np.testing.assert_array_equal(checked.history["training_loss"], 0.5 ** np.arange(6))


def test_debugging_a_training_names_its_params():
    study = jo.sweep([jo.replace(JUMPY, learning_rate=1e30)], steps=8, diverge_above=1e38)
    with pytest.raises(FloatingPointError, match=r"step \d: .* not finite.* first in an operation"):
        study.rerun(0, debug=True)


def test_a_loss_that_is_far_off_but_finite_is_no_error_to_debug(by_hand):
    study = jo.sweep([JUMPY], steps=60)
    checked = study.rerun(0, debug=True)
    assert (checked.status, checked.steps) == ("diverged", by_hand[0])
