"""Chapter "Weights that shrink": softmax regression with penalties, and proximal operators."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from jaxopt_edu.learn.notation.docstrings import formula_of
from jaxopt_edu.learn.notation.markup import mathml
from jaxopt_edu.learn.notation.nodes import Equation, Node, Over
from jaxopt_edu.learn.packing import pack

PENALTIES = {"L1": jo.L1, "L2": jo.L2, "ElasticNet": jo.ElasticNet}
RATIOS = {"L1": 1.0, "ElasticNet": 0.5, "L2": 0.0}  # ElasticNet is all three
AMOUNTS = np.geomspace(1e-4, 1, 81)
SPLITS = 5  # of the digits into parts
RATE, STEPS = 0.5, 300
LEVELS = 120  # of a weight in the page, on either side of 0

WAYS = ("adam", "sgd", "prox")
FEW = AMOUNTS[::4]  # for the three ways
RANKS = 5  # of the sorted weights every so many are shown


def lines_of(kind: str) -> tuple[Equation, ...]:
    formula = formula_of(PENALTIES[kind])
    assert formula is not None
    return formula.where()


def _line(kind: str, name: str) -> Equation:
    return next(line for line in lines_of(kind) if line.left.name == name)


def for_one(x: Any) -> Any:
    """A node for one weight: what is summed over all of them, without the sum."""
    if isinstance(x, tuple):
        return tuple(map(for_one, x))
    if not isinstance(x, Node):
        return x
    if isinstance(x, Over):
        return for_one(x.x)
    return dataclasses.replace(
        x, **{f.name: for_one(getattr(x, f.name)) for f in dataclasses.fields(x)}
    )


def _for_one(kind: str, name: str) -> Equation:
    line = _line(kind, name)
    return dataclasses.replace(line, right=for_one(line.right))


def set_in_letters(line: Equation) -> str:
    """The line as MathML, with the letter of the chapter for what code calls `weight`."""
    letter = '<mi data-field="weight">&lambda;</mi>'
    return mathml(line).replace('<mtext data-field="weight">weight</mtext>', letter)


RULES: dict[str, Any] = {f"{k} {n}": _for_one(k, n) for k in PENALTIES for n in ("r", "prox")}


def prox() -> dict[str, Any]:
    """The formulas; the page computes the operators by them."""
    return {
        "places": np.round(np.linspace(-3, 3, 61), 6).tolist(),
        "amounts": np.round(np.linspace(0, 2, 41), 6).tolist(),
        "ratio": RATIOS["ElasticNet"],
        "formulas": {kind: [set_in_letters(x) for x in lines_of(kind)] for kind in PENALTIES},
    }


# --------------------------------------------------------------------------------------- templates


@functools.cache
def parts(seed: int = 0) -> Any:
    return jo.data.load("digits", seed=seed)


def experiment(optimizer: Any, regularizer: Any) -> jo.Training:
    """Softmax regression on the digits, on all training digits at each step."""
    return jo.Training(
        model=jo.models.Linear(64, 10), data=parts(), optimizer=optimizer, regularizer=regularizer,
        loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    )  # fmt: skip


@functools.cache
def trainings() -> dict[str, np.ndarray]:
    """w (split, amount, kind, digit, pixel), and the digits read right (split, amount, kind)."""

    def look(e: Any, state: Any) -> dict[str, Any]:
        right = {s: e.score(state, s)["accuracy"] for s in ("train", "validation")}
        return {"w": state.params["w"]} | right

    sliders = {
        "data": [parts(seed) for seed in range(SPLITS)],
        "weight": AMOUNTS,
        "l1_ratio": list(RATIOS.values()),
    }
    e = experiment(jo.sgd(RATE), jo.proximal(jo.ElasticNet(0.0, 0.0)))
    return jo.learn.explore(e, sliders, steps=STEPS, look=look).arrays


def pixels() -> np.ndarray:
    """Which pixels differ among the training digits; the weights of the others never move."""
    return np.ptp(np.asarray(parts().train.x), axis=0) > 0


def _codes(w: np.ndarray) -> np.ndarray:
    """Whole numbers on either side of 0, which is for weights that are 0."""
    return np.sign(w) * np.maximum(1, np.round(abs(w) / abs(w).max() * LEVELS))


def templates() -> dict[str, Any]:
    """The weights and how many digits are read, at each amount, by kind of penalty."""
    found = trainings()
    w = found["w"][0]
    counts = {}
    for s in ("train", "validation"):
        rows = [len(getattr(parts(seed), s).y) for seed in range(SPLITS)]
        counts[s] = np.round(found[s] * np.reshape(rows, (-1, 1, 1)))
        assert len(set(rows)) == 1
    return {
        "kinds": list(RATIOS), "amounts": AMOUNTS.tolist(), "levels": LEVELS,
        "w": pack(_codes(w), 8, (0,)), "weights": int(10 * pixels().sum()),
        "zeros": pack(zeros()[0], 16, (0,)),
        "rows": {s: len(getattr(parts(), s).y) for s in counts},
        "right": {s: pack(x, 16, (1,)) for s, x in counts.items()},
    }  # fmt: skip


def zeros() -> np.ndarray:
    """How many weights of pixels that differ are 0: (split, amount, kind)."""
    return (trainings()["w"][..., pixels()] == 0).sum((-1, -2))


# -------------------------------------------------------------------------------------------- ways


@functools.cache
def three_ways() -> dict[str, np.ndarray]:
    """By way of L1: |w| of all weights, sorted (amount, weight)."""

    def look(e: Any, state: Any) -> Any:
        return state.params["w"]

    how = {
        "adam": experiment(jo.adam(0.01), jo.L1(0.0)),
        "sgd": experiment(jo.sgd(RATE), jo.L1(0.0)),
        "prox": experiment(jo.sgd(RATE), jo.proximal(jo.L1(0.0))),
    }
    found = {}
    for way, e in how.items():
        w = jo.learn.explore(e, {"regularizer.weight": FEW}, steps=STEPS, look=look).arrays
        found[way] = np.sort(abs(w[..., pixels()].reshape(len(FEW), -1)))[:, ::-1]
    return found


def ways() -> dict[str, Any]:
    """The sizes of the weights in order, and how many are 0, by way."""
    sizes = {way: np.where(w > 0, w, np.nan) for way, w in three_ways().items()}
    with np.errstate(divide="ignore"):
        told = {way: np.log10(np.maximum(x, 1e-6))[:, ::RANKS] for way, x in sizes.items()}
    return {
        "ways": list(WAYS), "amounts": FEW.tolist(), "weights": int(10 * pixels().sum()),
        "every": RANKS, "sizes": {way: pack(x, 8, (1,)) for way, x in told.items()},
        "zeros": {way: (w == 0).sum(1).tolist() for way, w in three_ways().items()},
        "tiny": {way: (w < 1e-3).sum(1).tolist() for way, w in three_ways().items()},
    }  # fmt: skip


# ------------------------------------------------------------------------------------------ claims


def nothing_from() -> float:
    """From which amount on all weights are 0 under L1: the largest slope of the loss at 0."""
    e = experiment(jo.sgd(RATE), None)
    shares = jnp.bincount(e.data.train.y, length=10) / len(e.data.train.y)
    at = {"w": jnp.zeros((10, 64)), "b": jnp.log(shares)}

    def loss(params: Any) -> Any:
        return e.loss(e.model.apply(params, e.data.train.x), e.data.train.y).mean()

    return float(abs(jax.grad(loss)(at)["w"]).max())


@functools.cache
def needles() -> np.ndarray:
    """Validation accuracy with a thousand columns of noise: (draw, amount, kind)."""
    found = []
    for draw in range(SPLITS):
        cancer, rng = jo.data.load("breast_cancer", seed=draw), np.random.default_rng(draw)
        wide = [
            (np.hstack([part.x, rng.normal(size=(len(part.y), 1000))]), part.y)
            for part in (cancer.train, cancer.validation)
        ]
        e = jo.Training(
            model=jo.models.Linear(1030), optimizer=jo.sgd(0.05),
            data=jo.data.from_arrays(*wide[0], validation=wide[1], prepare=None),
            regularizer=jo.proximal(jo.ElasticNet(0.0, 0.0)),
            loss=jo.losses.sigmoid_binary_cross_entropy,
        )  # fmt: skip
        sliders = {"weight": [1e-4, 0.03], "l1_ratio": [1.0, 0.0]}
        found.append(jo.learn.explore(e, sliders, steps=500).arrays["accuracy"])
    return np.array(found)


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    found, none, hay = trainings(), zeros(), needles()
    valid = 100 * found["validation"].mean(0)  # (amount, kind)
    kinds = list(RATIOS)
    one, two = kinds.index("L1"), kinds.index("L2")
    at = {x: int(np.argmin(abs(np.log(AMOUNTS / x)))) for x in (1e-4, 1e-3, 3.16e-3, 0.1)}
    mild = at[3.16e-3]
    few = int(np.argmin(abs(np.log(FEW / 0.01))))
    counts = {way: (w == 0).sum(1)[few] for way, w in three_ways().items()}
    return {
        "trainings": found["train"].size,
        "weights": 10 * pixels().sum(),
        "amounts": (none[:, :, two] == 0).all(0).sum(),  # at which no weight is 0
        "blank": (~pixels()).sum(),
        "train_weak": 100 * found["train"].mean(0)[at[1e-4], one],
        "valid_weak": valid[at[1e-4], one],
        "zeros_mild": none[0, mild, one],
        "valid_mild": valid[mild, one],
        "low_mild": 100 * found["validation"][:, mild, one].min(),
        "high_mild": 100 * found["validation"][:, mild, one].max(),
        "low_weak": 100 * found["validation"][:, at[1e-4], one].min(),
        "high_weak": 100 * found["validation"][:, at[1e-4], one].max(),
        "valid_strong": valid[at[0.1], one],
        "valid_strong_L2": valid[at[0.1], two],
        "zeros_strong": none[0, at[0.1], one],
        "all_gone": AMOUNTS[none[0, :, one] == 10 * pixels().sum()].min(),
        "nothing_from": nothing_from(),
        "way_adam": counts["adam"], "way_sgd": counts["sgd"], "way_prox": counts["prox"],
        "needles_weak": 100 * hay[:, 0, 0].mean(),
        "needles_L1": 100 * hay[:, 1, 0].mean(),
        "needles_L2": 100 * hay[:, 1, 1].mean(),
        "needles_least": 100 * (hay[:, 1, 0] - hay[:, 0, 0]).min(),
        "tiny_adam": (three_ways()["adam"] < 1e-3).sum(1)[few],
    }  # fmt: skip
