"""Sweeps whose numbers are recorded, and what is made of them: reruns, folds, races, slopes."""

import dataclasses
import functools
import tempfile

import jax
import numpy as np
from recorded_fits import STEPS, case, federated, fit, line, linear, mlp, private

import jaxopt_edu as jo

RATE = jo.log_uniform(0.01, 0.3)


def sweep(space, trials=None, **more):
    """A sweep whose tiles have 4 lanes, on any machine."""
    given = {"steps": STEPS, "seed": 1, "eval_every": 10, "tile": 4, "progress": False}
    return jo.sweep(space, trials, **given | more)


# -------------------------------------------------------------------------------------- sweeps


@case
def sweep_rates():
    return sweep(mlp(jo.sgd(RATE), batch_size=8), 6)


@case
def sweep_dropout_and_penalty():
    space = mlp(jo.adam(0.01), jo.uniform(0.0, 0.5), batch_size=12)
    return sweep(dataclasses.replace(space, regularizer=jo.L2(jo.log_uniform(1e-4, 1e-1))), 4)


@case
def sweep_optimizers():
    rate = jo.log_uniform(0.003, 0.05)
    optimizer = jo.one_of(jo.sgd(RATE), jo.adam(rate), jo.rmsprop(rate))
    return sweep(linear(optimizer, batch_size=8), 9)


@case
def sweep_seeds():
    return sweep(mlp(jo.sgd(RATE), batch_size=8), 3, seeds=2, rank_by="last")


@case
def sweep_grid():
    return sweep(linear(jo.sgd(RATE, momentum=jo.choice(0.0, 0.9))), 6, sampler="grid")


@case
def sweep_sobol():
    return sweep(linear(jo.sgd(RATE), regularizer=jo.L2(jo.uniform(0.0, 0.1))), 4, sampler="sobol")


@case
def sweep_list_of_experiments():
    return sweep([linear(jo.sgd(0.1)), linear(jo.sgd(0.2)), mlp(jo.adam(0.01))])


@case
def sweep_vectors():
    return sweep(linear(jax.vmap(jo.sgd)(np.array([0.05, 0.1, 0.2]))), metric="accuracy")


@case
def sweep_some_diverge():
    return sweep(line(jo.sgd(jo.log_uniform(0.05, 2.0))), 6, diverge_above=100.0)


@case
def sweep_optuna():
    sampler = jo.optuna("tpe", batch=4, n_startup_trials=4)
    return sweep(linear(jo.sgd(RATE)), 8, sampler=sampler)


@case
def sweep_grown_in_a_store():
    space = linear(jo.sgd(RATE), batch_size=8)
    with tempfile.TemporaryDirectory() as store:
        few = sweep(space, 4, store=store)
        return {"few": few, "more": sweep(space, 8, store=store)}


@case
def halving():
    return sweep(linear(jo.sgd(RATE), batch_size=8), 8, rungs=jo.halving(2, 10))


@case
def hyperband():
    return sweep(linear(jo.sgd(RATE), batch_size=8), 8, rungs=jo.hyperband(2, 10))


@case
def median_stopping():
    rungs = jo.median_stopping(first=10, every=10)
    return sweep(linear(jo.sgd(RATE), batch_size=8), 8, rungs=rungs, seeds=2)


@functools.cache
def bred():
    space = mlp(jo.sgd(RATE), regularizer=jo.L2(jo.log_uniform(1e-4, 1e-1)), batch_size=8)
    return sweep(space, 8, rungs=jo.population(10, fraction=0.25))


@case
def population():
    return bred()


@case
def population_again():
    study = bred()
    trial = study.moves[-1][1].trial
    return {
        "trial": np.asarray(trial),
        "rerun": study.rerun(trial),
        "fit": fit(study.best, tile=study.tile),
    }


# ------------------------------------------------------------------------------- what follows


@functools.cache
def folded():
    space = linear(jo.sgd(RATE), batch_size=8)
    return sweep(space, 4, folds=3, rungs=jo.halving(2, 20))


@case
def folds_sweep():
    return folded()


@case
def folds_rerun():
    study = folded()
    worst = int(study.order[-1])
    return {"best": study.rerun(study.best_trial, repeat=1), "worst": study.rerun(worst, repeat=2)}


@case
def folds_confirmed():
    return folded().confirm(best=2, seeds=2, progress=False)


@case
def cross_validated():
    experiment = mlp(jo.adam(0.02), 0.1, regularizer=jo.prior(jo.L2(1.0)), batch_size=8)
    found = jo.cross_validate(experiment, 3, steps=STEPS, seed=1, tile=4, progress=False)
    return {"scores": found.scores, "study": found.study}


@case
def rerun_debug():
    study = sweep(mlp(jo.sgd(RATE), batch_size=8), 2, steps=10, eval_every=5)
    return {"whole": study.rerun(1), "debug": study.rerun(1, debug=True)}


@case
def rerun_diverged():
    study = sweep(line(jo.sgd(jo.log_uniform(0.05, 2.0))), 6, diverge_above=100.0)
    return study.rerun(int(np.flatnonzero(study.columns["status"] == "diverged")[0]))


@case
def hypergradients():
    experiment = mlp(jo.sgd(0.1, momentum=0.5), regularizer=jo.L2(1e-2), batch_size=8)
    score, gradient = jo.hypergradient(experiment, STEPS, 1)
    return {"score": score, "gradient": jo.hyperparameters(gradient)}


@case
def tuned():
    space = linear(jo.sgd(RATE), regularizer=jo.L2(jo.log_uniform(1e-4, 1e-1)))
    found = jo.tune(space, 20, updates=5, starts=3, seed=1, progress=False)
    return {"scores": found.scores, "numbers": found.numbers, "slopes": found.slopes}


@case
def raced():
    result = jo.race("booth", ["sgd", "adam", "rmsprop"], steps=STEPS, scans=8, low=1e-3, high=1e-1)
    return {
        r.name: {
            "rate": r.best_rate, "value": r.value, "distance": r.distance, "path": r.path,
            "reached": -1 if r.reached is None else r.reached,
        }
        for r in result.racers
    }  # fmt: skip


@case
def learning_rates():
    found = jo.find_learning_rate(
        linear(jo.sgd(0.1)), STEPS, low=1e-3, high=1.0, rates=6, seed=1, progress=False
    )
    return {
        "values": found.values, "scores": found.scores, "untrained": found.untrained,
        "plateau": found.plateau, "suggested": found.suggested,
    }  # fmt: skip


@case
def l1_path():
    found = jo.l1_path(line(jo.sgd(0.1)), [1.0, 0.3, 0.1], steps=STEPS, seed=1, tile=4)
    return {
        "norms": found.norms, "params": found.params, "scores": found.scores,
        "residuals": found.residuals,
    }  # fmt: skip


@case
def private_sweep():
    study = sweep(private(jo.uniform(0.0, 2.0), max_norm=jo.log_uniform(0.1, 1.0)), 4)
    swept = {name.split(".")[-1]: study.columns[name] for name in study.swept}
    found = {"curves": study.curves, "finals": study.finals, "order": study.order}
    return {"swept": swept} | found


@case
def private_hypergradient():
    score, gradient = jo.hypergradient(private(0.5, None), 20, 1)
    slopes = {name.split(".")[-1]: x for name, x in jo.hyperparameters(gradient).items()}
    return {"score": score, "slopes": slopes}


@case
def federated_sweep():
    rates = (0.02, 0.05, 0.1)
    study = sweep([federated(jo.sgd(rate), batch_size=4, mu=0.1) for rate in rates])
    return {"curves": study.curves, "finals": study.finals, "order": study.order}
