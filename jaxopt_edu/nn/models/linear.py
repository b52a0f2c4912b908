"""The linear model: regression, logistic and softmax regression differ in their loss only."""

import jax.numpy as jnp

from jaxopt_edu.nn.models.layers import check_input, dense
from jaxopt_edu.values.pytrees import pytree, static


@pytree
class Linear:
    """A weighted sum of the features.

    Formula: f(x) = x w^T + b
    Shapes: x (n, inputs) -> (n,) where outputs is 1, else (n, outputs). Params: w (inputs,) or
        (outputs, inputs), b () or (outputs,), both zero at the start; no b where intercept=False.
    Errors: ValueError where x has another number of features.

    With squared_error it is linear regression, with sigmoid_binary_cross_entropy logistic
    regression, with softmax_cross_entropy softmax regression, with hinge_loss and L2 a
    support-vector machine.

    >>> import jaxopt_edu as jo
    >>> jo.models.Linear(4, 3)
    Linear(inputs=4, outputs=3)
    """

    inputs: int = static(least=1)
    outputs: int = static(least=1, default=1)
    intercept: bool = static(default=True)

    def init(self, key):
        shape = () if self.outputs == 1 else (self.outputs,)
        dtype = jnp.result_type(float)
        w = jnp.zeros((*shape, self.inputs), dtype)
        return {"w": w, "b": jnp.zeros(shape, dtype)} if self.intercept else {"w": w}

    def apply(self, params, x, key=None):
        check_input(x, self.inputs, "Linear")
        if self.outputs > 1:
            return dense(params, x)
        return x @ params["w"] + params.get("b", 0)
