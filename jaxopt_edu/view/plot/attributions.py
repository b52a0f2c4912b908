"""What the pictures of explanations share: checks, order, words and colours."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.view.plot.figure import COLOURS, plain, sign
from jaxopt_edu.view.plot.scores import short, show_number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOWERS, RAISES = COLOURS[:2]


def checked(name: str, x: Any, *dims: int) -> np.ndarray:
    """Finite x in float64, or ValueError unless it has so many axes and something in each."""
    x = np.asarray(x, float)
    if x.ndim not in dims or not x.size:
        shapes = {0: "a number", 1: "(d,)", 2: "(n, d)", 3: "(n, d, outputs)"}
        wanted = " or ".join(shapes[n] for n in dims)
        one = f"; choose an output: {name}[..., 0]" if x.ndim == max(dims) + 1 else ""
        raise ValueError(f"{name} has shape {x.shape}: wanted {wanted}{one}")
    return finite(name, x)


def finite(name: str, x: np.ndarray) -> np.ndarray:
    """x, or ValueError where one of its numbers is not finite: a picture has no place for it."""
    wrong = np.count_nonzero(~np.isfinite(x))
    if wrong:
        raise ValueError(f"{name}: {wrong} of {x.size} numbers are not finite")
    return x


def checked_like(name: str, other: Any, values: np.ndarray) -> np.ndarray:
    """Another array of the shape of the values, or ValueError with both shapes."""
    other = np.asarray(other, float)
    if other.shape != values.shape:
        raise ValueError(f"{name} has shape {other.shape}: wanted the attributions' {values.shape}")
    return other


def names_of(names: Sequence[str] | None, d: int) -> list[str]:
    """The names of d features, or their numbers; ValueError where there are more or fewer names."""
    if names is None:
        return [f"feature {j}" for j in range(d)]
    if len(names) != d:
        raise ValueError(f"names: {len(names)} for {d} features")
    return [plain(short(name)) for name in names]


def largest(sizes: np.ndarray, most: int) -> np.ndarray:
    """The features with the largest sizes, the largest first, at most so many."""
    check_count("most", most)
    return np.argsort(-np.abs(sizes), kind="stable")[:most]


def of_all(shown: int, d: int) -> str:
    """Words for the headline where not all features are shown."""
    return f" ({shown} of {d} features)" if shown < d else ""


def rows(axes: "Axes", labels: Sequence[str]) -> np.ndarray:
    """Heights for one row a label, the first on top; no grid lines between them."""
    heights = np.arange(len(labels))[::-1]
    axes.set_yticks(heights, labels)
    axes.set_ylim(-0.6, len(labels) - 0.4)
    axes.grid(False, axis="y")
    axes.tick_params("y", length=0)
    axes.spines["left"].set_visible(False)
    return heights


def signed(value: float) -> str:
    """A number in three digits, with its sign."""
    return f"{value:+.3g}".replace("-", "\u2212")


def with_value(name: str, value: float) -> str:
    """mean radius = 1.23"""
    return f"{name} = " + show_number(float(f"{value:.3g}")).replace("-", "\u2212")


def direction_signs() -> list[Any]:
    """Key: which colour raises the prediction and which lowers it."""
    return [
        sign("s", "raises the prediction", color=RAISES, markersize=10),
        sign("s", "lowers it", color=LOWERS, markersize=10),
    ]
