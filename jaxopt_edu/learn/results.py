"""`Explored`: results at all positions of sliders, and how they are shown."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.learn.pages import is_numeric, page_html
from jaxopt_edu.storage.files import write_text
from jaxopt_edu.values.messages import show as in_words

# heights of the parts of a page, in units of the letters' size
SLIDER, CHIPS, LEGEND, MAP, CURVE = 6.1, 4.0, 8.0, 17.5, 15.5
FRAME = 13.0  # what is around them: the heading, the sentence below, the margins


@dataclass(frozen=True, eq=False)
class Explored:
    """The results at all positions of all sliders.

    sliders: the values of each, by name, in the order of the axes. axes: the names of the axes of
    each array: those of the sliders, then seed and step where there are several. steps: at which
    was looked. arrays: the results, a tree of NumPy arrays.
    """

    sliders: Mapping[str, Sequence[Any]]
    axes: tuple[str, ...]
    steps: tuple[int, ...]
    arrays: Any

    def at(self, **positions: int) -> Any:
        """The results at these positions of sliders (and of seed and step), numbers from 0 on.

        Errors: ValueError for a name of no axis.
        """
        unknown = set(positions) - set(self.axes)
        if unknown:
            raise ValueError(f"{unknown.pop()!r} is no axis: there are {', '.join(self.axes)}")
        sizes = self._sizes()
        for name, i in positions.items():
            if not isinstance(i, int) or not -sizes[name] <= i < sizes[name]:
                raise ValueError(f"{name} = {i!r}: wanted a position from 0 to {sizes[name] - 1}")
        index = tuple(positions.get(name, slice(None)) for name in self.axes)
        return jax.tree.map(lambda x: x[index], self.arrays)

    def _sizes(self) -> dict[str, int]:
        shape = jax.tree.leaves(self.arrays)[0].shape
        return dict(zip(self.axes, shape, strict=False))

    def html(
        self,
        path: str | Path,
        *,
        show: str | None = None,
        better: str | None = None,
        title: str | None = None,
    ) -> Path:
        """Writes a page with a slider for each axis, whose track shows where its positions end.

        One file that needs nothing from elsewhere: a map of the first two sliders, the curve over
        steps with its spread over seeds, and the position in the address.
        show: which result, of one number at each position: by default the accuracy, the loss, or
            the first there is.
        better: "min" or "max"; by default "min" for a result whose name contains "loss" or "error",
            and "max" for all others.
        title: of the page.
        path: of the file, which ends with .html or .htm.
        Errors: ValueError where there is no such result, and for another ending of the path;
            TypeError for what is no path, or a title that is no text.
        """
        _check_page(path)
        text = page_html(self, show, better, title)
        write_text(path, text)
        return Path(path)

    def show(self, **options: str | None) -> "Shown":
        """The same page in a notebook. options: as of `html`, without a path."""
        unknown = set(options) - {"show", "better", "title"}
        if unknown:
            raise TypeError(f"there is no option {unknown.pop()!r}: show, better, title")
        page = page_html(self, *(options.get(k) for k in ("show", "better", "title")))
        return Shown(page, self._height())

    def _height(self) -> int:
        """How high the page is beside the text of a notebook, in units of the letters' size."""
        numeric = [is_numeric(values) for values in self.sliders.values()]
        steps = "step" in self.axes
        sliders = SLIDER * (sum(numeric) + steps) + CHIPS * (len(numeric) - sum(numeric)) + LEGEND
        return math.ceil(FRAME + max(sliders, MAP * (sum(numeric) > 1) + CURVE * steps))

    def _repr_html_(self) -> str | None:
        try:
            return self.show()._repr_html_()
        except ValueError:  # no result of one number: its repr does
            return None

    def __repr__(self) -> str:
        sizes = " x ".join(f"{len(x)} {name}" for name, x in self.sliders.items())
        return f"Explored({sizes})"


@dataclass(frozen=True)
class Shown:
    """A page that a notebook shows in a frame of its own, where its script can run."""

    page: str
    height: int  # in units of the letters' size

    def __repr__(self) -> str:
        return f"Shown(a page of {len(self.page) / 1e3:,.0f} kB)"

    def _repr_html_(self) -> str:
        style = f"width: 100%; height: {self.height}rem; border: 0"
        page = escape(self.page)
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'


def _check_page(path: Any) -> None:
    """TypeError or ValueError for what is not the path of a page."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path = {in_words(path)}: wanted the path of an .html file")
    if Path(path).suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"path = {str(path)!r}: wanted a name that ends with .html or .htm")
    if Path(path).is_dir():
        raise IsADirectoryError(f"path = {str(path)!r} is a directory: wanted a file")
