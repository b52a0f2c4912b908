"""Compilations, counted from JAX's own events: those of the engine's programs and all others."""

import inspect
import threading
from typing import Any

import jax

from jaxopt_edu.engine import programs

PROGRAMS = (programs.init_lanes, programs.advance_lanes, programs.score_lanes)
ENGINE = {inspect.unwrap(program).__name__ for program in PROGRAMS}
_COMPILED = "/jax/core/compile/backend_compile_duration"
_counters: list["Compilations"] = []
_lock = threading.Lock()


class Compilations:
    """Counts, while entered, what XLA compiles: programs of the engine and all others."""

    def __init__(self):
        self.engine, self.other, self.seconds = 0, 0, 0.0

    def __enter__(self) -> "Compilations":
        with _lock:
            _listen()
            _counters.append(self)
        return self

    def __exit__(self, *_: Any) -> None:
        with _lock:
            _counters.remove(self)

    def as_dict(self) -> dict[str, int]:
        return {"engine": self.engine, "other": self.other}


_listening = False


def _listen() -> None:
    """Registers the one listener of this process, once."""
    global _listening
    if not _listening:
        jax.monitoring.register_event_duration_secs_listener(_heard)
        _listening = True


def _heard(event: str, duration_secs: float, **kwargs: Any) -> None:
    if event != _COMPILED:
        return
    name = str(kwargs.get("fun_name", "")).removeprefix("jit(").removesuffix(")")
    with _lock:
        for counter in _counters:
            counter.seconds += duration_secs
            if name in ENGINE:
                counter.engine += 1
            else:
                counter.other += 1
