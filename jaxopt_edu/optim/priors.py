"""A regularizer as a prior: counted once for all examples, however many there are."""

from typing import Any

from jaxopt_edu.values import tree
from jaxopt_edu.values.pytrees import pytree, recipe

__all__ = ["Prior", "prior"]


@pytree
class Prior:
    """A regularizer that belongs to the sum of the losses, not to their mean.

    Formula: the sum of n losses and r(w), divided by n:  mean loss + r(w) / n
    So it weighs less the more examples there are, as minus the logarithm of a prior does beside
    minus the logarithm of a likelihood; n is the number of training examples, on a fold that of
    the fold. `jo.prior(jo.L2(1 / C))` is the C of scikit-learn's LogisticRegression and
    LinearSVC, and beside squared_error `jo.prior(jo.L2(2 * alpha))` the alpha of its Ridge.
    regularizer: any, also `proximal` or `decoupled`.
    Units: for L2 the weight is one over the variance of the weights in the prior.
    Source: Bishop 2006, Pattern Recognition and Machine Learning, equations 1.65 to 1.67.
    Agrees with: sklearn's GridSearchCV over C, scores to 1e-6 in float64.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> rare = jo.prior(jo.L2(1 / 0.5))
    >>> rare, float(rare.among(100).penalty(jnp.array([3.0, 4.0])))
    (Prior(regularizer=L2(weight=2.0)), 0.25)
    """

    regularizer: Any
    inlined = "regularizer"

    @property
    def needs_learning_rate(self) -> bool:
        """Whether its step reads the learning rate."""
        return self.regularizer.needs_learning_rate

    @property
    def needs_lengths(self) -> bool:
        """Whether its step reads the lengths of the optimizer's."""
        return getattr(self.regularizer, "needs_lengths", False)

    def among(self, examples: Any) -> "PerExample":
        """What acts on the mean loss of so many examples."""
        return PerExample(self.regularizer, examples)


prior = recipe("prior", Prior)


@pytree
class PerExample:
    """A regularizer divided by a number of examples."""

    regularizer: Any
    examples: Any

    @property
    def needs_learning_rate(self) -> bool:
        """Whether its step reads the learning rate."""
        return self.regularizer.needs_learning_rate

    @property
    def needs_lengths(self) -> bool:
        """Whether its step reads the lengths of the optimizer's."""
        return getattr(self.regularizer, "needs_lengths", False)

    def penalty(self, params: Any) -> Any:
        """r(params) / n"""
        return self.regularizer.penalty(params) / self.examples

    def after(self, new_params: Any, params: Any, learning_rate: Any) -> Any:
        """The step of r / n at this learning rate is that of r at learning_rate / n."""
        rate = tree.map(lambda rate: rate / self.examples, learning_rate)
        return self.regularizer.after(new_params, params, rate)


def among(regularizer: Any, examples: Any) -> Any:
    """A regularizer as it acts on the mean loss of so many examples."""
    return regularizer.among(examples) if isinstance(regularizer, Prior) else regularizer
