"""Adam, with Nesterov's look-ahead (Nadam) and with decoupled weight decay (AdamW)."""

from typing import Any, NamedTuple

from jax import Array

from jaxopt_edu.optim.transform import Hyper, Mask, Rule, decayed, start
from jaxopt_edu.values.pytrees import mask, number, pytree, recipe, static
from jaxopt_edu.values.tree import root, squared, squares_like, zeros_like


class AdamState(NamedTuple):
    t: Array
    m: Any
    v: Any


@pytree
class Adam(Rule):
    """The mean gradient over the root mean squared gradient, both debiased.

    Formula:
        m_t = b1 m_{t-1} + (1 - b1) g_t
        v_t = b2 v_{t-1} + (1 - b2) g_t^2
        m^_t = m_t / (1 - b1^t)
        v^_t = v_t / (1 - b2^t)
        u_t = -eta_t m^_t / (sqrt(v^_t + eps_root) + eps)
    nesterov:  m^_t = b1 m_t / (1 - b1^(t + 1)) + (1 - b1) g_t / (1 - b1^t)
    bias_correction=False:  m^_t = m_t;  v^_t = v_t
    bias_correction=False, nesterov:  m^_t = b1 m_t + (1 - b1) g_t
    Shapes: any; m (in mu_dtype, or the params') and v have the shapes of the params.
    Units: a step has the unit of the learning rate, whatever the unit of the gradient; eps has
        the unit of the gradient.
    Errors: ValueError where learning_rate, eps or eps_root < 0, or b1 or b2 is outside [0, 1).
    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 1; Dozat 2016 for nesterov.
    Agrees with: optax.adam, 1e-12 in float64; bias_correction is ours.

    >>> import jaxopt_edu as jo
    >>> jo.adam(1e-3)
    Adam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9)
    b2: Hyper = number(0, 1, default=0.999)
    eps: Hyper = number(0, default=1e-8)
    eps_root: Hyper = number(0, default=0.0)
    mu_dtype: Any = static(default=None)
    nesterov: bool = static(default=False, kw_only=True)
    bias_correction: bool = static(default=True, kw_only=True)

    def init(self, params):
        return AdamState(start(), zeros_like(params, self.mu_dtype), squares_like(params))

    def rule(self, t, p, g, m, v):
        b1, b2 = self.b1, self.b2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * squared(g)
        m_hat = self.debias(m, b1, t)
        if self.nesterov:
            m_hat = b1 * self.debias(m, b1, t + 1) + (1 - b1) * self.debias(g, b1, t)
        v_hat = self.debias(v, b2, t)
        return -self.learning_rate * m_hat / (root(v_hat + self.eps_root) + self.eps), m, v

    def debias(self, x, b, t):
        return x / (1 - b**t) if self.bias_correction else x


adam = recipe("adam", Adam)


@pytree
class Nadam(Adam):
    """Adam with Nesterov's look-ahead in the first moment: `adam(..., nesterov=True)`.

    Formula: m_t, v_t, m^_t, v^_t and u_t as in `adam`, but
        m^_t = b1 m_t / (1 - b1^(t + 1)) + (1 - b1) g_t / (1 - b1^t)
    bias_correction, nesterov=False:  m^_t = m_t / (1 - b1^t)
    Source: Dozat 2016, Incorporating Nesterov Momentum into Adam (ICLR workshop).
    Agrees with: optax.nadam, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.nadam(1e-3)
    Nadam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    """

    nesterov: bool = static(default=True, kw_only=True)


nadam = recipe("nadam", Nadam)


@pytree
class AdamW(Adam):
    """Adam with decoupled weight decay: the decay does not pass through the moments.

    Formula: m_t, v_t, m^_t and v^_t as in `adam`;
        u_t = -eta_t m^_t / (sqrt(v^_t + eps_root) + eps) - eta_t lambda p_t
    mask: the parameters with decay: a prefix tree of bools or a function from params to one; None
        marks all.
    Units: lambda is a share of p for each unit of the learning rate: a step shrinks p by
        eta lambda p.
    Errors: as `adam`; ValueError where update gets no params.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2 (with the schedule in eta).
    Agrees with: optax.adamw, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.adamw(1e-3, weight_decay=0.1).weight_decay
    0.1
    """

    weight_decay: Hyper = number(0, default=1e-4)
    mask: Mask = mask(default=None)
    needs_params = True

    def rule(self, t, p, g, m, v):
        u, m, v = super().rule(t, p, g, m, v)
        return decayed(u, -self.learning_rate * self.weight_decay, p, self.mask), m, v


adamw = recipe("adamw", AdamW)


@pytree
class NadamW(AdamW):
    """AdamW with Nesterov's look-ahead: `adamw(..., nesterov=True)`.

    Formula: m_t, v_t, m^_t and v^_t as in `nadam`;
        u_t = -eta_t m^_t / (sqrt(v^_t + eps_root) + eps) - eta_t lambda p_t
    Agrees with: optax.nadamw, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.nadamw(1e-3).nesterov
    True
    """

    nesterov: bool = static(default=True, kw_only=True)


nadamw = recipe("nadamw", NadamW)
