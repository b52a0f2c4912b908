"""Edges that users have come upon: what runs there, and what is refused by name."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

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
