"""One training as a value: experiments, objectives, gradient estimators, `Training`."""

from jaxopt_edu.train.estimators import Estimator, InParts, Plain, Sharpness
from jaxopt_edu.train.experiment import Experiment, Step
from jaxopt_edu.train.objective import Batch, Estimate, Objective
from jaxopt_edu.train.training import Training, TrainingState

__all__ = [
    "Batch", "Estimate", "Estimator", "Experiment", "InParts", "Objective", "Plain", "Sharpness",
    "Step", "Training", "TrainingState",
]  # fmt: skip
