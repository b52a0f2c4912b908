"""`check_gradient`: a gradient beside central differences, at three step sizes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.learn.check_results import CheckResult

STEPS = (1e-2, 1e-3, 1e-4)


def check_gradient(f: Callable, x: object, /, gradient: object = None) -> CheckResult:
    """Holds a gradient to central differences (f(x + h d) - f(x - h d)) / (2 h).

    Formula: in a direction d the slope is g . d; the difference errs by about h^2 f''' / 6 and by
        rounding of about 1e-16 |f| / h, so of the three h = 1e-2, 1e-3, 1e-4 one is exact enough.
    f: a function of one array or tree that gives a number. x: where; computed in float64.
    gradient: a function of x, or its value there; jax.grad(f) by default.

    >>> import jaxopt_edu as jo
    >>> jo.learn.check_gradient(lambda x: jnp.sum(x**2), jnp.array([0.0, 2.0]), lambda x: x)
    entry [1] of the gradient is 2; central differences give 4, 4, 4 at h = 0.01, 0.001, 0.0001
    """
    with jax.enable_x64(True):
        leaves, structure = jax.tree.flatten(x)
        at = [np.asarray(leaf, np.float64) for leaf in leaves]
        given = jax.grad(f) if gradient is None else gradient
        there = jax.tree.unflatten(structure, list(map(jnp.asarray, at)))
        found = [
            np.asarray(g, float)
            for g in jax.tree.leaves(given(there) if callable(given) else given)
        ]
        if [g.shape for g in found] != [a.shape for a in at]:
            shapes = [g.shape for g in found], [a.shape for a in at]
            return CheckResult(
                False, None, f"the gradient has shapes {shapes[0]}, x has {shapes[1]}"
            )

        def value(k: int, entry: tuple, h: float) -> float:
            moved = [a.copy() for a in at]
            moved[k][entry] += h
            return float(f(jax.tree.unflatten(structure, list(map(jnp.asarray, moved)))))

        worst: Any = 0.0
        for k, entry in ((k, entry) for k, a in enumerate(at) for entry in np.ndindex(a.shape)):
            slopes = [(value(k, entry, h) - value(k, entry, -h)) / (2 * h) for h in STEPS]
            ours = found[k][entry]
            errors = [abs(ours - s) / (1e-8 + abs(ours) + abs(s)) for s in slopes]
            worst = max(worst, min(errors))
            if not min(errors) < 1e-4:
                told = ", ".join(f"{s:.6g}" for s in slopes)
                steps = ", ".join(f"{h:g}" for h in STEPS)
                place = f"entry {list(entry)} of " + (f"leaf {k} of " if len(at) > 1 else "")
                message = f"{place}the gradient is {ours:.6g}; central differences give {told} "
                message += f"at h = {steps}"
                return CheckResult(False, None, message)
    return CheckResult(True, None, f"right: it agrees with central differences to {worst:.0e}")
