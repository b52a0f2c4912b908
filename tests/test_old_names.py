"""Names of version 0.1: resolved with a warning, or refused with the new one; never misread."""

import copy
import dataclasses
import inspect
import pickle

import pytest

import jaxopt_edu as jo
from jaxopt_edu.values.names import name_of_today, with_parts
from jaxopt_edu.values.old_names import MOVED

PARTS = {
    "model": jo.models.Linear(4, 3),
    "loss": jo.losses.softmax_cross_entropy_with_integer_labels,
    "data": jo.data.load("iris"),
}
PRIVATE = jo.privacy.PrivateTraining(
    **PARTS, optimizer=jo.sgd(0.1), batch_size=8, max_norm=1.0, noise_multiplier=2.0, microbatch=4
)
CLIENTS = jo.federated.Clients.of([range(0, 20), range(20, 30)])
FEDERATED = jo.federated.fed_avg(
    **PARTS, clients=CLIENTS, optimizer=jo.sgd(0.1), server=jo.adam(0.5), batch_size=8, epochs=2,
    clients_per_round=1, mu=0.25, max_norm=3.0, noise_multiplier=4.0, at_a_time=1,
)  # fmt: skip
SERVERS = jo.replace(FEDERATED.optimizer, learning_rate=0.7)


def warned(old, new):
    return pytest.warns(DeprecationWarning, match=f"^{old} is called {new} now; .* in 0.3.0$")


# ------------------------------------------------------------------------ names in jo.replace


@pytest.mark.parametrize("name", ["max_norm", "noise_multiplier", "microbatch"])
def test_a_number_of_a_private_training_is_found_by_its_ending(name):
    changed = jo.replace(PRIVATE, **{name: 5})
    assert changed == jo.replace(PRIVATE, **{f"estimator.{name}": 5}) != PRIVATE
    assert getattr(changed.estimator, name) == 5


@pytest.mark.parametrize("name", ["epochs", "clients_per_round", "mu", "max_norm", "at_a_time"])
def test_a_number_of_a_federated_training_is_found_by_its_ending(name):
    changed = jo.replace(FEDERATED, **{name: 1})
    assert getattr(changed.estimator, name) == 1


def test_an_old_name_that_is_an_ending_of_two_names_is_refused_with_both():
    clipped = dataclasses.replace(PRIVATE, optimizer=jo.chain(jo.clip_by_global_norm(9.0)))
    assert "optimizer.0.max_norm" in jo.hyperparameters(clipped)
    with pytest.raises(ValueError, match=r"ambiguous: .*optimizer.0.max_norm, estimator.max_norm"):
        jo.replace(clipped, max_norm=5.0)


def test_the_server_by_its_old_name():
    with warned("server.learning_rate", "optimizer.learning_rate"):
        changed = jo.replace(FEDERATED, **{"server.learning_rate": 0.7})
    assert changed == dataclasses.replace(FEDERATED, optimizer=SERVERS)
    with warned("server", "optimizer"):
        assert jo.replace(FEDERATED, server=SERVERS) == changed
    with warned("batch_size", "estimator.batch_size"):
        changed = jo.replace(FEDERATED, batch_size=3)
    assert changed.estimator.batch_size == 3 and changed.batch_size is None


@pytest.mark.parametrize("name", ["optimizer", "optimizer.learning_rate", "optimizer.momentum"])
def test_what_was_the_clients_and_is_the_servers_is_refused_with_both_ways_out(name):
    rest = name.removeprefix("optimizer")
    ways = rf"'estimator.local{rest}' for the clients', 'server{rest}' for the server's until 0.3.0"
    with pytest.raises(ValueError, match=f"'{name}' was the clients' before 0.2.0 .*{ways}"):
        jo.replace(FEDERATED, **{name: 0.7})
    with pytest.raises(ValueError, match=ways):
        jo.replace({"a": FEDERATED}, **{f"a.{name}": 0.7})
    with pytest.raises(ValueError, match=ways):
        jo.replace([FEDERATED], **{name: 0.7})


def test_the_ways_out_are_ways():
    changed = jo.replace(FEDERATED, **{"estimator.local.learning_rate": 0.7})
    assert changed.estimator.local.learning_rate == 0.7
    assert changed.optimizer == FEDERATED.optimizer
    with pytest.raises(ValueError, match="may mean optimizer.learning_rate, estimator.local"):
        jo.replace(FEDERATED, learning_rate=0.7)
    assert jo.replace(FEDERATED, b1=0.7).optimizer.b1 == 0.7  # the clients' have no such number
    assert jo.replace(FEDERATED, momentum=0.7).estimator.local.momentum == 0.7


def test_names_of_columns_are_those_of_today():
    changed = with_parts(FEDERATED, {"optimizer.learning_rate": 0.7})
    assert changed == dataclasses.replace(FEDERATED, optimizer=SERVERS)
    assert name_of_today(PRIVATE, "optimizer.learning_rate") == "optimizer.learning_rate"
    assert jo.replace(PRIVATE, **{"optimizer.learning_rate": 0.7}).optimizer == jo.sgd(0.7)
    choice = jo.one_of(FEDERATED, PRIVATE)
    assert name_of_today(choice, "server.learning_rate") == "server.learning_rate"


def test_a_learning_rate_is_found_by_a_name_of_today():
    def found(name):
        return jo.find_learning_rate(FEDERATED, 1, name=name)

    with pytest.raises(ValueError, match="'optimizer.learning_rate' was the clients'"):
        found("optimizer.learning_rate")
    with pytest.raises(ValueError, match="may mean optimizer.learning_rate, estimator.local"):
        found("learning_rate")


@pytest.mark.parametrize("name", ["max_norm", "microbatch", "clients", "mu", "server"])
def test_a_field_that_a_training_had_is_refused_by_dataclasses(name):
    new = "optimizer" if name == "server" else f"estimator.{name}"
    with pytest.raises(TypeError, match=f"{name} is called {new} now: .*jo.replace.*{name}=..."):
        dataclasses.replace(FEDERATED, **{name: 1})


# --------------------------------------------------------------------------------- attributes


@pytest.mark.parametrize("training", [PRIVATE, FEDERATED])
def test_attributes_by_their_old_names(training):
    for old, new in MOVED[training.estimator.was].items():
        if old in ("optimizer", "batch_size"):
            continue  # names of other things
        wanted = training
        for part in new.split("."):
            wanted = getattr(wanted, part)
        with warned(old, new):
            assert getattr(training, old) is wanted


def test_attributes_that_there_never_were():
    for training, name in ((PRIVATE, "server"), (PRIVATE, "mu"), (FEDERATED, "microbatch")):
        with pytest.raises(AttributeError, match=f"'Training' object has no attribute '{name}'"):
            getattr(training, name)
    plain = jo.Training(**PARTS, optimizer=jo.sgd(0.1))
    assert not any(hasattr(plain, name) for name in ("max_norm", "clients", "_x", "__len__"))
    assert copy.deepcopy(PRIVATE) == pickle.loads(pickle.dumps(PRIVATE)) == PRIVATE


def test_classes_that_became_functions():
    with warned("jaxopt_edu.federated.FedAvg", "fed_avg"):
        made = jo.federated.FedAvg
    assert made is jo.federated.fed_avg
    with pytest.raises(AttributeError, match=r"FedState is jo.TrainingState now: \(params, "):
        _ = jo.federated.FedState
    with pytest.raises(AttributeError, match="module 'jaxopt_edu.federated' has no .* 'FedProx'"):
        _ = jo.federated.FedProx


def test_the_norm_of_the_gradient_is_no_part_of_the_state():
    optimizer = {"optimizer": jo.sgd(0.1)}
    with pytest.raises(TypeError, match="track_gradient_norm is gone: tol= ends"):
        jo.Training(**PARTS, **optimizer, track_gradient_norm=True)
    with pytest.raises(TypeError, match="track_gradient_norm is gone: tol= ends"):
        dataclasses.replace(PRIVATE, track_gradient_norm=True)
    with pytest.raises(ValueError, match="track_gradient_norm is gone: tol= ends"):
        jo.replace(PRIVATE, track_gradient_norm=True)
    with pytest.raises(AttributeError, match="track_gradient_norm is gone: tol= ends"):
        _ = PRIVATE.track_gradient_norm
    assert "estimator" in inspect.signature(jo.Training).parameters
    with pytest.raises(TypeError, match="positional arguments"):  # the eighth was that
        jo.Training(*PARTS.values(), jo.sgd(0.1), None, None, None, True)


@pytest.mark.parametrize("name", ["gradient", "take_step", "dropout_key"])
def test_a_class_that_overrides_what_nothing_calls_is_refused(name):
    with pytest.raises(TypeError, match=rf"Mine.{name}: a Training has no {name} since 0.2.0"):
        type("Mine", (jo.Training,), {name: lambda self: None})
    assert issubclass(type("Mine", (jo.Training,), {"penalty": lambda self, p: 0.0}), jo.Training)
