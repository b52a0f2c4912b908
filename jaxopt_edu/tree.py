"""Arithmetic on pytrees, leaf by leaf. Scalars may be numbers or arrays; `None` is no leaf."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

map = jax.tree.map
leaves = jax.tree.leaves


def add(x: Any, y: Any) -> Any:
    """x + y"""
    return map(jnp.add, x, y)


def sub(x: Any, y: Any) -> Any:
    """x - y"""
    return map(jnp.subtract, x, y)


def scale(s: Any, x: Any) -> Any:
    """s x, kept in the dtype of x."""
    return map(lambda x: (s * wide(x)).astype(x.dtype), x)


def dot(x: Any, y: Any) -> Array:
    """sum of x_i y_i over all leaves"""
    return sum(leaves(map(jnp.vdot, x, y)), start=jnp.zeros(()))


def norm(x: Any) -> Array:
    """Euclidean norm of all leaves as one vector, at least float32, with derivative 0 at 0."""
    return root(sum((jnp.sum(jnp.square(wide(leaf))) for leaf in leaves(x)), start=jnp.zeros(())))


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape of x, in its dtypes or in the one given."""
    return map(lambda x: jnp.zeros(jnp.shape(x), dtype or jnp.result_type(x)), x)


def all_finite(x: Any) -> Array:
    """Whether no leaf holds a NaN or an infinity."""
    checks = [jnp.all(jnp.isfinite(leaf)) for leaf in leaves(x) if is_float(leaf)]
    return jnp.all(jnp.stack(checks)) if checks else jnp.array(True)


def is_float(x: Any) -> bool:
    """Whether x holds real or complex floats: what a gradient can flow through."""
    return jnp.issubdtype(jnp.result_type(x), jnp.inexact)


def wide(x: Any) -> Array:
    """x in at least float32: what arithmetic in half precision would lose."""
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def root(x: Array) -> Array:
    """sqrt(x) for x >= 0, with derivative 0 at 0, where sqrt has an infinite one."""
    return jnp.where(x <= 0, 0, jnp.sqrt(jnp.where(x <= 0, 1, x)))
