"""Chapter "Search": a landscape of finished trainings; where samplers and halving look in it."""

import functools
import itertools
from importlib.metadata import version
from typing import Any

import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.learn.kept import Kept
from jaxopt_edu.learn.packing import pack
from jaxopt_edu.search.samplers import as_sampler

RATES = np.geomspace(1e-4, 10, 48)
WEIGHTS = np.geomspace(1e-5, 10, 48)
STEPS, EVERY = 320, 4
MOST, DRAWS = 256, 16  # trials at most; how often each sampler is started afresh
ETA = 4
FIRSTS = (1, 2, 3, 4, 8, 12, 16, 20, 24, 32, 40, 48, 64, 80)
SHUFFLES = 200  # of halving
BEGUN = (
    *range(1, 17), 20, 25, 30, 36, 42, 49, 56, 64, 72, 81, 90, 100, 110, 121, 132, 144, 156, 169,
    182, 196, 210, 225, 240, 256,
)  # fmt: skip
PERCENTILES = (10, 50, 90)
SAMPLERS = ("random", "sobol", "tpe")


def trials() -> dict[str, Any]:
    """The losses of all trainings, the trials of each sampler, and what they and halving find."""
    looks = sorted({r for first in FIRSTS for r in rungs(first)})
    early = np.stack([losses(r).ravel() for r in looks])
    costs = [[work(n, first) for first in FIRSTS] for n in BEGUN]
    return {
        "rates": RATES.tolist(), "weights": WEIGHTS.tolist(), "steps": STEPS, "eta": ETA,
        "window": {"x": window(RATES), "y": window(WEIGHTS)},
        "firsts": FIRSTS, "looks": looks, "begun": BEGUN, "lowest": float(losses(STEPS).min()),
        "loss": pack(logarithm(losses(STEPS).ravel()), 16, (0,)),
        "early": pack(logarithm(early), 8, (1,)),
        "cells": {name: pack(cells(name)) for name in SAMPLERS},
        "grids": [levels(m).tolist() for m in range(17)],
        "found": {name: found(name).round(4).tolist() for name in ("grid", *SAMPLERS)},
        "halved": pack(logarithm(halved()), 8, (0, 1)),
        "work": [[round(x, 1) for x in row] for row in costs],
        "equal": [[round(at_random(x), 4) for x in row] for row in costs],
    }  # fmt: skip


def window(axis: np.ndarray) -> list[float]:
    """The ends of an axis whose cells have the values in their middle."""
    half = np.sqrt(axis[1] / axis[0])
    return [axis[0] / half, axis[-1] * half]


def logarithm(x: np.ndarray) -> np.ndarray:
    """To the base of ten; a training that has diverged, or is as bad, counts as a loss of ten."""
    return np.log10(np.minimum(x, 10.0))


# ------------------------------------------------------------------------------------- the table


def experiment() -> jo.Training:
    return jo.Training(
        model=jo.models.MLP((64, 32, 10)), data=jo.data.load("digits", seed=0), batch_size=32,
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=jo.adam(0.01), regularizer=jo.L2(1e-4),
    )  # fmt: skip


@functools.cache
def _explored(steps: int, every: int) -> np.ndarray:
    sliders = {"learning_rate": RATES.tolist(), "regularizer.weight": WEIGHTS.tolist()}
    found = jo.learn.explore(experiment(), sliders, steps=steps, every=every).arrays["loss"]
    return np.where(np.isfinite(found), found, np.inf)


def losses(step: int) -> np.ndarray:
    """The validation loss at a step: (rate, weight), infinity where it has diverged."""
    if step < EVERY:
        return _explored(EVERY, 1)[..., step - 1]
    return _explored(STEPS, EVERY)[..., step // EVERY - 1]


# ----------------------------------------------------------------------------------- the samplers


@functools.cache
def cells(sampler: str) -> np.ndarray:
    """The trials of each draw, as places in the table: (draw, trial); kept, for TPE is slow."""
    of = {"sampler": sampler, "draws": DRAWS, "most": MOST, "ends": losses(STEPS)}
    kept = Kept.of(True, of | {"optuna": version("optuna"), "code": _tried})
    cells = kept.read()
    if cells is None:
        cells = _tried(sampler)
        kept.write(cells)
    return cells


def _tried(sampler: str) -> np.ndarray:
    rate, weight = (jo.log_uniform(axis[0], axis[-1]) for axis in (RATES, WEIGHTS))
    space = jo.replace(experiment(), learning_rate=rate, **{"regularizer.weight": weight})
    groups = list(jo.space.groups(space))
    how = jo.optuna("tpe", batch=8) if sampler == "tpe" else as_sampler(sampler)
    ends, draws = losses(STEPS).ravel(), []
    for seed in range(DRAWS):
        asking = how.start(groups, MOST, seed, "min")
        tried: list[int] = []
        while len(tried) < MOST:
            asked = asking.ask(min(asking.batch, MOST - len(tried)))
            places = {name: nearest(name, x) for (name, _), x in asked.items()}
            now = places["optimizer.learning_rate"] * len(WEIGHTS) + places["regularizer.weight"]
            asking.tell(np.where(np.isfinite(ends[now]), ends[now], np.nan))
            tried += now.tolist()
        draws.append(tried)
    return np.array(draws)


def nearest(name: str, x: np.ndarray) -> np.ndarray:
    """The places on an axis of the table that are nearest to numbers of this name."""
    axis = np.log(RATES if name == "optimizer.learning_rate" else WEIGHTS)
    return np.abs(np.log(x)[:, None] - axis).argmin(-1)


def levels(m: int) -> np.ndarray:
    """The places on an axis of the table that a grid with m values of each number takes."""
    return np.round((np.arange(m) + 0.5) / max(1, m) * (len(RATES) - 1)).astype(int)


def grid(n: int) -> np.ndarray:
    """The trials of the largest grid of at most n, as places in the table."""
    m = levels(int(np.sqrt(n)))
    return (m[:, None] * len(WEIGHTS) + m).ravel()


def found(sampler: str) -> np.ndarray:
    """Percentiles over draws of the best of n trials: (n in BEGUN, percentile)."""
    if sampler == "random":
        return np.array([[at_random(n, q) for q in PERCENTILES] for n in BEGUN])
    ends = losses(STEPS).ravel()
    each = [ends[cells(sampler)[:, :n] if sampler != "grid" else grid(n)[None]] for n in BEGUN]
    return np.stack([np.percentile(x.min(-1), PERCENTILES, method="nearest") for x in each])


def at_random(trials: float, percentile: float = 50) -> float:
    """A percentile of the best of so many random trials; a number of them may be broken."""
    ordered = np.sort(losses(STEPS).ravel())
    share = 1 - (1 - percentile / 100) ** (1 / trials)
    return float(ordered[int(share * len(ordered))])


# -------------------------------------------------------------------------------------- halving


def rungs(first: int) -> list[int]:
    """The steps at which trials are compared: first, first eta, ..."""
    return list(jo.halving(eta=ETA, first=first).stops(STEPS))


def halve(trials: np.ndarray, first: int) -> np.ndarray:
    """The loss in the end of the best that is left, for each row of trials."""
    n = trials.shape[-1]
    for i, step in enumerate(rungs(first), 1):
        order = losses(step).ravel()[trials].argsort(-1, kind="stable")
        trials = np.take_along_axis(trials, order[:, : max(1, n // ETA**i)], -1)
    return losses(STEPS).ravel()[trials].min(-1)


def work(n: int, first: int) -> float:
    """What halving of n trials costs, in whole trainings."""
    stages = jo.halving(eta=ETA, first=first).expected(n, STEPS)
    return sum(trials * steps for trials, steps in stages) / STEPS


@functools.cache
def halved() -> np.ndarray:
    """Percentiles over shuffles of what halving finds: (trials, first rung, percentile)."""
    rng = np.random.default_rng(0)
    size = losses(STEPS).size
    shuffles = np.stack([rng.permutation(size)[:MOST] for _ in range(SHUFFLES)])
    found = np.zeros((len(BEGUN), len(FIRSTS), len(PERCENTILES)))
    for (i, n), (j, first) in itertools.product(enumerate(BEGUN), enumerate(FIRSTS)):
        found[i, j] = np.percentile(halve(shuffles[:, :n], first), PERCENTILES, method="nearest")
    return found


# ------------------------------------------------------------------------------------------ claims


def best(sampler: str, n: int) -> float:
    """The median over draws of the best of n trials."""
    return found(sampler)[BEGUN.index(n), 1]


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    ends = losses(STEPS).ravel()
    top = ends.size // 20
    fine = set(np.argsort(ends)[:top].tolist())
    kept = {
        f"kept_{step}": 100 * len(fine & set(np.argsort(losses(step).ravel())[:top].tolist())) / top
        for step in (4, 16, 40, 80)
    }
    halving = {
        f"halving_{n}_{first}": halved()[BEGUN.index(n), FIRSTS.index(first), 1]
        for n, first in ((64, 20), (256, 4), (256, 1), (256, 16))
    }
    return kept | halving | {
        "trainings": ends.size,
        "lowest": ends.min(),
        "side": len(RATES),
        "steps": STEPS,
        "most": MOST,
        "grid_16": ends[grid(16)].min(),
        "grid_25": ends[grid(25)].min(),
        "random_16": best("random", 16),
        "random_64": best("random", 64),
        "tpe_16": best("tpe", 16),
        "tpe_49": best("tpe", 49),
        "work_64_20": work(64, 20),
        "work_256_4": work(256, 4),
        "equal_256_4": at_random(work(256, 4)),
    }  # fmt: skip
