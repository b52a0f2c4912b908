"""Trained models as files: JSON and plain arrays, of which nothing is executed.

`content.json` describes the model, its loss and metrics by their public names, what rows go
through, and each array of the parameters; see `archive` for what a file may be.
"""

import contextlib
import dataclasses
import inspect
import math
import types
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jax

from jaxopt_edu.data.columns import Columns
from jaxopt_edu.data.preparation import Fitted
from jaxopt_edu.nn import losses, metrics, models
from jaxopt_edu.storage.archive import (
    damaged,
    decoded,
    encoded,
    from_plain,
    read_archive,
    to_plain,
    write_archive,
)
from jaxopt_edu.storage.named import describe, rebuild, unnamed
from jaxopt_edu.storage.saved import SavedModel
from jaxopt_edu.train.calling import call_model, structure
from jaxopt_edu.train.checking import check_measures
from jaxopt_edu.train.ingredients import check_a_loss, check_metrics, check_model, resolve_parts
from jaxopt_edu.values.environment import versions
from jaxopt_edu.values.pytrees import show

__all__ = ["load_model", "write_model"]

Metrics: TypeAlias = tuple[Callable[..., Any], ...]

KIND, FORMAT = "jaxopt_edu model", 2  # 1: without the state of a model
TOLD = ("mark", "task", "features", "targets", "labels")
COLUMNS = tuple(f.name for f in dataclasses.fields(Columns))
BITS_64 = {"float64", "complex128", "int64", "uint64"}
NAMED = ("model", "loss", "metrics")
HELD = ("params", "model_state")  # whose arrays come first
PUBLIC = {name: getattr(room, name) for room in (models, losses, metrics) for name in room.__all__}
CALLED = ("class", "function", "partial", "enum")  # how a description names what is called
NUMBERS = ("array", "number", "float", "complex", "bytes", "dtype", "ellipsis", "keys")
PLAIN = ("tuple", "list", "dict", "items", "set", "frozenset", "slice", *NUMBERS)


def write_model(model: SavedModel, path: Any) -> None:
    """Writes a model into one file, whole or not at all."""
    arrays: list = []
    made = dict(zip(HELD, structure(model.model), strict=True))
    held = {name: _written(name, model, made[name], arrays) for name in HELD}
    content = {
        "kind": KIND,
        "format": FORMAT,
        "versions": versions(),
        "model": _public(describe(model.model)),
        "loss": _public(describe(model.loss)),
        "metrics": None if model.metrics is None else _public(describe(tuple(model.metrics))),
        **held,
        "preparation": encoded(model.fitted, arrays),
        "columns": encoded(dataclasses.astuple(model.columns), arrays),
        **{name: encoded(getattr(model, name), arrays) for name in TOLD},
    }
    write_archive(path, content, arrays)


def _written(name: str, model: SavedModel, made: Any, arrays: list) -> list[dict[str, Any]]:
    """What is told of each array of the params, or of the state; the arrays go to the others."""
    leaves, tree = jax.tree_util.tree_flatten_with_path(getattr(model, name))
    wanted: Any = jax.tree.structure(made)
    if tree != wanted:
        raise TypeError(f"save: the {name} are not built as those of model = {show(model.model)}")
    told = []
    for place, leaf in leaves:
        array, kind = to_plain(leaf)
        arrays.append(array)
        told.append({"place": jax.tree_util.keystr(place), **kind})
    return told


def load_model(
    path: Any, *, model: Any = None, loss: Any = None, metrics: Metrics | None = None
) -> SavedModel:
    """The trained model that `Run.save` wrote into a file.

    model, loss, metrics: what the file could not name: a class or a function of one's own, as in
        jo.models.Linen(module, example), as a file that names them could run anything. What is
        public here is found by its name, and may be replaced; names do, as in a Training.
    On the same machine and versions the same rows give the same bits as they gave the run's.
    Such files are safe to open: they hold numbers and names, and no code.
    Errors: ValueError that names the file where it is truncated, no such file, of a newer format,
        or claims to hold more than it does, and where a part must be given; OSError where it
        cannot be opened.

    >>> import jaxopt_edu as jo
    >>> jo.load_model(jo.__file__)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: ...__init__.py holds no model, or is damaged: File is not a zip file
    """
    given = _given(model, loss, metrics)
    content, arrays = read_archive(path)
    with damaged(path):
        if content.get("kind") != KIND:
            raise ValueError(f"it is of the kind {content.get('kind')!r}, not {KIND!r}")
    if content.get("format") == 1:
        content["model_state"] = []
    elif content.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {content.get('format')!r}: this version reads 1 to {FORMAT}"
        )
    with damaged(path):
        described = {name: content[name] for name in NAMED}
    _check_given(path, described, given)
    with damaged(path):
        count = sum(x.size for x in arrays)
        told = {name: decoded(content[name], arrays) for name in TOLD}
        columns = Columns(**dict(zip(COLUMNS, decoded(content["columns"], arrays), strict=True)))
        fitted = decoded(content["preparation"], arrays)
        most = max(count, len(told["features"]), math.prod(columns.shape or ()), 64)
        for name, mine in given.items():
            if mine is None:
                _check_public(described[name], most)
                given[name] = rebuild(described[name])
        _check_types(given, fitted, columns, told)
    with damaged(path):
        held = {name: content[name] for name in HELD}
    _check_width(path, held)
    with _fitting(path, model):
        params, model_state = _held(given["model"], held, arrays)
    made = tuple(given["metrics"]) if given["metrics"] is not None else None
    if loss is not None or metrics is not None:
        mine = given["loss"] if loss is not None else None
        outputs = _outputs(given["model"], params, model_state, len(told["features"]))
        check_measures(mine, made if metrics is not None else (), outputs, len(told["labels"]))
    return SavedModel(
        given["model"], params, given["loss"], made, columns, fitted, **told,
        model_state=model_state,
    )  # fmt: skip


def _given(model: Any, loss: Any, metrics: Any) -> dict[str, Any]:
    """What the caller gives, by name; TypeError or ValueError for what is no such part."""
    asked = types.SimpleNamespace(loss=loss, metrics=metrics)
    resolve_parts(asked)
    if model is not None:
        check_model(model)
    if loss is not None:
        check_a_loss(asked.loss)
    check_metrics(asked.metrics)
    return {"model": model, "loss": asked.loss, "metrics": asked.metrics}


def _outputs(model: Any, params: Any, model_state: Any, features: int) -> Any:
    """What a model gives for two prepared rows, as a shape."""
    x = jax.numpy.zeros((2, features))
    return jax.eval_shape(lambda p, s: call_model(model, p, s, x)[0], params, model_state)


def _check_width(path: Any, held: dict[str, Any]) -> None:
    """ValueError where the params are of 64 bits, which JAX is not told to use here."""
    with damaged(path):
        wide = {told.get("dtype") for params in held.values() for told in params} & BITS_64
    if wide and not jax.config.read("jax_enable_x64"):
        raise ValueError(
            f"{path} holds params of {wide.pop()}: jax_enable_x64 must be on, as it was"
        )


def _check_given(path: Any, described: dict[str, Any], given: dict[str, Any]) -> None:
    """ValueError that names what the file cannot name and nobody gave."""
    missing = {n: unnamed(described[n], n) for n in NAMED if given[n] is None}
    told = [f"{place} was {was}" for found in missing.values() for place, was in found.items()]
    if told:
        names = ", ".join(f"{name}=..." for name, found in missing.items() if found)
        raise ValueError(
            f"{path}: {'; '.join(told)}, which has no public name: give load_model {names}"
        )


# ---------------------------------------------------------------------------------- the params


def _held(model: Any, held: dict[str, Any], arrays: list) -> list[Any]:
    """The params and the state of a model, whose arrays are the first ones."""
    first, made = 0, []
    for (name, described), shapes in zip(held.items(), structure(model), strict=True):
        mine = arrays[first : first + len(described)]
        made.append(_made(model, name, shapes, described, mine))
        first += len(described)
    return made


def _made(model: Any, name: str, shapes: Any, described: list, arrays: list) -> Any:
    leaves, tree = jax.tree_util.tree_flatten_with_path(shapes)
    places = [jax.tree_util.keystr(place) for place, _ in leaves]
    found = [told["place"] for told in described]
    if places != found:
        other = next((p for p in [*places, *found] if (p in places) != (p in found)), "their order")
        raise ValueError(f"model = {show(model)} has other {name}: they differ in {other}")
    made: list[Any] = []
    for (_, like), told, array in zip(leaves, described, arrays, strict=False):
        try:
            made.append(from_plain(array, told, tuple(like.shape)))
        except ValueError as error:
            raise ValueError(f"{name}{told['place']}: {error} ({show(model)})") from None
    if len(made) < len(leaves):
        raise ValueError("arrays are missing")
    return jax.tree.unflatten(tree, made)


@contextlib.contextmanager
def _fitting(path: Any, model: Any) -> Iterator[None]:
    """Says that it is the model given that does not fit, where one was given."""
    if model is None:
        with damaged(path):
            yield
        return
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} holds the params of another model: {error}") from error


# ------------------------------------------------------------------- what a file may ask for


def _public(x: Any) -> Any:
    """A description in which what is no model, loss or metric of this library has no name."""
    if isinstance(x, dict):
        kind = next(iter(x), None)
        if kind in CALLED and not _is_ours(kind, x[kind]):
            return {"unnamed": str(x[kind])}
        return {key: _public(part) for key, part in x.items()}
    return [_public(part) for part in x] if isinstance(x, list) else x


def _is_ours(kind: str, name: Any) -> bool:
    found = PUBLIC.get(name) if isinstance(name, str) else None
    if kind == "class":
        return inspect.isclass(found) and dataclasses.is_dataclass(found)
    return kind != "enum" and inspect.isroutine(found)


def _check_public(x: Any, most: int, name: str = "") -> None:
    """ValueError unless a description is made of our models, losses, metrics and plain values.

    most: the largest size that a part may have: more numbers than the file holds there are none.
    """
    if isinstance(x, dict):
        kind = next(iter(x), None)
        if kind in CALLED:
            if not _is_ours(kind, x[kind]):
                raise ValueError(f"{x[kind]!r} is no model, loss or metric of this library")
        elif kind not in PLAIN:
            raise ValueError(f"it describes {kind!r}, which a model cannot hold")
        if kind not in NUMBERS:
            _check_parts(x if kind in CALLED else {kind: x[kind]}, most)
    elif isinstance(x, list):
        for part in x:
            _check_public(part, most, name)
    elif isinstance(x, int) and not isinstance(x, bool) and name != "seed" and abs(x) > most:
        raise ValueError(f"{name} = {x}: more than the numbers that it holds")


def _check_parts(x: dict[str, Any], most: int) -> None:
    for key, part in x.items():
        for name, value in part.items() if key == "dict" else [(key, part)]:
            _check_public(value, most, name)


def _check_types(given: dict, fitted: Any, columns: Columns, told: dict) -> None:
    """ValueError unless each part is of the kind it is to be."""
    names = all(isinstance(n, str) for n in (*told["features"], *told["targets"], told["task"]))
    names = names and all(isinstance(n, str) for n in columns.names)
    right = {
        "columns": names
        and isinstance(columns.shape, tuple)
        and len(columns.kinds) <= len(columns.names),
        "model": hasattr(given["model"], "init") and hasattr(given["model"], "apply"),
        "loss": callable(given["loss"]),
        "metrics": given["metrics"] is None or all(map(callable, given["metrics"])),
        "preparation": isinstance(fitted, Fitted),
        "labels": isinstance(told["labels"], tuple) and names,
    }
    wrong = [name for name, is_right in right.items() if not is_right]
    if wrong:
        raise ValueError(f"its {wrong[0]} is none")
