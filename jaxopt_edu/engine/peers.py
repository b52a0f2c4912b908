"""Failure detection: when a process of the job is lost, the others stop and say so."""

import contextlib
from collections.abc import Callable, Iterator

import jax

from jaxopt_edu.engine.collectives import processes

TRANSPORTS = ("gloo", "nccl")
SIGNS = (*TRANSPORTS, "connection", "socket", "unavailable", "heartbeat", "coordination")


class PeerLost(RuntimeError):
    """A process of the job is gone, so no other can go on: start them all again.

    With `store=` they go on from the last checkpoint. A process that is not stopped by this error
    is ended by JAX's runtime, which misses the heartbeats of the lost one.
    """


@contextlib.contextmanager
def watched(where: Callable[[], str]) -> Iterator[None]:
    """Turns what the runtime says when a peer is lost into `PeerLost`; where() says what it means.

    What JAX raises then differs with the transport and the moment (0.10.2: a JaxRuntimeError, or
    a ValueError where a program is dispatched): it is known by its words.
    """
    try:
        yield
    except (jax.errors.JaxRuntimeError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else ""
        signs = TRANSPORTS if isinstance(error, ValueError) else SIGNS
        if processes() == 1 or not any(sign in said.lower() for sign in signs):
            raise
        raise PeerLost(
            f"process {jax.process_index()} of {processes()} lost another process of this job "
            f"{where()} ({said})"
        ) from error
