"""Heat maps: which pixels of an image speak for a prediction, and which against it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxopt_edu.view.plot.attributions import LOWERS, RAISES, checked
from jaxopt_edu.view.plot.figure import INCHES, headline, new_figure, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FINE = 20  # points in a pixel, along its outline


def plot_heat_map(
    values: Any,
    images: Any,
    *,
    shape: tuple[int, int] | None = None,
    labels: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None,
    title: str | None = None,
) -> "Figure":
    """Images, and the attributions of their pixels.

    values: (n, d): under each image its map. Or (n, d, outputs): beside each image a map for each
        output, all on one scale. images: (n, d), dark is large. shape: rows and columns of pixels,
        by default a square. labels: a title for each image; outputs: the names of the outputs.
    """
    values = checked("values", values, 2, 3)
    images = checked("images", images, 2)
    shape = _shape(values, images, shape)
    n, maps = len(values), values[..., None] if values.ndim == 2 else values
    k = maps.shape[-1]
    labels, outputs = _words("labels", labels, n, "image"), _words("outputs", outputs, k, "output")
    turned = values.ndim == 2
    down, across = (2, n) if turned else (n, 1 + k)
    figure = _figure(down, across, shape)
    panels = figure.subplots(down, across, squeeze=False)
    panels = panels.T if turned else panels
    colours = _colours(np.max(np.abs(maps)) or 1.0)
    for i, (image, *others) in enumerate(panels):
        picture = images[i].reshape(shape)
        image.imshow(picture, cmap="Greys")
        for k, axes in enumerate(others):
            _outline(axes, picture)
            axes.imshow(maps[i, :, k].reshape(shape), colours.cmap, colours.norm)
            if i == 0 and not turned:
                axes.set_title(outputs[k], fontsize=11)
        (image.set_title if turned else image.set_ylabel)(labels[i], fontsize=11)
    for axes in panels.ravel():
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_color("#bbbbbb")
    bar = figure.colorbar(colours, ax=panels, location="bottom", shrink=0.6, aspect=40, pad=0.03)
    bar.set_label("attribution: the pixel speaks against (blue) or for (orange) the output")
    headline(figure, title or "Which pixels speak for the prediction, and which against it")
    return figure


def _shape(values: np.ndarray, images: np.ndarray, shape: tuple | None) -> tuple[int, int]:
    """Rows and columns of pixels, or ValueError where the arrays do not fit."""
    d = values.shape[1]
    if images.shape != values.shape[:2]:
        raise ValueError(f"images have shape {images.shape}: wanted {values.shape[:2]}")
    side = int(np.sqrt(d))
    shape = (side, side) if shape is None else tuple(shape)
    if len(shape) != 2 or min(shape) < 1 or np.prod(shape) != d:
        raise ValueError(f"shape = {shape}: wanted (rows, columns) of {d} pixels")
    return shape


def _words(name: str, words: Sequence[Any] | None, n: int, each: str) -> list[str]:
    """A word for each of n things."""
    words = [f"{each} {i}" for i in range(n)] if words is None else words
    if len(words) != n:
        raise ValueError(f"{name}: {len(words)} for {n} {each}s")
    return [plain(word) for word in words]


def _colours(scale: float) -> Any:
    """White where nothing is attributed, the colours of for and against up to the scale."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    colours = LinearSegmentedColormap.from_list("against or for", [LOWERS, "white", RAISES])
    return ScalarMappable(Normalize(-scale, scale), colours)


def _outline(axes: "Axes", picture: np.ndarray) -> None:
    """The edges of the pixels that are above the middle of an image's numbers."""
    dark = np.pad(picture > (picture.min() + picture.max()) / 2, 1)
    if not dark.any():
        return
    fine = np.kron(dark, np.ones((FINE, FINE)))
    y, x = ((np.arange(side) + 0.5) / FINE - 1.5 for side in fine.shape)
    axes.contour(x, y, fine, [0.5], colors="#444444", linewidths=1.0)


def _figure(down: int, across: int, shape: tuple[int, int]) -> "Figure":
    """A figure as wide as the others, no higher than so many panels of this shape need."""
    figure = new_figure()
    figure.set_layout_engine("compressed")
    panel = INCHES[0] / across * shape[0] / shape[1]
    figure.set_figheight(min(INCHES[1], 1.1 * down * panel + 1.2))
    return figure
