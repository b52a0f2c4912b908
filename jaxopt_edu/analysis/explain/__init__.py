"""Why a model predicts what it predicts: for one example, and over all of them.

predict is any function from (n, d) to (n,) or (n, k) that JAX can trace, such as `run.apply` or
`lambda x: jax.nn.softmax(run.apply(x))`. Every call compiles one program; where the same call
comes again, wrap it in `jax.jit` to keep that. At most `chunk` rows go to predict at once, however
many there are to be computed (but no fewer than one background set).
"""

from jaxopt_edu.analysis.explain.dependence import PartialDependence, partial_dependence
from jaxopt_edu.analysis.explain.exact import shapley
from jaxopt_edu.analysis.explain.gradients import IntegratedGradients, integrated_gradients
from jaxopt_edu.analysis.explain.importance import PermutationImportance, permutation_importance
from jaxopt_edu.analysis.explain.kernel import kernel_shapley
from jaxopt_edu.analysis.explain.permutation import PermutationShapley, permutation_shapley
from jaxopt_edu.analysis.explain.surrogate import Lime, lime

__all__ = [
    "IntegratedGradients", "Lime", "PartialDependence", "PermutationImportance",
    "PermutationShapley", "integrated_gradients", "kernel_shapley", "lime", "partial_dependence",
    "permutation_importance", "permutation_shapley", "shapley",
]  # fmt: skip
