"""A progress bar where there is a terminal and tqdm; nothing elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import Any

EVERY = 0.1  # seconds from one look at the figures to the next


class Progress:
    """One bar over lane-steps, with a few named figures beside it, and lines above it.

    show: True writes to the error stream, None does so on a terminal only, False never.
    """

    def __init__(self, total: int, show: bool | None, unit: str = " steps"):
        self._bar: Any = None
        self._shown = 0.0
        if show is False or (show is None and not sys.stderr.isatty()):
            return
        try:
            from tqdm import tqdm
        except ImportError:
            return
        self._bar = tqdm(total=total, unit=unit, unit_scale=True, dynamic_ncols=True, delay=0.1)

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
