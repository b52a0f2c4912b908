"""Optax's as ours: `from_optax`."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.optim.interop.conds import rebranched
from jaxopt_edu.optim.interop.objectives import (
    gradient_of,
    objective_at,
    parts_of,
    read_at,
    strong,
    widened,
)
from jaxopt_edu.optim.interop.signatures import MADE_OF, Arguments, asked_by, takes_all
from jaxopt_edu.optim.transform import KNOWN
from jaxopt_edu.values.pytrees import nearest, number, pytree, show, static
from jaxopt_edu.values.space import Distribution

_ASKED: dict[Any, Arguments] = {}  # what optimizers of a structure ask for
_CAN_BE_TOLD = (
    "a `Training` tells value, grad, value_fn, key and t, a private one nothing of its objective; "
    "a loop of one's own tells them as keyword arguments of update"
)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Fixed:
    """An argument, or a part of one, that is structure."""

    value: Any


@pytree
class FromOptax:
    """An optimizer of optax as a value: see `from_optax`, which makes it."""

    factory: Callable = static()
    arguments: dict[str, Any] = number()
    inlined = "arguments"

    def __post_init__(self):
        parameters = inspect.signature(self.factory).parameters
        sizes = {name for name, p in parameters.items() if p.annotation in (int, int | None)}
        marked = {name: _mark(name, x, name in sizes) for name, x in self.arguments.items()}
        object.__setattr__(self, "arguments", marked)

    def given(self) -> dict[str, Any]:
        """The arguments as the factory wants them, in its order."""
        names = inspect.signature(self.factory).parameters
        return {name: _unmark(self.arguments[name]) for name in names if name in self.arguments}

    def init(self, params):
        import optax.contrib

        state = self.factory(**self.given()).init(params)
        per_example = optax.contrib.DifferentiallyPrivateAggregateState
        if parts_of(state, per_example):
            raise TypeError(
                f"{self.__name__} wants the gradients of all examples apart, and is given their "
                "mean; for differential privacy see jo.privacy"
            )
        return jax.tree.map(strong, state)

    def update(self, updates, state, params=None, **extra):
        optimizer, old = self.factory(**self.given()), (updates, state)
        told = self._told(optimizer.update, extra, params)
        try:
            update = functools.partial(optimizer.update, **told)
            new = rebranched(update, *jax.tree.map(widened, (*old, params)))
        except TypeError as error:
            if "required keyword-only argument" not in str(error):
                raise
            raise TypeError(f"{self.__name__}: {error}; {_CAN_BE_TOLD}") from error
        return jax.tree.map(lambda x, old: jnp.asarray(x, jnp.result_type(old)), new, old)

    def _told(self, update: Callable, extra: dict[str, Any], params: Any) -> dict[str, Any]:
        """The extra arguments as optax's update wants them, by its names."""
        asked = self._asked()
        known = {name: x for name, x in extra.items() if name in asked.wanted}
        for name in asked.wanted - known.keys():
            if MADE_OF[name] in extra:
                known[name] = extra[MADE_OF[name]]
                if name == "grad_fn":
                    known[name] = gradient_of(extra["value_fn"], params)
        if missing := sorted(asked.needed - known.keys()):
            raise TypeError(
                f"{self.__name__}: its update wants {', '.join(missing)} and was not told; "
                f"{_CAN_BE_TOLD}"
            )
        for name in {"value_fn", "obj_fn"} & known.keys():
            known[name] = objective_at(known[name], params)
        takes_others = takes_all(inspect.signature(update))
        others = {name: x for name, x in extra.items() if takes_others and name not in MADE_OF}
        return others | {name: widened(x) if name == "value" else x for name, x in known.items()}

    def _asked(self) -> Arguments:
        """What its update asks for, by optax's names, which its structure decides."""
        structure = jax.tree.structure(self)
        if structure not in _ASKED:
            if len(_ASKED) > 1000:
                _ASKED.clear()
            _ASKED[structure] = asked_by(self.factory(**self.given()))
        return _ASKED[structure]

    @property
    def wants(self):
        return tuple(name for name in KNOWN if name in map(MADE_OF.get, self._asked().wanted))

    @property
    def needs(self):
        return tuple(name for name in KNOWN if name in map(MADE_OF.get, self._asked().needed))

    def eval_params(self, state, params):
        return read_at(state, params)

    def learning_rates(self, state: Any) -> list:
        """The learning rate at this state, where one was given: what `learning_rate_of` wants."""
        import optax

        rate = _unmark(self.arguments.get("learning_rate"))
        if not callable(rate):
            return [] if rate is None else [rate]
        clock = optax.ScaleByScheduleState
        return [rate(part.count) for part in parts_of(state, clock)][:1]

    @property
    def __name__(self):
        """What a table calls it: optax.lion."""
        return _public_name(self.factory)

    def __repr__(self):
        shown = [f"{name}={show(x)}" for name, x in self.given().items()]
        return f"from_optax({', '.join([self.__name__, *shown])})"


def from_optax(factory: Callable[..., Any], *args: Any, **arguments: Any) -> FromOptax:
    """An optimizer of optax, or of any function that returns one, as a value like ours.

    Of the arguments given, floats, arrays and distributions are hyperparameters, and so are the
    numbers of our own schedules and optimizers among them: they are swept, mapped, differentiated.
    The rest is structure: bools, strings, dtypes, functions, and integers where the signature says
    int (memory_size, seed). Arguments not given keep their defaults and are no hyperparameters.
    A function of your own may return a chain, and makes structure of the floats it gives itself.
    Dtypes: as ours: updates and state keep the dtypes of the gradients and of `init`, so that
        lax.scan can carry them, and bfloat16 and float16 are computed with as float32. optax alone
        computes in bfloat16, or changes the state to float32 where a number is a float32 array.
    Extra arguments: its update is told what it asks for and nothing else (see `Transform`): value,
        grad, value_fn (also as optax's obj_fn, and its gradient as grad_fn) and key. So L-BFGS,
        Sophia, SAM, Polyak's step size, Momo and reduce_on_plateau train in a `Training`. Under
        vmap the line search of L-BFGS goes on until that of the slowest lane is done; it has no
        derivative by the hyperparameters, as no loop without a fixed end has.
    Params to read at: of schedule_free its averages, of sam those before the adversarial step.
    Errors: TypeError for an unknown or missing argument, for an optimizer in the place of the
        function, for a distribution in the place of an int; at `update`, where it wants more than
        it is told; at `init`, where it wants the gradients of examples. Bounds are not checked.
    Agrees with: the same optax optimizer, called with the same arrays, to rounding.

    >>> import jaxopt_edu as jo
    >>> import optax
    >>> jo.from_optax(optax.lion, 1e-4, weight_decay=0.1, mask=jo.weights_only)
    from_optax(optax.lion, learning_rate=0.0001, weight_decay=0.1, mask=weights_only)
    >>> jo.hyperparameters(_)
    {'learning_rate': 0.0001, 'weight_decay': 0.1}
    """
    if isinstance(factory, functools.partial):  # such as optax.nadam
        return from_optax(factory.func, *factory.args, *args, **factory.keywords | arguments)
    if not callable(factory):
        raise TypeError(f"factory = {show(factory)}: wanted a function, such as optax.adam")
    name, signature = _public_name(factory), inspect.signature(factory)
    known = signature.parameters
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in known.values()):
        raise TypeError(f"{name}{signature}: wanted a function whose arguments all have names")
    for argument in arguments:
        if argument not in known:
            raise TypeError(f"{name} has no argument {argument!r}; {nearest(argument, known)}")
    try:
        return FromOptax(factory, dict(signature.bind(*args, **arguments).arguments))
    except TypeError as error:
        raise TypeError(f"{name}: {error}") from None


def _mark(name: str, x: Any, size: bool) -> Any:
    """An argument with `Fixed` around all that is structure in it."""

    def mark(leaf):
        if size and isinstance(leaf, Distribution):
            raise TypeError(f"{name} = {leaf!r}: wanted an integer, or one_of(...) to try several")
        fixed = callable(leaf) or isinstance(leaf, bool | np.bool_ | str | np.dtype)
        return Fixed(leaf) if fixed or (size and isinstance(leaf, int | np.integer)) else leaf

    return jax.tree.map(mark, x)


def _unmark(x: Any) -> Any:
    """The inverse of `_mark`."""

    def is_fixed(part):
        return isinstance(part, Fixed)

    return jax.tree.map(lambda part: part.value if is_fixed(part) else part, x, is_leaf=is_fixed)


def _public_name(factory: Callable) -> str:
    """optax.lion, or the function's own name."""
    import optax.contrib

    public = {"optax": optax, "optax.contrib": optax.contrib}
    named = ((m, name, x) for m in public for name, x in vars(public[m]).items())
    names = (f"{m}.{name}" for m, name, x in named if x is factory and not name.startswith("_"))
    return next(names, show(factory))
