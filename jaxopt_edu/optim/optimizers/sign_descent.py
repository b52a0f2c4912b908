"""Steps of one size in every coordinate: only the sign of the gradient counts."""

from typing import Any, NamedTuple

from jax import Array

from jaxopt_edu.optim.transform import ClockState, Hyper, Mask, Rule, decayed, start
from jaxopt_edu.values.pytrees import mask, number, pytree, recipe, static
from jaxopt_edu.values.tree import sign, zeros_like


class SignState(NamedTuple):
    t: Array
    m: Any


@pytree
class SignSGD(Rule):
    """Steps of length eta in every coordinate, against the sign of the gradient.

    Formula: u_t = -eta_t sign(g_t)  (sign(0) is 0)
    Shapes: any; no state but the step count.
    Units: eta has the unit of the params.
    Errors: ValueError where learning_rate < 0.
    Source: Bernstein et al. 2018, arXiv:1802.04434, algorithm 1.
    Agrees with: optax.sign_sgd, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.sign_sgd(1e-3)
    SignSGD(learning_rate=0.001)
    """

    learning_rate: Hyper = number(low=0)

    def init(self, params):
        return ClockState(start())

    def rule(self, t, p, g):
        return (-self.learning_rate * sign(g),)


sign_sgd = recipe("sign_sgd", SignSGD)


@pytree
class Signum(Rule):
    """SignSGD with momentum: the sign of the mean gradient.

    Formula:
        m_t = beta m_{t-1} + (1 - beta) g_t
        u_t = -eta_t sign(m_t)
    Shapes: any; m has the shapes of the params, in accumulator_dtype or theirs.
    Units: eta has the unit of the params.
    Errors: ValueError where learning_rate < 0 or beta is outside [0, 1).
    Source: Bernstein et al. 2018, arXiv:1802.04434, algorithm 2.
    Agrees with: optax.signum, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.signum(1e-3)
    Signum(learning_rate=0.001, beta=0.9)
    """

    learning_rate: Hyper = number(low=0)
    beta: Hyper = number(0, 1, default=0.9, smooth=False)
    accumulator_dtype: Any = static(default=None)

    def init(self, params):
        return SignState(start(), zeros_like(params, self.accumulator_dtype))

    def rule(self, t, p, g, m):
        m = self.beta * m + (1 - self.beta) * g
        return -self.learning_rate * sign(m), m


signum = recipe("signum", Signum)


@pytree
class Lion(Rule):
    """The sign of a quick mean of the gradients, kept by a slow one, with decoupled decay.

    Formula:
        c_t = b1 m_{t-1} + (1 - b1) g_t
        m_t = b2 m_{t-1} + (1 - b2) g_t
        u_t = -eta_t (sign(c_t) + lambda p_t)  (the decay on what mask marks True)
    Shapes: any; m has the shapes of the params, in mu_dtype or theirs.
    Units: eta has the unit of the params, lambda its inverse. Steps are larger than Adam's: the
        paper takes a learning rate 3 to 10 times smaller, a lambda as many times larger.
    Errors: ValueError where learning_rate or weight_decay < 0, b1 or b2 is outside [0, 1), or
        update gets no params.
    Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2.
    Agrees with: optax.lion, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.lion(1e-4)
    Lion(learning_rate=0.0001, b1=0.9, b2=0.99, weight_decay=0.001)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9, smooth=False)
    b2: Hyper = number(0, 1, default=0.99, smooth=False)
    mu_dtype: Any = static(default=None)
    weight_decay: Hyper = number(0, default=1e-3)
    mask: Mask = mask(default=None)
    needs_params = True

    def init(self, params):
        return SignState(start(), zeros_like(params, self.mu_dtype))

    def rule(self, t, p, g, m):
        b1, b2 = self.b1, self.b2
        c = b1 * m + (1 - b1) * g
        m = b2 * m + (1 - b2) * g
        return -self.learning_rate * decayed(sign(c), self.weight_decay, p, self.mask), m


lion = recipe("lion", Lion)
