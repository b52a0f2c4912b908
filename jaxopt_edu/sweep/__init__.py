"""Sweeps: many trainings with different hyperparameters in one compiled program."""

from jaxopt_edu.sweep.run import sweep
from jaxopt_edu.sweep.study import Study, SweepInterrupted

__all__ = ["Study", "SweepInterrupted", "sweep"]
