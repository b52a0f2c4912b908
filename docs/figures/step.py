"""Chapter "How big a step?": paths over two landscapes, and networks that read digits."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from figures import line
from figures.formulas import lines_of, shown
from jaxopt_edu.learn.notation.reading import equation
from jaxopt_edu.learn.packing import pack

RATES = np.geomspace(1e-4, 1, 101)
BETAS = np.array(
    [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99]
)
STEPS = 120
NEAR = 1e-3  # above the minimum: arrived
LANDS = ("ill_conditioned", "rosenbrock")
RULES: dict[str, Any] = {
    "momentum": lines_of("sgd", momentum=0.9), "adam": lines_of("adam"),
    **{land: equation(jo.functions.FUNCTIONS[land].formula) for land in LANDS},
}  # fmt: skip

SLOPE_RATES = np.round(10 ** (np.arange(-40, 15) / 20), 4)  # of the loss over one weight

NET_RATES = np.geomspace(1e-4, 10, 61)
NET_STEPS, EVERY = 300, 10
MUCH, SEEDS = 0.99, 5  # of the momentum that is compared with none at a rate of 0.1
DIGITS = 24  # of the test part, shown with what a network says


def slope() -> dict[str, Any]:
    """The loss of a line over its weight, its intercept held: a parabola a w^2 + b w + c."""
    x, y = line.points()
    y = y - line.lowest("squared")[1]
    parabola = [np.mean(x * x), -2 * np.mean(x * y), np.mean(y * y)]
    a, b, c = (float(v) for v in parabola)
    return {"parabola": [a, b, c], "best": -b / (2 * a), "rates": SLOPE_RATES.tolist(),
            "places": np.round(np.linspace(-2, 8, 101), 6).tolist(), "steps": 20,
            "formula": shown(lines_of("sgd"))}  # fmt: skip


def paths() -> dict[str, Any]:
    """Landscapes and formulas; the page makes the paths itself."""
    lands = {}
    for name in LANDS:
        f = jo.functions.FUNCTIONS[name]
        window = [[f.low[k], f.high[k]] for k in (0, 1)]
        lands[name] = {"start": f.start, "window": window, "minimum": f.minima[0]}
    formulas = {who: shown(RULES[who]) for who in ("momentum", "adam")}
    return {
        "rates": RATES.tolist(), "betas": BETAS.tolist(), "steps": STEPS, "near": NEAR,
        "lands": lands, "formulas": formulas,
    }  # fmt: skip


def nets() -> dict[str, Any]:
    """Accuracies, losses and answers of a network at each rate and momentum, by optimizer."""
    digits = jo.data.load("digits", seed=0)
    found = trainings()
    pictures = _raw_pictures()
    return {
        "rates": NET_RATES.tolist(), "betas": BETAS.tolist(), "every": EVERY, "steps": NET_STEPS,
        "rows": len(digits.validation.y), "labels": np.asarray(digits.test.y[:DIGITS]).tolist(),
        "pictures": pack(pictures, 8),
        "nets": {who: _packed(x, len(digits.validation.y)) for who, x in found.items()},
    }  # fmt: skip


def _packed(found: Mapping[str, np.ndarray], rows: int) -> dict[str, Any]:
    alive = np.isfinite(found["loss"])
    counts = np.where(alive, np.round(found["accuracy"] * rows), np.nan)[..., -1]
    losses = np.log10(np.where(alive, np.clip(found["loss"], 1e-2, 1e1), np.nan))
    says = np.where(alive[..., -1, None], found["says"][..., -1, :], np.nan)
    return {"right": pack(counts), "loss": pack(losses, 8, (2, 0)), "says": pack(says, 8, (0,))}


def _raw_pictures() -> np.ndarray:
    """The test digits as they are printed: 64 grey values from 0 to 16."""
    return np.asarray(jo.data.load("digits", seed=0, prepare=None).test.x[:DIGITS])


def network(optimizer: Any) -> jo.Training:
    return jo.Training(
        model=jo.models.MLP((64, 32, 10)), data=jo.data.load("digits", seed=0), batch_size=32,
        loss=jo.losses.softmax_cross_entropy_with_integer_labels, optimizer=optimizer,
    )  # fmt: skip


@functools.cache
def trainings() -> dict[str, dict[str, np.ndarray]]:
    """By optimizer: accuracy, loss (rate, beta, look) and answers (rate, beta, look, digit)."""
    digits = jo.data.load("digits", seed=0)
    shown_digits = digits.test.x[:DIGITS]

    def look(e: Any, state: Any) -> dict[str, Any]:
        logits = e.model.apply(state.params, shown_digits)
        scores = e.score(state, "validation")
        return {"accuracy": scores["accuracy"], "loss": scores["loss"], "says": logits.argmax(-1)}

    found = {}
    for who, optimizer, field in (
        ("momentum", jo.sgd(0.1, momentum=0.0), "momentum"),
        ("adam", jo.adam(0.1), "b1"),
    ):
        e, sliders = network(optimizer), {"learning_rate": NET_RATES, field: BETAS}
        found[who] = jo.learn.explore(e, sliders, steps=NET_STEPS, every=EVERY, look=look).arrays
    return found


# ------------------------------------------------------------------------------------------ claims


def descent(learning_rate: Any, momentum: Any) -> Any:
    """The heights of a path over the long bowl, from the start on."""
    f = jo.functions.ill_conditioned

    def step(carry: Any, _: Any) -> Any:
        x, state = carry
        u, state = optimizer.update(jax.grad(f)(x), state, x)
        x = jo.apply_updates(x, u)
        return (x, state), f(x)

    optimizer = jo.sgd(learning_rate, momentum=momentum)
    start = jnp.array(f.start)
    heights = jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS)[1]
    return jnp.concatenate([f(start)[None], heights])


@functools.cache
def at_much_momentum() -> np.ndarray:
    """The accuracy with and without much momentum at a usual rate: (momentum, seed)."""
    e, sliders = network(jo.sgd(0.1, momentum=0.0)), {"momentum": [0.0, MUCH]}
    found = jo.learn.explore(e, sliders, steps=NET_STEPS, seeds=SEEDS).arrays
    return found["accuracy"]


def arrived(heights: np.ndarray) -> np.ndarray:
    """From which step on a path stays near the minimum; infinity where it does not arrive."""
    far = ~(heights <= NEAR)
    last = np.where(far.any(-1), STEPS + 1 - np.argmax(far[..., ::-1], -1), 0)
    return np.where(far[..., -1], np.inf, last)


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    sliders = {"learning_rate": RATES, "momentum": BETAS}
    heights = jo.learn.explore(descent, sliders).arrays
    ends = np.where(np.isfinite(heights[..., -1]), heights[..., -1], np.inf)
    lower = ends < heights[..., 0]
    steps = arrived(heights)
    accuracy = {who: x["accuracy"][..., -1] for who, x in trainings().items()}
    alive = {who: np.isfinite(x["loss"][..., -1]) for who, x in trainings().items()}
    best = {who: 100 * np.nanmax(np.where(alive[who], a, np.nan)) for who, a in accuracy.items()}
    still, fast = 100 * at_much_momentum().mean(-1)
    a, _, _ = slope()["parabola"]
    return {
        "intercept": line.lowest("squared")[1],
        "best_weight": slope()["best"],
        "slope_bound": 1 / a,
        "runs": lower.size,
        "largest_stable": RATES[lower[:, 0]].max(),
        "bound": 2 / 100,
        "bound_07": 2 * (1 + 0.7) / 100,
        "largest_stable_07": RATES[lower[:, list(BETAS).index(0.7)]].max(),
        "fastest_steps": steps.min(),
        "gd_steps": np.log(10 / np.sqrt(2 * NEAR)) / -np.log(1 - RATES[lower[:, 0]].max()),
        "trainings": accuracy["momentum"].size,
        "best_momentum": best["momentum"],
        "best_adam": best["adam"],
        "still": still,
        "fast": fast,
        "seeds": SEEDS,
        "much": MUCH,
        "usual": 0.1,
        "longer": 1 / (1 - MUCH),
    }  # fmt: skip
