"""Step sizes of an optimizer, by element: what proximal and decoupled regularizers need.

Where an update is u = -D g with a diagonal D > 0, a proximal step in the metric of D,

    p_{t+1} = prox_{D r}(p_t + u_t),   argmin_x  r(x) + sum_i (x_i - p_i - u_i)^2 / (2 D_i)

rests at the minimum of loss + r, whatever D is. After any other update (a mean of gradients, a
sign) it rests elsewhere. So a transform says what it is by `form` (None: it has no such D), and D
by `lengths(updates, state, new, params)`: a number, or a tree of numbers and arrays.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.optim.transform import Chain, now, spread
from jaxopt_edu.values.pytrees import show
from jaxopt_edu.values.tree import wide

DESCENT, SCALE, GRADIENT = "descent", "scale", "gradient"


class StepForm(NamedTuple):
    """What a transform makes of the gradient g.

    kind: DESCENT for -D g, SCALE for D g, GRADIENT where it changes g itself (to a sum, noise or
    repair), which must happen before. by_coordinate: whether D differs within an array.
    """

    kind: str
    by_coordinate: bool = False


def form_of(transform: Any) -> StepForm | None:
    """The form of a transform, None where it has none."""
    if isinstance(transform, Chain):
        return _form_of_links([form_of(link) for link in transform.transforms])
    return getattr(transform, "form", None)


def _form_of_links(forms: list) -> StepForm | None:
    """Changes of the gradient come first; then it is scaled, and stepped against once at most."""
    while forms and forms[0] is not None and forms[0].kind == GRADIENT:
        forms = forms[1:]
    kinds = [None if form is None else form.kind for form in forms]
    if any(kind not in (DESCENT, SCALE) for kind in kinds) or kinds.count(DESCENT) > 1:
        return None
    kind = DESCENT if DESCENT in kinds else SCALE
    return StepForm(kind, any(form.by_coordinate for form in forms))


def lengths(transform: Any, updates: Any, state: Any, new: Any, params: Any) -> Any:
    """D of an update that led from state to new: a number, or a tree like updates."""
    if not isinstance(transform, Chain):
        return transform.lengths(updates, state, new, params)
    total: Any = 1.0
    for link, s, s_new in zip(transform.transforms, state, new, strict=True):
        form = form_of(link)
        if form is not None and form.kind != GRADIENT:
            total = times(total, lengths(link, updates, s, s_new, params), updates)
        updates, _ = link.update(updates, s, params)
    return total


def times(x: Any, y: Any, like: Any) -> Any:
    """The product of two lengths of the updates `like`."""
    if np.ndim(x) == np.ndim(y) == 0 and _is_number(x) and _is_number(y):
        return x * y
    structure = jax.tree.structure(like)
    rows = zip(spread(x, structure), spread(y, structure), strict=True)
    return jax.tree.unflatten(structure, [a * b for a, b in rows])


def _is_number(x: Any) -> bool:
    return jax.tree_util.all_leaves([x])


def check_lengths(optimizer: Any, regularizer: Any) -> None:
    """ValueError unless a proximal step after this optimizer ends at the minimum."""
    form, prox = form_of(optimizer), inside(regularizer)
    if form is None or form.kind != DESCENT:
        raise ValueError(
            f"optimizer = {show(optimizer)}: {_culprit(optimizer)} does not step against the "
            "gradient itself, number by number, so that proximal steps would end elsewhere than "
            "at the minimum; wanted sgd without momentum, adagrad or rmsprop"
        )
    if form.by_coordinate and not getattr(prox, "separable", False):
        raise ValueError(
            f"regularizer = {show(regularizer)}: {_culprit(optimizer)} steps by other lengths in "
            f"every coordinate, and {type(prox).__name__} does not say separable = True (that it "
            "is a sum over coordinates, whose prox takes an array of steps); wanted sgd"
        )


def inside(regularizer: Any) -> Any:
    """The innermost regularizer."""
    while hasattr(regularizer, "regularizer"):
        regularizer = regularizer.regularizer
    return regularizer


def _culprit(optimizer: Any) -> str:
    """The part of an optimizer to name in an error."""
    if isinstance(optimizer, Chain):
        forms = [(form_of(link), link) for link in optimizer.transforms]
        for form, link in forms:
            if form is None or form.by_coordinate:
                return _culprit(link)
    return type(optimizer).__name__


# --------------------------------------------------------------------------- the learning rate


def learning_rate_of(optimizer: Any, state: Any) -> Any:
    """The learning rate, or tree of them, that an update of this state takes.

    Errors: ValueError where the optimizer has none, or more than one.

    >>> import jaxopt_edu as jo
    >>> optimizer = jo.chain(jo.clip(1.0), jo.sgd(0.1))
    >>> jo.learning_rate_of(optimizer, optimizer.init(0.0))
    0.1
    """
    rates = learning_rates(optimizer, state)
    if len(rates) != 1:
        raise ValueError(
            f"optimizer = {optimizer!r} has {len(rates) or 'no'} learning rates: a decoupled or "
            "proximal regularizer wants one"
        )
    return rates[0]


def learning_rates(optimizer: Any, state: Any) -> list:
    """All of them, in order; a wrapper answers for what it wraps by a method of this name."""
    if hasattr(optimizer, "learning_rates"):
        return optimizer.learning_rates(state)
    if hasattr(optimizer, "learning_rate"):
        rate = now(optimizer.learning_rate, state.t)
        return [1.0 if rate is None else rate]
    if isinstance(optimizer, Chain):
        links = zip(optimizer.transforms, state, strict=True)
        return [rate for transform, s in links for rate in learning_rates(transform, s)]
    return []


# ------------------------------------------------------------------- what a regularizer is given


def step_lengths(
    regularizer: Any, optimizer: Any, updates: Any, state: Any, new: Any, params: Any
) -> Any:
    """What `after` wants in the place of the learning rate, of an update from state to new.

    The learning rate of that update; for a proximal regularizer D, where the update is -D g: a
    number, or a tree of numbers and arrays; None for a regularizer that acts in the loss.

    Errors: ValueError where the optimizer has no learning rate, or no such D.

    >>> import jaxopt_edu as jo
    >>> optimizer, p, g = jo.adagrad(0.1, eps=0.0), jnp.zeros(2), jnp.array([1.0, 2.0])
    >>> state = optimizer.init(p)
    >>> u, new = optimizer.update(g, state, p)
    >>> d = jo.step_lengths(jo.proximal(jo.L1(1.0)), optimizer, g, state, new, p)
    >>> bool(jnp.allclose(u, -d * g))
    True
    """
    if not regularizer.needs_learning_rate:
        return None
    if not wants_lengths(regularizer):
        return learning_rate_of(optimizer, state)
    check_lengths(optimizer, regularizer)
    return lengths(optimizer, updates, state, new, params)


def wants_lengths(regularizer: Any) -> bool:
    """Whether a regularizer takes proximal steps."""
    return getattr(regularizer, "needs_lengths", False)


def residual(regularizer: Any, params: Any, grads: Any) -> Any:
    """What is 0 at the minimum: the gradient, or with a proximal r  p - prox_r(p - g)."""
    if not wants_lengths(regularizer):
        return grads
    p = jax.tree.map(wide, params)
    moved = regularizer.after(jax.tree.map(lambda p, g: p - wide(g), p, grads), p, 1.0)
    return jax.tree.map(jnp.subtract, p, moved)
