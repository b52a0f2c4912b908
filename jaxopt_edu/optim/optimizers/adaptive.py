"""A step size for every coordinate, from its squared gradients: AdaGrad, RMSProp, Adadelta."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.step_sizes import DESCENT, StepForm
from jaxopt_edu.optim.transform import Hyper, Mask, Rule, decayed, full_like, start
from jaxopt_edu.values.pytrees import mask, number, pytree, recipe, static
from jaxopt_edu.values.tree import root, squared, squares_like, zeros_like


class AdaGradState(NamedTuple):
    t: Array
    G: Any


@pytree
class AdaGrad(Rule):
    """The gradient over the root of the sum of all squared gradients so far.

    Formula:
        G_t = G_{t-1} + g_t^2;  G_0 = initial_accumulator_value
        u_t = 0 if G_t = 0, else -eta_t g_t / sqrt(G_t + eps)
    eps_in_sqrt=False:  u_t = 0 if G_t = 0, else -eta_t g_t / (sqrt(G_t) + eps)
    Shapes: any; G has the shapes and dtypes of the params.
    Units: a step has the unit of the learning rate; eps has that of the squared gradient, or that
        of the gradient outside the root.
    Errors: ValueError where learning_rate, initial_accumulator_value or eps < 0.
    Source: Duchi, Hazan & Singer 2011, JMLR 12, figure 1. Introductions print eps outside the
        root and G_0 = 0: `adagrad(eta, initial_accumulator_value=0.0, eps_in_sqrt=False)`.
    Agrees with: optax.adagrad, 1e-12 in float64; eps_in_sqrt is ours.

    >>> import jaxopt_edu as jo
    >>> jo.adagrad(0.1)
    AdaGrad(learning_rate=0.1, initial_accumulator_value=0.1, eps=1e-07)
    """

    learning_rate: Hyper = number(low=0)
    initial_accumulator_value: Hyper = number(0, default=0.1)
    eps: Hyper = number(0, default=1e-7)
    eps_in_sqrt: bool = static(default=True, kw_only=True)
    form = StepForm(DESCENT, by_coordinate=True)

    def init(self, params):
        return AdaGradState(start(), full_like(params, self.initial_accumulator_value))

    def rule(self, t, p, g, G):
        G = G + squared(g)
        d = self.below(G)
        return -self.learning_rate * g / d, G

    def below(self, G):
        d = root(G + self.eps) if self.eps_in_sqrt else root(G) + self.eps
        return jnp.where(G > 0, d, 1)

    def length(self, t, p, g, G):
        return self.learning_rate / self.below(G)


adagrad = recipe("adagrad", AdaGrad)


class RMSPropState(NamedTuple):
    t: Array
    v: Any
    m: Any
    trace: Any


@pytree
class RMSProp(Rule):
    """The gradient over the root of a decaying mean of its squares.

    Formula:
        v_t = decay v_{t-1} + (1 - decay) g_t^2;  v_0 = initial_scale
        v^_t = v_t
        d_t = -eta_t g_t / sqrt(v^_t + eps)
        u_t = d_t
    centered:  m_t = decay m_{t-1} + (1 - decay) g_t;  v^_t = v_t - m_t^2
    bias_correction:  b_t = 1 - decay^t;  v^_t = v_t / b_t
    bias_correction, centered:  v^_t = v_t / b_t - (m_t / b_t)^2
    eps_in_sqrt=False:  d_t = -eta_t g_t / (sqrt(v^_t) + eps)  (as introductions print it)
    momentum:  c_t = mu c_{t-1} + d_t;  u_t = c_t
    momentum, nesterov:  u_t = mu c_t + d_t
    Shapes: any; v, m (centered only) and c (momentum only) have those of the params.
    Units: a step has the unit of the learning rate; eps has that of the squared gradient, or that
        of the gradient outside the root.
    Errors: ValueError where learning_rate, eps or initial_scale < 0, decay is outside [0, 1) or
        momentum is outside [0, 1].
    Source: Hinton 2012 (lecture 6e); Graves 2013, arXiv:1308.0850, equations 38 to 41, for
        centered.
    Agrees with: optax.rmsprop, 1e-12 in float64. Where rounding makes v - m^2 negative, optax may
        give NaN; here it counts as 0.

    >>> import jaxopt_edu as jo
    >>> jo.rmsprop(0.01, centered=True)
    RMSProp(learning_rate=0.01, decay=0.9, eps=1e-08, initial_scale=0.0, centered=True)
    """

    learning_rate: Hyper = number(low=0)
    decay: Hyper = number(0, 1, default=0.9)
    eps: Hyper = number(0, default=1e-8)
    initial_scale: Hyper = number(0, default=0.0)
    eps_in_sqrt: bool = static(default=True)
    centered: bool = static(default=False)
    momentum: Hyper | None = number(0, 1, default=None, closed=True)
    nesterov: bool = static(default=False)
    bias_correction: bool = static(default=False)

    def init(self, params):
        m = zeros_like(params) if self.centered else None
        trace = None if self.momentum is None else zeros_like(params)
        return RMSPropState(start(), full_like(params, self.initial_scale), m, trace)

    def rule(self, t, p, g, v, m, c):
        decay, mu = self.decay, self.momentum
        v = decay * v + (1 - decay) * squared(g)
        if self.centered:
            m = decay * m + (1 - decay) * g
        d = self.below(t, v, m)
        u = -self.learning_rate * g / d
        if c is None:
            return u, v, m, c
        c = mu * c + u
        return mu * c + u if self.nesterov else c, v, m, c

    def below(self, t, v, m):
        correction = 1 - self.decay**t if self.bias_correction else 1
        w = v / correction
        if self.centered:
            w = jnp.maximum(w - squared(m / correction), 0)
        return root(w + self.eps) if self.eps_in_sqrt else root(w) + self.eps

    @property
    def form(self):
        plain = self.momentum is None and not self.centered  # no mean of gradients
        return StepForm(DESCENT, by_coordinate=True) if plain else None

    def length(self, t, p, g, v, m, c):
        return self.learning_rate / self.below(t, v, m)


rmsprop = recipe("rmsprop", RMSProp)


class AdadeltaState(NamedTuple):
    t: Array
    v: Any
    x: Any


@pytree
class Adadelta(Rule):
    """The gradient times the root mean squared step over the root mean squared gradient.

    Formula:
        h_t = g_t + lambda p_t  (the decay on what weight_decay_mask marks True)
        v_t = rho v_{t-1} + (1 - rho) h_t^2
        d_t = sqrt(x_{t-1} + eps) / sqrt(v_t + eps) h_t
        x_t = rho x_{t-1} + (1 - rho) d_t^2
        u_t = -d_t
    learning_rate:  u_t = -eta_t d_t
    Shapes: any; v and x have those of the params.
    Units: a step has the unit of the params, eta has none; eps stands for squared params above the
        fraction line and for squared gradients below it.
    Errors: ValueError where learning_rate, eps or weight_decay < 0, or rho is outside [0, 1), or
        update gets no params.
    Source: Zeiler 2012, arXiv:1212.5701, algorithm 1.
    Agrees with: optax.adadelta, 1e-12 in float64, given a learning rate. With None, optax 0.2.8
        leaves the minus sign out as well, and climbs; here the step goes down, as in the paper. For
        complex parameters optax 0.2.8 squares g and d; here it is |g|^2 and |d|^2, as everywhere.

    >>> import jaxopt_edu as jo
    >>> jo.adadelta(rho=0.95)
    Adadelta(rho=0.95, eps=1e-06, weight_decay=0.0)
    """

    learning_rate: Hyper | None = number(0, default=None)
    rho: Hyper = number(0, 1, default=0.9)
    eps: Hyper = number(0, default=1e-6)
    weight_decay: Hyper = number(0, default=0.0)
    weight_decay_mask: Mask = mask(default=None)
    needs_params = True

    def init(self, params):
        return AdadeltaState(start(), squares_like(params), squares_like(params))

    def rule(self, t, p, g, v, x):
        eta = 1 if self.learning_rate is None else self.learning_rate
        rho, eps = self.rho, self.eps
        g = decayed(g, self.weight_decay, p, self.weight_decay_mask)
        v = rho * v + (1 - rho) * squared(g)
        d = root(x + eps) / root(v + eps) * g
        x = rho * x + (1 - rho) * squared(d)
        return -eta * d, v, x


adadelta = recipe("adadelta", Adadelta)
