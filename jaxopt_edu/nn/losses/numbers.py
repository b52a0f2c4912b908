"""A loss and values for its numbers, as one value whose numbers are leaves."""

import inspect
from collections.abc import Callable
from typing import Any

from jax import Array

from jaxopt_edu.nn.link import link_of
from jaxopt_edu.values.pytrees import nearest, pytree, show, static


@pytree
class WithNumbers:
    """What `with_numbers` makes: called as the loss is, it passes the numbers on."""

    loss: Callable = static()
    numbers: dict[str, Any]
    inlined = "numbers"

    @property
    def link(self) -> str:
        """The name of the link of the loss inside."""
        return link_of(self.loss).name

    def __call__(self, predictions: Any, targets: Any) -> Array:
        return self.loss(predictions, targets, **self.numbers)

    def __repr__(self):
        numbers = "".join(f", {name}={show(value)}" for name, value in self.numbers.items())
        return f"with_numbers({show(self.loss)}{numbers})"


def with_numbers(loss: Callable[..., Any], **numbers: Any) -> WithNumbers:
    """A loss whose numbers can be swept, mapped and differentiated: they are leaves.

    Errors: TypeError naming a number that the loss does not take, with the nearest that it does.

    >>> import jaxopt_edu as jo
    >>> jo.losses.with_numbers(jo.losses.huber_loss, delta=0.5)
    with_numbers(huber_loss, delta=0.5)
    """
    if not callable(loss):
        raise TypeError(f"loss = {loss!r}: wanted a function of (predictions, targets)")
    known = list(inspect.signature(loss).parameters)[2:]
    for name, value in numbers.items():
        if name not in known:
            raise TypeError(f"{show(loss)} takes no number {name!r}; {nearest(name, known)}")
        if isinstance(value, str | bytes):
            raise TypeError(f"{name} = {value!r}: wanted a number")
    return WithNumbers(loss, numbers)
