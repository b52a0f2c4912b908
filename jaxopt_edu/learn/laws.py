"""`check_rule`: one's own optimizer held to the laws that the library's optimizers keep."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.learn.check_results import CheckResult, far
from jaxopt_edu.optim.transform import apply_updates
from jaxopt_edu.values.names import hyperparameters, replace, smooth_numbers

STEPS = 5


class Broken(Exception):
    """A law that does not hold; the message says which, and what was found."""


def check_rule(optimizer: object, /) -> CheckResult:
    """Holds an optimizer to the laws of the library's test suite.

    Laws: params keep shapes and dtypes (float32, bfloat16, float64), alone and in a tree; a zero
        gradient gives finite updates; jit changes nothing; vmap over each number equals a loop, and
        one program serves all its values; derivatives by smooth numbers are finite; the first step
        does not go uphill.
    optimizer: anything with init(params) and update(gradients, state, params): a `Rule`, whose
        numbers are mapped and differentiated, or an object or optax's, which has none.
    The verdict's message names the first law that is broken.

    >>> import jaxopt_edu as jo
    >>> jo.learn.check_rule(jo.lion(1e-3))
    right: all laws hold (whether it computes a certain formula, `check` says)
    """
    for law in (_runs, _dtypes, _zeros, _jits, _descends, _maps, _differentiates):
        try:
            law(optimizer)
        except Broken as broken:
            return CheckResult(False, None, str(broken))
        except Exception as error:
            told = (str(error).splitlines() or [""])[0]
            return CheckResult(False, None, f"{LAWS[law]}: {type(error).__name__}: {told}")
    return CheckResult(
        True, None, "right: all laws hold (whether it computes a certain formula, `check` says)"
    )


def _tree(dtype: Any = jnp.float32) -> Any:
    rng = np.random.default_rng(0)
    return {"w": jnp.asarray(rng.normal(size=(3, 2)), dtype), "b": jnp.asarray(0.5, dtype)}


def _gradients(dtype: Any = jnp.float32) -> Any:
    rng = np.random.default_rng(1)
    return {"w": jnp.asarray(rng.normal(size=(3, 2)), dtype), "b": jnp.asarray(-1.5, dtype)}


def _run(optimizer: Any, params: Any, gradients: Any, steps: int = STEPS) -> Any:
    """The params after some steps by one gradient."""
    state = optimizer.init(params)
    for _ in range(steps):
        updates, state = optimizer.update(gradients, state, params)
        params = apply_updates(params, updates)
    return params


def _runs(optimizer: Any) -> None:
    for method in ("init", "update"):
        if not callable(getattr(optimizer, method, None)):
            raise Broken(
                f"{type(optimizer).__name__} has no {method}: wanted a jo.Rule or jo.Transform"
            )
    params, state = _tree(), optimizer.init(_tree())
    updates, after = optimizer.update(_gradients(), state, params)
    shape: Any = jax.tree.structure
    if shape(updates) != shape(params):
        raise Broken("update gives another tree than that of the params")
    if shape(after) != shape(state):
        raise Broken("update gives a state of another structure: it cannot stand in a loop")


def _dtypes(optimizer: Any) -> None:
    for dtype in (jnp.float32, jnp.bfloat16):
        params, state = _tree(dtype), optimizer.init(_tree(dtype))
        updates, after = optimizer.update(_gradients(dtype), state, params)
        for name, u in updates.items():
            if (u.shape, u.dtype) != (params[name].shape, params[name].dtype):
                wanted = f"{params[name].dtype}{list(params[name].shape)}"
                raise Broken(f"params of {wanted} get updates of {u.dtype}{list(u.shape)}")
        for x, y in zip(jax.tree.leaves(state), jax.tree.leaves(after), strict=True):
            if jnp.result_type(x) != jnp.result_type(y):
                raise Broken(
                    f"the state changes its dtype: {jnp.result_type(x)} became {jnp.result_type(y)}"
                )


def _zeros(optimizer: Any) -> None:
    for dtype in (jnp.float32, jnp.bfloat16):
        zeros = jax.tree.map(jnp.zeros_like, _tree(dtype))
        if not all(
            bool(jnp.isfinite(x).all())
            for x in jax.tree.leaves(_run(optimizer, _tree(dtype), zeros))
        ):
            raise Broken(
                f"zero gradients in {jnp.dtype(dtype).name} give params that are not finite"
            )


def _is_value(optimizer: Any) -> bool:
    """Whether its numbers are leaves: else it is a closure over them, which has none to map."""
    return not any(leaf is optimizer or callable(leaf) for leaf in jax.tree.leaves(optimizer))


def _jits(optimizer: Any) -> None:
    plain = _run(optimizer, _tree(), _gradients())
    jitted = jax.jit(lambda params, g: _run(optimizer, params, g))(_tree(), _gradients())
    if _apart(plain, jitted) > 1e-5:
        raise Broken("in jit it gives other numbers than outside")


def _descends(optimizer: Any) -> None:
    params, g = _tree(), _gradients()
    updates, _ = optimizer.update(g, optimizer.init(params), params)
    slope = sum(
        float(jnp.vdot(u, x))
        for u, x in zip(jax.tree.leaves(updates), jax.tree.leaves(g), strict=True)
    )
    if not slope <= 0:
        raise Broken("the first step goes uphill: u . g > 0; is the minus sign missing?")


def _maps(optimizer: Any) -> None:
    if not _is_value(optimizer):
        return
    traces = 0

    @jax.jit
    def end(optimizer: Any) -> Any:
        nonlocal traces
        traces += 1
        return _run(optimizer, _tree(), _gradients())

    for name, value in hyperparameters(optimizer).items():
        values = np.float32(value) * np.array([0.9, 0.95, 1.0], np.float32)
        one_by_one = [end(replace(optimizer, **{name: v})) for v in values]
        mapped = jax.vmap(
            lambda v, name=name: _run(replace(optimizer, **{name: v}), _tree(), _gradients())
        )
        together = mapped(jnp.asarray(values))
        for i, alone in enumerate(one_by_one):
            if _apart(alone, jax.tree.map(lambda x, i=i: x[i], together)) > 1e-4:
                raise Broken(f"vmap over {name} gives other numbers than a loop")
    kinds = len(hyperparameters(optimizer))
    if traces > max(kinds, 1):
        raise Broken("values of its numbers are compiled for one by one: a Python if looks at one?")


def _differentiates(optimizer: Any) -> None:
    def loss(value: Any, name: str) -> Any:
        end = _run(replace(optimizer, **{name: value}), _tree(), _gradients())
        return sum(jnp.sum(x**2) for x in jax.tree.leaves(end))

    numbers = smooth_numbers(optimizer) if _is_value(optimizer) else {}
    for name, value in numbers.items():
        if not np.isfinite(jax.grad(loss)(jnp.float32(value), name)):
            raise Broken(f"the derivative by {name} is not finite")


def _apart(x: Any, y: Any) -> float:
    return max(far(a, b) for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True))


LAWS: dict[Callable, str] = {
    _runs: "a step on a tree of params", _dtypes: "a step in float32 and bfloat16",
    _zeros: "a step on zero gradients", _jits: "steps in jit", _descends: "the first step",
    _maps: "vmap over its numbers", _differentiates: "derivatives by its numbers",
}  # fmt: skip
