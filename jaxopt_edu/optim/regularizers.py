"""Regularizers: the penalty r(w) on the parameters, and its proximal operator.

A regularizer acts in one of three ways, and a training loop treats all of them alike:

    loss = loss + regularizer.penalty(params)
    ... new_params = params + updates ...
    new_params = regularizer.after(new_params, params, learning_rate)

As it is, it is a penalty in the loss; `decoupled` moves it out of the optimizer's sight, `proximal`
too, and makes weights exactly zero under L1. Both need the optimizer's `learning_rate_of`;
after an update of another length than that (adagrad, rmsprop, a clipped gradient), proximal steps
take its `step_lengths` instead.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxopt_edu.optim.step_sizes import learning_rate_of, step_lengths
from jaxopt_edu.optim.transform import Mask, Scalar, spread
from jaxopt_edu.values.pytrees import mask, number, pytree, recipe
from jaxopt_edu.values.tree import conjugate, root, sign, squared, wide

__all__ = [
    "Decoupled", "ElasticNet", "L1", "L2", "Proximal", "Regularizer", "decoupled",
    "learning_rate_of", "proximal", "step_lengths", "weights_only",
]  # fmt: skip


def weights_only(params: Any) -> Any:
    """The default mask: True but for leaves that are named b, bias or scale.

    >>> import jaxopt_edu as jo
    >>> jo.weights_only({"w": 1.0, "b": 2.0})
    {'b': False, 'w': True}
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, _: _last_name(path) not in ("b", "bias", "scale"), params
    )


def _last_name(path: tuple) -> Any:
    """The name of a leaf in its path; the `value` in which Flax NNX keeps an array is none."""
    names = [getattr(k, "name", getattr(k, "key", None)) for k in path]
    names = [name for name in names if name not in ("value", None)]
    return names[-1] if names else None


class Regularizer:
    """A penalty given for one array, and its proximal operator for one array.

    A subclass has a field `mask` (None: `weights_only`) and gives

        of(w) -> r(w), a number        shrink(w, step) -> argmin_x  step r(x) + |x - w|^2 / 2

    for one array in at least float32; here they are lifted over the leaves that mask marks True.
    Of complex numbers |w| is the modulus and w^2 is |w|^2.
    """

    mask: Mask
    needs_learning_rate = False  # whether `after` reads it
    separable = False  # whether r is a sum over numbers, so that prox takes a step for each

    def of(self, w: Array) -> Array:
        raise TypeError(f"{type(self).__name__} does not say what its penalty is")

    def shrink(self, w: Array, step: Scalar) -> Array:
        raise TypeError(f"{type(self).__name__} has no proximal operator")

    def __call__(self, params: Any) -> Array:
        """r(params), the sum over the penalised leaves, in at least float32."""
        leaves, structure = jax.tree.flatten(params)
        marks = self._marks(structure, params)
        parts = [self.of(wide(w)) for w, marked in zip(leaves, marks, strict=True) if marked]
        return sum(parts, start=jnp.zeros((), jnp.float32))

    def prox(self, params: Any, step: Any) -> Any:
        """argmin_x  step r(x) + |x - params|^2 / 2

        step: a number or a prefix tree of them; where r is separable, of arrays too.
        """
        leaves, structure = jax.tree.flatten(params)
        rows = zip(leaves, self._marks(structure, params), spread(step, structure), strict=True)
        new = [self.shrink(wide(w), s).astype(w.dtype) if marked else w for w, marked, s in rows]
        return jax.tree.unflatten(structure, new)

    def penalty(self, params: Any) -> Array:
        """What the loss gains: r(params)."""
        return self(params)

    def after(self, new_params: Any, params: Any, learning_rate: Any) -> Any:
        """What a step does once the updates are applied: nothing."""
        del params, learning_rate
        return new_params

    def _marks(self, structure: Any, params: Any) -> list:
        return spread(weights_only if self.mask is None else self.mask, structure, params)


# --------------------------------------------------------------------------------- the penalties


def absolute(w: Array) -> Array:
    """|w|, with derivative 0 at 0, where jnp.abs has 1."""
    return root(squared(w)) if jnp.iscomplexobj(w) else w * jnp.sign(w)


def soft_threshold(w: Array, k: Scalar) -> Array:
    """sign(w) max(|w| - k, 0), with sign(w) = w / |w|"""
    if jnp.iscomplexobj(w):
        return sign(w) * jnp.maximum(root(squared(w)) - k, 0)
    return jnp.sign(w) * jnp.maximum(jnp.abs(w) - k, 0)


@pytree
class L1(Regularizer):
    """The sum of the absolute values (the lasso): as a proximal step it makes weights exactly zero.

    Formula:
        r(w) = weight sum_i |w_i|  (its derivative is 0 at 0)
        prox_{s r}(w) = sign(w) max(|w| - s weight, 0)
    mask: which parameters are penalised; a prefix tree of bools, or a function from params to one;
        None is `weights_only`: all but those named b, bias or scale.
    Units: weight has the unit of the loss over that of the params.
    Errors: ValueError where weight < 0.
    Source: Tibshirani 1996; Parikh & Boyd 2014, Proximal Algorithms, section 6.5.2.

    >>> import jaxopt_edu as jo
    >>> float(jo.L1(0.5)({"w": jnp.array([3.0, -1.0]), "b": jnp.array(9.0)}))
    2.0
    >>> jo.L1(0.5).prox(jnp.array([3.0, -0.25]), step=1.0)
    Array([ 2.5, -0. ], dtype=float32)
    """

    weight: Scalar = number(low=0)
    mask: Mask = mask(default=None)
    separable = True

    def of(self, w):
        return self.weight * jnp.sum(absolute(w))

    def shrink(self, w, step):
        return soft_threshold(w, step * self.weight)


@pytree
class L2(Regularizer):
    """Half the sum of the squares (ridge, weight decay), so that its gradient is weight w.

    Formula:
        r(w) = weight / 2 sum_i w_i^2
        prox_{s r}(w) = w / (1 + s weight)
    mask: as in `L1`.
    Units: weight has the unit of the loss over that of the params squared.
    Errors: ValueError where weight < 0.
    Source: Hoerl & Kennard 1970; Parikh & Boyd 2014, Proximal Algorithms, section 6.1.1.
    Agrees with: `decoupled` after adam: optax.adamw with weight_decay=weight, 1e-12 in float64,
        where both have the same mask.

    >>> import jaxopt_edu as jo
    >>> float(jo.L2(0.5)({"w": jnp.array([3.0, -1.0]), "b": jnp.array(9.0)}))
    2.5
    """

    weight: Scalar = number(low=0)
    mask: Mask = mask(default=None)
    separable = True

    def of(self, w):
        return self.weight / 2 * jnp.sum(squared(w))

    def shrink(self, w, step):
        return w / (1 + step * self.weight)


@pytree
class ElasticNet(Regularizer):
    """A mixture of L1 (for zeros) and L2 (for groups of correlated weights).

    Formula: with l = l1_ratio:
        r(w) = weight (l sum_i |w_i| + (1 - l) / 2 sum_i w_i^2)
        prox_{s r}(w) = sign(w) max(|w| - s weight l, 0) / (1 + s weight (1 - l))
    mask: as in `L1`.
    Units: as in `L1` and `L2`, for params without a unit.
    Errors: ValueError where weight < 0 or l1_ratio is outside [0, 1].
    Source: Zou & Hastie 2005; weight is scikit-learn's alpha, and the scaling is its own.

    >>> import jaxopt_edu as jo
    >>> float(jo.ElasticNet(1.0)({"w": jnp.array([3.0, -1.0])}))
    4.5
    """

    weight: Scalar = number(low=0)
    l1_ratio: Scalar = number(0, 1, default=0.5, closed=True)
    mask: Mask = mask(default=None)
    separable = True

    def of(self, w):
        l = self.l1_ratio
        return self.weight * (l * jnp.sum(absolute(w)) + (1 - l) / 2 * jnp.sum(squared(w)))

    def shrink(self, w, step):
        k, l = step * self.weight, self.l1_ratio
        return soft_threshold(w, k * l) / (1 + k * (1 - l))


# ------------------------------------------------------------------- outside the optimizer's sight


class Afterwards:
    """Base of the two that act after the update: the loss gains nothing."""

    needs_learning_rate = True
    needs_lengths = False  # whether what it needs is rather D (see `lengths`)

    def penalty(self, params: Any) -> Array:
        """What the loss gains: 0."""
        del params
        return jnp.zeros((), jnp.float32)


@pytree
class Decoupled(Afterwards):
    """The regularizer as decoupled decay: a gradient step of its own, beside the optimizer's.

    Formula: p_{t+1} = p_t + u_t - eta_t dr(p_t)  (dr is the gradient of r, u_t of the loss alone)
    regularizer: any differentiable function from params to a number.
    Units: eta_t grad r has the unit of the params.
    Source: Loshchilov & Hutter 2019, arXiv:1711.05101, there for L2.
    Agrees with: optax.adamw, for L2 with every leaf marked, after adam; 1e-12 in float64.

    >>> import jaxopt_edu as jo
    >>> decay = jo.decoupled(jo.L2(0.5))
    >>> decay.after(new_params=jnp.array(3.0), params=jnp.array(4.0), learning_rate=0.1)
    Array(2.8, dtype=float32)
    """

    regularizer: Any
    inlined = "regularizer"

    def after(self, new_params: Any, params: Any, learning_rate: Any) -> Any:
        """new_params - learning_rate grad r(params)"""
        leaves, structure = jax.tree.flatten(new_params)
        grads = jax.tree.leaves(conjugate(jax.grad(self.regularizer)(params)))
        rows = zip(leaves, grads, spread(learning_rate, structure), strict=True)
        new = [(wide(p) - eta * wide(g)).astype(p.dtype) for p, g, eta in rows]
        return jax.tree.unflatten(structure, new)


decoupled = recipe("decoupled", Decoupled)


@pytree
class Proximal(Afterwards):
    """The regularizer as a proximal step after the update: L1 makes weights exactly zero.

    Formula: p_{t+1} = prox(p_t + u_t, D_t)  (the proximal operator of D_t r)
    The update u_t = -D_t g_t is by the gradient of the loss alone, with D_t = eta_t for sgd,
    eta_t / sqrt(G_t + eps) for adagrad, number by number, and likewise for rmsprop: then the end is
    the minimum of loss + r.
    regularizer: anything with a method prox(params, step); after adagrad and rmsprop it says
        separable = True, and step is a tree of arrays.
    Units: D_t is the step of plain gradient descent: params over gradient.
    Errors: ValueError before anything is compiled for an optimizer whose updates are no -D_t g_t
        (momentum, adam, lion, any moving average of gradients): it would end elsewhere.
    Source: Daubechies, Defrise & De Mol 2004 (ISTA); Parikh & Boyd 2014, section 4.2; Duchi, Hazan
        & Singer 2011, JMLR 12, section 1.2, for the metric.

    >>> import jaxopt_edu as jo
    >>> sparse = jo.proximal(jo.L1(0.5))
    >>> sparse.after(jnp.array([2.0, 0.04]), params=None, learning_rate=0.1)
    Array([1.95, 0.  ], dtype=float32)
    """

    regularizer: Any
    inlined = "regularizer"
    needs_lengths = True

    def after(self, new_params: Any, params: Any, learning_rate: Any) -> Any:
        """prox(new_params, learning_rate), or with the lengths D_t in its place"""
        del params
        return self.regularizer.prox(new_params, learning_rate)


proximal = recipe("proximal", Proximal)
