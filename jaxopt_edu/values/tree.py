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
    """sum of x_i y_i over all leaves, the complex ones among x_i conjugated"""
    return sum(leaves(map(jnp.vdot, x, y)), start=jnp.zeros(()))


def norm(x: Any) -> Array:
    """Euclidean norm of all leaves as one vector, at least float32, with derivative 0 at 0."""
    return root(sum((jnp.sum(squared(wide(leaf))) for leaf in leaves(x)), start=jnp.zeros(())))


def squared(x: Array) -> Array:
    """|x|^2 of each number: x^2 for real ones, the squares of both parts for complex ones."""
    return x.real**2 + x.imag**2 if jnp.iscomplexobj(x) else x**2


def sign(x: Array) -> Array:
    """x / |x| of each number, and 0 for 0: for real numbers -1, 0 or 1."""
    if not jnp.iscomplexobj(x):
        return jnp.sign(x)
    size = root(squared(x))
    return x / jnp.where(size > 0, size, 1)


def conjugate(x: Any) -> Any:
    """x with its complex leaves conjugated.

    By complex numbers z, JAX's gradient of a real function f is the conjugate of the direction in
    which f grows: descent steps against conjugate(jax.grad(f)(z)).
    """
    return map(lambda x: jnp.conj(x) if jnp.iscomplexobj(x) else x, x)


def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape of x, in its dtypes or in the one given.

    Errors: TypeError for complex leaves and a dtype that is real.
    """
    return map(lambda x: jnp.zeros(jnp.shape(x), _dtype_for(x, dtype)), x)


def _dtype_for(x: Any, dtype: Any) -> Any:
    own = jnp.result_type(x)
    if dtype is None:
        return own
    if jnp.issubdtype(own, jnp.complexfloating) and not jnp.issubdtype(dtype, jnp.complexfloating):
        raise TypeError(
            f"dtype = {jnp.dtype(dtype).name} (mu_dtype or accumulator_dtype) does not hold "
            f"gradients of {own.name} parameters: wanted a complex one, or None for theirs"
        )
    return dtype


def squares_like(x: Any) -> Any:
    """Zeros in the shape of x for |x|^2: of its dtypes, real ones for complex leaves."""
    return map(lambda x: jnp.zeros(jnp.shape(x), real_dtype(x)), x)


def real_dtype(x: Any) -> Any:
    """The dtype of x, or of its real part."""
    dtype = jnp.result_type(x)
    return jnp.finfo(dtype).dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtype


def all_finite(x: Any) -> Array:
    """Whether no leaf holds a NaN or an infinity."""
    largest = [jnp.max(jnp.abs(leaf), initial=0) for leaf in leaves(x) if is_float(leaf)]
    checks = [jnp.isfinite(size) for size in largest]  # NaN is the largest of all
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
