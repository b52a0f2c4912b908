"""Splitting rows into parts: in the same proportions for every class, or at random."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

FOR_NUMBERS = "task='regression' is for numbers that count or measure"


def numbers(names: Sequence[str]) -> bool:
    """Whether classes are named by whole numbers, of any sign."""
    return all(name.lstrip("-").isdecimal() for name in names)


def split(
    n: int, shares: Sequence[float], seed: int, labels: ndarray | None, names: Sequence[str]
) -> list[ndarray]:
    """Row numbers of each part, in random order; the shares add up to 1.

    With labels, every class has in each part its share of members, to within one: what is left
    after rounding down goes to the parts that are owed most.
    Errors: ValueError where a part with a share, or a class in it, would be empty.
    """
    stream = np.random.PCG64((seed, 1))  # apart from data that were made with the same seed
    order = np.argsort(stream.random_raw(n), kind="stable")
    classes = {"the data": order}
    if labels is not None:
        members = {k: order[labels[order] == k] for k in np.unique(labels)}
        classes = {f"class {names[k]!r}": rows for k, rows in members.items()}
    owed = np.zeros(len(shares))
    pieces = []
    for what, rows in classes.items():
        quota = np.asarray(shares) * len(rows)
        sizes = np.floor(quota + 1e-9).astype(int)
        owed += quota - sizes
        first = np.argsort(np.where(quota > sizes, -owed, np.inf), kind="stable")
        more = first[: len(rows) - sizes.sum()]
        sizes[more] += 1
        owed[more] -= 1
        if (sizes == 0).any(where=np.asarray(shares) > 0):
            shown = " / ".join(f"{share:.0%}" for share in shares)
            hint = "" if labels is None else f"; {FOR_NUMBERS}" if numbers(names) else ""
            raise ValueError(
                f"{what} has {len(rows)} rows, too few for parts of {shown}: one would have none"
                f"{hint}"
            )
        pieces.append(np.split(rows, np.cumsum(sizes)[:-1]))
    place = np.argsort(order)
    parts = [np.concatenate(piece) for piece in zip(*pieces, strict=True)]
    return [part[np.argsort(place[part])] for part in parts]
