"""A progress bar where there is a terminal or a notebook, and tqdm; nothing elsewhere."""

import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any

EVERY = 0.1  # seconds from one look at the figures to the next


class Progress:
    """One bar over lane-steps, with a few named figures beside it, and lines above it.

    show: True writes to the error stream, None does so on a terminal and in a notebook only, False
        never. In a notebook it is a line of text, which needs no widgets.
    """

    def __init__(self, total: int, show: bool | None, unit: str = " steps"):
        self._bar: Any = None
        self._shown = 0.0
        notebook = in_notebook()
        layout: dict[str, Any] = {"dynamic_ncols": True}
        if notebook:
            layout = {"ncols": 100, "mininterval": 0.5, "ascii": True}
        if show or (show is None and (notebook or sys.stderr.isatty())):
            with contextlib.suppress(ImportError):
                from tqdm import tqdm

                self._bar = tqdm(total=total, unit=unit, unit_scale=True, delay=0.1, **layout)

    def say(self, line: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.write(line, file=sys.stderr)

    def advance(self, steps: int, figures: Callable[[], dict[str, Any]] = dict) -> None:
        """Steps done since the last call; figures() are shown beside the bar now and then."""
        if self._bar is None:
            return
        if time.perf_counter() - self._shown > EVERY:
            self._bar.set_postfix(figures(), refresh=False)
            self._shown = time.perf_counter()
        self._bar.update(steps)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def in_notebook() -> bool:
    """Whether this is a kernel of Jupyter, whose cells show the error stream."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
