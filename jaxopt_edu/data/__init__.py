"""Data: real ones by name, or the user's own; prepared, split, and cut into batches."""

from jaxopt_edu.data.batches import balanced_indices, batch_indices
from jaxopt_edu.data.categories import OneHot, one_hot
from jaxopt_edu.data.classes import class_weights
from jaxopt_edu.data.dataset import Data, Part, Source
from jaxopt_edu.data.duplicates import DropDuplicates, drop_duplicates
from jaxopt_edu.data.folds import Folds, k_fold
from jaxopt_edu.data.loading import from_arrays, load, source_to_json
from jaxopt_edu.data.pipelines import On, Pipeline, Select, on, pipeline, select
from jaxopt_edu.data.preparation import (
    Impute,
    MinMax,
    Preparation,
    Standardize,
    impute,
    min_max,
    standardize,
)
from jaxopt_edu.data.sources import datasets

__all__ = [
    "Data",
    "DropDuplicates",
    "Folds",
    "Impute",
    "MinMax",
    "On",
    "OneHot",
    "Part",
    "Pipeline",
    "Preparation",
    "Select",
    "Source",
    "Standardize",
    "balanced_indices",
    "batch_indices",
    "class_weights",
    "datasets",
    "drop_duplicates",
    "from_arrays",
    "impute",
    "k_fold",
    "load",
    "min_max",
    "on",
    "one_hot",
    "pipeline",
    "select",
    "source_to_json",
    "standardize",
]
