"""Labels of any kind as class numbers: strings, bools, and integers that need not start at 0."""

import hashlib
import warnings
from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.prepared import CHANGED, prepared_by

__all__ = ["class_numbers", "labels_of", "made_up", "mark_of", "names_of", "numbered"]

Labels = tuple[Any, ...]  # the classes as they were given, in order


def labels_of(what: str, y: ndarray, targets: tuple[str, ...]) -> Labels:
    """The classes in y, sorted; those that targets names where it does.

    Errors: ValueError for numbers that are not whole, a single label, or another number of labels
        than names.
    """
    if y.dtype.kind == "f":
        _check_whole(what, y)
    found = tuple(np.unique(y).tolist())
    if targets:
        return _as_named(what, y, found, targets)
    if len(found) < 2:
        raise ValueError(f"{what} holds the label {found[0]!r} only: wanted two classes or more")
    return found


def _check_whole(what: str, y: ndarray) -> None:
    wrong = np.flatnonzero(y != np.floor(y))
    if wrong.size:
        raise ValueError(
            f"{what} holds the label {y[wrong[0]]} in row {wrong[0]}: wanted whole numbers or "
            "names for classes (or task='regression')"
        )


def _as_named(what: str, y: ndarray, found: Labels, targets: tuple[str, ...]) -> Labels:
    """The labels that the names stand for: the names, the numbers from 0, or those that y has."""
    if y.dtype.kind == "b" and len(targets) == 2:
        return False, True
    if y.dtype.kind in "biuf":
        numbers = tuple(range(len(targets)))
        if set(found) <= set(numbers):
            return tuple(map(float, numbers)) if y.dtype.kind == "f" else numbers
        if len(found) == len(targets):
            return found
        row = np.flatnonzero(~np.isin(y, numbers))[0]
        raise ValueError(
            f"{what} holds the label {y[row]} in row {row}: wanted an integer from 0 to "
            f"{len(targets) - 1}, as targets names {len(targets)} classes and y has {len(found)}"
        )
    if isinstance(found[0], bytes):
        return tuple(name.encode() for name in targets)
    return targets


def made_up(columns: int) -> tuple[str, ...]:
    """The names of numbers that have none: y, or y0, y1, ..."""
    return ("y",) if columns == 1 else tuple(f"y{j}" for j in range(columns))


def mark_of(labels: Labels) -> str | None:
    """What class numbers of these labels are marked with; None where each label is its number."""
    if not labels or _are_numbers(labels):
        return None
    return f"classes {hashlib.sha256(repr(labels).encode()).hexdigest()}"


def _are_numbers(labels: Labels) -> bool:
    return all(label == k for k, label in enumerate(labels))


def class_numbers(what: str, y: Any, labels: Labels, prepared: bool) -> ndarray | None:
    """Class numbers that a `Data` handed out, int32; None where y holds labels.

    prepared: whether their rows were handed out as well. Integers beside such rows that may be
    class numbers, where those are no labels or other ones, are refused.
    """
    by, own = prepared_by(y), mark_of(labels)
    if by is not None and by != own:
        why = "computed from class numbers" if by == CHANGED else "class numbers of other data"
        raise ValueError(f"{what} are {why}: np.asarray({what}) says that they are labels")
    if by is not None:
        return np.asarray(y, np.int32)
    array = np.asarray(y)
    if prepared and own and array.dtype.kind in "iu" and np.isin(array, range(len(labels))).all():
        raise ValueError(
            f"{what} are integers beside rows that are prepared: class numbers from 0, or labels, "
            f"as {shown(labels)}? evaluate('test') scores a part of the data, whose y as it is "
            "handed out is known as class numbers; labels go with raw rows"
        )
    return None


def names_of(labels: Labels) -> tuple[str, ...]:
    """The labels as text."""
    return tuple(map(_name, labels))


def _name(label: Any) -> str:
    if isinstance(label, bytes):
        return label.decode(errors="backslashreplace")
    return str(int(label)) if isinstance(label, float) else str(label)


def numbered(what: str, y: ndarray, labels: Labels) -> ndarray:
    """Labels as class numbers, int32; ValueError for one that is not among the known ones."""
    found, place = np.unique(y, return_inverse=True)
    number = {label: k for k, label in enumerate(labels)}
    codes = np.array([number.get(label, -1) for label in found.tolist()], np.int32)[place]
    unknown = np.flatnonzero(codes < 0)
    if unknown.size:
        row = unknown[0]
        label = found[place[row]].item()
        raise ValueError(
            f"{what} holds the label {label!r} in row {row}, which is none of {shown(labels)}, the "
            "labels of the training part"
        )
    return codes


def shown(labels: Labels) -> str:
    """The first few labels."""
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")


def warn_of_counts(y: ndarray) -> None:
    """A warning where integers look like counts or measurements instead of classes."""
    several = len(np.unique(y)) if y.dtype.kind in "iu" else 0
    if several > max(20, len(y) / 10):
        warnings.warn(
            f"y holds {several} different integers in {len(y)} rows, each taken for a class: "
            "numbers that count or measure want task='regression' (task='classification' says "
            "that these are classes)",
            stacklevel=3,
        )
