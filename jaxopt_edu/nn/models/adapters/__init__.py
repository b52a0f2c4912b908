"""Models of Flax, Equinox and Haiku as models of this library: with a state beside the params.

    init(key) -> (params, model_state)
    apply(params, model_state, x, key=None) -> (prediction, model_state)

With a key a model is in training: dropout acts, batch normalization takes the statistics of the
batch and updates its running ones. Without one it predicts, and the state comes back as it was.
"""

from jaxopt_edu.nn.models.adapters.of_equinox import Equinox
from jaxopt_edu.nn.models.adapters.of_flax import Linen
from jaxopt_edu.nn.models.adapters.of_haiku import Haiku
from jaxopt_edu.nn.models.adapters.of_nnx import NNX

__all__ = ["NNX", "Equinox", "Haiku", "Linen"]
