"""Code of others whose costly branches lanes take together (see `branches`).

Sophia estimates a curvature at every tenth step, GaLore takes a new projection at every 200th, by a
`lax.cond` on a count in their state. In a sweep that is every lane's own count, and the work would
be done at every step. So their program is read, and such a cond is put as `branches.when`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax

from jaxopt_edu.optim.branches import when

# what makes a branch costly: products of matrices, their decompositions, loops, whole functions
COSTLY = {
    "cholesky", "conv_general_dilated", "dot_general", "eigh", "householder_product", "jit",
    "lu", "pjit", "qr", "scan", "svd", "triangular_solve", "while",
}  # fmt: skip


def rebranched(f: Callable[..., Any], *args: Any) -> Any:
    """f(*args), the same numbers, where lanes take a cond with one costly branch together.

    Where nothing is traced there are no lanes, and f is called as it is.
    """
    if not any(isinstance(x, jax.core.Tracer) for x in jax.tree.leaves(args)):
        return f(*args)
    program, shape = jax.make_jaxpr(f, return_shape=True)(*args)
    out = _evaluated(program.jaxpr, program.consts, jax.tree.leaves(args))
    return jax.tree.unflatten(jax.tree.structure(shape), out)


def _evaluated(program: Any, constants: Iterable, args: Iterable) -> list:
    """The results of a program, equation by equation."""
    values = dict(zip((*program.constvars, *program.invars), (*constants, *args), strict=True))

    def read(x):
        return x.val if hasattr(x, "val") else values[x]  # a literal, or a variable

    for equation in program.eqns:
        given, costly = list(map(read, equation.invars)), _costly_branch(equation)
        if costly is None:
            parameters = equation.primitive.get_bind_params(equation.params)
            out = equation.primitive.bind(*given, **parameters)
        else:
            out = _together(equation.params["branches"], costly, *given)
        out = out if equation.primitive.multiple_results or costly is not None else [out]
        values |= zip(equation.outvars, out, strict=True)
    return list(map(read, program.outvars))


def _together(branches: Any, costly: int, index: Any, *args: Any) -> list:
    """The cond of these two branches, one of which lanes take together."""

    def call(i):
        program = getattr(branches[i], "jaxpr", branches[i])
        return _evaluated(program, getattr(branches[i], "consts", ()), args)

    return when(index == costly, lambda: call(costly), lambda: call(1 - costly))


def _costly_branch(equation: Any) -> int | None:
    """Of a cond with two branches the one that is costly, where the other is not."""
    branches = equation.params.get("branches", ())
    if equation.primitive.name != "cond" or len(branches) != 2:
        return None
    costly = [
        any(e.primitive.name in COSTLY for e in getattr(branch, "jaxpr", branch).eqns)
        for branch in branches
    ]
    return costly.index(True) if costly.count(True) == 1 else None
