"""Compilations, counted from JAX's own events: those of the engine's programs and all others."""

import inspect
from typing import Any

import jax

from jaxopt_edu.engine import programs

PROGRAMS = (programs.init_lanes, programs.advance_lanes, programs.score_lanes)
ENGINE = {inspect.unwrap(program).__name__ for program in PROGRAMS}
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """Counts, while entered, what XLA compiles: programs of the engine and all others."""

    def __init__(self):
        self._seconds: dict[str, list[float]] = {"engine": [], "other": []}

    def __enter__(self) -> "Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        jax.monitoring.unregister_event_duration_listener(self._note)

    def _note(self, event: str, duration_secs: float, **kwargs: Any) -> None:
        if event == _COMPILED:
            name = str(kwargs.get("fun_name", "")).removeprefix("jit(").removesuffix(")")
            self._seconds["engine" if name in ENGINE else "other"].append(duration_secs)

    def as_dict(self) -> dict[str, int]:
        return {of: len(seconds) for of, seconds in self._seconds.items()}
