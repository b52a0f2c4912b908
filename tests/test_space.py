"""Laws of spaces and samplers."""

import jax
import numpy as np
import pytest

import jaxopt_edu as jo
from jaxopt_edu.search.samplers import SAMPLERS
from jaxopt_edu.search.trials import plan

U = np.linspace(0, 1, 1001)[:-1]
DISTRIBUTIONS = [
    jo.uniform(-1.0, 2.0),
    jo.log_uniform(1e-4, 1e-1),
    jo.int_uniform(3, 7),
    jo.choice(0.1, 0.2, 0.4),
]


@pytest.mark.parametrize("d", DISTRIBUTIONS, ids=repr)
def test_quantiles_are_monotone_and_within_bounds(d):
    x = d.quantile(U)
    low, high = d.bounds()
    assert np.all(np.diff(x) >= 0) and x.min() >= low and x.max() <= high


def test_levels_are_spread_evenly():
    uniform, log, integer, choice = DISTRIBUTIONS
    for d in (uniform, log):  # each in the middle of a fifth
        below = np.searchsorted(d.quantile(U), d.levels(5)) / len(U)
        np.testing.assert_allclose(below, [0.1, 0.3, 0.5, 0.7, 0.9], atol=2e-3)
    assert [integer.levels(n).tolist() for n in (2, 3, 5)] == [[3, 7], [3, 5, 7], [3, 4, 5, 6, 7]]
    assert integer.levels(99).tolist() == [3, 4, 5, 6, 7]
    assert choice.levels(2).tolist() == choice.levels(9).tolist() == [0.1, 0.2, 0.4]


def test_distributions_have_their_shape():
    uniform, log, integer, choice = (d.quantile(U) for d in DISTRIBUTIONS)
    np.testing.assert_allclose(np.diff(uniform), 3 / 1000, rtol=1e-6)
    np.testing.assert_allclose(np.diff(np.log10(log)), 3 / 1000, rtol=1e-6)
    assert np.bincount(integer)[3:].tolist() == [200] * 5
    assert sorted(set(choice.tolist())) == [0.1, 0.2, 0.4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: jo.log_uniform(0, 1), "log_uniform: low = 0 must be above 0"),
        (lambda: jo.log_uniform(-1.0, 1), "log_uniform: low = -1.0 must be above 0"),
        (lambda: jo.uniform(2, 1), "uniform: low = 2 must be below high = 1"),
        (lambda: jo.uniform(0, float("inf")), "uniform: high = inf: wanted a finite number"),
        (lambda: jo.int_uniform(0.5, 2), "int_uniform: low = 0.5: wanted an integer"),
        (lambda: jo.choice(), "choice: no options"),
        (lambda: jo.one_of(), "one_of: no alternatives"),
    ],
)
def test_bad_bounds_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_distribution_refuses_to_be_a_number():
    d = jo.uniform(0, 1)
    for use in (lambda: d + 1, lambda: 2 * d, lambda: float(d), lambda: np.sin(d), lambda: d < 1):
        with pytest.raises(TypeError, match=r"uniform\(0, 1\) is a distribution where a number"):
            use()


@pytest.mark.parametrize("sampler", ["random", "sobol"])
def test_the_first_trials_do_not_depend_on_how_many_follow(sampler):
    space = jo.adam(jo.log_uniform(1e-4, 1e-1), b1=jo.uniform(0.5, 0.9))
    few, many = (jo.sample(space, n, seed=3, sampler=sampler) for n in (5, 50))
    np.testing.assert_array_equal(few.learning_rate, many.learning_rate[:5])
    np.testing.assert_array_equal(few.b1, many.b1[:5])
    assert few.b2 == 0.999
    assert not np.array_equal(few.b1, jo.sample(space, 5, seed=4, sampler=sampler).b1)


def test_structures_are_groups_and_their_numbers_stay_theirs():
    space = jo.chain(
        jo.one_of(jo.sgd(jo.log_uniform(0.1, 1.0)), jo.adam(jo.log_uniform(1e-4, 1e-2))),
        jo.one_of(jo.sgd(1.0), jo.sgd(1.0, momentum=jo.choice(0.5, 0.9))),
    )
    batches = plan(space, 100, 0, "random").ask(0)
    assert len(batches) == 4
    assert sorted(np.concatenate([b.trials for b in batches])) == list(range(100))
    for batch in batches:
        rate = batch.columns["0.learning_rate"]
        assert np.all(rate >= 0.1) == (batch.labels["0"] == "sgd")
        experiment = batch.experiment(0)
        assert isinstance(experiment.transforms[0].learning_rate, float)


def test_a_grid_is_every_combination_and_never_more_than_asked():
    space = jo.adam(jo.choice(0.1, 0.2), b1=jo.choice(0.5, 0.6, 0.7), b2=jo.uniform(0.0, 0.9))
    [batch] = plan(space, 20, 0, "grid").ask(0)
    rows = set(zip(*(x.tolist() for x in batch.columns.values()), strict=True))
    assert len(rows) == len(batch.trials) == 18
    with pytest.raises(ValueError, match="this grid has at least 6 points"):
        plan(space, 5, 0, "grid")


def test_a_sampled_batch_is_a_batch_of_optimizers():
    batch = jo.sample(jo.adam(jo.log_uniform(1e-4, 1e-1)), 8)
    axes = (jo.adam(0, None, None, None, None),)
    steps = jax.vmap(lambda o: o.update(np.ones(3), o.init(np.ones(3)))[0], in_axes=axes)(batch)
    np.testing.assert_allclose(steps[:, 0], -batch.learning_rate, rtol=1e-5)


def test_plan_says_what_is_wrong():
    space = jo.adam(jo.log_uniform(1e-4, 1e-1))
    for arguments, message in [
        ((space, 0, 0, "random"), "trials = 0: wanted an integer, at least 1"),
        ((space, 8, 0, "sobl"), "unknown sampler 'sobl'; did you mean 'sobol'"),
        ((jo.adam(0.1), 8, 0, "random"), "nothing to sample"),
        (([], None, 0, "random"), "empty"),
        (([jo.adam(0.1)], 3, 0, "random"), "trials = 3, but 1 experiments"),
    ]:
        with pytest.raises(ValueError, match=message):
            plan(*arguments)
    assert set(SAMPLERS) == {"random", "sobol", "latin_hypercube", "grid"}
