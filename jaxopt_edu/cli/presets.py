"""From the options of a command to an experiment or a search space."""

import math
from typing import Any

from jaxopt_edu import data
from jaxopt_edu.cli.options import names_of, sizes_of
from jaxopt_edu.cli.space_syntax import parse_setting
from jaxopt_edu.nn import losses, models
from jaxopt_edu.optim.regularizers import L2
from jaxopt_edu.search import halving, hyperband, median_stopping, optuna, population
from jaxopt_edu.train import Training
from jaxopt_edu.train.ingredients import ADAM_RATES, RATES, optimizer_named
from jaxopt_edu.values.names import parts, replace
from jaxopt_edu.values.space import log_uniform, one_of, uniform


def build(options: Any, sampled: bool) -> Training:
    """The experiment that the options describe: with distributions, or with numbers for fit."""
    rules = [_optimizer(name, sampled) for name in names_of("optimizer", options.optimizer)]
    loaded = data.load(options.data, seed=options.seed, path=options.data_path)
    experiment = Training(
        model=_model(options, loaded, sampled),
        loss=_loss(loaded),
        optimizer=rules[0],
        data=loaded,
        regularizer=L2(log_uniform(1e-6, 1e-2) if sampled else 1e-4),
        batch_size=options.batch_size or None,
    )
    for name, value in map(parse_setting, options.space):
        inner = name.removeprefix("optimizer.")
        has = [any(p == inner or p.endswith(f".{inner}") for p in parts(rule)) for rule in rules]
        if any(has):
            pairs = zip(rules, has, strict=True)
            rules = [replace(rule, **{inner: value}) if h else rule for rule, h in pairs]
        else:
            experiment = replace(experiment, **{name: value})
    if not sampled and len(rules) > 1:
        raise ValueError(f"--optimizer {options.optimizer}: fit runs one; `sweep` compares several")
    return replace(experiment, optimizer=rules[0] if len(rules) == 1 else one_of(*rules))


def _optimizer(name: str, sampled: bool) -> Any:
    rates = RATES.get(name, ADAM_RATES)
    return optimizer_named(name, log_uniform(*rates) if sampled else None)


def _model(options: Any, loaded: Any, sampled: bool) -> Any:
    inputs, outputs = loaded.train.x.shape[1], loaded.n_classes or 1
    return MODELS[options.model](inputs, outputs, options, sampled)


def _mlp(inputs: int, outputs: int, options: Any, sampled: bool) -> Any:
    return models.MLP((inputs, *sizes_of(options.hidden), outputs), dropout=_dropout(sampled))


def _cnn(inputs: int, outputs: int, options: Any, sampled: bool) -> Any:
    side = _side(inputs, options)
    hidden = sizes_of(options.hidden)
    return models.CNN((side, side), outputs, hidden=hidden, dropout=_dropout(sampled))


def _transformer(inputs: int, outputs: int, options: Any, sampled: bool) -> Any:
    side = _side(inputs, options)
    return models.Transformer(inputs, outputs, tokens=side, dropout=_dropout(sampled))


def _random_features(inputs: int, outputs: int, options: Any, sampled: bool) -> Any:
    gamma = log_uniform(0.03 / inputs, 3 / inputs) if sampled else 0.3 / inputs
    return models.RandomFeatures(inputs, outputs, gamma=gamma)


def _tree(model: Any) -> Any:
    def make(inputs, outputs, options, sampled):
        beta = log_uniform(0.3, 3.0) if sampled else 1.0
        return model(inputs, outputs, depth=options.depth, beta=beta)

    return make


MODELS = {
    "linear": lambda inputs, outputs, options, sampled: models.Linear(inputs, outputs),
    "mlp": _mlp,
    "cnn": _cnn,
    "soft_tree": _tree(models.SoftTree),
    "oblivious_trees": _tree(models.ObliviousTrees),
    "random_features": _random_features,
    "transformer": _transformer,
}


def _dropout(sampled: bool) -> Any:
    return uniform(0.0, 0.5) if sampled else None


def _side(inputs: int, options: Any) -> int:
    """The side of the square images that the features are."""
    side = math.isqrt(inputs)
    if side**2 != inputs:
        raise ValueError(
            f"--model {options.model} wants square images, row by row; {options.data} has {inputs} "
            "features, which is no square (in Python, a model is told its shape or tokens)"
        )
    return side


def _loss(loaded: Any) -> Any:
    if loaded.task == "regression":
        return losses.squared_error
    return losses.softmax_cross_entropy_with_integer_labels


def sampler_of(name: str) -> Any:
    """optuna:KIND is a sampler of Optuna; other names are ours."""
    head, colon, kind = name.partition(":")
    return optuna(kind) if colon and head == "optuna" else name


def rungs_of(options: Any) -> Any:
    """The policy that the options name."""
    if options.halving is not None:
        return halving(options.halving, options.first)
    if options.hyperband is not None:
        return hyperband(options.hyperband, options.first)
    if options.median_stopping:
        return median_stopping(options.first)
    if options.population:
        return population(options.first)
    if options.first is not None:
        raise ValueError(f"--first {options.first}: there are no rungs; --halving ETA makes some")
    return None
