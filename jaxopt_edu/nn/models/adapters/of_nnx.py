"""Modules of Flax NNX."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import random

from jaxopt_edu.nn.models.adapters.common import (
    check_function,
    check_input,
    check_params,
    kept,
    library,
    read_example,
)
from jaxopt_edu.nn.models.adapters.outlines import Outline, outline, remembered
from jaxopt_edu.values.names import leaves_by_place
from jaxopt_edu.values.pytrees import check, pytree, show, static

__all__ = ["NNX"]


@pytree
class NNX:
    """A module of Flax NNX as a model: what is no nnx.Param is the model's state.

    Formula: a module is make(nnx.Rngs(key)), its call f(x) after module.train() or module.eval().
    Shapes: x as the example but for its first axis, n. Params: nested dicts of what the nnx.Params
        hold, by the names of the attributes; model_state: all else that holds arrays, as
        {"bn": {"mean": (features,), "var": (features,)}}.
    example: one example with its leading axis, as x[:1], or its shape, as (1, 13); only its shape
        and dtype are kept. dtype: that of the example, where it is not that of floats.
    Random numbers: at each step the streams of the module start anew from that step's key, each
        with another one, so that masks depend on the key alone; the keys in the state stay.
    In a space make may be `one_of` several: Flax asks for a rate of dropout in Python, so it is no
    number to sweep.
    Errors: TypeError for a make that gives no module, for an array that is in no nnx.Variable and
        so in no state, for parameters that are no floats; ValueError for another shape of x and a
        state that does not keep its structure; ImportError without flax.
    Agrees with: a loop over the module itself, 1e-6 in float32; `Linen` with the same weights.

    >>> from flax import nnx
    >>> import jaxopt_edu as jo
    >>> model = jo.models.NNX(lambda rngs: nnx.Linear(13, 3, rngs=rngs), (1, 13))
    >>> params, model_state = model.init(jax.random.key(0))
    >>> params["kernel"].shape
    (13, 3)
    """

    make: Any = static()
    example: Any = static()
    dtype: str | None = static(default=None)
    stateful = True

    def __post_init__(self):
        if isinstance(self.make, library("flax.nnx", "NNX").Module):
            raise TypeError(
                f"make = {show(self.make)[:60]}: a module, made already: wanted a function of rngs "
                "that makes one, or its class"
            )
        check_function("make", self.make, "a function of rngs that makes a module, or its class")
        read_example(self)
        check(self)

    def init(self, key):
        nnx, form = library("flax.nnx", "NNX"), _form(self.make)
        leaves = jax.tree.leaves(nnx.state(self.make(nnx.Rngs(key))))
        groups = form.outline.split([jnp.asarray(x) for x in leaves])
        params, model_state = groups.get("params", {}), groups.get("state", {})
        check_params(params, "an nnx.Variable in the place of an nnx.Param")
        return params, model_state

    def apply(self, params, model_state, x, key=None):
        check_input(self, x)
        nnx, form = library("flax.nnx", "NNX"), _form(self.make)
        arrays = form.outline.join({"params": params, "state": model_state})
        if key is None:
            return nnx.merge(form.evaluation, arrays)(x), model_state
        seeded = form.seeded(jax.tree.leaves(arrays), key)
        module = nnx.merge(form.training, jax.tree.unflatten(form.outline.structure, seeded))
        prediction = module(x)
        nnx.pop(module, nnx.Intermediate)
        after = nnx.state(module)
        other = leaves_by_place(after).keys() ^ leaves_by_place(arrays).keys()
        if other:
            raise ValueError(
                f"jo.models.NNX: a training pass of {show(self.make)} leaves arrays in other "
                f"places: {sorted(other)[0]}: wanted a module that keeps "
                "its structure"
            )
        leaves = form.with_streams(jax.tree.leaves(after), jax.tree.leaves(arrays))
        return prediction, kept(model_state, form.outline.split(leaves).get("state", {}), "NNX")

    def build(self, params: Any, model_state: Any) -> Any:
        """The module with these arrays, in evaluation."""
        form = _form(self.make)
        arrays = form.outline.join({"params": params, "state": model_state})
        return library("flax.nnx", "NNX").merge(form.evaluation, arrays)


class ModuleGraph(NamedTuple):
    """What all modules that a function makes have in common."""

    training: Any  # the graph of one, without its arrays
    evaluation: Any
    outline: Outline
    streams: tuple[str | None, ...]  # of each array, whether it is the "key" or "count" of one

    def seeded(self, leaves: list, key: Any) -> list:
        """The arrays with streams of random numbers that start from a key."""
        new = list(leaves)
        for i, (kind, x) in enumerate(zip(self.streams, leaves, strict=True)):
            if kind == "key":
                own = random.fold_in(key, i)
                new[i] = random.split(own, x.shape) if x.shape else own
            elif kind == "count":
                new[i] = jnp.zeros_like(x)
        return new

    def with_streams(self, leaves: list, old: list) -> list:
        """The arrays with the streams of the old ones."""
        rows = zip(self.streams, leaves, old, strict=True)
        return [new if kind is None else was for kind, new, was in rows]


@remembered
def _form(make: Callable) -> ModuleGraph:
    """Made once, from shapes alone."""
    nnx = library("flax.nnx", "NNX")
    seen: dict[str, Any] = {}

    def trace(key):
        module = make(nnx.Rngs(key))
        if not isinstance(module, nnx.Module):
            raise TypeError(f"make = {show(make)} gives {show(module)[:60]}: wanted an nnx.Module")
        module.train()
        seen["training"] = nnx.graphdef(module)
        module.eval()
        seen["evaluation"], state = nnx.split(module)
        _check_arrays(nnx, module, jax.tree.leaves(state))
        seen["rows"] = list(_rows(nnx, state))
        return state

    state = jax.eval_shape(trace, jax.eval_shape(lambda: random.key(0)))
    leaves, structure = jax.tree.flatten(state)
    paths, kinds = zip(*seen["rows"], strict=True) if leaves else ((), ())
    groups: list[str | None] = ["params" if issubclass(k, nnx.Param) else "state" for k in kinds]
    streams = {nnx.RngKey: "key", nnx.RngCount: "count"}
    told = tuple(next((s for c, s in streams.items() if issubclass(k, c)), None) for k in kinds)
    found = outline(structure, list(paths), leaves, groups)
    return ModuleGraph(seen["training"], seen["evaluation"], found, told)


def _rows(nnx: Any, state: Any) -> Iterator[tuple[tuple, type]]:
    """(path, type of the variable) of each array; how a variable names its array is left out."""
    found = jax.tree_util.tree_leaves_with_path(
        state, is_leaf=lambda v: isinstance(v, nnx.Variable)
    )
    for path, variable in found:
        within = isinstance(variable, nnx.Variable)
        for inner, _ in jax.tree_util.tree_leaves_with_path(variable):
            yield (*path, *inner[within:]), type(variable)


def _check_arrays(nnx: Any, module: Any, leaves: list) -> None:
    """TypeError where an attribute is an array that NNX does not count among the state."""
    known = set(map(id, leaves))
    for _, node in nnx.iter_graph(module):
        for name, x in vars(node).items() if isinstance(node, nnx.Module) else ():
            if isinstance(x, jax.core.Tracer) and id(x) not in known:
                raise TypeError(
                    f"make: {type(node).__name__}.{name} is an array in no nnx.Variable, so it is "
                    "in no state: wanted nnx.data(...) or nnx.Variable(...) around it"
                )
