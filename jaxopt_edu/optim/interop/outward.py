"""Ours as optax's: `to_optax`."""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax

from jaxopt_edu.optim.interop.objectives import strong
from jaxopt_edu.optim.transform import Transform
from jaxopt_edu.values.names import hyperparameters

if TYPE_CHECKING:
    import optax


class OptaxState(NamedTuple):
    """The numbers of an optimizer by name, and its own state, named as optax names them."""

    hyperparams: dict[str, Any]
    inner_state: Any


def to_optax(optimizer: Transform) -> "optax.GradientTransformationExtraArgs":
    """The optimizer as optax's pair of functions, its numbers in the state.

    The state is (hyperparams, inner_state), as that of optax.inject_hyperparams. So the numbers
    are data: they change without a new trace, by `optax.tree.set(state, learning_rate=0.1)` or
    `state.hyperparams["learning_rate"] = 0.1`, are saved with the state, and a vmap over states
    maps over them. `tx.init` puts the optimizer's own numbers there; nothing else reads them.
    Where it is needed: nnx.Optimizer refuses arrays outside the state; TrainState and optax.chain
        make the numbers part of the program, which is compiled anew for new ones; optax.chain
        keeps value= and other extra arguments from ours unless they come by `to_optax`.
    Make tx once: two of them are different structures to jax.jit, even of equal optimizers.
    Errors: TypeError at `tx.init` where a distribution stands in the place of a number.
    Agrees with: the optimizer itself, 1e-12 in float64; the numbers have the precision of arrays.

    >>> import jax.numpy as jnp
    >>> import jaxopt_edu as jo
    >>> tx = jo.to_optax(jo.sgd(0.5))
    >>> state = tx.init(params=jnp.ones(2))
    >>> state.hyperparams["learning_rate"] = 0.25
    >>> tx.update(jnp.ones(2), state)[0]
    Array([-0.25, -0.25], dtype=float32)
    """
    import optax

    names = list(hyperparameters(optimizer))
    structure = jax.tree.structure(optimizer)

    def init(params):
        numbers = map(strong, jax.tree.leaves(optimizer))
        return OptaxState(dict(zip(names, numbers, strict=True)), optimizer.init(params))

    def update(updates, state, params=None, **extra):
        ours = jax.tree.unflatten(structure, [state.hyperparams[name] for name in names])
        updates, inner = ours.update(updates, state.inner_state, params, **extra)
        return updates, OptaxState(dict(state.hyperparams), inner)

    return optax.GradientTransformationExtraArgs(init, update)
