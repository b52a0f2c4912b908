"""How models are called, with a state beside their params or without."""

from typing import Any

import jax
from jax import Array, random

from jaxopt_edu.nn.models.mixing import mixes_examples


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


def structure(model: Any) -> tuple[Any, Any]:
    """The params and state of a model as shapes and dtypes; () for a model without a state."""
    return jax.eval_shape(lambda key: init_model(model, key), jax.eval_shape(lambda: random.key(0)))


def mixes_rows(training: Any) -> bool:
    """Whether in training the model's output for a row depends on other rows, as by BatchNorm.

    Found by calling it: see `mixes_examples`. False where there is a single training example.
    """
    x = training.data.train.first(4)[0]
    if len(x) < 2:
        return False
    params, model_state = _initial(training.model)
    return mixes_examples(training.model, params, model_state, x)


@jax.jit
def _initial(model: Any) -> tuple[Any, Any]:
    return init_model(model, random.key(0))
