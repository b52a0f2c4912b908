"""Optimizers as values: whole trainings are pytrees of numbers, run in batches by one program.

Read the rooms in the order in which they are imported here; none imports a later one.
"""

import importlib
from typing import TYPE_CHECKING, Any

from jaxopt_edu.values.pytrees import Constant, mask, number, pytree, recipe, static
from jaxopt_edu.values.names import hyperparameters, replace
from jaxopt_edu.values import tree, space
from jaxopt_edu.values.optuna_space import from_distribution, to_distribution
from jaxopt_edu.values.space import choice, int_uniform, log_uniform, one_of, uniform
from jaxopt_edu.optim.extra_args import eval_params
from jaxopt_edu.optim.transform import Chain, Hyper, Mask, Rule, Transform, apply_updates, chain
from jaxopt_edu.optim import schedules
from jaxopt_edu.optim.schedules import *
from jaxopt_edu.optim import regularizers
from jaxopt_edu.optim.regularizers import *
from jaxopt_edu.optim.priors import Prior, prior
from jaxopt_edu.optim import transforms
from jaxopt_edu.optim.transforms import *
from jaxopt_edu.optim import optimizers
from jaxopt_edu.optim.optimizers import *
from jaxopt_edu.optim.interop import from_optax, to_optax
from jaxopt_edu.nn import losses, metrics, models
from jaxopt_edu import data
from jaxopt_edu.data import augment
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
from jaxopt_edu.storage.identity import Fingerprint, fingerprint
from jaxopt_edu.storage.descriptions import load_experiment
from jaxopt_edu.storage.saved import SavedModel
from jaxopt_edu.storage.model_file import load_model
from jaxopt_edu import privacy
from jaxopt_edu.privacy import Private
from jaxopt_edu import federated
from jaxopt_edu.federated import Federated
from jaxopt_edu.engine.peers import PeerLost
from jaxopt_edu.engine.history import Run
from jaxopt_edu.engine.fitting import fit
from jaxopt_edu.search.hypergradients import hypergradient
from jaxopt_edu.search.gradient_search import Tuning, tune
from jaxopt_edu.search import *
from jaxopt_edu.analysis import explain, validation
from jaxopt_edu.analysis.validation import *
from jaxopt_edu.analysis import functions
from jaxopt_edu.analysis.races import race
from jaxopt_edu.analysis.shares import importances
from jaxopt_edu.view import plot, report
from jaxopt_edu.diagnosis.finders import BatchSizes, Rates, find_batch_size, find_learning_rate
from jaxopt_edu.diagnosis import Diagnosis, diagnose

if TYPE_CHECKING:
    from jaxopt_edu import learn
else:

    def __getattr__(name: str) -> Any:
        """`jo.learn` is imported when it is asked for: a training needs none of it."""
        if name == "learn":
            return importlib.import_module("jaxopt_edu.learn")
        raise AttributeError(f"module 'jaxopt_edu' has no attribute {name!r}")


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
    "latin_hypercube", "learn", "load_experiment", "load_model", "load_study", "log_uniform",
    "losses", "mask", "median_stopping", "metrics", "models", "number", "one_of", "optimizers",
    "optuna",
    "plot", "population", "prior", "privacy", "pytree", "race", "recipe", "regularizers", "replace",
    "report", "sample", "save_study", "schedules", "sobol", "space", "static", "sweep",
    "to_distribution", "to_optax", "to_optuna", "transforms", "tree", "tune",
    "uniform", "validation",
    *optimizers.__all__, *schedules.__all__, *transforms.__all__,
    *regularizers.__all__, *validation.__all__,
]  # fmt: skip
