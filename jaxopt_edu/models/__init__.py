"""Models: `init(key) -> params` and `apply(params, x, key=None) -> prediction`, pure both.

With a key a model is in training (dropout acts); without one it predicts.
"""

from jaxopt_edu.models.linear import Linear
from jaxopt_edu.models.mlp import MLP

__all__ = ["MLP", "Linear"]
