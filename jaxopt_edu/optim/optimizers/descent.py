"""Gradient descent and its stochastic form, with momentum."""

from typing import Any, NamedTuple

from jax import Array

from jaxopt_edu.optim.step_sizes import DESCENT, StepForm
from jaxopt_edu.optim.transform import Hyper, Rule, start
from jaxopt_edu.values.pytrees import number, pytree, recipe, static
from jaxopt_edu.values.tree import zeros_like


class SGDState(NamedTuple):
    t: Array
    trace: Any


@pytree
class SGD(Rule):
    """Steps against the gradient, or against its decaying sum (momentum).

    Formula: u_t = -eta_t g_t
    momentum:  c_t = g_t + mu c_{t-1};  u_t = -eta_t c_t  (heavy ball)
    momentum, nesterov:  u_t = -eta_t (g_t + mu c_t)
    Shapes: any; the trace c has the shapes of the params, in accumulator_dtype or theirs.
    Units: eta has the unit of params over gradient.
    Errors: ValueError where learning_rate < 0 or momentum is outside [0, 1].
    Source: Polyak 1964; Nesterov 1983; Sutskever et al. 2013 (ICML), equations 1 to 4.
    Agrees with: optax.sgd, 1e-12 in float64. momentum=None keeps no trace; momentum=0.0 does.

    >>> import jaxopt_edu as jo
    >>> jo.sgd(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9)
    """

    learning_rate: Hyper = number(low=0)
    momentum: Hyper | None = number(0, 1, default=None, closed=True)
    nesterov: bool = static(default=False)
    accumulator_dtype: Any = static(default=None)

    def init(self, params):
        trace = None if self.momentum is None else zeros_like(params, self.accumulator_dtype)
        return SGDState(start(), trace)

    @property
    def form(self):
        return StepForm(DESCENT) if self.momentum is None else None

    def length(self, t, p, g, c):
        return self.learning_rate

    def rule(self, t, p, g, c):
        if c is None:
            return -self.learning_rate * g, c
        c = g + self.momentum * c
        d = g + self.momentum * c if self.nesterov else c
        return -self.learning_rate * d, c


sgd = recipe("sgd", SGD)
