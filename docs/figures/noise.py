"""Chapter "A noisy gradient": paths with batches of many sizes, and clouds of gradients."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.learn.packing import pack

SIZES = np.array([1, 2, 4, 8, 16, 32, 64, 128, 256])
RATES = 0.02 * 2 ** (np.arange(41) / 7)  # seven positions double it
SEEDS, STEPS = 4, 80
NEAR = 0.05  # above the lowest loss: arrived
FAR = 10.0  # a weight beyond this has left the picture for good
GRAIN = 0.012  # of w and b, to which paths are kept
LAST, SPENT = 20, 240  # steps whose mean is the end; examples after which batches are compared
DRAWS, SHOWN = 1000, 150  # batches of each size that are drawn, and those whose gradient is shown


@functools.cache
def examples() -> tuple[np.ndarray, np.ndarray]:
    """x and y of the training part of "linear"."""
    train = jo.data.load("linear", seed=0, prepare=None).train
    return np.asarray(train.x[:, 0], float), np.asarray(train.y, float)


@functools.cache
def bowl() -> tuple[np.ndarray, np.ndarray, float]:
    """A, the best (w, b) and the lowest loss: the loss is lowest + (p - best)' A (p - best)."""
    x, y = examples()
    a = np.array([[np.mean(x * x), np.mean(x)], [np.mean(x), 1.0]])
    best = np.linalg.solve(a, [np.mean(x * y), np.mean(y)])
    return a, best, float(np.mean((best[0] * x + best[1] - y) ** 2))


@functools.cache
def paths() -> np.ndarray:
    """(size, rate, seed, step, 2): w and b from step 0 on; NaN from where a path is far out."""
    e = jo.Training(
        model=jo.models.Linear(1), loss=jo.losses.squared_error, optimizer=jo.sgd(0.1),
        data=jo.data.load("linear", seed=0, prepare=None), batch_size=1,
    )  # fmt: skip
    sliders = {"batch_size": SIZES.tolist(), "learning_rate": RATES}
    found = jo.learn.explore(e, sliders, steps=STEPS, every=1, seeds=SEEDS, look=_line).arrays
    p = np.stack([found["w"], found["b"]], -1).astype(float)
    p = np.concatenate([np.zeros_like(p[..., :1, :]), p], axis=-2)
    out = np.logical_or.accumulate(~(abs(p) <= FAR).all(-1), axis=-1)
    return np.where(out[..., None], np.nan, p)


def _line(e: Any, state: Any) -> dict[str, Any]:
    return {"w": state.params["w"][0], "b": state.params["b"]}


def heights(p: np.ndarray) -> np.ndarray:
    """How far the loss is above the lowest one."""
    a, best, _ = bowl()
    return np.einsum("...i,ij,...j", p - best, a, p - best)


@functools.cache
def arrived() -> np.ndarray:
    """(size, rate): steps until the mean height of the seeds is at most NEAR; NaN: never."""
    near = heights(paths()).mean(2) <= NEAR
    return np.where(near.any(-1), near.argmax(-1).astype(float), np.nan)


def cloud() -> dict[str, Any]:
    """The noise of each step; the page adds the step of gradient descent."""
    a, best, lowest = bowl()
    finer, noise = _noise()
    return {
        "sizes": SIZES.tolist(), "rates": RATES.tolist(), "steps": STEPS, "last": LAST,
        "spent": SPENT, "seeds": list(range(1, SEEDS + 1)),
        "bowl": a.ravel().tolist(), "best": best.tolist(), "lowest": lowest, "near": NEAR,
        "unit": GRAIN, "grain": pack(finer, 8), "noise": pack(noise, 8),
        "arrived": pack(arrived(), 8),
        "ends": [_ends(arrived()), _ends(arrived() * SIZES[:, None])],
        "fewest": [_fewest(arrived()), _fewest(arrived() * SIZES[:, None])],
    }  # fmt: skip


def _ends(counts: np.ndarray) -> list[float]:
    """The least and the greatest."""
    return [float(np.nanmin(counts)), float(np.nanmax(counts))]


def _fewest(counts: np.ndarray) -> list[int]:
    """The batch size that needs the fewest, by learning rate; 0 where none arrives."""
    best = SIZES[np.where(np.isnan(counts), np.inf, counts).argmin(0)]
    return np.where(np.isnan(counts).all(0), 0, best).tolist()


def _noise() -> tuple[np.ndarray, np.ndarray]:
    """(size, rate) k, and the noise of each step in whole numbers of GRAIN 2^k.

    It is the step that was made less that of gradient descent from where the page has come to, so
    that rounding does not add up.
    """
    p, rate = paths(), RATES[:, None, None]
    largest = np.nanmax(abs(p[..., 1:, :] - _descended(p[..., :-1, :], rate[..., None])), (2, 3, 4))
    k = np.ceil(np.log2(np.maximum(1, largest / (120 * GRAIN))))
    grain = (GRAIN * 2**k)[..., None, None]
    here, found = p[..., 0, :], []
    for t in range(1, STEPS + 1):
        expected = _descended(here, rate)
        found.append(np.round((p[..., t, :] - expected) / grain))
        here = expected + found[-1] * grain
    noise = np.stack(found, -2)
    assert np.nanmax(noise) - np.nanmin(noise) <= 254  # pack(8) keeps whole numbers then
    return k, noise


def _descended(p: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """Where a step of gradient descent ends."""
    a, best, _ = bowl()
    return p - rate * 2 * (p - best) @ a


# ------------------------------------------------------------------------- gradients of batches


@functools.cache
def gradients() -> np.ndarray:
    """(place, size, draw, 2): gradients of batches at the start (0, 0) and at the lowest point."""
    x, y = examples()
    keys = jax.random.split(jax.random.key(0), DRAWS)
    found = []
    for w, b in (np.zeros(2), bowl()[1]):
        of_each = 2 * (w * x + b - y)[:, None] * np.stack([x, np.ones_like(x)], 1)
        by_size = []
        for size in SIZES:
            rows = jax.vmap(_drawn, (0, None, None))(keys, len(x), int(size))
            by_size.append(of_each[np.asarray(rows)].mean(1))
        found.append(np.stack(by_size))
    return np.stack(found)


def _drawn(key: jax.Array, n: int, size: int) -> jax.Array:
    return jo.data.batch_indices(key, jnp.array(0), n, size)


def of_all() -> np.ndarray:
    """(place, 2): the gradient of all examples."""
    a, best, _ = bowl()
    return np.stack([-2 * a @ best, np.zeros(2)])


def noises() -> np.ndarray:
    """(place, size): root mean squared distance of a batch's gradient from that of all examples."""
    distance = gradients() - of_all()[:, None, None]
    return np.sqrt((distance**2).sum(-1).mean(-1))


def root() -> dict[str, Any]:
    """The gradients that are shown, and the noise of each batch size."""
    return {
        "sizes": SIZES.tolist(), "all": of_all().tolist(), "noise": noises().tolist(),
        "gradients": pack(gradients()[:, :, :SHOWN], 8),
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ claims


def at(rate: float) -> int:
    """The position of a learning rate."""
    return int(np.argmin(abs(np.log(RATES / rate))))


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    x, _ = examples()
    size = {int(b): i for i, b in enumerate(SIZES)}
    mean, needed = heights(paths()).mean(2), arrived()
    floor = mean[..., -LAST:].mean(-1)
    high = at(0.32)
    same = {b: mean[size[b], at(0.02 * b), SPENT // b] for b in (4, 8, 16)}
    noise = noises()
    return {
        "examples": len(x),
        "trainings": paths()[..., 0, 0].size,
        "near": NEAR,
        "steps_1": needed[size[1], high],
        "steps_256": needed[size[256], high],
        "examples_256": 256 * needed[size[256], high],
        "end_1": floor[size[1], high],
        "end_256": floor[size[256], high],
        "calm_1": floor[size[1], at(0.215)],
        "last": LAST,
        "spent": SPENT,
        "same_4": same[4], "same_8": same[8], "same_16": same[16],
        "noise_1": noise[0, 0],
        "noise_4": noise[0, size[4]],
        "noise_16": noise[0, size[16]],
        "noise_64": noise[0, size[64]],
        "rest_1": noise[1, 0],
    }  # fmt: skip
