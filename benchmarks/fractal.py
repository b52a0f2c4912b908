"""How fast is the boundary of trainability drawn, one training a pixel?

A network y = w tanh(W x / 4) / 4 with 16 inputs and 16 units learns 16 random examples by gradient
descent on all of them, with one learning rate for W and another for w. Whether it learns at all
depends on the two rates in a fractal way (Sohl-Dickstein 2024, arXiv:2402.06184). Every pixel of
docs/pictures/fractal.png is a training of its own: blue where the loss ended below its start, the
darker the sooner; where it did not, the brighter the longer it took to pass a million times its
start.
"""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from _common import Arm, measure, say, slower, to_torch
from _report import arguments, publish, seconds

import jaxopt_edu as jo

WIDTH, EXAMPLES, SEED = 16, 16, 1
ESCAPED = 1e6  # a loss so many times its start does not come back
RECENT = 0.05  # weight of the last step in the running mean of the loss
VIEWS = {  # exponents of ten: of the input layer's rate, from and to, and of the output layer's
    "the whole boundary": (0.5, 4.0, 0.0, 1.6),
    "inside the rectangle": (2.4, 2.7, 0.5, 0.7),
}
ARMS = ("ours", "vmap", "torch")


def main() -> None:
    options = arguments(__doc__, ARMS)
    side, steps = (8, 20) if options.quick else (256, 400)
    timed = measure(arms(side, steps, 2 if options.quick else 8), options)
    notes = [
        f"{side} x {side} pixels, {steps} steps a training; a model-step is one step of one model.",
        "compile: how much longer the first call took than the median (for torch: warm-up).",
        *(f"{arm.name}: {arm.what}; {arm.units:,} trainings a call." for arm in timed),
        *agreement({arm.name: arm.last for arm in timed}),
    ]
    folder = options.out if options.quick else Path(__file__).parent.parent / "docs" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    draw(folder / "fractal.png", side, steps)
    results = {"side": side, "steps": steps, "rows": [arm.as_dict() for arm in timed]}
    publish(__doc__, options, {"MLP 16-16-1": lines(timed, steps)}, results, notes)


def lines(timed: list[Arm], steps: int) -> list:
    than_ours = slower(timed, "ours")
    return [
        {
            "arm": arm.name,
            "trainings/s": f"{arm.rate:,.0f}",
            "quartiles": arm.rates,
            "model-steps/s": f"{arm.rate * steps:,.0f}",
            "time / ours": than_ours[arm.name],
            "compile": seconds(arm.compiling),
        }
        for arm in timed
    ]


def agreement(last: dict[str, Any]) -> list[str]:
    """On how many pixels two arms say the same, which rounding decides near the boundary."""
    if not {"ours", "vmap"} <= set(last):
        return []
    ours = last["ours"].columns["validation_loss"] < 1
    share = np.mean(ours == (np.asarray(last["vmap"]) < 1))
    return [f"ours and vmap agree on {share:.2%} of the pixels whether the network learned."]


# ------------------------------------------------------------------------------- the experiment


@jo.pytree
class Examples(jo.Constant):
    """What the network learns: x (n, width), y (n,)."""

    x: Any
    y: Any


class State(NamedTuple):
    """The weights, the first loss; of the ratios of the losses to it the running mean and the sum,
    and for how long training has not escaped, a loss nearer to escaping counting less."""

    weights: dict
    optimizer: Any
    first: Any
    recent: Any
    total: Any
    held: Any


@jo.pytree
class Pixel(jo.Experiment):
    """One training; it stands still as soon as it has escaped."""

    optimizer: Any
    data: Examples

    def init(self, key):
        weights = initial(key)
        zero = jnp.zeros(())
        first = error(weights, self.data.x, self.data.y)
        return State(weights, self.optimizer.init(weights), first, zero + 1, zero, zero)

    def step(self, state, t, key):
        value, gradient = jax.value_and_grad(error)(state.weights, self.data.x, self.data.y)
        inside = value < ESCAPED * state.first
        ratio = jnp.where(inside, value / state.first, ESCAPED)
        updates, memory = self.optimizer.update(gradient, state.optimizer, state.weights)
        weights = jax.tree.map(lambda w, u: jnp.where(inside, w + u, w), state.weights, updates)
        left = jnp.clip(1 - jnp.log(ratio + 1e-30) / np.log(ESCAPED), 0, 1)
        recent = state.recent + RECENT * (ratio - state.recent)
        total, held = state.total + ratio, state.held + left
        return State(weights, memory, state.first, recent, total, held), jo.Step()

    def score(self, state, split):
        return {"loss": state.recent, "total": state.total, "held": state.held}


def initial(key: Any) -> dict:
    """Normal weights."""
    below, above = jax.random.split(key)
    return {
        "input": jax.random.normal(below, (WIDTH, WIDTH)),
        "output": jax.random.normal(above, (WIDTH,)),
    }


def error(weights: dict, x: Any, y: Any) -> Any:
    """The mean squared error of the network."""
    hidden = jnp.tanh(x @ weights["input"] / WIDTH**0.5)
    return jnp.mean((hidden @ weights["output"] / WIDTH**0.5 - y) ** 2)


def examples() -> Examples:
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal((EXAMPLES, WIDTH)).astype(np.float32)
    return Examples(x, rng.standard_normal(EXAMPLES).astype(np.float32))


def space(view: tuple[float, ...]) -> Pixel:
    low, high, left, right = (10.0**exponent for exponent in view)
    rates = {"input": jo.log_uniform(low, high), "output": jo.log_uniform(left, right)}
    return Pixel(jo.sgd(rates), examples())


# ---------------------------------------------------------------------------------------- arms


def arms(side: int, steps: int, few: int) -> list[Arm]:
    view = next(iter(VIEWS.values()))
    rates = jo.sample(space(view), side**2, sampler="grid").optimizer.learning_rate
    return [
        Arm("ours", "jo.sweep over a grid of both rates",
            lambda: functools.partial(sweep, view, side, steps), units=side**2),
        Arm("vmap", "one jitted vmap of a scan over all pixels, in plain JAX",
            lambda: functools.partial(plain, rates, examples(), steps), units=side**2),
        Arm("torch", "PyTorch, eager, one training after another",
            lambda: functools.partial(eager, rates, steps, few), ("torch",), units=few),
    ]  # fmt: skip


def sweep(view: tuple[float, ...], side: int, steps: int) -> jo.Study:
    return jo.sweep(
        space(view), side**2, steps=steps, sampler="grid", eval_every=steps, progress=False,
        seed=SEED,
    )  # fmt: skip


@functools.partial(jax.jit, static_argnames="steps")
def plain(rates: dict, data: Examples, steps: int) -> Any:
    """The running mean of the loss at the end of every training."""
    start = initial(jax.random.fold_in(jax.random.key(SEED), 0))  # that of the sweep
    first = error(start, data.x, data.y)

    def train(rates):
        def step(carry, _):
            weights, recent = carry
            value, gradient = jax.value_and_grad(error)(weights, data.x, data.y)
            inside = value < ESCAPED * first
            ratio = jnp.where(inside, value / first, ESCAPED)
            new = jax.tree.map(
                lambda w, g, rate: jnp.where(inside, w - rate * g, w), weights, gradient, rates
            )
            return (new, recent + RECENT * (ratio - recent)), None

        return jax.lax.scan(step, (start, jnp.ones(())), length=steps)[0][1]

    return jax.vmap(train)(rates)


def eager(rates: dict, steps: int, few: int) -> float:
    """Trains a few pixels, evenly spread over all; the last loss of the last one."""
    import torch

    data = jax.tree.map(to_torch, examples())
    pixels = np.linspace(0, len(rates["input"]) - 1, few, dtype=int)
    for i in pixels:
        torch.manual_seed(SEED)
        below = torch.randn(WIDTH, WIDTH, device=data.x.device, requires_grad=True)
        above = torch.randn(WIDTH, device=data.x.device, requires_grad=True)
        groups = [
            {"params": [w], "lr": float(rates[name][i])}
            for name, w in (("input", below), ("output", above))
        ]
        optimizer = torch.optim.SGD(groups, lr=1.0)
        for _ in range(steps):
            hidden = torch.tanh(data.x @ below / WIDTH**0.5)
            value = torch.mean((hidden @ above / WIDTH**0.5 - data.y) ** 2)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
    return value.item()


# -------------------------------------------------------------------------------- the picture


def draw(path: Path, side: int, steps: int) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    say(f"drawing {path}")
    figure = Figure(figsize=(12, 6.3), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(VIEWS))
    for panel, (title, view) in zip(panels, VIEWS.items(), strict=True):
        low, high, left, right = view
        panel.imshow(
            colours(sweep(view, side, steps), side), origin="lower", aspect="auto",
            extent=(left, right, low, high), interpolation="nearest",
        )  # fmt: skip
        panel.set(title=title, xlabel="log10 learning rate of the output layer")
    low, high, left, right = list(VIEWS.values())[1]
    panels[0].add_patch(rectangle(left, low, right - left, high - low))
    panels[0].set_ylabel("log10 learning rate of the input layer")
    figure.suptitle(
        f"Where a network learns: {len(VIEWS) * side**2:,} trainings of {steps} steps, one a pixel"
    )
    figure.savefig(path, dpi=110)


def rectangle(*where: float) -> Any:
    from matplotlib.patches import Rectangle

    left, low, width, height = where
    return Rectangle((left, low), width, height, fill=False, edgecolor="white", linewidth=1.5)


def colours(study: jo.Study, side: int) -> np.ndarray:
    """The pixels' colours by rank, so that every shade is used: (side, side, 4)."""
    from matplotlib import colormaps

    columns = {name: x.reshape(side, side) for name, x in study.columns.items() if len(x)}
    learned = columns["validation_loss"] < 1
    cold = colormaps["YlGnBu_r"](0.7 * ranks(columns["validation_total"], learned))
    warm = colormaps["inferno"](ranks(columns["validation_held"], ~learned))
    return np.where(learned[..., None], cold, warm)


def ranks(x: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The share of those that are smaller, in the places marked."""
    out = np.zeros(x.shape)
    _, place, count = np.unique(x[among], return_inverse=True, return_counts=True)
    out[among] = (np.cumsum(count) - count)[place] / max(count.sum() - 1, 1)
    return out


if __name__ == "__main__":
    main()
