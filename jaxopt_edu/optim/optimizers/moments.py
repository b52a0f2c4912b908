"""Relatives of Adam, which differ from it in the second moment: what a gradient is divided by."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.transform import Hyper, Mask, Rule, decayed, full_like, start
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import mask, number, pytree, recipe, static
from jaxopt_edu.values.tree import root, squared, squares_like, zeros_like


class MomentsState(NamedTuple):
    t: Array
    m: Any
    v: Any


class AMSGradState(NamedTuple):
    t: Array
    m: Any
    v: Any
    v_max: Any


@pytree
class AMSGrad(Rule):
    """Adam with the largest second moment so far, so that step sizes never grow again.

    Formula:
        m_t = b1 m_{t-1} + (1 - b1) g_t
        v_t = b2 v_{t-1} + (1 - b2) g_t^2
        m^_t = m_t / (1 - b1^t)
        v^_t = max(v^_{t-1}, v_t / (1 - b2^t))
        u_t = -eta_t m^_t / (sqrt(v^_t + eps_root) + eps)
    bias_correction_mu=False:  m^_t = m_t
    bias_correction_nu=False:  v^_t = max(v^_{t-1}, v_t)  (with both flags the paper's algorithm)
    Shapes: any; m (in mu_dtype, or the params'), v and v^ have the shapes of the params.
    Units: as in `adam`.
    Errors: ValueError where learning_rate, eps or eps_root < 0, or b1 or b2 is outside [0, 1).
    Source: Reddi, Kale & Kumar 2018, arXiv:1904.09237, algorithm 2.
    Agrees with: optax.amsgrad, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.amsgrad(1e-3)
    AMSGrad(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9)
    b2: Hyper = number(0, 1, default=0.999)
    eps: Hyper = number(0, default=1e-8)
    eps_root: Hyper = number(0, default=0.0)
    mu_dtype: Any = static(default=None)
    bias_correction_mu: bool = static(default=True)
    bias_correction_nu: bool = static(default=True)

    def init(self, params):
        v = squares_like(params)
        return AMSGradState(start(), zeros_like(params, self.mu_dtype), v, v)

    def rule(self, t, p, g, m, v, v_max):
        b1, b2 = self.b1, self.b2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * squared(g)
        m_hat = m / (1 - b1**t) if self.bias_correction_mu else m
        v_hat = v / (1 - b2**t) if self.bias_correction_nu else v
        v_max = jnp.maximum(v_max, v_hat)
        return -self.learning_rate * m_hat / (root(v_max + self.eps_root) + self.eps), m, v, v_max


amsgrad = recipe("amsgrad", AMSGrad)


@pytree
class AdaMax(Rule):
    """Adam with a decaying maximum of |g| in place of the root mean square.

    Formula:
        m_t = b1 m_{t-1} + (1 - b1) g_t
        v_t = max(b2 v_{t-1}, |g_t| + eps)
        u_t = -eta_t m_t / (1 - b1^t) / v_t
    Shapes: any; m and v have those of the params.
    Units: as in `adam`.
    Errors: ValueError where learning_rate or eps < 0, or b1 or b2 is outside [0, 1).
    Source: Kingma & Ba 2015, arXiv:1412.6980, algorithm 2 (there without eps, and v is named u).
    Agrees with: optax.adamax, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.adamax(2e-3)
    AdaMax(learning_rate=0.002, b1=0.9, b2=0.999, eps=1e-08)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9)
    b2: Hyper = number(0, 1, default=0.999)
    eps: Hyper = number(0, default=1e-8)

    def init(self, params):
        return MomentsState(start(), zeros_like(params), squares_like(params))

    def rule(self, t, p, g, m, v):
        b1, b2 = self.b1, self.b2
        m = b1 * m + (1 - b1) * g
        v = jnp.maximum(b2 * v, jnp.abs(g) + self.eps)
        m_hat = m / (1 - b1**t)
        return -self.learning_rate * m_hat / v, m, v


adamax = recipe("adamax", AdaMax)


@pytree
class AdaMaxW(AdaMax):
    """AdaMax with decoupled weight decay: the decay does not pass through the moments.

    Formula: m_t and v_t as in `adamax`;
        u_t = -eta_t m_t / (1 - b1^t) / v_t - eta_t lambda p_t  (the decay on what mask marks True)
    Units: as in `adamw`.
    Errors: as `adamax`; ValueError where weight_decay < 0 or update gets no params.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, its decay applied to AdaMax.
    Agrees with: optax.adamaxw, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.adamaxw(2e-3)
    AdaMaxW(learning_rate=0.002, b1=0.9, b2=0.999, eps=1e-08, weight_decay=0.0001)
    """

    weight_decay: Hyper = number(0, default=1e-4)
    mask: Mask = mask(default=None)
    needs_params = True

    def rule(self, t, p, g, m, v):
        u, m, v = super().rule(t, p, g, m, v)
        return decayed(u, -self.learning_rate * self.weight_decay, p, self.mask), m, v


adamaxw = recipe("adamaxw", AdaMaxW)


@pytree
class RAdam(Rule):
    """Adam whose step is rectified by how much its second moment can be trusted yet.

    Formula: m_t, v_t, m^_t and v^_t as in `adam`;
        rho_inf = 2 / (1 - b2) - 1
        rho_t = rho_inf - 2 t b2^t / (1 - b2^t)
        r_t = sqrt((rho_t - 4) (rho_t - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho_t))
        d_t = r_t m^_t / (sqrt(v^_t + eps_root) + eps)
        u_t = -eta_t d_t if rho_t >= threshold, else -eta_t m^_t
    Shapes: any; m and v have those of the params.
    Units: eta has the unit of params over gradient at first, later that of the params.
    Errors: ValueError where learning_rate, eps or eps_root < 0, threshold < 4, or b1 or b2 is
        outside [0, 1).
    Source: Liu et al. 2020, arXiv:1908.03265, algorithm 2 (there with rho_t > 4).
    Agrees with: optax.radam, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.radam(1e-3)
    RAdam(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-08, eps_root=0.0, threshold=5.0)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9)
    b2: Hyper = number(0, 1, default=0.999)
    eps: Hyper = number(0, default=1e-8)
    eps_root: Hyper = number(0, default=0.0)
    threshold: Hyper = number(4, default=5.0, smooth=False)
    nesterov: bool = static(default=False, kw_only=True)

    def init(self, params):
        return MomentsState(start(), zeros_like(params), squares_like(params))

    def rule(self, t, p, g, m, v):
        b1, b2 = self.b1, self.b2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * squared(g)
        m_hat = m / (1 - b1**t)
        if self.nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        trusted, r = self.rectify(t)
        scale = jnp.where(trusted, r / (root(v_hat + self.eps_root) + self.eps), 1)
        return -self.learning_rate * scale * m_hat, m, v

    def rectify(self, t):
        """Whether rho_t is large enough at step t, and r_t (1 where it is not)."""
        b2 = self.b2
        rho_inf = 2 / (1 - b2) - 1
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        trusted = rho >= self.threshold
        rho, rho_inf = jnp.where(trusted, rho, 5), jnp.where(trusted, rho_inf, 5)
        r = (rho - 4) * (rho - 2) * rho_inf / ((rho_inf - 4) * (rho_inf - 2) * rho)
        return trusted, root(r)


radam = recipe("radam", RAdam)


@pytree
class AdaBelief(Rule):
    """Adam that divides by how far gradients stray from their mean, not by how large they are.

    Formula: m_t and m^_t as in `adam`;
        s_t = b2 s_{t-1} + (1 - b2) (g_t - m_t)^2 + eps_root
        u_t = -eta_t m^_t / (sqrt(s_t / (1 - b2^t)) + eps)
    Shapes: any; m and s have those of the params.
    Units: as in `adam`.
    Errors: ValueError where learning_rate, eps or eps_root < 0, or b1 or b2 is outside [0, 1).
    Source: Zhuang et al. 2020, arXiv:2010.07468, algorithm 2.
    Agrees with: optax.adabelief, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> jo.adabelief(1e-3)
    AdaBelief(learning_rate=0.001, b1=0.9, b2=0.999, eps=1e-16, eps_root=1e-16)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9)
    b2: Hyper = number(0, 1, default=0.999)
    eps: Hyper = number(0, default=1e-16)
    eps_root: Hyper = number(0, default=1e-16)
    nesterov: bool = static(default=False, kw_only=True)

    def init(self, params):
        return MomentsState(start(), zeros_like(params), squares_like(params))

    def rule(self, t, p, g, m, s):
        b1, b2 = self.b1, self.b2
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * squared(g - m) + self.eps_root
        m_hat = m / (1 - b1**t)
        if self.nesterov:
            m_hat = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        s_hat = s / (1 - b2**t)
        return -self.learning_rate * m_hat / (root(s_hat) + self.eps), m, s


adabelief = recipe("adabelief", AdaBelief)


@pytree
class Yogi(Rule):
    """Adam whose second moment moves towards g^2 by a step that does not grow with their distance.

    Formula: m_t and m^_t as in `adam`;
        m_0 = 1e-6;  v_0 = 1e-6  (of complex parameters m_0 is 0)
        v_t = v_{t-1} - (1 - b2) sign(v_{t-1} - g_t^2) g_t^2
        u_t = -eta_t m^_t / (sqrt(v_t / (1 - b2^t)) + eps)
    Shapes: any; m and v have those of the params.
    Units: as in `adam`.
    Errors: ValueError where learning_rate or eps < 0, or b1 or b2 is outside [0, 1).
    Source: Zaheer et al. 2018 (NeurIPS), Adaptive Methods for Nonconvex Optimization, algorithm 2.
    Agrees with: optax.yogi, 1e-12 in float64. For complex parameters m_0 = 0, as in the paper, so
        that no phase is preferred: 1e-4 (of the first steps, with gradients around 1).

    >>> import jaxopt_edu as jo
    >>> jo.yogi(1e-2)
    Yogi(learning_rate=0.01, b1=0.9, b2=0.999, eps=0.001)
    """

    learning_rate: Hyper = number(low=0)
    b1: Hyper = number(0, 1, default=0.9)
    b2: Hyper = number(0, 1, default=0.999)
    eps: Hyper = number(0, default=1e-3)

    def init(self, params):
        small = full_like(params, 1e-6)
        m = tree.map(lambda p, x: jnp.zeros_like(p) if jnp.iscomplexobj(p) else x, params, small)
        return MomentsState(start(), m, small)

    def rule(self, t, p, g, m, v):
        b1, b2 = self.b1, self.b2
        m = b1 * m + (1 - b1) * g
        v = v - (1 - b2) * jnp.sign(v - squared(g)) * squared(g)
        m_hat = m / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        return -self.learning_rate * m_hat / (root(v_hat) + self.eps), m, v


yogi = recipe("yogi", Yogi)
