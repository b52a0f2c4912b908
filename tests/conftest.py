"""Tests compile often and run for moments: XLA is told to compile quickly.

Everywhere, and in the processes that tests start: kernels by the emitters that XLA had before
those of today, which compile 1.7 times as quickly (what they make runs a third slower).
`XLA_FLAGS= python -m pytest` tests programs as users compile them; so does `.ci/run`, for the
laws that hold bit for bit.
"""

import os

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


@pytest.fixture(scope="module")
def compiled_quickly():
    """Without optimizing, for a module whose tests hold to a tolerance."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
