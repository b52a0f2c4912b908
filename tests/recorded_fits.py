"""Fits whose numbers are recorded: plain, in parts, on a mesh, of streams, private, federated."""

import dataclasses
import functools
import tempfile

import jax
import numpy as np

import jaxopt_edu as jo

STEPS = 50
FEATURES, CLASSES = 5, 3
CROSS_ENTROPY = jo.losses.softmax_cross_entropy_with_integer_labels


def case(make):
    """Marks a function as one whose results are recorded."""
    make.recorded = True
    return make


# --------------------------------------------------------------------------- what they train on


@functools.cache
def labelled():
    """60 rows of 5 features in 3 classes of unequal size; 36 to train on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, FEATURES))
    scores = x @ rng.normal(size=(FEATURES, CLASSES)) + rng.normal(size=(60, CLASSES))
    y = np.argmax(scores + [1.0, 0.0, 0.0], axis=1)
    return jo.data.from_arrays(x, y, seed=1)


@functools.cache
def measured():
    """50 rows of 6 features and a number to predict; 30 to train on."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(50, 6))
    y = x @ [2.0, -1.0, 0.5, 0.0, 0.0, 0.0] + 0.3 * rng.normal(size=50)
    return jo.data.from_arrays(x, y, seed=2, task="regression")


@functools.cache
def images():
    """60 images of 6 by 6 points in 3 classes."""
    rng = np.random.default_rng(2)
    y = np.arange(60) % CLASSES
    x = rng.normal(size=(60, 6, 6)) + 0.5 * rng.normal(size=(CLASSES, 6, 6))[y]
    return jo.data.from_arrays(x.reshape(60, 36), y, seed=3, prepare=None)


def linear(optimizer=None, **more):
    """A linear classifier."""
    return jo.Training(
        model=jo.models.Linear(FEATURES, CLASSES), loss=CROSS_ENTROPY,
        optimizer=optimizer or jo.sgd(0.1), data=labelled(),
    ) if not more else dataclasses.replace(linear(optimizer), **more)  # fmt: skip


def mlp(optimizer=None, dropout=None, **more):
    """A network of 8 hidden units."""
    model = jo.models.MLP((FEATURES, 8, CLASSES), "tanh", dropout=dropout)
    return linear(optimizer, model=model, **more)


def line(optimizer, **more):
    """A linear regression."""
    experiment = jo.Training(
        model=jo.models.Linear(6), loss=jo.losses.squared_error, optimizer=optimizer,
        data=measured(),
    )  # fmt: skip
    return dataclasses.replace(experiment, **more)


def fit(experiment, steps=STEPS, **more):
    return jo.fit(experiment, steps, **{"seed": 1, "eval_every": 10, "progress": False} | more)


# ---------------------------------------------------------------------------------------- fits


@case
def fit_whole_batch():
    return fit(linear(jo.sgd(0.1, momentum=0.9)))


@case
def fit_breast_cancer():
    cancer = jo.data.load("breast_cancer")
    model, loss = jo.models.Linear(30), jo.losses.sigmoid_binary_cross_entropy
    return fit(jo.Training(model, loss, jo.adam(0.01), cancer, jo.L2(1e-3), batch_size=64))


@case
def fit_batches_l2():
    return fit(mlp(jo.adam(0.01), regularizer=jo.L2(1e-2), batch_size=8))


@case
def fit_one_example():
    return fit(linear(jo.sgd(0.02), batch_size=1))


@case
def fit_proximal():
    return fit(line(jo.sgd(0.1), regularizer=jo.proximal(jo.L1(0.2))))


@case
def fit_proximal_adagrad():
    return fit(
        line(jo.adagrad(0.2), regularizer=jo.proximal(jo.ElasticNet(0.2, 0.1)), batch_size=10)
    )


@case
def fit_decoupled():
    return fit(mlp(jo.adam(0.01), regularizer=jo.decoupled(jo.L2(0.1)), batch_size=8))


@case
def fit_prior():
    return fit(linear(jo.sgd(0.1), regularizer=jo.prior(jo.L2(1.0)), batch_size=8))


@case
def fit_dropout():
    return fit(mlp(jo.adam(0.01), dropout=0.2, batch_size=12))


@case
def fit_augmented():
    augment = jo.augment.chain(jo.augment.noise(0.1), jo.augment.mixup(0.4))
    return fit(linear(jo.sgd(0.1), augment=augment, batch_size=12))


@case
def fit_balanced():
    return fit(linear(jo.sgd(0.1), balanced=True, batch_size=9))


@case
def fit_schedule_and_clipping():
    rate = jo.warmup_cosine_decay_schedule(0.0, 0.02, 10, STEPS)
    return fit(mlp(jo.chain(jo.clip_by_global_norm(0.5), jo.adam(rate)), batch_size=8))


@case
def fit_optax():
    import optax

    return fit(mlp(jo.from_optax(optax.adamw, 0.01), batch_size=8))


@case
def fit_convolutions():
    model = jo.models.CNN((6, 6), CLASSES, filters=(3, 4), hidden=(6,), dropout=0.1)
    return fit(jo.Training(model, CROSS_ENTROPY, jo.adam(0.01), images(), batch_size=12))


@case
def fit_transformer():
    model = jo.models.Transformer(36, CLASSES, tokens=6, width=6, heads=2, hidden=8)
    sgd = jo.sgd(0.05)  # keys have biases that change nothing: Adam would amplify their rounding
    return fit(jo.Training(model, CROSS_ENTROPY, sgd, images(), batch_size=12))


@case
def fit_to_a_tolerance():
    return fit(line(jo.sgd(0.2)), 500, tol=1e-4)


@case
def fit_proximal_to_a_tolerance():
    return fit(line(jo.sgd(0.2), regularizer=jo.proximal(jo.L1(0.2))), 500, tol=1e-4)


@case
def fit_with_patience():
    return fit(mlp(jo.sgd(0.5)), 400, patience=3, metric="accuracy")


@case
def fit_diverged():
    return fit(line(jo.sgd(0.9)), diverge_above=100.0)


@case
def fit_train_curve_in_a_tile():
    return fit(mlp(jo.adam(0.02), batch_size=8), train_curve=True, tile=4)


# ----------------------------------------------------------- fits in parts, of streams, in stores


def mesh():
    """All devices there are: one, or as many as a process was told to have."""
    return jax.make_mesh((jax.device_count(),), ("data",))


def shares(torn=None):
    """Batches of 10 training rows, the last one of 6; an error after so many, if any."""
    x, y = labelled().train
    for i, start in enumerate(range(0, len(x), 10)):
        if i == torn:
            raise InterruptedError
        yield x[start : start + 10], y[start : start + 10]


@case
def fit_in_parts():
    return fit(mlp(jo.adam(0.01), regularizer=jo.L2(1e-2), batch_size=10), accumulate=3)


@case
def fit_in_parts_with_dropout():
    return fit(mlp(jo.adam(0.01), dropout=0.2, batch_size=12), accumulate=2)


@case
def fit_on_a_mesh():
    return fit(mlp(jo.adam(0.01), regularizer=jo.L2(1e-2), batch_size=10), mesh=mesh())


@case
def fit_on_a_mesh_in_parts():
    return fit(mlp(jo.sgd(0.1, momentum=0.5), batch_size=16), mesh=mesh(), accumulate=2)


@case
def fit_on_a_mesh_to_its_end():
    given = {"mesh": mesh(), "tol": 1e-4}
    return {
        "converged": fit(line(jo.sgd(0.2)), 500, **given),
        "diverged": fit(line(jo.sgd(0.9)), mesh=mesh(), diverge_above=100.0),
        "patient": fit(mlp(jo.sgd(0.5)), 400, mesh=mesh(), patience=3, metric="accuracy"),
    }


@case
def fit_stream():
    return fit(mlp(jo.adam(0.01), regularizer=jo.L2(1e-2)), batches=shares)


@case
def fit_stream_of_a_list():
    return fit(linear(jo.sgd(0.1)), batches=list(shares()), accumulate=2, patience=3)


@case
def fit_stream_with_dropout():
    return fit(mlp(jo.adam(0.01), dropout=0.2), batches=shares, mesh=mesh())


@case
def fit_in_a_store():
    with tempfile.TemporaryDirectory() as store:
        once = fit(mlp(jo.adam(0.01), dropout=0.2, batch_size=12), store=store)
        again = fit(mlp(jo.adam(0.01), dropout=0.2, batch_size=12), store=store)
    return {"once": once, "again": again}


@case
def fit_torn_and_resumed():
    epochs = iter(range(100))
    experiment = mlp(jo.adam(0.01))

    def torn():
        return shares(2 if next(epochs) == 7 else None)

    with tempfile.TemporaryDirectory() as store:
        try:
            fit(experiment, batches=torn, store=store)
        except InterruptedError:
            return fit(experiment, batches=shares, store=store)
    raise AssertionError("the stream was to be torn")


# ------------------------------------------------------------------------ private and federated


def private(noise, batch_size=8, max_norm=0.5, optimizer=None, **more):
    return jo.privacy.PrivateTraining(
        model=jo.models.Linear(FEATURES, CLASSES), loss=CROSS_ENTROPY,
        optimizer=optimizer or jo.sgd(0.1), data=labelled(), batch_size=batch_size,
        max_norm=max_norm, noise_multiplier=noise, **more,
    )  # fmt: skip


@case
def private_without_noise():
    return fit(private(0.0, None))


@case
def private_with_noise():
    run = fit(private(1.0))
    epsilon = run.experiment.epsilon(STEPS, delta=1e-3)
    return {"run": run, "epsilon": epsilon, "rate": run.experiment.sample_rate}


@case
def private_in_chunks_with_a_penalty():
    return fit(private(0.5, microbatch=3, regularizer=jo.L2(1e-2), optimizer=jo.adam(0.01)))


@case
def private_network():
    model = jo.models.MLP((FEATURES, 6, CLASSES), "tanh", dropout=0.2)
    experiment = private(0.5, augment=jo.augment.noise(0.1))
    return fit(dataclasses.replace(experiment, model=model))


def federated(optimizer=None, **more):
    clients = jo.federated.dirichlet_split(labelled().train.y, 6, alpha=1.0, seed=1)
    return jo.federated.fed_avg(
        model=jo.models.Linear(FEATURES, CLASSES), loss=CROSS_ENTROPY, data=labelled(),
        clients=clients, optimizer=optimizer or jo.sgd(0.05), **more,
    )  # fmt: skip


@case
def federated_plain():
    return fit(federated())


@case
def federated_sampled():
    return fit(federated(batch_size=4, epochs=2, clients_per_round=3, at_a_time=2))


@case
def federated_proximal():
    return fit(federated(batch_size=4, epochs=2, mu=0.5, regularizer=jo.L2(1e-2)))


@case
def federated_server_adam():
    return fit(federated(jo.sgd(0.05, momentum=0.5), server=jo.adam(0.01), batch_size=4))


@case
def federated_private():
    experiment = federated(batch_size=4, clients_per_round=3, max_norm=0.1, noise_multiplier=0.5)
    return {"run": fit(experiment), "epsilon": experiment.epsilon(STEPS, delta=1e-2)}


@case
def federated_secure():
    return fit(federated(batch_size=4, secure=jo.federated.SecureSum(limit=1.0)))
