"""Local processes of one `jax.distributed` job: python -m jaxopt_edu.launch -n 2 script.py ...

For tests and small jobs on one machine; on a cluster its scheduler starts the processes. The
script needs nothing: each process joins the job, then runs it as `__main__`.
"""

import argparse
import contextlib
import math
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from jaxopt_edu.engine.peers import PeerLost

HEARTBEAT = 10  # seconds without a sign of life after which a process is taken for dead
GRACE = 20.0  # seconds the others have to end by themselves when one has failed
LATE = 124  # exit code of a job that took longer than it may
LOST = 75  # exit code of a process that lost another one: try again


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; the exit code is that of the first process that failed, or 0."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser("python -m jaxopt_edu.launch", description=__doc__)
    parser.add_argument("-n", type=int, default=1, help="processes (1)")
    parser.add_argument("--devices", type=int, help="virtual CPU devices of each process (1)")
    parser.add_argument("--platform", default="cpu", help="cpu, cuda, ... (cpu)")
    parser.add_argument("--grace", type=float, default=GRACE, help="seconds to end in (20)")
    parser.add_argument("--timeout", type=float, default=math.inf, help="seconds for all (none)")
    parser.add_argument("--join", metavar="PORT:I", help=argparse.SUPPRESS)
    parser.add_argument("script", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    if given.n < 1 or (given.devices or 1) < 1:
        parser.error("-n and --devices: wanted at least 1")
    if given.devices is not None and given.platform != "cpu":
        parser.error(f"--devices are virtual CPU devices: not with --platform {given.platform}")
    if not given.script.is_file():
        parser.error(f"there is no script {given.script}")
    return _join(given) if given.join else _run(given, arguments)


# --------------------------------------------------------------------------- one of the processes


def _join(given: argparse.Namespace) -> int:
    """Joins the job and runs the script."""
    port, process = map(int, given.join.split(":"))
    jax.config.update("jax_platforms", given.platform)
    if given.devices:
        jax.config.update("jax_num_cpu_devices", given.devices)
    if given.n > 1:
        jax.distributed.initialize(
            f"127.0.0.1:{port}",
            num_processes=given.n,
            process_id=process,
            local_device_ids=None if given.platform == "cpu" else [process],
            initialization_timeout=60,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=HEARTBEAT,
        )
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    sys.argv = [str(given.script), *given.arguments]
    sys.path[0] = str(given.script.resolve().parent)
    try:
        runpy.run_path(str(given.script), run_name="__main__")
    except BaseException as error:
        if not (isinstance(error, SystemExit) and error.code in (None, 0)):
            _fail(error)
    return 0


def _fail(error: BaseException) -> None:
    """Ends this process at once, saying why: an orderly end would wait for the others."""
    code: Any = 1
    if isinstance(error, PeerLost):
        print(f"jaxopt_edu: {error}", file=sys.stderr)
        code = LOST
    elif isinstance(error, SystemExit) and isinstance(error.code, int):
        code = error.code
    else:
        traceback.print_exception(error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _end_with_launcher() -> None:
    """Exits when the launcher dies (its end of our stdin closes)."""
    os.read(0, 1)
    os._exit(LOST)


# -------------------------------------------------------------------------------- all of them


def _run(given: argparse.Namespace, arguments: Sequence[str]) -> int:
    """Starts the processes, passes on what they print, and ends them all when one fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with contextlib.ExitStack() as stack:
        children = [stack.enter_context(_start(f"{port}:{i}", arguments)) for i in range(given.n)]
        printers = [
            threading.Thread(target=_print, args=(i, child.stdout), daemon=True)
            for i, child in enumerate(children)
        ]
        for thread in printers:
            thread.start()
        try:
            return _wait(children, given.grace, time.monotonic() + given.timeout)
        finally:
            for child in children:
                child.kill()
            for thread in printers:
                thread.join(timeout=1)


def _start(place: str, arguments: Sequence[str]) -> subprocess.Popen:
    """The process of this place in the job, with the arguments of the launcher."""
    return subprocess.Popen(
        [sys.executable, "-m", "jaxopt_edu.launch", "--join", place, *arguments],
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )


def _print(i: int, lines: Any) -> None:
    for line in lines:
        print(f"[{i}] {line}", end="", flush=True)


def _wait(children: list[subprocess.Popen], grace: float, deadline: float) -> int:
    """Waits for the end of all; the code of the first that failed, or 0."""
    failed, waiting = 0, dict(enumerate(children))
    while waiting and time.monotonic() < deadline:
        ended = [i for i, child in waiting.items() if child.poll() is not None]
        for i in sorted(ended, key=lambda i: children[i].returncode == LOST):  # the cause first
            code = waiting.pop(i).returncode
            if code and not failed:
                failed = code if code > 0 else 128 - code
                deadline = min(deadline, time.monotonic() + grace)
                _say(f"process {i} {_how(code)}; the others have {grace:g} s to end")
        time.sleep(0.05)
    for i in waiting:
        _say(f"process {i} did not end: killed")
    if waiting and not failed:
        failed = LATE
    if failed:
        _say("start it again: a fit or a sweep with store= goes on from there")
    return failed


def _how(code: int) -> str:
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _say(line: str) -> None:
    print(f"launch: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
