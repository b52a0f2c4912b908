"""Messages: a value in one line, and the name that was probably meant."""

import difflib
import inspect
from typing import Any

import jax
import numpy as np

__all__ = ["nearest", "short", "show"]


def show(value: Any) -> str:
    """One line for any value: functions by name, arrays of more than four numbers by shape."""
    if isinstance(value, type):
        return repr(value.__name__) if _is_dtype(value) else value.__name__
    if inspect.isroutine(value) or hasattr(value, "__wrapped__"):
        return value.__name__
    array = hasattr(value, "dtype") and hasattr(value, "size")
    if array and (isinstance(value, jax.core.Tracer) or value.size > 4):
        return f"{value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, tuple) and type(value) is tuple:
        return f"({', '.join(map(show, value))}{',' if len(value) == 1 else ''})"
    return " ".join(repr(value).split())


def short(value: Any) -> str:
    """`show` in at most 60 characters, or the first 50 and the type."""
    text = show(value)
    return text if len(text) <= 60 else f"{text[:50]}... ({type(value).__name__})"


def _is_dtype(kind: Any) -> bool:
    """Whether a class is one of numbers, which stands for a dtype."""
    numbers = issubclass(kind, np.generic | bool | int | float | complex)
    return numbers or isinstance(vars(kind).get("dtype"), np.dtype)  # jax.numpy.float32


def nearest(name: str, names: Any) -> str:
    """The hint that ends an error about an unknown name."""
    names = list(names)
    short = {n.rsplit(".", 1)[-1]: n for n in reversed(names)} | {n: n for n in names}
    initials = {"".join(word[0] for word in n.split("_") if word): n for n in reversed(short)}
    last = name.rsplit(".", 1)[-1]
    close = difflib.get_close_matches(name, short, 1, 0.5)
    begins = [n for n in short if n.startswith(last)] if len(last) > 1 else []
    if last in initials and len(last) > 1:  # lr, wd
        return f"did you mean {short[initials[last]]!r}?"
    if close:
        return f"did you mean {short[close[0]]!r}?"
    if begins:  # f1
        return f"did you mean {short[begins[0]]!r}?"
    return f"there are: {', '.join(names)}" if names else "there is nothing to name"
