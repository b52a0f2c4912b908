"""Laws of values: equality, hash, repr, pickle, names and replacement."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxopt_edu as jo

NAMES = {**vars(jo), **vars(jo.models), **vars(jo.losses), **vars(jo.data)}
DATA = jo.data.load("wine", seed=1)
TRAINING = jo.Training(
    model=jo.models.MLP((13, 8, 3), "tanh", dropout=0.1),
    loss=jo.losses.softmax_cross_entropy_with_integer_labels,
    optimizer=jo.chain(jo.sgd(0.5), jo.adamw(1e-3, mask={"w": True, "b": False})),
    data=DATA,
    regularizer=jo.proximal(jo.L1(1e-4)),
    batch_size=16,
)
VALUES = [
    jo.adam(1e-3),
    jo.adam(jo.cosine_decay_schedule(0.1, 100)),
    jo.chain(jo.sgd(0.1), jo.sgd(0.2, momentum=0.9)),
    jo.models.MLP((4, 3, 2)),
    jo.models.Linear(4, intercept=False),
    jo.ElasticNet(0.1),
    DATA,
    TRAINING,
]


@pytest.mark.parametrize("x", VALUES, ids=lambda x: type(x).__name__)
def test_a_value_is_its_repr_its_pickle_and_its_leaves(x):
    leaves, structure = jax.tree.flatten(x)
    for same in (eval(repr(x), NAMES), pickle.loads(pickle.dumps(x)), structure.unflatten(leaves)):
        assert (same == x) is True
        assert hash(same) == hash(x)
    assert x != 1 and x is not None


def test_equality_is_one_bool_over_dtype_value_and_structure():
    lrs = jnp.array([0.1, 0.2])
    batch = jax.vmap(jo.adam)(lrs)
    assert (batch == jax.vmap(jo.adam)(lrs)) is True
    assert (batch == jax.vmap(jo.adam)(lrs + 1)) is False
    assert jo.adam(1) != jo.adam(1.0)
    assert jo.adam(jnp.float32(0.5)) != jo.adam(0.5)
    assert jo.adam(0.1) != jo.adam(0.1, nesterov=True)
    assert jo.adam(0.1) != jo.nadam(0.1)
    assert jo.adam(jnp.array(jnp.nan)) == jo.adam(jnp.array(jnp.nan))
    with pytest.raises(TypeError, match="unhashable"):
        hash(batch)


def test_a_value_is_frozen():
    with pytest.raises(AttributeError):
        jo.adam(0.1).learning_rate = 0.2


def test_names_of_numbers_leave_data_out_and_number_the_links_of_a_chain():
    named = jo.hyperparameters(TRAINING)
    assert list(named) == [
        "model.dropout", "model.gain", "optimizer.0.learning_rate", "optimizer.1.learning_rate",
        "optimizer.1.b1", "optimizer.1.b2", "optimizer.1.eps", "optimizer.1.eps_root",
        "optimizer.1.weight_decay", "regularizer.weight",
    ]  # fmt: skip
    assert jo.hyperparameters(jo.adam({"w": 0.1, "b": 0.2}))["learning_rate.w"] == 0.1


def test_replace_takes_full_names_endings_and_parts():
    new = jo.replace(TRAINING, **{"optimizer.1.b1": 0.5, "dropout": 0.3, "batch_size": 8})
    assert new.optimizer.transforms[1].b1 == 0.5
    assert new.model.dropout == 0.3
    assert new.batch_size == 8
    assert jo.replace(TRAINING, sizes=(13, 3)).model.sizes == (13, 3)
    assert jo.replace(jo.adam({"w": 0.1}), **{"learning_rate.w": 0.3}).learning_rate == {"w": 0.3}
    assert jo.replace(TRAINING, **jo.hyperparameters(TRAINING)) == TRAINING


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1.0}, "ambiguous.*optimizer.0.learning_rate, optimizer.1.learning_rate"),
        ({"dropuot": 0.1}, "unknown name 'dropuot'; did you mean 'model.dropout'"),
        ({"dropout": 1.5}, r"dropout = 1.5 is outside \[0, 1\)"),
        ({"activation": "rleu"}, "activation = 'rleu' is unknown; did you mean 'relu'"),
    ],
)
def test_replace_says_what_is_wrong(changes, message):
    with pytest.raises(ValueError, match=message):
        jo.replace(TRAINING, **changes)


def test_bad_numbers_are_named_when_a_value_is_made():
    for make, message in [
        (lambda: jo.adam(-1.0), r"learning_rate = -1.0 is outside \[0, inf\)"),
        (lambda: jo.adam(1e-3, b1=1.0), r"b1 = 1.0 is outside \[0, 1\)"),
        (lambda: jo.adam(np.float32(-1)), "learning_rate"),
        (lambda: jo.adam(float("nan")), "learning_rate"),
        (lambda: jo.L1(-1.0), "weight"),
        (lambda: jo.adam(1e-3, b2=jo.uniform(0.5, 1.5)), r"b2 = uniform\(0.5, 1.5\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(TypeError, match="learning_rate = '0.1': wanted a number"):
        jo.adam("0.1")


def test_jax_may_put_anything_in_the_fields():
    axes = jo.adam(0, None, None, None, None)
    lrs = jnp.arange(3.0)
    steps = jax.vmap(lambda o, x: o.learning_rate * x, in_axes=(axes, None))(jo.adam(lrs), 2.0)
    np.testing.assert_array_equal(steps, 2 * lrs)
    assert jax.eval_shape(jo.adam, 0.1).learning_rate.shape == ()
    assert jax.tree.map(lambda _: object(), jo.sgd(0.1, momentum=0.9)).nesterov is False
    in_axes = jo.replace(TRAINING, **{name: 0 for name in jo.hyperparameters(TRAINING)})
    assert jax.tree.structure(in_axes) == jax.tree.structure(TRAINING)


def test_a_plain_function_is_structure():
    opt = jo.adam(lambda t: 0.1 / (1 + t))
    assert jax.tree.leaves(opt) == [0.9, 0.999, 1e-8, 0.0]
    u, _ = jax.jit(lambda o, g: o.update(g, o.init(g)))(opt, jnp.ones(2))
    np.testing.assert_allclose(u, -0.1, rtol=1e-6)
