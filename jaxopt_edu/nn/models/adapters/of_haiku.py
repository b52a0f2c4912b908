"""Functions of Haiku."""

from typing import Any

from jaxopt_edu.nn.models.adapters.common import (
    check_function,
    check_input,
    check_numbers,
    check_params,
    flag,
    kept,
    library,
    read_example,
    settled,
    zeros,
)
from jaxopt_edu.values.pytrees import check, number, pytree, static

__all__ = ["Haiku"]


@pytree
class Haiku:
    """A function of Haiku as a model: hk.transform_with_state of it.

    Formula: training: f, s' = apply(p, s, key, x, is_training=True, **numbers); evaluation:
        f, _ = apply(p, s, None, x, is_training=False, **numbers), s' = s. A function that takes no
        `is_training` is called without it.
    Shapes: x as the example but for its first axis, n. Params and model_state: those of Haiku's
        init(key, example, is_training=True, **numbers): dicts by module and name.
    function: x (, is_training, and numbers by name) -> prediction; it makes its modules itself.
    example: one example with its leading axis, as x[:1], or its shape, as (1, 13); only its shape
        and dtype are kept. dtype: that of the example, where it is not that of floats.
    numbers: a dict of hyperparameters for function, such as {"rate": jo.uniform(0.0, 0.5)}, which
        hk.dropout(hk.next_rng_key(), rate, x) takes: swept, mapped and differentiated.
    Errors: TypeError for what is no function, one that is told of training by another name than
        is_training, numbers that it does not take, parameters that are no floats; ValueError for
        another shape of x, and for randomness in evaluation; ImportError without dm-haiku.
    Agrees with: hk.transform_with_state in a loop of one's own, 1e-6 in float32.

    >>> import haiku as hk
    >>> import jax, jaxopt_edu as jo
    >>> model = jo.models.Haiku(lambda x: hk.Linear(3)(x), (1, 13))
    >>> params, model_state = model.init(jax.random.key(0))
    >>> params["linear"]["w"].shape, model_state
    ((13, 3), {})
    """

    function: Any = static()
    example: Any = static()
    numbers: Any = number(default=None)
    dtype: str | None = static(default=None)
    inlined = "numbers"
    stateful = True

    def __post_init__(self):
        library("haiku", "Haiku")
        check_function("function", self.function, "a function of x that Haiku can transform")
        check_numbers("function", self.function, self.numbers)
        for one in settled(self.function):
            flag(one, "is_training", "Haiku")
        read_example(self)
        check(self)

    def init(self, key):
        params, model_state = self._pair.init(key, zeros(self), **self._told(True))
        check_params(params, "hk.get_state, which is not trained, in the place of hk.get_parameter")
        return params, model_state

    def apply(self, params, model_state, x, key=None):
        check_input(self, x)
        training = key is not None
        out, new = self._pair.apply(params, model_state, key, x, **self._told(training))
        return out, kept(model_state, new, "Haiku") if training else model_state

    @property
    def _pair(self) -> Any:
        """Haiku's init and apply."""
        return library("haiku", "Haiku").transform_with_state(self.function)

    def _told(self, training: bool) -> dict[str, Any]:
        told = {"is_training": training} if flag(self.function, "is_training", "Haiku") else {}
        return told | (self.numbers or {})
