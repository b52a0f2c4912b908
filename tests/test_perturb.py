"""A population perturbs numbers by its formula."""

import pytest

import jaxopt_edu as jo


class Drawn:
    """Random numbers that were chosen: whether to draw anew, up or down, and where."""

    def __init__(self, *numbers):
        self.numbers = numbers

    def random(self, count):
        assert count == len(self.numbers)
        return self.numbers


@pytest.mark.parametrize(
    ("distribution", "x", "draws", "wanted"),
    [
        (jo.log_uniform(0.1, 10.0), 1.0, (0.9, 0.4, 0.0), 1.5),
        (jo.log_uniform(0.1, 10.0), 1.0, (0.9, 0.6, 0.0), 1 / 1.5),
        (jo.log_uniform(0.1, 10.0), 8.0, (0.9, 0.4, 0.0), 10.0),  # within its bounds
        (jo.log_uniform(0.1, 10.0), 0.11, (0.9, 0.6, 0.0), 0.1),
        (jo.log_uniform(0.1, 10.0), 1.0, (0.2, 0.4, 0.5), 1.0),  # anew
        (jo.int_uniform(1, 9), 5, (0.9, 0.4, 0.0), 8),  # 7.5, rounded to even
        (jo.int_uniform(1, 9), 9, (0.9, 0.4, 0.0), 9),
        (jo.choice(1, 2, 5), 2, (0.9, 0.4, 0.0), 2),  # a factor leads to none of them
        (jo.choice(1, 2, 5), 2, (0.2, 0.4, 0.9), 5),
        (None, 2.0, (0.1, 0.4, 0.5), 3.0),  # of experiments one by one nothing can be drawn anew
        (None, 2.0, (0.9, 0.6, 0.5), 2.0 / 1.5),
    ],
)
def test_a_population_perturbs_by_its_formula(distribution, x, draws, wanted):
    policy = jo.population(factor=1.5, resample=0.25)
    found = policy._perturb(x, distribution, Drawn(*draws))
    assert type(found) is type(x) and found == pytest.approx(wanted)
