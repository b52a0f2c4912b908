"""Finders: a learning rate by one program, a batch size by one program for each size."""

from jaxopt_edu.diagnosis.finders.rates import Rates, find_learning_rate
from jaxopt_edu.diagnosis.finders.sizes import BatchSizes, find_batch_size

__all__ = ["BatchSizes", "Rates", "find_batch_size", "find_learning_rate"]
