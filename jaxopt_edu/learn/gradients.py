"""`check_gradient`: a gradient beside central differences, at three step sizes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.learn.calling import NotRun, as_numbers, call, check_function
from jaxopt_edu.learn.check_results import CheckResult

STEPS = (1e-2, 1e-3, 1e-4)
CLOSE = 1e-4  # relative


def check_gradient(f: Callable[..., object], x: object, /, gradient: object = None) -> CheckResult:
    """Holds a gradient to central differences (f(x + h e) - f(x - h e)) / (2 h), entry by entry.

    The difference errs by about h^2 f''' / 6, and by rounding of 1e-16 |f| / h. So of h = 1e-2,
        1e-3, 1e-4 (times |x| where that is below 1) and what they tend to, one is exact enough
        where f is smooth on that scale; where they do not settle nothing can be told.
    f: a function of one array or tree that gives a number. x: where; computed in float64.
    gradient: a function of x, or its value there; jax.grad(f) by default.
    Errors: TypeError where f is no function, or x holds no numbers.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> jo.learn.check_gradient(lambda x: jnp.sum(x**2), jnp.array([0.0, 2.0]), lambda x: x)
    entry [1] of the gradient is 2; central differences give 4, 4, 4 at h = 0.01, 0.001, 0.0001
    """
    check_function("f", f)
    leaves, structure = jax.tree.flatten(x)
    if not leaves or any(not np.issubdtype(np.asarray(a).dtype, np.number) for a in leaves):
        raise TypeError("x: wanted an array or a tree of numbers")
    at = [np.array(a, np.float64) for a in leaves]

    def tree(arrays: list) -> Any:
        return jax.tree.unflatten(structure, list(map(jnp.asarray, arrays)))

    def value(k: int, entry: tuple, h: float) -> float:
        moved = [a.copy() for a in at]
        moved[k][entry] += h
        found = as_numbers("f(x)", call(lambda: f(tree(moved)), {}))
        if found.shape != ():
            raise NotRun(f"f(x) has shape {found.shape}: wanted one number")
        return float(found)

    try:
        found = _given(f, gradient, at, tree)
        for k, entry in ((k, entry) for k, a in enumerate(at) for entry in np.ndindex(a.shape)):
            size = min(1.0, abs(float(at[k][entry])) or 1.0)
            steps = [h * size for h in STEPS]
            slopes = [(value(k, entry, h) - value(k, entry, -h)) / (2 * h) for h in steps]
            wrong = _compared(float(found[k][entry]), slopes, steps)
            if wrong:
                place = f"entry {list(entry)} of " + (f"leaf {k} of " if len(at) > 1 else "")
                return CheckResult(False, None, f"{place}{wrong}")
    except NotRun as error:
        return CheckResult(False, None, str(error))
    return CheckResult(True, None, "right: it agrees with central differences")


def _given(f: Callable, gradient: object, at: list, tree: Callable) -> list[np.ndarray]:
    """The gradient that is checked, leaf by leaf. Errors: NotRun."""
    if gradient is not None and not callable(gradient):
        there = gradient
    else:
        slope = jax.grad(f) if gradient is None else gradient
        there = call(lambda: slope(tree(at)), {})
    found = [as_numbers("the gradient", g).astype(float) for g in jax.tree.leaves(there)]
    if [g.shape for g in found] != [a.shape for a in at]:
        shapes = [g.shape for g in found], [a.shape for a in at]
        raise NotRun(f"the gradient has shapes {shapes[0]}, x has {shapes[1]}")
    return found


def _compared(ours: float, slopes: list[float], steps: list[float]) -> str:
    """What is wrong with a number of the gradient beside these slopes, or ""."""
    tends = (100 * slopes[2] - slopes[1]) / 99  # without the error of order h^2
    for slope in (*slopes, tends):
        if abs(ours - slope) <= CLOSE * (abs(ours) + abs(slope)) + 1e-8:
            return ""
    told, at = ", ".join(f"{s:.6g}" for s in slopes), ", ".join(f"{h:.3g}" for h in steps)
    words = f"the gradient is {ours:.6g}; central differences give {told} at h = {at}"
    settled = abs(slopes[1] - slopes[2]) <= 0.05 * (abs(slopes[1]) + abs(slopes[2])) + 1e-8
    return words if settled else f"{words}: they do not settle, so nothing can be told here"
