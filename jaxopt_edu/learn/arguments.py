"""Whether a function can be called as `explore` will: errors that name what does not fit."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from jaxopt_edu.values.messages import nearest, short


def check_look(look: Callable[..., Any]) -> None:
    """TypeError unless look can be called with an experiment and a state."""
    signature = signature_of(look)
    try:
        if signature is not None:
            signature.bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"look = {called(look, signature)}: wanted a function of (experiment, state): {error}"
        ) from None


def check_arguments(
    what: Callable[..., Any], arrays: Sequence[Any], sliders: Sequence[str] | dict[str, Any]
) -> None:
    """TypeError unless what(*arrays, **sliders) gives each argument one value."""
    signature = signature_of(what)
    if signature is None:
        return
    told, parameters = called(what, signature), list(signature.parameters.values())
    by_name = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    kinds = {p.kind for p in parameters}
    if inspect.Parameter.VAR_KEYWORD not in kinds:
        for name in sliders:
            if name not in by_name:
                hint = nearest(name, by_name) if by_name else "it takes none by name"
                raise TypeError(f"sliders: {name!r} is no argument of what = {told}; {hint}")
    if inspect.Parameter.VAR_POSITIONAL not in kinds and len(arrays) > len(by_place):
        raise TypeError(
            f"arrays: there are {len(arrays)}, but what = {told} takes {len(by_place)} by position"
        )
    for p in by_place[: len(arrays)]:
        if p.name in sliders and p.kind is not p.POSITIONAL_ONLY:
            raise TypeError(
                f"arrays: the argument {p.name!r} of what = {told} gets an array and is a slider "
                "too: wanted arrays for the first arguments, sliders for the others"
            )
    given = {p.name for p in by_place[: len(arrays)]} | set(sliders)
    for p in parameters:
        one = p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        if one and p.default is p.empty and p.name not in given:
            raise TypeError(
                f"what = {told}: its argument {p.name!r} has no value: wanted a slider of this "
                "name, or one more of arrays="
            )


def signature_of(f: Callable[..., Any]) -> inspect.Signature | None:
    """The signature of a function; None where Python knows none, as of some built-in ones."""
    try:
        return inspect.signature(f)
    except (TypeError, ValueError):
        return None


def called(f: Callable[..., Any], signature: inspect.Signature | None) -> str:
    """The name of a function with its arguments: f(a, b)."""
    name = short(f)
    return name if signature is None else f"{name}({', '.join(signature.parameters)})"
