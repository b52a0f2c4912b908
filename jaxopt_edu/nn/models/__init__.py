"""Models: `init(key) -> params` and `apply(params, x, key=None) -> prediction`, pure both.

With a key a model is in training (dropout acts); without one it predicts. Models of Flax, Equinox
and Haiku become such ones by `adapters`, with a state beside the params.
"""

from jaxopt_edu.nn.models.adapters.of_equinox import Equinox
from jaxopt_edu.nn.models.adapters.of_flax import Linen
from jaxopt_edu.nn.models.adapters.of_haiku import Haiku
from jaxopt_edu.nn.models.adapters.of_nnx import NNX
from jaxopt_edu.nn.models.cnn import CNN
from jaxopt_edu.nn.models.linear import Linear
from jaxopt_edu.nn.models.mlp import MLP
from jaxopt_edu.nn.models.random_features import RandomFeatures
from jaxopt_edu.nn.models.transformer import Transformer
from jaxopt_edu.nn.models.trees import ObliviousTrees, SoftTree

__all__ = [
    "CNN", "Equinox", "Haiku", "Linear", "Linen", "MLP", "NNX", "ObliviousTrees",
    "RandomFeatures", "SoftTree", "Transformer",
]  # fmt: skip
