"""One program for all splits: where data come from is not what a program is compiled for."""

import dataclasses
import pickle

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.engine.telemetry import Compilations

RATES = jo.sgd(jo.log_uniform(1e-2, 1.0))
CLASSES = np.arange(150) % 3
WORDS = np.array(["red", "green", "blue"])[CLASSES]


def others():
    """Data of the shapes of iris: another seed, preparation, file, names, and labels."""
    x = np.random.default_rng(0).normal(size=(150, 4))
    x[:, 0] += 4 * CLASSES
    return [
        jo.data.load("iris", seed=1),
        jo.data.load("iris", prepare="min_max"),
        jo.data.from_arrays(x, WORDS, features=tuple("pqrs"), name="mine"),
    ]


def training(data, optimizer=None, **more):
    return jo.Training(
        model=jo.models.Linear(4, 3), loss=jo.losses.softmax_cross_entropy_with_integer_labels,
        optimizer=optimizer or jo.sgd(0.1), data=data, **more,
    )  # fmt: skip


def federated(data):
    clients = jo.federated.Clients.of(np.arange(90).reshape(3, 30))
    e = training(data)
    return jo.federated.fed_avg(
        model=e.model, loss=e.loss, data=data, clients=clients, optimizer=e.optimizer
    )


def private(data):
    return training(data, batch_size=8, estimator=jo.Private(1.0, 1.0))


WAYS = {
    "fit": lambda d: jo.fit(training(d, batch_size=8), 3),
    "sweep with folds": lambda d: jo.sweep(training(d, RATES), 4, steps=3, folds=3),
    "hypergradient": lambda d: jo.hypergradient(training(d), 3),
}
MORE = {
    "balanced": lambda d: jo.fit(training(d, batch_size=8, balanced=True), 3),
    "sweep": lambda d: jo.sweep(training(d, RATES), 4, steps=3),
    "list": lambda d: jo.sweep([training(d), training(d, jo.sgd(0.2))], steps=3),
    "tune": lambda d: jo.tune(training(d, RATES), steps=3, updates=1, starts=2),
    "accumulate": lambda d: jo.fit(training(d, batch_size=8), 3, accumulate=2),
    "rerun": lambda d: jo.sweep(training(d, RATES), 4, steps=3).rerun(0),
    "diagnose": lambda d: jo.diagnose(jo.fit(training(d), 3)),
    "find": lambda d: jo.find_learning_rate(training(d), 40, rates=4),
    "federated": lambda d: jo.fit(federated(d), 3),
    "private": lambda d: jo.fit(private(d), 3),
}


@pytest.mark.parametrize("way", [*WAYS, *(pytest.param(w, marks=pytest.mark.slow) for w in MORE)])
def test_another_split_of_equal_shapes_compiles_nothing(way):
    run = (WAYS | MORE)[way]
    run(jo.data.load("iris"))
    for data in others():
        with Compilations() as compiled:
            run(data)
        assert compiled.as_dict() == {"engine": 0, "other": 0}, data


def test_programs_that_share_do_not_share_results():
    """The numbers are those of each data set's own, alone in a fresh process or not."""
    runs = [jo.fit(training(d), 3) for d in (jo.data.load("iris"), *others())]
    assert len({run.scores["test"]["loss"] for run in runs}) == len(runs)
    with jax.disable_jit():
        for run in runs:
            e = run.experiment
            x, y = e.data.test
            loss = e.loss(e.model.apply(run.state.params, x), y).mean()
            np.testing.assert_allclose(run.scores["test"]["loss"], loss, rtol=1e-5)


def test_experiments_on_different_data_are_not_merged():
    """A list whose experiments differ in their data only has a structure for each."""
    different = [training(d) for d in (jo.data.load("iris"), *others())]
    study = jo.sweep(different, steps=3)
    for k, e in enumerate(different):
        assert study.experiment(k).data == e.data
        wanted = jo.fit(e, 3).scores["validation"]["loss"]
        np.testing.assert_allclose(study.columns["validation_loss"][k], wanted, rtol=1e-5)


def test_a_compiled_function_is_not_told_what_may_differ():
    data, other = jo.data.load("iris"), others()[2]
    total = jax.jit(lambda d: d.train.x.sum())
    np.testing.assert_allclose(total(data), data.train.x.sum(), atol=1e-3)
    np.testing.assert_allclose(total(other), other.train.x.sum(), atol=1e-3)
    for ask in (
        lambda d: d.features[0], lambda d: len(d.targets), lambda d: d.prepare(data.train.x),
        lambda d: list(d.labels), lambda d: d.source.seed, lambda d: dict.fromkeys(d.features),
    ):  # fmt: skip
        with pytest.raises(TypeError, match="inside a compiled function data have no names"):
            jax.jit(ask)(data)
    assert jax.jit(lambda d: d.n_classes * d.train.x.shape[1])(data) == 12
    for same in (pickle.loads(pickle.dumps(data)), jax.tree.map(lambda x: x, data)):
        assert same == data and same.labels == (0, 1, 2) and same.features == data.features
    assert dataclasses.replace(data, task="regression").source is data.source
