"""Models: `init(key) -> params` and `apply(params, x, key=None) -> prediction`, pure both.

With a key a model is in training (dropout acts); without one it predicts. Models of Flax, Equinox
and Haiku become such ones by `adapters`, with a state beside the params.
"""

from jaxopt_edu.models.adapters import NNX, Equinox, Haiku, Linen
from jaxopt_edu.models.cnn import CNN
from jaxopt_edu.models.linear import Linear
from jaxopt_edu.models.mlp import MLP
from jaxopt_edu.models.random_features import RandomFeatures
from jaxopt_edu.models.transformer import Transformer
from jaxopt_edu.models.trees import ObliviousTrees, SoftTree

__all__ = [
    "CNN", "Equinox", "Haiku", "Linear", "Linen", "MLP", "NNX", "ObliviousTrees",
    "RandomFeatures", "SoftTree", "Transformer",
]  # fmt: skip
