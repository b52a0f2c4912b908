"""The formula of every docstring is run and held to the code: the documentation cannot drift."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.learn.notation import docstrings, evaluation
from jaxopt_edu.learn.notation.evaluation import Scope
from jaxopt_edu.learn.problems import named

TOLERANCE = 1e-12
# What routes and computes nothing itself, with the law that tests it instead.
ROUTING = {
    "masked": "tests/test_wrappers.py", "partition": "tests/test_wrappers.py",
    "freeze": "tests/test_wrappers.py", "selective_transform": "tests/test_wrappers.py",
    "apply_if_finite": "tests/test_wrappers.py", "with_numbers": "tests/test_losses.py",
    "class_weighted": "tests/test_losses.py", "learning_rate_of": "tests/test_proximal.py",
    "step_lengths": "tests/test_proximal.py", "weights_only": "tests/test_regularizers.py",
    "from_optax": "tests/test_interop.py",
}  # fmt: skip
# A loop until a condition, or pieces one behind the other: *Algorithm* lines, which are not run.
ALGORITHMS = ("multi_steps", "join_schedules", "sgdr_schedule")


def public(namespace):
    """The names of functions and recipes of a chapter, in order."""
    found = [(name, getattr(namespace, name)) for name in namespace.__all__]
    return {name: x for name, x in found if not isinstance(x, type)}


CHAPTERS = {
    "optimizers": public(jo.optimizers), "transforms": public(jo.transforms),
    "schedules": public(jo.schedules), "losses": public(jo.losses),
    "regularizers": {n: x for n, x in public(jo.regularizers).items()} | {
        "L1": jo.L1, "L2": jo.L2, "ElasticNet": jo.ElasticNet,
    },
}  # fmt: skip


def formula(thing):
    return docstrings.formula_of(thing)


def kind_of(name):
    return docstrings.recipes_by_name()[name]


def settings_of(found):
    """Every combination of the fields that variants name, those without one at its default."""
    choices = {}
    for variant in found.variants:
        for field, value in variant.wanted:
            choices.setdefault(field, set()).add(value)
    return choices


def close(found, wanted, said):
    found, wanted = np.asarray(found, float), np.asarray(wanted, float)
    np.testing.assert_allclose(
        found, wanted, TOLERANCE, 1e-300 + TOLERANCE * abs(wanted).max(), err_msg=said
    )


def drawn(field, rng):
    """A value of a number's field, inside of its range."""
    low, high = field.metadata["low"], field.metadata["high"]
    if np.isfinite(high):
        return float(rng.uniform(0.3, 0.9) * (high - low) + low)
    return float(10 ** rng.uniform(-2, -0.5) + max(low, 0))


def cases_of(name, **fixed):
    """(settings, numbers) for each combination of what changes the formula."""
    kind, rng = kind_of(name), np.random.default_rng(len(name))
    found = formula(kind)
    fields = {f.name: f for f in dataclasses.fields(kind)}
    choices = {}
    for field, values in settings_of(found).items():
        number = "low" in fields[field].metadata
        if values == {None}:
            choices[field] = [None, drawn(fields[field], rng)] if number else [False, True]
        else:
            flag = values <= {"True", "False", None}
            default = fields[field].default
            choices[field] = [True, False] if flag else [default, *values]
    for combination in itertools.product(*choices.values()):
        settings = dict(zip(choices, combination, strict=True))
        if settings.get("momentum", 0) is None and settings.get("nesterov"):
            continue  # no momentum, nothing to look ahead with
        numbers = {
            f.name: drawn(f, rng)
            for f in fields.values()
            if "low" in f.metadata and f.name not in settings and f.name not in fixed
        }
        yield settings, numbers | fixed


# ------------------------------------------------------------------------------------ optimizers


RUN = {name for name in CHAPTERS["optimizers"]}


def steps_of_ours(optimizer, gradients, params):
    state, out = optimizer.init(params[0]), []
    for g, p in zip(gradients, params, strict=True):
        u, state = optimizer.update(g, state, p)
        out.append(np.asarray(u))
    return out


def steps_of_formula(lines, given, gradients, params, ask):
    memory, out = evaluation.start_of(lines, given, gradients[0]), []
    for t, (g, p) in enumerate(zip(gradients, params, strict=True), 1):
        now = {"t": float(t), "g_t": g, "g": g, "p_t": p, "p": p} | given
        with np.errstate(all="ignore"):
            u, memory = evaluation.step(lines, memory, now, ask)
        out.append(np.broadcast_to(u, g.shape))
    return out


@pytest.mark.parametrize("name", CHAPTERS["optimizers"])
def test_the_formula_of_an_optimizer_is_its_code(name):
    rng = np.random.default_rng(0)
    fixed = {"threshold": 4.5} if name == "radam" else {}
    with jax.enable_x64(True):
        for settings, numbers in cases_of(name, **fixed):
            gradients = list(rng.normal(size=(6, 5)) * 10 ** rng.uniform(-1, 1, (6, 5)))
            params = list(rng.normal(size=(6, 5)))
            optimizer = CHAPTERS["optimizers"][name](**settings, **numbers)
            lines = formula(kind_of(name)).where(**dict(_fields(optimizer), **settings))
            ours = steps_of_ours(optimizer, gradients, params)
            theirs = steps_of_formula(
                lines, named(numbers | _given(settings)), gradients, params, "u_t"
            )
            for t, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
                close(b, a, f"{name} {settings} step {t}")


def _fields(value):
    return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}


def _given(settings):
    return {k: v for k, v in settings.items() if isinstance(v, float)}


# ------------------------------------------------------------------------------------ transforms

SPECIAL = ("add_noise", "scale_by_schedule", "centralize", *ALGORITHMS)
PLAIN = [n for n in CHAPTERS["transforms"] if n not in (*ROUTING, *SPECIAL)]


@pytest.mark.parametrize("name", PLAIN)
def test_the_formula_of_a_transform_is_its_code(name):
    rng = np.random.default_rng(1)
    with jax.enable_x64(True):
        for settings, numbers in cases_of(name):
            transform = CHAPTERS["transforms"][name](**settings, **numbers)
            lines = formula(kind_of(name)).where(**dict(_fields(transform), **settings))
            gradients, params = list(rng.normal(size=(4, 5))), list(rng.normal(size=(4, 5)))
            if name == "zero_nans":
                gradients[1][2] = np.nan
            ask = next(line.key for line in lines if line.left.name == "u")
            ours = steps_of_ours(transform, gradients, params)
            theirs = steps_of_formula(
                lines, named(numbers | _given(settings)), gradients, params, ask
            )
            for t, (a, b) in enumerate(zip(ours, theirs, strict=True), 1):
                close(b, a, f"{name} {settings} step {t}")


def test_the_formulas_of_transforms_that_take_something_else():
    rng = np.random.default_rng(2)
    with jax.enable_x64(True):
        g = rng.normal(size=(4, 6))
        close(_alone("centralize", {"g": g}, "u"), jo.centralize().update(g, None)[0], "centralize")
        halving = jo.exponential_decay(2.0, 3, 0.5)
        schedule = jo.scale_by_schedule(halving)
        lines = formula(kind_of("scale_by_schedule")).where()
        gradients = list(rng.normal(size=(4, 5)))
        ours = steps_of_ours(schedule, gradients, gradients)
        given = {"step_size_fn": lambda t: float(halving(t))}
        theirs = steps_of_formula(lines, given, gradients, gradients, "u_t")
        for a, b in zip(ours, theirs, strict=True):
            close(b, a, "scale_by_schedule")
        noise = jo.add_noise(0.1, 0.55, 7)
        drawn = noise.update(np.zeros(5), noise.init(np.zeros(5)))[0] / 0.1**0.5
        gave = noise.update(gradients[0], noise.init(np.zeros(5)))[0]
        given = {"g_t": gradients[0], "n_t": np.asarray(drawn), "t": 1.0, "eta": 0.1, "gamma": 0.55}
        close(_alone("add_noise", given, "u_t"), gave, "add_noise")


def _alone(name, given, ask, **settings):
    return Scope(formula(kind_of(name)).where(**settings), given)[ask]


# ------------------------------------------------------------------------------------- schedules

PIECES = ("piecewise_constant_schedule", "piecewise_interpolate_schedule")
ONE_BY_ONE = [n for n in CHAPTERS["schedules"] if n not in (*ALGORITHMS, *PIECES)]
NUMBERS = {
    "transition_steps": 20.0, "decay_steps": 30.0, "warmup_steps": 7.0, "transition_begin": 2.0,
    "pct_start": 0.3, "pct_final": 0.85, "decay_rate": 0.7, "exponent": 1.5, "power": 2.0,
    "div_factor": 25.0, "final_div_factor": 100.0,
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_the_formula_of_a_schedule_is_its_code(name):
    kind = kind_of(name)
    fields = {f.name for f in dataclasses.fields(kind)}
    with jax.enable_x64(True):
        for settings, numbers in cases_of(name):
            numbers |= {k: v for k, v in NUMBERS.items() if k in numbers}
            for rate in (0.7, 1.3) if "decay_rate" in fields else (0.7,):
                values = numbers | ({"decay_rate": rate} if "decay_rate" in fields else {})
                schedule = CHAPTERS["schedules"][name](**settings, **values)
                lines = formula(kind).where(**settings)
                for t in range(40):
                    given = values | _given(settings) | {"t": float(t)}
                    with np.errstate(all="ignore"):
                        found = Scope(lines, given)["eta_t"]
                    close(found, schedule(jnp.asarray(float(t))), f"{name} {settings} t = {t}")


@pytest.mark.parametrize("name", PIECES)
def test_the_formula_of_a_schedule_of_pieces_is_its_code(name):
    ends, scales = np.array([4.0, 9.0, 15.0]), np.array([0.5, 3.0, 0.25])
    pieces = dict(zip(map(int, ends), scales, strict=True))
    kinds = ["linear", "cosine"] if name == PIECES[1] else [None]
    given = {"init_value": 0.7, "b": ends, "s": scales, "a": np.array([0.0, *ends[:-1]]), "n": 2}
    with jax.enable_x64(True):
        for kind in kinds:
            more = {} if kind is None else {"interpolate_type": kind}
            arguments = (kind, 0.7, pieces) if kind else (0.7, pieces)
            schedule = CHAPTERS["schedules"][name](*arguments)
            lines = formula(kind_of(name)).where(**more)
            for t in range(20):
                close(
                    Scope(lines, given | {"t": float(t)})["eta_t"],
                    schedule(t),
                    f"{name} {kind} {t}",
                )


# ---------------------------------------------------------------------------------------- losses

ELEMENTWISE = ("hinge_loss", "huber_loss", "l2_loss", "log_cosh", "squared_error",
               "sigmoid_binary_cross_entropy", "sigmoid_focal_loss")  # fmt: skip
BY_CLASS = ("softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels",
            "softmax_focal_loss_with_integer_labels", "multiclass_hinge_loss", "kl_divergence",
            "kl_divergence_with_log_targets", "smooth_labels", "weighted_mean")  # fmt: skip


def test_every_loss_is_run():
    assert {*ELEMENTWISE, *BY_CLASS} == {n for n in CHAPTERS["losses"] if n not in ROUTING}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_formula_of_an_elementwise_loss_is_its_code(name):
    rng, loss = np.random.default_rng(3), CHAPTERS["losses"][name]
    x, y = rng.normal(size=8), rng.uniform(size=8)
    cases = [{}]
    if name == "huber_loss":
        cases = [{"delta": 0.5}]
    if name == "sigmoid_focal_loss":
        cases = [{"gamma": 2.5}, {"gamma": 1.5, "alpha": 0.3}]
    with jax.enable_x64(True):
        for numbers in cases:
            lines = formula(loss).where(**numbers)
            for a, b in zip(x, y, strict=True):
                close(Scope(lines, numbers | {"x": a, "y": b})["l"], loss(a, b, **numbers), name)


@pytest.mark.parametrize("name", BY_CLASS)
def test_the_formula_of_a_loss_over_classes_is_its_code(name):
    rng, loss = np.random.default_rng(4), CHAPTERS["losses"][name]
    with jax.enable_x64(True):
        for _ in range(5):
            x, p = rng.normal(size=6), rng.uniform(0.1, 1, 6)
            y, w = int(rng.integers(6)), rng.uniform(size=6)
            p /= p.sum()
            q = np.exp(x) / np.exp(x).sum()
            given, arguments, ask = {
                "softmax_cross_entropy": ({"x": x, "y": p}, (x, p), "l"),
                "softmax_cross_entropy_with_integer_labels": ({"x": x, "y": y}, (x, y), "l"),
                "softmax_focal_loss_with_integer_labels": (
                    {"x": x, "y": y, "gamma": 1.5}, (x, y), "l",
                ),
                "multiclass_hinge_loss": ({"x": x, "y": y}, (x, y), "l"),
                "kl_divergence": ({"p": p, "q": q}, (np.log(q), p), "l"),
                "kl_divergence_with_log_targets": ({"p": p, "q": q}, (np.log(q), np.log(p)), "l"),
                "smooth_labels": ({"y": p, "alpha": 0.2, "classes": 6.0}, (p, 0.2), "p"),
                "weighted_mean": ({"l": x, "w": w}, (x, w), "m"),
            }[name]  # fmt: skip
            more = {"gamma": 1.5} if "gamma" in given else {}
            found = np.squeeze(Scope(formula(loss).where(), given)[ask])
            close(found, loss(*arguments, **more), name)


def test_the_formula_of_a_loss_with_weights_of_classes_is_its_code():
    x, y, w = np.array([0.3, -1.2, 0.7]), 2, (0.5, 1.0, 3.0)
    inner = jo.losses.softmax_cross_entropy_with_integer_labels
    with jax.enable_x64(True):
        weighted = jo.losses.class_weighted(inner, w)
        given = {"x": x, "y": y, "w": np.array(w), "loss": lambda x, y: float(inner(x, y))}
        found = Scope(formula(type(weighted)).where(), given)["l"]
        close(found, weighted(x[None], np.array([y]))[0], "class_weighted")


# ---------------------------------------------------------------------------------- regularizers


@pytest.mark.parametrize("name", ["L1", "L2", "ElasticNet"])
def test_the_formulas_of_a_penalty_are_its_code(name):
    rng, kind = np.random.default_rng(5), getattr(jo, name)
    numbers = {"weight": 0.4} | ({"l1_ratio": 0.3} if name == "ElasticNet" else {})
    penalty, lines = kind(**numbers), formula(kind).where()
    with jax.enable_x64(True):
        for s in (0.1, 2.0):
            w = rng.normal(size=7)
            scope = Scope(lines, numbers | {"s": s, "w": w})
            close(np.squeeze(scope.called("r", [w])), penalty({"w": w}), f"{name} r")
            close(scope.called("prox", [w]), penalty.prox({"w": w}, s)["w"], f"{name} prox")


def test_the_formulas_of_steps_by_a_penalty_are_their_code():
    rng, r = np.random.default_rng(6), jo.L1(0.4)
    with jax.enable_x64(True):
        p, u = rng.normal(size=5), rng.normal(size=5)
        given = {"p_t": p, "u_t": u, "eta_t": 0.3, "D_t": 0.3}
        slope = {"dr": lambda p: np.asarray(jax.grad(r)({"w": p})["w"])}
        wanted = jo.decoupled(r).after({"w": p + u}, {"w": p}, 0.3)["w"]
        lines = formula(kind_of("decoupled")).where()
        close(Scope(lines, given | slope)["p_{t+1}"], wanted, "decoupled")
        moved = {"prox": lambda p, d: np.asarray(r.prox({"w": p}, d)["w"])}
        wanted = jo.proximal(r).after({"w": p + u}, {"w": p}, 0.3)["w"]
        lines = formula(kind_of("proximal")).where()
        close(Scope(lines, given | moved)["p_{t+1}"], wanted, "proximal")


# ------------------------------------------------------------------------------------- all of it


def test_every_public_formula_is_run_or_listed(record_property):
    run, left = [], []
    for chapter in CHAPTERS.values():
        for name, thing in chapter.items():
            (run if formula(thing) is not None else left).append(name)
    assert sorted(left) == sorted(
        n for n in (*ROUTING, *ALGORITHMS) if any(n in c for c in CHAPTERS.values())
    )
    assert len(ALGORITHMS) <= 10
    equations = sum(
        len(found.equations) + sum(len(v.equations) for v in found.variants)
        for chapter in CHAPTERS.values() for thing in chapter.values()
        if (found := formula(thing)) is not None
    )  # fmt: skip
    record_property("formulas", len(run))
    print(f"{len(run)} formulas of {equations} equations are run, {len(left)} names are listed")


def test_a_docstring_that_cannot_be_read_says_where():
    def rule():
        """A rule.

        Formula: u_t = -eta_t g_t +
        """

    with pytest.raises(docstrings.NotRead, match="rule: .*its end"):
        formula(rule)
