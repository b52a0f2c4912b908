"""A race as an animation: a .gif file, or pictures with a slider in a notebook."""

import base64
import functools
import io
import json
import os
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import IO, TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxopt_edu.analysis.races import Race, Racer
from jaxopt_edu.storage.files import whole
from jaxopt_edu.values.messages import show
from jaxopt_edu.values.pytrees import check_count
from jaxopt_edu.view.plot.figure import (
    file_path,
    headline,
    key,
    new_figure,
    of,
    sign,
    tidy,
)
from jaxopt_edu.view.plot.race import (
    Heights,
    draw_contours,
    draw_ends,
    in_words,
    look,
    title_of,
    visible,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Animation", "animate_race"]

DPI, HOLD = 100, 2500  # 960 x 640 pixels; how many milliseconds the last frame of a file stays
SHOWN = 2000  # at most so many points of a path
HEAD = 9  # the size of the marker at the end of a path, in points
ROOM = 0.03  # of the steps, on both sides: the markers at the ends are whole
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@of(Race)
def animate_race(result: Race, *, frames: int = 100, fps: int = 15) -> "Animation":
    """The paths as they grow, beside the f of each racer over the steps.

    Where the minimum is known, f above it; else f itself, as in `plot_race`. A notebook shows it
    with a slider over the steps; `jo.plot.save(animation, "race.gif")` writes it as a file, whole
    or not at all.
    frames: how many pictures, evenly spread over the steps (at most one for each).
    fps: how many pictures a second, at most 50, as browsers slow down faster ones.
    Errors: ValueError for fewer than two frames, and for an fps that is not from 1 to 50.

    >>> import jaxopt_edu as jo
    >>> animation = jo.plot.animate_race(jo.race("booth", ["sgd", "adam"], steps=40))
    >>> animation
    Animation(booth, 41 frames, 15 a second)
    """
    check_count("frames", frames, 2)
    whole_number = isinstance(fps, int | np.integer) and not isinstance(fps, bool)
    if not whole_number or not 1 <= fps <= 50:
        raise ValueError(
            f"fps = {show(fps)}: wanted an integer from 1 to 50, as browsers slow down faster ones"
        )
    steps = np.unique(np.linspace(0, result.steps, frames).round().astype(int))
    return Animation(result, tuple(steps.tolist()), int(fps))


@dataclass(frozen=True, eq=False)
class Animation:
    """A race as pictures: steps are those at which one is taken, fps how many a second."""

    race: Race
    steps: tuple[int, ...]
    fps: int

    def __repr__(self) -> str:
        name = self.race.function.name
        return f"Animation({name}, {len(self.steps)} frames, {self.fps} a second)"

    def _write(
        self, file: str | os.PathLike[str] | IO[bytes], *, format: str | None = None
    ) -> None:
        """Writes a GIF to a path, whole or not at all, or to an open binary file.

        format: "gif"; by default the ending of the path.
        Errors: ValueError for another format; TypeError for what is neither path nor file.
        """
        if not hasattr(file, "write"):
            path = file_path("file", file)
            with whole(path) as file_:
                return self._write(file_, format=format or path.suffix[1:] or "gif")
        if str(format or "gif").lower() != "gif":
            raise ValueError(f"format = {format!r}: an animation is written as 'gif'")
        first, *others = self._pictures()
        times = [round(1000 / self.fps)] * len(others) + [HOLD]
        buffer = io.BytesIO()  # a file needs to be one that can be read again
        first.save(buffer, "GIF", save_all=True, append_images=others, duration=times, loop=0)
        file.write(buffer.getvalue())

    savefig = _write  # what `jo.plot.save` calls, of a figure too

    def _pictures(self) -> list[Any]:
        """The frames, in the most frequent colours of the last one."""
        from PIL import Image

        colours = Colours(self._stage.at(self.steps[-1]))
        drawn = []
        for step in self.steps:
            picture = Image.fromarray(colours.places(self._stage.at(step)), "P")
            picture.putpalette(colours.table.astype(np.uint8).tobytes())
            drawn.append(picture)
        return drawn

    @functools.cached_property
    def _stage(self) -> "Stage":
        return Stage(self.race)

    def _repr_html_(self) -> str:
        page, wide = escape(self._page()), DPI * new_figure().get_figwidth()
        style = f"width: 100%; max-width: {wide:.0f}px; aspect-ratio: 4 / 3; border: 0"
        return f'<iframe sandbox="allow-scripts" style="{style}" srcdoc="{page}"></iframe>'

    def _page(self) -> str:
        """A page of its own: the background as a picture, what grows as lines over it."""
        script = resources.files("jaxopt_edu.view.plot").joinpath("animation.js").read_text("utf-8")
        data = self._stage.told() | {"steps": self.steps, "fps": self.fps}
        told = json.dumps(data).replace("<", "\\u003c")
        label = escape(title_of(self.race), quote=True)
        return f"""<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}"><title>{label}</title>
<style>body {{ margin: 0; background: #fff; color: #000; font: 15px sans-serif; }}
svg {{ display: block; width: 100%; }} p {{ display: flex; gap: 1em; margin: 0.4em 1em; }}
input {{ flex: 1; min-width: 0; }} button {{ font: inherit; min-width: 5em; }}</style></head><body>
<svg role="img" aria-label="{label}"></svg>
<p><button>Play</button><input type="range" aria-label="step"></p>
<script type="application/json">{told}</script><script>{script}</script>
</body></html>"""


class Colours:
    """A table of the most frequent colours of a picture, which others are shown in.

    255 of them: Pillow takes the last place for what has not changed since the frame before.
    """

    def __init__(self, pixels: np.ndarray):
        found, counts = np.unique(_codes(pixels), return_counts=True)
        self.table = _channels(found[np.argsort(-counts, kind="stable")[:255]])
        self.nearest = np.full(1 << 24, -1, np.int16)  # by code; -1 where it was not asked for

    def places(self, pixels: np.ndarray) -> np.ndarray:
        """For each pixel the place of the nearest colour of the table."""
        codes = _codes(pixels)
        new = np.unique(codes[self.nearest[codes] < 0])
        apart = _channels(new)[:, None] - self.table
        self.nearest[new] = np.argmin(np.square(apart).sum(-1), axis=1)
        return self.nearest[codes].astype(np.uint8)


def _codes(pixels: np.ndarray) -> np.ndarray:
    """The colours of pixels (..., 4) as numbers below 2^24."""
    red, green, blue = np.moveaxis(pixels[..., :3].astype(np.int32), -1, 0)
    return red << 16 | green << 8 | blue


def _channels(codes: np.ndarray) -> np.ndarray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=-1)


class Stage:
    """The figure of an animation: what stays, drawn once, and for each racer what grows."""

    def __init__(self, result: Race):
        figure: Any = new_figure()
        figure.set_dpi(DPI)
        self.figure, self.steps = figure, result.steps
        self.heights = Heights.of(result, scan=False)
        self.left, self.right = figure.subplots(1, 2, width_ratios=(1.2, 1))
        most = np.linspace(0, result.steps, min(result.steps + 1, SHOWN))
        self.kept = np.unique(most.round().astype(int))
        draw_contours(self.left, result)
        self.lines = [self._grow(result, i, racer) for i, racer in enumerate(result.racers)]
        draw_ends(self.left, result)
        self._heights(result)
        looks = [(*look(i), racer) for i, racer in enumerate(result.racers)]
        signs = [sign(m, in_words(result, r), markersize=6, **style) for m, style, r in looks]
        key(figure, signs, columns=1 if len(signs) < 5 else 2)
        headline(figure, title_of(result))
        self.counter = self.right.set_title(self.words(0), fontsize=9.5, animated=True)
        figure.canvas.draw()
        self.background = figure.canvas.copy_from_bbox(figure.bbox)

    def words(self, step: int) -> str:
        return f"step {step:,} of {self.steps:,}"

    def _grow(self, result: Race, i: int, racer: Racer) -> list[tuple["Axes", Any, Any]]:
        """The path of a racer, and its height over the steps: (axes, line, marker) of both."""
        values = np.asarray(jax.vmap(result.function)(jnp.asarray(racer.path)))
        ended = np.flatnonzero(~np.isfinite(values) | ~np.isfinite(racer.path).all(axis=1))
        alive = self.kept[: np.searchsorted(self.kept, ended[0])] if len(ended) else self.kept
        places = visible(result, racer.path)[alive].T
        heights = alive, self.heights.place(values[alive])
        (marker, style), over = look(i), {"zorder": 3 - i / len(result.racers), "animated": True}
        found = []
        for axes, data in ((self.left, places), (self.right, heights)):
            [line] = axes.plot(*data, linewidth=1.8, **style, **over)
            [head] = axes.plot(*data, marker, markersize=HEAD, markeredgecolor="white",
                               color=style["color"], **over)  # fmt: skip
            line.grown = head.grown = np.asarray(data, float)
            found.append((axes, line, head))
        return found

    def _heights(self, result: Race) -> None:
        tidy(self.right)
        room = ROOM * result.steps
        self.right.set(xlim=(-room, result.steps + room), xlabel="step")
        self.right.set_ylabel(self.heights.label)
        self.heights.scale(self.right, 0.0)

    def at(self, step: int) -> np.ndarray:
        """The pixels (height, width, 4) of the picture at a step."""
        figure = self.figure
        figure.canvas.restore_region(self.background)
        count = int(np.searchsorted(self.kept, step, side="right"))
        for axes, line, head in (one for racer in self.lines[::-1] for one in racer):
            line.set_data(line.grown[:, :count])
            head.set_data(head.grown[:, :count][:, -1:])
            axes.draw_artist(line)
            axes.draw_artist(head)
        self.counter.set_text(self.words(step))
        self.right.draw_artist(self.counter)
        return np.array(figure.canvas.buffer_rgba())

    def told(self) -> dict[str, Any]:
        """What the page needs: the background, and lines and markers in its pixels."""
        from PIL import Image

        canvas, file = self.figure.canvas, io.BytesIO()
        canvas.restore_region(self.background)
        Image.fromarray(np.array(canvas.buffer_rgba())).convert("RGB").save(file, "PNG")
        wide, high = canvas.get_width_height()
        boxes = [axes.get_window_extent() for axes in (self.left, self.right)]
        clips = [[box.x0, high - box.y1, box.width, box.height] for box in boxes]
        x, y = self.counter.get_transform().transform(self.counter.get_position())
        return {
            "width": wide, "height": high, "clips": [[round(v, 1) for v in c] for c in clips],
            "picture": base64.b64encode(file.getvalue()).decode(), "kept": self.kept.tolist(),
            "last": self.steps, "counter": [round(float(x), 1), round(float(high - y), 1)],
            "racers": [[_track(one, high) for one in racer] for racer in self.lines],
        }  # fmt: skip


def _track(one: tuple["Axes", Any, Any], high: float) -> dict[str, Any]:
    """A line in pixels, its colour and dashes, and the shape of its marker."""
    axes, line, head = one
    places = axes.transData.transform(line.grown.T) * (1, -1) + (0, high)
    marker = head._marker
    shape = marker.get_path().transformed(marker.get_transform()).to_polygons()
    size = HEAD * DPI / 72
    corners = " ".join(f"{x * size:.1f},{-y * size:.1f}" for x, y in shape[0])
    dashes = {"-": "", "--": "7 3", ":": "2 3"}[line.get_linestyle()]
    return {
        "colour": line.get_color(), "dashes": dashes, "marker": corners,
        "places": places.round(1).tolist(),
    }  # fmt: skip
