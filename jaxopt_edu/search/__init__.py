"""Search: many trainings with different hyperparameters in one compiled program; tuning."""

from jaxopt_edu.search.confidence import Interval
from jaxopt_edu.search.export import save_study
from jaxopt_edu.search.loading import load_study
from jaxopt_edu.search.optuna_sampler import Optuna, optuna
from jaxopt_edu.search.optuna_trials import to_optuna
from jaxopt_edu.search.pbt import Population, population
from jaxopt_edu.search.samplers import Grid, LatinHypercube, Random, Sobol, latin_hypercube, sobol
from jaxopt_edu.search.schedulers import (
    Halving,
    Hyperband,
    MedianStopping,
    halving,
    hyperband,
    median_stopping,
)
from jaxopt_edu.search.study import Study, SweepInterrupted
from jaxopt_edu.search.sweeping import sweep
from jaxopt_edu.search.trials import sample

__all__ = [
    "Grid", "Halving", "Hyperband", "Interval", "LatinHypercube", "MedianStopping", "Optuna",
    "Population", "Random", "Sobol", "Study", "SweepInterrupted", "halving", "hyperband",
    "latin_hypercube", "load_study", "median_stopping", "optuna", "population", "sample",
    "save_study", "sobol", "sweep", "to_optuna",
]  # fmt: skip
