"""Bricks with a memory: decaying sums and means of gradients, and means over several steps."""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.branches import when
from jaxopt_edu.optim.extra_args import eval_params, needs, wants
from jaxopt_edu.optim.step_sizes import DESCENT, form_of, learning_rates, lengths
from jaxopt_edu.optim.transform import Hyper, Rule, Transform, next_step, now, start
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import number, pytree, recipe, show, static
from jaxopt_edu.values.tree import wide, zeros_like


class TraceState(NamedTuple):
    t: Array
    trace: Any


@pytree
class Trace(Rule):
    """A decaying sum of gradients: momentum.

    Formula: c_t = g_t + decay c_{t-1};  u_t = c_t
    nesterov:  u_t = g_t + decay c_t
    Shapes: any; c has those of the params, in accumulator_dtype or theirs.
    Units: u has the unit of g, but in a constant gradient it grows to g / (1 - decay).
    Errors: ValueError where decay is outside [0, 1].
    Source: Polyak 1964; Sutskever et al. 2013 (ICML), equations 1 to 4.
    Agrees with: optax.trace, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> momentum = jo.trace(0.5)
    >>> u, state = momentum.update(jnp.array(1.0), momentum.init(jnp.array(0.0)))
    >>> momentum.update(jnp.array(1.0), state)[0]
    Array(1.5, dtype=float32)
    """

    decay: Hyper = number(low=0, high=1, closed=True)
    nesterov: bool = static(default=False)
    accumulator_dtype: Any = static(default=None)

    def init(self, params):
        return TraceState(start(), zeros_like(params, self.accumulator_dtype))

    def rule(self, t, p, g, c):
        c = g + self.decay * c
        return (g + self.decay * c if self.nesterov else c), c


trace = recipe("trace", Trace)


class EmaState(NamedTuple):
    t: Array
    ema: Any


@pytree
class Ema(Rule):
    """A decaying mean of gradients.

    Formula: m_t = decay m_{t-1} + (1 - decay) g_t;  u_t = m_t / (1 - decay^t)
    debias=False:  u_t = m_t
    Shapes: any; m has those of the params, in accumulator_dtype or theirs.
    Units: u has the unit of g.
    Errors: ValueError where decay is outside [0, 1).
    Source: Kingma & Ba 2015, arXiv:1412.6980, section 3 for the debiasing.
    Agrees with: optax.ema, 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> mean = jo.ema(0.5)
    >>> u, state = mean.update(jnp.array(1.0), mean.init(jnp.array(0.0)))
    >>> u, state.ema
    (Array(1., dtype=float32), Array(0.5, dtype=float32))
    """

    decay: Hyper = number(low=0, high=1)
    debias: bool = static(default=True)
    accumulator_dtype: Any = static(default=None)

    def init(self, params):
        return EmaState(start(), zeros_like(params, self.accumulator_dtype))

    def rule(self, t, p, g, m):
        m = self.decay * m + (1 - self.decay) * g
        return (m / (1 - self.decay**t) if self.debias else m), m


ema = recipe("ema", Ema)


class MultiStepsState(NamedTuple):
    mini_step: Array
    gradient_step: Array
    inner_state: Any
    acc_grads: Any
    acc_value: Any = None  # where opt wants the value


@pytree
class MultiSteps:
    """Gradient accumulation: opt takes one step with the mean of every k gradients.

    Algorithm: a_n = a_{n-1} + (g_n - a_{n-1}) / n, for n = 1 ... k;
        u_n = 0 for n < k;  u_k = opt's update for a_k; then n and a start again
    use_grad_mean=False:  the sum, a_n = a_{n-1} + g_n
    every_k_schedule: k, or a function from the number of opt's steps so far to k.
    Between its steps opt's state stays as it is, and its update is not computed (under vmap: not
    where no lane takes a step). A NaN is gone with the step it spoils. A proximal or decoupled
    regularizer acts with opt's steps only.
    What opt wants to be told belongs to the mean (or sum) too: value and grad are a_n of the
    values and the gradients. value_fn is that of the last step alone, which does for a curvature.
    Shapes: any; a has the shapes of the params, in accumulator_dtype, or in theirs, but at least
        in float32.
    Errors: ValueError where k < 1; TypeError at `init` where opt is a line search, which wants
        both the value and the function: `Training` has parts of a batch for that, see `InParts`.
    Agrees with: optax.MultiSteps, 1e-12 in float64, given finite gradients and the same
        accumulator_dtype (float32 by default there, where a NaN also stays for ever);
        should_skip_update_fn is left to `apply_if_finite`.

    >>> import jaxopt_edu as jo
    >>> pairs = jo.multi_steps(jo.sgd(1.0), 2)
    >>> u1, state = pairs.update(jnp.ones(1), pairs.init(jnp.zeros(1)))
    >>> u2, state = pairs.update(3 * jnp.ones(1), state)
    >>> u1, u2
    (Array([0.], dtype=float32), Array([-2.], dtype=float32))
    """

    opt: Transform
    every_k_schedule: Hyper = number(low=1, smooth=False)
    use_grad_mean: bool = static(default=True)
    accumulator_dtype: Any = static(default=None, kw_only=True)

    def init(self, params):
        asked = wants(self.opt)
        if "value" in asked and "value_fn" in asked:
            raise TypeError(
                f"opt = {show(self.opt)} wants the value of value_fn, the mean over all steps that "
                "are accumulated, of which the function is not kept; wanted an optimizer without a "
                "line search"
            )
        acc = zeros_like(tree.map(wide, params), self.accumulator_dtype)
        value = jnp.zeros((), tree.norm(acc).dtype) if "value" in asked else None
        return MultiStepsState(start(), start(), self.opt.init(params), acc, value)

    def update(self, updates, state, params=None, **extra):
        last, n = self._is_last(state), state.mini_step + 1
        acc = self._added(n, state.acc_grads, updates)
        mean, value = _like(acc, updates), state.acc_value
        if "grad" in extra:
            extra = extra | {"grad": mean}
        if value is not None and "value" in extra:
            value = self._added(n, value, extra["value"])
            extra = extra | {"value": value}

        def step():
            return self.opt.update(mean, state.inner_state, params, **extra)

        def wait():
            return zeros_like(updates), state.inner_state

        updates, inner = when(last, step, wait)
        steps = jnp.where(last, next_step(state.gradient_step), state.gradient_step)
        acc, value = tree.map(lambda a: jnp.where(last, 0, a), (acc, value))
        return updates, MultiStepsState(jnp.where(last, 0, n), steps, inner, acc, value)

    def _added(self, n, acc, new):
        def add(a, g):
            g = wide(g)
            return (a + (g - a) / n if self.use_grad_mean else a + g).astype(a.dtype)

        return tree.map(add, acc, new)

    @property
    def wants(self):
        return wants(self.opt)

    @property
    def needs(self):
        return needs(self.opt)

    def eval_params(self, state, params):
        return eval_params(self.opt, state.inner_state, params)

    @property
    def form(self):
        opt = form_of(self.opt)
        return opt if opt is not None and opt.kind == DESCENT and self.use_grad_mean else None

    def lengths(self, updates, state, new, params):
        mean = _like(self._added(state.mini_step + 1, state.acc_grads, updates), updates)
        found = lengths(self.opt, mean, state.inner_state, new.inner_state, params)
        return tree.map(lambda d: jnp.where(self._is_last(state), d, 0), found)

    def has_updated(self, state):
        """Whether the update that made this state was a step of opt."""
        return (state.mini_step == 0) & (state.gradient_step > 0)

    def learning_rates(self, state):
        last, rates = self._is_last(state), learning_rates(self.opt, state.inner_state)
        return tree.map(lambda rate: jnp.where(last, rate, 0), rates)

    def _is_last(self, state):
        return state.mini_step + 1 >= now(self.every_k_schedule, state.gradient_step)


def _like(x: Any, y: Any) -> Any:
    """x in the dtypes of y."""
    return tree.map(lambda x, y: x.astype(y.dtype), x, y)


multi_steps = recipe("multi_steps", MultiSteps)
