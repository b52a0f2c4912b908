"""What is wrong with a training: too simple, too flexible, too short, or tested on other data."""

from jaxopt_edu.diagnose.shift import Shift, find_shift
from jaxopt_edu.diagnose.verdicts import Diagnosis, diagnose

__all__ = ["Diagnosis", "Shift", "diagnose", "find_shift"]
