"""Partial dependence: the mean prediction as a function of one feature."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jax.typing import ArrayLike

from jaxopt_edu.analysis.explain.inputs import (
    CHUNK,
    chunked,
    examples,
    in_chunks,
    one_program,
    output_of,
)
from jaxopt_edu.values import notebook
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.values.tree import wide


class PartialDependence(NamedTuple):
    """Predictions over a grid of one feature: on average, and for each example (ICE)."""

    grid: Array
    average: Array
    individual: Array

    def _repr_html_(self) -> str:
        return notebook.arrays(self)


@one_program
def partial_dependence(
    predict: Callable[..., Any],
    x: ArrayLike,
    feature: int,
    *,
    grid: ArrayLike | None = None,
    points: int = 50,
    chunk: int = CHUNK,
) -> PartialDependence:
    """The predictions for all examples with one feature set to each value of a grid.

    Formula: individual_ig = f(x_i with x_ij = grid_g),  average_g = mean_i individual_ig
    Individual curves (ICE) that are not parallel to their average tell of an interaction. Where
    features hang together, the grid asks about examples that there are none of.
    feature: the number j of the column.
    grid: by default so many points evenly from the 5% to the 95% quantile of the feature.
    Shapes: x (n, d), grid (g,) -> grid (g,), average (g,), individual (n, g); for k outputs (g, k)
        and (n, g, k).
    Units: the unit of the predictions, over the unit of the feature.
    Errors: ValueError where there is no such feature or where shapes do not fit.
    Source: Friedman 2001, Greedy function approximation, section 8.2; Goldstein et al. 2015,
        arXiv:1309.6392, for the individual curves.
    Agrees with: sklearn.inspection.partial_dependence(method="brute") on the same grid, 1e-12 in
        float64.

    >>> import jax.numpy as jnp, jaxopt_edu as jo
    >>> x = jnp.array([[0.0, 1.0], [1.0, 3.0]])
    >>> found = jo.explain.partial_dependence(lambda x: x[:, 0] * x[:, 1], x, 0, grid=[0.0, 1.0])
    >>> found.average.tolist(), found.individual.tolist()
    ([0.0, 2.0], [[0.0, 1.0], [0.0, 3.0]])
    """
    x = examples("x", x)
    n, d = x.shape
    dtype = output_of(predict, x).dtype
    check_count("chunk", chunk)
    check_count("points", points, least=2)
    check_count("feature", feature, least=0)
    if feature >= d:
        raise ValueError(f"feature = {feature}: x has {d} features, wanted one from 0 to {d - 1}")
    if grid is None:
        low, high = jnp.quantile(wide(x[:, feature]), jnp.array([0.05, 0.95]))
        grid = jnp.linspace(low, high, points)
    grid = jnp.asarray(grid, x.dtype)
    if grid.ndim != 1 or not grid.size:
        raise ValueError(f"grid has shape {grid.shape}: wanted (g,), values of the feature")

    def curve(value):
        return in_chunks(predict, x.at[:, feature].set(value), chunk)

    individual = chunked(curve, grid, chunk // n)
    average = jnp.mean(wide(individual), 1).astype(dtype)
    return PartialDependence(grid, average, jnp.swapaxes(individual, 0, 1))
