"""How models are called, with a state beside their params or without."""

from typing import Any

from jax import Array

__all__ = ["call_model", "init_model", "is_stateful"]


def is_stateful(model: Any) -> bool:
    """Whether a model has a state beside its params, such as BatchNorm's statistics."""
    return bool(getattr(model, "stateful", False))


def init_model(model: Any, key: Array) -> tuple[Any, Any]:
    """The initial params and state; () for a model without a state."""
    found = model.init(key)
    return found if is_stateful(model) else (found, ())


def call_model(
    model: Any, params: Any, model_state: Any, x: Any, key: Array | None = None
) -> tuple[Any, Any]:
    """The predictions, and the state after them; key: of dropout, None where it predicts."""
    if is_stateful(model):
        return model.apply(params, model_state, x, key=key)
    if key is None:
        return model.apply(params, x), model_state
    return model.apply(params, x, key=key), model_state
