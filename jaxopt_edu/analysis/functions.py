"""Test functions of optimization: two numbers in, one out, minima known."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxopt_edu.values.pytrees import nearest
from jaxopt_edu.values.tree import root

__all__ = [
    "FUNCTIONS", "TestFunction", "ackley", "beale", "booth", "find", "himmelblau",
    "ill_conditioned", "matyas", "rastrigin", "rosenbrock", "saddle", "styblinski_tang",
    "three_hump_camel",
]  # fmt: skip

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class TestFunction:
    """A function of a 2-vector, where to start from, what to look at, and where its minima are.

    low, high: the corners of the window a picture shows. minima: all points of the least value,
    `minimum`; none where they are not known.

    >>> import jaxopt_edu as jo
    >>> jo.functions.rosenbrock((1.0, 1.0))
    Array(0., dtype=float32)
    """

    __test__ = False  # for pytest, which takes any Test... for a test

    name: str
    f: Callable[[Array], Array]
    start: Point
    low: Point
    high: Point
    minima: tuple[Point, ...]
    minimum: float
    source: str

    def __call__(self, x: Array | Point) -> Array:
        return self.f(jnp.asarray(x))

    def __repr__(self) -> str:
        known = FUNCTIONS.get(self.name) == self
        return f"functions.{self.name}" if known else f"TestFunction({self.name})"

    @property
    def formula(self) -> str:
        """What the function is: the first paragraph of its docstring, or else its name."""
        ours = inspect.isroutine(self.f) or hasattr(self.f, "__wrapped__")
        said = inspect.cleandoc(self.f.__doc__ or "") if ours else ""
        return " ".join(said.split("\n\n")[0].split()) or self.name

    def distance(self, x: np.ndarray) -> np.ndarray:
        """The Euclidean distance of points (..., 2) to the nearest minimum; NaN: none is known."""
        if not self.minima:
            return np.full(np.shape(x)[:-1], math.nan)
        apart = np.asarray(x)[..., None, :] - np.asarray(self.minima)
        return np.min(np.linalg.norm(apart, axis=-1), axis=-1)


def find(name: str) -> TestFunction:
    """The test function of this name.

    Errors: ValueError with the nearest name where there is none.
    """
    if not isinstance(name, str) or name not in FUNCTIONS:
        raise ValueError(f"unknown function {name!r}; {nearest(str(name), FUNCTIONS)}")
    return FUNCTIONS[name]


# ------------------------------------------------------------------------------ narrow valleys


def _rosenbrock(x):
    """f(x, y) = (1 - x)^2 + 100 (y - x^2)^2"""
    x, y = x
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


rosenbrock = TestFunction(
    "rosenbrock", _rosenbrock, start=(-1.2, 1.0), low=(-2.0, -1.0), high=(2.0, 3.0),
    minima=((1.0, 1.0),), minimum=0.0,
    source="Rosenbrock 1960, The Computer Journal 3, pp. 175-184",
)  # fmt: skip


def _beale(x):
    """f(x, y) = (1.5 - x + x y)^2 + (2.25 - x + x y^2)^2 + (2.625 - x + x y^3)^2"""
    x, y = x
    return (1.5 - x + x * y) ** 2 + (2.25 - x + x * y**2) ** 2 + (2.625 - x + x * y**3) ** 2


beale = TestFunction(
    "beale", _beale, start=(1.0, 1.0), low=(-0.5, -1.5), high=(4.5, 2.0),
    minima=((3.0, 0.5),), minimum=0.0,
    source="Beale 1958; number 5 of More, Garbow & Hillstrom 1981, ACM TOMS 7, pp. 17-41",
)  # fmt: skip


def _matyas(x):
    """f(x, y) = 0.26 (x^2 + y^2) - 0.48 x y"""
    x, y = x
    return 0.26 * (x**2 + y**2) - 0.48 * x * y


matyas = TestFunction(
    "matyas", _matyas, start=(-9.0, 3.0), low=(-10.0, -10.0), high=(10.0, 10.0),
    minima=((0.0, 0.0),), minimum=0.0, source="Jamil & Yang 2013, arXiv:1308.4008",
)  # fmt: skip


def _ill_conditioned(x):
    """f(x, y) = (x^2 + 100 y^2) / 2"""
    x, y = x
    return (x**2 + 100 * y**2) / 2


ill_conditioned = TestFunction(
    "ill_conditioned", _ill_conditioned, start=(10.0, 1.0), low=(-3.0, -1.5), high=(11.0, 1.5),
    minima=((0.0, 0.0),), minimum=0.0,
    source="Boyd & Vandenberghe 2004, Convex Optimization, section 9.3.2, with gamma = 100",
)  # fmt: skip


# -------------------------------------------------------------------- a bowl, and a saddle point


def _booth(x):
    """f(x, y) = (x + 2 y - 7)^2 + (2 x + y - 5)^2"""
    x, y = x
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


booth = TestFunction(
    "booth", _booth, start=(-4.0, -5.0), low=(-6.0, -6.0), high=(6.0, 6.0),
    minima=((1.0, 3.0),), minimum=0.0, source="Jamil & Yang 2013, arXiv:1308.4008",
)  # fmt: skip


def _saddle(x):
    """f(x, y) = x^2 / 2 + y^4 / 4 - y^2 / 2, with a saddle point at 0"""
    x, y = x
    return x**2 / 2 + y**4 / 4 - y**2 / 2


saddle = TestFunction(
    "saddle", _saddle, start=(1.0, 1e-3), low=(-1.5, -1.5), high=(1.5, 1.5),
    minima=((0.0, -1.0), (0.0, 1.0)), minimum=-0.25,
    source="Nesterov 2004, Introductory Lectures on Convex Optimization, example 1.2.2",
)  # fmt: skip


# --------------------------------------------------------------------------------- many minima


def _himmelblau(x):
    """f(x, y) = (x^2 + y - 11)^2 + (x + y^2 - 7)^2"""
    x, y = x
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


himmelblau = TestFunction(
    "himmelblau", _himmelblau, start=(0.0, 0.0), low=(-5.0, -5.0), high=(5.0, 5.0),
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    ),
    minimum=0.0, source="Himmelblau 1972, Applied Nonlinear Programming",
)  # fmt: skip


def _three_hump_camel(x):
    """f(x, y) = 2 x^2 - 1.05 x^4 + x^6 / 6 + x y + y^2"""
    x, y = x
    return 2 * x**2 - 1.05 * x**4 + x**6 / 6 + x * y + y**2


three_hump_camel = TestFunction(
    "three_hump_camel", _three_hump_camel, start=(-1.5, 2.0), low=(-2.5, -2.5), high=(2.5, 2.5),
    minima=((0.0, 0.0),), minimum=0.0, source="Jamil & Yang 2013, arXiv:1308.4008",
)  # fmt: skip


def _styblinski_tang(x):
    """f(x, y) = (x^4 - 16 x^2 + 5 x + y^4 - 16 y^2 + 5 y) / 2"""
    return jnp.sum(x**4 - 16 * x**2 + 5 * x) / 2


styblinski_tang = TestFunction(
    "styblinski_tang", _styblinski_tang, start=(0.1, 4.0), low=(-5.0, -5.0), high=(5.0, 5.0),
    minima=((-2.903534027771177, -2.903534027771177),), minimum=-78.33233140754282,
    source="Styblinski & Tang 1990, Neural Networks 3, pp. 467-483",
)  # fmt: skip


def _rastrigin(x):
    """f(x, y) = 20 + x^2 - 10 cos(2 pi x) + y^2 - 10 cos(2 pi y)"""
    return 20 + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x))


rastrigin = TestFunction(
    "rastrigin", _rastrigin, start=(3.4, -2.6), low=(-5.12, -5.12), high=(5.12, 5.12),
    minima=((0.0, 0.0),), minimum=0.0, source="Rastrigin 1974, Systems of Extremal Control",
)  # fmt: skip


def _ackley(x):
    """f(x, y) = 20 - 20 exp(-0.2 sqrt((x^2 + y^2) / 2))
    + e - exp((cos(2 pi x) + cos(2 pi y)) / 2)"""
    bowl = 20 - 20 * jnp.exp(-0.2 * root(jnp.mean(x**2)))
    return bowl + math.e - jnp.exp(jnp.mean(jnp.cos(2 * jnp.pi * x)))


ackley = TestFunction(
    "ackley", _ackley, start=(3.4, -2.3), low=(-5.0, -5.0), high=(5.0, 5.0),
    minima=((0.0, 0.0),), minimum=0.0,
    source="Ackley 1987, A Connectionist Machine for Genetic Hillclimbing",
)  # fmt: skip

FUNCTIONS: dict[str, TestFunction] = {
    function.name: function
    for function in (
        rosenbrock, beale, matyas, ill_conditioned, booth, saddle, himmelblau, three_hump_camel,
        styblinski_tang, rastrigin, ackley,
    )
}  # fmt: skip
