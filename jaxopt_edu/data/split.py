"""Splitting rows into parts: in the same proportions for every class, or at random."""

from collections.abc import Sequence

import numpy as np
from numpy import ndarray

__all__ = ["split"]


def split(shares: Sequence[float], labels: ndarray | None, n: int, seed: int) -> list[ndarray]:
    """Row indices of each part, in random order; the shares of the parts add up to 1.

    With labels, each class has in each part its share of members, to within one.
    Errors: ValueError where a part is empty, or a class has no member in some part.
    """
    order = np.argsort(np.random.PCG64(seed).random_raw(n), kind="stable")
    classes = [order] if labels is None else [order[labels[order] == c] for c in np.unique(labels)]
    debt = np.zeros(len(shares))  # what each part is still owed
    pieces = []
    for members in classes:
        quota = np.asarray(shares) * len(members)
        debt += quota
        sizes = np.floor(quota + 1e-9).astype(int)
        open_to = np.argsort(-np.where(quota > sizes, debt - sizes, -np.inf), kind="stable")
        sizes[open_to[: len(members) - sizes.sum()]] += 1
        debt -= sizes
        if (sizes == 0).any():
            what = "data" if labels is None else f"class {labels[members[0]]}"
            raise ValueError(
                f"{what}: {len(members)} examples are too few for parts of "
                f"{' / '.join(f'{s:.0%}' for s in shares)}: one part would have none"
            )
        pieces.append(np.split(members, np.cumsum(sizes)[:-1]))
    parts = [np.concatenate(piece) for piece in zip(*pieces, strict=True)]
    return [part[np.argsort(np.argsort(order)[part])] for part in parts]
