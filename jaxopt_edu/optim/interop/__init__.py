"""To and from optax.

Ours go where optax's go as they are: into `optax.chain`, Flax's TrainState, nnx.Optimizer and
Equinox's loops, for init and update have optax's signatures. `to_optax` is for numbers that change
or are arrays there; `from_optax` makes a value of what optax has and this library has not.
"""

from jaxopt_edu.optim.interop.inward import FromOptax, from_optax
from jaxopt_edu.optim.interop.outward import to_optax

__all__ = ["FromOptax", "from_optax", "to_optax"]
