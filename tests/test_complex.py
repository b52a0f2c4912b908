"""Complex parameters: |g|^2 stands for g^2 everywhere, so that no phase is preferred."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import random
from transform_cases import CASES, OPTAX, OURS

import jaxopt_edu as jo
from jaxopt_edu import federated, privacy
from jaxopt_edu.optim import optimizers
from jaxopt_edu.optim.transform import apply_updates
from jaxopt_edu.values import tree

pytestmark = pytest.mark.usefixtures("compiled_quickly", "x64")
RECIPES = {name: f for name, f in vars(optimizers).items() if inspect.isfunction(f)}
VARIANTS = {
    "sgd": ({"momentum": 0.9, "nesterov": True},),
    "rmsprop": ({"centered": True, "momentum": 0.9}, {"bias_correction": True}),
    "adagrad": ({"initial_accumulator_value": 0.0, "eps_in_sqrt": False},),
    "adadelta": ({"weight_decay": 0.1, "weight_decay_mask": True},),
    "adam": ({"nesterov": True},),
    "radam": ({"nesterov": True, "threshold": 4.5, "b2": 0.8},),
    "amsgrad": ({"bias_correction_mu": False, "bias_correction_nu": False},),
}
CHOSEN = [(name, more) for name in RECIPES for more in ({}, *VARIANTS.get(name, ()))]
BRICKS = [name for name in CASES if name not in ("add_noise", "keep_params_nonnegative")]
ADAPTED = {  # to accumulators of complex numbers
    "trace(dtype)": lambda o: o.trace(0.9, accumulator_dtype="complex128"),
    "multi_steps": lambda o: o.multi_steps(o.adam(0.1), 3),
    "multi_steps(sum)": lambda o: o.multi_steps(o.sgd(0.1), 2, False),
    "multi_steps(schedule)": lambda o: o.multi_steps(o.sgd(0.1, 0.9), lambda n: n + 1),
    "chain": lambda o: o.chain(o.clip_by_global_norm(1.0), o.apply_if_finite(o.adam(0.1), 9)),
}
OURS_ONLY = ("clip", "partition", "adaptive_grad_clip(axis)", *ADAPTED)


@pytest.fixture
def x64():
    with jax.enable_x64(True):
        yield


def numbers(seed, *shape):
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(size=shape) + 1j * rng.normal(size=shape))


def some_tree(seed, *batch):
    at = functools.partial(numbers, seed)
    return {"w": at(*batch, 3, 2), "v": {"b": at(*batch, 2), "s": at(*batch)}}


def turned(x, phase=0.7):
    return tree.map(lambda x: np.exp(1j * phase) * x, x)


def steps(transform, g, p):
    """All updates of a run."""

    def step(carry, g):
        p, state = carry
        u, state = transform.update(g, state, p)
        return (apply_updates(p, tree.map(lambda u: 0.1 * u, u)), state), u

    return jax.lax.scan(step, (p, transform.init(p)), g)[1]


def close(x, y, tolerance=1e-12):
    tree.map(lambda x, y: np.testing.assert_allclose(x, y, tolerance, tolerance), x, y)


GRADS = 5  # of which one is 0


def gradients():
    g = some_tree(1, GRADS)
    return tree.map(lambda g: g.at[2].set(0).at[3].multiply(30), g)


# ------------------------------------------------------------------------------------- the laws


def test_a_turned_gradient_turns_the_step_of_every_optimizer():
    chosen = [RECIPES[name](0.1, **more) for name, more in CHOSEN]
    run = jax.jit(lambda g, p: [steps(opt, g, p) for opt in chosen])
    p, g = some_tree(0), gradients()
    for (name, _), u, v in zip(CHOSEN, run(g, p), run(turned(g), turned(p)), strict=True):
        close(turned(u), v)
        assert all(np.isfinite(x).all() and x.dtype == complex for x in tree.leaves(u)), name
        assert all(np.abs(x).max() > 0 for x in tree.leaves(u)), name


def test_a_turned_gradient_turns_what_every_brick_makes_of_it():
    bricks = {name: ADAPTED.get(name, CASES[name])(OURS) for name in BRICKS}
    run = jax.jit(lambda g, p: {name: steps(brick, g, p) for name, brick in bricks.items()})
    p, g = some_tree(0), gradients()
    one, two = run(g, p), run(turned(g), turned(p))
    for name in BRICKS:
        close(turned(one[name]), two[name])
        assert all(np.isfinite(x).all() for x in tree.leaves(one[name])), name


def test_steps_are_those_of_optax_where_it_takes_the_modulus():
    known = [(n, m) for n, m in CHOSEN if hasattr(optax, n) and n not in ("adadelta", "yogi")]
    known = [(n, m) for n, m in known if "eps_in_sqrt" not in m]
    pairs = [[of(0.1, **more) for of in (RECIPES[n], getattr(optax, n))] for n, more in known]
    pairs += [[CASES[n](of) for of in (OURS, OPTAX)] for n in BRICKS if n not in OURS_ONLY]
    run = jax.jit(lambda g, p: [[steps(opt, g, p) for opt in pair] for pair in pairs])
    for ours, theirs in run(gradients(), some_tree(0)):
        close(ours, theirs, 1e-11)


def test_yogi_is_optaxs_but_for_the_start_of_its_mean():
    p, g = some_tree(0), some_tree(1, GRADS)
    ours, theirs = (steps(of.yogi(0.1), g, p) for of in (jo, optax))
    close(ours, theirs, 1e-4)


def test_adadelta_divides_by_the_modulus():
    """For gradients of one phase it is what the moduli give."""
    p, g = some_tree(0), tree.map(jnp.abs, some_tree(1, GRADS))
    real = steps(jo.adadelta(0.1), g, tree.map(jnp.real, p))
    close(steps(jo.adadelta(0.1), turned(g), p), turned(real))


def test_what_is_squared_is_kept_as_real_numbers():
    p = {"w": jnp.ones(3, jnp.complex64), "b": jnp.ones(2)}
    for name, slots in {
        "adam": ("v",), "adagrad": ("G",), "rmsprop": ("v",), "adadelta": ("v", "x"),
        "amsgrad": ("v", "v_max"), "adamax": ("v",), "radam": ("v",), "adabelief": ("v",),
        "yogi": ("v",),
    }.items():  # fmt: skip
        opt = RECIPES[name](0.1)
        state = jax.eval_shape(opt.init, p)
        _, new = jax.eval_shape(opt.update, p, state, p)
        for s in (state, new):
            kept = [getattr(s, slot) for slot in slots]
            assert all((k["w"].dtype, k["b"].dtype) == ("float32", "float64") for k in kept), name


# ------------------------------------------------------------------------- refused by name


def test_what_cannot_be_is_refused_by_name():
    z, x = jnp.ones(2, complex), jnp.ones(2)
    for make in (
        lambda: jo.adam(0.1, mu_dtype="float32").init(z),
        lambda: jo.sgd(0.1, 0.9, accumulator_dtype="bfloat16").init({"w": z}),
        lambda: jo.ema(0.9, accumulator_dtype=jnp.float32).init(z),
        lambda: jo.multi_steps(jo.sgd(0.1), 2, accumulator_dtype="float32").init(z),
    ):
        with pytest.raises(TypeError, match="mu_dtype or accumulator_dtype.*complex128"):
            make()
    with pytest.raises(TypeError, match="KeepParamsNonnegative: params are complex"):
        jo.keep_params_nonnegative().update(z, None, z)
    with pytest.raises(TypeError, match="an update is complex128, its parameter float64"):
        jo.apply_updates(x, z)
    with pytest.raises(TypeError, match="updates are complex"):
        federated.secure_sum(random.key(0), z[None], limit=1.0)


def test_noise_hides_both_parts_as_well_as_a_real_number():
    noise = privacy.add_noise(random.key(0), {"z": jnp.zeros(9000, complex)}, 2.0)["z"]
    assert abs(noise.real.std() - 2) < 0.05 and abs(noise.imag.std() - 2) < 0.05
    assert abs(jnp.mean(noise.real * noise.imag)) < 0.15


# ------------------------------------------------------------------------------- regularizers


@pytest.mark.parametrize("r", [jo.L1(0.3), jo.L2(0.3), jo.ElasticNet(0.3, 0.4)], ids=repr)
def test_regularizers_see_the_modulus(r):
    w = jnp.concatenate([numbers(3, 20), jnp.zeros(1)])
    assert r(w) == pytest.approx(float(r(jnp.abs(w))), rel=1e-12)
    close(r.prox(w, 0.7), r.prox(jnp.abs(w), 0.7) * tree.sign(w))
    slope = tree.conjugate(jax.grad(r)(w))
    close(slope, jax.grad(r)(jnp.abs(w)) * tree.sign(w))
    after = jo.decoupled(r).after(w, w, 0.1)
    close(after, w - 0.1 * slope)
    derivative = jax.grad(lambda step: jnp.sum(jnp.abs(r.prox(w, step)[:-1])))(0.7)
    real = jax.grad(lambda step: jnp.sum(jnp.abs(r.prox(jnp.abs(w), step)[:-1])))(0.7)
    assert derivative == pytest.approx(float(real), rel=1e-9)


# ---------------------------------------------------------------- trainings, as pairs of reals


@jo.pytree
class Phases:
    """|<z, x>|: a model that is no analytic function of its complex parameters."""

    def init(self, key):
        parts = random.normal(key, (2, 30))
        return {"z": jax.lax.complex(*parts)}

    def apply(self, params, x, *, key=None):
        return jnp.abs(x @ params["z"] / 6) - 1


@jo.pytree
class Pairs(Phases):
    """The same model, its parameters as pairs of real numbers."""

    def init(self, key):
        return {"z": random.normal(key, (2, 30))}

    def apply(self, params, x, *, key=None):
        return super().apply({"z": jax.lax.complex(*params["z"])}, x)


def trained(of, step, model, n):
    made = of(
        model=model, loss=jo.losses.sigmoid_binary_cross_entropy,
        data=jo.data.load("breast_cancer"), optimizer=step, batch_size=16,
    )  # fmt: skip
    return np.asarray(jo.fit(made, n).params["z"])


def same(z, pair):
    np.testing.assert_allclose(np.stack([z.real, z.imag]), pair, 1e-7, 1e-7)


KINDS = {
    "training": jo.Training,
    "private": functools.partial(privacy.PrivateTraining, max_norm=0.5, noise_multiplier=0.0),
    "penalty": functools.partial(jo.Training, regularizer=jo.L2(0.1)),
    "private, penalty": functools.partial(
        privacy.PrivateTraining, max_norm=0.5, noise_multiplier=0.0, regularizer=jo.L2(0.1)
    ),
    "decoupled": functools.partial(jo.Training, regularizer=jo.decoupled(jo.L2(0.1))),
    "federated": lambda **parts: federated.fed_avg(
        **parts, mu=0.1,
        clients=federated.dirichlet_split(parts["data"].train.y, 3, alpha=100.0),
    ),
}  # fmt: skip


FAST = ("training", "private, penalty", "federated")


@pytest.mark.parametrize(
    "kind", [k if k in FAST else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_a_training_is_that_of_the_real_parts(kind):
    step = jo.chain(jo.clip_by_global_norm(0.2), jo.sgd(0.5, momentum=0.5))
    z, pair = (trained(KINDS[kind], step, m, 5) for m in (Phases(), Pairs()))
    same(z, pair)
    start = trained(KINDS[kind], jo.sgd(0.0), Phases(), 1)
    assert np.abs(z - start).max() > 1e-3


def test_hypergradients_go_through_complex_parameters():
    def score(rate, optimizer):
        made = jo.Training(
            model=Phases(), loss=jo.losses.sigmoid_binary_cross_entropy,
            data=jo.data.load("breast_cancer"), optimizer=optimizer(rate), batch_size=16,
            regularizer=jo.proximal(jo.L1(0.01)) if optimizer is jo.sgd else None,
        )  # fmt: skip
        return jo.hypergradient(made, 4)

    for optimizer in (jo.sgd, jo.lion):
        (up, _), (down, _) = (score(0.1 + h, optimizer) for h in (1e-5, -1e-5))
        slope = score(0.1, optimizer)[1].optimizer.learning_rate
        assert slope == pytest.approx(float(up - down) / 2e-5, rel=1e-5)
