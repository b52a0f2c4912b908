"""What a process that a test starts is told: where the project is, and to compile quickly."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
TOLD = {"PYTHONPATH": str(ROOT), "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
