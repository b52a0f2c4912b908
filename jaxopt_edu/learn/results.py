"""`Explored`: results at all positions of sliders, and how they are shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.learn.pages import page_html
from jaxopt_edu.storage.files import write_text


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
            the first there is. better: "min" or "max"; by default less of a loss or an error is
            better. title: of the page.
        Errors: ValueError where there is no such result.
        """
        text = page_html(self, show, better, title)
        write_text(path, text)
        return Path(path)

    def show(self, **options: str | None) -> "Shown":
        """The same page in a notebook. options: as of `html`, without a path."""
        unknown = set(options) - {"show", "better", "title"}
        if unknown:
            raise TypeError(f"there is no option {unknown.pop()!r}: show, better, title")
        page = page_html(self, *(options.get(k) for k in ("show", "better", "title")))
        both = len(self.axes) > 1
        return Shown(page, 14 + 6 * len(self.sliders) + 24 * both)

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

    def _repr_html_(self) -> str:
        style = f"width: 100%; height: {self.height}rem; border: 0"
        page = escape(self.page)
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'
