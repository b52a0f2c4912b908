"""A run that diverged: its step, and all else that it holds at that step, whichever way it ran."""

import jax
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
