"""Diagnosis: what is wrong with a training; which learning rate and batch size to take."""

from jaxopt_edu.diagnosis.shift import Shift, find_shift
from jaxopt_edu.diagnosis.verdicts import Diagnosis, diagnose

__all__ = ["Diagnosis", "Shift", "diagnose", "find_shift"]
