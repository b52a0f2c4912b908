"""Modules of Equinox."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import random

from jaxopt_edu.nn.models.adapters.common import check_function, check_numbers, kept, library
from jaxopt_edu.nn.models.adapters.outlines import Outline, outline, remembered
from jaxopt_edu.values.pytrees import check, number, pytree, show, static
from jaxopt_edu.values.tree import is_float

__all__ = ["Equinox"]


@pytree
class Equinox:
    """A module of Equinox as a model: its arrays of floats are the params.

    Formula: a module and its state are eqx.nn.make_with_state(make)(key, **numbers); training:
        vmap(module, axis_name="batch")(x, state, keys) with a key of its own for each example;
        evaluation: the same of eqx.nn.inference_mode(module) without keys, and the state stays.
    Shapes: a module sees one example, as is usual in Equinox; x (n, ...) -> (n, ...). Params:
        nested dicts by the names of the attributes; model_state: {"state": what
        eqx.nn.StateIndex hold, "buffers": arrays that hold no floats}, where there are any.
    make: key (and numbers by name) -> module, called as (x), (x, key), (x, state) or
        (x, state, key), by these names; with a state it gives (prediction, state). Layers that
        want the name of the batch's axis want "batch". Flags that make sets itself
        (inference=True) hold in training, too.
    numbers: a dict of hyperparameters for make, such as {"rate": jo.uniform(0.0, 0.5)}: swept,
        mapped and differentiated like any other. Where they end up in the module as numbers, as
        Dropout's p, they are no parameters.
    Errors: TypeError for a make that gives no such module, and for numbers that it does not take;
        ImportError without equinox.
    Agrees with: a loop over the module itself, 1e-6 in float32.

    >>> import equinox as eqx
    >>> import jaxopt_edu as jo
    >>> model = jo.models.Equinox(lambda key: eqx.nn.MLP(13, 3, 16, depth=1, key=key))
    >>> params, model_state = model.init(jax.random.key(0))
    >>> params["layers"][1]["weight"].shape, model_state
    ((3, 16), {})
    """

    make: Any = static()
    numbers: Any = number(default=None)
    inlined = "numbers"
    stateful = True

    def __post_init__(self):
        library("equinox", "Equinox")
        check_function("make", self.make, "a function of a key that makes a module")
        check_numbers("make", self.make, self.numbers)
        check(self)

    def init(self, key):
        arrays, found = self._made(key), self._outline
        groups = found.split(jax.tree.leaves(arrays))
        params = groups.pop("params", {})
        return params, groups

    def apply(self, params, model_state, x, key=None):
        eqx = library("equinox", "Equinox")
        module, state = self._joined(params, model_state)
        if key is None:
            module = eqx.nn.inference_mode(module)
        keys = None if key is None else random.split(key, len(x))
        one = functools.partial(_call, module)
        axes = (0, None, None if key is None else 0)
        run = jax.vmap(one, in_axes=axes, out_axes=(0, None), axis_name="batch")
        try:
            prediction, new = run(x, state, keys)
        except NameError as error:
            if "unbound axis name" not in str(error):
                raise
            raise ValueError(
                f"make = {show(self.make)}: {error}: the axis of the batch is called 'batch'"
            ) from error
        if key is None:
            return prediction, model_state
        found = self._outline
        groups = found.split(jax.tree.leaves((module, new)))
        groups.pop("params", None)
        return prediction, kept(model_state, groups, "Equinox")

    def build(self, params: Any, model_state: Any) -> Any:
        """The module with these arrays, in evaluation, and its eqx.nn.State."""
        module, state = self._joined(params, model_state)
        return library("equinox", "Equinox").nn.inference_mode(module), state

    def _joined(self, params: Any, model_state: Any) -> Any:
        """The module and its state."""
        constants = None
        if self.numbers:  # which are in it
            constants = jax.tree.leaves(self._made(random.key(0)))
        return self._outline.join({"params": params, **model_state}, constants)

    def _made(self, key: Any) -> Any:
        """A new module and its state."""
        eqx = library("equinox", "Equinox")
        made = eqx.nn.make_with_state(self.make)(key, **(self.numbers or {}))
        if len(jax.tree.leaves(made)) != len(self._outline.places):
            raise TypeError(
                f"make = {show(self.make)} gives modules of another structure for other numbers"
            )
        return made

    @property
    def _outline(self) -> Outline:
        given = (self.numbers or {}).items()
        kinds = {name: None if x is None else is_float(x) for name, x in given}
        return _outline(self.make, tuple(kinds.items()))


@remembered
def _outline(make: Callable, kinds: tuple[tuple[str, bool | None], ...]) -> Outline:
    """How the modules of a function are built: found once, with plain numbers for the others.

    kinds: of each number whether it is a float; None where it is absent.
    """
    eqx = library("equinox", "Equinox")
    examples = {None: None, True: 0.5, False: 1}
    numbers = {name: examples[kind] for name, kind in kinds}
    key = jax.eval_shape(lambda: random.key(0))
    made = eqx.filter_eval_shape(eqx.nn.make_with_state(make), key, **numbers)
    module, state = made
    if not callable(module):
        raise TypeError(f"make = {show(make)} gives {show(module)[:60]}: wanted a module")
    _form(module, bool(jax.tree.leaves(state)))
    found, structure = jax.tree_util.tree_flatten_with_path(made)
    paths, leaves = [path for path, _ in found], [leaf for _, leaf in found]
    groups = [_group(path[0].idx, leaf) for path, leaf in found]
    return outline(structure, [path[1:] for path in paths], leaves, groups)


def _group(half: int, leaf: Any) -> str | None:
    """Where a leaf of (module, state) belongs."""
    if half == 1:
        return "state"
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        return None
    return "params" if jnp.issubdtype(leaf.dtype, jnp.inexact) else "buffers"


def _form(module: Any, has_state: bool = False) -> tuple[bool, bool]:
    """Whether a module's call takes a state, and a key. Errors: TypeError for another call."""
    _, *others = inspect.signature(module).parameters.values()
    names = {p.name for p in others}
    named = {p.name for p in others if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    open_ended = [p for p in others if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    needed = {p.name for p in others if p.default is p.empty and p not in open_ended}
    lacks = has_state and "state" not in names
    if needed - {"state", "key"} or (names & {"state", "key"}) - named or lacks:
        raise TypeError(
            f"make gives a module that is called as {inspect.signature(module)}"
            f"{' though it has a state' if lacks else ''}: wanted (x), (x, key), (x, state) or "
            "(x, state, key), by these names"
        )
    return "state" in names, "key" in names


def _call(module: Any, x: Any, state: Any, key: Any) -> tuple[Any, Any]:
    """(prediction, state) of one example."""
    with_state, with_key = _form(module)
    told = {"key": key} if with_key else {}
    if not with_state:
        return module(x, **told), state
    out = module(x, state=state, **told)
    if not isinstance(out, tuple) or len(out) != 2 or type(out[1]) is not type(state):
        raise TypeError("a module that is called with a state must give (prediction, state)")
    return out
