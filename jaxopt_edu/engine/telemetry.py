"""Compilations, counted from JAX's own events: those of the engine's programs and all others."""

from typing import Any

import jax

from jaxopt_edu.engine import programs

PROGRAMS: Any = (programs.init_lanes, programs.advance_lanes, programs.score_lanes)
ENGINE = {program.__name__ for program in PROGRAMS}
_COMPILED = "/jax/core/compile/backend_compile_duration"


class Compilations:
    """Counts, while entered, what XLA compiles: programs of the engine and all others."""

    def __init__(self):
        self._names: list[str] = []

    def __enter__(self) -> "Compilations":
        jax.monitoring.register_event_duration_secs_listener(self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        jax.monitoring.unregister_event_duration_listener(self._note)

    def _note(self, event: str, duration_secs: float, **kwargs: Any) -> None:
        if event == _COMPILED:
            name = str(kwargs.get("fun_name", ""))
            self._names.append(name.removeprefix("jit(").removesuffix(")"))

    def as_dict(self) -> dict[str, int]:
        engine = sum(name in ENGINE for name in self._names)
        return {"engine": engine, "other": len(self._names) - engine}
