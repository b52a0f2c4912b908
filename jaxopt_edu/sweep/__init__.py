"""Sweeps: many trainings with different hyperparameters in one compiled program."""

from jaxopt_edu.sweep.files import save_study
from jaxopt_edu.sweep.intervals import Interval
from jaxopt_edu.sweep.optuna import Optuna, optuna
from jaxopt_edu.sweep.optuna_space import from_distribution, to_distribution
from jaxopt_edu.sweep.optuna_trials import importances, to_optuna
from jaxopt_edu.sweep.population import Population, population
from jaxopt_edu.sweep.results import load_study
from jaxopt_edu.sweep.run import sweep
from jaxopt_edu.sweep.rungs import (
    Halving,
    Hyperband,
    MedianStopping,
    halving,
    hyperband,
    median_stopping,
)
from jaxopt_edu.sweep.samplers import (
    Grid,
    LatinHypercube,
    Random,
    Sobol,
    latin_hypercube,
    sobol,
)
from jaxopt_edu.sweep.sampling import sample
from jaxopt_edu.sweep.study import Study, SweepInterrupted

__all__ = [
    "Grid",
    "Halving",
    "Hyperband",
    "Interval",
    "LatinHypercube",
    "MedianStopping",
    "Optuna",
    "Population",
    "Random",
    "Sobol",
    "Study",
    "SweepInterrupted",
    "from_distribution",
    "halving",
    "hyperband",
    "importances",
    "latin_hypercube",
    "load_study",
    "median_stopping",
    "optuna",
    "population",
    "sample",
    "save_study",
    "sobol",
    "sweep",
    "to_distribution",
    "to_optuna",
]
