"""Laws of the engine: lanes do not touch each other, and a sweep is a loop of fits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.engine import lane
from jaxopt_edu.engine.telemetry import Compilations
from jaxopt_edu.engine.widths import tile_width

WINE = jo.data.load("wine", seed=0)
BASE = jo.Training(
    model=jo.models.MLP((13, 8, 3), dropout=0.1),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(0.1),
    data=WINE,
    regularizer=jo.L2(1e-4),
    batch_size=16,
)
SPACE = dataclasses.replace(BASE, optimizer=jo.adam(jo.log_uniform(1e-4, 1e-1)))
STEPS = 60


def scores_of(study, trial):
    return study.scores(trial), study.row(trial)["status"]


@pytest.fixture(scope="module")
def study():
    return jo.sweep(SPACE, 11, steps=STEPS, seed=3, tile=4)


def test_the_best_is_an_experiment_that_gives_its_numbers_again(study):
    run = jo.fit(study.best, STEPS, seed=3, tile=study.tile)
    for split in ("validation", "test"):
        for name, value in run.evaluate(split).items():
            assert value == study.scores()[f"{split}_{name}"]
    alone = jo.fit(study.best, STEPS, seed=3)
    np.testing.assert_allclose(
        alone.evaluate("test")["loss"], study.scores()["test_loss"], rtol=1e-4
    )


def test_the_curve_ends_in_the_score(study):
    np.testing.assert_array_equal(study.curves["loss"][:, -1], study.columns["validation_loss"])
    assert study.evaluations[-1] == STEPS
    assert study.curves["loss"].shape == (11, len(study.evaluations))


def test_a_study_is_a_table(study):
    frame = study.to_pandas()
    assert list(frame.columns[:1]) == ["optimizer.learning_rate"]
    assert frame["validation_loss"].is_monotonic_increasing
    assert frame.index[0] == study.best_trial
    assert len(study) == 11 and "11 trials, 0 diverged" in repr(study)
    assert study.best.optimizer.learning_rate == study.hyperparameters()["optimizer.learning_rate"]


def test_a_divergence_is_reported_and_touches_nobody():
    good = [dataclasses.replace(BASE, optimizer=jo.sgd(r)) for r in (0.01, 0.1, 0.3, 0.03, 0.2)]
    good += [dataclasses.replace(BASE, optimizer=jo.adam(r)) for r in (1e-3, 1e-2)]
    bad = [
        dataclasses.replace(BASE, optimizer=jo.sgd(1e6)),
        dataclasses.replace(BASE, optimizer=jo.adam(1e6)),
    ]
    mixed = [good[0], bad[0], *good[1:6], bad[1], good[6]]
    with_bad = jo.sweep(mixed, steps=STEPS, tile=4)
    without = jo.sweep(good, steps=STEPS, tile=4)
    turned = jo.sweep(good[::-1], steps=STEPS, tile=4)
    places = [0, 2, 3, 4, 5, 6, 8]
    for i, place in enumerate(places):
        assert scores_of(with_bad, place) == scores_of(without, i)
        assert scores_of(turned, len(good) - 1 - i) == scores_of(without, i)
    for place in (1, 7):
        row = with_bad.row(place)
        assert row["status"] == "diverged" and 1 <= row["steps"] < STEPS
        assert row["reason"] in ("loss above diverge_above", "loss is not finite")
        assert np.isnan(row["test_loss"])
    assert with_bad.diverged == 2
    assert set(with_bad.order[-2:].tolist()) == {1, 7}


def test_divergence_without_a_nan_is_seen_too():
    study = jo.sweep([dataclasses.replace(BASE, optimizer=jo.adam(1e6))], steps=STEPS, tile=4)
    assert study.row(0)["reason"] == "loss above diverge_above"
    tame = jo.sweep(
        [dataclasses.replace(BASE, optimizer=jo.adam(1e6))], steps=STEPS, tile=4,
        diverge_above=1e30,
    )  # fmt: skip
    assert tame.row(0)["status"] == "finished"


def test_one_program_serves_every_number_of_trials_and_every_space():
    jo.sweep(SPACE, 3, steps=5, tile=4)
    other = dataclasses.replace(BASE, optimizer=jo.adam(1e-3, b1=jo.uniform(0.5, 0.9)))
    again = jo.sweep(other, 9, steps=7, seed=5, tile=4)
    assert again.info["compilations"]["engine"] == 0


def test_a_vmapped_optimizer_is_a_sweep():
    rates = jnp.array([0.01, 0.1, 0.3])
    batch = jo.sweep(dataclasses.replace(BASE, optimizer=jax.vmap(jo.sgd)(rates)), steps=20, tile=4)
    listed = [dataclasses.replace(BASE, optimizer=jo.sgd(float(r))) for r in rates]
    listed = jo.sweep(listed, steps=20, tile=4)
    for name in ("validation_loss", "test_accuracy"):
        np.testing.assert_array_equal(batch.columns[name], listed.columns[name])


def test_the_width_of_a_tile_changes_rounding_only(study):
    narrow = jo.sweep(SPACE, 5, steps=STEPS, seed=3, tile=1)
    np.testing.assert_allclose(
        study.columns["test_loss"][:5], narrow.columns["test_loss"], rtol=2e-3, atol=1e-5
    )
    assert tile_width(BASE) == tile_width(jo.replace(BASE, learning_rate=0.5))


def test_metric_and_mode_rank():
    study = jo.sweep(SPACE, 6, steps=20, tile=4, metric="accuracy", mode="max")
    best = study.columns["validation_accuracy"].max()
    assert study.scores()["validation_accuracy"] == best


@jo.pytree
class Valley(jo.Experiment):
    """An experiment without data, a model or a loss: it walks down a valley."""

    rate: float
    bend: float = 10.0

    def init(self, key):
        return jax.random.normal(key, (2,))

    def step(self, state, t, key):
        return state - self.rate * jax.grad(self.height)(state), jo.Step()

    def height(self, x):
        return x[0] ** 2 + self.bend * x[1] ** 2

    def score(self, state, split):
        return {"height": self.height(state)}


def test_anything_that_learns_step_by_step_is_an_experiment():
    study = jo.sweep(Valley(jo.log_uniform(1e-3, 1.0)), 16, steps=50, metric="height", mode="min")
    assert study.columns["validation_height"][study.best_trial] < 1e-2
    assert study.diverged > 0
    assert "state is not finite" in study.columns["reason"].tolist()
    run = jo.fit(study.best, 50, metric="height", tile=study.tile)
    assert run.evaluate()["height"] == study.scores()["validation_height"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: jo.sweep(BASE, 4, steps=5), "nothing to sample"),
        (lambda: jo.sweep(SPACE, 4, steps=0), "steps = 0: wanted"),
        (lambda: jo.sweep(SPACE, 4, steps=5, metric="los"), "unknown metric 'los'; did you mean"),
        (lambda: jo.sweep(SPACE, 4, steps=5, mode="least"), "mode = 'least'"),
        (lambda: jo.sweep(SPACE, 4, steps=5, tile=0), "tile = 0"),
        (lambda: jo.sweep(SPACE, 4, steps=5, eval_every=0), "eval_every = 0"),
        (lambda: jo.fit(dataclasses.replace(BASE, batch_size=1000), 5), "batch_size = 1000"),
        (
            lambda: jo.fit(dataclasses.replace(BASE, model=jo.models.MLP((13, 2))), 5),
            "gives 2 outputs; the data have 3 classes",
        ),
        (
            lambda: jo.fit(dataclasses.replace(BASE, model=jo.models.MLP((12, 3))), 5),
            r"MLP wants x of shape \(n, 12\), got",
        ),
        (
            lambda: jo.fit(dataclasses.replace(BASE, loss=jo.losses.squared_error), 5),
            r"\(\d+, 3\).*\(\d+,\)",
        ),
        (lambda: jo.fit(BASE, 5, patience=0), "patience = 0"),
    ],
)
def test_bad_input_is_an_error_before_anything_is_compiled(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_kinds_that_do_not_fit_are_type_errors():
    with pytest.raises(TypeError, match=r"optimizer.learning_rate = log_uniform.* is not a number"):
        jo.fit(SPACE, 5)
    with pytest.raises(TypeError, match="L2 is no jo.Experiment, which fit wants"):
        jo.fit(jo.L2(1e-4), 5)
    with pytest.raises(TypeError, match="tol: Valley does not track"):
        jo.fit(Valley(0.1), 5, metric="height", tol=1e-3)


def test_a_walk_in_strides_makes_the_same_steps(monkeypatch):
    spans = [(0, 0), (0, 1), (0, 15), (0, 16), (3, 40), (5, 37), (2, 100)]
    zero = jnp.zeros(())
    begun = lane.Lane(jnp.uint32(1), zero, zero, jnp.int32(0), jnp.int32(0))

    def step(state, t):
        return 31 * state + t.astype(jnp.uint32), jo.Step()

    def walk(start, stop):
        t, end = lane.run_steps(step, begun, start, stop, 1e4)
        return t, end.state

    def walks():
        return jax.jit(lambda spans: [walk(*span) for span in spans])(jnp.array(spans))

    steps = walks()
    assert [t for t, _ in steps] == [stop for _, stop in spans]
    monkeypatch.setattr(lane, "loop_syncs_host", lambda: True)
    assert walks() == steps


def test_compilations_are_counted_and_few():
    model = jo.models.MLP((13, 11, 3))  # of sizes that no other test has: nothing is compiled yet
    space = dataclasses.replace(SPACE, model=model, batch_size=jo.one_of(9, 17))
    study = jo.sweep(space, 6, steps=5, tile=2)
    assert study.info["compilations"]["engine"] == 3 * 2
    assert study.info["compilations"]["other"] <= 10
    assert set(study.columns["batch_size"]) == {9, 17}
    again = jo.sweep(space, 6, steps=5, tile=2, seed=1)
    assert again.info["compilations"] == {"engine": 0, "other": 0}


ONE = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])


@pytest.mark.parametrize(
    ("size", "given"),  # a size that no other test has: nothing is compiled yet
    [(17, {}), (18, {"patience": 2}), (19, {"tile": 3}), (21, {"mesh": ONE}), (22, {"tol": 1e-9})],
)
def test_a_fit_compiles_each_program_once(size, given):
    """They are compiled beside each other before they are called: for just those calls."""
    experiment = dataclasses.replace(BASE, model=jo.models.MLP((13, size, 3)))
    with Compilations() as compiled:
        run = jo.fit(experiment, 5, **given)
    assert compiled.as_dict()["engine"] == 3 and set(run.scores) == {"train", "validation", "test"}
    with Compilations() as compiled:
        jo.fit(experiment, 6, seed=1, **given)
    assert compiled.as_dict() == {"engine": 0, "other": 0}
