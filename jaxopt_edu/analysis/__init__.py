"""Analysis: explanations of models, cross-validation, races of optimizers."""
