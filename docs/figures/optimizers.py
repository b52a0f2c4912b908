"""Chapter "Which optimizer?": each at every learning rate, and what a budget of trials buys."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import jaxopt_edu as jo
from figures.formulas import lines_of, shown
from jaxopt_edu.learn.packing import pack

RATES = np.geomspace(1e-4, 10, 101)
STEPS, SEEDS = 200, 3
CLOSE = 0.02  # two points of accuracy
TICKS = (50, 80, 90, 95, 97)
NAMES = (
    "sgd", "momentum", "sign_sgd", "signum", "lion", "adagrad", "rmsprop", "adadelta", "adam",
    "nadam", "adamw", "nadamw", "adamax", "adamaxw", "amsgrad", "adabelief", "yogi", "radam",
)  # fmt: skip
BLANK = re.compile(r'<mn data-value="(\w+)"></mn>')
RHO = {"rho": "<msub><mi>&#961;</mi><mi>t</mi></msub>", "rho_inf": "<mi>&#961;</mi>"}


def optimizer(name: str) -> Any:
    """An optimizer of the library with its defaults; momentum is sgd with a momentum of 0.9."""
    if name == "momentum":
        return jo.sgd(0.1, momentum=0.9)
    return getattr(jo, name)(0.1)


def race() -> dict[str, Any]:
    """Digits read at each rate with each seed, by optimizer, and the formulas."""
    formulas, numbers = {}, {}
    for name in NAMES:
        settings = {"momentum": 0.9} if name == "momentum" else {}
        told = jo.hyperparameters(optimizer(name))
        numbers[name] = {k: v for k, v in told.items() if k != "learning_rate"}
        formula = shown(lines_of("sgd" if name == "momentum" else name, **settings))
        formulas[name] = formula | {"filled": filled(formula["filled"], told)}
    counts = np.where(np.isnan(right()), np.nan, np.round(right() * rows()))
    return {
        "rates": RATES.tolist(), "names": list(NAMES), "rows": rows(), "close": CLOSE + 1e-9,
        "right": pack(counts, 16, (1,)), "ticks": [[1 - a / 100, f"{a}%"] for a in TICKS],
        "formulas": formulas, "numbers": numbers,
    }  # fmt: skip


def filled(lines: Sequence[str], fields: Mapping[str, Any]) -> list[str]:
    """The lines with blanks for the fields only: rho of radam is none."""
    told = [BLANK.sub(lambda x: x[0] if x[1] in fields else RHO[x[1]], line) for line in lines]
    return [line for line in told if BLANK.search(line)]


@functools.cache
def rows() -> int:
    return len(jo.data.load("digits", seed=0).validation.y)


@functools.cache
def right() -> np.ndarray:
    """The share of digits that is read: (optimizer, rate, seed), NaN if the training diverged."""
    data = jo.data.load("digits", seed=0)

    def explored(name: str) -> np.ndarray:
        e = jo.Training(
            model=jo.models.MLP((64, 32, 10)), data=data, optimizer=optimizer(name), batch_size=32,
            loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        )  # fmt: skip
        sliders = {"learning_rate": RATES.tolist()}
        found = jo.learn.explore(e, sliders, steps=STEPS, seeds=SEEDS).arrays
        return np.where(np.isfinite(found["loss"]), found["accuracy"], np.nan)

    return np.stack([explored(name) for name in NAMES])


def chances(n: int) -> np.ndarray:
    """(k - 1, i - 1): the chance that the i-th smallest of n is the best of k drawn from them."""
    found = np.zeros((n, n))
    for k in range(1, n + 1):
        chance = k / n
        for i in range(n, k - 1, -1):
            found[k - 1, i - 1] = chance
            chance *= (i - k) / max(1, i - 1)
    return found


# ------------------------------------------------------------------------------------------ claims


def best_of() -> dict[str, np.ndarray]:
    """By optimizer: the accuracy expected of the best of k = 1, ..., 101 random rates."""
    scores = np.nan_to_num(right()).mean(-1)
    return {name: chances(len(RATES)) @ np.sort(x) for name, x in zip(NAMES, scores, strict=True)}


def place(name: str, k: int) -> int:
    """The place of an optimizer, 1 the best, when each has k tries."""
    scores = {who: x[k - 1] for who, x in best_of().items()}
    return 1 + sum(x > scores[name] for x in scores.values())


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    scores = np.nan_to_num(right()).mean(-1)
    tops = scores.max(-1)
    near = (scores >= tops[:, None] - CLOSE - 1e-9).sum(0)
    best = best_of()
    seeds = right()[np.arange(len(NAMES)), scores.argmax(-1)]
    order = sorted(tops)
    return {
        "trainings": right().size,
        "rates": len(RATES),
        "optimizers": len(NAMES),
        "most_near": near.max(),
        "lowest_top": 100 * order[0],
        "highest_top": 100 * order[-1],
        "within_a_point": sum(x >= order[-1] - 0.01 for x in order),
        "seeds": 100 * np.mean(np.ptp(seeds, axis=-1)),
        "lion_first": max(3, place("lion", 1)),  # it is among the first three
        "lion_place_20": place("lion", 20),
        "adagrad_place_1": place("adagrad", 1),
        "sgd_1": 100 * best["sgd"][0],
        "adam_1": 100 * best["adam"][0],
        "sgd_20": 100 * best["sgd"][19],
        "as_adam_4": 1 + np.argmax(best["sgd"] >= best["adam"][3]),
        "adam_4": 100 * best["adam"][3],
        "adam_20": 100 * best["adam"][19],
    }  # fmt: skip
