"""The options of a command, looked at before anything is done; and its answers, as strict JSON."""

import json
import math
from pathlib import Path
from typing import Any

from jaxopt_edu.storage.files import strict

COUNTS = ("steps", "eval_every", "patience", "tile", "trials", "seeds", "first")
LEAST = {"batch_size": 0, "depth": 1}
MOST = {"depth": 16}  # a tree has 2^depth leaves


def check_options(options: Any) -> None:
    """ValueError that names the option."""
    given = {name: x for name, x in vars(options).items() if x is not None}
    for name in COUNTS:
        if isinstance(given.get(name), int) and given[name] < 1:
            raise ValueError(f"{name} = {given[name]}: wanted an integer, at least 1")
    for name, least in LEAST.items():
        high = MOST.get(name, math.inf)
        if name in given and not least <= given[name] <= high:
            wanted = f"at least {least}" + (f", at most {high}" if high < math.inf else "")
            raise ValueError(f"{_flag(name)} {given[name]}: wanted an integer, {wanted}")
    if "tol" in given and not 0 <= given["tol"] < math.inf:
        raise ValueError(f"--tol {given['tol']}: wanted a number, at least 0")
    for name in ("optimizer", "optimizers"):
        if name in given:
            names_of(name, given[name])
    if given.get("model") in ("mlp", "cnn"):
        sizes_of(given["hidden"])
    for name in ("out", "store"):
        if name in given:
            _check_parents(name, Path(given[name]))


def names_of(option: str, text: str) -> list[str]:
    """'adam,sgd' -> ['adam', 'sgd']: at least one name, and none twice."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"{_flag(option)} {text}: wanted different names, such as adam or adam,sgd"
        )
    return names


def sizes_of(text: str) -> tuple[int, ...]:
    """'64,32' -> (64, 32): layers of at least one unit; '' has none."""
    try:
        sizes = tuple(int(n) for n in text.split(",") if n.strip())
    except ValueError:
        sizes = (0,)
    if any(size < 1 for size in sizes):
        raise ValueError(f"--hidden {text}: wanted sizes, at least 1, such as 64 or 64,32")
    return sizes


def _check_parents(name: str, path: Path) -> None:
    """ValueError where a file stands in the way of a directory."""
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise ValueError(f"{_flag(name)} {path}: {parent} is a file")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def line_of_json(answer: Any) -> str:
    """One line that every reader of JSON reads."""
    return json.dumps(strict(answer), allow_nan=False)
