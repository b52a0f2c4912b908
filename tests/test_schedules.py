"""Laws of the schedules: found by their names in `schedules.__all__`, each on its examples."""

import functools
import inspect
import math
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import tree_flatten_with_path, tree_leaves

from jaxopt_edu.optim import schedules
from jaxopt_edu.optim.optimizers import sgd
from jaxopt_edu.values.names import hyperparameters

pytestmark = pytest.mark.usefixtures("compiled_quickly")
SCALES = {7: 0.5, 2: 1.5, 12: 0.2}
WARMUP = dict(init_value=0.1, peak_value=1.3, warmup_steps=3)
CYCLE = WARMUP | dict(decay_steps=9)
DECAY = dict(transition_steps=4, decay_rate=0.6)

# Arguments that optax takes too; several per recipe where there are flags. Polynomials take 2^n
# steps: with others a compiled optax may find 1 - T (1/T) < 0, whose power is NaN.
EXAMPLES = {
    "constant_schedule": [dict(value=0.7)],
    "linear_schedule": [
        dict(init_value=1.5, end_value=0.2, transition_steps=11),
        dict(init_value=-0.5, end_value=2.0, transition_steps=6, transition_begin=4),
    ],
    "polynomial_schedule": [
        dict(init_value=1.5, end_value=0.2, power=2.5, transition_steps=16, transition_begin=3),
        dict(init_value=0.1, end_value=1.0, power=0.5, transition_steps=8),
    ],
    "cosine_decay_schedule": [
        dict(init_value=1.2, decay_steps=13),
        dict(init_value=1.2, decay_steps=13, alpha=0.1, exponent=1.7),
    ],
    "exponential_decay": [
        dict(init_value=1.5, transition_steps=4, decay_rate=0.6, transition_begin=3),
        dict(init_value=1.5, transition_steps=4, decay_rate=0.6, end_value=0.4),
        dict(init_value=0.5, transition_steps=5, decay_rate=1.4, end_value=1.1),
        dict(init_value=1.5, transition_steps=4, decay_rate=0.6, staircase=True),
    ],
    "piecewise_constant_schedule": [
        dict(init_value=1.5),
        dict(init_value=1.5, boundaries_and_scales=SCALES),
    ],
    "piecewise_interpolate_schedule": [
        dict(interpolate_type="linear", init_value=1.5),
        dict(interpolate_type="linear", init_value=1.5, boundaries_and_scales=SCALES),
        dict(interpolate_type="cosine", init_value=1.5, boundaries_and_scales={0: 2.0} | SCALES),
    ],
    "warmup_constant_schedule": [dict(init_value=0.1, peak_value=1.5, warmup_steps=7)],
    "warmup_cosine_decay_schedule": [
        CYCLE,
        CYCLE | dict(warmup_steps=0, end_value=0.2, exponent=1.3),
    ],
    "warmup_exponential_decay_schedule": [
        WARMUP | DECAY,
        WARMUP | DECAY | dict(transition_begin=2, end_value=0.4),
        WARMUP | DECAY | dict(transition_begin=2, staircase=True),
    ],
    "linear_onecycle_schedule": [
        dict(transition_steps=17, peak_value=1.5),
        dict(transition_steps=13, peak_value=1.5, pct_start=0.4, pct_final=0.7, div_factor=4.0),
    ],
    "cosine_onecycle_schedule": [
        dict(transition_steps=17, peak_value=1.5),
        dict(transition_steps=13, peak_value=1.5, pct_start=0.4, final_div_factor=3.0),
    ],
    "sgdr_schedule": [
        dict(cosine_kwargs=[CYCLE, CYCLE | dict(init_value=0.9, end_value=0.2, exponent=1.3)]),
        dict(cosine_kwargs=[CYCLE]),
    ],
}
STEPS = np.arange(24, dtype=np.int32)

RECIPES = [name for name in schedules.__all__ if name.islower()]
JOINED = "join_schedules"  # its arguments are schedules: `example` makes them for each library


def pieces(library):
    """Arguments of join_schedules."""
    parts = [
        library.linear_schedule(0.2, 1.5, 6),
        library.exponential_decay(0.9, 5, 0.7),
        library.cosine_decay_schedule(1.1, 7, 0.1),
    ]
    return dict(schedules=parts, boundaries=[5, 12])


def examples():
    for name in RECIPES:
        for i in range(len(EXAMPLES.get(name, [0]))):
            yield pytest.param(name, i, id=f"{name}-{i}")


every = pytest.mark.parametrize("name, i", list(examples()))


def arguments(name, i, library=schedules):
    return pieces(library) if name == JOINED else EXAMPLES[name][i]


def build(name, i, library=schedules):
    return getattr(library, name)(**arguments(name, i, library))


def generic(schedule):
    """The schedule with all its numbers moved a little, so that none lies on a step."""
    return jax.tree.map(lambda x: 1.0171 * float(x) + 0.0123, schedule)


def one_moved(row, moves):
    """(numbers, moves, numbers): the row with one of its numbers moved, for each and each move."""
    return row + np.asarray(moves)[:, None] * np.eye(len(row))[:, None]


# ------------------------------------------------- all examples at once, by few large programs

KEYS = [param.values for param in examples()]
ROWS = ("exact", "generic", "moved", "edges")
H = 1e-6  # of the central differences
GRID = np.linspace(0.7, 1.3, 129)


def rows_of_numbers(schedule):
    """What the laws ask, in the order of ROWS, and apart from it a grid of each number."""
    exact = np.array(tree_leaves(schedule), float)
    off, n = np.array(tree_leaves(generic(schedule))), np.eye(len(exact))
    edges = [[0 * exact, 0 * exact - 1], exact * (1 - n), exact * (1 - n) - n]
    moved = one_moved(off, [-H, H, 0.01]).reshape(-1, len(n))
    grid = (off * one_moved(np.ones(len(n)), GRID - 1)).reshape(-1, len(n))
    return [exact[None], off[None], moved, np.concatenate(edges)], grid


def laws(schedule, few, grid):
    """For rows of its numbers: values mapped and looped over the few, their slopes, the grid."""
    structure = jax.tree.structure(schedule)

    def eta(row, t):
        return structure.unflatten(list(row))(t)

    def mapped(f, rows):
        return jax.vmap(jax.vmap(f, (None, 0)), (0, None))(rows, STEPS)

    values = mapped(eta, jnp.concatenate([few, grid]))
    looped = jax.lax.map(lambda row: eta(row, STEPS), few)
    return values[: len(few)], looped, mapped(jax.grad(eta), few), values[len(few) :]


@functools.cache
def float64():
    """By key: {rows: (mapped values, looped values, slopes)}, and the values on the grid."""
    rows = {key: rows_of_numbers(build(*key)) for key in KEYS}

    @jax.jit
    def program(rows):
        return {key: laws(build(*key), jnp.concatenate(few), g) for key, (few, g) in rows.items()}

    with jax.enable_x64(True):
        results = jax.device_get(program(rows))
    found = {}
    for key, (*columns, grid) in results.items():
        ends = np.cumsum([len(few) for few in rows[key][0]])
        parts = zip(*(np.split(column, ends[:-1]) for column in columns), strict=True)
        found[key] = dict(zip(ROWS, parts, strict=True)) | {"grid": grid}
    return found


@functools.cache
def optax_values():
    """By key: optax's values in x64 from float64 and from int32 steps, and in float32."""
    theirs = [jax.vmap(build(*key, optax.schedules)) for key in KEYS]

    def program(t):
        return [schedule(t) for schedule in theirs]

    quick = jax.jit(program)
    with jax.enable_x64(True):
        columns = [quick(STEPS.astype(float)), quick(STEPS)]
    return dict(zip(KEYS, zip(*columns, quick(STEPS), strict=True), strict=True))


# --------------------------------------------------------------------- names, numbers, formulas


def test_every_schedule_of_optax_is_there():
    optax_names = [n for n in dir(optax.schedules) if not n.startswith("_") and n.islower()]
    public = {n for n in optax_names if not n.startswith("inject")}
    assert set(RECIPES) == public == {*EXAMPLES, JOINED}


@pytest.mark.parametrize("name", RECIPES)
def test_signature_is_that_of_optax(name):
    ours, theirs = (inspect.signature(getattr(m, name)) for m in (schedules, optax.schedules))
    assert [(p.name, p.default) for p in ours.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@every
def test_optax_gives_the_same_numbers(name, i):
    """From float64 steps; from int32 steps optax computes most schedules in float32."""
    _, (ours,), _ = float64()[name, i]["exact"]
    widest, mixed, _ = optax_values()[name, i]
    np.testing.assert_allclose(ours, widest, 1e-12, 1e-12)
    np.testing.assert_allclose(ours, mixed, 1e-6, 1e-6)


def np_polynomial(t, init_value, end_value, power, transition_steps, transition_begin=0):
    p = np.clip((t - transition_begin) / transition_steps, 0, 1)
    return end_value + (init_value - end_value) * (1 - p) ** power


def np_linear(t, init_value, end_value, transition_steps, transition_begin=0):
    return np_polynomial(t, init_value, end_value, 1, transition_steps, transition_begin)


def np_exponential(
    t,
    init_value,
    transition_steps,
    decay_rate,
    transition_begin=0,
    staircase=False,
    end_value=None,
):
    p = np.maximum(t - transition_begin, 0) / transition_steps
    eta = init_value * decay_rate ** (np.floor(p) if staircase else p)
    bound = np.maximum if decay_rate < 1 else np.minimum
    return eta if end_value is None else bound(eta, end_value)


def np_warmup_constant(t, init_value, peak_value, warmup_steps):
    return np.where(
        t < warmup_steps, init_value + (peak_value - init_value) * t / warmup_steps, peak_value
    )


def np_warmup_cosine(
    t, init_value, peak_value, warmup_steps, decay_steps, end_value=0.0, exponent=1.0
):
    p = np.clip((t - warmup_steps) / (decay_steps - warmup_steps), 0, 1)
    fall = end_value + (peak_value - end_value) * ((1 + np.cos(np.pi * p)) / 2) ** exponent
    rise = init_value + (peak_value - init_value) * t / max(warmup_steps, 1)
    return np.where(t < warmup_steps, rise, fall)


def np_warmup_exponential(t, init_value, peak_value, warmup_steps, *rest, **more):
    rise = np_warmup_constant(t, init_value, peak_value, warmup_steps)
    return np.where(
        t < warmup_steps, rise, np_exponential(t - warmup_steps, peak_value, *rest, **more)
    )


def np_sgdr(t, cosine_kwargs):
    start, eta = 0, np.zeros(t.shape)
    for kwargs in cosine_kwargs:
        eta = np.where(t < start, eta, np_warmup_cosine(t - start, **kwargs))
        start += kwargs["decay_steps"]
    return eta


def np_join(t, **_):
    parts = [
        np_linear(t, 0.2, 1.5, 6),
        np_exponential(t - 5, 0.9, 5, 0.7),
        1.1 * (0.9 * (1 + np.cos(np.pi * np.minimum((t - 12) / 7, 1))) / 2 + 0.1),
    ]
    return np.select([t < 5, t < 12], parts[:2], parts[2])


def np_through(t, way, boundaries, values):
    position = np.interp(t, boundaries, np.arange(len(boundaries)))
    k = np.minimum(position.astype(int), max(len(values) - 2, 0))
    p, v = position - k, np.array([*values, values[-1]])
    return (
        v[k + 1] + (v[k] - v[k + 1]) * {"linear": 1 - p, "cosine": (1 + np.cos(np.pi * p)) / 2}[way]
    )


def np_interpolate(t, interpolate_type, init_value, boundaries_and_scales=()):
    boundaries, scales = zip(
        (0, init_value), *sorted(dict(boundaries_and_scales).items()), strict=True
    )
    return np_through(t, interpolate_type, boundaries, np.cumprod(scales))


def np_linear_onecycle(
    t, transition_steps, peak_value, pct_start=0.3, pct_final=0.85, div_factor=25
):
    T, low = transition_steps, peak_value / div_factor
    boundaries = 0, int(pct_start * T), int(pct_final * T), T
    return np_through(t, "linear", boundaries, [low, peak_value, low, low / 1e4])


def np_cosine_onecycle(t, transition_steps, peak_value, pct_start=0.3, final_div_factor=1e4):
    T, low = transition_steps, peak_value / 25
    boundaries = 0, int(pct_start * T), T
    return np_through(t, "cosine", boundaries, [low, peak_value, low / final_div_factor])


FORMULAS = {
    "linear_schedule": np_linear,
    "polynomial_schedule": np_polynomial,
    "exponential_decay": np_exponential,
    "warmup_constant_schedule": np_warmup_constant,
    "warmup_cosine_decay_schedule": np_warmup_cosine,
    "warmup_exponential_decay_schedule": np_warmup_exponential,
    "sgdr_schedule": np_sgdr,
    "piecewise_interpolate_schedule": np_interpolate,
    "linear_onecycle_schedule": np_linear_onecycle,
    "cosine_onecycle_schedule": np_cosine_onecycle,
    "join_schedules": np_join,
}


@pytest.mark.parametrize("name, i", [key for key in KEYS if key[0] in FORMULAS])
def test_formula(name, i):
    """What optax computes in float32 is held to its formula in NumPy."""
    _, (ours,), _ = float64()[name, i]["exact"]
    want = FORMULAS[name](STEPS, **arguments(name, i))
    np.testing.assert_allclose(ours, want, 1e-12, 1e-12)


# ------------------------------------------------------------------------------ every number


@every
def test_vmap_over_every_number_is_the_loop(name, i):
    for rows in ("exact", "generic", "moved"):
        mapped, looped, _ = float64()[name, i][rows]
        np.testing.assert_allclose(mapped, looped, 1e-12, 1e-12)


@every
def test_recipe_inside_vmap(name, i):
    """Every argument that is a number may be mapped, and is then the batch in the value."""
    kwargs, recipe = arguments(name, i), getattr(schedules, name)
    for key in (k for k, v in kwargs.items() if type(v) in (int, float)):
        batch = jnp.asarray([kwargs[key], 0, -1])
        schedule = jax.vmap(lambda v, key=key: recipe(**kwargs | {key: v}), out_axes=0)(batch)
        assert getattr(schedule, key).tolist() == batch.tolist()


@every
def test_gradients_are_central_differences(name, i):
    _, _, (slopes,) = float64()[name, i]["generic"]
    _, moved, _ = float64()[name, i]["moved"]
    below, above, _ = np.moveaxis(moved.reshape(-1, 3, len(STEPS)), 1, 0)
    np.testing.assert_allclose(slopes, ((above - below) / (2 * H)).T, 1e-5, 1e-8)


@every
def test_values_and_gradients_are_finite_at_the_edges(name, i):
    """At steps on boundaries, and where any number, or all of them, is 0 or negative."""
    for rows in ("exact", "edges"):
        assert all(np.isfinite(x).all() for x in float64()[name, i][rows])


@pytest.mark.parametrize("name", RECIPES)
def test_smooth_says_where_a_schedule_is_continuous(name):
    """On a finer grid of one number the largest change shrinks, unless the schedule jumps."""
    jumping = {}
    for i in range(len(EXAMPLES.get(name, [0]))):
        schedule = build(name, i)
        if getattr(schedule, "staircase", False):
            continue
        paths = [path for path, _ in tree_flatten_with_path(schedule)[0]]
        curves = float64()[name, i]["grid"].reshape(len(paths), len(GRID), len(STEPS))
        for path, curve in zip(paths, curves, strict=True):
            fine, coarse = (np.abs(np.diff(curve[::k], axis=0)).max() for k in (1, 8))
            field = type(schedule).__dataclass_fields__[path[0].name]
            jumps = fine > 0.6 * coarse > 0
            jumping.setdefault((field.name, field.metadata.get("smooth", True)), []).append(jumps)
    assert all(any(jumps) != smooth for (_, smooth), jumps in jumping.items()), jumping


def test_float32_has_one_trace_for_all_values():
    """All examples are one value, and the argument of one program."""
    traces = []

    @jax.jit
    def program(all_schedules):
        traces.append(all_schedules)
        return [schedule(STEPS) for schedule in all_schedules]

    ours = [jax.tree.map(float, build(*key)) for key in KEYS]
    for key, got in zip(KEYS, program(ours), strict=True):
        _, _, want = optax_values()[key]
        assert got.dtype == jnp.float32
        assert np.abs(got - want).max() <= 2e-6 * np.abs(want).max(), key
    program(jax.tree.map(lambda x: 2 * x + 1, ours))
    assert len(traces) == 1


# ----------------------------------------------------------------------------------- as steps


def test_as_a_hyperparameter_in_a_scan():
    """The learning rate of step t, an int32 counter of the scan, is the schedule at t from 0."""

    @jax.jit
    def run(opts):
        def step(states, _):
            pairs = [opt.update(jnp.ones(()), s) for opt, s in zip(opts, states, strict=True)]
            return [state for _, state in pairs], [u for u, _ in pairs]

        states = [opt.init(jnp.ones(())) for opt in opts]
        return jax.lax.scan(step, states, length=len(STEPS))[1]

    for key, u in zip(KEYS, run([sgd(build(*key)) for key in KEYS]), strict=True):
        _, (want,), _ = float64()[key]["exact"]
        np.testing.assert_allclose(u, -want, 2e-6, 2e-6)


def test_steps_and_numbers_of_every_dtype():
    """They all count alike (no wrapping round), and are computed in the widest dtype."""
    halves = [jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), build(*key)) for key in KEYS]
    whole = [jax.tree.map(float, schedule) for schedule in halves]
    steps = [STEPS.astype(kind) for kind in (np.uint8, np.uint32, np.float32)]

    @jax.jit
    def program(halves, whole):
        got = [[schedule(t) for t in steps] for schedule in halves]
        return got, [schedule(STEPS) for schedule in whole]

    def one_step(schedule):
        return schedule(jnp.int32(5)), schedule(5)

    with jax.enable_x64(True):
        for got, want in zip(*program(halves, whole), strict=True):
            for eta in got:
                assert eta.dtype == jnp.float64
                np.testing.assert_allclose(eta, want, 1e-12, 1e-12)
    for schedule in halves:
        for eta in jax.eval_shape(one_step, schedule):
            assert eta.dtype == jnp.float32 and eta.shape == ()


# ---------------------------------------------------------------------------------- as values


@every
def test_value(name, i):
    schedule, again = build(name, i), build(name, i)
    assert schedule == again and hash(schedule) == hash(again)
    assert schedule != generic(schedule)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert eval(repr(schedule), vars(schedules)) == schedule
    assert all(type(x) in (int, float) for x in hyperparameters(schedule).values())


def test_names_of_numbers():
    s = schedules.piecewise_constant_schedule(1.0, {200: 0.1, 100: 0.5})
    assert hyperparameters(s) == {
        "init_value": 1.0,
        "boundaries_and_scales.100": 0.5,
        "boundaries_and_scales.200": 0.1,
    }
    names = hyperparameters(build("sgdr_schedule", 1))
    assert next(iter(names)) == "cosine_kwargs.0.decay_steps"
    assert "schedules.1.decay_rate" in hyperparameters(build("join_schedules", 0))


def test_a_given_dict_or_list_may_change_afterwards():
    scales, cycle, parts = {3: 0.5}, dict(CYCLE), [0.1, 0.2]
    made = [
        schedules.piecewise_constant_schedule(1.0, scales),
        schedules.sgdr_schedule([cycle]),
        schedules.join_schedules(parts, [4]),
    ]
    before = list(map(repr, made))
    scales[3], cycle["peak_value"], parts[0] = 7.0, 7.0, 7.0
    assert list(map(repr, made)) == before


def test_a_number_among_joined_schedules_is_constant():
    joined = schedules.join_schedules([0.5, schedules.linear_schedule(1.0, 0.0, 4)], [2])
    assert jax.jit(joined)(jnp.arange(5)).tolist() == [0.5, 0.5, 1.0, 0.75, 0.5]


def test_boundaries_count_exactly_in_every_dtype():
    for boundary in (4, 4.0, jnp.bfloat16(4), jnp.float16(4)):
        joined = schedules.join_schedules([0.5, lambda t: t], [boundary])
        assert float(joined(jnp.int32(4003))) == 3999
    assert float(schedules.join_schedules([0.5, 0.25], [300])(jnp.uint8(5))) == 0.5


# ------------------------------------------------------------------- the edges, and bad input


def test_no_transition_in_an_array_holds_the_first_value_as_in_optax():
    for name in ("linear_schedule", "exponential_decay", "polynomial_schedule"):
        kwargs = EXAMPLES[name][0] | dict(transition_steps=0)
        ours = getattr(schedules, name)(**kwargs | dict(transition_steps=jnp.array(0)))
        theirs = getattr(optax, name)(**kwargs)
        assert jax.jit(lambda s: s(STEPS))(ours).tolist() == [theirs(t) for t in STEPS]


def test_power_zero_as_in_optax():
    kwargs = dict(init_value=1.0, end_value=0.25, power=0, transition_steps=4)
    ours, theirs = schedules.polynomial_schedule(**kwargs), optax.polynomial_schedule(**kwargs)
    assert jax.jit(ours)(STEPS).tolist() == jax.jit(theirs)(STEPS).tolist()


BAD = {
    "linear_schedule": [dict(transition_steps=0), dict(transition_begin=-1)],
    "polynomial_schedule": [dict(transition_steps=-3), dict(power=-1.0)],
    "exponential_decay": [dict(transition_steps=0), dict(decay_rate=0.0), dict(decay_rate=-1)],
    "cosine_decay_schedule": [dict(decay_steps=0), dict(exponent=-0.1)],
    "piecewise_constant_schedule": [
        dict(boundaries_and_scales={3: -0.1}),
        dict(boundaries_and_scales={3: math.nan}),
        dict(boundaries_and_scales={2.5: 0.1}),
        dict(boundaries_and_scales={-1: 0.1}),
        dict(boundaries_and_scales=[3, 0.1]),
    ],
    "piecewise_interpolate_schedule": [
        dict(interpolate_type="cosin"),
        dict(boundaries_and_scales={3: -0.1}),
    ],
    "warmup_constant_schedule": [dict(warmup_steps=0)],
    "warmup_cosine_decay_schedule": [dict(warmup_steps=9), dict(warmup_steps=-1)],
    "warmup_exponential_decay_schedule": [dict(decay_rate=0), dict(warmup_steps=-1)],
    "linear_onecycle_schedule": [
        dict(transition_steps=0),
        dict(pct_start=30),
        dict(pct_start=0.9),
        dict(div_factor=0),
    ],
    "cosine_onecycle_schedule": [dict(transition_steps=0), dict(final_div_factor=0.0)],
    "sgdr_schedule": [
        dict(cosine_kwargs=[]),
        dict(cosine_kwargs=[CYCLE | dict(steps=1)]),
    ],
    "join_schedules": [dict(boundaries=[1]), dict(boundaries=[12, 5])],
}


@pytest.mark.parametrize("name, bad", [(name, bad) for name in BAD for bad in BAD[name]])
def test_bad_numbers_are_named(name, bad):
    (key,) = bad
    with pytest.raises((ValueError, TypeError), match=key):
        getattr(schedules, name)(**arguments(name, 0) | bad)


def test_the_nearest_name_is_proposed():
    with pytest.raises(ValueError, match="did you mean 'cosine'"):
        schedules.piecewise_interpolate_schedule("cosin", 1.0)
