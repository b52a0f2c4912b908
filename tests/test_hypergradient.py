"""Hypergradients against differences of the scores of `sweep`; what they are taken by, and cost."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.search.hypergradients import join, separate

pytestmark = pytest.mark.usefixtures("compiled_quickly")
CLASSES = jo.losses.softmax_cross_entropy_with_integer_labels
STEPS = 11  # three segments of three steps, and two more


def training(**parts):
    """On few examples of wine, in float64 where that is on."""
    wine = jo.data.load("wine", seed=0)
    x, y = wine.train.x[:40, :4], wine.train.y[:40]
    few = jo.data.from_arrays(x, y, validation=(x[:9], y[:9]), test=0.0, prepare=None)
    usual = {"model": jo.models.Linear(4, 3), "loss": CLASSES, "optimizer": jo.sgd(0.3)}
    return jo.Training(**usual | {"data": few, "batch_size": 8} | parts)


EXPERIMENTS = {
    "clipped": lambda: training(
        model=jo.models.MLP((4, 5, 3), activation="tanh", gain=1.5),
        optimizer=jo.chain(jo.clip_by_global_norm(0.5), jo.sgd(0.5)),
        regularizer=jo.L1(0.01),
        batch_size=None,
    ),
    "proximal": lambda: training(
        optimizer=jo.chain(
            jo.add_decayed_weights(0.2), jo.rmsprop(0.05, eps=0.1, initial_scale=0.2)
        ),
        regularizer=jo.proximal(jo.ElasticNet(0.05, l1_ratio=0.3)),
    ),
    "decoupled": lambda: training(
        optimizer=jo.sgd(
            {"w": jo.cosine_decay_schedule(0.3, 20, alpha=0.1), "b": 0.1},
            momentum=0.8,
            nesterov=True,
        ),
        regularizer=jo.decoupled(jo.L2(0.1)),
        batch_size=None,
    ),
}


def sweep_around(experiment, names, h=1e-5):
    """The loss, and its central differences by each number, from one sweep of a batch."""
    numbers = jo.hyperparameters(experiment)
    moves = h * np.concatenate([np.zeros((1, len(names))), np.eye(len(names)), -np.eye(len(names))])
    batch = {name: numbers[name] * (1 + move) for name, move in zip(names, moves.T, strict=True)}
    study = jo.sweep(jo.replace(experiment, **batch), steps=STEPS, seed=3)
    loss, *moved = study.columns["validation_loss"]
    up, down = np.reshape(moved, (2, -1))
    return loss, (up - down) / (2 * h) / [numbers[name] for name in names]


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_agrees_with_differences_of_sweeps(name):
    with jax.enable_x64(True):
        experiment = EXPERIMENTS[name]()
        score, gradient = jo.hypergradient(experiment, STEPS, seed=3)
        gradient = {n: x.item() for n, x in jo.hyperparameters(gradient).items()}
        loss, slopes = sweep_around(experiment, list(gradient))
    np.testing.assert_allclose(score, loss, rtol=1e-12)
    print(gradient, list(gradient.values()) / slopes - 1)
    np.testing.assert_allclose(list(gradient.values()), slopes, rtol=1e-6)


def test_what_is_no_smooth_float_has_no_derivative():
    schedule = jo.cosine_decay_schedule(0.3, decay_steps=20, alpha=0.1)
    experiment = training(
        model=jo.models.MLP((4, 5, 3), dropout=0.2, gain=1.5),
        optimizer=jo.chain(jo.clip(1), jo.lion(schedule, weight_decay=0.1)),
    )
    numbers, rest = separate(experiment)
    assert list(jo.hyperparameters(numbers)) == [
        "model.gain", "optimizer.1.learning_rate.init_value", "optimizer.1.learning_rate.alpha",
        "optimizer.1.learning_rate.exponent", "optimizer.1.weight_decay",
    ]  # fmt: skip
    assert list(jo.hyperparameters(rest)) == [
        "model.dropout", "optimizer.0.max_delta", "optimizer.1.learning_rate.decay_steps",
        "optimizer.1.b1", "optimizer.1.b2",
    ]  # fmt: skip
    assert numbers.data is None and rest.data == experiment.data
    whole = join(numbers, rest)
    assert jax.tree.structure(whole) == jax.tree.structure(experiment)
    assert jax.tree.all(jax.tree.map(np.allclose, whole, experiment))


LINE = jo.Training(
    model=jo.models.Linear(1),
    loss=jo.losses.squared_error,
    optimizer=jo.sgd(0.1, momentum=0.5),
    data=jo.data.load("linear"),
)


def test_a_batch_of_experiments_under_vmap_and_jit_is_a_loop():
    rates = jnp.array([0.01, 0.1, 0.2])
    batch = jo.replace(LINE, learning_rate=rates, momentum=1)
    axes = jo.replace(LINE, data=None, learning_rate=0, momentum=None)
    mapped = jax.vmap(lambda e: jo.hypergradient(e, STEPS), in_axes=(axes,))
    scores, gradients = jax.jit(mapped)(batch)
    assert list(jo.hyperparameters(gradients)) == ["optimizer.learning_rate"]  # 1 is an int
    for i, rate in enumerate(rates.tolist()):
        score, gradient = jo.hypergradient(jo.replace(batch, learning_rate=rate), STEPS)
        np.testing.assert_allclose(scores[i], score, rtol=1e-5)
        slopes = gradients.optimizer.learning_rate[i], gradient.optimizer.learning_rate
        np.testing.assert_allclose(*slopes, rtol=1e-4)


def test_memory_grows_with_the_root_of_the_steps():
    digits = jo.data.load("digits", seed=0)
    part = jo.data.Part(digits.train.x[:40], digits.train.y[:40])
    experiment = training(
        model=jo.models.Linear(64, 10), data=replace(digits, train=part), batch_size=None
    )
    take = jax.jit(lambda e, steps: jo.hypergradient(e, steps)[1], static_argnames="steps")
    state = 4 * 65 * 10
    memory = {
        root: take.lower(experiment, root**2).compile().memory_analysis().temp_size_in_bytes
        for root in (10, 80)
    }
    assert memory[10] < 100 * state  # all of them would be kept without checkpoints
    assert (memory[80] - memory[10]) / state < 4 * 70


SPACE = jo.replace(LINE, learning_rate=jo.log_uniform(1e-4, 1e-1), momentum=jo.uniform(0, 0.9))


def test_tune_descends_from_the_starts_of_a_random_sweep():
    tuning = jo.tune(SPACE, 20, updates=25, starts=4, seed=1)
    batch = jo.sample(SPACE, 4, seed=1)
    for name, x in tuning.numbers.items():
        np.testing.assert_allclose(x[0], jo.hyperparameters(batch)[name], rtol=1e-5)
    assert tuning.scores.shape == tuning.slopes.shape == (26, 4) and tuning.reasons == ("",) * 4
    assert tuning.scores[-1].max() < tuning.scores[0].min()
    run = jo.fit(tuning.best, 20, seed=1)
    np.testing.assert_allclose(run.evaluate("validation")["loss"], tuning.best_score, rtol=1e-4)


def test_numbers_stay_within_their_distributions():
    """r2_score rises up to the highest learning rate, which a distribution does not include."""
    space = jo.replace(SPACE, momentum=0.5)
    tuning = jo.tune(
        space, 20, updates=4, starts=4, metric="r2_score", mode="max", split="test",
        optimizer=jo.sign_sgd(0.5),
    )  # fmt: skip
    rates = tuning.numbers["optimizer.learning_rate"]
    assert 0.0999 < rates[-1].max() < 0.1
    assert tuning.best_score == tuning.scores.max() > tuning.scores[0].max()


def test_a_start_that_diverges_is_recorded_and_touches_no_other():
    wild = jo.replace(SPACE, learning_rate=jo.log_uniform(1e-3, 1e10), momentum=0.5)
    one, four = (
        jo.tune(wild, 20, updates=2, starts=n, seed=11, optimizer=jo.adam(0.005)) for n in (1, 4)
    )
    assert [bool(reason) for reason in four.reasons] == [False, True, True, False]
    np.testing.assert_allclose(four.scores[:, :1], one.scores, rtol=1e-4)
    assert np.isnan(four.scores[:, 1:3]).all() and np.isfinite(four.scores[:, [0, 3]]).all()
    assert set(four.reasons[1:3]) == {"score is not finite"} and "2 ended early" in repr(four)


WRONG = {
    "is not a number: hypergradient runs one": lambda: jo.hypergradient(SPACE, 5),
    "steps = 0: wanted": lambda: jo.hypergradient(LINE, 0),
    "split = 'tset' is unknown; did you mean 'test'": lambda: jo.hypergradient(
        LINE, 5, split="tset"
    ),
    "unknown metric 'los'; did you mean 'loss'": lambda: jo.hypergradient(LINE, 5, metric="los"),
    "Training has no float hyperparameter": lambda: jo.hypergradient(
        jo.replace(LINE, optimizer=jo.sgd(1)), 5
    ),
    "starts = 0: wanted an integer, at least 1": lambda: jo.tune(SPACE, 5, starts=0),
    "no distribution; `hypergradient`": lambda: jo.tune(LINE, 5),
    "2 alternatives of structure .optimizer. are no numbers.*`sweep`": lambda: jo.tune(
        jo.replace(LINE, optimizer=jo.one_of(jo.sgd(0.1), jo.adam(0.1))), 5
    ),
    "choice.0.1, 0.2. jumps.*`sweep` it": lambda: jo.tune(
        jo.replace(LINE, learning_rate=jo.choice(0.1, 0.2)), 5
    ),
    "optimizer.b1 = .* training jumps in this number": lambda: jo.tune(
        jo.replace(LINE, optimizer=jo.lion(0.1, b1=jo.uniform(0.5, 0.9))), 5
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_errors_name_the_argument(message):
    with pytest.raises((ValueError, TypeError), match=message):
        WRONG[message]()


def test_a_metric_that_jumps_has_no_slope_to_descend_on():
    space = training(optimizer=jo.sgd(jo.log_uniform(1e-2, 1e-1)))
    with pytest.raises(ValueError, match="metric = 'accuracy' has slope 0 at every start"):
        jo.tune(space, 2, starts=2, metric="accuracy", mode="max")
