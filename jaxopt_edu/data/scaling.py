"""Preparations that shift and scale the numbers of each column."""

from typing import Any

import numpy as np

from jaxopt_edu.data.columns import by_name, column_names
from jaxopt_edu.data.preparation import Fitted, Names, Preparation, check_columns, numbers
from jaxopt_edu.value import pytree, recipe, static

__all__ = ["MinMax", "Standardize", "min_max", "standardize"]


@pytree
class Scaled(Fitted):
    """(x - shift) / scale"""

    shift: Any
    scale: Any
    columns: Names = static(default=())

    def apply(self, x):
        x = numbers(by_name(x, self.columns))
        check_columns(x, np.shape(self.shift))
        return (x - self.shift) / self.scale


@pytree
class Standardize(Preparation):
    """Mean 0 and variance 1 in every column.

    Formula: x' = (x - mean) / deviation, the deviation with 1/n; a constant column is only
        shifted. Missing values (NaN) are left out of both and stay missing.
    Shapes: x (n, ...) -> the same.
    Errors: TypeError where a column holds no numbers.
    Agrees with: sklearn.preprocessing.StandardScaler, 1e-12.

    >>> import jaxopt_edu as jo
    >>> jo.data.standardize().fit([[1.0], [3.0]]).apply([[5.0]])
    array([[3.]])
    """

    def fit(self, x):
        names, x = column_names(x), numbers(x)
        mean, variance = np.nanmean(x, axis=0, dtype=float), np.nanvar(x, axis=0, dtype=float)
        rounding = len(x) * np.finfo(float).eps
        constant = variance <= rounding * variance + (rounding * mean) ** 2
        return Scaled(mean, np.where(constant, 1, np.sqrt(variance)), names)


standardize = recipe("standardize", Standardize)


@pytree
class MinMax(Preparation):
    """Every column of the training part fills [0, 1]; other parts may leave it.

    Formula: x' = (x - min) / (max - min); a constant column is only shifted. Missing values
        (NaN) are left out of both and stay missing.
    Shapes: x (n, ...) -> the same.
    Errors: TypeError where a column holds no numbers.
    Agrees with: sklearn.preprocessing.MinMaxScaler, 1e-12.

    >>> import jaxopt_edu as jo
    >>> jo.data.min_max().fit([[1.0], [3.0]]).apply([[2.0]])
    array([[0.5]])
    """

    def fit(self, x):
        names, x = column_names(x), numbers(x)
        low, high = np.nanmin(x, axis=0).astype(float), np.nanmax(x, axis=0).astype(float)
        constant = high - low < 10 * np.finfo(float).eps
        return Scaled(low, np.where(constant, 1, high - low), names)


min_max = recipe("min_max", MinMax)
