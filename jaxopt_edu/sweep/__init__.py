"""Sweeps: many trainings with different hyperparameters in one compiled program."""

from jaxopt_edu.sweep.run import sweep
from jaxopt_edu.sweep.sampling import sample
from jaxopt_edu.sweep.store import save_study
from jaxopt_edu.sweep.study import Study, SweepInterrupted

__all__ = ["Study", "SweepInterrupted", "sample", "save_study", "sweep"]
