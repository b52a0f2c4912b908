"""How often each class occurs, and weights that make up for it."""

from typing import Any

import numpy as np
from numpy import ndarray

from jaxopt_edu.data.dataset import Data
from jaxopt_edu.values.arrays import plain

__all__ = ["class_weights"]


def class_weights(data: Any) -> tuple[float, ...]:
    """Balanced weights of the classes: what makes each count as much as every other.

    Formula: w_k = n / (K n_k), for n_k of n examples of class k, of K classes; the mean weight of
        an example is 1
    data: a classification, of which the training part is counted; or labels from 0 to K - 1.
    Errors: ValueError for a regression, and where a class has no example; TypeError for labels
        that are no integers.
    Source: King & Zeng 2001, Logistic Regression in Rare Events Data, section 4.
    Agrees with: sklearn.utils.class_weight.compute_class_weight("balanced"), exactly.

    >>> import jaxopt_edu as jo
    >>> jo.data.class_weights([0, 0, 0, 1])
    (0.6666666666666666, 2.0)
    """
    if isinstance(data, Data):
        if data.n_classes is None:
            raise ValueError("data: a regression has no classes to weigh")
        labels, classes = np.asarray(data.train.first()[1]), data.n_classes
    else:
        labels = plain("data", data)
        if labels.dtype.kind not in "biu" or labels.ndim != 1 or not len(labels):
            raise TypeError(
                f"data are labels of {labels.dtype} of shape {labels.shape}: wanted integers (n,); "
                "class_weights(from_arrays(x, labels)) takes others"
            )
        labels = labels.astype(np.int64) if labels.dtype == bool else labels
        found = np.unique(labels)
        gaps = np.flatnonzero(found[found >= 0] != np.arange(np.sum(found >= 0)))
        if gaps.size:
            raise ValueError(
                f"class {gaps[0]} has no example to train on; labels are numbered from 0, and one "
                f"is {found[-1]}: class_weights(from_arrays(x, labels)) takes others"
            )
        classes = len(found)
    counts = class_counts(labels, classes)
    return tuple((len(labels) / (classes * counts)).tolist())


def class_counts(labels: Any, classes: int) -> ndarray:
    """How many examples each class has; ValueError where one has none."""
    labels = np.asarray(labels)
    if labels.min() < 0:
        raise ValueError(f"labels: {labels.min()} is no class; they are numbered from 0")
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise ValueError(f"class {np.argmin(counts)} has no example to train on")
    return counts
