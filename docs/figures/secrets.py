"""Chapter "Secrets": what noise does to weights and accuracy, and what clipping is for."""

import functools
import math
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.learn.packing import pack

STEPS, BATCH, DELTA, RATE = 150, 256, 1e-4, 1.0
NOISES = np.geomspace(0.3, 30, 17)
CLIPS = np.geomspace(0.01, 3, 9)
SEEDS = 5
PRICES = (0.5, 1.0, 3.0, 8.0)  # the epsilons of the table
LEVELS = 24  # of a weight in the page, on either side of 0

OTHERS, NORMS = 15, np.geomspace(0.1, 1000, 41)  # of the figure on clipping
TOWARDS = (-0.6, 0.8)  # where the gradient of the one example points


# ---------------------------------------------------------------------------------------- clipping


def others() -> np.ndarray:
    """Gradients of examples that agree more or less: (example, 2)."""
    rng = np.random.default_rng(0)
    return np.round([0.75, 0.1] + 0.35 * rng.normal(size=(OTHERS, 2)), 3)


def clip() -> dict[str, Any]:
    """The gradients; the page adds them up in three ways."""
    return {"others": others().tolist(), "norms": NORMS.tolist(), "towards": list(TOWARDS)}


def mean_of(gradients: Any, how: str) -> np.ndarray:
    """The mean of some gradients, over the size of the whole batch, by the library: as it is,
    clipped afterwards, or of clipped ones."""
    g, size = jnp.asarray(gradients, float), OTHERS + 1
    if how == "each":
        w = jnp.zeros(2)
        total = jo.privacy.clipped_sum(lambda w, x: w @ x, w, g, max_norm=1.0)
        return np.asarray(total / size)
    mean = g.sum(0) / size
    if how == "mean":
        clipping = jo.clip_by_global_norm(1.0)
        mean = clipping.update(mean, clipping.init(mean), None)[0]
    return np.asarray(mean)


def moved(norm: float, how: str) -> float:
    """How far one example of this norm moves the mean."""
    one = np.array(TOWARDS) * norm
    with_it = mean_of(np.vstack([others(), one]), how)
    return float(np.linalg.norm(with_it - mean_of(others(), how)))


# ------------------------------------------------------------------------------------------- guess

ONE_STEP = np.geomspace(0.25, 8, 31)  # noises of a single sum over all records


def guess() -> dict[str, Any]:
    """How often a guess from one noisy sum is right, and what that sum spends."""
    right = [0.5 * (1 + math.erf(1 / (2 * s) / math.sqrt(2))) for s in ONE_STEP]
    spent = [bound(once(s)) for s in ONE_STEP]
    return {"noises": ONE_STEP.tolist(), "right": right, "epsilons": spent}


def bound(x: float) -> float:
    """A number rounded up, to three digits: what is at most x is at most that."""
    unit = 10.0 ** (math.floor(math.log10(x)) - 2)
    return float(f"{math.ceil(x / unit) * unit:.3g}")


def once(noise: float) -> float:
    """The epsilon of one noisy sum over all records."""
    return jo.privacy.epsilon(noise_multiplier=noise, sample_rate=1.0, steps=1, delta=DELTA)


# ------------------------------------------------------------------------------------------- noise


@functools.cache
def digits() -> Any:
    """The digits from 0 to 1: divided by 16, the largest possible ink, not taken from the data."""
    raw = jo.data.load("digits", seed=0, prepare=None)
    train, *rest = [(part.x / 16, part.y) for part in (raw.train, raw.validation, raw.test)]
    return jo.data.from_arrays(*train, validation=rest[0], test=rest[1], prepare=None)


def sample_rate() -> float:
    return BATCH / len(digits().train.y)


def epsilon(noise: float) -> float:
    """What a training with this noise spends."""
    return jo.privacy.epsilon(
        noise_multiplier=noise, sample_rate=sample_rate(), steps=STEPS, delta=DELTA
    )


@functools.cache
def priced() -> tuple[float, ...]:
    """The noises of the table: of each epsilon, and 0."""
    asked = {"sample_rate": sample_rate(), "steps": STEPS, "delta": DELTA}
    return (*(jo.privacy.noise_multiplier(epsilon=e, **asked) for e in PRICES), 0.0)


@functools.cache
def trainings() -> dict[str, np.ndarray]:
    """w (noise, clip, seed, digit, pixel), validation and test accuracy (noise, clip, seed): the
    noises of the slider, then those of the table."""

    def look(e: Any, state: Any) -> dict[str, Any]:
        right = {s: e.score(state, s)["accuracy"] for s in ("validation", "test")}
        return {"w": state.params["w"]} | right

    e = jo.Training(
        model=jo.models.Linear(64, 10), data=digits(), optimizer=jo.sgd(RATE, momentum=0.9),
        loss=jo.losses.softmax_cross_entropy_with_integer_labels, batch_size=BATCH,
        estimator=jo.Private(max_norm=1.0, noise_multiplier=1.0),
    )  # fmt: skip
    sliders = {"noise_multiplier": [*NOISES, *priced()], "max_norm": CLIPS}
    return jo.learn.explore(e, sliders, steps=STEPS, look=look, seeds=SEEDS).arrays


def noise() -> dict[str, Any]:
    """Templates of the first seed and accuracies of all, at each noise and clipping norm."""
    n, found, rows = len(NOISES), trainings(), len(digits().test.y)
    w = found["w"][:n, :, 0]
    codes = np.round(w / abs(w).max((-1, -2), keepdims=True) * LEVELS)
    quiet = found["test"][-1].mean(-1)  # without noise, by clipping norm
    return {
        "noises": NOISES.tolist(), "clips": CLIPS.tolist(), "levels": LEVELS, "rows": rows,
        "epsilons": [bound(epsilon(x)) for x in NOISES], "quiet": quiet.tolist(),
        "w": pack(codes, 8), "right": pack(np.round(found["test"][:n] * rows), 16),
    }  # fmt: skip


def table() -> list[dict[str, float]]:
    """A row for each noise of the table; the clipping norm is the best on the validation part."""
    found, rows = trainings(), []
    for k, sigma in enumerate(priced(), len(NOISES)):
        best = int(found["validation"][k].mean(-1).argmax())
        test = 100 * found["test"][k, best]
        rows.append({
            "epsilon": epsilon(sigma) if sigma else np.inf, "noise": sigma, "clip": CLIPS[best],
            "test": float(np.median(test)), "low": float(test.min()), "high": float(test.max()),
        })  # fmt: skip
    return rows


# ------------------------------------------------------------------------------------------ claims


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    found, data = trainings(), digits()
    told = {
        f"{name}_{row}": x
        for row, held in zip(("half", "1", "3", "8", "none"), table(), strict=True)
        for name, x in held.items()
        if np.isfinite(x)
    }
    patients = jo.data.load("diabetes", seed=0, prepare=None)
    rows = np.vstack([p.x for p in (patients.train, patients.validation, patients.test)])

    def alone(columns: list[int]) -> int:
        return int((np.unique(rows[:, columns], axis=0, return_counts=True)[1] == 1).sum())

    mean = 100 * found["test"].mean(-1)
    return told | {
        "grid": len(NOISES) * len(CLIPS) * SEEDS,
        "records": len(data.train.y),
        "steps": STEPS, "batch": BATCH,
        "delta": DELTA,
        "largest_norm": NORMS[-1],
        "moved_none": moved(1000.0, "none"),
        "moved_mean": moved(1000.0, "mean"),
        "moved_each": moved(1000.0, "each"),
        "times_mean": moved(1000.0, "mean") * (OTHERS + 1),
        "patients": len(rows),
        "alone_sex": alone([0, 1]), "alone_pressure": alone([0, 1, 3]),
        "calm": mean[0, -1], "loud": mean[9, -1], "loud_small": mean[9, 4],
    }  # fmt: skip
