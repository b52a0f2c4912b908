"""optax's optimizers that look at the objective, told it by what they ask for."""

import functools
import inspect
from types import FunctionType

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_breast_cancer, load_digits
from test_branches import predicates
from test_interop import factories
from transform_cases import close

import jaxopt_edu as jo
from jaxopt_edu.optim.extra_args import needs, wants
from jaxopt_edu.optim.interop import from_optax, inward
from jaxopt_edu.optim.interop.signatures import Arguments
from jaxopt_edu.optim.transform import told

pytestmark = [
    pytest.mark.usefixtures("compiled_quickly"),
    pytest.mark.filterwarnings("ignore:Specifying a key:UserWarning"),
    pytest.mark.filterwarnings("ignore:.seed. is deprecated:DeprecationWarning"),
]
ROWS, STEPS = 8, 24
RATES = np.array([0.03, 0.1])


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


@functools.cache
def examples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(32, 3))
    return x, (x @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=32) > 0).astype(float)


def objective(params, rows=slice(None)):
    """The logistic loss of some rows, and a penalty."""
    x, y = (jnp.asarray(a[rows], params["b"].dtype) for a in examples())
    margin = (2 * y - 1) * (x @ params["w"] + params["b"])
    return jnp.mean(jax.nn.softplus(-margin)) + 0.01 * jnp.sum(params["w"] ** 2)


def batch_objective(t):
    """The objective of a step, on eight rows."""
    x, y = (jnp.asarray(a, float) for a in examples())
    x, y = (jax.lax.dynamic_slice_in_dim(a, t % 4 * ROWS, ROWS) for a in (x, y))

    def f(params):
        margin = (2 * y - 1) * (x @ params["w"] + params["b"])
        return jnp.mean(jax.nn.softplus(-margin)) + 0.01 * jnp.sum(params["w"] ** 2)

    return f


def start(dtype=float):
    return {"w": jnp.zeros(3, dtype), "b": jnp.zeros((), dtype)}


def train(optimizer, theirs=None, f_of=batch_objective, steps=STEPS, p=None):
    """The params to read at, told what the optimizer asks for, or what `theirs` makes of it all."""

    def step(carry, t):
        p, state = carry
        f = f_of(t)
        value, grad = jax.value_and_grad(f)(p)
        known = {"value": value, "grad": grad, "value_fn": f, "t": t}
        extra = told(optimizer, **known) if theirs is None else theirs(**known)
        updates, state = optimizer.update(grad, state, p, **extra)
        return (jo.apply_updates(p, updates), state), None

    p = start() if p is None else p
    (p, state), _ = jax.lax.scan(step, (p, optimizer.init(p)), jnp.arange(steps))
    return jo.eval_params(optimizer, state, p), p


def sgd_until_plateau(learning_rate, factor=0.5):
    return optax.chain(
        optax.sgd(learning_rate),
        optax.contrib.reduce_on_plateau(factor=factor, patience=2, accumulation_size=4),
    )


def sam(learning_rate, opaque: bool = False):
    inner = optax.sgd(10 * learning_rate), optax.sgd(0.05)
    return optax.contrib.sam(*inner, opaque_mode=opaque)


def opaque_sam(learning_rate):
    return sam(learning_rate, True)


def prodigy(learning_rate):
    return optax.contrib.prodigy(learning_rate, estim_lr0=1.0)


def lbfgs(scale):
    return optax.chain(optax.scale(scale), optax.lbfgs(memory_size=4))


# for each: a function of one number, what it wants and needs, and what optax's update is told
EIGHT = {
    "lbfgs": (lbfgs, ("value", "grad", "value_fn"), True, ("value", "grad", "value_fn")),
    "sophia": (optax.contrib.sophia, ("value_fn",), True, ("obj_fn",)),
    "sam": (sam, ("value_fn",), False, ()),
    "opaque sam": (opaque_sam, ("value_fn",), True, ("grad_fn",)),
    "schedule_free_adamw": (optax.contrib.schedule_free_adamw, (), False, ()),
    "polyak_sgd": (lambda scale: optax.polyak_sgd(scaling=scale), ("value",), True, ("value",)),
    "momo": (optax.contrib.momo, ("value",), True, ("value",)),
    "prodigy": (prodigy, (), False, ()),
    "sgd, reduce_on_plateau": (sgd_until_plateau, ("value",), True, ("value",)),
}
eight = pytest.mark.parametrize("name", EIGHT)


@eight
def test_they_are_found_to_want_what_they_want(name):
    make, wanted, needed, _ = EIGHT[name]
    optimizer = from_optax(make, 0.1)
    assert wants(optimizer) == wanted and needs(optimizer) == (wanted if needed else ())


@eight
def test_they_train_alone_and_in_lanes_as_in_a_loop_of_optaxs_own(name, x64):
    make, _, _, names = EIGHT[name]

    def theirs(**known):
        f = known["value_fn"]
        known |= {"obj_fn": f, "grad_fn": jax.grad(lambda p, i: f(p))}
        return {name: known[name] for name in names}

    @jax.jit
    def all_ways(rates):
        lanes = jax.vmap(lambda rate: train(from_optax(make, rate)))(rates)
        return lanes, jax.lax.map(lambda rate: train(make(rate), theirs)[1], rates)

    (read, ours), by_hand = all_ways(RATES)
    close(ours, by_hand, 1e-9)
    for i in range(2):
        assert objective(jax.tree.map(lambda x, i=i: x[i], read)) < 0.9 * objective(start())


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
@eight
def test_they_keep_dtypes_and_call_the_function_whose_gradient_they_are_given(name, dtype):
    seen = set()

    def f_of(t):
        def f(params):
            seen.update(x.dtype for x in jax.tree.leaves(params))
            return objective(params).astype(jnp.float32)

        return f

    optimizer = from_optax(EIGHT[name][0], 0.1)
    new = jax.eval_shape(lambda p: train(optimizer, None, f_of, 2, p), start(dtype))
    assert {x.dtype for x in jax.tree.leaves(new)} == seen == {jnp.dtype(dtype)}


# ----------------------------------------------------------------------- every factory of optax

GIVEN = {
    "learning_rate": 0.05, "optimizer": jo.sgd(0.1), "adv_optimizer": jo.sgd(0.05),
    "base_optimizer": optax.sgd(0.1), "l2_norm_clip": 1.0, "noise_multiplier": 0.1, "seed": 0,
}  # fmt: skip
REFUSED = {"optax.contrib.dpsgd", "optax.contrib.differentially_private_aggregate"}
NO_STEPS = {  # scalings, to be chained before a step, and one that is no optimizer
    "optax.contrib.normalize", "optax.contrib.reduce_on_plateau",
    "optax.contrib.split_real_and_imaginary", "optax.contrib.hutchinson_estimator_diag_hessian",
    "optax.contrib.schedule_free_eval_params",
}  # fmt: skip


def every_factory():
    """Every factory of optax.alias and optax.contrib: name -> function."""
    for module in optax, optax.contrib:
        public = [(name, x) for name, x in vars(module).items() if not name.startswith("_")]
        for name, factory in public:
            f = factory.func if isinstance(factory, functools.partial) else factory
            home = getattr(f, "__module__", "")
            if isinstance(f, FunctionType) and home.startswith(
                ("optax._src.alias", "optax.contrib")
            ):
                yield f"{module.__name__}.{name}", factory


def test_every_factory_is_tried():
    tried = {p.id for p in factories()}
    names = {name for name, _ in every_factory()} - tried
    bricks = {name for name in names if ".scale_by_" in name} | NO_STEPS
    assert names - bricks == {*OTHERS, *REFUSED} and len(tried) > 40


OTHERS = {
    "optax.polyak_sgd", "optax.contrib.sam", "optax.contrib.mechanize",
    "optax.contrib.schedule_free",
}  # fmt: skip


def made(name):
    factory = dict(every_factory())[name]
    wanted = [
        p.name for p in inspect.signature(factory).parameters.values() if p.default is p.empty
    ]
    return from_optax(factory, **{name: GIVEN[name] for name in wanted})


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_the_other_factories_train(name):
    read, _ = jax.jit(functools.partial(train, made(name)))()
    assert objective(read) < objective(start())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_wants_the_gradients_of_examples_is_refused_by_name(name):
    with pytest.raises(TypeError, match=f"{name} wants the gradients of all examples apart"):
        made(name).init(start())


# --------------------------------------------------------------------------------- how it is found


FOUND = {
    "partition": lambda: optax.partition(
        {0: optax.polyak_sgd(), 1: optax.sgd(0.1)}, {"w": 0, "b": 1}
    ),
    "named_chain": lambda: optax.named_chain(("a", optax.clip(1.0)), ("b", optax.polyak_sgd())),
    "inject_hyperparams": lambda: optax.inject_hyperparams(optax.polyak_sgd)(scaling=0.5),
    "MultiSteps": lambda: optax.MultiSteps(optax.polyak_sgd(), 2),
    "apply_if_finite": lambda: optax.apply_if_finite(optax.polyak_sgd(), 3),
    "masked": lambda: optax.masked(optax.polyak_sgd(), {"w": True, "b": False}),
    "schedule_free": lambda: optax.contrib.schedule_free(optax.polyak_sgd(), 0.1),
    "ours": lambda: jo.to_optax(from_optax(optax.polyak_sgd)),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_is_wanted_is_found_inside(name):
    """Where the small array of a trial does not do, by the names of arguments alone."""
    optimizer = from_optax(FOUND[name])
    assert wants(optimizer) == needs(optimizer) == ("value",)
    read, _ = jax.eval_shape(functools.partial(train, optimizer, steps=2))
    assert read["w"].shape == (3,)


def test_functions_of_all_kinds_are_looked_into():
    """A mask of two leaves lets no small array do: here names alone count."""

    def hands_on(inner, updates, state, params=None, **extra):
        return inner(updates, state, params, **extra)

    def make():
        tx = optax.masked(optax.polyak_sgd(), {"w": True, "b": True})
        largest = functools.partial(max, 1)

        def update(updates, state, params=None, **extra):
            return functools.partial(hands_on, tx.update)(updates, state, params, **extra)

        def with_others(updates, state, params=None, **extra):
            return (update if largest(2) == 2 else unset)(updates, state, params, **extra)

        made = optax.GradientTransformationExtraArgs(tx.init, functools.partial(with_others))
        if made is None:
            unset = update
        return made

    assert wants(from_optax(make)) == needs(from_optax(make)) == ("value",)
    read, _ = jax.eval_shape(functools.partial(train, from_optax(make), steps=2))
    assert read["w"].shape == (3,)


def test_what_is_known_of_optimizers_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(inward, "_ASKED", dict.fromkeys(range(1001), Arguments()))
    assert wants(from_optax(optax.polyak_sgd)) == ("value",) and len(inward._ASKED) == 1


def test_errors_of_an_update_itself_stay_what_they_are():
    def wrong():
        return optax.stateless(lambda updates, params: updates + None)

    with pytest.raises(TypeError, match="unsupported operand"):
        train(from_optax(wrong), steps=1)


def test_a_line_search_is_not_told_what_only_others_in_its_chain_want(x64):
    """Alone it raises TypeError for it: "not consumed by `value_fn`"."""

    def make(learning_rate):
        curvature = optax.contrib.sophia(learning_rate)
        return optax.chain(curvature, optax.scale_by_backtracking_linesearch(10))

    optimizer = from_optax(make, 0.1)
    assert wants(optimizer) == ("value", "grad", "value_fn")
    read, _ = jax.jit(functools.partial(train, optimizer))()
    assert objective(read) < 0.9 * objective(start())


def test_what_has_no_place_for_its_inner_optimizers_wish_is_an_error_of_a_name():
    optimizer = from_optax(lambda: optax.contrib.sam(optax.polyak_sgd(), optax.sgd(0.1)))
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'value'; a `Tr"):
        train(optimizer, steps=1)


def test_an_unknown_wish_and_one_that_is_not_told_are_errors_of_a_name():
    def demanding():
        def update(updates, state, params=None, *, weather, **extra):
            return updates, state

        return optax.GradientTransformationExtraArgs(optax.identity().init, update)

    with pytest.raises(TypeError, match="demanding.*'weather'; a `Training` tells value, grad"):
        train(from_optax(demanding), steps=1)
    for name, wanted in {"lbfgs": "grad, value, value_fn", "sophia": "obj_fn"}.items():
        optimizer = from_optax(EIGHT[name][0], 0.1)
        with pytest.raises(TypeError, match=f"{wanted} and was not told; a `Training` tells value"):
            optimizer.update(start(), optimizer.init(start()), start())


def test_by_hand_it_is_told_by_optaxs_names_too():
    optimizer = from_optax(optax.contrib.sophia, 0.1)
    updates, _ = optimizer.update(start(), optimizer.init(start()), start(), obj_fn=objective)
    assert updates["w"].shape == (3,)


def test_complex_params_are_refused_where_optax_would_take_other_gradients():
    optimizer = from_optax(optax.lbfgs)
    p = {"w": jnp.zeros(3, complex)}
    with pytest.raises(TypeError, match="value_fn: optax's line searches and curvatures want real"):
        optimizer.update(p, optimizer.init(p), p, value=0.0, grad=p, value_fn=lambda p: 0.0)


# ------------------------------------------------------------------------------------------ L-BFGS


def small_lbfgs():
    return optax.lbfgs(memory_size=2, linesearch=optax.scale_by_backtracking_linesearch(5))


def masked_lbfgs():
    """Its masked leaves get their raw gradients, as optax's `masked` has it."""
    mask = {"w": True, "b": False}
    return optax.masked(small_lbfgs(), mask, mask_compatible_extra_args=True)


def test_lbfgs_of_some_leaves_is_lbfgs_of_the_rest_of_the_problem(x64):
    """By our `freeze`, and by optax's masked, whose other leaves are to be frozen."""
    freeze, frozen = {"w": False, "b": True}, {"b": jnp.asarray(0.0)}

    @jax.jit
    def all_ways(p):
        w = {"w": p["w"]}
        return (
            train(from_optax(small_lbfgs), None, lambda t: lambda w: objective(w | frozen), 6, w),
            train(jo.freeze(freeze, from_optax(small_lbfgs)), None, lambda t: objective, 6, p),
            train(jo.chain(from_optax(masked_lbfgs), jo.freeze(freeze)), None,
                  lambda t: objective, 6, p),
        )  # fmt: skip

    (alone, _), *ways = all_ways(start())
    for read, _ in ways:
        close(read["w"], alone["w"], 1e-10)
        assert read["b"] == 0 and objective(read) < 0.6 * objective(start())


@pytest.mark.parametrize(
    "load", [load_breast_cancer, pytest.param(load_digits, marks=pytest.mark.slow)]
)
def test_lbfgs_reaches_scipys_optimum_of_penalised_logistic_regression(load, x64):
    data = load()
    x = data.data - data.data.mean(0)
    x = jnp.asarray(x / np.where(x.std(0) > 0, x.std(0), 1))
    y, classes = jnp.asarray(data.target), len(data.target_names)

    def f(p):
        loss = jo.losses.softmax_cross_entropy_with_integer_labels(x @ p["w"] + p["b"], y)
        return jnp.mean(loss) + 0.005 * jnp.sum(p["w"] ** 2)

    p = {"w": jnp.zeros((x.shape[1], classes)), "b": jnp.zeros(classes)}
    flat, back = jax.flatten_util.ravel_pytree(p)
    value_and_grad = jax.jit(jax.value_and_grad(lambda v: f(back(v))))
    best = minimize(
        lambda v: tuple(map(np.asarray, value_and_grad(v))), flat, jac=True, method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 20000, "ftol": 1e-15, "gtol": 1e-9},
    )  # fmt: skip
    read, _ = jax.jit(lambda p: train(from_optax(optax.lbfgs), None, lambda t: f, 80, p))(p)
    assert abs(f(read) - best.fun) < 1e-8


# --------------------------------------------------------------------------------- periodic work


def every_third(learning_rate):
    """Steps whose lengths a costly branch finds at every third, by a count in the state."""

    def init(params):
        return jnp.zeros((), int), jnp.zeros(())

    def update(updates, state, params=None):
        count, length = state

        def measured():
            return jax.nn.softplus(jnp.dot(updates["w"], updates["w"])) + length

        length = jax.lax.cond(count % 3 == 0, measured, lambda: length)
        jax.debug.callback(lambda _: None, length)
        return jax.tree.map(lambda g: -learning_rate * length * g, updates), (count + 1, length)

    return optax.GradientTransformation(init, update)


def paths(rates, states, make):
    """The values of lanes that have each their own state, as in a sweep, and the rates' slopes."""

    def values(rate, state):
        optimizer = from_optax(make, rate)

        def step(carry, _):
            p, state = carry
            value, grad = jax.value_and_grad(objective)(p)
            updates, state = optimizer.update(grad, state, p, **told(optimizer, value_fn=objective))
            return (jo.apply_updates(p, updates), state), value

        found = jax.lax.scan(step, (start(), state), length=12)[1]
        return found[-1], found

    return jax.vmap(jax.value_and_grad(values, has_aux=True))(rates, states)


@pytest.mark.parametrize(
    "make", [every_third, pytest.param(optax.contrib.sophia, marks=pytest.mark.slow)]
)
def test_lanes_take_the_costly_branches_of_optax_together(make, x64, monkeypatch):
    """A cond on one bool under vmap; numbers and slopes are those of the select in its place."""
    states = jax.vmap(lambda rate: from_optax(make, rate).init(start()))(RATES)
    f = functools.partial(paths, make=make)
    assert set(predicates(f, RATES, states)) == {()}
    together = jax.jit(f)(RATES, states)
    monkeypatch.setattr(inward, "rebranched", lambda f, *args: f(*args))
    g = functools.partial(paths, make=make)
    assert predicates(g, RATES, states) == []
    close(together, jax.jit(g)(RATES, states))
    assert jnp.all(jnp.abs(together[1]) > 1e-6)
