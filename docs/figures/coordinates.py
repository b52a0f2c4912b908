"""Chapter "A step for each coordinate": what Adam keeps of a gradient, and a stretched bowl."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxopt_edu as jo
from figures.formulas import lines_of, shown
from jaxopt_edu.learn.notation.nodes import Add, Equation, Node, Num, Sym
from jaxopt_edu.values.names import hyperparameters

OPTIMIZERS = {"sgd": jo.sgd, "adagrad": jo.adagrad, "rmsprop": jo.rmsprop, "adam": jo.adam}
RULES: dict[str, Any] = {name: lines_of(name) for name in OPTIMIZERS}

WORDS = {  # names of code, and the letters of the chapter
    '<mtext data-field="decay">decay</mtext>': '<mi data-field="decay">&beta;</mi>',
}


def plain(lines: tuple[Equation, ...]) -> tuple[Equation, ...]:
    """The lines without what a beginner need not read: terms that are 0, and second names."""
    second = {"d": "u", "v^": "v"} if any(x.left.name == "d" for x in lines) else {}

    def read(x: Any) -> Any:
        if isinstance(x, tuple):
            return tuple(map(read, x))
        if isinstance(x, Sym):
            return dataclasses.replace(x, name=second.get(x.name, x.name))
        if isinstance(x, Add):
            kept = tuple(read(y) for y in x.terms if getattr(y, "name", "") != "eps_root")
            return dataclasses.replace(x, terms=kept) if len(kept) > 1 else kept[0]
        if not isinstance(x, Node):
            return x
        return dataclasses.replace(x, **{k: read(v) for k, v in vars(x).items()})

    told = [dataclasses.replace(x, left=read(x.left), right=read(x.right)) for x in lines]
    zero = {"initial_scale": Num("0")}  # of jo.rmsprop(rate)
    rights = [zero.get(getattr(x.right, "name", ""), x.right) for x in told]
    told = [dataclasses.replace(x, right=r) for x, r in zip(told, rights, strict=True)]
    return tuple(x for x in told if x.left != x.right)


def formulas_of(recipe: str, **settings: Any) -> dict[str, list[str]]:
    """What `shown` gives, in the letters of the chapter."""
    found = shown(plain(lines_of(recipe, **settings)))
    for code, letter in WORDS.items():
        found = {k: [x.replace(code, letter) for x in lines] for k, lines in found.items()}
    return found


# --------------------------------------------------------------------------- the anatomy of Adam

B1 = [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99]
B2 = [0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9998,
      0.9999]  # fmt: skip
EPS = [float(f"1e{k}") for k in range(-8, 1)]
SCALES = [float(f"1e{k}") for k in range(-4, 5)]  # by which a gradient is multiplied
TIMES, SPIKE, EVERY = 100, 30, 20  # steps; where the spike is; one step in EVERY has the rare one


def gradients() -> dict[str, np.ndarray]:
    """Four sequences of gradients of one coordinate."""
    t = np.arange(1, TIMES + 1)
    noise = np.random.default_rng(0).normal(size=TIMES)
    noisy = 0.3 + (noise - noise.mean()) / noise.std()
    return {
        "steady": np.ones(TIMES), "noisy": np.round(noisy, 3),
        "rare": np.where(t % EVERY == EVERY // 2, 1.0, 0.0),
        "spike": np.where(t == SPIKE, 50.0, 1.0),
    }  # fmt: skip


def anatomy() -> dict[str, Any]:
    """The gradients; the page runs Adam on them."""
    formulas = {on: formulas_of("adam", bias_correction=on == "on") for on in ("on", "off")}
    for told in formulas.values():  # the learning rate has no slider there
        blank = '<mn data-value="learning_rate"></mn>'
        told["filled"] = [line.replace(blank, "<mi>&eta;</mi>") for line in told["filled"]]
    return {
        "gradients": {name: g.tolist() for name, g in gradients().items()}, "formulas": formulas,
        "b1": B1, "b2": B2, "eps": EPS, "scales": SCALES, "spike": SPIKE, "every": EVERY,
    }  # fmt: skip


def lengths(kind: str, scale: float = 1.0, **settings: Any) -> np.ndarray:
    """Adam's updates at a learning rate of 1 for a sequence of gradients."""
    optimizer = jo.adam(1.0, **settings)

    def step(state: Any, g: Any) -> Any:
        u, state = optimizer.update(g, state, jnp.zeros(()))
        return state, u

    g = jnp.asarray(scale * gradients()[kind], jnp.float32)
    return np.asarray(jax.lax.scan(step, optimizer.init(jnp.zeros(())), g)[1])


# ------------------------------------------------------------------------------ a stretched bowl

RATES = np.geomspace(1e-3, 10, 33)
STRETCHES = np.geomspace(1, 1000, 10)
TURNS = np.arange(0, 31, 3)  # degrees
STEPS, START = 80, (4.0, 4.0)


def rates() -> dict[str, Any]:
    """Sliders and formulas; the page makes the paths itself."""
    numbers = {
        name: {k: float(x) for k, x in hyperparameters(make(0.1)).items() if k != "learning_rate"}
        for name, make in OPTIMIZERS.items()
    }
    return {
        "rates": RATES.tolist(), "stretches": STRETCHES.tolist(), "turns": TURNS.tolist(),
        "steps": STEPS, "start": START, "numbers": numbers,
        "formulas": {name: formulas_of(name) for name in OPTIMIZERS},
    }  # fmt: skip


def distances(learning_rate: Any, stretch: Any, turn: Any, name: Any) -> Any:
    """How far the path is from the minimum of the bowl, step by step, the start first."""
    optimizer, start = OPTIMIZERS[name](learning_rate), jnp.array(START)
    c, s = jnp.cos(jnp.radians(turn)), jnp.sin(jnp.radians(turn))

    def height(p: Any) -> Any:
        along, across = c * p[0] + s * p[1], c * p[1] - s * p[0]
        return (along**2 + stretch * across**2) / 2

    def step(carry: Any, _: Any) -> Any:
        p, state = carry
        u, state = optimizer.update(jax.grad(height)(p), state, p)
        p = jo.apply_updates(p, u)
        return (p, state), p

    path = jax.lax.scan(step, (start, optimizer.init(start)), length=STEPS)[1]
    return jnp.linalg.norm(jnp.concatenate([start[None], path]), axis=1)


@functools.cache
def ends() -> dict[str, np.ndarray]:
    """By optimizer: (rate, stretch, turn) the distance at the end over that at the start."""
    sliders = {
        "learning_rate": RATES, "stretch": STRETCHES, "turn": [0.0, 30.0], "name": list(OPTIMIZERS)
    }  # fmt: skip
    found = jo.learn.explore(distances, sliders).arrays
    left = np.where(np.isfinite(found), found, np.inf)[..., -1] / np.hypot(*START)
    return {name: left[..., k] for k, name in enumerate(OPTIMIZERS)}


# ------------------------------------------------------------------------------------------ claims


def at(rate: float) -> int:
    """The position of a learning rate."""
    return int(np.argmin(abs(np.log(RATES / rate))))


def claims() -> dict[str, float]:
    """The numbers of the chapter's prose."""
    left, k = ends(), int(np.argmin(abs(STRETCHES - 100)))
    straight, turned = 0, 1
    descent = left["sgd"][:, k, straight]
    plain, off = lengths("steady"), abs(lengths("steady", bias_correction=False))
    spike, rare = abs(lengths("spike")), lengths("rare")
    return {
        "limit": 2 / 100,
        "descent_left": 100 * descent.min() * np.sqrt(2),  # of x; y has arrived
        "adam_left": 100 * left["adam"][at(0.133), k, straight],
        "adam_turned": 100 * left["adam"][at(0.133), k, turned],
        "adam_short": 100 * left["adam"][0, k, straight],
        "steps": STEPS,
        "first": abs(plain[0]),
        "off_first": off[0],
        "off_longest": off.max(),
        "off_step": off.argmax() + 1,
        "careful": abs(lengths("noisy")).mean(),
        "careless": abs(lengths("noisy", b1=0.0)).mean(),
        "rare_each": -rare.sum() / (gradients()["rare"] > 0).sum(),
        "spike_times": gradients()["spike"].max(),
        "spike_length": spike[SPIKE - 1],
        "spike_last": spike[-1],
        "forgets_999": 1 / (1 - 0.999),
        "forgets_9": 1 / (1 - 0.9),
    }  # fmt: skip
