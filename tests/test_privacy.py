"""Privacy: bounded sensitivity, noise of the right size, and accounting that others confirm."""

import decimal
import functools
import itertools
import math

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from dp_accounting import (
    GaussianDpEvent,
    PoissonSampledDpEvent,
    SelfComposedDpEvent,
    calibrate_dp_mechanism,
)
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant
from hypothesis import strategies as st
from scipy import stats

import jaxopt_edu as jo
from jaxopt_edu import privacy
from jaxopt_edu.storage.named import describe, rebuild
from jaxopt_edu.values import tree

pytestmark = pytest.mark.usefixtures("compiled_quickly")
DIGITS = jo.data.load("digits", seed=0)
MODEL = jo.models.MLP((64, 4, 10))
LOSS = jo.losses.softmax_cross_entropy_with_integer_labels


def loss(params, example):
    x, y = example
    return LOSS(MODEL.apply(params, x[None]), y[None])[0]


PARAMS = MODEL.init(jax.random.key(0))
BATCH = DIGITS.train.x[:32], DIGITS.train.y[:32]
clipped = jax.jit(
    lambda params, batch, c, mask=None: privacy.clipped_gradients(
        loss, params, batch, max_norm=c, mask=mask
    ),
)


def size(g):
    """The norm of all leaves as one vector, in float64."""
    return math.sqrt(sum(np.sum(np.square(np.asarray(x, float))) for x in jax.tree.leaves(g)))


# ----------------------------------------------------------------------------------- gradients


def test_clipped_gradients_are_those_of_a_loop_and_optaxs():
    def all_ways(params, batch, c):
        raw = privacy.clipped_gradients(loss, params, batch, max_norm=1e9)
        ours = privacy.clipped_gradients(loss, params, batch, max_norm=c, microbatch=5)
        theirs, count = optax.per_example_global_norm_clip(jax.tree.leaves(raw), c)
        return ours, theirs, count

    with jax.enable_x64(True):
        params, x = jax.tree.map(lambda p: np.asarray(p, float), (PARAMS, BATCH[0]))
        one = jax.jit(jax.grad(loss))
        each = [jax.device_get(one(params, (x[i], BATCH[1][i]))) for i in range(32)]
        c = float(np.median([size(g) for g in each]))
        ours, theirs, count = jax.device_get(jax.jit(all_ways)(params, (x, BATCH[1]), c))
    shrunk = [jax.tree.leaves(g) for g in each]
    for i, g in enumerate(each):
        shrunk[i] = [part * min(1, c / size(g)) for part in shrunk[i]]
    rows = zip(jax.tree.leaves(ours), zip(*shrunk, strict=True), theirs, strict=True)
    for g, looped, total in rows:
        np.testing.assert_allclose(g, np.stack(looped), atol=1e-12)
        np.testing.assert_allclose(g.sum(0), total, atol=1e-12)
    assert count == 16


def test_one_record_of_a_thousand_moves_the_sum_by_max_norm_at_most():
    """Random records, wild ones, ones whose gradient is not finite, and a model in bfloat16."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 64)) * 10 ** rng.uniform(-6, 12, (1000, 1))
    x[0], x[1], x[2] = np.nan, np.inf, 0.0
    batch = jnp.asarray(x, jnp.float32), rng.integers(10, size=1000)
    half = jax.tree.map(lambda p: p.astype(jnp.bfloat16), PARAMS)
    for params in (PARAMS, half):
        g = clipped(params, batch, 0.7)
        flat = np.concatenate([np.reshape(x, (1000, -1)) for x in jax.tree.leaves(g)], axis=1)
        assert flat.dtype == np.float32 and np.isfinite(flat).all()
        total = flat.sum(0, dtype=float)
        moved = np.linalg.norm(total - (total - flat), axis=1)
        assert 0.699 < moved.max() <= 0.7 * (1 + 1e-6)
        assert not flat[0].any() and not flat[1].any()


def test_absent_examples_count_for_nothing_even_as_nan():
    mask = np.arange(32) % 2 == 0
    x = np.where(mask[:, None], BATCH[0], np.nan)
    some = clipped(PARAMS, (x, BATCH[1]), 1.0, mask)
    full = clipped(PARAMS, BATCH, 1.0, np.ones(32, bool))
    for a, b in zip(jax.tree.leaves(some), jax.tree.leaves(full), strict=True):
        np.testing.assert_allclose(a[mask], b[mask], rtol=1e-5, atol=1e-6)
        assert not np.asarray(a)[~mask].any()


def test_noise_has_the_deviation_of_the_mean_over_the_expected_batch():
    def noise(key):
        return privacy.noisy_gradient(
            key, lambda w, x: jnp.sum(w * x), jnp.zeros(50), jnp.zeros((4, 50)),
            max_norm=2.0, noise_multiplier=1.5, expected_batch=64, mask=np.zeros(4, bool),
        )  # fmt: skip

    z = jax.jit(jax.vmap(noise))(jax.random.split(jax.random.key(0), 2000))
    assert stats.kstest(np.ravel(z) / (1.5 * 2.0 / 64), "norm").pvalue > 1e-3


def test_gradients_of_the_estimate_are_finite():
    def norm(c, s):
        g = privacy.noisy_gradient(
            jax.random.key(0), loss, PARAMS, BATCH,
            max_norm=c, noise_multiplier=s, expected_batch=32,
        )  # fmt: skip
        return tree.norm(g)

    assert np.isfinite(jax.jit(jax.grad(norm, (0, 1)))(1.0, 1.0)).all()


def test_wrong_input_is_named():
    with pytest.raises(ValueError, match=r"batch and mask have shapes \[\(32, 64\), \(31,\)\]"):
        privacy.clipped_gradients(loss, PARAMS, (BATCH[0], BATCH[1][:31]), max_norm=1.0)
    with pytest.raises(TypeError, match=r"loss gives .*10.* for one example"):
        privacy.clipped_gradients(
            lambda p, e: MODEL.apply(p, e[0][None]), PARAMS, BATCH, max_norm=1
        )


# ------------------------------------------------------------------------------------ sampling


def test_poisson_sampling_draws_each_record_on_its_own():
    n, q, draws = 20, 0.04, 20_000

    def mask(key):
        rows, count = privacy.poisson_sample(key, n, q)
        return jnp.zeros(n).at[rows].add(jnp.arange(n) < count)

    drawn = np.asarray(jax.jit(jax.vmap(mask))(jax.random.split(jax.random.key(0), draws)))
    assert set(np.unique(drawn)) <= {0, 1}
    assert abs(drawn.mean() - q) < 5 * math.sqrt(q * (1 - q) / draws / n)
    pairs = np.cov(drawn.T)[~np.eye(n, dtype=bool)]
    assert np.abs(pairs).max() < 5.5 * q * (1 - q) / math.sqrt(draws)
    empty, expected = np.mean(drawn.sum(1) == 0), (1 - q) ** n
    assert abs(empty - expected) < 5 * math.sqrt(expected * (1 - expected) / draws)


def test_a_sum_over_rows_is_whole_however_large_the_draw():
    rows = jnp.arange(10)[::-1]
    f = jax.jit(
        lambda count, size: privacy.sum_over(
            lambda rows, present: jnp.sum(jnp.where(present, rows, 0)), rows, count, size
        ),
        static_argnums=1,
    )
    for chunk, count in itertools.product((1, 3, 10, 16), range(11)):
        assert f(count, chunk) == np.arange(10)[::-1][:count].sum()


def test_a_sum_over_rows_has_the_derivatives_of_the_sum_of_all_of_them():
    x, own = jnp.linspace(1.0, 2.0, 10), jnp.arange(10)

    def by_chunks(c, count):
        def f(rows, present):
            return jnp.sum(jnp.where(present, jnp.sin(c * x[rows]), 0))

        return privacy.sum_over(f, own, count, size=4)

    def at_once(c, count):
        return jnp.sum(jnp.where(own < count, jnp.sin(c * x), 0))

    def slopes(f):
        """Backwards, forwards, and of a slope: for each number of rows, one of its own lanes."""

        def of(count):
            slope = jax.grad(f)
            _, forwards = jax.jvp(lambda c: f(c, count), (0.7,), (1.0,))
            curve = jax.grad(lambda c: jax.grad(f)(c, count) ** 2)
            return slope(0.7, count), forwards, curve(0.7)

        return jax.jit(jax.vmap(of))(jnp.arange(11)), of(jnp.int32(7))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5),
        slopes(by_chunks), slopes(at_once),
    )  # fmt: skip


def test_a_sum_over_rows_takes_only_the_chunks_that_it_wants():
    """Also where it is differentiated, as long as the count is one for all lanes."""
    seen = []

    def f(rows, present, c):
        jax.debug.callback(lambda rows: seen.append(int(rows[0])), rows)
        return jnp.sum(jnp.where(present, c * rows, 0.0))

    def total(c):
        return privacy.sum_over(lambda r, p: f(r, p, c), jnp.arange(100), jnp.int32(7), 5)

    assert jax.jit(jax.vmap(total))(jnp.ones(2)).tolist() == [21.0, 21.0]
    jax.effects_barrier()
    assert sorted(set(seen)) == [0, 5]
    assert jax.jit(jax.vmap(jax.grad(total)))(jnp.ones(2)).tolist() == [21.0, 21.0]
    jax.effects_barrier()
    assert sorted(set(seen)) == [0, 5]


# ---------------------------------------------------------------------------------- accounting


@pytest.mark.parametrize("q", [1e-4, 0.01, 0.3, 1.0])
@pytest.mark.parametrize("sigma", [0.5, 1.1, 4.0])
def test_rdp_is_that_of_dp_accounting(q, sigma):
    theirs = RdpAccountant().compose(PoissonSampledDpEvent(q, GaussianDpEvent(sigma)), 1000)
    assert np.array_equal(theirs.orders, privacy.ORDERS)
    ours = privacy.rdp(sigma, q)
    finite = np.isfinite(theirs.rdp)
    np.testing.assert_array_equal(np.isfinite(ours), finite)
    np.testing.assert_allclose(ours[finite], theirs.rdp[finite] / 1000, rtol=1e-12, atol=1e-12)
    for delta in (1e-9, 1e-5, 0.2):
        e = privacy.epsilon(noise_multiplier=sigma, sample_rate=q, steps=1000, delta=delta)
        np.testing.assert_allclose(e, theirs.get_epsilon(delta), rtol=1e-12, atol=1e-12)


def test_pld_is_dp_accountings_and_below_rdp():
    given = {"noise_multiplier": 1.1, "sample_rate": 0.01, "steps": 1000, "delta": 1e-5}
    theirs = PLDAccountant().compose(PoissonSampledDpEvent(0.01, GaussianDpEvent(1.1)), 1000)
    pld = privacy.epsilon(**given, accountant="pld")
    assert pld == theirs.get_epsilon(1e-5) < privacy.epsilon(**given)


def test_calibration_is_dp_accountings_and_never_spends_more():
    given = {"sample_rate": 0.01, "steps": 1000, "delta": 1e-5}
    ours = privacy.noise_multiplier(epsilon=1.0, **given)

    def steps(sigma):
        return SelfComposedDpEvent(PoissonSampledDpEvent(0.01, GaussianDpEvent(sigma)), 1000)

    theirs = calibrate_dp_mechanism(RdpAccountant, steps, 1.0, 1e-5, tol=1e-6)
    assert abs(ours - theirs) < 1e-5
    for e in (0.01, 300.0):
        sigma = privacy.noise_multiplier(epsilon=e, **given)
        assert privacy.epsilon(noise_multiplier=sigma, **given) <= e
        assert privacy.epsilon(noise_multiplier=0.999 * sigma, **given) > e


def test_the_ends_of_the_scale():
    given = {"noise_multiplier": 1.0, "sample_rate": 0.1, "steps": 10, "delta": 1e-5}
    for accountant in ("rdp", "pld"):

        def spent(accountant=accountant, **other):
            return privacy.epsilon(**given | other, accountant=accountant)

        assert spent(noise_multiplier=0.0) == math.inf
        assert spent(steps=0) == 0
        assert spent(noise_multiplier=0.0, sample_rate=0.0) == 0
    assert privacy.noise_multiplier(epsilon=1, sample_rate=0.0, steps=9, delta=1e-5) == 0


def exact_log(a, q, s):
    """log A_a for an integer a, to 60 digits."""
    with decimal.localcontext(prec=60):
        q, s = decimal.Decimal(q), decimal.Decimal(s)
        x = [decimal.Decimal(k * k - k) / (2 * s * s) for k in range(a + 1)]
        terms = (math.comb(a, k) * (1 - q) ** (a - k) * q**k * x[k].exp() for k in range(a + 1))
        return float(sum(terms).ln())


@hypothesis.given(
    q=st.floats(-12, -1e-4).map(lambda x: 10**x), s=st.floats(-0.5, 9).map(lambda x: 10**x)
)
def test_the_divergence_is_exact_however_small(q, s):
    """Where A_a is 1 to rounding, too; for other orders it is between those beside, from above."""
    orders = [2, 2.5, 3, 7, 63]
    found = dict(zip(orders, privacy.rdp(s, q, orders) * (np.array(orders) - 1), strict=True))
    for a in (2, 3, 7, 63):
        assert found[a] == pytest.approx(exact_log(a, q, s), rel=1e-8, abs=1e-300)
    assert 0 < found[2] <= found[2.5]
    assert found[2.5] <= (found[2] + found[3]) / 2 * (1 + 1e-8) or found[3] > 1e-7


@pytest.mark.parametrize(
    ("sigma", "q", "steps"), [(1e8, 0.5, 10**18), (1e6, 1e-3, 10**20), (1e9, 1.0, 10**17)]
)
def test_much_noise_for_long_spends_as_the_gaussian_limit_says(sigma, q, steps):
    """r_a tends to steps a q^2 / (2 sigma^2), by the central limit theorem."""
    orders = np.array([a for a in privacy.ORDERS if a == int(a)])
    r = steps * orders * q**2 / (2 * sigma**2)
    limit = min(r + np.log1p(-1 / orders) - np.log(1e-5 * orders) / (orders - 1))
    e = privacy.epsilon(noise_multiplier=sigma, sample_rate=q, steps=steps, delta=1e-5)
    assert e <= limit * (1 + 1e-6) and e > 0.99 * limit


@hypothesis.given(
    sigma=st.floats(-300, 300).map(lambda x: 10.0**x),
    q=st.floats(0, 1) | st.floats(-320, 0).map(lambda x: 10.0**x),
    steps=st.integers(0, 10**30),
    delta=st.floats(-323, -1e-9).map(lambda x: 10.0**x),
)
def test_at_any_arguments_it_is_a_bound_that_falls_with_noise(sigma, q, steps, delta):
    given = {"sample_rate": q, "steps": steps, "delta": delta, "orders": [1.5, 2, 5, 5.5, 64]}
    e, less = (privacy.epsilon(noise_multiplier=s, **given) for s in (sigma, 2 * sigma))
    assert 0 <= less <= e * (1 + 1e-9)
    at_rest = steps == 0 or q == 0
    assert not at_rest or e == 0
    loss = steps * (q / sigma) ** 2 if q < sigma else math.inf
    assert at_rest or loss < 1 or delta > 0.01 or e > 0  # r_2 is about that: not nothing


@pytest.mark.parametrize(
    ("e", "q", "steps", "delta"),
    [
        (1e300, 0.5, 10, 1e-5),
        pytest.param(1e-3, 0.01, 10**9, 1e-9, marks=pytest.mark.slow),
        pytest.param(1e6, 1.0, 1, 1e-5, marks=pytest.mark.slow),
        pytest.param(1.0, 1.0, 1, 0.9, marks=pytest.mark.slow),
        pytest.param(0.1, 1e-12, 1, 1e-300, marks=pytest.mark.slow),
    ],
)
def test_calibration_at_the_ends_is_on_the_safe_side(e, q, steps, delta):
    given = {"sample_rate": q, "steps": steps, "delta": delta}
    s = privacy.noise_multiplier(epsilon=e, **given)
    assert privacy.epsilon(noise_multiplier=s, **given) <= e
    assert privacy.epsilon(noise_multiplier=0.999 * s, **given) > e or s < 1e-100


def test_what_no_noise_can_be_for_is_refused():
    for wrong in (math.nan, math.inf, -1.0, "1", None, True):
        with pytest.raises(ValueError, match=f"epsilon = {wrong!r}: wanted a number above 0"):
            privacy.noise_multiplier(epsilon=wrong, sample_rate=0.1, steps=1, delta=1e-5)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"noise_multiplier": -1.0}, "noise_multiplier = -1.0: wanted a finite number, at least 0"),
        ({"noise_multiplier": math.nan}, "noise_multiplier = nan"),
        ({"noise_multiplier": math.inf}, "noise_multiplier = inf: wanted a finite"),
        ({"noise_multiplier": "1"}, "noise_multiplier = '1': wanted a finite number"),
        ({"noise_multiplier": None}, "noise_multiplier = None"),
        ({"sample_rate": math.nan}, "sample_rate = nan"),
        ({"sample_rate": True}, "sample_rate = True"),
        ({"steps": math.nan}, "steps = nan: wanted an integer"),
        ({"steps": math.inf}, "steps = inf: wanted an integer"),
        ({"steps": 10**400}, "steps = 1000"),
        ({"steps": "9"}, "steps = '9'"),
        ({"delta": math.nan}, "delta = nan"),
        ({"delta": 1.0}, "delta = 1.0: wanted a probability between"),
        ({"delta": "0.1"}, "delta = '0.1'"),
        ({"accountant": "pld", "noise_multiplier": 1e-3}, "'pld' with noise_multiplier = 0.001"),
        ({"accountant": "pld", "steps": 10**12}, "'pld' with .* steps = 1000000000000"),
        ({"accountant": "pld", "sample_rate": 1.0, "steps": 10**6}, "an epsilon up to 5.*e.05"),
        ({"sample_rate": 1.5}, "sample_rate = 1.5: wanted a probability, from 0 to 1"),
        ({"steps": -1}, "steps = -1"),
        ({"steps": 0.5}, "steps = 0.5"),
        ({"delta": 0.0}, "delta = 0.0: wanted a probability between 0 and 1"),
        ({"accountant": "rpd"}, "accountant = 'rpd' is unknown; did you mean 'rdp'"),
        ({"orders": [1.0, 2.0]}, "orders .* wanted numbers above 1"),
    ],
)
def test_nonsense_has_no_epsilon(wrong, says):
    given = {"noise_multiplier": 1.0, "sample_rate": 0.1, "steps": 10, "delta": 1e-5}
    with pytest.raises(ValueError, match=says):
        privacy.epsilon(**given | wrong)
    with pytest.raises(ValueError, match="epsilon = 0: wanted a number above 0"):
        privacy.noise_multiplier(epsilon=0, sample_rate=0.1, steps=1, delta=1e-5)


# ------------------------------------------------------------------------------------ training


def private(**changes):
    usual = {
        "model": jo.models.Linear(64, 10), "loss": LOSS, "optimizer": jo.sgd(0.1), "data": DIGITS,
        "max_norm": 1.0, "noise_multiplier": 1.0, "batch_size": 64,
    }  # fmt: skip
    return privacy.PrivateTraining(**usual | changes)


def test_without_noise_and_clipping_it_is_gradient_descent():
    own = {"max_norm": 1e6, "noise_multiplier": 0.0, "batch_size": None, "microbatch": 300}
    more = {"optimizer": jo.sgd(0.1, momentum=0.9), "regularizer": jo.L2(1e-2)}
    ours = private(**own, **more)
    plain = jo.Training(ours.model, LOSS, data=DIGITS, **more)
    mine, theirs = after(ours, 20), after(plain, 20)
    for a, b in zip(jax.tree.leaves(mine.params), jax.tree.leaves(theirs.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    np.testing.assert_allclose(mine.loss, theirs.loss, rtol=1e-5)


@functools.partial(jax.jit, static_argnums=1)
def after(experiment, steps):
    key = jax.random.key(0)
    start = experiment.init(key)
    return jax.lax.fori_loop(0, steps, lambda t, state: experiment.step(state, t, key)[0], start)


def test_a_step_divides_by_the_expected_batch():
    """The same rows at once; chunks of 7 do not change the sum."""
    experiment = private(noise_multiplier=0.0, max_norm=1e6, microbatch=7)
    key = jax.random.key(3)

    def both_ways(experiment):
        state = experiment.init(key)
        p = {"w": state.params["w"] + 0.01, "b": state.params["b"]}
        new, _ = experiment.step(state._replace(params=p), 5, key)
        drawn = jax.random.split(jax.random.fold_in(key, 5), 3)[0]
        rows, count = privacy.poisson_sample(drawn, 1078, 64 / 1078)
        x, y = DIGITS.train.take(rows)

        def total(p):
            losses = LOSS(experiment.model.apply(p, x), y)
            return jnp.sum(jnp.where(jnp.arange(1078) < count, losses, 0))

        value, g = jax.value_and_grad(total)(p)
        wanted = jax.tree.map(lambda p, g: p - 0.1 * g / 64, p, g)
        return new.params, wanted, count, new.loss, value

    params, wanted, count, loss, total = jax.device_get(jax.jit(both_ways)(experiment))
    assert count not in (0, 64)
    np.testing.assert_allclose(loss, total / count, rtol=1e-5)
    for name in ("w", "b"):
        np.testing.assert_allclose(params[name], wanted[name], atol=1e-6)


def test_an_empty_batch_steps_along_the_noise_alone():
    x = np.random.default_rng(0).standard_normal((4000, 50))
    data = jo.data.from_arrays(x, x @ np.ones(50), prepare=None, validation=0.0, test=0.0)
    experiment = private(
        model=jo.models.Linear(50), loss=jo.losses.squared_error, data=data, batch_size=1,
        max_norm=0.5, noise_multiplier=3.0,
    )  # fmt: skip
    step = jax.jit(lambda e, s, t: e.step(s, t, jax.random.key(0))[0])
    state = experiment.init(jax.random.key(0))._replace(loss=jnp.float32(123.0))
    new = [step(experiment, state, t) for t in range(20)]
    empty = [s for s in new if s.loss == 123.0]
    assert 0 < len(empty) < 20
    noise = np.stack([s.params["w"] for s in empty]) / (0.1 * 3.0 * 0.5)  # rate, deviation
    assert abs(noise.std() - 1) < 0.2 and abs(noise.mean()) < 0.2, noise
    assert len(np.unique(noise)) == noise.size


def test_one_program_sweeps_noise_clip_and_rate():
    space = private(
        optimizer=jo.sgd(jo.log_uniform(1e-3, 1e-1)),
        max_norm=jo.log_uniform(0.1, 10.0), noise_multiplier=jo.uniform(0.0, 2.0),
    )  # fmt: skip
    study = jo.sweep(space, trials=3, steps=10, tile=2, progress=False)
    names = {"estimator.max_norm", "estimator.noise_multiplier", "optimizer.learning_rate"}
    assert set(study.columns) >= names
    best = study.best
    again = jo.fit(best, 10, tile=2, progress=False)
    assert again.evaluate("test")["loss"] == study.scores()["test_loss"]
    assert rebuild(describe(best)) == best
    assert best.epsilon(10, delta=1e-4) == privacy.epsilon(
        noise_multiplier=float(best.estimator.noise_multiplier),
        sample_rate=64 / 1078,
        steps=10,
        delta=1e-4,
    )


def test_what_cannot_be_trained_is_named():
    for wrong, says in (
        ({"batch_size": 2000}, "batch_size = 2000: wanted 1 to 1078"),
        ({"microbatch": 0}, "microbatch = 0: wanted an integer, at least 1"),
    ):
        with pytest.raises(ValueError, match=says):
            jo.fit(private(**wrong), 1)
    for wrong in ({"max_norm": -1.0}, {"noise_multiplier": -1.0}):
        with pytest.raises(ValueError, match="is outside"):
            private(**wrong)


# ------------------------------------------------------------------------- masking, encryption


@pytest.mark.parametrize("k", [1, 2, 5, 17])
def test_every_row_is_shared_by_k(k):
    x = np.random.default_rng(k).integers(0, 9, (200, 3)) * [1.0, 10.0, 1e-3]
    coarse = privacy.k_anonymous(x, k)
    _, counts = np.unique(coarse, axis=0, return_counts=True)
    assert counts.min() >= k and len(counts) > 200 / (4 * k) / 2
    np.testing.assert_allclose(coarse.mean(0), x.mean(0))
    if k == 1:
        np.testing.assert_allclose(coarse, x)


def test_masking_names_what_is_wrong():
    for x, k, says in (
        ([1.0], 1, "x has shape"), ([[np.nan]], 1, "finite"), ([[1.0]], 2, "k = 2: wanted 1 to 1"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            privacy.k_anonymous(x, k)
    with pytest.raises(TypeError, match="key is str: wanted bytes"):
        privacy.pseudonyms(["a"], "secret")
    with pytest.raises(ValueError, match="key has 3 bytes: wanted at least 16"):
        privacy.pseudonyms(["a"], b"key")
    with pytest.raises(ValueError, match="digits = 65"):
        privacy.pseudonyms(["a"], bytes(16), digits=65)


def test_pseudonyms_follow_the_key():
    names = [f"name {i}" for i in range(1000)]
    one, two = (privacy.pseudonyms(names, key) for key in (bytes(16), bytes(15) + b"1"))
    assert len({*one, *two}) == 2000
    assert privacy.pseudonyms(names[::-1], bytes(16)) == one[::-1]


def test_params_come_back_bit_for_bit(tmp_path):
    path = tmp_path / "model"
    params = [{"w": jnp.arange(6.0).reshape(2, 3).astype(jnp.bfloat16), "b": jnp.float32(np.pi)},
              (jnp.zeros((0, 4)), jnp.arange(3))]  # fmt: skip
    privacy.save_params(path, params, "correct horse", work=10)
    back = privacy.load_params(path, params, "correct horse")
    assert jax.tree.structure(back) == jax.tree.structure(params)
    for a, b in zip(jax.tree.leaves(back), jax.tree.leaves(params), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    with pytest.raises(ValueError, match=r"holds arrays .* wanted .*those of `like`"):
        privacy.load_params(path, params[0], "correct horse")


def test_a_wrong_passphrase_and_any_changed_byte_are_noticed(tmp_path):
    plain, secret, back = (tmp_path / name for name in ("plain", "secret", "back"))
    plain.write_bytes(b"weights" * 10)
    privacy.encrypt_file(plain, secret, "correct horse", work=10)
    privacy.decrypt_file(secret, back, "correct horse")
    sealed = secret.read_bytes()
    assert back.read_bytes() == plain.read_bytes() and b"weights" not in sealed
    assert sealed != privacy.encrypt(plain.read_bytes(), "correct horse", work=10)
    with pytest.raises(ValueError, match="the passphrase is wrong, or the content was changed"):
        privacy.decrypt(sealed, "correct house")
    for i in (*range(10, len(sealed), 7), len(sealed) - 1):
        changed = bytearray(sealed)
        changed[i] ^= 1
        with pytest.raises(ValueError, match="the passphrase is wrong, or the content was changed"):
            privacy.decrypt(bytes(changed), "correct horse")
    for i, says in ((0, "its beginning is another"), (5, "version"), (6, "content"), (7, "scrypt")):
        changed = bytearray(sealed)
        changed[i] ^= 1
        with pytest.raises(ValueError, match=says):
            privacy.decrypt(bytes(changed), "correct horse")
    with pytest.raises(ValueError, match="its beginning is another"):
        privacy.decrypt(sealed[:20], "correct horse")
    for wrong in ({"passphrase": ""}, {"passphrase": "x", "work": 30}):
        with pytest.raises(ValueError, match="passphrase|work"):
            privacy.encrypt(b"", **wrong)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: privacy.k_anonymous([[1.0], [2.0]], 1.5), ValueError, "k = 1.5: wanted an int"),
        (lambda: privacy.k_anonymous([[1.0], [2.0]], True), ValueError, "k = True: wanted an int"),
        (lambda: privacy.k_anonymous([[1e308], [-1e308]], 2), ValueError, "finite numbers below"),
        (lambda: privacy.k_anonymous([[1j], [2.0]], 2), TypeError, "complex numbers"),
        (lambda: privacy.pseudonyms("Ada", b"x" * 16), TypeError, "values = 'Ada': wanted several"),
        (lambda: privacy.pseudonyms(["Ada"], b"x" * 16, digits=2.5), ValueError, "digits = 2.5"),
    ],
)
def test_masks_want_whole_numbers_and_tables(call, error, says):
    with pytest.raises(error, match=says):
        call()
