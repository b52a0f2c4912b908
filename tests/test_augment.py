"""Augmentation: laws of each, in one program with the training, and never at scoring."""

import dataclasses
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.storage.named import describe, rebuild

pytestmark = pytest.mark.usefixtures("compiled_quickly")
KEY = jax.random.key(7)
X = np.random.default_rng(0).random((6, 20)).astype(np.float32) + 0.5
Y = np.arange(6, dtype=np.int32) % 3
SHAPE = (5, 4)
ALL = {
    "shift": jo.augment.shift(SHAPE, 2),
    "flip": jo.augment.flip(SHAPE, 0.5),
    "crop": jo.augment.crop(SHAPE, 2),
    "cutout": jo.augment.cutout(SHAPE, 3),
    "noise": jo.augment.noise(0.1),
    "mixup": jo.augment.mixup(0.4),
    "chain": jo.augment.chain(jo.augment.shift(SHAPE, 1), jo.augment.noise(0.1)),
}
each = pytest.mark.parametrize("name", ALL)
of_images = pytest.mark.parametrize("name", ["shift", "crop"])


def in_floats(augment):
    return jax.tree.map(np.float32, augment)


@jax.jit
def augmented(augment, key, x, y):
    return augment(key, x, y)


@jax.jit
@functools.partial(jax.vmap, in_axes=(0, 0, None, None))
def in_lanes(augment, key, x, y):
    """New examples, and the slopes of the sum of their squares in every number."""

    def squares(augment):
        new, _ = augment(key, x, y)
        return jnp.sum(new**2), new

    slopes, new = jax.grad(squares, has_aux=True)(augment)
    return new, slopes


@each
def test_the_key_decides_and_shape_dtype_and_targets_stay(name):
    value = in_floats(ALL[name])
    x, y = augmented(value, KEY, X, Y)
    assert np.array_equal(y.first if name == "mixup" else y, Y)
    assert np.array_equal(x, augmented(value, KEY, X, Y)[0])
    others = [augmented(value, jax.random.key(k), X, Y)[0] for k in (8, 9, 10)]
    assert not all(np.array_equal(x, other) for other in others)
    for dtype in (jnp.float32, jnp.bfloat16):
        half, _ = augmented.eval_shape(value, KEY, X.astype(dtype), Y)
        assert half.shape == X.shape and half.dtype == dtype


@each
def test_numbers_and_keys_map_like_a_loop_of_one_trace_and_slopes_are_finite(name):
    leaves, structure = jax.tree.flatten(in_floats(ALL[name]))
    several = [np.stack([h, 0.5 * h, 0 * h]) for h in leaves]
    keys = [jax.random.key(k) for k in range(3)]
    lanes = jax.tree.unflatten(structure, several)
    x, slopes = in_lanes(lanes, jnp.stack(keys), X, Y)
    assert all(np.isfinite(slope).all() for slope in jax.tree.leaves(slopes))
    traces = augmented._cache_size()
    for i in range(3):
        lone = jax.tree.unflatten(structure, [h[i] for h in several])
        np.testing.assert_allclose(augmented(lone, keys[i], X, Y)[0], x[i], atol=1e-6)
    assert augmented._cache_size() <= traces + 1


@each
def test_survives_json_and_is_a_value(name):
    value = ALL[name]
    assert rebuild(json.loads(json.dumps(describe(value)))) == value
    assert set(jo.hyperparameters(value).values()) == set(jax.tree.leaves(value))


@of_images
def test_a_color_image_moves_as_a_whole(name):
    gray = in_floats(ALL[name])
    color = jo.replace(gray, shape=(*SHAPE, 3))
    x, _ = augmented(gray, KEY, X, Y)
    x3, _ = augmented(color, KEY, np.repeat(X[..., None], 3, -1).reshape(6, *SHAPE, 3), Y)
    assert x3.shape == (6, *SHAPE, 3)
    assert np.array_equal(x3, np.repeat(x.reshape(6, *SHAPE, 1), 3, -1))


def test_nothing_to_do_is_the_identity():
    for nothing in (
        jo.augment.shift(SHAPE, 0), jo.augment.flip(SHAPE, 0.0), jo.augment.crop(SHAPE, 0),
        jo.augment.cutout(SHAPE, 0), jo.augment.noise(0.0), jo.augment.mixup(0.0),
    ):  # fmt: skip
        assert np.array_equal(augmented(in_floats(nothing), KEY, X, Y)[0], X)


def test_a_shift_moves_by_whole_pixels_all_equally_often():
    image = np.zeros((5, 4), np.float32)
    image[2, 1] = 1
    shift = jo.augment.shift(SHAPE, 1, fill=2.0)
    x, _ = augmented(shift, KEY, np.tile(image.ravel(), (3000, 1)), np.zeros(3000, int))
    x = np.asarray(x).reshape(-1, *SHAPE)
    where = np.argwhere(x == 1)
    assert len(where) == 3000
    counts = np.unique(where[:, 1:], axis=0, return_counts=True)[1]
    assert len(counts) == 9
    assert np.sum((counts - 3000 / 9) ** 2 / (3000 / 9)) < 26.1  # chi-square, 8 df, p = 0.001
    assert (x[where[:, 1] == 3][:, 0] == 2).all() and (x[where[:, 1] == 1][:, -1] == 2).all()


def test_a_flip_twice_is_the_identity():
    for axis in ("horizontal", "vertical"):
        always = jo.augment.flip(SHAPE, 1.0, axis)
        once, _ = augmented(always, KEY, X, Y)
        side = 2 if axis == "horizontal" else 1
        assert np.array_equal(once, np.flip(X.reshape(6, *SHAPE), side).reshape(6, -1))
        assert np.array_equal(augmented(always, KEY, once, Y)[0], X)
    half, _ = augmented(jo.augment.flip(SHAPE, 0.5), KEY, np.tile(X, (200, 1)), np.zeros(1200, int))
    same = np.mean((np.asarray(half) == np.tile(X, (200, 1))).all(1))
    assert abs(same - 0.5) < 4 * math.sqrt(0.25 / 1200)


@pytest.mark.parametrize("edge", ["constant", "reflect", "edge"])
def test_a_crop_is_a_slice_of_the_padded_image(edge):
    x, _ = augmented(jo.augment.crop(SHAPE, 2, edge), KEY, X, Y)
    for image, new in zip(X.reshape(6, *SHAPE), np.asarray(x).reshape(6, *SHAPE), strict=True):
        around = np.pad(image, 2, edge)
        slices = (around[i : i + 5, j : j + 4] for i in range(5) for j in range(5))
        assert any(np.array_equal(new, window) for window in slices)


def test_a_cutout_is_a_square_around_any_pixel():
    ones = np.ones((2000, 81), np.float32)
    cut = in_floats(jo.augment.cutout((9, 9), 3, fill=-1.0))
    x, _ = augmented(cut, KEY, ones, 0)
    gone = np.asarray(x).reshape(-1, 9, 9) == -1
    rows, columns = gone.any(2).sum(1), gone.any(1).sum(1)
    assert np.array_equal(gone.sum((1, 2)), rows * columns)
    assert set(rows) == {2, 3} and abs(np.mean(rows == 2) - 2 / 9) < 4 * math.sqrt(2 / 9 / 2000)
    larger, _ = augmented(jo.replace(cut, size=np.float32(4)), KEY, ones, 0)
    assert (np.asarray(larger) == -1).sum(1).max() == 16


def test_noise_has_mean_zero_and_its_scale():
    x, _ = augmented(jo.augment.noise(0.3), KEY, np.tile(X, (1000, 1)), np.zeros(6000, int))
    noise = np.asarray(x).reshape(1000, -1) - X.ravel()
    assert abs(noise.mean()) < 4 * 0.3 / math.sqrt(noise.size)
    np.testing.assert_allclose(noise.std(), 0.3, rtol=0.02)


def test_mixup_is_a_loop_and_its_loss_that_of_mixed_targets():
    with jax.enable_x64(True):
        y, wide = np.arange(6), X.astype(float)
        x, mixed = augmented(ALL["mixup"], KEY, wide, y)
        share, other = np.asarray(mixed.share), np.asarray(mixed.second)
        assert sorted(other) == list(range(6)) and (share >= 0).all() and (share <= 1).all()
        for i, j in enumerate(other):
            mixture = [
                share[i] * a + (1 - share[i]) * b for a, b in zip(wide[i], wide[j], strict=True)
            ]
            np.testing.assert_allclose(x[i], mixture, rtol=1e-12)
        logits = jnp.asarray(np.random.default_rng(1).normal(size=(6, 6)))
        labels = np.eye(6) * share[:, None] + np.eye(6)[other] * (1 - share[:, None])
        np.testing.assert_allclose(
            jo.augment.losses_of(
                jo.losses.softmax_cross_entropy_with_integer_labels, logits, mixed
            ),
            jo.losses.softmax_cross_entropy(logits, labels),
            atol=1e-12,
        )

        def squares(p):
            targets = jo.augment.Mixed(jnp.array([1.0]), jnp.array([3.0]), jnp.array([0.25]))
            return jo.augment.losses_of(jo.losses.squared_error, p, targets)[0]

        slope = jax.grad(squares)(jnp.array([2.0]))
        np.testing.assert_allclose(slope, 2 * (2.0 - (0.25 * 1 + 0.75 * 3)))


def test_shares_have_the_law_of_beta():
    from scipy.stats import beta, kstest

    _, mixed = augmented(jo.augment.mixup(0.4), KEY, np.ones((4000, 1)), np.zeros(4000, int))
    assert kstest(mixed.share, beta(0.4, 0.4).cdf).pvalue > 0.001


DIGITS = jo.data.load("digits", prepare="min_max")
EXPERIMENT = jo.Training(
    model=jo.models.Linear(64, 10),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(0.5),
    data=DIGITS,
    batch_size=32,
)


def test_a_step_trains_on_augmented_examples_and_scores_plain_ones():
    augment = jo.augment.chain(jo.augment.shift((8, 8), 1), jo.augment.mixup(0.3))
    training = dataclasses.replace(EXPERIMENT, augment=augment)

    @jax.jit
    def run(training, plain, key):
        state = training.init(key)
        new, _ = training.step(state, 3, key)
        x, y, _ = plain.batch(3, key)
        x, mixed = augment(jax.random.fold_in(jax.random.fold_in(key, 2), 3), x, y)

        def loss(params):
            predictions = training.model.apply(params, x)
            return jnp.mean(jo.augment.losses_of(training.loss, predictions, mixed))

        scores = [e.score(new, split) for e in (training, plain) for split in ("train", "test")]
        return new, *jax.value_and_grad(loss)(state.params), scores

    new, value, grads, scores = run(training, EXPERIMENT, KEY)
    np.testing.assert_allclose(new.loss, value, rtol=1e-5)
    np.testing.assert_allclose(new.params["w"], -0.5 * grads["w"], atol=1e-6)
    assert scores[:2] == scores[2:]


def test_the_numbers_of_an_augmentation_are_swept_and_an_experiment_comes_back(tmp_path):
    augment = jo.augment.chain(
        jo.augment.crop((8, 8), 1), jo.augment.noise(jo.log_uniform(0.01, 10.0))
    )
    study = jo.sweep(dataclasses.replace(EXPERIMENT, augment=augment), 4, steps=200, sampler="grid")
    losses = study.columns["validation_loss"]
    assert study.swept == ("augment.1.scale",) and losses[3] > 2 * losses[0]
    jo.save_study(study, tmp_path)
    assert jo.load_experiment(tmp_path / "best.json") == study.best
    assert (
        "AugmentationChain"
        in json.loads((tmp_path / "best.json").read_text())["experiment"]["augment"].values()
    )


def test_a_private_training_augments_each_record_alone():
    plain = jo.privacy.PrivateTraining(
        jo.models.Linear(64, 10), EXPERIMENT.loss, jo.sgd(0.5), DIGITS,
        batch_size=32, max_norm=1.0, noise_multiplier=0.0,
    )  # fmt: skip

    @jax.jit
    def step(training):
        return training.step(training.init(KEY), 0, KEY)[0].params["w"]

    noisy = [dataclasses.replace(plain, augment=jo.augment.noise(s)) for s in (0.0, 0.1, 1.0)]
    still, moved, far = (step(training) for training in noisy)
    assert 1e-5 < np.abs(moved - still).max() < np.abs(far - still).max()
    with pytest.raises(ValueError, match="augment = Mixup.* mixes examples: then no record"):
        jo.fit(dataclasses.replace(plain, augment=ALL["mixup"]), 1)


WRONG = {
    r"shape = \(0, 3\): wanted \(height, width\)": lambda: jo.augment.shift((0, 3)),
    r"shape = 8: wanted \(height, width\)": lambda: jo.augment.flip(8),
    r"reach = -1 is outside \[0, inf\)": lambda: jo.augment.shift(SHAPE, -1),
    r"probability = 2 is outside \[0, 1\]": lambda: jo.augment.flip(SHAPE, 2),
    "did you mean 'vertical'": lambda: jo.augment.flip(SHAPE, 0.5, "vertically"),
    r"padding = 1.5: wanted an integer": lambda: jo.augment.crop(SHAPE, 1.5),
    "padding = 4: an image of .* reflects 3": lambda: jo.augment.crop(SHAPE, 4, "reflect"),
    r"scale = -0.1 is outside": lambda: jo.augment.noise(-0.1),
    "size = -2 is outside": lambda: jo.augment.cutout(SHAPE, -2),
    "alpha = -1 is outside": lambda: jo.augment.mixup(-1),
    r"x has shape \(6, 20\); Shift with shape = \(8, 8\) wants \(n, 64\) or \(n, 8, 8\)": (
        lambda: jo.augment.shift((8, 8))(KEY, X, Y)
    ),
    "x are int32: wanted floats": lambda: ALL["noise"](KEY, Y[:, None], Y),
    "argument 1 = 0.1 is no augmentation": lambda: jo.augment.chain(ALL["noise"], 0.1),
    "the targets are mixed already": (
        lambda: augmented.eval_shape(jo.augment.chain(*2 * [ALL["mixup"]]), KEY, X, Y)
    ),
    r"augment = 0.1: wanted \(key, x, y\)": (
        lambda: jo.fit(dataclasses.replace(EXPERIMENT, augment=0.1), 1)
    ),
    "mixes examples: on folds of unequal size": lambda: jo.sweep(
        [dataclasses.replace(EXPERIMENT, augment=ALL["mixup"], batch_size=None)], steps=1, folds=4
    ),
}


@pytest.mark.parametrize("message", WRONG)
def test_bad_input_is_named(message):
    with pytest.raises((ValueError, TypeError), match=message):
        WRONG[message]()
