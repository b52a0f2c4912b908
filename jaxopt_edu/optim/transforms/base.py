"""What the bricks share: states, a place for None, and wrappers around another transform."""

from typing import Any, NamedTuple

import jax

from jaxopt_edu.optim.extra_args import eval_params, needs, wants
from jaxopt_edu.optim.step_sizes import SCALE, StepForm, learning_rates, lengths
from jaxopt_edu.optim.transform import ClockState, EmptyState, Rule, Transform, spread, start
from jaxopt_edu.values.pytrees import pytree, recipe
from jaxopt_edu.values.tree import zeros_like


class Brick(Rule):
    """A rule (see `core.Rule`) without slots: rule(t, p, g) -> (u,)."""

    def init(self, params):
        return ClockState(start())


class Stateless:
    """A transform without numbers and without memory."""

    def init(self, params):
        return EmptyState()


@pytree
class Identity(Stateless):
    """Lets gradients through as they are.

    Formula: u = g
    Agrees with: optax.identity.

    >>> import jaxopt_edu as jo
    >>> jo.identity().update(1.0, jo.identity().init(None))
    (1.0, EmptyState())
    """

    form = StepForm(SCALE)

    def update(self, updates, state, params=None, **extra):
        return updates, state

    def lengths(self, updates, state, new, params):
        return 1.0


identity = recipe("identity", Identity)


@pytree
class SetToZero(Stateless):
    """Zeros in place of the gradient: the parameters stay where they are.

    Formula: u = 0
    Agrees with: optax.set_to_zero.

    >>> import jaxopt_edu as jo
    >>> jo.chain(jo.sgd(0.1), jo.set_to_zero())
    chain(SGD(learning_rate=0.1), SetToZero())
    """

    form = StepForm(SCALE)

    def update(self, updates, state, params=None, **extra):
        return zeros_like(updates), state

    def lengths(self, updates, state, new, params):
        return 0.0


set_to_zero = recipe("set_to_zero", SetToZero)


class InnerState(NamedTuple):
    """The state of a wrapper that adds nothing to what it wraps."""

    inner_state: Any


class Wrapper:
    """A transform around another one, its field `inner`, that asks and answers for the other."""

    inner: Transform

    @property
    def wants(self):
        return wants(self.inner)

    @property
    def needs(self):
        return needs(self.inner)

    def eval_params(self, state, params):
        return eval_params(self.inner, state.inner_state, params)

    def learning_rates(self, state):
        return learning_rates(self.inner, state.inner_state)


def lengths_of_marked(
    transform: Any, marks: list, updates: Any, states: tuple, params: Any, others: list
) -> list:
    """D of the transform for the marked leaves, for the other leaves `others`."""
    structure: Any = jax.tree.structure(updates)
    own = keep(updates, structure, marks)
    found = lengths(transform, own, states[0], states[1], keep(params, structure, marks))
    each = iter(spread(found, jax.tree.structure(own)))
    return [next(each) if marked else other for marked, other in zip(marks, others, strict=True)]


def extra_of_marked(extra: dict, structure: Any, marks: list, params: Any) -> dict:
    """The extra arguments as functions and gradients of the marked leaves alone."""
    own = dict(extra)
    grad, value_fn = extra.get("grad"), extra.get("value_fn")
    if jax.tree.structure(grad) == structure:
        own["grad"] = keep(grad, structure, marks)
    if value_fn is not None and params is not None:
        own["value_fn"] = lambda p: value_fn(put_back(p, structure, marks, params))
    return own


def eval_params_of_marked(transform: Any, marks: list, state: Any, params: Any) -> Any:
    """The params to read at where the transform acts on the marked leaves only."""
    structure = jax.tree.structure(params)
    own = eval_params(transform, state, keep(params, structure, marks))
    return put_back(own, structure, marks, params)


def put_back(own: Any, structure: Any, marks: list, params: Any) -> Any:
    """The params with these marked leaves: the inverse of `keep`."""
    rows = zip(structure.flatten_up_to(own), structure.flatten_up_to(params), marks, strict=True)
    return structure.unflatten([x if marked else p for x, p, marked in rows])


def wants_params(transform: Any, params: Any) -> None:
    """ValueError where params are None."""
    if params is None:
        name = type(transform).__name__
        raise ValueError(f"{name}.update wants params: update(g, state, params)")


def keep(tree: Any, structure: Any, marks: list) -> Any:
    """The tree with None in place of the leaves that are not marked; None stays None."""
    if tree is None:
        return None
    leaves = structure.flatten_up_to(tree)
    return structure.unflatten([x if m else None for x, m in zip(leaves, marks, strict=True)])
