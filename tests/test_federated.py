"""Federated averaging against loops without padding, and what its server may see."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxopt_edu as jo
from jaxopt_edu import federated, privacy
from jaxopt_edu.storage.named import describe, rebuild

pytestmark = pytest.mark.usefixtures("compiled_quickly")
DIGITS = jo.data.load("digits", seed=0)
CLIENTS = federated.dirichlet_split(DIGITS.train.y, 12, alpha=0.3, seed=0)
LOSS = jo.losses.softmax_cross_entropy_with_integer_labels


def averaging(**changes):
    usual = {
        "model": jo.models.Linear(64, 10), "loss": LOSS, "data": DIGITS, "clients": CLIENTS,
        "optimizer": jo.sgd(0.1),
    }  # fmt: skip
    return federated.fed_avg(**usual | changes)


@jax.jit
def one_round(experiment, state, t):
    return experiment.step(state, t, jax.random.key(7))[0]


def rounds(experiment, n):
    """The state after n rounds from params of zero."""
    start = jax.tree.map(jnp.float32, ZEROS)
    state = jo.TrainingState(start, (), experiment.optimizer.init(start), jnp.float32(0))
    for t in range(n):
        state = one_round(experiment, state, t)
    return jax.device_get(state)


def assert_close(a, b, tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, atol=tolerance)


# ------------------------------------------------------- NumPy: softmax regression, unpadded


def gradient(p, x, y):
    z = x @ p["w"].T + p["b"]
    z = np.exp(z - z.max(1, keepdims=True))
    z /= z.sum(1, keepdims=True)
    z[np.arange(len(y)), y] -= 1
    return {"w": z.T @ x / len(y), "b": z.mean(0)}


def trained_alone(p, rows, batches, rate=0.1, mu=0.0):
    start = p
    for batch in batches:
        mine = rows[batch]
        g = gradient(p, np.asarray(DIGITS.train.x, float)[mine], DIGITS.train.y[mine])
        p = {k: p[k] - rate * (g[k] + mu * (p[k] - start[k])) for k in p}
    return p


def mean_update(p, clients, alone):
    """The mean of the clients' updates by their numbers of examples."""
    sizes = [len(rows) for rows in clients]
    new = [alone(p, k, rows) for k, rows in enumerate(clients) if len(rows)]
    return {
        name: sum(n * (q[name] - p[name]) for n, q in zip(filter(None, sizes), new, strict=True))
        / sum(sizes)
        for name in p
    }


ZEROS = {"w": np.zeros((10, 64)), "b": np.zeros(10)}


# ------------------------------------------------------------------------------------- rounds


def test_one_local_step_is_centralised_gradient_descent():
    with jax.enable_x64(True):
        ours = averaging(data=jo.data.load("digits", seed=0))
        start = jax.tree.map(jnp.asarray, ZEROS)
        local = ours.estimator.local
        mine = jo.TrainingState(start, (), ours.optimizer.init(start), jnp.asarray(0.0))
        plain = jo.TrainingState(start, (), local.init(start), jnp.asarray(0.0))
        centralised = dataclasses.replace(ours, optimizer=local, estimator=jo.Plain())
        for t in range(5):
            mine, plain = one_round(ours, mine, t), one_round(centralised, plain, t)
        assert_close(mine.params, plain.params, 1e-14)
        np.testing.assert_allclose(mine.loss, plain.loss, atol=1e-14)


@pytest.mark.parametrize("mu", [0.0, 0.7])
def test_unequal_clients_are_an_unpadded_loop(mu):
    """Also one client without examples, and FedProx."""
    clients = federated.Clients.of([*CLIENTS, []])
    p = ZEROS
    for _ in range(2):
        d = mean_update(
            p, clients, lambda p, k, rows: trained_alone(p, rows, [slice(None)] * 5, mu=mu)
        )
        p = {name: p[name] + d[name] for name in p}
    assert len(set(clients.sizes)) > 8
    assert_close(rounds(averaging(clients=clients, epochs=5, mu=mu), 2).params, p, 1e-6)


def test_batches_within_a_client_are_an_unpadded_loop():
    """Its examples in the order of each epoch, in batches whose last one is what is left."""
    key = jax.random.split(jax.random.fold_in(jax.random.key(7), 0), 4)[1]
    width = CLIENTS.rows.shape[1]

    def coins(k):
        epochs = jax.random.split(jax.random.fold_in(key, k), 2)
        first = jax.vmap(lambda key: jax.random.split(key)[0])(epochs)
        return jax.vmap(lambda key: jax.random.uniform(key, (width,)))(first)

    drawn = jax.device_get(jax.jit(jax.vmap(coins))(np.arange(12)))

    def alone(p, k, rows):
        orders = [np.argsort(drawn[k, e][: len(rows)]) for e in range(2)]
        batches = [o[i : i + 10] for o in orders for i in range(0, len(rows), 10)]
        return trained_alone(p, rows, batches)

    p = mean_update(ZEROS, CLIENTS, alone)
    assert_close(rounds(averaging(epochs=2, batch_size=10), 1).params, p, 1e-6)


def test_adam_on_the_server_is_fifteen_lines_of_numpy():
    p, m, v = ZEROS, ZEROS, ZEROS
    for t in range(1, 4):
        d = mean_update(p, CLIENTS, lambda p, k, rows: trained_alone(p, rows, [slice(None)] * 2))
        m = {k: 0.9 * m[k] - 0.1 * d[k] for k in p}
        v = {k: 0.99 * v[k] + 0.01 * d[k] ** 2 for k in p}
        p = {
            k: p[k] - 0.02 * (m[k] / (1 - 0.9**t)) / (np.sqrt(v[k] / (1 - 0.99**t)) + 1e-3)
            for k in p
        }
    ours = averaging(epochs=2, server=jo.adam(0.02, b2=0.99, eps=1e-3))
    assert_close(rounds(ours, 3).params, p, 1e-6)


def test_a_part_of_the_clients_is_drawn_each_once():
    experiment = averaging(clients_per_round=5)
    drawn = jax.jit(lambda key: experiment.estimator.draw(experiment, 0, key)[0])
    chosen = [np.asarray(drawn(jax.random.key(i))) for i in range(40)]
    assert all(len(set(c)) == 5 for c in chosen)
    assert len(set(np.concatenate(chosen).tolist())) == 12
    state = rounds(experiment, 1)
    some = [CLIENTS[k] for k in np.asarray(drawn(jax.random.key(7)))]
    d = mean_update(ZEROS, some, lambda p, k, rows: trained_alone(p, rows, [slice(None)]))
    assert_close(state.params, d, 1e-6)


# ---------------------------------------------------------------------------- secure and private


def test_the_server_learns_the_sum_exactly_and_nothing_else():
    """The sum of the rounded updates in integers; one masked update passes for uniform bits."""
    rng = np.random.default_rng(0)
    updates = {"w": rng.standard_normal((6, 5000)).astype(np.float32), "b": np.ones((6, 3))}
    mask = jax.jit(lambda key, x: federated.masked_updates(key, x, limit=4.0))
    received = np.asarray(mask(jax.random.key(0), updates))
    flat = np.concatenate([updates["b"], updates["w"]], axis=1)
    scale = 2.0**30 / 6 / 4
    rounded = np.rint(np.clip(flat, -4, 4).astype(np.float32) * np.float32(scale)).astype(int)
    total = received.sum(0, dtype=np.uint32).view(np.int32)
    np.testing.assert_array_equal(total, rounded.sum(0))
    for y in received:
        assert stats.kstest(y / 2.0**32, "uniform").pvalue > 1e-4
        ones = np.unpackbits(y.view(np.uint8)).mean()
        assert abs(ones - 0.5) < 5 * 0.5 / np.sqrt(32 * len(y))
        assert abs(np.corrcoef(y, rounded[0])[0, 1]) < 5 / np.sqrt(len(y))
    one = np.asarray(mask(jax.random.key(1), updates))[0]
    assert np.mean(one == received[0]) < 1e-3


def test_secure_and_plain_rounds_agree():
    state = rounds(averaging(secure=federated.SecureSum(limit=1.0), clients_per_round=5), 2)
    assert_close(state.params, rounds(averaging(clients_per_round=5), 2).params, 1e-6)


def private(**changes):
    usual = {
        "clients_per_round": 4, "max_norm": 0.05, "noise_multiplier": 0.0, "epochs": 3,
        "at_a_time": 3,
    }  # fmt: skip
    return averaging(**usual | changes)


def test_dp_fedavg_clips_clients_and_divides_by_the_expected_number():
    state = rounds(private(), 1)
    key = jax.random.split(jax.random.fold_in(jax.random.key(7), 0), 4)[0]
    chosen, count = privacy.poisson_sample(key, 12, 4 / 12)
    total = ZEROS
    for k in np.asarray(chosen)[: int(count)]:
        new = trained_alone(ZEROS, CLIENTS[k], [slice(None)] * 3)
        size = np.sqrt(sum(np.sum(x**2) for x in new.values()))
        total = {name: total[name] + new[name] * min(1, 0.05 / size) for name in new}
    assert count not in (0, 4)
    assert_close(state.params, {name: x / 4 for name, x in total.items()}, 1e-6)
    spent = private(noise_multiplier=1.0).epsilon(10, delta=1e-3)
    given = {"noise_multiplier": 1.0, "sample_rate": 4 / 12, "steps": 10, "delta": 1e-3}
    assert spent == privacy.epsilon(**given)


def test_dp_fedavg_adds_noise_of_the_right_size():
    w = rounds(private(max_norm=1e-6, noise_multiplier=1e6), 1).params["w"]
    assert stats.kstest(np.ravel(w) * 4, "norm").pvalue > 1e-3


def test_a_client_that_diverges_makes_the_loss_nan_which_ends_a_run():
    state = rounds(private(optimizer=jo.sgd(1e38)), 1)
    assert np.isnan(state.loss) and np.isfinite(state.params["w"]).all()


def test_rates_of_clients_and_server_are_swept_in_one_program():
    space = averaging(
        optimizer=jo.sgd(jo.log_uniform(1e-3, 1.0)), server=jo.adam(jo.log_uniform(1e-3, 0.1)),
        mu=jo.uniform(0.0, 1.0),
    )  # fmt: skip
    study = jo.sweep(space, trials=3, steps=5, tile=2, progress=False)
    names = {"optimizer.learning_rate", "estimator.local.learning_rate", "estimator.mu"}
    assert names <= set(study.columns)
    assert rebuild(describe(study.best)) == study.best
    again = jo.fit(study.best, 5, tile=2, progress=False)
    assert again.evaluate("test")["loss"] == study.scores()["test_loss"]


# ------------------------------------------------------------------------------------- splits


@pytest.mark.parametrize("alpha", [0.05, 1.0, 100.0])
def test_a_dirichlet_split_deals_every_example_once(alpha):
    labels = np.repeat(np.arange(5), 400)
    parts = federated.dirichlet_split(labels, 10, alpha, seed=1)
    assert sorted(np.concatenate(list(parts))) == list(range(2000))
    assert parts == federated.dirichlet_split(labels, 10, alpha, seed=1)
    assert parts != federated.dirichlet_split(labels, 10, alpha, seed=2)
    counts = np.array([np.bincount(labels[rows], minlength=5) for rows in parts])
    spread = (
        np.var(counts / 400, axis=0).mean() * 10 / 9
    )  # of Dirichlet: (K - 1)/K^2 / (K alpha + 1)
    wanted = (9 / 100) / (10 * alpha + 1)
    assert 0.4 * wanted < spread < 2.5 * wanted


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"clients_per_round": 13}, "clients_per_round = 13: wanted 1 to 12"),
        ({"epochs": 0}, "epochs = 0: wanted an integer, at least 1"),
        ({"batch_size": 0}, "batch_size = 0: wanted an integer, at least 1"),
        ({"noise_multiplier": 1.0}, "noise_multiplier: wanted max_norm too"),
        ({"clients": federated.Clients.of([[0], [1078]])}, "row 1078 of 1078 training examples"),
        ({"regularizer": jo.proximal(jo.L1(0.1))}, "regularizer: wanted a penalty"),
    ],
)
def test_what_is_wrong_is_named(wrong, says):
    with pytest.raises(ValueError, match=says):
        jo.fit(averaging(**wrong), 1)


def test_splits_name_what_is_wrong():
    with pytest.raises(TypeError, match="wanted data = Data without folds, and clients = Clients"):
        jo.fit(averaging(clients=[[0], [1]]), 1)
    with pytest.raises(ValueError, match="none of which belongs to two clients"):
        federated.Clients.of([[0, 1], [1]])
    with pytest.raises(ValueError, match="rows in at least one"):
        federated.Clients.of([[]])
    for given, says in (
        ((np.zeros((2, 2)), 2, 1.0), "labels have shape"), (([0], 0, 1.0), "clients = 0"),
        (([0], 1, 0.0), "alpha = 0.0"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            federated.dirichlet_split(*given)
    with pytest.raises(ValueError, match="only with max_norm and noise_multiplier"):
        averaging().epsilon(1, delta=1e-5)


def test_a_secure_sum_never_makes_a_number_of_what_is_none():
    key, updates = jax.random.key(0), jnp.array([[0.5, jnp.nan], [0.25, 0.5]])
    total = federated.secure_sum(key, updates, limit=1.0)
    assert total[0] == pytest.approx(0.75) and jnp.isnan(total[1])
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"limit = {wrong}: wanted a number above 0"):
            federated.secure_sum(key, updates, limit=wrong)
