"""Tests compile often and run for moments: XLA is told to compile quickly.

Everywhere, and in the processes that tests start: kernels by the emitters that XLA had before
those of today, which compile 1.7 times as quickly (what they make runs a third slower).
`XLA_FLAGS= python -m pytest` tests programs as users compile them; so does `.ci/run`, for the
laws that hold bit for bit.
"""

import gc
import os
from pathlib import Path

if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # nothing is kept in the cache of who tests
    os.environ.setdefault("JAX_ENABLE_COMPILATION_CACHE", "false")

import hypothesis
import jax
import jaxlib
import pytest

if jaxlib.__version__.startswith("0.10."):  # those to come may lack them, and stop at the flag
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

# The same hundred examples in every run, however slow the machine.
hypothesis.settings.register_profile("laws", max_examples=100, derandomize=True, deadline=None)
hypothesis.settings.load_profile("laws")


class FewPrograms:
    """Forgets compiled programs before a process has as many memory maps as Linux allows it.

    Each program of XLA on a CPU takes some; where there is no room for another, LLVM crashes.
    """

    every, most = 100, 30_000  # of 65,530 by default
    tests, due = 0, False

    def pytest_runtest_teardown(self, item, nextitem):
        self.tests += 1
        maps = Path("/proc/self/maps")
        self.due = self.due or self.tests % self.every == 0
        same = nextitem is not None and nextitem.path == item.path  # its fixtures have programs
        if same or not self.due or not maps.exists():
            return
        self.due = False
        if maps.read_bytes().count(b"\n") > self.most:
            jax.clear_caches()
            gc.collect()


def pytest_configure(config):
    """As a plugin, so that it sees the doctests of the package too."""
    config.pluginmanager.register(FewPrograms())


@pytest.fixture(scope="module")
def compiled_quickly():
    """Without optimizing, for a module whose tests hold to a tolerance."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
