"""Optimizers as values: whole trainings are pytrees of numbers, run in batches by one program.

Read the modules in the order in which they are imported here; none imports a later one.
"""

from jaxopt_edu.value import Constant, mask, number, pytree, recipe, static
from jaxopt_edu.names import hyperparameters, replace
from jaxopt_edu import tree
from jaxopt_edu.extra_args import eval_params
from jaxopt_edu.core import Chain, Hyper, Mask, Rule, Transform, apply_updates, chain
from jaxopt_edu import schedules
from jaxopt_edu.schedules import *
from jaxopt_edu import losses, metrics, regularizers
from jaxopt_edu.regularizers import *
from jaxopt_edu.prior import Prior, prior
from jaxopt_edu import transforms
from jaxopt_edu.transforms import *
from jaxopt_edu import optimizers
from jaxopt_edu.optimizers import *
from jaxopt_edu import models, data
from jaxopt_edu.fingerprint import Fingerprint, fingerprint
from jaxopt_edu import augment, space
from jaxopt_edu.space import choice, int_uniform, log_uniform, one_of, uniform
from jaxopt_edu.train import (
    Batch,
    Estimate,
    Estimator,
    Experiment,
    InParts,
    Objective,
    Plain,
    Sharpness,
    Step,
    Training,
    TrainingState,
)
from jaxopt_edu.describe import load_experiment
from jaxopt_edu.saved import SavedModel
from jaxopt_edu.model_file import load_model
from jaxopt_edu.history import Run
from jaxopt_edu.parallel import PeerLost
from jaxopt_edu.fit import fit
from jaxopt_edu.hypergradient import hypergradient
from jaxopt_edu.tune import Tuning, tune
from jaxopt_edu import privacy, federated
from jaxopt_edu.privacy import Private
from jaxopt_edu.federated import Federated
from jaxopt_edu.sweep import *
from jaxopt_edu.interop import from_optax, to_optax
from jaxopt_edu import explain
from jaxopt_edu import validation, functions
from jaxopt_edu.validation import *
from jaxopt_edu.race import race
from jaxopt_edu import plot
from jaxopt_edu.diagnose import Diagnosis, diagnose
from jaxopt_edu.find import BatchSizes, Rates, find_batch_size, find_learning_rate
from jaxopt_edu import report

__all__ = [
    "Batch", "BatchSizes", "Chain", "Constant", "Diagnosis", "Estimate", "Estimator",
    "Experiment", "Federated", "Fingerprint", "Grid", "Halving", "Hyper", "Hyperband",
    "InParts", "Interval", "LatinHypercube", "Mask", "MedianStopping", "Objective", "Optuna",
    "PeerLost", "Plain", "Population", "Prior", "Private", "Random", "Rates", "Rule", "Run",
    "SavedModel", "Sharpness", "Sobol", "Step", "Study", "SweepInterrupted", "Training",
    "TrainingState", "Transform", "Tuning", "apply_updates", "augment", "chain", "choice",
    "data", "diagnose", "eval_params", "explain", "federated", "find_batch_size",
    "find_learning_rate", "fingerprint", "fit", "from_distribution", "from_optax", "functions",
    "halving", "hyperband", "hypergradient", "hyperparameters", "importances", "int_uniform",
    "latin_hypercube", "load_experiment", "load_model", "load_study", "log_uniform", "losses",
    "mask", "median_stopping", "metrics", "models", "number", "one_of", "optimizers", "optuna",
    "plot", "population", "prior", "privacy", "pytree", "race", "recipe", "regularizers", "replace",
    "report", "sample", "save_study", "schedules", "sobol", "space", "static", "sweep",
    "to_distribution", "to_optax", "to_optuna", "transforms", "tree", "tune",
    "uniform", "validation",
    *optimizers.__all__, *schedules.__all__, *transforms.__all__,
    *regularizers.__all__, *validation.__all__,
]  # fmt: skip
