"""Bricks against NaN and infinity."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.step_sizes import GRADIENT, StepForm, form_of, lengths
from jaxopt_edu.optim.transform import Scalar, Transform, next_step, start
from jaxopt_edu.optim.transforms.base import Stateless, Wrapper
from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import number, pytree, recipe


class ZeroNansState(NamedTuple):
    found_nan: Any


@pytree
class ZeroNans(Stateless):
    """Puts 0 in the place of every NaN; infinities stay.

    Formula: u = 0 if g != g, else g  (NaN alone differs from itself)
    Shapes: any; the state's `found_nan` says of every array whether its last gradient had a NaN.
    Agrees with: optax.zero_nans.

    >>> import jaxopt_edu as jo
    >>> zero = jo.zero_nans()
    >>> zero.update(jnp.array([jnp.nan, 2.0]), zero.init(jnp.zeros(2)))
    (Array([0., 2.], dtype=float32), ZeroNansState(found_nan=Array(True, dtype=bool)))
    """

    form = StepForm(GRADIENT)

    def init(self, params):
        return ZeroNansState(tree.map(lambda p: jnp.array(False), params))

    def update(self, updates, state, params=None, **extra):
        found = tree.map(lambda g: jnp.any(jnp.isnan(g)), updates)
        return tree.map(lambda g: jnp.where(jnp.isnan(g), 0, g), updates), ZeroNansState(found)


zero_nans = recipe("zero_nans", ZeroNans)


class ApplyIfFiniteState(NamedTuple):
    """notfinite_count updates were skipped in a row, total_notfinite since the start; last_finite
    says that the last one was not; too_many, that more were than max_consecutive_errors."""

    notfinite_count: Array
    last_finite: Array
    total_notfinite: Array
    too_many: Array
    inner_state: Any


@pytree
class ApplyIfFinite(Wrapper):
    """Skips every update that would bring a NaN or an infinity into params or state.

    It is skipped where the gradient, a value that the inner transform wants, its update, or a
    number of its state that was finite, is not finite: then the update is zero, and the inner
    state stays as it was.
    max_consecutive_errors: more skipped in a row raise the flag `too_many` in the state, for the
        training loop to act on. None never does.
    Shapes: any.
    Errors: ValueError where max_consecutive_errors < 0.
    Agrees with: optax.apply_if_finite until that number is exceeded: there the update is then
        accepted and poisons the state; here never.

    >>> import jaxopt_edu as jo
    >>> safe = jo.apply_if_finite(jo.sgd(0.1))
    >>> u, state = safe.update(jnp.array(jnp.nan), safe.init(jnp.array(1.0)))
    >>> u, state.total_notfinite
    (Array(0., dtype=float32), Array(1, dtype=int32))
    """

    inner: Transform
    max_consecutive_errors: Scalar | None = number(0, default=None, smooth=False)

    def init(self, params):
        no = jnp.array(False)
        return ApplyIfFiniteState(start(), ~no, start(), no, self.inner.init(params))

    def update(self, updates, state, params=None, **extra):
        told = {name: extra[name] for name in {"value", "grad"} & extra.keys() & set(self.wants)}
        finite = tree.all_finite((updates, told))
        g, told = _zero_unless(finite, (updates, told))  # no NaN in any derivative
        u, inner = self.inner.update(g, state.inner_state, params, **extra | told)
        good = finite & tree.all_finite(u) & _stays_finite(state.inner_state, inner)
        row = jnp.where(good, 0, next_step(state.notfinite_count))
        total = jnp.where(good, state.total_notfinite, next_step(state.total_notfinite))
        limit = jnp.inf if self.max_consecutive_errors is None else self.max_consecutive_errors
        inner = tree.map(lambda new, old: jnp.where(good, new, old), inner, state.inner_state)
        u = tree.map(lambda u: jnp.where(good, u, 0), u)
        return u, ApplyIfFiniteState(row, good, total, row > limit, inner)

    @property
    def form(self):
        inner = form_of(self.inner)
        return inner if inner is not None and inner.kind != GRADIENT else None

    def lengths(self, updates, state, new, params):
        found = lengths(self.inner, updates, state.inner_state, new.inner_state, params)
        return tree.map(lambda d: jnp.where(new.last_finite, d, 0), found)


apply_if_finite = recipe("apply_if_finite", ApplyIfFinite)


def _zero_unless(finite: Array, x: Any) -> Any:
    return tree.map(lambda x: jnp.where(finite, x, 0), x)


def _stays_finite(old: Any, new: Any) -> Array:
    """Whether every number that was finite still is."""
    pairs = zip(jax.tree.leaves(old), jax.tree.leaves(new), strict=True)
    stays = [jnp.all(jnp.isfinite(y) | ~jnp.isfinite(x)) for x, y in pairs if tree.is_float(x)]
    return jnp.all(jnp.stack(stays)) if stays else jnp.array(True)
