"""Edges that users have come upon: what runs there, and what is refused by name."""

import dataclasses
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.engine import collectives
from jaxopt_edu.search.confidence import interval
from jaxopt_edu.storage import disk
from jaxopt_edu.values import environment

IRIS = jo.Training(
    model=jo.models.Linear(4, 3),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.sgd(0.1),
    data=jo.data.load("iris"),
    batch_size=16,
)


def test_an_optimizer_may_begin_with_infinity():
    """The best value so far, say: the params tell whether a training diverged."""
    optax = pytest.importorskip("optax")

    def plateau(learning_rate):
        rule = optax.contrib.reduce_on_plateau(patience=2, accumulation_size=10)
        return optax.chain(optax.sgd(learning_rate), rule)

    one = dataclasses.replace(IRIS, optimizer=jo.from_optax(plateau, 0.1))
    run = jo.fit(one, 20, eval_every=5)
    assert (run.status, run.steps) == ("finished", 20)
    space = jo.replace(one, learning_rate=jo.uniform(0.05, 0.1))
    study = jo.sweep(space, 2, steps=20, eval_every=5, tile=2)
    assert study.columns["status"].tolist() == ["finished"] * 2


@jo.pytree
class Best(jo.Experiment):
    """A state that holds the best value so far, infinity at first."""

    rate: float

    def init(self, key):
        return jnp.ones(()), jnp.array(jnp.inf)

    def step(self, state, t, key):
        w, best = state
        best = jnp.where(t > 4, jnp.minimum(best, w**2), best)
        return (w - self.rate * w, best), jo.Step(loss=w**2)

    def score(self, state, split):
        return {"loss": state[0] ** 2}


class Watched(Best):
    def watched(self, state):
        return state[0]


def test_an_experiment_says_what_must_stay_finite():
    assert jo.fit(Best(0.1), 8, eval_every=2).status == "diverged"
    run = jo.fit(jo.pytree(Watched)(0.1), 8, eval_every=2)
    assert (run.status, run.steps) == ("finished", 8)


def test_a_stored_study_says_what_it_could_not_name(tmp_path):
    optax = pytest.importorskip("optax")
    made = jo.from_optax(lambda learning_rate: optax.adam(learning_rate), jo.uniform(0.01, 0.1))
    space = dataclasses.replace(IRIS, optimizer=made)
    jo.sweep(space, 2, steps=2, tile=2, store=tmp_path)
    loaded = jo.load_study(tmp_path)
    for asked in (lambda: loaded.best, lambda: loaded.rerun(0), lambda: loaded.confirm(1, 1)):
        with pytest.raises(ValueError, match=r"optimizer.* could not name: load_study\(.*space="):
            asked()
    assert jo.load_study(tmp_path, space=space).best.optimizer is not None


def test_folds_of_a_stream_are_refused():
    x, y = (np.asarray(z[:16]) for z in IRIS.data.train[:2])
    space = dataclasses.replace(IRIS, batch_size=None, optimizer=jo.sgd(jo.uniform(0.01, 0.1)))
    with pytest.raises(ValueError, match="folds: not with batches"):
        jo.sweep(space, 2, steps=2, folds=2, batches=[(x, y)])


def test_a_curve_that_was_not_taken_is_not_left_out(tmp_path):
    jo.fit(IRIS, 4, store=tmp_path)
    with pytest.raises(ValueError, match="train_curve was false, now true"):
        jo.fit(IRIS, 4, store=tmp_path, train_curve=True)


def test_parts_do_not_change_a_step_uphill():
    with jax.enable_x64(True):
        data = jo.data.load("iris")
        one = dataclasses.replace(IRIS, data=data, estimator=jo.Sharpness(0.5))
        whole, parts = (jo.fit(one, 6, accumulate=k).params for k in (1, 4))
    for x, y in zip(jax.tree.leaves(whole), jax.tree.leaves(parts), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "estimator, name",
    [
        (lambda: jo.Sharpness(jo.linear_schedule(0.1, 0.0, 10)), "Sharpness: rho"),
        (lambda: jo.Sharpness(None), "Sharpness: rho = None"),
        (lambda: jo.InParts(2, of=jo.Sharpness(None)), "Sharpness: rho = None"),
        (lambda: jo.Private(None, 1.0), "Private: max_norm = None"),
        (lambda: jo.Private(1.0, jo.linear_schedule(1.0, 0.0, 5)), "Private: noise_multiplier"),
    ],
)
def test_numbers_of_an_estimator_are_numbers(estimator, name):
    with pytest.raises(TypeError, match=f"{name}.*: wanted a number"):
        jo.fit(dataclasses.replace(IRIS, estimator=estimator()), 2)


def test_a_secure_sum_is_one():
    clients = jo.federated.dirichlet_split(IRIS.data.train.y, 3, alpha=1.0)
    one = jo.federated.fed_avg(
        model=IRIS.model, loss=IRIS.loss, data=IRIS.data, clients=clients, optimizer=jo.sgd(0.1),
        secure=True,
    )  # fmt: skip
    with pytest.raises(TypeError, match="secure = True: wanted a jo.federated.SecureSum"):
        jo.fit(one, 2)


def told(score=None, done=None):
    scores = score if score is not None else lambda w: {"loss": w}
    kind = type(
        "Own",
        (Best,),
        {
            "step": lambda self, state, t, key: (state, jo.Step(state[0], done)),
            "score": lambda self, state, split: scores(state[0]),
        },
    )
    return jo.pytree(kind)(0.1)


@pytest.mark.parametrize(
    "experiment, why",
    [
        (lambda: told(score=lambda w: w), "Own.score gives .*: wanted a dict of named numbers"),
        (lambda: told(done=jnp.ones(())), "Step: done is float32: wanted a bool"),
        (lambda: type("Bare", (Best,), {})(0.1), "Bare is no pytree.*@jo.pytree"),
    ],
)
def test_an_experiment_of_ones_own_is_told_what_is_wrong(experiment, why):
    with pytest.raises(TypeError, match=why):
        jo.fit(experiment(), 2)


def test_a_module_that_is_made_already_is_refused():
    nnx = pytest.importorskip("flax.nnx")
    module = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    with pytest.raises(TypeError, match="make = .*made already: wanted a function of rngs"):
        jo.models.NNX(module, (1, 4))


def test_a_store_has_a_name():
    with pytest.raises(TypeError, match="store = '': wanted a directory"):
        jo.fit(IRIS, 2, store="")


def test_a_damaged_file_is_not_recommended_to_be_trusted(tmp_path):
    jo.fit(IRIS, 2, store=tmp_path)
    [path] = (tmp_path / "lanes").iterdir()
    path.write_bytes(b"\x80\x04" + path.read_bytes()[2:50])
    with pytest.raises(ValueError, match="damaged") as error:
        jo.fit(IRIS, 2, store=tmp_path)
    assert "allow_pickle" not in str(error.value)


def test_a_stored_model_says_what_it_could_not_name(tmp_path):
    nnx = pytest.importorskip("flax.nnx")
    model = jo.models.NNX(lambda rngs: nnx.Linear(4, 3, rngs=rngs), (1, 4))
    space = dataclasses.replace(IRIS, model=model, optimizer=jo.sgd(jo.uniform(0.01, 0.1)))
    jo.sweep(space, 2, steps=2, tile=2, store=tmp_path)
    with pytest.raises(ValueError, match=r"model.make was .*lambda.* could not name: load_study"):
        jo.load_study(tmp_path).rerun(0)


def test_a_confirmation_that_fails_is_not_deleted(tmp_path, monkeypatch):
    """The command makes anew what is another confirmation, or damaged, and nothing else."""
    from jaxopt_edu.cli import confirming

    study = jo.sweep(jo.replace(IRIS, learning_rate=jo.uniform(0.01, 0.1)), 32, steps=4, tile=2)
    again, why = confirming.confirmed_best(study, 2, tmp_path)
    assert again is not None and not why
    kept = sorted(path.name for path in (tmp_path / "confirm").iterdir())
    other = jo.sweep(jo.replace(IRIS, learning_rate=jo.uniform(0.02, 0.2)), 32, steps=4, tile=2)
    assert confirming.confirmed_best(other, 2, tmp_path)[0] is not None

    def fails(*given, **options):
        raise ValueError("of the training")

    monkeypatch.setattr(confirming.Study, "confirm", fails)
    with pytest.raises(ValueError, match="of the training"):
        confirming.confirmed_best(other, 2, tmp_path)
    assert sorted(path.name for path in (tmp_path / "confirm").iterdir()) == kept


@pytest.mark.parametrize(
    ("ask", "error", "why"),
    [
        (lambda e: e.init(None), NotImplementedError, r"Bare has no init\(key\)"),
        (
            lambda e: e.step(None, 0, None),
            NotImplementedError,
            r"Bare has no step\(state, t, key\)",
        ),
        (lambda e: e.score(None, "test"), NotImplementedError, r"has no score\(state, split\)"),
        (lambda e: e.learn(None, None, 0, None), TypeError, "batches: Bare has no learn.*its own"),
        (lambda e: e.folded(3), TypeError, "folds: Bare has no method folded"),
        (lambda e: e.fold(0), TypeError, "folds: Bare has no method fold$"),
        (lambda e: jo.fit(e, 2), NotImplementedError, "Bare has no init"),
        (lambda e: jo.fit(e, 2, accumulate=2), TypeError, "accumulate: Bare has a step of its own"),
        (lambda e: jo.sweep([e], steps=2, folds=2), TypeError, "Bare has no method folded"),
    ],
)
def test_an_experiment_says_what_it_lacks(ask, error, why):
    with pytest.raises(error, match=why):
        ask(jo.pytree(type("Bare", (jo.Experiment,), {}))())


def test_an_estimator_says_what_it_lacks():
    bare = type("Bare", (jo.Estimator,), {})
    with pytest.raises(NotImplementedError, match=r"Bare has no estimate\(f, params\)"):
        jo.fit(dataclasses.replace(IRIS, estimator=jo.pytree(bare)()), 2)


@pytest.mark.parametrize(
    ("estimator", "why"),
    [
        (lambda: jo.InParts(2, of=3), "InParts: of = 3: wanted an estimator"),
        (lambda: jo.Sharpness(0.1, of=jo.sgd(0.1)), "Sharpness: of = SGD.*: wanted an estimator"),
        (lambda: jo.InParts(2, of=jo.Private(1.0, 1.0)), "of = Private, which chooses its exam"),
    ],
)
def test_what_is_around_an_estimator_wants_one(estimator, why):
    with pytest.raises(TypeError, match=why):
        jo.fit(dataclasses.replace(IRIS, estimator=estimator()), 2)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda x: None, r"there is no array lanes\.state\.params\['w'\]"),
        (
            lambda x: x[:, :2],
            r"lanes\.state\.params\['w'\] has shape \(1, 2, 4\): wanted \(1, 3, 4\)",
        ),
    ],
)
def test_arrays_that_a_checkpoint_lacks_are_named(damage, why, tmp_path):
    jo.fit(IRIS, 2, store=tmp_path)
    [path] = (tmp_path / "lanes").iterdir()
    with np.load(path) as found:
        arrays = dict(found)
    [name] = [name for name in arrays if name.endswith(".params['w']")]
    arrays[name] = damage(arrays[name])
    np.savez(path, **{name: x for name, x in arrays.items() if x is not None})
    with pytest.raises(ValueError, match=rf"{path.name} is damaged or no part of a store: .*{why}"):
        jo.fit(IRIS, 2, store=tmp_path)


def test_versions_of_packages_that_are_not_installed(monkeypatch):
    def missing(package):
        if package == "scipy":
            raise environment.metadata.PackageNotFoundError(package)
        return f"{package}'s"

    environment._version.cache_clear()
    monkeypatch.setattr(environment.metadata, "version", missing)
    try:
        told = environment.versions()
    finally:
        environment._version.cache_clear()
    assert (told["scipy"], told["jax"]) == ("not installed", "jax's")
    with pytest.raises(ImportError, match=r"this needs no_such: pip install 'no_such'"):
        environment.need("this", "json", "no_such")


def own(step):
    """An experiment with this step."""
    kind = type("Own", (Best,), {"step": lambda self, state, t, key: step(state)})
    return jo.pytree(kind)(0.1)


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (lambda s: ({"w": s[0]}, jo.Step()), "step changes the structure of the state: .* became"),
        (
            lambda s: ((s[0], s[1] * jnp.ones(2)), jo.Step()),
            r"state\[1\]: float32\[\] became .*\[2\]",
        ),
        (lambda s: ((s[0] > 0, s[1]), jo.Step()), r"state\[0\]: float32\[\] became bool\[\]"),
        (lambda s: (s, jo.Step(jnp.ones(3))), r"Step: loss has shape \(3,\): wanted one number"),
        (lambda s: s, "Own.step gives tuple|wanted the new state and a jo.Step"),
    ],
)
def test_a_step_that_gives_another_state_is_told(step, why):
    with pytest.raises(TypeError, match=why):
        jo.fit(own(step), 2)
    with pytest.raises(TypeError, match=why):
        jo.sweep([own(step)], steps=2)


class Kept:
    """Batches that go on from a state, which may be none that JSON has."""

    def __init__(self, state):
        self.made = state

    def __iter__(self):
        return self

    def __next__(self):
        return np.asarray(IRIS.data.train.x[:16]), np.asarray(IRIS.data.train.y[:16])

    def get_state(self):
        return self.made

    def set_state(self, state):
        self.made = state


def test_streams_whose_state_no_store_can_keep_or_take_are_told(tmp_path):
    one = dataclasses.replace(IRIS, batch_size=None)
    with pytest.raises(TypeError, match="no store can keep their state .*set.*batches=lambda"):
        jo.fit(one, 2, batches=Kept({1, 2}), store=tmp_path / "set")
    jo.fit(one, 2, batches=Kept(b"bytes"), store=tmp_path / "kept")
    batch = next(Kept(None))
    with pytest.raises(ValueError, match="those of the store had a state.*these do not"):
        jo.fit(one, 4, batches=[batch] * 4, store=tmp_path / "kept", eval_every=2)


SPACE = jo.replace(IRIS, learning_rate=jo.uniform(0.01, 0.1))
OTHER = [
    (lambda: jo.sweep(SPACE, 2, steps=2, metric=("loss", "accuracy"), mode=("min",)),
     r"mode = \('min',\): wanted one for each metric of \['loss', 'accuracy'\]"),
    (lambda: interval([1.0, 2.0], None, level=1.0), r"level = 1.0: wanted a number in \(0, 1\)"),
    (lambda: jo.sample(SPACE, 4, sampler=jo.optuna("tpe", batch=2)), "sample: .* learns from"),
    (lambda: jo.sample(jo.one_of(jo.sgd(0.1), jo.adam(0.1)), 2), "sample: the space has 2 struct"),
    (lambda: jo.privacy.noise_multiplier(epsilon=0.1, sample_rate=0.5, steps=9, delta=1e-300),
     "epsilon = 0.1: no noise_multiplier up to"),
    (lambda: collectives.check_same("steps", 3), r"steps differs between the .*: \[3, 4\]"),
]  # fmt: skip


class State(NamedTuple):
    params: Any


@pytest.mark.parametrize(("call", "why"), OTHER)
def test_other_wrong_arguments_are_told(call, why, monkeypatch):
    monkeypatch.setattr(collectives, "all_gather", lambda x: np.stack([x, x + 1]))
    with pytest.raises(ValueError, match=why):
        call()


def test_a_stream_of_another_number_of_processes_is_told(tmp_path):
    one = dataclasses.replace(IRIS, batch_size=None)
    jo.fit(one, 2, batches=Kept("here"), store=tmp_path)
    [path] = (tmp_path / "lanes").iterdir()
    with np.load(path) as found:
        arrays = dict(found)
    *known, state = disk.from_text_array(arrays["stream"])
    arrays["stream"] = disk.text_array([*known, state * 2])
    np.savez(path, **arrays)
    with pytest.raises(ValueError, match="batches came from 2 processes, this job has 1"):
        jo.fit(one, 4, batches=Kept("here"), store=tmp_path, eval_every=2)


def test_what_an_experiment_of_ones_own_predicts_with_are_the_params_of_its_state():
    @jo.pytree
    class Line(jo.Experiment):
        rate: float

        def init(self, key):
            return State(jnp.ones(2))

        def step(self, state, t, key):
            return State((1 - self.rate) * state.params), jo.Step()

        def score(self, state, split):
            return {"loss": jnp.sum(state.params)}

    run = jo.fit(Line(0.5), 3)
    np.testing.assert_array_equal(run.params, [0.125, 0.125])
