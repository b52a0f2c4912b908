"""What augmentations are: the protocol, mixed targets and their loss, chains."""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from jax import Array

from jaxopt_edu.values.pytrees import pytree
from jaxopt_edu.values.random_bits import fold_in

__all__ = ["Augmentation", "AugmentationChain", "Mixed", "chain", "losses_of", "per_example"]


class Mixed(NamedTuple):
    """Targets of mixed examples: `share` of first and the rest of second, for each example."""

    first: Any
    second: Any
    share: Any


def per_example(share: Array, x: Array) -> Array:
    """One number an example, with axes to multiply x by."""
    return share.reshape(share.shape + (1,) * (x.ndim - 1)).astype(x.dtype)


def losses_of(loss: Any, predictions: Any, targets: Any) -> Array:
    """The loss of every example; of mixed targets the mixture of the losses of both.

    Formula: share l(f, first) + (1 - share) l(f, second)
    For cross-entropy this is the loss of the mixed one-hot targets; for squared_error it has the
    gradient of the loss of the mixed targets; so any loss and integer labels will do.
    """
    if not isinstance(targets, Mixed):
        return loss(predictions, targets)
    first, second = loss(predictions, targets.first), loss(predictions, targets.second)
    share = per_example(targets.share, first)
    return share * first + (1 - share) * second


class Augmentation(ABC):
    """Base of the augmentations."""

    @property
    def mixes(self) -> bool:
        """Whether an example depends on others of the batch."""
        return False

    @abstractmethod
    def __call__(self, key: Array, x: Any, y: Any) -> tuple[Array, Any]:
        """The augmented batch."""


@pytree
class AugmentationChain(Augmentation):
    """Augmentations one after another, each with a key of its own."""

    parts: tuple
    inlined = "parts"

    @property
    def mixes(self):
        return any(getattr(part, "mixes", False) for part in self.parts)

    def __call__(self, key, x, y):
        for i, part in enumerate(self.parts):
            x, y = part(fold_in(key, i), x, y)
        return x, y

    def __repr__(self):
        return f"augment.chain({', '.join(map(repr, self.parts))})"


def chain(*parts: Any) -> AugmentationChain:
    """Applies augmentations in order.

    Errors: TypeError naming the first argument that is none.

    >>> import jaxopt_edu as jo
    >>> both = jo.augment.chain(jo.augment.shift((8, 8), 1), jo.augment.noise(0.1))
    >>> jo.hyperparameters(both)
    {'0.reach': 1, '0.fill': 0.0, '1.scale': 0.1}
    """
    for i, part in enumerate(parts):
        if not callable(part):
            raise TypeError(
                f"augment.chain: argument {i} = {part!r} is no augmentation (key, x, y) -> x, y"
            )
    return AugmentationChain(parts)
