"""Analysis: explanations of models and studies, cross-validation, races of optimizers."""
