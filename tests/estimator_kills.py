"""Fits and sweeps that die as they write: python estimator_kills.py fit|sweep NAME STORE MOMENTS.

For each of the moments a process of its own goes on with the store, and is killed with SIGKILL at
so many renamed files: just before the file has its name, or, at moments below 0, just after.
"""

import os
import signal
import sys

import estimator_cells as table

from jaxopt_edu.search import store


def die_at(moment):
    """From now on: the process kills itself at the abs(moment)-th file that it renames."""
    store.LANES_EVERY = 0  # seconds between two times that a sweep writes its lanes
    rename, left = os.replace, iter(range(abs(moment) - 1, -1, -1))

    def rename_or_die(*paths):
        last = next(left) == 0
        if last and moment > 0:
            os.kill(os.getpid(), signal.SIGKILL)
        rename(*paths)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    os.replace = rename_or_die


def main(kind, name, directory, *moments):
    """Prints how each process ended: -9 where it was killed."""
    for moment in map(int, moments):
        child = os.fork()  # JAX is imported but has not begun to work
        if child == 0:
            die_at(moment)
            with table.jax.enable_x64(True):
                (table.fit if kind == "fit" else table.sweep)(name, store=directory)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(*sys.argv[1:])
