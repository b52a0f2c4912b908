"""Optimization: transforms of gradients, schedules, regularizers, optimizers; optax's, too."""
