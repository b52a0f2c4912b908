"""Ctrl-C, heard now and acted on between two steps."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def interrupts() -> Iterator[threading.Event]:
    """While entered in the main thread, whether Ctrl-C was heard, to be acted on between two steps.

    A second one interrupts at once. One that nobody has acted on is raised in the end.
    """
    heard, default = threading.Event(), signal.default_int_handler

    def hear(*_: Any) -> None:
        if heard.is_set():
            raise KeyboardInterrupt
        heard.set()

    main = threading.current_thread() is threading.main_thread()
    ours = main and signal.getsignal(signal.SIGINT) is default
    if ours:
        signal.signal(signal.SIGINT, hear)
    try:
        yield heard
    finally:
        if ours:
            signal.signal(signal.SIGINT, default)
    if heard.is_set():
        raise KeyboardInterrupt
